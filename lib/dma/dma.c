// SPDX-License-Identifier: BSD-2-Clause
/*
 * The public side of DMA memory: checks requests, and puts the heap over what the domain gets.
 *
 * Two locks. The heap's is held for nanoseconds; "growing" is held for as long as the domain works,
 * so that threads whose requests need no more memory go on while one waits for the kernel.
 *
 * The order of the library's locks: ctx->lock (devices open and close), growing, the domain's own
 * (vfio_domain.lock, the lock of the QEMU process), the heap's. A thread that holds one takes only
 * those behind it.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "ctx.h"
#include "dma/domain.h"
#include "fault/fault.h"
#include "trace/trace.h"
#include "file.h"
#include "dma/heap.h"
#include "dma/lock.h"
#include "numbers.h"

#define LOG_SUBJECT "dma"
#include "log.h"

/* Reserving asks for memory in pieces of it: more need not be contiguous. */
#define RESERVE_STEP (UINT64_C(2) << 20)

struct dma_heap {
	struct lock lock; /* heap */
	struct heap *heap;
	pthread_mutex_t growing; /* all below, and calls of the domain */
	struct dma_chunk *chunks;
	size_t count;
	size_t pages;
	const struct dma_chunk_request *wanted; /* while the domain grows, until it is found */
	uint64_t found;
};

static inline struct dma_heap *heap_of(const struct usrpci_ctx *ctx)
{
	return ctx->domain ? ctx->domain->heap : NULL;
}

static uint64_t chunk_addr(const struct dma_domain *domain, const struct dma_chunk *chunk)
{
	return (uintptr_t)chunk->va - domain->ctx->base.head.dma_delta;
}

/* Gives back chunk i if no block lies in it. Returns its size or 0. The caller holds "growing". */
static size_t give_back(struct dma_domain *domain, size_t i)
{
	struct dma_heap *heap = domain->heap;
	struct dma_chunk chunk = heap->chunks[i];
	int error;

	lock_acquire(&heap->lock);
	error = heap_remove(heap->heap, chunk_addr(domain, &chunk), chunk.size);
	lock_release(&heap->lock);
	if (error)
		return 0;
	heap->chunks[i] = heap->chunks[--heap->count];
	heap->pages -= chunk.size / chunk.page_size;
	domain->ops->shrink(domain, &chunk);
	return chunk.size;
}

static size_t give_back_from(struct dma_domain *domain, size_t first)
{
	struct dma_heap *heap = domain->heap;
	size_t bytes = 0;

	for (size_t i = heap->count; i-- > first;)
		bytes += give_back(domain, i);
	return bytes;
}

/*
 * Adds a chunk that the domain got, and takes the wanted block under the same lock, before another
 * thread can take it. Returns 1 once the block was found, so that the domain stops.
 */
static int add_chunk(struct dma_domain *domain, const struct dma_chunk *chunk)
{
	struct dma_heap *heap = domain->heap;
	struct dma_chunk *chunks = array_grow(heap->chunks, heap->count, 1, sizeof(*chunks));
	int error;

	if (!chunks)
		return -ENOMEM;
	heap->chunks = chunks;
	lock_acquire(&heap->lock);
	error = heap_add(heap->heap, chunk_addr(domain, chunk), chunk->size, chunk->node);
	if (!error && heap->wanted) {
		heap->found = heap_alloc(heap->heap, heap->wanted);
		if (heap->found)
			heap->wanted = NULL;
	}
	lock_release(&heap->lock);
	if (error)
		return report(domain->ctx, error, NULL, NULL,
			      "cannot take over %zu bytes of DMA memory at %p", chunk->size,
			      chunk->va);
	heap->chunks[heap->count++] = *chunk;
	heap->pages += chunk->size / chunk->page_size;
	return !heap->wanted;
}

static inline uint64_t alloc_locked(struct dma_heap *heap, const struct dma_chunk_request *request)
{
	uint64_t addr;

	lock_acquire(&heap->lock);
	addr = heap_alloc(heap->heap, request);
	lock_release(&heap->lock);
	return addr;
}

/* A kernel without NUMA lists no node; then the whole machine is node 0. */
static int check_node(const struct usrpci_ctx *ctx, int node)
{
	if (node <= 0 || file_exists(ctx, "/sys/devices/system/node/node%d", node))
		return 0;
	return report(ctx, -EINVAL, NULL, "lscpu lists the nodes", "there is no NUMA node %d",
		      node);
}

