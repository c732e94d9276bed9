// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pools of equal buffers: a stack shared by all threads, and a small stack of its own for each
 * thread in front of it, which it uses without an atomic instruction. The stacks hold pointers;
 * nothing is kept inside the buffers.
 *
 * No buffer is out of reach in another thread's stack, be the thread alive or gone: a thread that
 * finds the shared stack empty takes what the others hold. A thread says "busy" while it works on
 * its stack and then looks whether it was revoked; the taker revokes it and then looks whether it
 * is busy. One of the two must see the other, for which both need a full barrier between the store
 * and the load: the taker has membarrier(2) make all other threads pass one, so that the owner, who
 * does this a thousand times as often, needs none.
 *
 * Threads are told apart by where their copy of a thread-local variable lies; it is never written
 * to, so the library keeps no global state. A thread whose copy lies where that of one that has
 * ended was takes over its stack.
 */

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <usrpci/dma.h>

#include "ctx.h"
#include "dma/heap.h"
#include "dma/lock.h"
#include "numbers.h"

#define LOG_SUBJECT "pool"
#include "log.h"

#define CACHE_SIZE 119 /* buffers, which makes 1 KiB */
#define CACHE_HALF 56  /* what is left in it when the shared stack takes or gives some */
#define CACHE_LINE 64
#ifndef CACHE_BITS
#define CACHE_BITS 7 /* log2 of how many threads can have a stack */
#endif
#define CACHES      (1 << CACHE_BITS)
#define PROBES      8           /* places where a thread's stack may be */
#define PIECE_BYTES (128 << 10) /* storage comes in blocks of it: it need not be contiguous */

struct cache {
	_Atomic uintptr_t owner; /* 0: nobody; set once */
	_Atomic unsigned int count;
	atomic_bool revoked;
	_Alignas(8) atomic_bool busy;
	/*
	 * The top of the stack is apart: a put and the get after it meet here and need not wait for
	 * each other's count to go through memory.
	 */
	_Atomic(void *) top; /* NULL: none; there may be others below */
	_Alignas(CACHE_LINE) void *buffers[CACHE_SIZE + 1];
};

_Static_assert(sizeof(struct cache) == 1024, "a shift finds a thread's stack");

struct usrpci_pool {
	struct cache *caches; /* CACHES of them; what no thread uses costs addresses only */
	bool plain;           /* there is no membarrier(2), so threads have no stacks */
	struct usrpci_ctx *ctx;
	void **pieces;
	size_t piece_count;
	size_t capacity;                       /* buffers */
	_Alignas(CACHE_LINE) struct lock lock; /* all below, and caches that are revoked */
	void **buffers;
	_Atomic size_t count;
};

/*
 * The offset of the stack that this thread used last, in bytes from a pool's first stack. It is
 * nearly always the same in every pool. The address of this variable tells threads apart.
 */
static _Thread_local size_t thread_place __attribute__((tls_model("initial-exec")));

/* Where a thread's stack should be, and where it is when that place was taken. */
static inline struct cache *cache_home(const struct usrpci_pool *pool, uintptr_t thread)
{
	return &pool->caches[thread * UINT64_C(0x9e3779b97f4a7c15) >> (64 - CACHE_BITS)];
}

static struct cache *cache_next(const struct usrpci_pool *pool, struct cache *cache)
{
	return ++cache < pool->caches + CACHES ? cache : pool->caches;
}

static inline uintptr_t owner_of(const struct cache *cache)
{
	return atomic_load_explicit(&cache->owner, memory_order_relaxed);
}

static inline unsigned int load_count(const struct cache *cache)
{
	return atomic_load_explicit(&cache->count, memory_order_relaxed);
}

static inline void store_count(struct cache *cache, unsigned int count)
{
	atomic_store_explicit(&cache->count, count, memory_order_relaxed);
}

static inline void *load_top(const struct cache *cache)
{
	return atomic_load_explicit(&cache->top, memory_order_relaxed);
}

