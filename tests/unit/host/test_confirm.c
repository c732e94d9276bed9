// SPDX-License-Identifier: BSD-2-Clause
/*
 * What nobody confirms: everything is recorded and goes back, whatever a record says.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "confirm/confirm.h"
#include "file.h"
#include "kernel.h"
#include "state.h"

#define NIC  "0000:03:00.0"
#define DISK "0000:04:00.0"

#define FUNCTION "0000:05:00.0"

#define RECORD STATE_DIR "/" CONFIRM_RECORD

static struct usrpci_addr nic, disk;

static int setup(void **state)
{
	static const struct kernel_match natural[] = {{NIC, "e1000"}, {DISK, "nvme"}, {0}};
	static const struct fixture_device devices[] = {
		{.addr = NIC, .vendor = 0x8086, .device = 0x100e, .driver = "e1000", .irq_pin = 1},
		{.addr = DISK, .vendor = 0x1b36, .device = 0x0010, .driver = "nvme", .irq_pin = 1},
		{.addr = FUNCTION, .vendor = 0x8086, .device = 0x10ca},
	};
	struct kernel *kernel;

	if (kernel_setup(state))
		return -1;
	kernel = *state;
	kernel->matches = natural;
	for (int i = 0; i < 3; i++)
		fixture_add(kernel->fixture, &devices[i]);
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/driver_override", "(null)\n");
	fixture_text(kernel->fixture, PCI_DEVICES "/" DISK "/driver_override", "(null)\n");
	kernel_driver(kernel, "uio_pci_generic");
	nic = address(NIC);
	disk = address(DISK);
	return 0;
}

/* A process that waits for the confirmation makes files here until it has ended. */
static int teardown(void **state)
{
	struct kernel *kernel = *state;
	char text[16];

	state_remove(kernel_host(kernel, false), CONFIRM_RECORD);
	while (state_is_held(kernel->host, CONFIRM_WATCH, text, sizeof(text)))
		sleep_ms(5);
	return kernel_teardown(state);
}

static int give(struct kernel *kernel, const struct usrpci_addr *addr, const char *driver)
{
	const struct usrpci_bind_options options = {.driver = driver, .force = true};

	return usrpci_host_bind(kernel->host, addr, 1, &options);
}

static struct usrpci_host *cautious(struct kernel *kernel)
{
	kernel_host(kernel, false)->options.confirm_s = 1000;
	return kernel->host;
}

static void devices_go_back_to_what_they_were_before_that_command(void **state)
{
	struct kernel *kernel = *state;
	struct confirm_record record;

	assert_int_equal(give(kernel, &disk, "uio_pci_generic"), 0);
	cautious(kernel);
	assert_int_equal(give(kernel, &nic, "uio_pci_generic"), 0);
	assert_int_equal(give(kernel, &disk, ""), 0);
	assert_int_equal(confirm_read(kernel->host, &record), 0);
	assert_int_equal(record.device_count, 2);
	assert_int_equal(record.seconds, 1000);
	assert_string_equal(record.devices[0].driver, "e1000");
	assert_false(record.devices[0].was_usrpcis);
	assert_string_equal(record.devices[1].driver, "uio_pci_generic");
	assert_true(record.devices[1].was_usrpcis);
	confirm_free(&record);

	kernel_host(kernel, false);
	assert_int_equal(confirm_undo(kernel->host), 0);
	assert_driver(kernel, NIC, "e1000");
	assert_driver(kernel, DISK, "uio_pci_generic");
	assert_logged(kernel->fixture, "everything went back");
	assert_int_equal(usrpci_host_confirm(kernel->host), -ETIMEDOUT);
	assert_int_equal(usrpci_host_confirm(kernel->host), -ENOENT);
}

static void what_is_confirmed_stays(void **state)
{
	struct kernel *kernel = *state;

	cautious(kernel);
	assert_int_equal(give(kernel, &nic, "uio_pci_generic"), 0);
	assert_int_equal(usrpci_host_confirm(kernel_host(kernel, false)), 1);
	assert_int_equal(confirm_undo(kernel->host), 0);
	assert_driver(kernel, NIC, "uio_pci_generic");
}

