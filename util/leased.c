// SPDX-License-Identifier: BSD-2-Clause
/*
 * Files of /proc with a lease, see leased.h. Each mount of procfs has files of its own since Linux
 * 5.8, and a lease is on one of them, so that the same file of another mount has none. That mount
 * is nowhere in the tree and ends with its descriptor (fsmount(2)).
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"
#include "leased.h"

#define PROC "/proc/"

static int mount_another(void)
{
	const unsigned int attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	AUTO_CLOSE int context = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);

	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	return (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
}

/* In another namespace of processes the same number is another process's. */
static bool numbers_are_the_same(int another)
{
	char here[16] = "", there[16] = "";

	return readlink(PROC "self", here, sizeof(here) - 1) > 0 &&
	       readlinkat(another, "self", there, sizeof(there) - 1) > 0 && !strcmp(here, there);
}

int leased_open(const char *path)
{
	AUTO_CLOSE int another = mount_another();
	int fd;

	if (another < 0 || !numbers_are_the_same(another))
		return -EAGAIN;
	fd = openat(another, path + strlen(PROC), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}
