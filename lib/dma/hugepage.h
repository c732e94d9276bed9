/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_DMA_HUGEPAGE_H
#define USRPCI_LIB_DMA_HUGEPAGE_H

/* What the system has of huge pages, for choosing a size and for saying why there are none. */

#include <stddef.h>
#include <stdint.h>

#include <usrpci/ctx.h>

#define HUGEPAGE_2M (UINT64_C(2) << 20)
#define HUGEPAGE_1G (UINT64_C(1) << 30)

struct hugepage_pool {
	uint64_t total;
	uint64_t free;
	uint64_t promised; /* of the free ones: mapped by somebody, not yet touched */
};

/* Reads a pool, of one node or (-1) of all. Errors: -ENOENT (no such size or node); not logged. */
int hugepage_pool(const struct usrpci_ctx *ctx, uint64_t page_size, int node,
		  struct hugepage_pool *pool);

/*
 * How many bytes of a page size the program's control group still grants; UINT64_MAX when there is
 * no limit.
 */
uint64_t hugepage_cgroup_room(const struct usrpci_ctx *ctx, uint64_t page_size);

/* Writes why no page was to be had: "2048 kB pages: 4 in all, 0 free; ...". Returns text. */
const char *hugepage_describe(const struct usrpci_ctx *ctx, uint64_t page_size, int node,
			      char *text, size_t size);

#endif
