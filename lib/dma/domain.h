/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The DMA domain of a context: where DMA memory comes from and what a device address is. A backend
 * supplies the operations (physical.c under uio, vfio/domain.c, qemu/ram.c); dma.c puts the heap on
 * top and is their only caller, one thread at a time.
 *
 * Made by the context's first device, it lives until the context is closed: memory outlives
 * devices.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/dma.h>

#include "dma/heap.h"

/* Memory of one or more pages, contiguous for processor and device alike. */
struct dma_chunk {
	void *va;
	size_t size;      /* bytes, a multiple of page_size */
	size_t page_size; /* bytes */
	int node;         /* NUMA node, -1 unknown */
	uint64_t cookie;  /* the domain's own, e.g. the offset in its file */
};

struct dma_heap;

struct dma_domain {
	const struct dma_domain_ops *ops;
	struct usrpci_ctx *ctx;
	struct dma_heap *heap; /* dma.c's */
};

/*
 * Takes a chunk over. Returns 1 once the request that the domain works for can be met, so that it
 * stops; 0 where more is needed; or a negative errno, logged: the chunk stays the domain's.
 */
typedef int dma_add_fn(struct dma_domain *domain, const struct dma_chunk *chunk);

struct dma_domain_ops {
	const char *name; /* "physical", "vfio", "qemu": devices of one name share a domain */

	/*
	 * Gets memory for a request: calls add() for each chunk as it gets it, until that says that
	 * it is enough; a request may need neighbours, so that one chunk is not. Chunks that turn
	 * out to be of no use are given back by shrink() afterwards. Returns 0 or a negative errno,
	 * logged.
	 */
	int (*grow)(struct dma_domain *domain, const struct dma_chunk_request *request,
		    dma_add_fn *add);

	/* Gives memory back. No block lies in it and, by the driver's duty, no device uses it. */
	void (*shrink)(struct dma_domain *domain, const struct dma_chunk *chunk);

	/* Memory of the program, see usrpci_dma_map(). NULL: not possible in this domain. */
	int (*map)(struct dma_domain *domain, void *va, size_t size, usrpci_dma_t *addr);
	int (*unmap)(struct dma_domain *domain, void *va, size_t size);

	/*
	 * Clears the page at va, which is the start of one, and verifies that its device address
	 * is still true; see usrpci_dma_renew(). NULL: there are no files.
	 */
	int (*renew)(struct dma_domain *domain, const struct dma_chunk *chunk, void *va);

	/* The file behind a chunk, and the offset in it of the chunk's start. NULL: none. */
	int (*file)(struct dma_domain *domain, const struct dma_chunk *chunk, int *fd,
		    uint64_t *offset);

	/* Frees the domain; all chunks were given back before. */
	void (*destroy)(struct dma_domain *domain);
};

/*
 * dma.c: called with a new domain whose ctx and ops are set; sets base.head.dma_delta and creates
 * the heap. The constant must be known then and never changes. On failure nothing of the domain was
 * freed.
 */
int dma_attach(struct usrpci_ctx *ctx, struct dma_domain *domain, uintptr_t delta);

/* Gives back all chunks, the heap and the domain. NULL does nothing. */
void dma_detach(struct dma_domain *domain);

/*
 * physical.c: gives a context the domain in which device addresses are physical addresses, unless
 * it has it already. Takes no huge page yet. ctx->lock is held. Errors, logged: -EXDEV (the context
 * has another domain), -ENOMEM.
 */
int domain_physical_attach(struct usrpci_ctx *ctx);

/*
 * Opens what says physical addresses, for a process that then gives up the capability for it. The
 * context has this domain, and ctx->lock is held. Errors are logged.
 */
int domain_physical_open(struct usrpci_ctx *ctx);
