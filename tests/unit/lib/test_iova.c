// SPDX-License-Identifier: BSD-2-Clause
/*
 * Free device addresses: first fit from both ends, holes, limits, merging; and a random walk that
 * is compared with a plain array of pages.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vfio/iova.h"

#define MIB        (UINT64_C(1) << 20)
#define HOLE_FIRST UINT64_C(0xfee00000)
#define HOLE_LAST  UINT64_C(0xfeefffff)
#define TOP        ((UINT64_C(1) << 39) - 1)

/* As QEMU's Intel IOMMU reports them. */
static const struct iova_range intel[] = {{0, HOLE_FIRST - 1}, {HOLE_LAST + 1, TOP}};

static int open_intel(void **state)
{
	struct iova_space *space = calloc(1, sizeof(*space));

	assert_non_null(space);
	assert_int_equal(iova_open(space, intel, 2), 0);
	*state = space;
	return 0;
}

static int close_space(void **state)
{
	iova_close(*state);
	free(*state);
	return 0;
}

static struct iova_request anywhere(uint64_t size)
{
	return (struct iova_request){.size = size, .align = 4096, .last = UINT64_MAX};
}

static void low_takes_the_lowest_aligned(void **state)
{
	struct iova_request request = anywhere(4096);
	uint64_t addr;

	request.first = 5000;
	request.align = 2 * MIB;
	assert_int_equal(iova_take_low(*state, &request, &addr), 0);
	assert_int_equal(addr, 2 * MIB);
	assert_int_equal(iova_take_low(*state, &request, &addr), 0);
	assert_int_equal(addr, 4 * MIB);
}

static void high_takes_the_highest_aligned(void **state)
{
	struct iova_request request = anywhere(4096);
	uint64_t addr;

	assert_int_equal(iova_take_high(*state, &request, &addr), 0);
	assert_int_equal(addr, TOP + 1 - 4096);
	request.last = (UINT64_C(1) << 32) - 4096;
	assert_int_equal(iova_take_high(*state, &request, &addr), 0);
	assert_int_equal(addr, (UINT64_C(1) << 32) - 4096);
}

static void a_block_never_overlaps_a_hole(void **state)
{
	struct iova_request request = anywhere(256 * MIB);
	uint64_t addr;

	request.last = UINT64_C(1) << 33;
	while (iova_take_low(*state, &request, &addr) == 0)
		assert_true(addr + request.size <= HOLE_FIRST || addr > HOLE_LAST);
}

static void a_block_may_end_at_the_last_address_of_all(void **state)
{
	const struct iova_range all = {0, UINT64_MAX};
	struct iova_request request = anywhere(4096);
	struct iova_space space;
	uint64_t addr;

	assert_int_equal(iova_open(&space, &all, 1), 0);
	assert_int_equal(iova_take_high(&space, &request, &addr), 0);
	assert_int_equal(addr, UINT64_MAX - 4095);
	iova_give(&space, addr, 4096);
	assert_int_equal(space.count, 1);
	assert_int_equal(space.free[0].last, UINT64_MAX);
	iova_close(&space);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct iova_request request = anywhere(TOP);
	uint64_t addr = 42;

	assert_int_equal(iova_take_low(*state, &request, &addr), -ENOSPC);
	assert_int_equal(iova_take_high(*state, &request, &addr), -ENOSPC);
	request = anywhere(4096);
	request.first = TOP + 1;
	assert_int_equal(iova_take_low(*state, &request, &addr), -ENOSPC);
	request = anywhere(4096);
	request.align = UINT64_C(1) << 63;
	request.first = 1;
	assert_int_equal(iova_take_low(*state, &request, &addr), -ENOSPC);
	assert_int_equal(addr, 42);
}

static void blocks_given_back_merge_again(void **state)
{
	struct iova_space *space = *state;
	struct iova_request request = anywhere(4096);
	uint64_t addr[64];

	for (size_t i = 0; i < 64; i++)
		assert_int_equal(iova_take_low(space, &request, &addr[i]), 0);
	for (size_t i = 0; i < 64; i += 2)
		iova_give(space, addr[i], 4096);
	for (size_t i = 1; i < 64; i += 2)
		iova_give(space, addr[i], 4096);
	assert_int_equal(space->count, 2);
	assert_memory_equal(space->free, intel, sizeof(intel));
}

static void a_narrower_iommu_leaves_what_both_allow(void **state)
{
	const struct iova_range narrow[] = {{MIB, 2 * MIB - 1}, {16 * MIB, HOLE_FIRST + 5}};
	struct iova_space *space = *state;

	assert_int_equal(iova_keep(space, narrow, 2), 0);
	assert_int_equal(space->count, 2);
	assert_int_equal(space->free[0].first, MIB);
	assert_int_equal(space->free[0].last, 2 * MIB - 1);
	assert_int_equal(space->free[1].first, 16 * MIB);
	assert_int_equal(space->free[1].last, HOLE_FIRST - 1);
}

#define PAGES  256
#define BLOCKS 64

struct block {
	uint64_t addr;
	uint64_t size;
};

static void compare_with_model(const struct iova_space *space, const bool *taken)
{
	size_t range = 0;

	for (uint64_t page = 0; page < PAGES; page++) {
		bool is_free;

		while (range < space->count && space->free[range].last < page)
			range++;
		is_free = range < space->count && space->free[range].first <= page;
		assert_int_equal(is_free, !taken[page]);
	}
}

static void agrees_with_a_plain_array_in_a_random_walk(void **state)
{
	const struct iova_range all = {0, PAGES - 1};
	struct block blocks[BLOCKS] = {{0}};
	bool taken[PAGES] = {false};
	struct iova_space space;

	srand(1);
	assert_int_equal(iova_open(&space, &all, 1), 0);
	for (size_t step = 0; step < 20000; step++) {
		struct block *block = &blocks[rand() % BLOCKS];
		struct iova_request request = {.size = (uint64_t)rand() % 20 + 1,
					       .align = UINT64_C(1) << rand() % 4,
					       .first = (uint64_t)rand() % PAGES,
					       .last = (uint64_t)rand() % PAGES};
		int error = -ENOSPC;

		if (block->size) {
			iova_give(&space, block->addr, block->size);
			for (uint64_t i = 0; i < block->size; i++)
				taken[block->addr + i] = false;
			block->size = 0;
		} else if (rand() % 2) {
			error = iova_take_low(&space, &request, &block->addr);
		} else {
			error = iova_take_high(&space, &request, &block->addr);
		}
		if (!error) {
			block->size = request.size;
			assert_int_equal(block->addr % request.align, 0);
			assert_in_range(block->addr, request.first, request.last);
			for (uint64_t i = 0; i < block->size; i++) {
				assert_false(taken[block->addr + i]);
				taken[block->addr + i] = true;
			}
		}
		compare_with_model(&space, taken);
	}
	iova_close(&space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(low_takes_the_lowest_aligned, open_intel,
						close_space),
		cmocka_unit_test_setup_teardown(high_takes_the_highest_aligned, open_intel,
						close_space),
		cmocka_unit_test_setup_teardown(a_block_never_overlaps_a_hole, open_intel,
						close_space),
		cmocka_unit_test(a_block_may_end_at_the_last_address_of_all),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, open_intel,
						close_space),
		cmocka_unit_test_setup_teardown(blocks_given_back_merge_again, open_intel,
						close_space),
		cmocka_unit_test_setup_teardown(a_narrower_iommu_leaves_what_both_allow, open_intel,
						close_space),
		cmocka_unit_test(agrees_with_a_plain_array_in_a_random_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
