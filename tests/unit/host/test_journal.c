// SPDX-License-Identifier: BSD-2-Clause
/*
 * The journal: what is written comes back, and whatever is found in its place is survived.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file.h"
#include "journal.h"
#include "kernel.h"
#include "state.h"

#define ADDR  "0000:03:00.0"
#define OTHER "10000:e1:00.1"

static struct journal_record sample(const char *addr)
{
	struct journal_record record = {
		.entry = {.addr = address(addr),
			  .vendor = 0x8086,
			  .device = 0x100e,
			  .driver = "e1000",
			  .when = 1700000000},
		.node = {"/dev/vfio/7", 0, 44, 0600},
	};

	return record;
}

static void a_record_comes_back_as_it_was_written(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record written = sample(OTHER), read;

	assert_int_equal(journal_write(kernel->host, &written), 0);
	assert_int_equal(journal_read(kernel->host, &written.entry.addr, &read), 0);
	assert_int_equal(usrpci_addr_compare(&read.entry.addr, &written.entry.addr), 0);
	assert_int_equal(read.entry.vendor, 0x8086);
	assert_int_equal(read.entry.device, 0x100e);
	assert_int_equal(read.entry.when, 1700000000);
	assert_string_equal(read.entry.driver, "e1000");
	assert_string_equal(read.entry.driver_override, "");
	assert_string_equal(read.node.path, "/dev/vfio/7");
	assert_int_equal(read.node.gid, 44);
	assert_int_equal(read.node.mode, 0600);
}

static void the_settings_of_an_interface_come_back(void **state)
{
	static const uint8_t mac[] = {0x52, 0x54, 0, 0xaa, 0xbb, 0xcc};
	struct kernel *kernel = *state;
	struct journal_record written = sample(ADDR), read;

	written.provided_count = PROVIDED_MAX;
	for (int i = 0; i < PROVIDED_MAX; i++) {
		struct provided *one = &written.provided[i];

		snprintf(one->name, sizeof(one->name), "longest-name-%02d", i % 100);
		one->is_interface = i > 0;
		if (!one->is_interface || i == PROVIDED_MAX - 1)
			continue;
		one->place = (struct net_place){.index = 4000000, .mac_length = 6, .mtu = 9000};
		strcpy(one->place.name, one->name);
		memcpy(one->place.mac, mac, sizeof(mac));
	}
	assert_int_equal(journal_write(kernel->host, &written), 0);
	assert_int_equal(journal_read(kernel->host, &written.entry.addr, &read), 0);
	assert_int_equal(read.provided_count, PROVIDED_MAX);
	assert_int_equal(read.provided[1].place.mtu, 9000);
	assert_int_equal(read.provided[14].place.mac_length, 6);
	assert_memory_equal(read.provided[14].place.mac, mac, sizeof(mac));
	assert_int_equal(read.provided[15].place.mac_length, 0);
	assert_string_equal(read.node.path, written.node.path);
}

static void records_are_dropped_one_by_one(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record first = sample(ADDR), second = sample(OTHER);
	struct usrpci_journal_entry *entries;

	assert_int_equal(usrpci_host_journal(kernel->host, &entries), 0);
	free(entries);
	assert_int_equal(journal_write(kernel->host, &first), 0);
	assert_int_equal(journal_write(kernel->host, &second), 0);
	assert_int_equal(journal_drop(kernel->host, &first.entry.addr), 0);
	assert_int_equal(usrpci_host_journal(kernel->host, &entries), 1);
	assert_int_equal(entries[0].addr.domain, 0x10000);
	free(entries);
	assert_int_equal(journal_read(kernel->host, &first.entry.addr, &first), -ENOENT);
}

static void a_name_with_a_blank_and_a_mode_of_access_are_read_back(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record record = sample(ADDR), read;
	struct usrpci_addr addr = address(ADDR);

	strcpy(record.entry.driver, "budget_ci dvb");
	record.node.mode = 04770;
	assert_int_equal(journal_write(kernel->host, &record), 0);
	assert_int_equal(journal_read(kernel->host, &addr, &read), 0);
	assert_string_equal(read.entry.driver, "budget_ci dvb");
	assert_int_equal(read.node.mode, 0660);
}

static void a_damaged_record_is_reported_and_the_others_are_kept(void **state)
{
	static const char *const damaged[] = {
		"",
		"\n",
		"usrpci-journal 1\n",
		"usrpci-journal 2\nid 8086:100e\nend\n",
		"usrpci-journal 1\nid 8086:100e\nnet eth1 2 52:54:00:aa:bb:cc 1500 1\nend\n",
		"usrpci-journal 1\nid 8086:100e\ninterface eth1\nnet eth2 2 52:54:00:aa:bb:cc 1500 1\nend\n",
		"usrpci-journal 1\nid 8086:100e\ndisk eth1\nnet eth1 2 52:54:00:aa:bb:cc 1500 1\nend\n",
		"usrpci-journal 1\nid 8086:100e\ndriver e1000\n",
		"usrpci-journal 1\nid\ndriver e1000\nend\n",
		"usrpci-journal 1\nid 8086\ndriver e1000\nend\n",
		"usrpci-journal 1\nid 8086:100e\ndriver ../../../etc\nend\n",
		"usrpci-journal 1\nid 8086:100e\ndriver ..\nend\n",
		"usrpci-journal 1\nid 8086:100e\nnode /etc/passwd 0 0 777\nend\n",
		"usrpci-journal 1\nid 8086:100e\n"
		"node /dev/vfio/../../etc/shadow 1000 1000 666\nend\n",
		"usrpci-journal 1\nid 8086:100e\nnode /dev/vfio/ 1000 1000 666\nend\n",
		"usrpci-journal 1\nid 8086:100e\nwhen never\nend\n",
		"usrpci-journal 1\nid 8086:100e\n"
		"driver a_name_that_is_longer_than_any_that_a_driver_may_have\nend\n",
		"\x7f"
		"ELF\x01\x02\x03",
	};
	struct kernel *kernel = *state;
	struct journal_record whole = sample(OTHER), record;
	struct usrpci_addr addr = address(ADDR);
	struct usrpci_journal_entry *entries;
	size_t i;

	assert_int_equal(journal_write(kernel->host, &whole), 0);
	for (i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		fixture_text(kernel->fixture, STATE_DIR "/journal/" ADDR, damaged[i]);
		assert_int_equal(journal_read(kernel->host, &addr, &record), -EBADMSG);
		assert_int_equal(usrpci_host_journal(kernel->host, &entries), 1);
		free(entries);
	}
	assert_logged(kernel->fixture, "the record in /run/usrpci/journal/" ADDR " is damaged");
}

static void unknown_keys_and_files_are_skipped(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addr = address(ADDR);
	struct usrpci_journal_entry *entries;
	struct journal_record record;

	fixture_text(kernel->fixture, STATE_DIR "/journal/" ADDR,
		     "usrpci-journal 1\nid 8086:100e\nlater thing\ndriver e1000\nend\n");
	fixture_text(kernel->fixture, STATE_DIR "/journal/" ADDR ".old", "cut off");
	assert_int_equal(journal_read(kernel->host, &addr, &record), 0);
	assert_string_equal(record.entry.driver, "e1000");
	assert_int_equal(usrpci_host_journal(kernel->host, &entries), 1);
	free(entries);
}

/* A writer that is killed leaves its new file apart from the records, which are still whole. */
static void what_a_killed_writer_left_is_overwritten(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record record = sample(ADDR);

	fixture_text(kernel->fixture, STATE_DIR "/new", "half a rec");
	assert_int_equal(journal_write(kernel->host, &record), 0);
	assert_int_equal(journal_read(kernel->host, &record.entry.addr, &record), 0);
	assert_null(fixture_read(kernel->fixture, STATE_DIR "/new"));
	fixture_text(kernel->fixture, STATE_DIR "/new", "half a rec");
	assert_int_equal(usrpci_host_recover(kernel->host), 0);
	assert_null(fixture_read(kernel->fixture, STATE_DIR "/new"));
}

