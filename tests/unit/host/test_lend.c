// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a killed broker left, and who has the device by the time that it is found.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "file.h"
#include "journal.h"
#include "kernel.h"
#include "lend/lend.h"
#include "state.h"

#define ADDR "0000:03:00.0"
#define NOTE STATE_DIR "/lent/" ADDR

static char *const argv[] = {(char *)"driver", NULL};
static const struct usrpci_lend_options options = {.argv = argv};

/* A note of a broker that is gone: no lock says that it lives. */
static void leave_note_of(const char *driver, struct kernel *kernel, uint64_t identity,
			  struct lend_pages pages)
{
	struct lend_device device = {
		.info = {.addr = address(ADDR)},
		.name = ADDR,
		.identity = identity,
	};
	struct lend lend = {
		.host = kernel->host,
		.options = &options,
		.devices = &device,
		.count = 1,
		.pages = pages,
	};

	snprintf(device.driver_before, sizeof(device.driver_before), "%s", driver);
	assert_int_equal(lend_config_save(kernel->host, &device.info.addr, &device.config), 0);
	assert_int_equal(lend_note_write(&lend, &device), 0);
}

static void leave_note_of_pages(struct kernel *kernel, uint64_t identity, struct lend_pages pages)
{
	leave_note_of("e1000", kernel, identity, pages);
}

static void leave_note(struct kernel *kernel, uint64_t identity)
{
	leave_note_of_pages(kernel, identity, (struct lend_pages){0, -1});
}

static void add_device(struct kernel *kernel, const char *driver)
{
	const struct fixture_device device = {.addr = ADDR, .driver = driver};

	fixture_add(kernel->fixture, &device);
}

/* As a driver does that has taken the device since: transactions are allowed, interrupts too. */
static void set_going(struct kernel *kernel)
{
	uint8_t command[2];

	put_le16(command, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fixture_config(kernel->fixture, ADDR, PCI_COMMAND, command, sizeof(command));
	fixture_config(kernel->fixture, ADDR, PCI_INTERRUPT_LINE, "\x0b", 1);
}

static void assert_going(struct kernel *kernel)
{
	uint8_t command[2], line;

	fixture_config_read(kernel->fixture, ADDR, PCI_COMMAND, command, sizeof(command));
	fixture_config_read(kernel->fixture, ADDR, PCI_INTERRUPT_LINE, &line, 1);
	assert_int_equal(get_le16(command), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(line, 0x0b);
}

static bool note_is_there(struct kernel *kernel)
{
	char *text = fixture_read(kernel->fixture, NOTE);

	free(text);
	return text != NULL;
}

static void a_device_that_its_kernel_driver_has_again_is_left_alone(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, "e1000");
	leave_note(kernel, 0);
	set_going(kernel);
	assert_int_equal(usrpci_host_recover(kernel->host), 1);
	assert_going(kernel);
	assert_false(note_is_there(kernel));
	assert_logged(kernel->fixture, "the kernel driver e1000 has it again");
}

static bool recovery_masks_the_interrupt(struct kernel *kernel)
{
	uint8_t command[2];

	put_le16(command, PCI_COMMAND_MEMORY);
	fixture_config(kernel->fixture, ADDR, PCI_COMMAND, command, sizeof(command));
	assert_int_equal(usrpci_host_recover(kernel->host), 1);
	fixture_config_read(kernel->fixture, ADDR, PCI_COMMAND, command, sizeof(command));
	return get_le16(command) & PCI_COMMAND_INTX_DISABLE;
}

static void a_device_that_had_no_driver_is_not_stopped_again(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, NULL);
	leave_note_of("", kernel, 0, (struct lend_pages){0, -1});
	assert_false(recovery_masks_the_interrupt(kernel));
	leave_note(kernel, 0);
	assert_true(recovery_masks_the_interrupt(kernel));
}

static void a_dry_run_leaves_a_device_alone(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, "uio_pci_generic");
	leave_note(kernel, 0);
	set_going(kernel);
	usrpci_host_recover(kernel_host(kernel, true));
	assert_going(kernel);
	assert_true(note_is_there(kernel));
}

