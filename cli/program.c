// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whether a program can be run, see program.h.
 */

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
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

int program_of_ours(const char *name, char path[PROGRAM_PATH])
{
	char self[PROGRAM_PATH - 64];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length > 0) {
		self[length] = '\0';
		snprintf(path, PROGRAM_PATH, "%s/%s", dirname(self), name);
		if (!look_at(path))
			return 0;
	}
	snprintf(path, PROGRAM_PATH, USRPCI_LIBEXECDIR "/%s", name);
	return look_at(path);
}

int rump_kernel_find(void)
{
	const char *prefix = getenv("RUMP_PREFIX");
	char path[PROGRAM_PATH];

	if (!prefix)
		return 0;
	snprintf(path, sizeof(path), "%s/lib/librump.so", prefix);
	if (!access(path, R_OK))
		return 0;
	failed(path, "RUMP_PREFIX=DIR names where your rump kernel is installed",
	       "there is no rump kernel: %s", strerror(errno));
	return ENOENT;
}
