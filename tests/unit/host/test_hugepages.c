// SPDX-License-Identifier: BSD-2-Clause
/*
 * Huge page pools: what is missing is added, what was added goes back, nothing else is touched.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "kernel.h"
#include "state.h"

#define NODE0 "/sys/devices/system/node/node0/hugepages/hugepages-2048kB"

static int setup(void **state)
{
	struct kernel *kernel;

	if (kernel_setup(state))
		return -1;
	kernel = *state;
	kernel->memory = 1000;
	fixture_text(kernel->fixture, "/proc/meminfo",
		     "MemTotal:  4096000 kB\nMemAvailable:  2048000 kB\nHugepagesize: 2048 kB\n");
	fixture_text(kernel->fixture, "/proc/sys/vm/compact_memory", "");
	kernel_pool(kernel, 0, 10, 4);
	return 0;
}

static int reserve(struct kernel *kernel, size_t count)
{
	return usrpci_host_hugepages_reserve(kernel->host, count, 0, -1);
}

static int release(struct kernel *kernel)
{
	return usrpci_host_hugepages_release(kernel->host, 0, -1);
}

static void only_what_is_missing_is_added(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(reserve(kernel, 6), 2);
	assert_string_equal(kernel->shown, "echo 12 > " NODE0 "/nr_hugepages\n");
	assert_int_equal(kernel_pool_total(kernel, 0), 12);
	assert_int_equal(reserve(kernel, 6), 0);
	assert_int_equal(reserve(kernel, 1), 0);
	assert_int_equal(kernel_pool_total(kernel, 0), 12);
}

static void release_leaves_the_count_as_found(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(reserve(kernel, 6), 2);
	assert_int_equal(reserve(kernel, 20), 14);
	kernel_host(kernel, false);
	assert_int_equal(release(kernel), 16);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
	assert_null(fixture_read(kernel->fixture, STATE_DIR "/hugepages"));
	assert_int_equal(release(kernel), 0);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
}

static void a_part_goes_back_and_the_rest_stays_ours(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(reserve(kernel, 6), 2);
	assert_int_equal(reserve(kernel, 20), 14);
	assert_int_equal(hugepages_give_back(kernel->host, 14, 0, -1), 14);
	assert_int_equal(kernel_pool_total(kernel, 0), 12);
	assert_int_equal(release(kernel), 2);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
}

static void pages_in_use_stay_and_are_released_later(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_hugepages *list;

	assert_int_equal(reserve(kernel, 10), 6);
	kernel_pool(kernel, 0, 16, 1);
	assert_int_equal(release(kernel), 1);
	assert_logged(kernel->fixture, "5 huge pages on node 0 are still in use");
	assert_int_equal(usrpci_host_hugepages(kernel->host, &list), 1);
	assert_int_equal(list[0].ours, 5);
	free(list);
	kernel_pool(kernel, 0, 15, 15);
	assert_int_equal(release(kernel), 5);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
}

static void promised_pages_are_not_counted_as_free(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages",
		     "3\n");
	assert_int_equal(reserve(kernel, 4), 3);
	assert_int_equal(kernel_pool_total(kernel, 0), 13);
}

static void scattered_memory_is_compacted(void **state)
{
	struct kernel *kernel = *state;

	kernel->memory = 3;
	kernel->scattered = 10;
	assert_int_equal(reserve(kernel, 12), 8);
	assert_non_null(strstr(kernel->shown, "echo 1 > /proc/sys/vm/compact_memory\n"));
	assert_int_equal(kernel_pool_total(kernel, 0), 18);
}

static void too_little_is_given_back_and_explained(void **state)
{
	struct kernel *kernel = *state;

	kernel->memory = 3;
	assert_int_equal(reserve(kernel, 12), -ENOMEM);
	assert_logged(kernel->fixture, "the kernel gave 3: memory is fragmented");
	assert_logged(kernel->fixture, "hugepagesz=2048K hugepages=8");
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
	assert_null(fixture_read(kernel->fixture, STATE_DIR "/hugepages"));
}

static void more_than_there_is_memory_is_not_even_tried(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(reserve(kernel, 100000), -ENOMEM);
	assert_logged(kernel->fixture, "memory is short (2000 MiB available)");
	assert_int_equal(kernel->changes, 0);
	assert_int_equal(reserve(kernel, (size_t)-1), -ENOMEM);
	assert_int_equal(kernel->changes, 0);
}

static void a_write_that_fails_leaves_the_pool(void **state)
{
	struct kernel *kernel = *state;

	kernel->fail_at = 1;
	kernel->fail_error = -EACCES;
	assert_int_equal(reserve(kernel, 6), -EACCES);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
	assert_null(fixture_read(kernel->fixture, STATE_DIR "/hugepages"));
}

static const struct host_kernel *kernel_of_test;

/* From its first change on, nothing can be written below /run any more. */
static int perform_and_fill_run(struct usrpci_host *host, const struct change *change)
{
	char path[PATH_SIZE];

	assert_int_equal(path_format(host->ctx, path, STATE_DIR "/new"), 0);
	mkdir(path, 0700);
	return kernel_of_test->perform(host, change);
}

