/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_DMA_H
#define USRPCI_DMA_H

/*
 * DMA memory: memory that stays where it is and that the devices of a context can reach.
 *
 * One rule holds under every backend: device address = virtual address - a constant of the context.
 * So translation is a subtraction, neighbours in virtual memory are neighbours for the device, and
 * a block is contiguous for the device over its whole length.
 *
 * All functions may be called by several threads at once, but not by signal handlers. The context's
 * first device must be open before, since it decides what a device address is. A child of fork(2)
 * has no DMA memory and must not use the context.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/ctx.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An address as the device sees it: physical under uio, an IOVA under vfio. */
typedef uint64_t usrpci_dma_t;

/**
 * A NUMA node in a request: the number of the node plus 1, so that a request of zeros names no
 * node. Everywhere else a node is its number, and -1 stands for any or an unknown one.
 */
#define USRPCI_NODE(n) ((n) + 1)

/** What a block must satisfy. Zero in any member but size means no demand. */
struct usrpci_dma_request {
	size_t size;        /**< bytes, at least 1 */
	size_t align;       /**< of the device address, a power of two; at least 64 is given */
	size_t boundary;    /**< a power of two, not below size: no multiple of it lies inside */
	usrpci_dma_t limit; /**< highest address the device can reach: 0xffffffff for 32 bits */
	int node;           /**< USRPCI_NODE(n) for NUMA node n; 0: any */
	bool zero;          /**< clear the block, which otherwise holds what its last user left */
};

/**
 * Allocates a block. It belongs to the caller until usrpci_dma_free() or the context is closed.
 *
 * Errors: -EINVAL (size 0, align or boundary not a power of two, boundary below size, no such
 * node); -ENOMEM (no huge pages are free, or none that are neighbours or below the limit: the
 * message says which, how much was asked and how to get more); -EPERM (physical addresses are
 * hidden: CAP_SYS_ADMIN is missing); -ENXIO (no device of the context is open).
 */
int usrpci_dma_alloc(struct usrpci_ctx *ctx, const struct usrpci_dma_request *request,
		     void **block);

/** Frees a block. A pointer that is not the start of a live block is logged and ignored. */
void usrpci_dma_free(struct usrpci_ctx *ctx, void *block);

/** A block and what a driver needs to know about it. All zeros is no block. */
struct usrpci_dma_block {
	void *va;          /**< where the program reaches it */
	usrpci_dma_t addr; /**< where the device does */
	size_t size;       /**< bytes that were asked for */
};

/** usrpci_dma_alloc() with the device address. After an error the block is all zeros. */
int usrpci_dma_block_alloc(struct usrpci_ctx *ctx, const struct usrpci_dma_request *request,
			   struct usrpci_dma_block *block);

/** Frees a block and makes it all zeros; does nothing for one that is so already. */
void usrpci_dma_block_free(struct usrpci_ctx *ctx, struct usrpci_dma_block *block);

/** The device address of any byte of DMA memory. Not checked: usrpci_dma_contains() does that. */
inline usrpci_dma_t usrpci_dma_addr(const struct usrpci_ctx *ctx, const void *va)
{
	return (uintptr_t)va - ((const struct usrpci_ctx_head *)ctx)->dma_delta;
}

/** The virtual address of a device address that came from usrpci_dma_addr(). */
inline void *usrpci_dma_va(const struct usrpci_ctx *ctx, usrpci_dma_t addr)
{
	return (void *)(uintptr_t)(addr + ((const struct usrpci_ctx_head *)ctx)->dma_delta);
}

/** Whether size bytes from va all lie in DMA memory of the context, allocated or not. */
bool usrpci_dma_contains(struct usrpci_ctx *ctx, const void *va, size_t size);

/** The size of a live block, bytes, at least what was asked for; 0 for any other pointer. */
size_t usrpci_dma_size(struct usrpci_ctx *ctx, const void *block);

/**
 * Makes memory that the caller already has reachable for the devices, at an address that the
 * library chooses. The memory must stay mapped until usrpci_dma_unmap(). Whole pages of the
 * system, whose size is sysconf(_SC_PAGESIZE).
 *
 * Errors: -EOPNOTSUPP (no IOMMU: only memory from usrpci_dma_alloc() is safe); -EINVAL; -EEXIST
 * (overlaps a mapping); -EFAULT (not all of it is memory that can be read and written); -ENOSPC
 * (limit of mappings); -ENOMEM (limit of locked memory; the message has the line that raises it).
 */