static void another_device_in_its_place_is_left_alone(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, "uio_pci_generic");
	leave_note(kernel, 1);
	set_going(kernel);
	assert_int_equal(usrpci_host_recover(kernel->host), 1);
	assert_going(kernel);
	assert_false(note_is_there(kernel));
	assert_logged(kernel->fixture, "another device is in the place");
}

static void files_of_another_device_in_its_place_are_not_opened(void **state)
{
	struct kernel *kernel = *state;
	struct lend_device device = {.info = {.addr = address(ADDR)}};
	struct lend lend = {.host = kernel->host, .devices = &device, .count = 1};
	struct lend_file file = {.path = PCI_DEVICES "/" ADDR "/config", .fd = -1}, reset = file;
	int fd;

	add_device(kernel, "uio_pci_generic");
	reset.use = LEND_RESET;
	assert_int_equal(journal_identity(kernel->host, &device.info.addr, &device.identity), 0);
	fd = lend_file_get(&lend, &file);
	assert_true(fd >= 0);
	close(fd);
	device.identity++;
	assert_int_equal(lend_file_get(&lend, &file), -ENODEV);
	assert_int_equal(lend_file_reset(&lend, &reset), -ENODEV);
}

static void the_same_device_is_stopped(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addr = address(ADDR);
	uint8_t command[2];
	uint64_t identity;

	add_device(kernel, "uio_pci_generic");
	assert_int_equal(journal_identity(kernel->host, &addr, &identity), 0);
	leave_note(kernel, identity);
	set_going(kernel);
	usrpci_host_recover(kernel->host);
	fixture_config_read(kernel->fixture, ADDR, PCI_COMMAND, command, sizeof(command));
	assert_int_equal(get_le16(command) & PCI_COMMAND_MASTER, 0);
}

/* A recovery that is killed at any of its changes, and the next one, take two pages and no more. */
static void pages_are_given_back_once(void **state)
{
	struct kernel *kernel = *state;
	int status, change = 0;

	add_device(kernel, "e1000");
	do {
		kernel_pool(kernel, 0, 0, 0);
		kernel->memory = 100;
		assert_int_equal(usrpci_host_hugepages_reserve(kernel->host, 6, 2 << 20, 0), 6);
		assert_int_equal(usrpci_host_hugepages_reserve(kernel->host, 8, 2 << 20, 0), 2);
		leave_note_of_pages(kernel, 0, (struct lend_pages){2, -1});
		kernel->changes = 0;
		kernel->killed_at = ++change;
		if (fork() == 0) {
			usrpci_host_recover(kernel->host);
			_exit(0);
		}
		wait(&status);
		kernel->killed_at = 0;
		usrpci_host_recover(kernel->host);
		assert_int_equal(kernel_pool_total(kernel, 0), 6);
		usrpci_host_hugepages_release(kernel->host, 0, -1);
		assert_int_equal(kernel_pool_total(kernel, 0), 0);
	} while (WIFSIGNALED(status));
	assert_true(change > 1);
}

/* The note was written before, when nobody knew how many pages the kernel would give. */
static void pages_of_a_broker_that_was_killed_while_it_added_them_go(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, "e1000");
	kernel_pool(kernel, 0, 0, 0);
	kernel->memory = 100;
	assert_int_equal(usrpci_host_hugepages_reserve(kernel->host, 6, 2 << 20, 0), 6);
	assert_int_equal(usrpci_host_hugepages_reserve(kernel->host, 9, 2 << 20, 0), 3);
	leave_note_of_pages(kernel, 0, (struct lend_pages){8, 6});
	assert_int_equal(usrpci_host_recover(kernel->host), 1);
	assert_int_equal(kernel_pool_total(kernel, 0), 6);
}

static bool is_taken(struct kernel *kernel, unsigned int id)
{
	bool taken;

	assert_int_equal(lend_id_is_taken(kernel->host, id, &taken), 0);
	return taken;
}

