/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Rounding, powers of two, and numbers as text. */

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Where align is a power of two. */
static inline uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & -align;
}

static inline uint64_t align_down(uint64_t value, uint64_t align)
{
	return value & -align;
}

static inline bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* The smallest power of two that is not below value, which is at most 1 << 63. */
static inline uint64_t next_power_of_two(uint64_t value)
{
	return value > 1 ? UINT64_C(1) << (64 - __builtin_clzll(value - 1)) : 1;
}

/* The value of a hexadecimal digit of either case; -1 where it is none. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads a UUID of the usual 36 characters, whose bytes are those of its text. */
static inline bool parse_uuid(const char *text, uint8_t uuid[16])
{
	for (int i = 0; i < 16; i++) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return false;
		uuid[i] = (uint8_t)(high << 4 | low);
		text += 2;
		if ((i == 3 || i == 5 || i == 7 || i == 9) && *text++ != '-')
			return false;
	}
	return !*text;
}

/* Reads the number of a user or group, digits alone. UINT_MAX stands for none and is refused. */
static inline bool parse_id(const char *text, unsigned int *id)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	*id = (unsigned int)number;
	return isdigit((unsigned char)text[0]) && !*end && !errno && number < UINT32_MAX;
}