static void a_device_is_found_by_what_it_provided(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record nic = sample(ADDR), disk = sample(OTHER);
	struct usrpci_addr found;

	strcpy(nic.provided[0].name, "eth1");
	nic.provided[0].is_interface = true;
	strcpy(disk.provided[0].name, "nvme0n1");
	strcpy(disk.provided[1].name, "nvme0n2");
	nic.provided_count = 1;
	disk.provided_count = 2;
	assert_int_equal(usrpci_host_journal_find(kernel->host, "eth1", &found), -ENOENT);
	assert_int_equal(journal_write(kernel->host, &nic), 0);
	assert_int_equal(journal_write(kernel->host, &disk), 0);
	assert_int_equal(usrpci_host_journal_find(kernel->host, "eth1", &found), 0);
	assert_int_equal(usrpci_addr_compare(&found, &nic.entry.addr), 0);
	assert_int_equal(usrpci_host_journal_find(kernel->host, "/dev/nvme0n2", &found), 0);
	assert_int_equal(usrpci_addr_compare(&found, &disk.entry.addr), 0);
	assert_int_equal(usrpci_host_journal_find(kernel->host, "nvme0n", &found), -ENOENT);
	fixture_mkdir(kernel->fixture, "/sys/class/net/eth1");
	assert_int_equal(usrpci_host_journal_find(kernel->host, "eth1", &found), -ENOENT);
	fixture_remove(kernel->fixture, "/sys/class/net/eth1");
	fixture_mkdir(kernel->fixture, "/sys/class/block/nvme0n2");
	assert_int_equal(usrpci_host_journal_find(kernel->host, "nvme0n2", &found), -ENOENT);
	fixture_remove(kernel->fixture, "/sys/class/block/nvme0n2");
	strcpy(disk.provided[1].name, "eth1");
	assert_int_equal(journal_write(kernel->host, &disk), 0);
	assert_int_equal(usrpci_host_journal_find(kernel->host, "eth1", &found), -ENOTUNIQ);
}

