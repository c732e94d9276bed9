// SPDX-License-Identifier: BSD-2-Clause
/*
 * An array that grows to powers of two. Leaves out shrinking: lists here live as long as a call.
 */

#include <stdint.h>
#include <stdlib.h>

#include "array.h"
#include "numbers.h"

void *array_grow(void *items, size_t count, size_t more, size_t size)
{
	size_t wanted = next_power_of_two(count + more);

	if (items && count && count + more <= next_power_of_two(count))
		return items;
	return wanted > PTRDIFF_MAX / size ? NULL : reallocarray(items, wanted, size);
}
