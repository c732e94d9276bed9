// SPDX-License-Identifier: BSD-2-Clause
/* Reads files of any length, see whole.h. */

#include <errno.h>
#include <unistd.h>

#include "array.h"
#include "whole.h"

#define PIECE 4095 /* with the zero behind it, one page */

int read_whole(int fd, char **text, size_t most)
{
	size_t length = 0;
	ssize_t got = 1;

	while (got > 0 && length < most) {
		char *longer = array_grow(*text, length, PIECE + 1, 1);

		if (!longer)
			return -ENOMEM;
		*text = longer;
		got = read(fd, longer + length, PIECE);
		length += got > 0 ? (size_t)got : 0;
		longer[length] = '\0';
	}
	return got < 0 ? -errno : length < most ? (int)length : -E2BIG;
}