int usrpci_dma_map(struct usrpci_ctx *ctx, void *va, size_t size, usrpci_dma_t *addr);
int usrpci_dma_unmap(struct usrpci_ctx *ctx, void *va, size_t size);

/**
 * Gets huge pages for at least size bytes now, so that later allocations do not fail for want of
 * pages. That holds for their sum, not for a single block. Errors: -ENOMEM (pages that came until
 * then are kept); -EPERM; -ENXIO.
 */
int usrpci_dma_reserve(struct usrpci_ctx *ctx, size_t size);

/** Gives back huge pages that hold no block. Returns how many bytes. */
size_t usrpci_dma_trim(struct usrpci_ctx *ctx);

/*
 * The three functions that follow serve usrpci run, which lends DMA memory to another process. A
 * driver has no use for them.
 */

/**
 * Decides that device addresses are physical addresses, as under uio, before a device is open. A
 * process that may read them now may give up CAP_SYS_ADMIN afterwards.
 * Errors: -EXDEV (it was decided otherwise before); -ENOMEM; those of open(2) of
 * /proc/self/pagemap.
 */
int usrpci_dma_physical(struct usrpci_ctx *ctx);

/**
 * The file behind DMA memory, for another process to map: the descriptor stays the context's.
 * Errors: -EINVAL (not DMA memory of the context); -EOPNOTSUPP (there is no file in this kind of
 * domain).
 */
int usrpci_dma_file(struct usrpci_ctx *ctx, const void *va, int *fd, uint64_t *offset);

/**
 * Clears one page of DMA memory, and verifies that it is still the page that its device address
 * names. A process that was given the file of usrpci_dma_file() can cut the file short or exchange
 * its pages; storing to such memory could raise SIGBUS, this function never does. va is the start
 * of a huge page. After an error the page must not be used again.
 *
 * Errors: -EINVAL (va is not the start of a page of DMA memory of the context); -EFAULT (the file
 * does not reach there any more); -ESTALE (the file has another page there now); -EOPNOTSUPP (this
 * kind of domain has no files); -ENOENT, -EPERM or -EIO (the page's physical address cannot be
 * read); -EMFILE.
 */
int usrpci_dma_renew(struct usrpci_ctx *ctx, void *va);

struct usrpci_dma_stats {
	size_t pages;        /**< pages held, huge or not */
	size_t bytes_held;   /**< memory held, bytes */
	size_t bytes_used;   /**< in blocks, rounding included */
	size_t blocks;       /**< live blocks */
	size_t largest_free; /**< largest block that needs no further page, bytes */
};

/** Fills stats with what the context holds now: all zero before its first DMA memory. */
void usrpci_dma_stats(struct usrpci_ctx *ctx, struct usrpci_dma_stats *stats);

/*
 * Pools: buffers of one size for packet and I/O paths.
 */

struct usrpci_pool;

struct usrpci_pool_options {
	size_t size;        /**< of a buffer, bytes */
	size_t align;       /**< a power of two; default 64 */
	size_t boundary;    /**< as in usrpci_dma_request */
	size_t count;       /**< buffers */
	usrpci_dma_t limit; /**< as in usrpci_dma_request */
	int node;           /**< as in usrpci_dma_request */
};

/** Creates a pool; all its memory is allocated now. Errors: those of usrpci_dma_alloc(). */
int usrpci_pool_create(struct usrpci_ctx *ctx, const struct usrpci_pool_options *options,
		       struct usrpci_pool **pool);

/** Destroys a pool and frees its buffers, those that were not put back included. */
void usrpci_pool_destroy(struct usrpci_pool *pool);

/**
 * Takes a buffer. Returns NULL when none is left, not even in another thread's share. Any thread
 * may put back what another took. Putting NULL does nothing, as with free(3).
 */
void *usrpci_pool_get(struct usrpci_pool *pool);
void usrpci_pool_put(struct usrpci_pool *pool, void *buffer);

/** Takes count buffers or none: returns count or 0. */
unsigned int usrpci_pool_get_bulk(struct usrpci_pool *pool, void **buffers, unsigned int count);
void usrpci_pool_put_bulk(struct usrpci_pool *pool, void *const *buffers, unsigned int count);

/** How many buffers are in the pool now; a snapshot while other threads work. */
size_t usrpci_pool_available(const struct usrpci_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
