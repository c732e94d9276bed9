// SPDX-License-Identifier: BSD-2-Clause
/*
 * Free device addresses as a sorted array of ranges: few in practice (a hole for interrupt
 * messages, the heap's chunks at the bottom, the program's own mappings at the top), so that a
 * binary search and a short memmove beat a tree. First fit from either end.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "numbers.h"
#include "vfio/iova.h"

/*
 * A block that is given back adds at most one range, so one more entry for each block that is out
 * is all that iova_give() can ever need.
 */
static int make_room(struct iova_space *space, size_t more)
{
	size_t need = space->count + space->blocks + more, room = space->room;
	struct iova_range *grown;

	if (need <= room)
		return 0;
	while (room < need)
		room = room ? 2 * room : 16;
	grown = realloc(space->free, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	space->free = grown;
	space->room = room;
	return 0;
}

static void insert(struct iova_space *space, size_t at, struct iova_range range)
{
	memmove(&space->free[at + 1], &space->free[at], (space->count - at) * sizeof(*space->free));
	space->free[at] = range;
	space->count++;
}

static void drop(struct iova_space *space, size_t at)
{
	space->count--;
	memmove(&space->free[at], &space->free[at + 1], (space->count - at) * sizeof(*space->free));
}

int iova_open(struct iova_space *space, const struct iova_range *ranges, size_t count)
{
	int error;

	memset(space, 0, sizeof(*space));
	error = make_room(space, count);
	if (error)
		return error;
	memcpy(space->free, ranges, count * sizeof(*ranges));
	space->count = count;
	return 0;
}

void iova_close(struct iova_space *space)
{
	free(space->free);
	memset(space, 0, sizeof(*space));
}

int iova_keep(struct iova_space *space, const struct iova_range *ranges, size_t count)
{
	struct iova_space kept = {.blocks = space->blocks};
	size_t i = 0, j = 0;

	/* Each step below ends a range of one list or the other. */
	if (make_room(&kept, space->count + count))
		return -ENOMEM;
	while (i < space->count && j < count) {
		struct iova_range a = space->free[i], b = ranges[j];
		struct iova_range both = {a.first > b.first ? a.first : b.first,
					  a.last < b.last ? a.last : b.last};

		if (both.first <= both.last)
			insert(&kept, kept.count, both);
		if (a.last < b.last)
			i++;
		else
			j++;
	}
	free(space->free);
	*space = kept;
	return 0;
}

/* Cuts a block out of the free range at an index. Room for a second part was made before. */
static void cut(struct iova_space *space, size_t at, uint64_t addr, uint64_t size)
{
	struct iova_range *range = &space->free[at];
	struct iova_range above = {addr + size, range->last};
	uint64_t last = addr + (size - 1);

	space->blocks++;
	if (range->first == addr && range->last == last) {
		drop(space, at);
	} else if (range->first == addr) {
		range->first = above.first;
	} else if (range->last == last) {
		range->last = addr - 1;
	} else {
		range->last = addr - 1;
		insert(space, at + 1, above);
	}
}

/* The addresses inside a free range at which the block may start, before alignment. */
static int starts(const struct iova_range *range, const struct iova_request *request,
		  struct iova_range *start)
{
	if (range->last - range->first < request->size - 1)
		return -ENOSPC;
	start->first = range->first > request->first ? range->first : request->first;
	start->last = range->last - (request->size - 1);
	if (start->last > request->last)
		start->last = request->last;
	return start->first <= start->last ? 0 : -ENOSPC;
}

int iova_take_low(struct iova_space *space, const struct iova_request *request, uint64_t *addr)
{
	struct iova_range start;
	uint64_t low;

	if (make_room(space, 2))
		return -ENOMEM;
	for (size_t i = 0; i < space->count; i++) {
		if (starts(&space->free[i], request, &start))
			continue;
		low = align_up(start.first, request->align);
		if (low < start.first || low > start.last)
			continue;
		cut(space, i, low, request->size);
		*addr = low;
		return 0;
	}
	return -ENOSPC;
}

int iova_take_high(struct iova_space *space, const struct iova_request *request, uint64_t *addr)
{
	struct iova_range start;
	uint64_t high;

	if (make_room(space, 2))
		return -ENOMEM;
	for (size_t i = space->count; i-- > 0;) {
		if (starts(&space->free[i], request, &start))
			continue;
		high = align_down(start.last, request->align);
		if (high < start.first)
			continue;
		cut(space, i, high, request->size);
		*addr = high;
		return 0;
	}
	return -ENOSPC;
}

/* The index of the first free range above an address. */
static size_t above(const struct iova_space *space, uint64_t addr)
{
	size_t low = 0, high = space->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (space->free[middle].first > addr)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void iova_give(struct iova_space *space, uint64_t addr, uint64_t size)
{
	struct iova_range range = {addr, addr + (size - 1)};
	size_t at = above(space, addr);

	space->blocks--;
	if (at < space->count && space->free[at].first - 1 == range.last) {
		range.last = space->free[at].last;
		drop(space, at);
	}
	if (at > 0 && space->free[at - 1].last + 1 == range.first)
		space->free[at - 1].last = range.last;
	else
		insert(space, at, range);
}