/*
 * Gets memory for a request and a block of it. The caller holds "growing".
 *
 * The domain calls add_chunk() back for each chunk that it gets, and add_chunk() allocates the
 * block under the same hold of the heap's lock that added the chunk. Were the block allocated after
 * the domain has returned, another thread could take the memory that was added for this one; and
 * only the heap knows when neighbouring chunks have become enough. heap->wanted is the request
 * until its block was found: once it was, an error that the domain meets afterwards does not
 * matter.
 */
static int grow(struct dma_domain *domain, const struct dma_chunk_request *request, uint64_t *addr)
{
	struct dma_heap *heap = domain->heap;
	size_t first = heap->count;
	int error;

	heap->wanted = request;
	error = domain->ops->grow(domain, request, add_chunk);
	if (!heap->wanted)
		error = 0;
	else if (error >= 0)
		error = report(
			domain->ctx, -ENOMEM, NULL, NULL,
			"the new memory does not hold %zu bytes in the way that was asked for",
			request->size);
	heap->wanted = NULL;
	*addr = heap->found;
	give_back_from(domain, first);
	return error;
}

static __attribute__((noinline)) int
alloc_slowly(struct dma_domain *domain, const struct dma_chunk_request *request, uint64_t *addr)
{
	struct dma_heap *heap = domain->heap;
	int error = check_node(domain->ctx, request->node);

	if (error)
		return error;
	pthread_mutex_lock(&heap->growing);
	*addr = alloc_locked(heap, request); /* another thread may have made room */
	if (!*addr)
		error = grow(domain, request, addr);
	pthread_mutex_unlock(&heap->growing);
	return error;
}

static bool power_of_two_or_0(uint64_t value)
{
	return !(value & (value - 1));
}

static inline bool acceptable(const struct usrpci_dma_request *request)
{
	return request->size - 1 < HEAP_END && power_of_two_or_0(request->align) &&
	       power_of_two_or_0(request->boundary) &&
	       (!request->boundary || request->boundary >= request->size) && request->node >= 0;
}

/* Why a request is not acceptable. */
static int explain_request(const struct usrpci_ctx *ctx, const struct usrpci_dma_request *request)
{
	if (!request->size)
		return report(ctx, -EINVAL, NULL, NULL, "a block of 0 bytes was asked for");
	if (request->size > HEAP_END)
		return report(ctx, -ENOMEM, NULL, NULL, "a block of %zu bytes was asked for",
			      request->size);
	if (!power_of_two_or_0(request->align))
		return report(ctx, -EINVAL, NULL, NULL, "the alignment %zu is not a power of two",
			      request->align);
	if (!power_of_two_or_0(request->boundary))
		return report(ctx, -EINVAL, NULL, NULL, "the boundary %zu is not a power of two",
			      request->boundary);
	if (request->boundary && request->boundary < request->size)
		return report(ctx, -EINVAL, NULL, NULL,
			      "a block of %zu bytes cannot lie inside a boundary of %zu",
			      request->size, request->boundary);
	return report(ctx, -EINVAL, NULL, NULL, "%d is not a NUMA node + 1", request->node);
}

/* In the units of the heap. A boundary inside a granule is kept by starting at the granule. */
static struct dma_chunk_request in_granules(const struct usrpci_dma_request *request)
{
	return (struct dma_chunk_request){
		.size = align_up(request->size, HEAP_GRANULE),
		.align = request->align > HEAP_GRANULE ? request->align : HEAP_GRANULE,
		.boundary = request->boundary && request->boundary < HEAP_GRANULE
				    ? HEAP_GRANULE
				    : request->boundary,
		.limit = request->limit ? request->limit : UINT64_MAX,
		.node = request->node - 1,
	};
}

int usrpci_dma_alloc(struct usrpci_ctx *ctx, const struct usrpci_dma_request *request, void **block)
{
	struct dma_heap *heap = heap_of(ctx);
	struct dma_chunk_request wanted;
	uint64_t addr;
	int error;

	if (!heap)
		return report(
			ctx, -ENXIO, NULL, NULL,
			"no device is open yet, and the first one decides what DMA memory is");
	if (!acceptable(request))
		return explain_request(ctx, request);
	if (ctx->fault && fault_alloc(ctx))
		return -ENOMEM;
	wanted = in_granules(request);
	addr = alloc_locked(heap, &wanted);
	if (!addr) {
		error = alloc_slowly(ctx->domain, &wanted, &addr);
		if (error)
			return error;
	}
	if (ctx->trace)
		trace_dma(ctx->trace, addr, request->size);
	*block = usrpci_dma_va(ctx, addr);
	if (request->zero)
		memset(*block, 0, wanted.size);
	return 0;
}

