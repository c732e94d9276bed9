/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "layout.h"

/*
 * Allocates from the bus's DMA heap, below 4 GiB as long as it can. Returns 0 or a negative errno.
 */
int rump_heap_alloc(struct rump_bus *bus, size_t size, size_t align, void **block);

/* Whether a shortage of memory was reported already: the kernel asks for it again and again. */
bool rump_memory_is_short(void);
