// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two-level segregated fit (M. Masmano et al., "TLSF: a new dynamic memory allocator for real-time
 * systems", ECRTS 2004), with the block headers taken out of the memory that they describe.
 *
 * Blocks, free or used, form a list in the order of their addresses for each run, a range without
 * holes; free ones are in a bin for their size as well. Bins are kept for each zone: a NUMA node's
 * memory below 4 GiB, and its memory above. Unlimited requests look above first, so that low
 * memory is there for the devices that reach nothing else; a run does not cross from one zone to
 * another. Addresses of used blocks lead to their headers through a table, see heap_table.h.
 */

#include <errno.h>
#include <stdlib.h>

#include "dma/heap.h"
#include "dma/heap_table.h"
#include "numbers.h"

#define GRANULE_SHIFT 6
#define SECOND_SHIFT  4
#define SECOND        (1 << SECOND_SHIFT) /* bins to each power of two */
#define BINS          704                 /* a multiple of 64 above those that HEAP_END needs */
#define LOW_END       (UINT64_C(1) << 32)
#define CANDIDATES    4 /* blocks tried in a bin before a larger one is split */
#define NO_BIN        UINT16_MAX

#define SLAB_BLOCKS 1023

struct block {
	uint64_t addr;
	uint64_t size;
	struct block *prev, *next;           /* neighbours; a run's first and last have its ends */
	struct block *list_prev, *list_next; /* others in the bin; list_next: unused headers */
	struct zone *zone;
	uint16_t bin;
	bool used;
};

_Static_assert(sizeof(struct block) == 64, "a header is a cache line");

struct zone {
	struct zone *next; /* in the order in which unlimited requests look: high ones first */
	int node;
	bool low;
	uint64_t filled[BINS / 64]; /* a bit for each bin that is not empty */
	uint64_t words;             /* a bit for each word of filled that is not 0 */
	struct block *bins[BINS];
	struct block *victim; /* a large free block, in no bin, cut up when no bin fits; or NULL */
};

struct run {
	struct run *next;
	uint64_t addr, end;
	struct zone *zone;
	struct block head, tail; /* always used, so nothing merges with them */
};

struct slab {
	struct slab *next;
	char pad[sizeof(struct block) - sizeof(struct slab *)];
	struct block blocks[SLAB_BLOCKS];
};

struct heap {
	struct zone *zones;
	struct block *unused;
	struct heap_table table;
	uint64_t held, used, blocks;
	struct run *runs;
	struct slab *slabs;
};

/*
 * Bins. Sizes below SECOND granules have a bin each; above, each power of two has SECOND of them.
 */

/* Returns the bin for blocks of this size. */
static inline unsigned int bin_of(uint64_t size)
{
	uint64_t granules = size >> GRANULE_SHIFT;
	unsigned int top;

	if (granules < SECOND)
		return (unsigned int)granules;
	top = 63 - (unsigned int)__builtin_clzll(granules) - SECOND_SHIFT;
	return (top << SECOND_SHIFT) + (unsigned int)(granules >> top);
}

/* The first bin with nothing in it that is smaller than size. */
static inline unsigned int bin_above(uint64_t size)
{
	return bin_of(size - HEAP_GRANULE) + 1;
}

/* The first bin from bin upwards that is not empty, or BINS. */
static inline unsigned int bin_next(const struct zone *zone, unsigned int bin)
{
	unsigned int word = bin / 64;
	uint64_t filled = zone->filled[word] & (~UINT64_C(0) << (bin % 64));
	uint64_t words;

	if (!filled) {
		words = zone->words & (~UINT64_C(1) << word);
		if (!words)
			return BINS;
		word = (unsigned int)__builtin_ctzll(words);
		filled = zone->filled[word];
	}
	return word * 64 + (unsigned int)__builtin_ctzll(filled);
}

static inline void bin_insert(struct block *block)
{
	struct zone *zone = block->zone;
	unsigned int bin = bin_of(block->size);
	struct block *head = zone->bins[bin];

	block->bin = (uint16_t)bin;
	block->used = false;
	block->list_prev = NULL;
	block->list_next = head;
	zone->bins[bin] = block;
	if (head) {
		head->list_prev = block;
		return;
	}
	zone->filled[bin / 64] |= UINT64_C(1) << (bin % 64);
	zone->words |= UINT64_C(1) << (bin / 64);
}

