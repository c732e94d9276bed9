/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>

/*
 * Reads all that a descriptor still has, which must be less than most bytes, into as much memory as
 * it needs. Returns its length, or a negative errno: -E2BIG for more. The text ends with a zero;
 * the caller frees it, also after an error, and gives NULL.
 */
int read_whole(int fd, char **text, size_t most);
