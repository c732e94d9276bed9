/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>

/* Has room for the name of an interface that is all quotes. */
#define INTERFACE_WORD 64

/*
 * Writes a word as a shell reads it, in quotes where it must be; what does not fit is cut. There is
 * room for three bytes at least.
 */
const char *shell_word(const char *word, char *text, size_t size);
