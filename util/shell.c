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
	char *to = text;

	if (is_plain(word)) {
		snprintf(text, size, "%s", word);
		return text;
	}
	*to++ = '\'';
	for (const char *next = word; *next && (size_t)(to - text) + 6 < size; next++)
		if (*next == '\'')
			to = stpcpy(to, "'\\''");
		else
			*to++ = *next;
	strcpy(to, "'");
	return text;
}