static inline void store_top(struct cache *cache, void *buffer)
{
	atomic_store_explicit(&cache->top, buffer, memory_order_relaxed);
}

static inline void push(struct cache *cache, void *buffer)
{
	unsigned int count = load_count(cache);

	cache->buffers[count] = buffer;
	store_count(cache, count + 1);
}

/* Puts the top to the others. Returns their number. */
static inline unsigned int settle(struct cache *cache)
{
	void *top = load_top(cache);

	if (top) {
		push(cache, top);
		store_top(cache, NULL);
	}
	return load_count(cache);
}

/*
 * Some 256 bytes, for which a call of memcpy(3) takes as long again: a cache line at a time, then
 * the rest by the bits of its number, as a loop would be unrolled into more than the calls
 * themselves.
 */
static inline void copy(void **to, void *const *from, unsigned int count)
{
	const unsigned int line = CACHE_LINE / sizeof(*to);

	for (; count >= line; count -= line, to += line, from += line)
		memcpy(to, from, CACHE_LINE);
	for (unsigned int part = line / 2; part > 0; part /= 2) {
		if (!(count & part))
			continue;
		memcpy(to, from, part * sizeof(*to));
		to += part;
		from += part;
	}
}

/* The owner's side. */

static inline void cache_leave(struct cache *cache)
{
	/* release: what the owner did to the stack is seen by who sees it idle */
	atomic_store_explicit(&cache->busy, false, memory_order_release);
}

static inline bool cache_enter(struct cache *cache)
{
	atomic_store_explicit(&cache->busy, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst); /* the other half of it is in collect() */
	/* acquire: what the taker did to the stack before it let go */
	if (__builtin_expect(!atomic_load_explicit(&cache->revoked, memory_order_acquire), true))
		return true;
	cache_leave(cache);
	return false;
}

/* Enters the thread's stack if it is where the last one was. */
static inline bool cache_enter_place(const struct usrpci_pool *pool, struct cache **cache)
{
	uintptr_t thread = (uintptr_t)&thread_place;

	*cache = (struct cache *)((uintptr_t)pool->caches + thread_place);
	return __builtin_expect(owner_of(*cache) == thread, true) && cache_enter(*cache);
}

/* Enters the thread's stack wherever it is. NULL: it has none, or it is revoked. */
static __attribute__((noinline)) struct cache *cache_search(const struct usrpci_pool *pool)
{
	uintptr_t thread = (uintptr_t)&thread_place;
	struct cache *cache = cache_home(pool, thread);

	for (unsigned int probe = 0; probe < PROBES; probe++) {
		if (owner_of(cache) == thread)
			return cache_enter(cache) ? cache : NULL;
		cache = cache_next(pool, cache);
	}
	return NULL;
}

static inline struct cache *cache_enter_any(const struct usrpci_pool *pool)
{
	struct cache *cache;

	return cache_enter_place(pool, &cache) ? cache : cache_search(pool);
}

static inline void *cache_pop(struct cache *cache)
{
	void *buffer = load_top(cache);
	unsigned int count;

	if (__builtin_expect(buffer != NULL, true)) {
		store_top(cache, NULL);
		return buffer;
	}
	count = load_count(cache);
	if (!count)
		return NULL;
	store_count(cache, count - 1);
	return cache->buffers[count - 1];
}

/*
 * Returns whether there was room. A buffer of NULL leaves no top, which is as if it were not put.
 */
static inline bool cache_push(struct cache *cache, void *buffer)
{
	void *top = load_top(cache);

	if (__builtin_expect(top != NULL, false)) {
		if (load_count(cache) == CACHE_SIZE)
			return false;
		push(cache, top);
	}
	store_top(cache, buffer);
	return true;
}

/*
 * The slow side. The pool's lock is held; then no stack is revoked by somebody else, and a thread
 * may use its own without entering it.
 */

