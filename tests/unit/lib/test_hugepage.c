// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is read of the kernel's huge pages and of control groups' limits, and what is said of it.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "hugepage.h"

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static void give_pool(struct fixture *fixture, const char *directory, const char *total,
		      const char *free)
{
	char path[128];

	snprintf(path, sizeof(path), "%snr_hugepages", directory);
	fixture_text(fixture, path, total);
	snprintf(path, sizeof(path), "%sfree_hugepages", directory);
	fixture_text(fixture, path, free);
}

static void give_node(struct fixture *fixture, int node, const char *total, const char *free)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/",
		 node);
	give_pool(fixture, path, total, free);
}

static void pools_are_read_as_a_whole_and_by_node(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct hugepage_pool pool;

	give_pool(*state, POOL, "12\n", "5\n");
	fixture_text(*state, POOL "resv_hugepages", "2\n");
	give_node(*state, 1, "8\n", "3\n");
	assert_int_equal(hugepage_pool(ctx, HUGEPAGE_2M, -1, &pool), 0);
	assert_int_equal(pool.total, 12);
	assert_int_equal(pool.free, 5);
	assert_int_equal(pool.promised, 2);
	assert_int_equal(hugepage_pool(ctx, HUGEPAGE_2M, 1, &pool), 0);
	assert_int_equal(pool.total, 8);
	assert_int_equal(pool.free, 3);
	assert_int_equal(hugepage_pool(ctx, HUGEPAGE_2M, 0, &pool), -ENOENT);
	assert_int_equal(hugepage_pool(ctx, HUGEPAGE_1G, -1, &pool), -ENOENT);
	usrpci_ctx_close(ctx);
}

static void assert_room(struct usrpci_ctx *ctx, uint64_t page_size, uint64_t room)
{
	struct hugepage_limit limit;

	assert_int_equal(hugepage_cgroup_limit(ctx, page_size, &limit), room != UINT64_MAX);
	assert_int_equal(limit.room, room);
}

static void the_tightest_of_the_groups_above_counts(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	fixture_text(*state, "/proc/self/cgroup", "0::/a/b\n");
	fixture_text(*state, "/sys/fs/cgroup/a/b/hugetlb.2MB.max", "max\n");
	fixture_text(*state, "/sys/fs/cgroup/a/b/hugetlb.2MB.current", "0\n");
	fixture_text(*state, "/sys/fs/cgroup/a/hugetlb.2MB.max", "8388608\n");
	fixture_text(*state, "/sys/fs/cgroup/a/hugetlb.2MB.current", "6291456\n");
	assert_room(ctx, HUGEPAGE_2M, 2 << 20);
	assert_room(ctx, HUGEPAGE_1G, UINT64_MAX);
	fixture_text(*state, "/sys/fs/cgroup/a/hugetlb.2MB.current", "9000000\n");
	assert_room(ctx, HUGEPAGE_2M, 0);
	usrpci_ctx_close(ctx);
}

static void groups_of_version_1_count_too(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	fixture_text(*state, "/proc/self/cgroup", "11:memory:/m\n4:hugetlb:/jail\n0::/\n");
	fixture_text(*state, "/sys/fs/cgroup/hugetlb/jail/hugetlb.1GB.limit_in_bytes",
		     "1073741824\n");
	fixture_text(*state, "/sys/fs/cgroup/hugetlb/jail/hugetlb.1GB.usage_in_bytes", "0\n");
	assert_room(ctx, HUGEPAGE_1G, 1 << 30);
	assert_room(ctx, HUGEPAGE_2M, UINT64_MAX);
	usrpci_ctx_close(ctx);
}

static void without_groups_there_is_no_limit(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	assert_room(ctx, HUGEPAGE_2M, UINT64_MAX);
	usrpci_ctx_close(ctx);
}

static void assert_described(struct fixture *fixture, int node, const char *expected)
{
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	char text[256];

	assert_string_equal(hugepage_describe(ctx, HUGEPAGE_2M, node, text, sizeof(text)),
			    expected);
	usrpci_ctx_close(ctx);
}

static void a_shortage_is_described_by_its_cause(void **state)
{
	assert_described(*state, -1, "the kernel has no huge pages of 2048 kB");
	give_pool(*state, POOL, "4\n", "0\n");
	assert_described(*state, -1, "0 of 4 huge pages of 2048 kB are free");
	give_pool(*state, POOL, "4\n", "2\n");
	fixture_text(*state, POOL "resv_hugepages", "2\n");
	assert_described(*state, -1,
			 "2 of 4 huge pages of 2048 kB are free (2 of them promised to other "
			 "programs)");
	fixture_text(*state, POOL "resv_hugepages", "0\n");
	give_node(*state, 0, "4\n", "2\n");
	give_node(*state, 1, "0\n", "0\n");
	assert_described(*state, 1,
			 "2 of 4 huge pages of 2048 kB are free, node 0: 2 of 4 free, node 1: 0 of "
			 "0 free");
	fixture_text(*state, "/proc/self/cgroup", "0::/jail\n");
	fixture_text(*state, "/sys/fs/cgroup/jail/hugetlb.2MB.max", "2097152\n");
	fixture_text(*state, "/sys/fs/cgroup/jail/hugetlb.2MB.current", "2097152\n");
	assert_described(*state, -1,
			 "2 of 4 huge pages of 2048 kB are free, but the limit of the control "
			 "group (hugetlb) leaves 0 bytes");
}

static void a_text_that_is_too_long_is_cut(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	char text[48];

	give_pool(*state, POOL, "4\n", "0\n");
	for (int node = 0; node < 8; node++)
		give_node(*state, node, "4\n", "0\n");
	memset(text, '#', sizeof(text));
	hugepage_describe(ctx, HUGEPAGE_2M, 1, text, sizeof(text));
	assert_string_equal(text, "0 of 4 huge pages of 2048 kB are free, node 0: ");
	usrpci_ctx_close(ctx);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pools_are_read_as_a_whole_and_by_node),
		TEST(the_tightest_of_the_groups_above_counts),
		TEST(groups_of_version_1_count_too),
		TEST(without_groups_there_is_no_limit),
		TEST(a_shortage_is_described_by_its_cause),
		TEST(a_text_that_is_too_long_is_cut),
	};

	return cmocka_run_group_tests_name("hugepage", tests, NULL, NULL);
}
