// SPDX-License-Identifier: BSD-2-Clause
/*
 * What both libraries share: arrays that grow, numbers, lists of directories.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "fixture.h"
#include "kernel.h"
#include "numbers.h"
#include "unread.h"

static void an_array_grows_and_keeps_what_is_in_it(void **state)
{
	unsigned int *items = NULL;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		items = array_grow(items, i, 1, sizeof(*items));
		assert_non_null(items);
		items[i] = i;
	}
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	free(items);
}

static void an_array_that_became_shorter_grows_again(void **state)
{
	unsigned int *items = array_grow(NULL, 0, 100, sizeof(*items));

	(void)state;
	assert_non_null(items);
	items[0] = 7;
	items = array_grow(items, 1, 2, sizeof(*items));
	assert_non_null(items);
	items[2] = 9;
	assert_int_equal(items[0], 7);
	free(items);
}

static void an_array_that_cannot_grow_is_left_as_it_is(void **state)
{
	unsigned int *items = array_grow(NULL, 0, 1, sizeof(*items));

	(void)state;
	assert_non_null(items);
	assert_null(array_grow(items, 1, SIZE_MAX / 8, 16));
	items[0] = 1;
	free(items);
}

static void numbers_are_rounded_to_powers_of_two(void **state)
{
	(void)state;
	assert_int_equal(align_up(0, 8), 0);
	assert_int_equal(align_up(9, 8), 16);
	assert_int_equal(align_down(15, 8), 8);
	assert_true(align_up(UINT64_C(0xfffffffff001), 4096) == UINT64_C(0x1000000000000));
	assert_false(is_power_of_two(0));
	assert_true(is_power_of_two(1));
	assert_false(is_power_of_two(6));
	assert_int_equal(next_power_of_two(0), 1);
	assert_int_equal(next_power_of_two(1), 1);
	assert_int_equal(next_power_of_two(5), 8);
	assert_int_equal(next_power_of_two(8), 8);
	assert_true(next_power_of_two((UINT64_C(1) << 62) + 1) == UINT64_C(1) << 63);
}

static void digits_of_either_case_are_hexadecimal(void **state)
{
	(void)state;
	assert_int_equal(hex_digit('0'), 0);
	assert_int_equal(hex_digit('f'), 15);
	assert_int_equal(hex_digit('A'), 10);
	assert_int_equal(hex_digit('g'), -1);
	assert_int_equal(hex_digit('\0'), -1);
}

static void ids_of_users_are_digits_alone(void **state)
{
	static const char *const bad[] = {"",   "-1",  "+1",         " 1",
					  "1 ", "0x1", "4294967295", "99999999999"};
	unsigned int id;

	(void)state;
	assert_true(parse_id("1000", &id));
	assert_int_equal(id, 1000);
	assert_true(parse_id("4294967294", &id));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(parse_id(bad[i], &id));
}

static void the_kernels_lockdown_is_read(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	char mode[LOCKDOWN_SIZE];

	assert_string_equal(kernel_lockdown(ctx, mode), "none");
	fixture_text(*state, "/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	assert_false(kernel_is_locked_down(ctx));
	fixture_text(*state, "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	assert_true(kernel_is_locked_down(ctx));
	assert_string_equal(kernel_lockdown(ctx, mode), "integrity");
	usrpci_ctx_close(ctx);
}

static void capabilities_are_those_in_effect(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	fixture_text(*state, "/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
	assert_true(has_capability(ctx, 14));
	assert_false(has_capability(ctx, 21));
	fixture_text(*state, "/proc/self/status", "Name:\tx\n");
	assert_false(has_capability(ctx, 14));
	usrpci_ctx_close(ctx);
}

static void a_group_without_an_iommu_is_known_by_its_name(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	fixture_text(*state, "/sys/kernel/iommu_groups/3/name", "vfio-noiommu\n");
	assert_true(group_is_noiommu(ctx, 3));
	assert_false(group_is_noiommu(ctx, 4));
	usrpci_ctx_close(ctx);
}

static void the_lowest_memory_is_the_first_that_is_ram(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	assert_int_equal(kernel_lowest_ram(ctx), 0);
	fixture_text(*state, "/proc/iomem",
		     "09000000-09000fff : pl011@9000000\n"
		     "  40000000-40000fff : reserved\n"
		     "40000000-7fffffff : System RAM\n"
		     "100000000-1ffffffff : System RAM\n");
	assert_int_equal(kernel_lowest_ram(ctx), 0x40000000);
	fixture_text(*state, "/proc/iomem", "00000000-00000000 : System RAM\n");
	assert_int_equal(kernel_lowest_ram(ctx), 0);
	usrpci_ctx_close(ctx);
}

static void a_directory_is_listed_in_the_order_of_its_numbers(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	char **names;

	fixture_text(*state, "/d/n10", "");
	fixture_text(*state, "/d/n9", "");
	assert_int_equal(dir_list(ctx, &names, "/d"), 2);
	assert_string_equal(names[0], "n9");
	assert_string_equal(names[1], "n10");
	free(names);
	usrpci_ctx_close(ctx);
}

static void a_list_is_null_after_an_error(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev_info *devices = (void *)state;
	char **names = (void *)state;

	assert_int_equal(dir_list(ctx, &names, "/nowhere"), -ENOENT);
	assert_null(names);
	fixture_remove(*state, "/sys/bus/pci/devices");
	assert_int_equal(usrpci_dev_list(ctx, &devices), -ENOENT);
	assert_null(devices);
	usrpci_ctx_close(ctx);
}

/* Address 0 of a process, which cannot be read, stands for a file on a disk that fails. */
static void what_cannot_be_read_is_remembered(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	const char *path = "";
	uint64_t value;
	char text[8];

	assert_int_equal(file_read(ctx, text, sizeof(text), "/missing"), -ENOENT);
	assert_false(file_exists(ctx, "/missing"));
	assert_int_equal(usrpci_ctx_unread(ctx, &path), 0);
	assert_null(path);
	fixture_link(*state, "/first", "/proc/self/mem");
	fixture_link(*state, "/second", "/proc/self/mem");
	assert_int_equal(file_read_u64(ctx, &value, "/first"), -EIO);
	assert_int_equal(file_read(ctx, text, sizeof(text), "/second"), -EIO);
	assert_int_equal(usrpci_ctx_unread(ctx, &path), -EIO);
	assert_string_equal(strrchr(path, '/'), "/first");
	assert_int_equal(unread_count(ctx), 2);
	usrpci_ctx_close(ctx);
}

