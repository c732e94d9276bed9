// SPDX-License-Identifier: BSD-2-Clause
/*
 * The heap's table, see heap_table.h. Windows are reserved as inaccessible addresses; opening makes
 * accessible what a range needs, an eighth of its size at most, so that even where memory must not
 * be overcommitted no more is counted.
 */

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma/heap_table.h"
#include "numbers.h"

static int window_ensure(struct heap_table *table, uint64_t addr)
{
	struct window *window = window_of(table, addr);

	if (window)
		return 0;
	window = mmap(NULL, sizeof(*window), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		      -1, 0);
	if (window == MAP_FAILED)
		return -ENOMEM;
	if (mprotect(window, offsetof(struct window, tags), PROT_READ | PROT_WRITE)) {
		munmap(window, sizeof(*window));
		return -ENOMEM;
	}
	window->next = table->list;
	table->list = window;
	atomic_store_explicit(&table->windows[addr >> WINDOW_SHIFT], window, memory_order_release);
	return 0;
}

/* Opens a range inside one window. */
static int window_open(struct heap_table *table, uint64_t addr, uint64_t size)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	int error = window_ensure(table, addr);
	uintptr_t first, end;

	if (error)
		return error;
	first = (uintptr_t)heap_table_tag(table, addr);
	end = first + size / HEAP_GRANULE * sizeof(struct block *);
	first &= -page;
	end = align_up(end, page);
	return mprotect((void *)first, end - first, PROT_READ | PROT_WRITE) ? -ENOMEM : 0;
}

int heap_table_open(struct heap_table *table, uint64_t addr, uint64_t size)
{
	uint64_t end = addr + size, next;
	int error = 0;

	for (; addr < end && !error; addr = next) {
		next = (addr | (WINDOW - 1)) + 1;
		error = window_open(table, addr, (next < end ? next : end) - addr);
	}
	return error;
}

void heap_table_close(struct heap_table *table, uint64_t addr, uint64_t size)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t span = page / sizeof(struct block *) * HEAP_GRANULE;
	uint64_t end = align_down(addr + size, span);

	for (addr = align_up(addr, span); addr < end; addr += span)
		madvise(heap_table_tag(table, addr), page, MADV_DONTNEED);
}

/* A range's bits in one word of a window's bitmap. Returns how many bytes they stand for. */
static uint64_t page_bits(uint64_t addr, uint64_t size, uint64_t *word, uint64_t *mask)
{
	uint64_t page = addr % WINDOW / HEAP_PAGE;
	uint64_t count = (addr % HEAP_PAGE + size + HEAP_PAGE - 1) / HEAP_PAGE;

	if (count > 64 - page % 64)
		count = 64 - page % 64;
	*word = page / 64;
	*mask = (count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1) << (page % 64);
	return count * HEAP_PAGE - addr % HEAP_PAGE;
}

void heap_table_mark(struct heap_table *table, uint64_t addr, uint64_t size, bool present)
{
	uint64_t word, mask, step;

	for (uint64_t end = addr + size; addr < end; addr += step) {
		struct window *window = window_of(table, addr);

		step = page_bits(addr, end - addr, &word, &mask);
		if (present)
			atomic_fetch_or_explicit(&window->present[word], mask,
						 memory_order_release);
		else
			atomic_fetch_and_explicit(&window->present[word], ~mask,
						  memory_order_release);
	}
}

/* Returns which of the bits are set. */
static uint64_t set_bits(const struct heap_table *table, uint64_t addr, uint64_t word,
			 uint64_t mask)
{
	const struct window *window = window_of(table, addr);

	if (!window)
		return 0;
	return mask & atomic_load_explicit(&window->present[word], memory_order_acquire);
}

bool heap_table_covers_any(const struct heap_table *table, uint64_t addr, uint64_t size)
{
	uint64_t word, mask, step;

	for (uint64_t end = addr + size; addr < end; addr += step) {
		step = page_bits(addr, end - addr, &word, &mask);
		if (set_bits(table, addr, word, mask))
			return true;
	}
	return false;
}

bool heap_table_covers_all(const struct heap_table *table, uint64_t addr, uint64_t size)
{
	uint64_t word, mask, step;

	for (uint64_t end = addr + size; addr < end; addr += step) {
		step = page_bits(addr, end - addr, &word, &mask);
		if (set_bits(table, addr, word, mask) != mask)
			return false;
	}
	return true;
}

int heap_table_create(struct heap_table *table)
{
	const size_t size = WINDOWS * sizeof(*table->windows);

	table->list = NULL;
	table->windows = mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table->windows == MAP_FAILED)
		return -ENOMEM;
	madvise(table->windows, size, MADV_NOHUGEPAGE);
	return 0;
}

void heap_table_destroy(struct heap_table *table)
{
	while (table->list) {
		struct window *next = table->list->next;

		munmap(table->list, sizeof(*next));
		table->list = next;
	}
	munmap(table->windows, WINDOWS * sizeof(*table->windows));
}