static void a_bind_that_failed_leaves_nothing_to_confirm(void **state)
{
	struct kernel *kernel = *state;

	cautious(kernel);
	kernel->unwilling = "uio_pci_generic";
	assert_int_equal(give(kernel, &nic, "uio_pci_generic"), -EIO);
	assert_driver(kernel, NIC, "e1000");
	assert_int_equal(usrpci_host_confirm(kernel->host), -ENOENT);
}

static void going_back_needs_no_confirmation(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(give(kernel, &disk, "uio_pci_generic"), 0);
	cautious(kernel);
	assert_int_equal(give(kernel, &disk, ""), 0);
	cautious(kernel);
	assert_int_equal(confirm_undo(kernel->host), 0);
	assert_driver(kernel, DISK, "uio_pci_generic");
	assert_int_equal(kernel->host->options.confirm_s, 1000);
}

static void a_device_with_other_functions_is_not_forgotten(void **state)
{
	struct kernel *kernel = *state;
	struct confirm_record record;

	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/sriov_numvfs", "0\n");
	cautious(kernel);
	assert_int_equal(confirm_note(kernel->host, &nic), 0);
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/sriov_numvfs", "4\n");
	confirm_forget(kernel->host, &nic);
	assert_int_equal(confirm_read(kernel->host, &record), 0);
	assert_int_equal(record.device_count, 1);
	confirm_free(&record);
}

static void a_device_with_another_driver_is_not_forgotten(void **state)
{
	struct kernel *kernel = *state;
	struct confirm_record record;

	cautious(kernel);
	assert_int_equal(give(kernel, &nic, "uio_pci_generic"), 0);
	confirm_forget(kernel->host, &nic);
	assert_int_equal(confirm_read(kernel->host, &record), 0);
	assert_int_equal(record.device_count, 1);
	confirm_free(&record);
}

static void devices_that_are_not_forgotten_keep_their_order(void **state)
{
	struct usrpci_addr function = address(FUNCTION);
	struct kernel *kernel = *state;
	struct confirm_record record;

	cautious(kernel);
	assert_int_equal(confirm_note(kernel->host, &nic), 0);
	assert_int_equal(confirm_note(kernel->host, &disk), 0);
	assert_int_equal(confirm_note(kernel->host, &function), 0);
	confirm_forget(kernel->host, &nic);
	assert_int_equal(confirm_read(kernel->host, &record), 0);
	assert_int_equal(record.device_count, 2);
	assert_int_equal(usrpci_addr_compare(&record.devices[0].addr, &disk), 0);
	confirm_free(&record);
}

static void what_could_not_be_noted_is_tried_again(void **state)
{
	struct usrpci_addr absent = address("0000:09:00.0");
	struct kernel *kernel = *state;

	cautious(kernel);
	assert_int_equal(confirm_note(kernel->host, &absent), -ENODEV);
	assert_int_equal(confirm_note(kernel->host, &absent), -ENODEV);
	assert_int_equal(kernel->host->confirm->record.device_count, 0);
}

static void nothing_changes_while_other_changes_wait(void **state)
{
	struct kernel *kernel = *state;

	kernel_pool(kernel, 0, 0, 0);
	kernel->memory = 100;
	fixture_text(kernel->fixture, "/etc/usrpci/pages.conf", "[HugePages]\nCount=4\n");
	fixture_text(kernel->fixture, RECORD, "usrpci-unconfirmed 1\nend\n");
	cautious(kernel);
	assert_int_equal(usrpci_host_declare_apply(kernel->host, NULL), -EALREADY);
	assert_int_equal(kernel_pool_total(kernel, 0), 0);
	assert_int_equal(give(kernel, &nic, "uio_pci_generic"), -EALREADY);
	assert_driver(kernel, NIC, "e1000");
}

static void force_of_files_needs_a_confirmation(void **state)
{
	const struct usrpci_declare_options options = {.force = true};
	struct kernel *kernel = *state;

	assert_int_equal(usrpci_host_declare_apply(kernel->host, &options), -EINVAL);
	assert_logged(kernel->fixture, "only where a confirmation is asked for");
}