static void a_program_gets_a_user_that_nobody_is(void **state)
{
	struct kernel *kernel = *state;
	unsigned int id, other;

	fixture_text(kernel->fixture, "/etc/nsswitch.conf",
		     "passwd: files systemd\ngroup: files [SUCCESS=merge] systemd # both\n");
	fixture_text(kernel->fixture, "/etc/passwd",
		     "a:x:1900000000:100::/:/bin/sh\nb:x:1900000001:1900000002::/:/bin/sh\n");
	fixture_text(kernel->fixture, "/etc/group", "1900000004:x:1900000003:\n");
	assert_false(is_taken(kernel, 1900000004));
	for (id = 1900000000; id <= 1900000003; id++)
		assert_true(is_taken(kernel, id));
	assert_int_equal(lend_id_find(kernel->host, &id), 0);
	assert_int_equal(lend_id_find(kernel->host, &other), 0);
	assert_int_not_equal(id, other);
	assert_true(id >= 1879048192 && id < 2147483646);
}

static void an_interface_is_counted_while_it_is_served(void **state)
{
	static const char *const files[] = {"rx_packets", "rx_bytes",   "tx_packets",
					    "tx_bytes",   "rx_dropped", "tx_dropped"};
	const struct usrpci_addr addr = address(ADDR);
	struct kernel *kernel = *state;
	struct usrpci_net_stats stats;
	char path[64], number[2] = "1";
	int mark;

	assert_int_equal(usrpci_host_net_stats(kernel->host, &addr, &stats), -ENOENT);
	assert_int_equal(state_hold(kernel->host, "net/" ADDR, &mark), 0);
	assert_int_equal(pwrite(mark, "4711 eth7", 9, 0), 9);
	assert_int_equal(usrpci_host_net_stats(kernel->host, &addr, &stats), -ENOENT);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++, number[0]++) {
		snprintf(path, sizeof(path), "/sys/class/net/eth7/statistics/%s", files[i]);
		fixture_text(kernel->fixture, path, number);
	}
	assert_int_equal(usrpci_host_net_stats(kernel->host, &addr, &stats), 0);
	assert_string_equal(stats.name, "eth7");
	assert_int_equal(stats.rx_frames, 1);
	assert_int_equal(stats.rx_bytes, 2);
	assert_int_equal(stats.tx_frames, 3);
	assert_int_equal(stats.tx_bytes, 4);
	assert_int_equal(stats.rx_dropped, 5);
	assert_int_equal(stats.tx_dropped, 6);
	state_let_go(kernel->host, "net/" ADDR, mark, NULL);
	assert_int_equal(usrpci_host_net_stats(kernel->host, &addr, &stats), -ENOENT);
}

static bool is_confined(const struct lend *lend, const struct kernel *kernel)
{
	char path[PATH_SIZE];

	assert_int_equal(path_format(kernel->host->ctx, path, "%s", lend->files[0].path), 0);
	return !lend_confine_server(lend) && open(path, O_RDWR) >= 0 &&
	       open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES &&
	       open("/proc/1/environ", O_RDONLY) < 0 && open("/tmp", O_RDONLY) < 0;
}

static void who_serves_opens_no_other_files(void **state)
{
	struct kernel *kernel = *state;
	struct lend lend = {
		.host = kernel->host, .files = {{.path = "/dev/uio0"}}, .file_count = 1};
	int status;
	pid_t child;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0)
		skip();
	fixture_text(kernel->fixture, "/dev/uio0", "");
	child = fork();
	if (child == 0)
		_exit(is_confined(&lend, kernel) ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kernel_setup, kernel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_that_its_kernel_driver_has_again_is_left_alone),
		TEST(a_device_that_had_no_driver_is_not_stopped_again),
		TEST(a_dry_run_leaves_a_device_alone),
		TEST(another_device_in_its_place_is_left_alone),
		TEST(files_of_another_device_in_its_place_are_not_opened),
		TEST(the_same_device_is_stopped),
		TEST(pages_are_given_back_once),
		TEST(pages_of_a_broker_that_was_killed_while_it_added_them_go),
		TEST(a_program_gets_a_user_that_nobody_is),
		TEST(who_serves_opens_no_other_files),
		TEST(an_interface_is_counted_while_it_is_served),
	};

	return cmocka_run_group_tests_name("lend", tests, NULL, NULL);
}
