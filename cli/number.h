/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Numbers and sizes as people write and read them.
 */

#include <stdbool.h>
#include <stdint.h>

/* Reads a number in C notation or, with base 16, in hexadecimal with or without 0x. */
bool parse_number(const char *text, int base, uint64_t max, uint64_t *value);

/* Accepts 2M, 1G, 64K, 4096. */
bool parse_size(const char *text, uint64_t *bytes);

/* Writes a size as "64 KiB": exactly, in the largest unit that divides it. */
enum { SIZE_TEXT = 32 };
const char *size_text(uint64_t bytes, char text[SIZE_TEXT]);