static inline void bin_remove(struct block *block)
{
	struct block *prev = block->list_prev, *next = block->list_next;
	struct zone *zone = block->zone;
	unsigned int bin = block->bin;

	if (bin == NO_BIN) {
		zone->victim = NULL;
		return;
	}
	if (next)
		next->list_prev = prev;
	if (prev) {
		prev->list_next = next;
		return;
	}
	zone->bins[bin] = next;
	if (next)
		return;
	zone->filled[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
	if (!zone->filled[bin / 64])
		zone->words &= ~(UINT64_C(1) << (bin / 64));
}

/* A free block's range has changed. */
static inline void bin_update(struct block *block)
{
	if (block->bin == NO_BIN || bin_of(block->size) == block->bin)
		return;
	bin_remove(block);
	bin_insert(block);
}

/* Makes a free block of a bin the victim, if it is larger than the current one. */
static inline void choose_victim(struct block *block)
{
	struct zone *zone = block->zone;
	struct block *old = zone->victim;

	if (block->bin == NO_BIN || (old && old->size >= block->size))
		return;
	bin_remove(block);
	if (old)
		bin_insert(old);
	block->bin = NO_BIN;
	zone->victim = block;
}

/* Headers. */

/* Makes sure that two headers are there, so that nothing fails half-way. */
static inline int headers_ensure(struct heap *heap)
{
	struct slab *slab;

	if (__builtin_expect(heap->unused && heap->unused->list_next, true))
		return 0;
	slab = aligned_alloc(sizeof(struct block), sizeof(*slab));
	if (!slab)
		return -ENOMEM;
	slab->next = heap->slabs;
	heap->slabs = slab;
	for (unsigned int i = SLAB_BLOCKS; i-- > 0;) {
		slab->blocks[i].list_next = heap->unused;
		heap->unused = &slab->blocks[i];
	}
	return 0;
}

static inline void header_drop(struct heap *heap, struct block *block)
{
	block->list_next = heap->unused;
	heap->unused = block;
}

static inline void list_insert(struct block *block, struct block *prev, struct block *next)
{
	block->prev = prev;
	block->next = next;
	prev->next = block;
	next->prev = block;
}

static inline void list_remove(struct block *block)
{
	block->prev->next = block->next;
	block->next->prev = block->prev;
}

static inline struct block *header_take(struct heap *heap, struct zone *zone, uint64_t addr,
					uint64_t size)
{
	struct block *block = heap->unused;

	heap->unused = block->list_next;
	block->zone = zone;
	block->addr = addr;
	block->size = size;
	return block;
}

/* Runs. */

static struct zone *zone_get(struct heap *heap, int node, bool low)
{
	struct zone **link, *zone;

	for (zone = heap->zones; zone; zone = zone->next)
		if (zone->node == node && zone->low == low)
			return zone;
	zone = calloc(1, sizeof(*zone));
	if (!zone)
		return NULL;
	zone->node = node;
	zone->low = low;
	link = &heap->zones;
	while (*link && (*link)->low <= low)
		link = &(*link)->next;
	zone->next = *link;
	*link = zone;
	return zone;
}

static struct run *run_create(struct heap *heap, struct zone *zone, uint64_t addr, uint64_t end)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->zone = zone;
	run->addr = addr;
	run->end = end;
	run->head.used = run->tail.used = true;
	run->head.next = &run->tail;
	run->tail.prev = &run->head;
	run->next = heap->runs;
	heap->runs = run;
	return run;
}

static void run_destroy(struct heap *heap, struct run *run)
{
	struct run **link = &heap->runs;

	while (*link != run)
		link = &(*link)->next;
	*link = run->next;
	free(run);
}

/* Makes one run of two that have become neighbours. */
static void run_join(struct heap *heap, struct run *low, struct run *high)
{
	low->tail.prev->next = high->head.next;
	high->head.next->prev = low->tail.prev;
	high->tail.prev->next = &low->tail;
	low->tail.prev = high->tail.prev;
	low->end = high->end;
	run_destroy(heap, high);
}

/* Merges a used block with its free neighbours and returns the whole, which is free. */
static inline struct block *release(struct heap *heap, struct block *block, uint64_t addr)
{
	struct block *prev = block->prev, *next = block->next;

	if (!prev->used) {
		prev->size += block->size;
		list_remove(block);
		header_drop(heap, block);
		if (!next->used) {
			prev->size += next->size;
			bin_remove(next);
			list_remove(next);
			header_drop(heap, next);
		}
		bin_update(prev);
		return prev;
	}
	if (!next->used) {
		next->addr = addr; /* block->addr, which may not be in a register yet */
		next->size += block->size;
		list_remove(block);
		header_drop(heap, block);
		bin_update(next);
		return next;
	}
	bin_insert(block);
	return block;
}

