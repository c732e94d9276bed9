// SPDX-License-Identifier: BSD-2-Clause
/*
 * The heap, on addresses alone: small examples, and random requests beside a model that knows for
 * each granule whose it is, and that looks at every place there is when the heap says no.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "dma/heap.h"

#define PAGE     (UINT64_C(2) << 20)
#define HIGH     (UINT64_C(1) << 33)
#define LOW      (UINT64_C(1) << 31)
#define FOUR_GIB (UINT64_C(1) << 32)

static struct heap *heap_with(uint64_t addr, uint64_t size)
{
	struct heap *heap;

	assert_int_equal(heap_create(&heap), 0);
	assert_int_equal(heap_add(heap, addr, size, 0), 0);
	return heap;
}

static struct dma_chunk_request plain(uint64_t size)
{
	return (struct dma_chunk_request){
		.size = size, .align = HEAP_GRANULE, .limit = UINT64_MAX, .node = -1};
}

static struct dma_chunk_request aligned(uint64_t size, uint64_t align)
{
	struct dma_chunk_request request = plain(size);

	request.align = align;
	return request;
}

static uint64_t alloc(struct heap *heap, struct dma_chunk_request request)
{
	return heap_alloc(heap, &request);
}

static struct heap_stats stats_of(const struct heap *heap)
{
	struct heap_stats stats;

	heap_stats(heap, &stats);
	return stats;
}

static void aligned_blocks_cost_what_they_measure(void **state)
{
	struct heap *heap = heap_with(HIGH, PAGE);

	for (unsigned int i = 0; i < PAGE / 4096; i++)
		assert_int_equal(alloc(heap, aligned(4096, 4096)) % 4096, 0);
	assert_int_equal(stats_of(heap).used, PAGE);
	assert_int_equal(alloc(heap, plain(64)), 0);
	heap_destroy(heap);
}

static void a_hole_is_filled_when_nothing_else_is_free(void **state)
{
	struct heap *heap = heap_with(HIGH, PAGE);
	uint64_t blocks[PAGE / 4096];

	for (unsigned int i = 0; i < PAGE / 4096; i++)
		blocks[i] = alloc(heap, aligned(4096, 4096));
	assert_int_equal(heap_free(heap, blocks[77]), 0);
	assert_int_equal(alloc(heap, aligned(4096, 4096)), blocks[77]);
	heap_destroy(heap);
}

static void unaligned_holes_are_passed_over(void **state)
{
	struct heap *heap = heap_with(HIGH, PAGE);
	uint64_t first = alloc(heap, plain(64)), hole = alloc(heap, plain(4096));

	alloc(heap, plain(64));
	assert_int_equal(heap_free(heap, hole), 0);
	assert_int_equal(first + 64, hole);
	assert_int_equal(alloc(heap, aligned(4096, 4096)) % 4096, 0);
	assert_int_equal(alloc(heap, plain(4096)), hole);
	heap_destroy(heap);
}

static void no_block_crosses_its_boundary(void **state)
{
	struct heap *heap = heap_with(HIGH, PAGE);
	struct dma_chunk_request request = plain(3 * 1024);
	uint64_t addr;
	unsigned int count = 0;

	request.boundary = 4096;
	while ((addr = alloc(heap, request))) {
		assert_int_equal(addr / 4096, (addr + request.size - 1) / 4096);
		count++;
	}
	assert_int_equal(count, PAGE / 4096);
	heap_destroy(heap);
}

static void neighbouring_pages_are_one_range(void **state)
{
	struct heap *heap = heap_with(HIGH, PAGE);
	uint64_t addr;

	assert_int_equal(alloc(heap, plain(PAGE + 64)), 0);
	assert_int_equal(heap_add(heap, HIGH + 2 * PAGE, PAGE, 0), 0);
	assert_int_equal(alloc(heap, plain(PAGE + 64)), 0);
	assert_int_equal(heap_add(heap, HIGH + PAGE, PAGE, 0), 0);
	addr = alloc(heap, plain(3 * PAGE));
	assert_int_equal(addr, HIGH);
	assert_int_equal(heap_free(heap, addr), 0);
	assert_int_equal(stats_of(heap).largest_free, 3 * PAGE);
	heap_destroy(heap);
}

static void overlapping_and_odd_ranges_are_refused(void **state)
{
	struct heap *heap = heap_with(HIGH, PAGE);

	assert_int_equal(heap_add(heap, HIGH, PAGE, 0), -EEXIST);
	assert_int_equal(heap_add(heap, HIGH - PAGE, PAGE + 4096, 0), -EEXIST);
	assert_int_equal(heap_add(heap, HIGH - 64, 64, 0), -EINVAL);
	assert_int_equal(heap_add(heap, 0, PAGE, 0), -EINVAL);
	assert_int_equal(heap_add(heap, HEAP_END, PAGE, 0), -EINVAL);
	assert_int_equal(heap_add(heap, HEAP_END - PAGE, 2 * PAGE, 0), -EINVAL);
	assert_int_equal(stats_of(heap).held, PAGE);
	heap_destroy(heap);
}

static void freeing_what_is_no_block_changes_nothing(void **state)
{
	struct heap *heap = heap_with(HIGH, PAGE);
	uint64_t addr = alloc(heap, plain(4096));

	assert_int_equal(heap_free(heap, addr + 64), -EINVAL);
	assert_int_equal(heap_free(heap, addr + 1), -EINVAL);
	assert_int_equal(heap_free(heap, addr + 4096), -EINVAL);
	assert_int_equal(heap_free(heap, HIGH + PAGE), -EINVAL);
	assert_int_equal(heap_free(heap, LOW), -EINVAL);
	assert_int_equal(heap_free(heap, 0), -EINVAL);
	assert_int_equal(heap_free(heap, UINT64_MAX - 63), -EINVAL);
	assert_int_equal(heap_block_size(heap, addr), 4096);
	assert_int_equal(heap_free(heap, addr), 0);
	assert_int_equal(heap_free(heap, addr), -EINVAL);
	assert_int_equal(heap_block_size(heap, addr), 0);
	assert_int_equal(stats_of(heap).largest_free, PAGE);
	heap_destroy(heap);
}

static void low_memory_is_kept_for_who_needs_it(void **state)
{
	struct heap *heap = heap_with(LOW, PAGE);
	struct dma_chunk_request low = plain(4096);

	low.limit = FOUR_GIB - 1;
	assert_int_equal(heap_add(heap, HIGH, PAGE, 0), 0);
	for (unsigned int i = 0; i < PAGE / 4096; i++)
		assert_true(alloc(heap, plain(4096)) >= HIGH);
	assert_true(alloc(heap, low) < FOUR_GIB);
	assert_true(alloc(heap, plain(4096)) < FOUR_GIB);
	low.limit = LOW - 1;
	assert_int_equal(alloc(heap, low), 0);
	heap_destroy(heap);
}

static void a_limit_counts_the_last_byte(void **state)
{
	struct heap *heap = heap_with(LOW, PAGE);
	struct dma_chunk_request request = plain(8192);

	request.limit = LOW + 8190;
	assert_int_equal(alloc(heap, request), 0);
	request.limit = LOW + 8191;
	assert_int_equal(alloc(heap, request), LOW);
	heap_destroy(heap);
}

static void nodes_are_kept_apart(void **state)
{
	struct heap *heap = heap_with(HIGH, PAGE);
	struct dma_chunk_request request = plain(PAGE);

	assert_int_equal(heap_add(heap, HIGH + PAGE, PAGE, 1), 0);
	assert_int_equal(alloc(heap, plain(2 * PAGE)), 0);
	request.node = 1;
	assert_int_equal(alloc(heap, request), HIGH + PAGE);
	assert_int_equal(alloc(heap, request), 0);
	request.node = 0;
	assert_int_equal(alloc(heap, request), HIGH);
	heap_destroy(heap);
}

static void a_range_with_a_block_in_it_stays(void **state)
{
	struct heap *heap = heap_with(HIGH, 4 * PAGE);
	uint64_t addr = alloc(heap, aligned(PAGE, PAGE));

	assert_int_equal(addr, HIGH);
	assert_int_equal(heap_remove(heap, HIGH, PAGE), -EBUSY);
	assert_int_equal(heap_remove(heap, HIGH + 2 * PAGE, PAGE), 0);
	assert_false(heap_contains(heap, HIGH + 2 * PAGE, 1));
	assert_true(heap_contains(heap, HIGH, 2 * PAGE));
	assert_false(heap_contains(heap, HIGH, 2 * PAGE + 1));
	assert_int_equal(alloc(heap, plain(PAGE + 64)), 0);
	assert_int_equal(heap_free(heap, addr), 0);
	assert_int_equal(stats_of(heap).largest_free, 2 * PAGE);
	assert_int_equal(heap_remove(heap, HIGH, PAGE), 0);
	assert_int_equal(heap_remove(heap, HIGH, PAGE), -EBUSY);
	assert_int_equal(heap_add(heap, HIGH + 2 * PAGE, PAGE, 0), 0);
	assert_int_equal(stats_of(heap).largest_free, 3 * PAGE);
	heap_destroy(heap);
}

static void a_range_across_4_gib_is_added_and_removed_as_one(void **state)
{
	struct heap *heap = heap_with(FOUR_GIB - PAGE, 2 * PAGE);
	struct dma_chunk_request low = plain(64);
	uint64_t addr;

	assert_int_equal(alloc(heap, plain(PAGE + 64)), 0);
	low.limit = UINT32_MAX;
	addr = alloc(heap, low);
	assert_true(addr < FOUR_GIB);
	assert_int_equal(heap_remove(heap, FOUR_GIB - PAGE, 2 * PAGE), -EBUSY);
	assert_int_equal(stats_of(heap).held, 2 * PAGE);
	assert_true(heap_contains(heap, FOUR_GIB - PAGE, 2 * PAGE));
	heap_free(heap, addr);
	assert_int_equal(heap_remove(heap, FOUR_GIB - PAGE, 2 * PAGE), 0);
	assert_int_equal(stats_of(heap).held, 0);
	heap_destroy(heap);
}

static void huge_alignments_and_sizes_are_refused(void **state)
{
	struct heap *heap = heap_with(HIGH, PAGE);
	struct dma_chunk_request request = aligned(64, UINT64_C(1) << 63);

	assert_int_equal(alloc(heap, request), 0);
	assert_int_equal(alloc(heap, aligned(64, HIGH)), HIGH);
	assert_int_equal(alloc(heap, plain(HEAP_END)), 0);
	assert_int_equal(alloc(heap, plain(HEAP_END + 64)), 0);
	assert_int_equal(alloc(heap, plain(UINT64_MAX & -64)), 0);
	request.boundary = UINT64_C(1) << 63;
	assert_int_equal(alloc(heap, request), 0);
	heap_destroy(heap);
}

/*
 * The model.
 */

