// SPDX-License-Identifier: BSD-2-Clause
/*
 * Numbers and sizes as people write and read them.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

bool parse_number(const char *text, int base, uint64_t max, uint64_t *value)
{
	char *end;

	/* strtoull(3) would take a sign and leading space, too. */
	if (!strchr("0123456789abcdefABCDEF", *text) || !*text)
		return false;
	errno = 0;
	*value = strtoull(text, &end, base);
	return !errno && !*end && *value <= max;
}

static const char units[] = " KMGTPE";

const char *size_text(uint64_t bytes, char text[SIZE_TEXT])
{
	size_t unit = 0;

	while (bytes && bytes % 1024 == 0 && units[unit + 1]) {
		bytes /= 1024;
		unit++;
	}
	if (unit)
		snprintf(text, SIZE_TEXT, "%" PRIu64 " %ciB", bytes, units[unit]);
	else
		snprintf(text, SIZE_TEXT, "%" PRIu64 " B", bytes);
	return text;
}

bool parse_size(const char *text, uint64_t *bytes)
{
	char digits[24];
	size_t length = strlen(text), shift = 0;
	const char *unit = length ? strchr("KMG", text[length - 1] & ~0x20) : NULL;

	if (unit && *unit) {
		shift = 10 * (size_t)(strchr(units, *unit) - units);
		length--;
	}
	if (length == 0 || length >= sizeof(digits))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)length, text);
	if (!parse_number(digits, 10, UINT64_MAX >> shift, bytes))
		return false;
	*bytes <<= shift;
	return true;
}
