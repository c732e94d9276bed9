/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>

/*
 * Writes a word as a shell reads it: in quotes where it has to be. What does not fit is cut. Returns
 * text.
 */
char *shell_word(const char *word, char *text, size_t size);