#define PIECE          (UINT64_C(64) << 10)
#define PIECES         16
#define PIECE_GRANULES (PIECE / HEAP_GRANULE)
#define MOST_BLOCKS    512

struct piece {
	uint64_t addr;
	int node;
	bool present;
	uint16_t owner[PIECE_GRANULES]; /* block + 1, or 0 */
};

struct model {
	struct heap *heap;
	struct piece pieces[PIECES];
	struct {
		uint64_t addr, size;
	} blocks[MOST_BLOCKS];
	unsigned int seed;
	unsigned int refusals;
};

static unsigned int draw(struct model *model, unsigned int below)
{
	model->seed ^= model->seed << 13;
	model->seed ^= model->seed >> 17;
	model->seed ^= model->seed << 5;
	return model->seed % below;
}

/* Ranges around 4 GiB, which is also where the heap's tables meet, on two nodes; and far away. */
static void model_create(struct model *model, unsigned int seed)
{
	memset(model, 0, sizeof(*model));
	model->seed = seed;
	assert_int_equal(heap_create(&model->heap), 0);
	for (unsigned int i = 0; i < PIECES; i++) {
		model->pieces[i].addr = i < 12 ? FOUR_GIB + i * PIECE - 5 * PIECE
					       : HIGH * 1024 + i * PIECE;
		model->pieces[i].node = i == 8 || i == 9;
	}
}

