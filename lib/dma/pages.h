/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Pages for the domain "physical", which lie in files and in memory where the kernel chooses. All
 * that Linux has a word in when such pages are got and mapped is here; their addresses are
 * pagemap.h's.
 */

#include <stdint.h>

#include <usrpci/ctx.h>

/* Pages of one size, each at an offset of the file. */
struct page_file {
	uint64_t page_size;
	int fd; /* -1: not open */
	uint64_t end;
};

/*
 * Chooses the virtual address that stands for the physical address 0: one above which the program
 * has room for all memory of the machine, and nothing else is mapped.
 */
uint64_t pages_base(void);

/*
 * Opens the file unless it is open. Errors: -ENOMEM (there are no pages of this size); those of a
 * directory that the program named are logged.
 */
int pages_open(struct usrpci_ctx *ctx, struct page_file *file);
void pages_close(struct usrpci_ctx *ctx, struct page_file *file);

/*
 * Puts a page into the file at an offset, from a NUMA node unless that is -1. The page is never
 * swapped, and so seldom moved that physical.c can look whether it was. Errors, not logged: -ENOMEM
 * or -ENOSPC (the kernel has none).
 */
int pages_fill(const struct page_file *file, uint64_t offset, int node);

/* Gives a page back to the kernel. */
void pages_punch(const struct page_file *file, uint64_t offset);

/*
 * Maps a page, present at once: anywhere if va is NULL, and else at va, where it replaces nothing
 * and children of the process do not inherit it. An old kernel may choose another address. Returns
 * the address, or MAP_FAILED with errno.
 */
void *pages_map(const struct page_file *file, void *va, uint64_t offset);

/* The NUMA node of a mapped page; -1: unknown. */
int pages_node(void *va);