/* Whoever may mount a file system reads it, others are told of it at once. */
static void a_file_of_a_process_is_read_whatever_lease_it_has(void **state)
{
	int lease = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct usrpci_ctx *ctx;
	char line[80] = "";
	FILE *maps;

	(void)state;
	signal(SIGIO, SIG_IGN);
	if (fcntl(lease, F_SETLEASE, F_WRLCK))
		skip();
	assert_int_equal(usrpci_ctx_open(NULL, &ctx), 0);
	maps = file_stream(ctx, "/proc/%d/maps", getpid());
	if (maps) {
		assert_non_null(fgets(line, sizeof(line), maps));
		fclose(maps);
	} else {
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(unread_count(ctx), 1);
	}
	usrpci_ctx_close(ctx);
	close(lease);
}

static void a_file_is_opened_to_read_and_write(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	char byte = 0;
	int fd;

	assert_int_equal(usrpci_ctx_open_file(ctx, "/file"), -ENOENT);
	fixture_text(*state, "/file", "a");
	fd = usrpci_ctx_open_file(ctx, "/file");
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'a');
	assert_int_equal(pwrite(fd, "b", 1, 0), 1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	usrpci_ctx_close(ctx);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_array_grows_and_keeps_what_is_in_it),
		cmocka_unit_test(an_array_that_became_shorter_grows_again),
		cmocka_unit_test(an_array_that_cannot_grow_is_left_as_it_is),
		cmocka_unit_test(numbers_are_rounded_to_powers_of_two),
		cmocka_unit_test(digits_of_either_case_are_hexadecimal),
		cmocka_unit_test(ids_of_users_are_digits_alone),
		TEST(the_lowest_memory_is_the_first_that_is_ram),
		TEST(a_directory_is_listed_in_the_order_of_its_numbers),
		TEST(the_kernels_lockdown_is_read),
		TEST(capabilities_are_those_in_effect),
		TEST(a_group_without_an_iommu_is_known_by_its_name),
		TEST(a_list_is_null_after_an_error),
		TEST(what_cannot_be_read_is_remembered),
		cmocka_unit_test(a_file_of_a_process_is_read_whatever_lease_it_has),
		TEST(a_file_is_opened_to_read_and_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
