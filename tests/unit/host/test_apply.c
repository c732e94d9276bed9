// SPDX-License-Identifier: BSD-2-Clause
/*
 * Changes to the host: shown before they are made, as a line that sh understands, and not made in a
 * dry run.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

#define FILE_PATH "/sys/a/driver_override"

static void changes_are_lines_of_shell(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_host *host = kernel_host(kernel, true);

	apply_write(host, "plain", "0000:03:00.0", NULL, "/sys/bus/%s", "unbind");
	apply_write(host, "empty", "", NULL, "/sys/x");
	apply_write(host, "quoted", "8086 100e", NULL, "/sys/a b/it's");
	apply_write(host, "hostile", "$(reboot)", NULL, "/sys/`x`");
	apply_module(host, "module", "uio_pci_generic");
	apply_owner(host, "both", "/dev/vfio/7", 1000, 100);
	apply_owner(host, "user", "/dev/vfio/7", 1000, (gid_t)-1);
	apply_owner(host, "group", "/dev/vfio/7", (uid_t)-1, 100);
	apply_mode(host, "mode", "/dev/vfio/7", 0660);
	assert_string_equal(kernel->shown, "echo 0000:03:00.0 > /sys/bus/unbind\n"
					   "echo > /sys/x\n"
					   "echo '8086 100e' > '/sys/a b/it'\\''s'\n"
					   "echo '$(reboot)' > '/sys/`x`'\n"
					   "modprobe uio_pci_generic\n"
					   "chown 1000:100 /dev/vfio/7\n"
					   "chown 1000 /dev/vfio/7\n"
					   "chown :100 /dev/vfio/7\n"
					   "chmod 0660 /dev/vfio/7\n");
}

static void assert_content(struct kernel *kernel, const char *path, const char *content)
{
	char *text = fixture_read(kernel->fixture, path);

	assert_non_null(text);
	assert_string_equal(text, content);
	free(text);
}

/* The change of the real writer, not of the simulated kernel. */
static int write_really(struct kernel *kernel, const char *path, const char *value)
{
	return apply_perform(kernel->host,
			     &(struct change){CHANGE_WRITE, path, value, "for the test"});
}

static void a_value_is_written_as_echo_writes_it(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, FILE_PATH, "old and longer\n");
	assert_int_equal(write_really(kernel, FILE_PATH, "e1000"), 0);
	assert_content(kernel, FILE_PATH, "e1000\n");
	assert_int_equal(write_really(kernel, FILE_PATH, ""), 0);
	assert_content(kernel, FILE_PATH, "\n");
}

static void a_file_that_is_not_there_is_not_made(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(write_really(kernel, "/sys/bus/missing", "1"), -ENOENT);
	assert_null(fixture_read(kernel->fixture, "/sys/bus/missing"));
}

static void a_dry_run_makes_no_change(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_host *host = kernel_host(kernel, true);

	fixture_text(kernel->fixture, FILE_PATH, "before\n");
	assert_int_equal(apply_write(host, "test", "after", NULL, "%s", FILE_PATH), 0);
	assert_content(kernel, FILE_PATH, "before\n");
	assert_int_equal(kernel->changes, 0);
}

/* A host made of files has no kernel, and the machine's own must not be meant instead. */
static void modules_are_never_loaded_for_a_host_of_files(void **state)
{
	struct kernel *kernel = *state;
	struct change change = {CHANGE_MODULE, NULL, "uio_pci_generic", "for the test"};

	assert_int_equal(apply_perform(kernel->host, &change), -EOPNOTSUPP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kernel_setup, kernel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(changes_are_lines_of_shell),
		TEST(a_value_is_written_as_echo_writes_it),
		TEST(a_file_that_is_not_there_is_not_made),
		TEST(a_dry_run_makes_no_change),
		TEST(modules_are_never_loaded_for_a_host_of_files),
	};

	return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}