/* This thread's stack, or one that becomes it, or NULL when its places are taken. */
static struct cache *cache_find(struct usrpci_pool *pool)
{
	uintptr_t thread = (uintptr_t)&thread_place;
	struct cache *cache = cache_home(pool, thread);

	for (unsigned int probe = 0; probe < PROBES && !pool->plain; probe++) {
		if (!owner_of(cache))
			atomic_store_explicit(&cache->owner, thread, memory_order_relaxed);
		if (owner_of(cache) == thread) {
			thread_place = (uintptr_t)cache - (uintptr_t)pool->caches;
			return cache;
		}
		cache = cache_next(pool, cache);
	}
	return NULL;
}

static size_t shared_count(const struct usrpci_pool *pool)
{
	return atomic_load_explicit(&pool->count, memory_order_relaxed);
}

/* Returns how many there was no place for: more were put back than taken. */
static size_t shared_push(struct usrpci_pool *pool, void *const *buffers, size_t count)
{
	size_t have = shared_count(pool);
	size_t room = pool->capacity - have;
	size_t fit = count < room ? count : room;

	memcpy(pool->buffers + have, buffers, fit * sizeof(*buffers));
	atomic_store_explicit(&pool->count, have + fit, memory_order_relaxed);
	return count - fit;
}

static void shared_pop(struct usrpci_pool *pool, void **buffers, size_t count)
{
	size_t have = shared_count(pool) - count;

	memcpy(buffers, pool->buffers + have, count * sizeof(*buffers));
	atomic_store_explicit(&pool->count, have, memory_order_relaxed);
}

static size_t held_by_threads(const struct usrpci_pool *pool)
{
	size_t count = 0;

	for (unsigned int i = 0; i < CACHES; i++)
		count += load_count(&pool->caches[i]) + (load_top(&pool->caches[i]) != NULL);
	return count;
}

/* Brings what all threads hold to the shared stack. */
static size_t collect(struct usrpci_pool *pool)
{
	size_t lost = 0;

	for (unsigned int i = 0; i < CACHES; i++)
		atomic_store_explicit(&pool->caches[i].revoked, true, memory_order_relaxed);
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	for (unsigned int i = 0; i < CACHES; i++) {
		struct cache *cache = &pool->caches[i];
		struct backoff backoff = {0};

		/* The owner may need the very processor that this thread has. */
		while (atomic_load_explicit(&cache->busy, memory_order_acquire))
			backoff_wait(&backoff);
		lost += shared_push(pool, cache->buffers, settle(cache));
		store_count(cache, 0);
		atomic_store_explicit(&cache->revoked, false, memory_order_release);
	}
	return lost;
}

/* Gives a thread's empty stack some of the shared buffers; the fewer there are, the fewer. */
static void refill(struct usrpci_pool *pool, struct cache *cache)
{
	size_t count = shared_count(pool) / 2;

	if (count > CACHE_HALF)
		count = CACHE_HALF;
	shared_pop(pool, cache->buffers, count);
	store_count(cache, (unsigned int)count);
}

static void report_lost(const struct usrpci_pool *pool, size_t lost)
{
	if (lost)
		log_error(pool->ctx, NULL, NULL,
			  "%zu buffers more were put back than had been taken (put twice?)", lost);
}

static __attribute__((noinline)) unsigned int get_slowly(struct usrpci_pool *pool, void **buffers,
							 unsigned int count)
{
	struct cache *cache;
	size_t lost = 0;

	lock_acquire(&pool->lock);
	cache = cache_find(pool);
	if (cache) {
		lost = shared_push(pool, cache->buffers, settle(cache));
		store_count(cache, 0);
	}
	if (shared_count(pool) < count && held_by_threads(pool) > 0)
		lost += collect(pool);
	if (shared_count(pool) < count)
		count = 0;
	shared_pop(pool, buffers, count);
	if (cache)
		refill(pool, cache);
	lock_release(&pool->lock);
	report_lost(pool, lost);
	return count;
}