static struct piece *piece_at(struct model *model, uint64_t addr)
{
	for (unsigned int i = 0; i < PIECES; i++)
		if (addr - model->pieces[i].addr < PIECE && model->pieces[i].present)
			return &model->pieces[i];
	return NULL;
}

static uint16_t *owner_at(struct model *model, uint64_t addr)
{
	struct piece *piece = piece_at(model, addr);

	return piece ? &piece->owner[(addr - piece->addr) / HEAP_GRANULE] : NULL;
}

static bool place_is_good(struct model *model, uint64_t addr,
			  const struct dma_chunk_request *request)
{
	const struct piece *first = piece_at(model, addr);
	uint64_t last = addr + request->size - 1;

	if (!first || addr % request->align || last > request->limit ||
	    (request->node >= 0 && first->node != request->node) ||
	    (request->boundary && addr / request->boundary != last / request->boundary) ||
	    (addr < FOUR_GIB) != (last < FOUR_GIB))
		return false;
	for (uint64_t at = addr; at <= last; at += HEAP_GRANULE) {
		const struct piece *piece = piece_at(model, at);

		if (!piece || piece->node != first->node || *owner_at(model, at))
			return false;
	}
	return true;
}

static bool some_place_is_good(struct model *model, const struct dma_chunk_request *request)
{
	for (unsigned int i = 0; i < PIECES; i++)
		for (unsigned int j = 0; j < PIECE_GRANULES; j++)
			if (place_is_good(model, model->pieces[i].addr + j * HEAP_GRANULE, request))
				return true;
	return false;
}

