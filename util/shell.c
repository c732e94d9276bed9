// SPDX-License-Identifier: BSD-2-Clause
/* Words of the commands that usrpci prints, for people to paste them into sh(1). */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "shell.h"

static bool is_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-./:,@%+=";

	return word[0] && word[strspn(word, plain)] == '\0';
}

const char *shell_word(const char *word, char *text, size_t size)
{
	size_t at;

	if (is_plain(word)) {
		snprintf(text, size, "%s", word);
		return text;
	}
	at = (size_t)snprintf(text, size, "'");
	for (const char *next = word; *next && at + 6 < size; next++)
		at += (size_t)snprintf(text + at, size - at, *next == '\'' ? "'\\''" : "%c", *next);
	if (at < size)
		snprintf(text + at, size - at, "'");
	return text;
}
