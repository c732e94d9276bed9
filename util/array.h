/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "numbers.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Makes room in an array of count items for more of them, each of size bytes. The room is a power
 * of two and follows from the count, so the array must come from this function alone, or be NULL.
 *
 * Returns the array, which may have moved; NULL when there is no memory: it is as it was then.
 */
static inline void *array_grow(void *items, size_t count, size_t more, size_t size)
{
	size_t wanted = next_power_of_two(count + more);

	if (items && count && count + more <= next_power_of_two(count))
		return items;
	return wanted > PTRDIFF_MAX / size ? NULL : reallocarray(items, wanted, size);
}
