/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The heap's table: which pages are the heap's, and, for each granule, the used block that starts
 * there. It comes in windows of 1 GiB of addresses, of which only what is written is backed by
 * memory.
 *
 * Windows stay until the heap is destroyed, so asking whether pages are the heap's needs no lock.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dma/heap.h"

#define WINDOW_SHIFT 30
#define WINDOW       (UINT64_C(1) << WINDOW_SHIFT)
#define WINDOWS      (HEAP_END >> WINDOW_SHIFT)
#define WINDOW_PAGES (WINDOW / HEAP_PAGE)
#define WINDOW_TAGS  (WINDOW / HEAP_GRANULE)

struct block;

struct window {
	_Atomic uint64_t present[WINDOW_PAGES / 64]; /* a bit for each page that is the heap's */
	struct window *next;
	_Alignas(HEAP_PAGE) struct block *tags[WINDOW_TAGS]; /* used blocks, by first granule */
};

struct heap_table {
	_Atomic(struct window *) *windows; /* by address */
	struct window *list;
};

int heap_table_create(struct heap_table *table);
void heap_table_destroy(struct heap_table *table);

/* Makes the entries of a range accessible. Errors: -ENOMEM. */
int heap_table_open(struct heap_table *table, uint64_t addr, uint64_t size);

/* Lets the system have the memory of a range's entries, which are all empty. */
void heap_table_close(struct heap_table *table, uint64_t addr, uint64_t size);

/* Says whether an open range's pages are the heap's. */
void heap_table_mark(struct heap_table *table, uint64_t addr, uint64_t size, bool present);

bool heap_table_covers_any(const struct heap_table *table, uint64_t addr, uint64_t size);
bool heap_table_covers_all(const struct heap_table *table, uint64_t addr, uint64_t size);

static inline struct window *window_of(const struct heap_table *table, uint64_t addr)
{
	return atomic_load_explicit(&table->windows[addr >> WINDOW_SHIFT], memory_order_acquire);
}

static inline struct block **tag_in(struct window *window, uint64_t addr)
{
	return &window->tags[addr / HEAP_GRANULE % WINDOW_TAGS];
}

/* The entry of an address that is the heap's. */
static inline struct block **heap_table_tag(const struct heap_table *table, uint64_t addr)
{
	return tag_in(window_of(table, addr), addr);
}

/* The entry of the used block that starts at any address whatever, or NULL. */
static inline struct block **heap_table_find(const struct heap_table *table, uint64_t addr)
{
	uint64_t page = addr % WINDOW / HEAP_PAGE, present;
	struct window *window;
	struct block **tag;

	if (addr >= HEAP_END || addr % HEAP_GRANULE)
		return NULL;
	window = window_of(table, addr);
	if (!window)
		return NULL;
	present = atomic_load_explicit(&window->present[page / 64], memory_order_relaxed);
	if (!(present >> (page % 64) & 1))
		return NULL;
	tag = tag_in(window, addr);
	return *tag ? tag : NULL;
}