static void pages_that_cannot_be_noted_are_given_back(void **state)
{
	struct kernel *kernel = *state;
	struct host_kernel full;

	kernel_of_test = kernel->host->kernel;
	full = *kernel_of_test;
	full.perform = perform_and_fill_run;
	kernel->host->kernel = &full;
	assert_true(reserve(kernel, 6) < 0);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
}

/* Ends a child with SIGKILL right after its n-th change, while it calls fn. */
static void kill_after(struct kernel *kernel, int change, void (*fn)(struct kernel *kernel))
{
	pid_t child = fork();
	int status;

	if (!child) {
		kernel->changes = 0;
		kernel->killed_at = change;
		fn(kernel);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	kernel_host(kernel, false);
}

static void reserve_8(struct kernel *kernel)
{
	reserve(kernel, 8);
}

static void release_all(struct kernel *kernel)
{
	release(kernel);
}

static void a_program_killed_while_it_reserves_leaves_its_pages_known(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_hugepages *list;

	kill_after(kernel, 1, reserve_8);
	assert_int_equal(kernel_pool_total(kernel, 0), 14);
	assert_int_equal(usrpci_host_hugepages(kernel->host, &list), 1);
	assert_int_equal(list[0].ours, 4);
	free(list);
	assert_int_equal(release(kernel), 4);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
	assert_null(fixture_read(kernel->fixture, STATE_DIR "/hugepages"));
}

static void a_program_killed_while_it_releases_leaves_no_claim_to_others_pages(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(reserve(kernel, 8), 4);
	kill_after(kernel, 1, release_all);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
	kernel_pool(kernel, 0, 10, 10);
	assert_int_equal(release(kernel), 0);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
}

static void nodes_are_counted_apart(void **state)
{
	struct kernel *kernel = *state;

	kernel_pool(kernel, 1, 0, 0);
	assert_int_equal(usrpci_host_hugepages_reserve(kernel->host, 5, 2 << 20, 1), 5);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
	assert_int_equal(kernel_pool_total(kernel, 1), 5);
	assert_int_equal(usrpci_host_hugepages_release(kernel->host, 2 << 20, 0), 0);
	assert_int_equal(usrpci_host_hugepages_release(kernel->host, 2 << 20, 1), 5);
	assert_int_equal(kernel_pool_total(kernel, 1), 0);
}

static void a_size_or_node_that_is_not_there_is_refused(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(usrpci_host_hugepages_reserve(kernel->host, 1, 3 << 20, -1), -EINVAL);
	assert_int_equal(usrpci_host_hugepages_reserve(kernel->host, 1, 0, 7), -EINVAL);
	assert_int_equal(kernel->changes, 0);
}

/* 64 pages of the default size may be 64 GiB. */
static void a_default_size_that_dma_memory_does_not_take_first_is_asked_about(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/meminfo",
		     "MemAvailable:  260000000 kB\nHugepagesize: 1048576 kB\n");
	assert_int_equal(reserve(kernel, 64), -EINVAL);
	assert_logged(kernel->fixture, "and 64 of them are 65536 MiB: a size is needed");
	assert_logged(kernel->fixture, "--size 2M");
	assert_int_equal(kernel->changes, 0);
	assert_int_equal(usrpci_host_hugepages_reserve(kernel->host, 6, 2 << 20, -1), 2);
	assert_int_equal(release(kernel), 2);
}

static void a_pool_that_others_shrank_gives_at_most_what_it_has(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(reserve(kernel, 6), 2);
	kernel_pool(kernel, 0, 1, 1);
	assert_int_equal(release(kernel), 1);
	assert_int_equal(kernel_pool_total(kernel, 0), 0);
}

static void damaged_notes_release_nothing(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, STATE_DIR "/hugepages", "0 2048\nx y z\n-1 2048 5\n9 9 9\n");
	assert_int_equal(release(kernel), 0);
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
}

static void a_dry_run_shows_the_write(void **state)
{
	struct kernel *kernel = *state;

	kernel_host(kernel, true);
	assert_int_equal(reserve(kernel, 6), 2);
	assert_string_equal(kernel->shown, "echo 12 > " NODE0 "/nr_hugepages\n");
	assert_int_equal(kernel_pool_total(kernel, 0), 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, kernel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_what_is_missing_is_added),
		TEST(release_leaves_the_count_as_found),
		TEST(a_part_goes_back_and_the_rest_stays_ours),
		TEST(pages_in_use_stay_and_are_released_later),
		TEST(promised_pages_are_not_counted_as_free),
		TEST(scattered_memory_is_compacted),
		TEST(too_little_is_given_back_and_explained),
		TEST(more_than_there_is_memory_is_not_even_tried),
		TEST(a_write_that_fails_leaves_the_pool),
		TEST(pages_that_cannot_be_noted_are_given_back),
		TEST(a_program_killed_while_it_reserves_leaves_its_pages_known),
		TEST(a_program_killed_while_it_releases_leaves_no_claim_to_others_pages),
		TEST(nodes_are_counted_apart),
		TEST(a_size_or_node_that_is_not_there_is_refused),
		TEST(a_default_size_that_dma_memory_does_not_take_first_is_asked_about),
		TEST(a_pool_that_others_shrank_gives_at_most_what_it_has),
		TEST(damaged_notes_release_nothing),
		TEST(a_dry_run_shows_the_write),
	};

	return cmocka_run_group_tests_name("hugepages", tests, NULL, NULL);
}
