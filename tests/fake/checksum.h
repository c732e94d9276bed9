/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_CHECKSUM_H
#define USRPCI_TESTS_CHECKSUM_H

#include <stdint.h>

/* The sum of RFC 1071, as slow as it is plain, which goes on from an even number of bytes. */
static inline unsigned int checksum(unsigned int so_far, const uint8_t *bytes, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		so_far += i % 2 ? bytes[i] : (unsigned int)bytes[i] << 8;
	while (so_far >> 16)
		so_far = (so_far & 0xffff) + (so_far >> 16);
	return so_far;
}

#endif
