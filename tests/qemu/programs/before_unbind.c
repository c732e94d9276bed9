// SPDX-License-Identifier: BSD-2-Clause
/*
 * Preloaded to usrpci: runs the command in BEFORE_UNBIND when all is looked at and the kernel is
 * about to be told that a driver lets go of its device, or how many virtual functions there are.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_unbind(int fd)
{
	char link[64], path[512] = "";
	const char *name;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	name = length > 0 ? strrchr(path, '/') : NULL;
	return name && (!strcmp(name, "/unbind") || !strcmp(name, "/sriov_numvfs"));
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *data, size_t size)
{
	const char *command = getenv("BEFORE_UNBIND");

	if (command && is_unbind(fd)) {
		unsetenv("LD_PRELOAD");
		if (system(command) < 0)
			_exit(1);
	}
	return syscall(SYS_write, fd, data, size);
}