static void a_device_in_anothers_place_is_not_found_by_its_names(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record nic = sample(ADDR);
	struct usrpci_addr found;

	strcpy(nic.provided[0].name, "eth1");
	nic.provided_count = 1;
	nic.identity = 1;
	assert_int_equal(journal_write(kernel->host, &nic), 0);
	assert_int_equal(usrpci_host_journal_find(kernel->host, "eth1", &found), 0);
	fixture_add(kernel->fixture, &(struct fixture_device){.addr = ADDR});
	assert_int_equal(usrpci_host_journal_find(kernel->host, "eth1", &found), -ENOENT);
	assert_int_equal(journal_identity(kernel->host, &nic.entry.addr, &nic.identity), 0);
	assert_int_equal(journal_write(kernel->host, &nic), 0);
	assert_int_equal(usrpci_host_journal_find(kernel->host, "eth1", &found), 0);
}

static void a_node_is_found_in_another_devices_record(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record record = sample(ADDR);
	struct usrpci_addr own = address(ADDR), other = address(OTHER);
	struct journal_node node;

	assert_int_equal(journal_write(kernel->host, &record), 0);
	assert_int_equal(journal_find_node(kernel->host, &own, "/dev/vfio/7", &node), -ENOENT);
	assert_int_equal(journal_find_node(kernel->host, &other, "/dev/vfio/8", &node), -ENOENT);
	assert_int_equal(journal_find_node(kernel->host, &other, "/dev/vfio/7", &node), 0);
	assert_int_equal(node.gid, 44);
}

static void a_pipe_in_place_of_a_record_keeps_nobody_waiting(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addr = address(ADDR);
	struct journal_record record;
	char path[256];

	fixture_mkdir(kernel->fixture, STATE_DIR "/journal");
	snprintf(path, sizeof(path), "%s" STATE_DIR "/journal/" ADDR, kernel->fixture->root);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(journal_read(kernel->host, &addr, &record), -EINVAL);
}

/* Of a link to itself nothing can be found out. */
static void a_device_of_which_nothing_is_found_out_is_not_another(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record record = sample(ADDR);
	struct usrpci_dev_info info = {
		.addr = record.entry.addr, .vendor = 0x8086, .device = 0x100e};

	record.identity = 1;
	fixture_mkdir(kernel->fixture, PCI_DEVICES);
	assert_int_equal(journal_is_of(kernel->host, &record, &info), 0);
	fixture_link(kernel->fixture, PCI_DEVICES "/" ADDR, ADDR);
	assert_int_equal(journal_is_of(kernel->host, &record, &info), -ELOOP);
	assert_logged(kernel->fixture, "it cannot be found out which device is there");
}