static int add_to_zone(struct heap *heap, struct zone *zone, uint64_t addr, uint64_t end)
{
	struct run *low = NULL, *high = NULL;
	struct block *block;

	for (struct run *run = heap->runs; run; run = run->next) {
		if (run->zone == zone && run->end == addr)
			low = run;
		if (run->zone == zone && run->addr == end)
			high = run;
	}
	if (!low && !high) {
		low = run_create(heap, zone, addr, end);
		if (!low)
			return -ENOMEM;
	}
	block = header_take(heap, zone, addr, end - addr);
	if (low) {
		low->end = end;
		list_insert(block, low->tail.prev, &low->tail);
	} else {
		high->addr = addr;
		list_insert(block, &high->head, high->head.next);
	}
	if (low && high)
		run_join(heap, low, high);
	choose_victim(release(heap, block, addr));
	heap_table_mark(&heap->table, addr, end - addr, true);
	heap->held += end - addr;
	return 0;
}

static int prepare_add(struct heap *heap, uint64_t addr, uint64_t end)
{
	if (!addr || addr >= end || (addr | end) % HEAP_PAGE || end > HEAP_END)
		return -EINVAL;
	if (heap_table_covers_any(&heap->table, addr, end - addr))
		return -EEXIST;
	return heap_table_open(&heap->table, addr, end - addr) ?: headers_ensure(heap);
}

int heap_add(struct heap *heap, uint64_t addr, uint64_t size, int node)
{
	uint64_t end = addr + size;
	struct zone *low = NULL, *high = NULL;
	int error = prepare_add(heap, addr, end);

	if (error)
		return error;
	if (addr < LOW_END && !(low = zone_get(heap, node, true)))
		return -ENOMEM;
	if (end > LOW_END && !(high = zone_get(heap, node, false)))
		return -ENOMEM;
	if (low)
		error = add_to_zone(heap, low, addr, end < LOW_END ? end : LOW_END);
	if (error || !high)
		return error;
	error = add_to_zone(heap, high, low ? LOW_END : addr, end);
	if (error && low)
		heap_remove(heap, addr, LOW_END - addr);
	return error;
}

static bool holds(const struct block *block, uint64_t addr, uint64_t end)
{
	return block->addr <= addr && end <= block->addr + block->size;
}

/* The free block that a range lies in. */
static struct block *find_free(struct heap *heap, uint64_t addr, uint64_t end)
{
	for (struct zone *zone = heap->zones; zone; zone = zone->next) {
		unsigned int bin = bin_next(zone, bin_of(end - addr));

		if (zone->victim && holds(zone->victim, addr, end))
			return zone->victim;
		for (; bin < BINS; bin = bin_next(zone, bin + 1))
			for (struct block *block = zone->bins[bin]; block; block = block->list_next)
				if (holds(block, addr, end))
					return block;
	}
	return NULL;
}

static struct run *find_run(struct heap *heap, uint64_t addr)
{
	struct run *run = heap->runs;

	while (addr < run->addr || addr >= run->end)
		run = run->next;
	return run;
}

/*
 * Cuts [addr, end) out of a free block and out of its run, of which up to two parts remain. rest is
 * a run to be filled with what is above.
 */
static void cut(struct heap *heap, struct block *block, uint64_t addr, uint64_t end,
		struct run *run, struct run *rest)
{
	uint64_t block_end = block->addr + block->size;

	rest->addr = end;
	rest->end = run->end;
	run->end = addr;
	if (block->next != &run->tail) {
		rest->head.next = block->next;
		rest->tail.prev = run->tail.prev;
		block->next->prev = &rest->head;
		run->tail.prev->next = &rest->tail;
	}
	block->next = &run->tail;
	run->tail.prev = block;
	if (end < block_end) {
		struct block *above = header_take(heap, block->zone, end, block_end - end);

		list_insert(above, &rest->head, rest->head.next);
		bin_insert(above);
	}
	bin_remove(block);
	block->size = addr - block->addr;
	if (block->size) {
		bin_insert(block);
	} else {
		list_remove(block);
		header_drop(heap, block);
	}
	if (rest->addr == rest->end)
		run_destroy(heap, rest);
	if (run->addr == run->end)
		run_destroy(heap, run);
}

