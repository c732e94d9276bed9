/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Bytes of configuration space: little-endian numbers of any alignment, and silence. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint16_t get_le16(const void *bytes)
{
	const uint8_t *b = bytes;

	return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t get_le32(const void *bytes)
{
	const uint8_t *b = bytes;

	return get_le16(b) | (uint32_t)get_le16(b + 2) << 16;
}

static inline void put_le16(void *bytes, uint16_t value)
{
	uint8_t *b = bytes;

	b[0] = (uint8_t)value;
	b[1] = (uint8_t)(value >> 8);
}

static inline void put_le32(void *bytes, uint32_t value)
{
	put_le16(bytes, (uint16_t)value);
	put_le16((uint8_t *)bytes + 2, (uint16_t)(value >> 16));
}

static inline uint64_t get_le64(const void *bytes)
{
	const uint8_t *b = bytes;

	return get_le32(b) | (uint64_t)get_le32(b + 4) << 32;
}

static inline void put_le64(void *bytes, uint64_t value)
{
	put_le32(bytes, (uint32_t)value);
	put_le32((uint8_t *)bytes + 4, (uint32_t)(value >> 32));
}

/* Whether all bytes are ones, which is how a device that does not answer reads. */
static inline bool all_ones(const uint8_t *bytes, size_t size)
{
	while (size > 0 && bytes[size - 1] == 0xff)
		size--;
	return size == 0;
}
