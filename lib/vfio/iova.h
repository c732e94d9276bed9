/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Which device addresses (IOVAs) of a domain are free. Numbers only: nothing here touches memory or
 * the kernel. The caller serializes.
 */

#include <stddef.h>
#include <stdint.h>

/* first..last, both inclusive, so that 2^64 - 1 can be said. */
struct iova_range {
	uint64_t first;
	uint64_t last;
};

struct iova_space {
	struct iova_range *free; /* ascending, not empty, never touching */
	size_t count;
	size_t room;   /* entries of free that are allocated */
	size_t blocks; /* taken and not given back */
};

/* What a block must satisfy; all of them are sizes or addresses in bytes. */
struct iova_request {
	uint64_t size;  /* > 0 */
	uint64_t align; /* power of two */
	uint64_t first; /* lowest address that the block may have */
	uint64_t last;  /* highest address that it may start at */
};

/* Starts with these ranges free: ascending and disjoint. Returns 0 or -ENOMEM. */
int iova_open(struct iova_space *space, const struct iova_range *ranges, size_t count);
void iova_close(struct iova_space *space);

/*
 * Drops free addresses outside these ranges for good. Returns 0, or -ENOMEM and nothing has
 * changed.
 */
int iova_keep(struct iova_space *space, const struct iova_range *ranges, size_t count);

/* Take the lowest or the highest block that satisfies. Returns 0, -ENOSPC or -ENOMEM. */
int iova_take_low(struct iova_space *space, const struct iova_request *request, uint64_t *addr);
int iova_take_high(struct iova_space *space, const struct iova_request *request, uint64_t *addr);

/* Gives back a block; cannot fail, because room for it was made when it was taken. */
void iova_give(struct iova_space *space, uint64_t addr, uint64_t size);
