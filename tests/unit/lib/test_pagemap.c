// SPDX-License-Identifier: BSD-2-Clause
/*
 * Physical addresses, from a page map of a fixture: addresses in these tests are page numbers of
 * that file.
 */

#include <errno.h>
#include <unistd.h>

#include "fixture.h"
#include "dma/pagemap.h"

#define PRESENT (UINT64_C(1) << 63)
#define FLAGS   (UINT64_C(0x1ff) << 55) /* soft-dirty and others, present among them */

static void *page(unsigned int number)
{
	return (void *)((uintptr_t)number * (uintptr_t)sysconf(_SC_PAGESIZE));
}

/* Reads page 1, whose entry this is. */
static int read_entry(struct fixture *fixture, uint64_t entry, unsigned int number, uint64_t *pa)
{
	const uint64_t entries[] = {0, entry};
	struct usrpci_ctx *ctx;
	int fd, error;

	fixture_bytes(fixture, "/proc/self/pagemap", entries, sizeof(entries));
	ctx = fixture_ctx(fixture);
	fd = pagemap_open(ctx);
	assert_true(fd >= 0);
	error = pagemap_read(ctx, fd, page(number), pa);
	close(fd);
	usrpci_ctx_close(ctx);
	return error;
}

static void a_present_page_has_its_address(void **state)
{
	uint64_t pa = 0;

	assert_int_equal(read_entry(*state, PRESENT | 0x12345, 1, &pa), 0);
	assert_int_equal(pa, (uint64_t)0x12345 * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void flags_are_no_part_of_the_address(void **state)
{
	uint64_t pa = 0;

	assert_int_equal(read_entry(*state, FLAGS | 0x7fffffff, 1, &pa), 0);
	assert_int_equal(pa, (uint64_t)0x7fffffff * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void a_page_that_is_not_there_is_an_error(void **state)
{
	uint64_t pa = 1;

	assert_int_equal(read_entry(*state, 0x12345, 1, &pa), -ENOENT);
	assert_int_equal(pa, 1);
	assert_logged(*state, "nothing is mapped");
}

static void frame_0_names_the_missing_capability(void **state)
{
	uint64_t pa = 1;

	assert_int_equal(read_entry(*state, FLAGS, 1, &pa), -EPERM);
	assert_int_equal(pa, 1);
	assert_logged(*state, "CAP_SYS_ADMIN");
}

static void a_short_page_map_is_an_error(void **state)
{
	uint64_t pa;

	assert_int_equal(read_entry(*state, PRESENT | 1, 2, &pa), -EIO);
}

static void a_missing_page_map_is_an_error(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	assert_int_equal(pagemap_open(ctx), -ENOENT);
	assert_logged(*state, "/proc/self/pagemap");
	usrpci_ctx_close(ctx);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_present_page_has_its_address),
		TEST(flags_are_no_part_of_the_address),
		TEST(a_page_that_is_not_there_is_an_error),
		TEST(frame_0_names_the_missing_capability),
		TEST(a_short_page_map_is_an_error),
		TEST(a_missing_page_map_is_an_error),
	};

	return cmocka_run_group_tests_name("pagemap", tests, NULL, NULL);
}
