// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whether a program can be run, see program.h.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"

static int look_at(const char *file)
{
	struct stat about;

	if (stat(file, &about))
		return errno;
	return S_ISREG(about.st_mode) && !access(file, X_OK) ? 0 : EACCES;
}

int program_find(const char *program)
{
	const char *path = getenv("PATH");
	int error = ENOENT;

	if (strchr(program, '/'))
		return look_at(program);
	for (path = path ? path : "/bin:/usr/bin";; path++) {
		int length = (int)strcspn(path, ":"), last;
		char file[PATH_MAX];

		snprintf(file, sizeof(file), "%.*s/%s", length, length ? path : ".", program);
		last = look_at(file);
		error = last == ENOENT ? error : last;
		path += length;
		if (!last || !*path)
			return error;
	}
}