static int remove_from_zone(struct heap *heap, uint64_t addr, uint64_t end)
{
	struct block *block = find_free(heap, addr, end);
	struct run *run, *rest;

	if (!block)
		return -EBUSY;
	if (headers_ensure(heap))
		return -ENOMEM;
	run = find_run(heap, addr);
	rest = run_create(heap, run->zone, 0, 0);
	if (!rest)
		return -ENOMEM;
	heap_table_mark(&heap->table, addr, end - addr, false);
	cut(heap, block, addr, end, run, rest);
	heap_table_close(&heap->table, addr, end - addr);
	heap->held -= end - addr;
	return 0;
}

int heap_remove(struct heap *heap, uint64_t addr, uint64_t size)
{
	uint64_t end = addr + size;
	struct block *high;
	int node, error;

	if (addr >= LOW_END || end <= LOW_END)
		return remove_from_zone(heap, addr, end);
	high = find_free(heap, LOW_END, end);
	if (!high)
		return -EBUSY;
	node = high->zone->node;
	error = remove_from_zone(heap, LOW_END, end);
	if (error)
		return error;
	error = remove_from_zone(heap, addr, LOW_END);
	if (error)
		heap_add(heap, LOW_END, end - LOW_END, node);
	return error;
}

/* Allocation. */

/* Whether a request fits a free block, and where. */
static inline bool fits(const struct block *block, const struct dma_chunk_request *request,
			uint64_t *start)
{
	uint64_t addr = align_up(block->addr, request->align);
	uint64_t boundary = request->boundary;

	if (__builtin_expect((addr ^ (addr + request->size - 1)) & -boundary, 0))
		addr = align_up(addr, boundary);
	*start = addr;
	return addr + request->size <= block->addr + block->size &&
	       addr + request->size - 1 <= request->limit;
}

static struct block *search_bin(const struct zone *zone, unsigned int bin,
				const struct dma_chunk_request *request, unsigned int tries,
				uint64_t *start)
{
	struct block *block;

	for (block = zone->bins[bin]; block && tries; block = block->list_next, tries--)
		if (fits(block, request, start))
			return block;
	return NULL;
}

static inline struct block *search_victim(const struct zone *zone,
					  const struct dma_chunk_request *request, uint64_t *start)
{
	return zone->victim && fits(zone->victim, request, start) ? zone->victim : NULL;
}

/*
 * The slow search, for when the first block of the first bin does not fit: because of a limit, an
 * alignment or a boundary.
 */
static __attribute__((noinline)) struct block *
search_closely(const struct zone *zone, const struct dma_chunk_request *request, unsigned int bin,
	       uint64_t *start)
{
	struct block *block = search_bin(zone, bin, request, CANDIDATES, start);
	uint64_t size = request->size, align = request->align;

	/*
	 * A block that is aligned to the next power of two cannot cross a boundary: boundaries are
	 * powers of two and no smaller than the block.
	 */
	if (request->boundary && align < size)
		align = UINT64_C(1) << (64 - __builtin_clzll(size - 1));
	if (!block && align <= HEAP_END) {
		bin = bin_next(zone, bin_above(size + align - HEAP_GRANULE));
		if (bin < BINS)
			block = search_bin(zone, bin, request, CANDIDATES, start);
	}
	return block ? block : search_victim(zone, request, start);
}

/* The blocks of a zone that are most likely to fit, in constant time. */
static inline struct block *search_quickly(const struct zone *zone,
					   const struct dma_chunk_request *request, uint64_t *start)
{
	unsigned int bin;

	if (!zone->words)
		return search_victim(zone, request, start);
	bin = bin_next(zone, bin_above(request->size));
	if (bin == BINS)
		return search_victim(zone, request, start);
	if (__builtin_expect(fits(zone->bins[bin], request, start), true))
		return zone->bins[bin];
	return search_closely(zone, request, bin, start);
}

static struct block *search_all(const struct zone *zone, const struct dma_chunk_request *request,
				uint64_t *start)
{
	unsigned int bin = bin_next(zone, bin_of(request->size));
	struct block *block = search_victim(zone, request, start);

	for (; bin < BINS && !block; bin = bin_next(zone, bin + 1))
		block = search_bin(zone, bin, request, ~0U, start);
	return block;
}

