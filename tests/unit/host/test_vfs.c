// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtual functions: as many as are asked for, never under one that is in use, and back as they
 * were.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel.h"

#define PF  "0000:03:00.0"
#define DIR "/sys/bus/pci/devices/" PF

static struct usrpci_addr addr;

static int setup(void **state)
{
	static const struct fixture_device nic = {
		.addr = PF, .vendor = 0x8086, .device = 0x1521, .driver = "igb"};
	struct kernel *kernel;

	if (kernel_setup(state))
		return -1;
	kernel = *state;
	fixture_add(kernel->fixture, &nic);
	fixture_text(kernel->fixture, DIR "/sriov_totalvfs", "7\n");
	fixture_text(kernel->fixture, DIR "/sriov_numvfs", "0\n");
	fixture_text(kernel->fixture, DIR "/sriov_drivers_autoprobe", "1\n");
	return usrpci_addr_parse(PF, &addr);
}

static unsigned int number(struct kernel *kernel)
{
	char *text = fixture_read(kernel->fixture, DIR "/sriov_numvfs");
	unsigned int count = (unsigned int)strtoul(text, NULL, 10);

	free(text);
	return count;
}

static void a_number_is_set_once_and_restored(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(usrpci_host_vfs_set(kernel->host, &addr, 4, NULL), 0);
	assert_int_equal(number(kernel), 4);
	assert_string_equal(kernel->shown, "echo 4 > " DIR "/sriov_numvfs\n");
	assert_int_equal(usrpci_host_vfs_set(kernel->host, &addr, 4, NULL), 0);
	assert_int_equal(kernel->changes, 1);
	assert_int_equal(usrpci_host_vfs_set(kernel->host, &addr, 2, NULL), 0);
	assert_int_equal(number(kernel), 2);
	assert_int_equal(usrpci_host_restore(kernel->host, &addr), 0);
	assert_int_equal(number(kernel), 0);
	assert_driver(kernel, PF, "igb");
	assert_int_equal(usrpci_host_restore(kernel->host, &addr), -ENOENT);
}

static void no_driver_is_let_near_for_that_time(void **state)
{
	const struct usrpci_vfs_options options = {.no_driver = true};
	struct kernel *kernel = *state;

	assert_int_equal(usrpci_host_vfs_set(kernel->host, &addr, 1, &options), 0);
	assert_string_equal(kernel->shown, "echo 0 > " DIR "/sriov_drivers_autoprobe\n"
					   "echo 1 > " DIR "/sriov_numvfs\n"
					   "echo 1 > " DIR "/sriov_drivers_autoprobe\n");
}

static void drivers_take_new_functions_again_after_a_kill(void **state)
{
	const struct usrpci_vfs_options options = {.no_driver = true};
	struct kernel *kernel = *state;
	int status;
	char *probe;

	for (int change = 1; change <= 2; change++) {
		kernel->changes = 0;
		kernel->killed_at = change;
		if (fork() == 0)
			_exit(usrpci_host_vfs_set(kernel->host, &addr, 1, &options));
		wait(&status);
		assert_true(WIFSIGNALED(status));
		kernel->killed_at = 0;
		assert_int_equal(usrpci_host_restore(kernel->host, &addr), 0);
		assert_int_equal(number(kernel), 0);
		probe = fixture_read(kernel->fixture, DIR "/sriov_drivers_autoprobe");
		assert_int_equal(atoi(probe), 1);
		free(probe);
	}
}

static void what_a_device_cannot_have_is_refused(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr *vfs;
	unsigned int most;

	assert_int_equal(usrpci_host_vfs(kernel->host, &addr, &vfs, &most), 0);
	assert_int_equal(most, 7);
	free(vfs);
	assert_int_equal(usrpci_host_vfs_set(kernel->host, &addr, 8, NULL), -EINVAL);
	assert_logged(kernel->fixture, "7 virtual functions at most");
	fixture_text(kernel->fixture, DIR "/sriov_numvfs", "70000\n");
	assert_int_equal(usrpci_host_vfs(kernel->host, &addr, &vfs, &most), -EBADMSG);
	fixture_remove(kernel->fixture, DIR "/sriov_totalvfs");
	assert_int_equal(usrpci_host_vfs_set(kernel->host, &addr, 1, NULL), -EOPNOTSUPP);
	assert_logged(kernel->fixture, "no SR-IOV");
	assert_int_equal(kernel->changes, 0);
}

static void a_failure_brings_back_what_there_was(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, DIR "/sriov_numvfs", "3\n");
	kernel->fail_at = 2;
	kernel->fail_error = -ENOMEM;
	assert_int_equal(usrpci_host_vfs_set(kernel->host, &addr, 5, NULL), -ENOMEM);
	assert_int_equal(number(kernel), 3);
	assert_logged(kernel->fixture, "cannot have 5 virtual functions");
}

static void a_dry_run_shows_the_writes(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, DIR "/sriov_numvfs", "3\n");
	assert_int_equal(usrpci_host_vfs_set(kernel_host(kernel, true), &addr, 5, NULL), 0);
	assert_string_equal(kernel->shown,
			    "echo 0 > " DIR "/sriov_numvfs\necho 5 > " DIR "/sriov_numvfs\n");
	assert_int_equal(number(kernel), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, kernel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_number_is_set_once_and_restored),
		TEST(no_driver_is_let_near_for_that_time),
		TEST(drivers_take_new_functions_again_after_a_kill),
		TEST(what_a_device_cannot_have_is_refused),
		TEST(a_failure_brings_back_what_there_was),
		TEST(a_dry_run_shows_the_writes),
	};

	return cmocka_run_group_tests_name("vfs", tests, NULL, NULL);
}