/* Makes room in a stack. The upper half, more likely to be in the processor's cache, stays. */
static size_t spill(struct usrpci_pool *pool, struct cache *cache)
{
	unsigned int count = settle(cache);
	size_t lost;

	if (count <= CACHE_HALF)
		return 0;
	lost = shared_push(pool, cache->buffers, count - CACHE_HALF);
	memmove(cache->buffers, cache->buffers + count - CACHE_HALF,
		CACHE_HALF * sizeof(*cache->buffers));
	store_count(cache, CACHE_HALF);
	return lost;
}

static __attribute__((noinline)) void put_slowly(struct usrpci_pool *pool, void *const *buffers,
						 unsigned int count)
{
	struct cache *cache;
	size_t lost;

	lock_acquire(&pool->lock);
	cache = count <= CACHE_HALF ? cache_find(pool) : NULL;
	if (cache) {
		lost = spill(pool, cache);
		memcpy(cache->buffers + load_count(cache), buffers, count * sizeof(*buffers));
		store_count(cache, load_count(cache) + count);
	} else {
		lost = shared_push(pool, buffers, count);
	}
	lock_release(&pool->lock);
	report_lost(pool, lost);
}

static __attribute__((noinline)) void *get_one_slowly(struct usrpci_pool *pool)
{
	struct cache *cache = cache_enter_any(pool);
	void *buffer = NULL;

	if (cache) {
		buffer = cache_pop(cache);
		cache_leave(cache);
	}
	return buffer || get_slowly(pool, &buffer, 1) ? buffer : NULL;
}

static __attribute__((noinline)) void put_one_slowly(struct usrpci_pool *pool, void *buffer)
{
	struct cache *cache = cache_enter_any(pool);
	bool done = false;

	if (cache) {
		done = cache_push(cache, buffer);
		cache_leave(cache);
	}
	if (!done && buffer)
		put_slowly(pool, &buffer, 1);
}

void *usrpci_pool_get(struct usrpci_pool *pool)
{
	struct cache *cache;
	void *buffer;

	if (cache_enter_place(pool, &cache)) {
		buffer = cache_pop(cache);
		cache_leave(cache);
		if (__builtin_expect(buffer != NULL, true))
			return buffer;
	}
	return get_one_slowly(pool);
}

void usrpci_pool_put(struct usrpci_pool *pool, void *buffer)
{
	struct cache *cache;
	bool done;

	if (cache_enter_place(pool, &cache)) {
		done = cache_push(cache, buffer);
		cache_leave(cache);
		if (__builtin_expect(done, true))
			return;
	}
	put_one_slowly(pool, buffer);
}

unsigned int usrpci_pool_get_bulk(struct usrpci_pool *pool, void **buffers, unsigned int count)
{
	struct cache *cache = cache_enter_any(pool);
	unsigned int have;

	if (__builtin_expect(cache != NULL, true)) {
		have = settle(cache);
		if (__builtin_expect(have >= count, true)) {
			copy(buffers, cache->buffers + have - count, count);
			store_count(cache, have - count);
			cache_leave(cache);
			return count;
		}
		cache_leave(cache);
	}
	return get_slowly(pool, buffers, count);
}

void usrpci_pool_put_bulk(struct usrpci_pool *pool, void *const *buffers, unsigned int count)
{
	struct cache *cache = cache_enter_any(pool);
	unsigned int have;

	if (__builtin_expect(cache != NULL, true)) {
		have = settle(cache);
		if (__builtin_expect(have + (uint64_t)count <= CACHE_SIZE, true)) {
			copy(cache->buffers + have, buffers, count);
			store_count(cache, have + count);
			cache_leave(cache);
			return;
		}
		cache_leave(cache);
	}
	put_slowly(pool, buffers, count);
}

size_t usrpci_pool_available(const struct usrpci_pool *pool)
{
	return shared_count(pool) + held_by_threads(pool);
}

/* Creation. */

