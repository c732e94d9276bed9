/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the system has of huge pages, for choosing a size and for saying why there are none. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/ctx.h>

#define HUGEPAGE_2M (UINT64_C(2) << 20)
#define HUGEPAGE_1G (UINT64_C(1) << 30)

struct hugepage_pool {
	uint64_t total;
	uint64_t free;
	uint64_t surplus;  /* of total, allocated beyond the pool's size */
	uint64_t promised; /* of the free ones: mapped by somebody, not yet touched */
};

/* Reads a pool, of one node or (-1) of all. Errors: -ENOENT (no such size or node); not logged. */
int hugepage_pool(const struct usrpci_ctx *ctx, uint64_t page_size, int node,
		  struct hugepage_pool *pool);

/* Free pages of a size that are promised; the kernel counts them for all nodes together only. */
uint64_t hugepage_promised(const struct usrpci_ctx *ctx, uint64_t page_size);

/* The tightest limit that control groups put on the program's huge pages of a size. */
struct hugepage_limit {
	uint64_t bytes; /* UINT64_MAX: there is none */
	uint64_t room;  /* what is left of it */
	char file[48];  /* that sets it, "hugetlb.2MB.max" */
};

/* Returns whether there is a limit. */
bool hugepage_cgroup_limit(const struct usrpci_ctx *ctx, uint64_t page_size,
			   struct hugepage_limit *limit);

/* Writes why no page was to be had: "2048 kB pages: 4 in all, 0 free; ...". Returns text. */
const char *hugepage_describe(const struct usrpci_ctx *ctx, uint64_t page_size, int node,
			      char *text, size_t size);