/* A directory cannot be removed as a file. */
static void a_mark_that_stays_is_told_once(void **state)
{
	struct kernel *kernel = *state;
	int fd;

	assert_int_equal(state_hold(kernel->host, "moving/" ADDR, &fd), 0);
	fixture_remove(kernel->fixture, STATE_DIR "/moving/" ADDR);
	fixture_mkdir(kernel->fixture, STATE_DIR "/moving/" ADDR);
	state_let_go(kernel->host, "moving/" ADDR, fd, NULL);
	assert_logged(kernel->fixture, "cannot remove /run/usrpci/moving/" ADDR);
	assert_int_equal(state_left(kernel->host), -EUCLEAN);
	assert_int_equal(state_left(kernel->host), 0);
}

static void a_mark_that_nobody_holds_goes_with_the_next_recovery(void **state)
{
	struct kernel *kernel = *state;
	int fd;

	fixture_text(kernel->fixture, STATE_DIR "/moving/" ADDR, "");
	assert_int_equal(state_hold(kernel->host, "moving/" OTHER, &fd), 0);
	assert_int_equal(usrpci_host_recover(kernel->host), 0);
	assert_int_equal(state_exists(kernel->host, "moving/" ADDR), 0);
	assert_int_equal(state_exists(kernel->host, "moving/" OTHER), 1);
	state_let_go(kernel->host, "moving/" OTHER, fd, NULL);
}

/* The note of huge pages is a link to itself. */
static void pages_are_not_lost_when_their_note_cannot_be_looked_for(void **state)
{
	struct kernel *kernel = *state;
	size_t ours;

	fixture_link(kernel->fixture, STATE_DIR "/hugepages", "hugepages");
	assert_int_equal(hugepages_ours(kernel->host, 2 << 20, &ours), -ELOOP);
}

static unsigned int mode_of(struct kernel *kernel, const char *name)
{
	struct stat status;
	char path[256];

	snprintf(path, sizeof(path), "%s" STATE_DIR "%s", kernel->fixture->root, name);
	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static void every_user_reads_the_notes_whatever_the_umask(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record record = sample(ADDR);
	mode_t before = umask(0077);
	int error = journal_write(kernel->host, &record);

	umask(before);
	assert_int_equal(error, 0);
	assert_int_equal(mode_of(kernel, ""), 0755);
	assert_int_equal(mode_of(kernel, "/journal"), 0755);
	assert_int_equal(mode_of(kernel, "/journal/" ADDR), 0644);
	assert_int_equal(mode_of(kernel, "/lock"), 0600);
}

static void a_run_directory_that_cannot_be_written_is_an_error(void **state)
{
	struct kernel *kernel = *state;
	struct journal_record record = sample(ADDR);

	fixture_text(kernel->fixture, "/run/usrpci", "a file, no directory");
	assert_int_equal(journal_write(kernel->host, &record), -ENOTDIR);
	assert_logged(kernel->fixture, "cannot lock /run/usrpci/lock");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kernel_setup, kernel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_comes_back_as_it_was_written),
		TEST(a_name_with_a_blank_and_a_mode_of_access_are_read_back),
		TEST(the_settings_of_an_interface_come_back),
		TEST(records_are_dropped_one_by_one),
		TEST(a_damaged_record_is_reported_and_the_others_are_kept),
		TEST(unknown_keys_and_files_are_skipped),
		TEST(what_a_killed_writer_left_is_overwritten),
		TEST(a_device_is_found_by_what_it_provided),
		TEST(a_device_in_anothers_place_is_not_found_by_its_names),
		TEST(a_node_is_found_in_another_devices_record),
		TEST(a_pipe_in_place_of_a_record_keeps_nobody_waiting),
		TEST(a_device_of_which_nothing_is_found_out_is_not_another),
		TEST(a_mark_that_stays_is_told_once),
		TEST(a_mark_that_nobody_holds_goes_with_the_next_recovery),
		TEST(pages_are_not_lost_when_their_note_cannot_be_looked_for),
		TEST(every_user_reads_the_notes_whatever_the_umask),
		TEST(a_run_directory_that_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