static void set_owner(struct model *model, unsigned int block, uint16_t owner)
{
	uint64_t addr = model->blocks[block].addr;

	for (uint64_t at = addr; at < addr + model->blocks[block].size; at += HEAP_GRANULE)
		*owner_at(model, at) = owner;
}

static struct dma_chunk_request draw_request(struct model *model)
{
	struct dma_chunk_request request = plain(64 * (1 + draw(model, 1U << draw(model, 12))));

	if (draw(model, 2))
		request.align = UINT64_C(64) << draw(model, 11);
	if (!draw(model, 3)) {
		request.boundary = UINT64_C(64) << draw(model, 14);
		while (request.boundary < request.size)
			request.boundary *= 2;
	}
	if (!draw(model, 4))
		request.limit = FOUR_GIB - 4 * PIECE + draw(model, 8 * PIECE);
	if (!draw(model, 4))
		request.node = (int)draw(model, 3);
	return request;
}

static void model_alloc(struct model *model, unsigned int block)
{
	struct dma_chunk_request request = draw_request(model);
	uint64_t addr = alloc(model->heap, request);

	if (!addr) {
		/* Looking everywhere takes long, so not each time. */
		if (model->refusals++ % 16 == 0)
			assert_false(some_place_is_good(model, &request));
		return;
	}
	assert_true(place_is_good(model, addr, &request));
	assert_int_equal(heap_block_size(model->heap, addr), request.size);
	model->blocks[block].addr = addr;
	model->blocks[block].size = request.size;
	set_owner(model, block, (uint16_t)(block + 1));
}

static void model_free(struct model *model, unsigned int block)
{
	uint64_t addr = model->blocks[block].addr;

	if (model->blocks[block].size > HEAP_GRANULE)
		assert_int_equal(heap_free(model->heap, addr + HEAP_GRANULE), -EINVAL);
	assert_int_equal(heap_free(model->heap, addr), 0);
	set_owner(model, block, 0);
	model->blocks[block].size = 0;
}

static void model_toggle(struct model *model, struct piece *piece)
{
	bool used = false;

	for (unsigned int i = 0; i < PIECE_GRANULES; i++)
		used = used || piece->owner[i];
	assert_int_equal(heap_contains(model->heap, piece->addr, PIECE), piece->present);
	if (!piece->present)
		assert_int_equal(heap_add(model->heap, piece->addr, PIECE, piece->node), 0);
	else
		assert_int_equal(heap_remove(model->heap, piece->addr, PIECE), used ? -EBUSY : 0);
	piece->present = !piece->present || used;
	assert_int_equal(heap_contains(model->heap, piece->addr, PIECE), piece->present);
}

static void assert_stats(struct model *model)
{
	struct heap_stats stats = stats_of(model->heap), expected = {0};

	for (unsigned int i = 0; i < MOST_BLOCKS; i++) {
		expected.used += model->blocks[i].size;
		expected.blocks += model->blocks[i].size > 0;
	}
	for (unsigned int i = 0; i < PIECES; i++)
		expected.held += model->pieces[i].present ? PIECE : 0;
	assert_int_equal(stats.used, expected.used);
	assert_int_equal(stats.blocks, expected.blocks);
	assert_int_equal(stats.held, expected.held);
}