static void a_record_comes_back_as_it_was_written(void **state)
{
	static const char text[] =
		"usrpci-unconfirmed 1\nseconds 60\nsince 12\n"
		"device 0000:03:00.0 77 1 4 vfio-pci\nnode /dev/vfio/9 0 44 660\n"
		"net eth0 3 52:54:00:12:34:56 9000 1\n"
		"message 180000001400000000000000000000000218800003000000\n"
		"device 0000:04:00.0 78 0 0 \npages 2097152 12 -1\nend\n";
	struct kernel *kernel = *state;
	struct confirm_record record;
	char *written;

	fixture_text(kernel->fixture, RECORD, text);
	assert_int_equal(confirm_read(kernel->host, &record), 0);
	assert_int_equal(record.devices[0].places[0].messages[0]->nlmsg_len, 24);
	assert_int_equal(confirm_write(kernel->host, &record), 0);
	written = fixture_read(kernel->fixture, RECORD);
	assert_string_equal(written, text);
	free(written);
	confirm_free(&record);
}

/* A route over hundreds of gateways: the record could be written, and not be read back. */
static void a_route_that_is_too_long_for_the_record_is_refused(void **state)
{
	struct kernel *kernel = *state;
	struct nlmsghdr *message = calloc(1, 8193);
	struct net_place place = {.name = "eth0", .messages = &message, .count = 1};
	struct confirm_device device = {.places = &place, .place_count = 1};
	const struct confirm_record record = {.devices = &device, .device_count = 1};

	assert_non_null(message);
	message->nlmsg_len = 8192;
	assert_int_equal(confirm_write(kernel->host, &record), 0);
	message->nlmsg_len = 8193;
	assert_int_equal(confirm_write(kernel->host, &record), -E2BIG);
	assert_logged(kernel->fixture, "there are too many routes to bring back");
	free(message);
}

static void a_damaged_record_is_refused_and_left(void **state)
{
	static const char *const lines[] = {
		"node /dev/sda 0 0 666\n",
		"net eth0 1 2 3\n",
		"message 00\n",
		"device 0000:03:00.0 1 0 0 ../x\n",
		"device 0000:03:00.0 1 0 0 e1000\nmessage 00\n",
		"device 0000:03:00.0 1 0 0 e1000\nnet e 3 1:2:3:4:5:6 1 1\nmessage 1800000014\n",
		"device 0000:03:00.0 1 0 0 e1000\nnet e 3 1:2:3:4:5:6 1 1\nmessage zz\n",
		"device 0000:03:00.0 1 0 0 e1000\nnode /dev/sda 0 0 666\n",
		"pages x\n",
	};
	struct kernel *kernel = *state;
	struct confirm_record record;
	char text[512];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), "usrpci-unconfirmed 1\n%send\n", lines[i]);
		fixture_text(kernel->fixture, RECORD, text);
		assert_int_equal(confirm_read(kernel->host, &record), -EBADMSG);
		assert_logged(kernel->fixture, "is damaged");
	}
	fixture_text(kernel->fixture, RECORD, "usrpci-unconfirmed 1\nseconds 5\n");
	assert_int_equal(usrpci_host_confirm(kernel->host), -EBADMSG);
	assert_int_equal(kernel->changes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			devices_go_back_to_what_they_were_before_that_command, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_confirmed_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bind_that_failed_leaves_nothing_to_confirm, setup,
						teardown),
		cmocka_unit_test_setup_teardown(going_back_needs_no_confirmation, setup, teardown),
		cmocka_unit_test_setup_teardown(a_device_with_other_functions_is_not_forgotten,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_device_with_another_driver_is_not_forgotten,
						setup, teardown),
		cmocka_unit_test_setup_teardown(devices_that_are_not_forgotten_keep_their_order,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_could_not_be_noted_is_tried_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nothing_changes_while_other_changes_wait, setup,
						teardown),
		cmocka_unit_test_setup_teardown(force_of_files_needs_a_confirmation, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_record_comes_back_as_it_was_written, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_route_that_is_too_long_for_the_record_is_refused,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_record_is_refused_and_left, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("confirm", tests, NULL, NULL);
}
