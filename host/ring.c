// SPDX-License-Identifier: BSD-2-Clause
/* Reads which files are registered with an io_uring, see ring.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "host.h"
#include "leased.h"
#include "ring.h"

#define TRIES 20

/* "UserFiles:  2", then "    0: /dev/nvme0n1"; what follows is of no file. */
static int read_files(FILE *info, int (*judge)(void *data, const char *name), void *data)
{
	AUTO_FREE char *line = NULL;
	unsigned int count = 0, listed = 0;
	char name[PATH_SIZE];
	bool known = false;
	size_t size = 0;
	int error = 0;

	while (!error && getline(&line, &size, info) > 0) {
		if (sscanf(line, "UserFiles: %u", &count) == 1)
			known = true;
		else if (!strncmp(line, "UserBufs", strlen("UserBufs")))
			break;
		else if (known && sscanf(line, " %*u: %511[^\n]", name) == 1) {
			listed++;
			error = strcmp(name, "<none>") ? judge(data, name) : 0;
		}
	}
	return error ?: known && (!count || listed) ? 0 : -EAGAIN;
}

/* Where its owner has taken a lease on it, it is opened by its whole name. */
static int open_info(int fds, const char *path)
{
	int fd = openat(fds, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char link[32], full[PATH_SIZE];
	ssize_t length;

	if (fd >= 0 || errno != EWOULDBLOCK)
		return fd < 0 ? -errno : fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fds);
	length = readlink(link, full, sizeof(full) - 80);
	if (length < 6 || memcmp(full, "/proc/", 6))
		return -EAGAIN;
	snprintf(full + length, sizeof(full) - (size_t)length, "/%s", path);
	return leased_open(full);
}

/* A ring that was closed meanwhile has no files. */
static int try_read(int fds, const char *path, int (*judge)(void *data, const char *name),
		    void *data)
{
	int fd = open_info(fds, path), error;
	FILE *info = fd < 0 ? NULL : fdopen(fd, "r");

	if (!info) {
		if (fd >= 0)
			close(fd);
		return fd < 0 && fd != -EAGAIN ? 0 : -EAGAIN;
	}
	error = read_files(info, judge, data);
	fclose(info);
	return error;
}

/* The kernel names none while it works on what the ring was told, which is soon done. */
int ring_each_file(int fds, const char *fd, int (*judge)(void *data, const char *name), void *data)
{
	char path[64];
	int error;

	snprintf(path, sizeof(path), "../fdinfo/%.32s", fd);
	error = try_read(fds, path, judge, data);
	for (int i = 1; error == -EAGAIN && i < TRIES; i++) {
		sleep_ms(1);
		error = try_read(fds, path, judge, data);
	}
	return error;
}
