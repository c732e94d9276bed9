// SPDX-License-Identifier: BSD-2-Clause
/*
 * The heap: any sequence of additions, removals, requests and frees, also of what was never
 * handed out. Blocks lie where the request allows, apart from each other; the sums are right, and
 * at the end everything can be removed again.
 */

#include <errno.h>
#include <stdbool.h>

#include "fuzz.h"
#include "dma/heap.h"

#define PIECE          (UINT64_C(64) << 10)
#define PIECES         16
#define BASE           ((UINT64_C(1) << 32) - 8 * PIECE) /* across 4 GiB */
#define BLOCKS         64
#define NODE_OF(piece) ((piece) >= 12 ? 1 : 0)

struct state {
	struct heap *heap;
	bool present[PIECES];
	struct {
		uint64_t addr, size;
	} blocks[BLOCKS];
	uint64_t held, used, count; /* what the heap should say */
};

static struct dma_chunk_request take_request(struct input *input)
{
	struct dma_chunk_request request = {
		.size = (1 + take(input, 2)) * HEAP_GRANULE,
		.align = UINT64_C(1) << (6 + take(input, 1) % 58),
		.limit = UINT64_MAX,
		.node = (int)(take(input, 1) % 4) - 1,
	};

	if (take(input, 1) % 2)
		request.boundary = UINT64_C(1) << (take(input, 1) % 64);
	if (request.boundary < request.size)
		request.boundary = 0;
	if (take(input, 1) % 2)
		request.limit = BASE + take(input, 4) % (PIECES * PIECE);
	return request;
}

UNCOVERED static bool overlaps(const struct state *state, uint64_t addr, uint64_t size)
{
	for (unsigned int i = 0; i < BLOCKS; i++)
		if (addr < state->blocks[i].addr + state->blocks[i].size &&
		    state->blocks[i].addr < addr + size)
			return true;
	return false;
}

static void check_block(const struct state *state, uint64_t addr,
			const struct dma_chunk_request *request)
{
	uint64_t last = addr + request->size - 1;

	HOLDS(addr % request->align == 0);
	HOLDS(last <= request->limit);
	HOLDS(!request->boundary || addr / request->boundary == last / request->boundary);
	HOLDS(addr >= BASE && last < BASE + PIECES * PIECE);
	for (uint64_t piece = (addr - BASE) / PIECE; piece <= (last - BASE) / PIECE; piece++) {
		HOLDS(state->present[piece]);
		HOLDS(request->node < 0 || NODE_OF(piece) == request->node);
	}
	HOLDS(heap_contains(state->heap, addr, request->size));
	HOLDS(!overlaps(state, addr, request->size));
}

static void alloc(struct state *state, struct input *input, unsigned int block)
{
	struct dma_chunk_request request = take_request(input);
	uint64_t addr = heap_alloc(state->heap, &request);

	if (!addr)
		return;
	check_block(state, addr, &request);
	HOLDS(heap_block_size(state->heap, addr) == request.size);
	state->blocks[block].addr = addr;
	state->blocks[block].size = request.size;
	state->used += request.size;
	state->count++;
}

static void release(struct state *state, unsigned int block)
{
	HOLDS(heap_free(state->heap, state->blocks[block].addr) == 0);
	HOLDS(heap_free(state->heap, state->blocks[block].addr) == -EINVAL);
	state->used -= state->blocks[block].size;
	state->count--;
	state->blocks[block].size = 0;
	state->blocks[block].addr = 0;
}

static void free_anything(struct state *state, uint64_t addr)
{
	for (unsigned int i = 0; i < BLOCKS; i++)
		if (state->blocks[i].size && state->blocks[i].addr == addr)
			return;
	HOLDS(heap_free(state->heap, addr) == -EINVAL);
	HOLDS(heap_block_size(state->heap, addr) == 0);
}

static void toggle(struct state *state, unsigned int piece)
{
	uint64_t addr = BASE + piece * PIECE;

	if (!state->present[piece]) {
		HOLDS(heap_add(state->heap, addr, PIECE, NODE_OF(piece)) == 0);
		HOLDS(heap_add(state->heap, addr, PIECE, NODE_OF(piece)) == -EEXIST);
		state->present[piece] = true;
		state->held += PIECE;
		return;
	}
	HOLDS(heap_remove(state->heap, addr, PIECE) == (overlaps(state, addr, PIECE) ? -EBUSY : 0));
	state->present[piece] = overlaps(state, addr, PIECE);
	state->held -= state->present[piece] ? 0 : PIECE;
	HOLDS(heap_contains(state->heap, addr, 1) == state->present[piece]);
}

static void check_sums(const struct state *state)
{
	struct heap_stats stats;

	heap_stats(state->heap, &stats);
	HOLDS(stats.held == state->held && stats.used == state->used);
	HOLDS(stats.blocks == state->count);
	HOLDS(stats.largest_free <= state->held - state->used);
	HOLDS((stats.largest_free > 0) == (state->held > state->used));
}

static void step(struct state *state, struct input *input)
{
	unsigned int what = take(input, 1), block = what % BLOCKS;

	if (what >= 240)
		toggle(state, what % PIECES);
	else if (what >= 224)
		free_anything(state, BASE + take(input, 3) * 16);
	else if (state->blocks[block].size)
		release(state, block);
	else
		alloc(state, input, block);
	check_sums(state);
}

static void empty(struct state *state)
{
	for (unsigned int i = 0; i < BLOCKS; i++)
		if (state->blocks[i].size)
			release(state, i);
	for (unsigned int i = 0; i < PIECES; i++)
		if (state->present[i])
			toggle(state, i);
	check_sums(state);
}

/* One heap serves many inputs, which leave it empty: making one costs more than most of them. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct heap *heap;
	static unsigned int uses;
	struct input input = {bytes, size};
	struct state state = {0};

	if (uses++ % 1000 == 0) {
		heap_destroy(heap);
		HOLDS(heap_create(&heap) == 0);
	}
	state.heap = heap;
	while (input.size > 0)
		step(&state, &input);
	empty(&state);
	return 0;
}
