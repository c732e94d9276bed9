// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk of a rump kernel's behind the plugin, by its raw device (/dev/rld0d), which copies what
 * the client has to memory of the kernel's. A write of NetBSD's has no FUA, so such a write is
 * followed by a flush. Its numbers are sys/sys/{dkio,ioccom}.h of NetBSD.
 *
 * libusrpci-rump is loaded when it is needed, so the plugin does without.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <usrpci/rump.h>

#include "rump.h"

#define LIBRARY    "libusrpci-rump.so.0"
#define BUFFER_MAX (64u << 10) /* what NetBSD's physio() does at once */
#define SEEN_MS    10000       /* a disk behind a controller is found after a while */
#define LOOK_MS    50

#define NETBSD_O_RDWR   2
#define NETBSD_ENXIO    6
#define NETBSD_ENOTTY   25
#define DIOCCACHESYNC   0x80046476ul
#define DIOCGMEDIASIZE  0x40086484ul
#define DIOCGSECTORSIZE 0x40046485ul

/* System calls of the rump kernel; -1 is a failure, with NetBSD's number in errno. */
struct rump_disk {
	int (*open)(const char *path, int flags, int mode);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *data);
	ssize_t (*pread)(int fd, void *buffer, size_t size, off_t offset);
	ssize_t (*pwrite)(int fd, const void *buffer, size_t size, off_t offset);
	int fd;
	uint8_t block_shift;
};

/* Starts the kernel, and finds out what it calls the disk. */
static int start_kernel(const struct disk_options *options, const char **name, const char **why)
{
	void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_GLOBAL);
	int (*run)(const char *, const char *) = NULL;
	const char *(*disk)(const char *) = NULL;

	if (library) {
		run = (int (*)(const char *, const char *))dlsym(library, "usrpci_rump_start");
		disk = (const char *(*)(const char *))dlsym(library, "usrpci_rump_disk");
	}
	if (!run || !disk) {
		*why = "drivers of NetBSD's need " LIBRARY ", which cannot be loaded";
		return -ENOTSUP;
	}
	*name = disk(options->rump);
	if (*name)
		return run(options->rump, options->device);
	*why = "NetBSD's driver of this name, if there is one, is none of a disk's";
	return -ENOTSUP;
}

static int find_symbols(struct rump_disk *disk, const char **why)
{
	disk->open = dlsym(RTLD_DEFAULT, "rump___sysimpl_open");
	disk->close = dlsym(RTLD_DEFAULT, "rump___sysimpl_close");
	disk->ioctl = dlsym(RTLD_DEFAULT, "rump___sysimpl_ioctl");
	disk->pread = dlsym(RTLD_DEFAULT, "rump___sysimpl_pread");
	disk->pwrite = dlsym(RTLD_DEFAULT, "rump___sysimpl_pwrite");
	if (disk->open && disk->close && disk->ioctl && disk->pread && disk->pwrite)
		return 0;
	*why = "this rump kernel lacks a system call";
	return -ENOTSUP;
}

static int open_device(struct rump_disk *disk, const char *name, const char **why)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/r%s0d", name);
	for (unsigned int ms = 0; ms < SEEN_MS; ms += LOOK_MS) {
		disk->fd = disk->open(path, NETBSD_O_RDWR, 0);
		if (disk->fd >= 0 || errno != NETBSD_ENXIO)
			break;
		usleep(LOOK_MS * 1000);
	}
	if (disk->fd >= 0)
		return 0;
	*why = "NetBSD's driver has not found a disk";
	return -ENOTSUP;
}

static int describe(struct rump_disk *disk, const struct disk_options *options,
		    struct disk_about *about, const char **why)
{
	unsigned int sector = 0;
	int64_t size = 0;

	if (disk->ioctl(disk->fd, DIOCGMEDIASIZE, &size) ||
	    disk->ioctl(disk->fd, DIOCGSECTORSIZE, &sector) || size <= 0 || sector < 512 ||
	    sector > BUFFER_MAX || sector & (sector - 1)) {
		*why = "NetBSD's driver does not say how large the disk is";
		return -ENOTSUP;
	}
	disk->block_shift = (uint8_t)__builtin_ctz(sector);
	about->ns.nsid = 1;
	about->ns.block_size = sector;
	about->ns.block_shift = disk->block_shift;
	about->ns.blocks = (uint64_t)size >> disk->block_shift;
	about->buffer = BUFFER_MAX;
	about->lanes = options->lanes;
	return 0;
}

int rump_disk_open(const struct disk_options *options, struct disk_about *about,
		   struct rump_disk **result, const char **why)
{
	struct rump_disk *disk = calloc(1, sizeof(*disk));
	int error = disk ? 0 : -ENOMEM;
	const char *name = NULL;

	error = error ?: start_kernel(options, &name, why) ?: find_symbols(disk, why);
	if (!error) {
		disk->fd = -1;
		error = open_device(disk, name, why) ?: describe(disk, options, about, why);
	}
	if (error)
		free(disk);
	else
		*result = disk;
	return error;
}

/* A driver that knows no flush leaves the disk without a cache, as virtio does. */
static int flush(struct rump_disk *disk)
{
	int force = 1;

	if (!disk->ioctl(disk->fd, DIOCCACHESYNC, &force) || errno == NETBSD_ENOTTY)
		return 0;
	return -EIO;
}

void rump_disk_close(struct rump_disk *disk)
{
	if (!disk)
		return;
	flush(disk);
	disk->close(disk->fd);
	free(disk);
}

void rump_disk_do(struct rump_disk *disk, struct disk_request *request, void *data)
{
	off_t offset = (off_t)(request->lba << disk->block_shift);
	size_t size = (size_t)request->blocks << disk->block_shift;
	ssize_t done = (ssize_t)size;

	request->status = 0;
	request->error = 0;
	if (request->op == USRPCI_NVME_OP_READ)
		done = disk->pread(disk->fd, data, size, offset);
	else if (request->op == USRPCI_NVME_OP_WRITE)
		done = disk->pwrite(disk->fd, data, size, offset);
	else if (request->op == USRPCI_NVME_OP_FLUSH)
		request->error = flush(disk);
	else
		request->error = -EOPNOTSUPP;
	if (done != (ssize_t)size)
		request->error = -EIO;
	if (!request->error && request->flags & USRPCI_NVME_FUA)
		request->error = flush(disk);
}
