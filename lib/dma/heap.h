/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The allocator of DMA memory. It hands out ranges of device addresses and never touches what lies
 * there, nor does it know where the memory comes from. Allocating and freeing take constant time,
 * free neighbours are merged at once, and all bookkeeping is in memory of its own, which no
 * device can write to.
 *
 * The caller locks, except for heap_contains(), which may be called at any time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/dma.h>

/* Sizes and alignments are multiples of it, bytes: a cache line. */
#define HEAP_GRANULE 64

/* Memory is added and removed in multiples of it, bytes. */
#define HEAP_PAGE 4096

/* Device addresses are below it. */
#define HEAP_END (UINT64_C(1) << 48)

struct heap;

/* The requirements for a block, or for the memory that is added for it. */
struct dma_chunk_request {
	size_t size;        /* bytes that must be contiguous */
	size_t align;       /* of the device address */
	size_t boundary;    /* as in usrpci_dma_request: not crossed by the block that is wanted */
	usrpci_dma_t limit; /* highest device address, inclusive; UINT64_MAX: none */
	int node;           /* -1: any */
};

struct heap_stats {
	uint64_t held;
	uint64_t used;
	uint64_t blocks;
	uint64_t largest_free;
};

int heap_create(struct heap **heap);
void heap_destroy(struct heap *heap);

/*
 * Adds a range, which merges with its neighbours of the same node. A node of -1 stands for itself.
 * Errors: -EINVAL (not whole pages, or above HEAP_END), -EEXIST (overlaps a range), -ENOMEM.
 */
int heap_add(struct heap *heap, uint64_t addr, uint64_t size, int node);

/*
 * Takes a range out again, which need not be one that was added. Errors: -EBUSY (a block lies in
 * it, or not all of it is the heap's), -ENOMEM.
 */
int heap_remove(struct heap *heap, uint64_t addr, uint64_t size);

/*
 * Allocates. size, align and boundary are as dma.c leaves them: size a multiple of the granule,
 * align a power of two of at least a granule, boundary 0 or a power of two not below size. Returns
 * 0, which is no block's address, when no free range satisfies the request.
 */
uint64_t heap_alloc(struct heap *heap, const struct dma_chunk_request *request);

/* Errors: -EINVAL (no live block starts there); nothing changed then. */
int heap_free(struct heap *heap, uint64_t addr);

/* Bytes of the live block that starts at addr, 0 when none does. */
uint64_t heap_block_size(const struct heap *heap, uint64_t addr);

/* Returns whether the whole range belongs to the heap. Takes no lock. */
bool heap_contains(const struct heap *heap, uint64_t addr, uint64_t size);

void heap_stats(const struct heap *heap, struct heap_stats *stats);