void usrpci_dma_free(struct usrpci_ctx *ctx, void *block)
{
	struct dma_heap *heap = heap_of(ctx);
	int error = -EINVAL;

	if (!block)
		return;
	if (heap) {
		if (ctx->trace)
			trace_dma(ctx->trace, usrpci_dma_addr(ctx, block), 0);
		lock_acquire(&heap->lock);
		error = heap_free(heap->heap, usrpci_dma_addr(ctx, block));
		lock_release(&heap->lock);
	}
	if (error)
		log_error(ctx, NULL, NULL,
			  "freeing %p, which is not the start of a live block (%s)", block,
			  usrpci_dma_contains(ctx, block, 1) ? "freed twice?" : "not DMA memory");
}

int usrpci_dma_block_alloc(struct usrpci_ctx *ctx, const struct usrpci_dma_request *request,
			   struct usrpci_dma_block *block)
{
	int error;

	*block = (struct usrpci_dma_block){0};
	error = usrpci_dma_alloc(ctx, request, &block->va);
	if (error)
		return error;
	block->addr = usrpci_dma_addr(ctx, block->va);
	block->size = request->size;
	return 0;
}

void usrpci_dma_block_free(struct usrpci_ctx *ctx, struct usrpci_dma_block *block)
{
	usrpci_dma_free(ctx, block->va);
	*block = (struct usrpci_dma_block){0};
}

bool usrpci_dma_contains(struct usrpci_ctx *ctx, const void *va, size_t size)
{
	struct dma_heap *heap = heap_of(ctx);

	return heap && heap_contains(heap->heap, usrpci_dma_addr(ctx, va), size);
}

size_t usrpci_dma_size(struct usrpci_ctx *ctx, const void *block)
{
	struct dma_heap *heap = heap_of(ctx);
	size_t size;

	if (!heap)
		return 0;
	lock_acquire(&heap->lock);
	size = heap_block_size(heap->heap, usrpci_dma_addr(ctx, block));
	lock_release(&heap->lock);
	return size;
}

static int check_mapping(const struct usrpci_ctx *ctx, const void *va, size_t size)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!ctx->domain)
		return report(ctx, -ENXIO, NULL, NULL, "no device is open yet");
	if (!ctx->domain->ops->map)
		return report(
			ctx, -EOPNOTSUPP, NULL,
			"use memory from usrpci_dma_alloc(), or bind the device to vfio-pci",
			"without an IOMMU a device cannot use the program's own memory, which may move");
	if (!size || ((uintptr_t)va | size) % page)
		return report(ctx, -EINVAL, NULL, NULL,
			      "%zu bytes at %p are not whole pages of %zu bytes", size, va, page);
	return 0;
}

int usrpci_dma_map(struct usrpci_ctx *ctx, void *va, size_t size, usrpci_dma_t *addr)
{
	struct dma_heap *heap = heap_of(ctx);
	int error = check_mapping(ctx, va, size);

	if (error)
		return error;
	pthread_mutex_lock(&heap->growing);
	error = ctx->domain->ops->map(ctx->domain, va, size, addr);
	pthread_mutex_unlock(&heap->growing);
	return error;
}

int usrpci_dma_unmap(struct usrpci_ctx *ctx, void *va, size_t size)
{
	struct dma_heap *heap = heap_of(ctx);
	int error = check_mapping(ctx, va, size);

	if (error)
		return error;
	pthread_mutex_lock(&heap->growing);
	error = ctx->domain->ops->unmap(ctx->domain, va, size);
	pthread_mutex_unlock(&heap->growing);
	return error;
}

int usrpci_dma_physical(struct usrpci_ctx *ctx)
{
	int error;

	pthread_mutex_lock(&ctx->lock);
	error = domain_physical_attach(ctx) ?: domain_physical_open(ctx);
	pthread_mutex_unlock(&ctx->lock);
	return error;
}

/* NULL when no chunk holds the address. The caller holds "growing". */
static const struct dma_chunk *find_chunk(const struct dma_heap *heap, const char *va)
{
	for (size_t i = 0; i < heap->count; i++) {
		const struct dma_chunk *chunk = &heap->chunks[i];
		const char *start = chunk->va;

		if (va >= start && va < start + chunk->size)
			return chunk;
	}
	return NULL;
}

static int find_file(struct dma_domain *domain, const char *va, int *fd, uint64_t *offset)
{
	const struct dma_chunk *chunk = find_chunk(domain->heap, va);
	int error;

	if (!chunk)
		return -EINVAL;
	error = domain->ops->file(domain, chunk, fd, offset);
	*offset += error ? 0 : (uint64_t)(va - (const char *)chunk->va);
	return error;
}

