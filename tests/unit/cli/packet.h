/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Packets of TCP as tests of the pump make and check them, in code that is not the pump's. */

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdint.h>

#include "fake/checksum.h"

enum { IP = ETH_HLEN };

static inline void put(uint8_t *at, unsigned int size, uint32_t value)
{
	while (size-- > 0) {
		at[size] = (uint8_t)value;
		value >>= 8;
	}
}

static inline uint32_t get(const uint8_t *at, unsigned int size)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < size; i++)
		value = value << 8 | at[i];
	return value;
}

static inline unsigned int pseudo(const uint8_t *data, bool is_ipv6, unsigned int length)
{
	return is_ipv6 ? checksum(length + 6, data + IP + 8, 32)
		       : checksum(length + 6, data + IP + 12, 8);
}