static inline bool admits(const struct zone *zone, const struct dma_chunk_request *request)
{
	return (request->node < 0 || zone->node == request->node) &&
	       (zone->low || request->limit >= LOW_END);
}

static __attribute__((noinline)) struct block *
search_slowly(const struct heap *heap, const struct dma_chunk_request *request, uint64_t *start)
{
	struct block *block;

	for (struct zone *zone = heap->zones; zone; zone = zone->next)
		if (admits(zone, request) && (block = search_all(zone, request, start)))
			return block;
	return NULL;
}

static inline struct block *search(const struct heap *heap, const struct dma_chunk_request *request,
				   uint64_t *start)
{
	struct block *block;

	for (struct zone *zone = heap->zones; zone; zone = zone->next)
		if (admits(zone, request) && (block = search_quickly(zone, request, start)))
			return block;
	return search_slowly(heap, request, start);
}

/* Takes [start, start + size) out of a free block; what is left on both sides stays free. */
static inline struct block *split(struct heap *heap, struct block *block, uint64_t start,
				  uint64_t size)
{
	uint64_t front = start - block->addr, back = block->size - front - size;
	struct block *taken;

	if (!front && !back) {
		bin_remove(block);
		return block;
	}
	taken = header_take(heap, block->zone, start, size);
	if (!front) {
		block->addr += size;
		block->size = back;
		list_insert(taken, block->prev, block);
	} else {
		block->size = front;
		list_insert(taken, block, block->next);
		if (back) {
			struct block *rest = header_take(heap, block->zone, start + size, back);

			list_insert(rest, taken, taken->next);
			bin_insert(rest);
			choose_victim(rest);
		}
	}
	bin_update(block);
	choose_victim(block);
	return taken;
}

uint64_t heap_alloc(struct heap *heap, const struct dma_chunk_request *request)
{
	struct block *block;
	uint64_t start;

	if (request->size > HEAP_END || headers_ensure(heap))
		return 0;
	block = search(heap, request, &start);
	if (!block)
		return 0;
	block = split(heap, block, start, request->size);
	block->used = true;
	*heap_table_tag(&heap->table, start) = block;
	heap->used += block->size;
	heap->blocks++;
	return start;
}

int heap_free(struct heap *heap, uint64_t addr)
{
	struct block **tag = heap_table_find(&heap->table, addr);
	struct block *block;

	if (!tag)
		return -EINVAL;
	block = *tag;
	*tag = NULL;
	heap->used -= block->size;
	heap->blocks--;
	release(heap, block, addr);
	return 0;
}

uint64_t heap_block_size(const struct heap *heap, uint64_t addr)
{
	struct block **tag = heap_table_find(&heap->table, addr);

	return tag ? (*tag)->size : 0;
}

void heap_stats(const struct heap *heap, struct heap_stats *stats)
{
	*stats = (struct heap_stats){heap->held, heap->used, heap->blocks, 0};
	for (struct zone *zone = heap->zones; zone; zone = zone->next) {
		unsigned int word = 63 - (unsigned int)__builtin_clzll(zone->words | 1);
		uint64_t filled = zone->filled[word] | 1;
		unsigned int bin = word * 64 + 63 - (unsigned int)__builtin_clzll(filled);

		if (zone->victim && zone->victim->size > stats->largest_free)
			stats->largest_free = zone->victim->size;
		for (struct block *block = zone->bins[bin]; block; block = block->list_next)
			if (block->size > stats->largest_free)
				stats->largest_free = block->size;
	}
}

bool heap_contains(const struct heap *heap, uint64_t addr, uint64_t size)
{
	if (addr >= HEAP_END || size > HEAP_END - addr)
		return false;
	return heap_table_covers_all(&heap->table, addr, size ? size : 1);
}

int heap_create(struct heap **result)
{
	struct heap *heap = calloc(1, sizeof(*heap));
	int error = heap ? heap_table_create(&heap->table) : -ENOMEM;

	if (error)
		free(heap);
	else
		*result = heap;
	return error;
}

#define FREE_LIST(list, type)              \
	while (list) {                     \
		type *next = (list)->next; \
		free(list);                \
		(list) = next;             \
	}

void heap_destroy(struct heap *heap)
{
	if (!heap)
		return;
	heap_table_destroy(&heap->table);
	FREE_LIST(heap->zones, struct zone);
	FREE_LIST(heap->runs, struct run);
	FREE_LIST(heap->slabs, struct slab);
	free(heap);
}