int usrpci_dma_file(struct usrpci_ctx *ctx, const void *va, int *fd, uint64_t *offset)
{
	struct dma_heap *heap = heap_of(ctx);
	int error;

	if (!heap)
		return -EINVAL;
	if (!ctx->domain->ops->file)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&heap->growing);
	error = find_file(ctx->domain, va, fd, offset);
	pthread_mutex_unlock(&heap->growing);
	return error;
}

static int renew_page(struct dma_domain *domain, char *va)
{
	const struct dma_chunk *chunk = find_chunk(domain->heap, va);

	if (!chunk || (uint64_t)(va - (const char *)chunk->va) % chunk->page_size)
		return -EINVAL;
	return domain->ops->renew(domain, chunk, va);
}

int usrpci_dma_renew(struct usrpci_ctx *ctx, void *va)
{
	struct dma_heap *heap = heap_of(ctx);
	int error;

	if (!heap)
		return -EINVAL;
	if (!ctx->domain->ops->renew)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&heap->growing);
	error = renew_page(ctx->domain, va);
	pthread_mutex_unlock(&heap->growing);
	return error;
}

static void stats_locked(struct dma_heap *heap, struct heap_stats *stats)
{
	lock_acquire(&heap->lock);
	heap_stats(heap->heap, stats);
	lock_release(&heap->lock);
}

/* Gets at least one more chunk, however small the request is. The caller holds "growing". */
static int reserve_more(struct dma_domain *domain, uint64_t size)
{
	const struct dma_chunk_request request = {
		.size = size < RESERVE_STEP ? align_up(size, HEAP_GRANULE) : RESERVE_STEP,
		.align = HEAP_GRANULE,
		.limit = UINT64_MAX,
		.node = -1,
	};
	struct dma_heap *heap = domain->heap;
	size_t before = heap->count;
	int error;

	heap->wanted = &request;
	error = domain->ops->grow(domain, &request, add_chunk);
	if (!heap->wanted) {
		lock_acquire(&heap->lock);
		heap_free(heap->heap, heap->found);
		lock_release(&heap->lock);
	}
	heap->wanted = NULL;
	return heap->count > before ? 0 : error < 0 ? error : -ENOMEM;
}

int usrpci_dma_reserve(struct usrpci_ctx *ctx, size_t size)
{
	struct dma_heap *heap = heap_of(ctx);
	struct heap_stats stats;
	int error = 0;

	if (!heap)
		return report(ctx, -ENXIO, NULL, NULL, "no device is open yet");
	pthread_mutex_lock(&heap->growing);
	stats_locked(heap, &stats);
	while (!error && stats.held - stats.used < size) {
		error = reserve_more(ctx->domain, size - (stats.held - stats.used));
		stats_locked(heap, &stats);
	}
	pthread_mutex_unlock(&heap->growing);
	return error;
}

size_t usrpci_dma_trim(struct usrpci_ctx *ctx)
{
	struct dma_heap *heap = heap_of(ctx);
	size_t bytes;

	if (!heap)
		return 0;
	pthread_mutex_lock(&heap->growing);
	bytes = give_back_from(ctx->domain, 0);
	pthread_mutex_unlock(&heap->growing);
	return bytes;
}

void usrpci_dma_stats(struct usrpci_ctx *ctx, struct usrpci_dma_stats *result)
{
	struct dma_heap *heap = heap_of(ctx);
	struct heap_stats stats;

	*result = (struct usrpci_dma_stats){0};
	if (!heap)
		return;
	pthread_mutex_lock(&heap->growing);
	stats_locked(heap, &stats);
	result->pages = heap->pages;
	pthread_mutex_unlock(&heap->growing);
	result->bytes_held = stats.held;
	result->bytes_used = stats.used;
	result->blocks = stats.blocks;
	result->largest_free = stats.largest_free;
}

int dma_attach(struct usrpci_ctx *ctx, struct dma_domain *domain, uintptr_t delta)
{
	struct dma_heap *heap = calloc(1, sizeof(*heap));
	int error = heap ? heap_create(&heap->heap) : -ENOMEM;

	if (error) {
		free(heap);
		return report(ctx, error, NULL, NULL, "cannot allocate the records of DMA memory");
	}
	pthread_mutex_init(&heap->growing, NULL);
	domain->heap = heap;
	ctx->base.head.dma_delta = delta;
	ctx->domain = domain;
	return 0;
}

void dma_detach(struct dma_domain *domain)
{
	struct dma_heap *heap;

	if (!domain)
		return;
	heap = domain->heap;
	domain->ctx->domain = NULL;
	while (heap->count > 0)
		domain->ops->shrink(domain, &heap->chunks[--heap->count]);
	free(heap->chunks);
	heap_destroy(heap->heap);
	pthread_mutex_destroy(&heap->growing);
	free(heap);
	domain->ops->destroy(domain);
}
