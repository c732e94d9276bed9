// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory that is not the rump kernel's is copied for a device, when the driver says so and only
 * that part of it. The heap is played: it is one array, and counts its blocks.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "component.h"
#include "hypercall.h"
#include "layout.h"

#define SIZE 5000 /* more than a page */

enum { PREREAD = 0x01, POSTREAD = 0x02, PREWRITE = 0x04, POSTWRITE = 0x08 };

static uint8_t heap[4][2 * SIZE];
static bool taken[4];
static int heap_error;
static int maps[4];

struct rump_bus *rump_bus(void)
{
	static struct rump_bus bus;

	return &bus;
}

bool usrpci_dma_contains(struct usrpci_ctx *ctx, const void *va, size_t size)
{
	const uint8_t *first = heap[0], *byte = va;

	(void)ctx;
	return byte >= first && byte + size <= first + sizeof(heap);
}

int rump_heap_alloc(struct rump_bus *bus, size_t size, size_t align, void **block)
{
	unsigned int i = 0;

	(void)bus;
	(void)align;
	assert_true(size <= sizeof(heap[0]));
	while (taken[i])
		assert_true(++i < 4);
	if (heap_error)
		return heap_error;
	taken[i] = true;
	*block = memset(heap[i], 0xee, sizeof(heap[i]));
	return 0;
}

void usrpci_dma_free(struct usrpci_ctx *ctx, void *va)
{
	(void)ctx;
	for (unsigned int i = 0; i < 4; i++) {
		if (heap[i] == va) {
			assert_true(taken[i]);
			taken[i] = false;
			return;
		}
	}
	fail();
}

int rumpuser_component_errtrans(int host_errno)
{
	return host_errno;
}

static struct bus_dmamap *map(unsigned int i)
{
	return (struct bus_dmamap *)&maps[i];
}

static unsigned int blocks(void)
{
	return taken[0] + taken[1] + taken[2] + taken[3];
}

/* Loads a buffer, and returns where the device finds it. */
static uint8_t *load(unsigned int i, uint8_t *buffer)
{
	assert_int_equal(rumpns_bus_dmamap_load(NULL, map(i), buffer, SIZE, NULL, 0), 0);
	assert_int_equal(component()->size, SIZE);
	return component()->buffer;
}

static void sync(unsigned int i, unsigned long offset, unsigned long size, int what)
{
	rumpns_bus_dmamap_sync(NULL, map(i), offset, size, what);
}

static void unload(unsigned int i)
{
	rumpns_bus_dmamap_unload(NULL, map(i));
}

static void memory_of_the_kernel_is_not_copied(void **state)
{
	(void)state;
	taken[3] = true;
	assert_ptr_equal(load(0, heap[3]), heap[3]);
	assert_int_equal(blocks(), 1);
	heap[3][7] = 1;
	sync(0, 0, SIZE, PREWRITE | PREREAD);
	sync(0, 0, SIZE, POSTWRITE | POSTREAD);
	assert_int_equal(heap[3][7], 1);
	unload(0);
	taken[3] = false;
}

static void what_a_device_reads_is_copied_before(void **state)
{
	uint8_t buffer[SIZE], *seen = load(0, buffer);

	(void)state;
	assert_ptr_not_equal(seen, buffer);
	assert_true(usrpci_dma_contains(NULL, seen, SIZE));
	memset(buffer, 0x11, sizeof(buffer));
	sync(0, 0, SIZE, PREWRITE);
	assert_memory_equal(seen, buffer, SIZE);
	memset(seen, 0x22, SIZE);
	sync(0, 0, SIZE, POSTWRITE);
	assert_int_equal(buffer[0], 0x11);
	assert_int_equal(blocks(), 0);
	unload(0);
}

static void what_a_device_writes_is_copied_afterwards(void **state)
{
	uint8_t buffer[SIZE] = {0}, *seen = load(0, buffer);

	(void)state;
	sync(0, 0, SIZE, PREREAD);
	assert_int_equal(seen[0], 0xee);
	memset(seen, 0x33, SIZE);
	assert_int_equal(buffer[0], 0);
	sync(0, 0, SIZE, POSTREAD);
	assert_int_equal(buffer[0], 0x33);
	assert_int_equal(buffer[SIZE - 1], 0x33);
	assert_int_equal(blocks(), 0);
	unload(0);
}

/* Parts are synchronized one by one, and the block stays until the map is unloaded. */
static void only_the_part_that_is_named_is_copied(void **state)
{
	uint8_t buffer[SIZE] = {0}, *seen = load(0, buffer);

	(void)state;
	memset(seen, 0x44, SIZE);
	sync(0, 100, 8, POSTREAD);
	assert_int_equal(buffer[99], 0);
	assert_int_equal(buffer[100], 0x44);
	assert_int_equal(buffer[107], 0x44);
	assert_int_equal(buffer[108], 0);
	sync(0, SIZE - 1, 2, POSTREAD);
	sync(0, SIZE + 1, 1, POSTREAD);
	sync(0, 8, ~0ul, POSTREAD);
	assert_int_equal(buffer[SIZE - 1], 0);
	assert_int_equal(blocks(), 1);
	unload(0);
	assert_int_equal(blocks(), 0);
}

static void maps_have_blocks_of_their_own(void **state)
{
	uint8_t one[SIZE] = {1}, two[SIZE] = {2}, *first = load(0, one), *second = load(1, two);

	(void)state;
	assert_ptr_not_equal(first, second);
	sync(1, 0, SIZE, PREWRITE);
	sync(0, 0, SIZE, PREWRITE);
	assert_int_equal(first[0], 1);
	assert_int_equal(second[0], 2);
	unload(0);
	assert_int_equal(blocks(), 1);
	second[0] = 9;
	sync(1, 0, SIZE, POSTREAD);
	assert_int_equal(two[0], 9);
	assert_int_equal(blocks(), 0);
}

/* Not every driver unloads a map before it loads it again. */
static void a_map_that_is_loaded_again_keeps_no_old_block(void **state)
{
	uint8_t one[SIZE], two[SIZE] = {0}, *seen;

	(void)state;
	load(0, one);
	seen = load(0, two);
	assert_int_equal(blocks(), 1);
	seen[5] = 5;
	sync(0, 0, SIZE, POSTREAD);
	assert_int_equal(two[5], 5);
	assert_int_equal(blocks(), 0);
}

static void a_load_that_fails_leaves_no_block(void **state)
{
	unsigned int loads = component()->loads;
	uint8_t buffer[SIZE];

	(void)state;
	component()->error = EFBIG;
	assert_int_equal(rumpns_bus_dmamap_load(NULL, map(0), buffer, SIZE, NULL, 0), EFBIG);
	component()->error = 0;
	assert_int_equal(blocks(), 0);
	heap_error = -ENOMEM;
	assert_int_equal(rumpns_bus_dmamap_load(NULL, map(0), buffer, SIZE, NULL, 0), ENOMEM);
	heap_error = 0;
	assert_int_equal(component()->loads, loads + 1);
	assert_int_equal(blocks(), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_of_the_kernel_is_not_copied),
		cmocka_unit_test(what_a_device_reads_is_copied_before),
		cmocka_unit_test(what_a_device_writes_is_copied_afterwards),
		cmocka_unit_test(only_the_part_that_is_named_is_copied),
		cmocka_unit_test(maps_have_blocks_of_their_own),
		cmocka_unit_test(a_map_that_is_loaded_again_keeps_no_old_block),
		cmocka_unit_test(a_load_that_fails_leaves_no_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