/* With nothing allocated the largest free block is the largest range. */
static void assert_merged(struct model *model)
{
	uint64_t largest = 0, run = 0;

	for (unsigned int i = 0; i < PIECES; i++) {
		const struct piece *piece = &model->pieces[i];
		bool follows = i > 0 && piece[-1].present && piece[-1].node == piece->node &&
			       piece[-1].addr + PIECE == piece->addr && piece->addr != FOUR_GIB;

		run = !piece->present ? 0 : follows ? run + PIECE : PIECE;
		largest = run > largest ? run : largest;
	}
	assert_int_equal(stats_of(model->heap).largest_free, largest);
}

static void random_requests(unsigned int seed, unsigned int steps)
{
	struct model *model = malloc(sizeof(*model));

	model_create(model, seed);
	for (unsigned int step = 0; step < steps; step++) {
		unsigned int block = draw(model, MOST_BLOCKS);

		if (draw(model, 100) == 0)
			model_toggle(model, &model->pieces[draw(model, PIECES)]);
		else if (model->blocks[block].size)
			model_free(model, block);
		else
			model_alloc(model, block);
		if (step % 1000 == 0)
			assert_stats(model);
	}
	assert_true(model->refusals > 0);
	for (unsigned int block = 0; block < MOST_BLOCKS; block++)
		if (model->blocks[block].size)
			model_free(model, block);
	assert_stats(model);
	assert_merged(model);
	for (unsigned int i = 0; i < PIECES; i++)
		if (model->pieces[i].present)
			model_toggle(model, &model->pieces[i]);
	assert_int_equal(stats_of(model->heap).held, 0);
	assert_int_equal(stats_of(model->heap).largest_free, 0);
	heap_destroy(model->heap);
	free(model);
}

static void random_requests_are_met_exactly_when_they_can_be(void **state)
{
	for (unsigned int seed = 1; seed <= 8; seed++)
		random_requests(seed * 2654435761U, 10000);
}

/*
 * Readers.
 */

struct readers {
	struct heap *heap;
	atomic_bool stop;
	atomic_uint wrong;
};

static void *read_always(void *data)
{
	struct readers *readers = data;

	while (!atomic_load(&readers->stop)) {
		if (!heap_contains(readers->heap, HIGH, PAGE))
			atomic_fetch_add(&readers->wrong, 1);
		if (heap_contains(readers->heap, HIGH - 4096, 8192))
			atomic_fetch_add(&readers->wrong, 1);
		heap_contains(readers->heap, HIGH + PAGE, 1);
	}
	return NULL;
}

static void readers_need_no_lock_while_pages_come_and_go(void **state)
{
	struct readers readers = {.heap = heap_with(HIGH, PAGE)};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, read_always, &readers), 0);
	for (uint64_t i = 1; i < 600; i++) {
		assert_int_equal(heap_add(readers.heap, HIGH + i * PAGE, PAGE, 0), 0);
		if (i % 3)
			assert_int_equal(heap_remove(readers.heap, HIGH + i * PAGE, PAGE), 0);
	}
	atomic_store(&readers.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&readers.wrong), 0);
	heap_destroy(readers.heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligned_blocks_cost_what_they_measure),
		cmocka_unit_test(a_hole_is_filled_when_nothing_else_is_free),
		cmocka_unit_test(unaligned_holes_are_passed_over),
		cmocka_unit_test(no_block_crosses_its_boundary),
		cmocka_unit_test(neighbouring_pages_are_one_range),
		cmocka_unit_test(overlapping_and_odd_ranges_are_refused),
		cmocka_unit_test(freeing_what_is_no_block_changes_nothing),
		cmocka_unit_test(low_memory_is_kept_for_who_needs_it),
		cmocka_unit_test(a_limit_counts_the_last_byte),
		cmocka_unit_test(nodes_are_kept_apart),
		cmocka_unit_test(a_range_with_a_block_in_it_stays),
		cmocka_unit_test(a_range_across_4_gib_is_added_and_removed_as_one),
		cmocka_unit_test(huge_alignments_and_sizes_are_refused),
		cmocka_unit_test(random_requests_are_met_exactly_when_they_can_be),
		cmocka_unit_test(readers_need_no_lock_while_pages_come_and_go),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
