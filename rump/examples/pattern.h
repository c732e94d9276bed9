/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Data that is known at every position: what is sent or stored is taken from it, what comes back is
 * compared with it. It repeats after a prime number of bytes, so no two pages near each other are
 * the same.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PATTERN_PERIOD 65521
#define PATTERN_MOST   (64 << 10)

/** The bytes at position, PATTERN_MOST of them. Not for several threads at once. */
static inline const uint8_t *pattern_at(size_t position)
{
	static uint8_t pattern[PATTERN_PERIOD + PATTERN_MOST];
	static int filled;

	for (uint64_t i = 0; !filled && i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)((i % PATTERN_PERIOD * 2654435761u) >> 13);
	filled = 1;
	return pattern + position % PATTERN_PERIOD;
}

static inline int pattern_matches(size_t position, const void *data, size_t size)
{
	return !memcmp(data, pattern_at(position), size);
}
