// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads which loop device has which file. The path is that of the program that opened the file, if
 * there at all; the number of a disk, which the device tells, is true.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "array.h"
#include "file.h"
#include "guard/loop.h"

/* The numbers of the kernel's huge_encode_dev(). */
static dev_t decode_number(uint64_t number)
{
	return makedev(number >> 8 & 0xfff, (number & 0xff) | (number >> 12 & 0xfff00));
}

static void ask(struct usrpci_host *host, struct loop *loop)
{
	struct loop_info64 info;
	AUTO_CLOSE int fd = -1;

	if (!host_is_live(host))
		return;
	fd = file_open(host->ctx, O_RDONLY | O_NONBLOCK, "/dev/%s", loop->name);
	loop->asked = fd >= 0 && !ioctl(fd, LOOP_GET_STATUS64, &info);
	if (!loop->asked)
		return;
	loop->number = decode_number(info.lo_rdevice);
	loop->file_system = decode_number(info.lo_device);
}

static int add_loop(struct usrpci_host *host, const char *name, struct loop **loops, int *count)
{
	struct loop *loop;

	if (strncmp(name, "loop", 4) != 0 ||
	    !file_exists(host->ctx, "/sys/class/block/%s/loop", name))
		return 0;
	loop = array_grow(*loops, (size_t)*count, 1, sizeof(*loop));
	if (!loop)
		return -ENOMEM;
	*loops = loop;
	loop = &loop[(*count)++];
	*loop = (struct loop){0};
	snprintf(loop->name, sizeof(loop->name), "%s", name);
	ask(host, loop);
	if (file_read(host->ctx, loop->path, sizeof(loop->path),
		      "/sys/class/block/%s/loop/backing_file", name) <= 0)
		loop->path[0] = '\0';
	return 0;
}

int loops_read(struct usrpci_host *host, struct loop **loops)
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, "/sys/class/block"), error = 0, found = 0;

	*loops = NULL;
	if (count < 0)
		return count == -ENOENT || count == -ENOTDIR ? 0 : count;
	for (int i = 0; !error && i < count; i++)
		error = add_loop(host, names[i], loops, &found);
	return error ?: found;
}

bool loop_is_on(const struct guard *guard, const struct loop *loop, const struct leaf *disk)
{
	if (loop->asked)
		return loop->number && loop->number == disk->number;
	return is_disk_path(guard->host, disk, loop->path);
}

/* Of a loop device in use, losetup -d succeeds and waits for its last user. */
int cure_loop(struct guard *guard, const struct loop *loop)
{
	return use_cure(guard, "losetup -d /dev/%s # once lsblk /dev/%s shows nothing on it",
			loop->name, loop->name);
}

/*
 * Whether a loop device's file may be a disk's that this program cannot look up: it was deleted, or
 * stands in the /dev of a container.
 */
static bool may_be_disk(struct usrpci_host *host, const char *path)
{
	return strstr(path, " (deleted)") ||
	       (strstr(path, "/dev/") && !file_exists(host->ctx, "%s", path));
}

int guard_unseen_loop(struct guard *guard, const struct loop *loop)
{
	const struct tree *tree = &guard->tree;

	if (loop->asked || !may_be_disk(guard->host, loop->path))
		return 0;
	for (size_t i = 0; i < tree->count; i++)
		if (leaf_is(&tree->leaves[i], "block") && loop_is_on(guard, loop, &tree->leaves[i]))
			return 0;
	return use_unknown(guard, 0, "", "it cannot be seen which disk %s has", loop->name)
		       ?: cure_loop(guard, loop);
}