struct layout {
	size_t stride;    /* from one buffer to the next, bytes */
	size_t per_piece; /* buffers */
	size_t pieces;
};

static int check_options(struct usrpci_ctx *ctx, const struct usrpci_pool_options *options,
			 struct layout *layout)
{
	size_t align = options->align > HEAP_GRANULE ? options->align : HEAP_GRANULE;

	if (!options->size || !options->count || options->align & (options->align - 1))
		return report(ctx, -EINVAL, NULL, NULL,
			      "a pool of %zu buffers of %zu bytes aligned to %zu was asked for",
			      options->count, options->size, options->align);
	if (options->size > HEAP_END || align > HEAP_END ||
	    options->count > HEAP_END / align_up(options->size, align))
		return report(ctx, -ENOMEM, NULL, NULL,
			      "a pool of %zu buffers of %zu bytes was asked for", options->count,
			      options->size);
	layout->stride = align_up(options->size, align);
	layout->per_piece = PIECE_BYTES / layout->stride;
	if (options->boundary && layout->per_piece > options->boundary / layout->stride)
		layout->per_piece = options->boundary / layout->stride;
	if (!layout->per_piece)
		layout->per_piece = 1;
	layout->pieces = (options->count + layout->per_piece - 1) / layout->per_piece;
	return 0;
}

static int alloc_pieces(struct usrpci_pool *pool, const struct usrpci_pool_options *options,
			const struct layout *layout)
{
	struct usrpci_dma_request request = {
		.align = options->align,
		.boundary = options->boundary,
		.limit = options->limit,
		.node = options->node,
	};

	for (size_t left = options->count; left > 0; pool->piece_count++) {
		size_t count = left < layout->per_piece ? left : layout->per_piece;
		int error;

		request.size = (count - 1) * layout->stride + options->size;
		error = usrpci_dma_alloc(pool->ctx, &request, &pool->pieces[pool->piece_count]);
		if (error)
			return error;
		left -= count;
	}
	return 0;
}

/* Puts all buffers on the shared stack, those with low addresses on top. */
static void fill(struct usrpci_pool *pool, const struct layout *layout)
{
	for (size_t i = 0; i < pool->capacity; i++)
		pool->buffers[pool->capacity - 1 - i] =
			(char *)pool->pieces[i / layout->per_piece] +
			i % layout->per_piece * layout->stride;
	atomic_store_explicit(&pool->count, pool->capacity, memory_order_relaxed);
}

static struct cache *alloc_caches(void)
{
	struct cache *caches = mmap(NULL, CACHES * sizeof(*caches), PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return caches == MAP_FAILED ? NULL : caches;
}

int usrpci_pool_create(struct usrpci_ctx *ctx, const struct usrpci_pool_options *options,
		       struct usrpci_pool **result)
{
	struct usrpci_pool *pool;
	struct layout layout = {0};
	int error = check_options(ctx, options, &layout);

	if (error)
		return error;
	pool = aligned_alloc(_Alignof(struct usrpci_pool), sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	memset(pool, 0, sizeof(*pool));
	pool->ctx = ctx;
	pool->capacity = options->count;
	pool->pieces = calloc(layout.pieces, sizeof(*pool->pieces));
	pool->buffers = calloc(pool->capacity, sizeof(*pool->buffers));
	pool->plain = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0;
	pool->caches = alloc_caches();
	error = pool->pieces && pool->buffers && pool->caches ? alloc_pieces(pool, options, &layout)
							      : -ENOMEM;
	if (error) {
		usrpci_pool_destroy(pool);
		return error;
	}
	fill(pool, &layout);
	*result = pool;
	return 0;
}

void usrpci_pool_destroy(struct usrpci_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < pool->piece_count; i++)
		usrpci_dma_free(pool->ctx, pool->pieces[i]);
	free(pool->pieces);
	free(pool->buffers);
	if (pool->caches)
		munmap(pool->caches, CACHES * sizeof(*pool->caches));
	free(pool);
}
