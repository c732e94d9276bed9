// SPDX-License-Identifier: BSD-2-Clause
/*
 * The files of devices that are lent. The program asks for a path and gets a file if the path is,
 * to the letter, one of those that were listed before it started; nothing it sends is used as a
 * path.
 *
 * /dev/uioN is opened once and stays open: the kernel switches bus mastering off on its last close,
 * and the lock on it keeps others away.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "driver.h"
#include "file.h"
#include "group.h"
#include "lend/lend.h"

#define LOG_SUBJECT "lend"
#include "log.h"

/* Files that write to configuration space or reset the device stay with the broker. */
static enum lend_use use_of(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	return !strcmp(name, "config")  ? LEND_READ
	       : !strcmp(name, "reset") ? LEND_RESET
					: LEND_OPEN;
}

__attribute__((format(printf, 3, 4))) static void list(struct lend *lend, unsigned int device,
						       const char *format, ...)
{
	struct lend_file *file = &lend->files[lend->file_count];
	va_list args;
	int length;

	if (lend->file_count == LEND_FILES_MAX)
		return;
	va_start(args, format);
	length = vsnprintf(file->path, sizeof(file->path), format, args);
	va_end(args);
	if (length < 0 || (size_t)length >= sizeof(file->path))
		return;
	file->device = device;
	file->use = use_of(file->path);
	file->fd = -1;
	lend->file_count++;
}

/* Opens what was listed last. */
static int open_last(struct lend *lend, struct lend_device *device)
{
	struct usrpci_ctx *ctx = lend->host->ctx;
	struct lend_file *file = &lend->files[lend->file_count - 1];

	file->fd = file_open(ctx, file->use == LEND_READ ? O_RDONLY : O_RDWR, "%s", file->path);
	return file->fd < 0
		       ? report(ctx, file->fd, device->name, NULL, "cannot open %s", file->path)
		       : 0;
}

/* The lock of the library's uio backend; the program gets this descriptor, and the lock with it. */
static int lock_device(struct lend *lend, unsigned int index)
{
	struct lend_device *device = &lend->devices[index];
	char path[PATH_SIZE];
	int error;

	list(lend, index, "%s", device_lock_path(lend->host->ctx, device->name, path));
	error = open_last(lend, device);

	if (!error && flock(lend->files[lend->file_count - 1].fd, LOCK_EX | LOCK_NB))
		return refuse(lend->host->ctx, -EBUSY, device->name, NULL,
			      "another program has /dev/uio%u open", device->uio);
	return error;
}

static int list_uio(struct lend *lend, unsigned int index)
{
	struct lend_device *device = &lend->devices[index];
	AUTO_FREE char **names = NULL;
	int count = dir_list(lend->host->ctx, &names, PCI_DEVICES "/%s/uio", device->name);
	int found = count > 0 && sscanf(names[0], "uio%u", &device->uio) == 1, error;

	if (!found)
		return report(lend->host->ctx, -ENODEV, device->name, NULL, "it has no uio device");
	error = lock_device(lend, index);
	if (error)
		return error;
	/* Who opens it without a capability reads 64 bytes. */
	list(lend, index, PCI_DEVICES "/%s/config", device->name);
	error = open_last(lend, device);
	if (error)
		return error;
	list(lend, index, PCI_DEVICES "/%s/reset", device->name);
	for (unsigned int bar = 0; bar < 6; bar++)
		list(lend, index, PCI_DEVICES "/%s/resource%u", device->name, bar);
	list(lend, index, "/dev/uio%u", device->uio);
	return open_last(lend, device);
}

static bool is_lent(const struct lend *lend, const struct usrpci_addr *addr)
{
	for (size_t i = 0; i < lend->count; i++)
		if (!usrpci_addr_compare(&lend->devices[i].info.addr, addr))
			return true;
	return false;
}

/* Whoever has the group can open every device of it that vfio holds. */
static int check_group(struct lend *lend, const struct lend_device *device)
{
	struct usrpci_dev_info *members;
	int count = group_endpoints(lend->host, &device->info, &members), error = 0;
	char name[USRPCI_ADDR_STRLEN];

	if (count < 0)
		return report(lend->host->ctx, count, device->name, NULL,
			      "cannot list its IOMMU group");
	for (int i = 0; !error && i < count && !lend->options->bind.whole_group; i++)
		if (members[i].driver_kind == USRPCI_DRIVER_VFIO &&
		    !is_lent(lend, &members[i].addr))
			error = refuse(
				lend->host->ctx, -EBUSY, device->name,
				"lend it too, or bind it to another driver",
				"the program could also open %s of the same IOMMU group, which %s "
				"holds",
				usrpci_addr_format(&members[i].addr, name), members[i].driver);
	free(members);
	return error;
}

static int list_vfio(struct lend *lend, unsigned int index)
{
	struct lend_device *device = &lend->devices[index];
	AUTO_FREE char **names = NULL;
	int count, error = check_group(lend, device);

	if (error)
		return error;
	list(lend, LEND_SHARED, "/dev/vfio/vfio");
	list(lend, index, "/dev/vfio/%d", device->info.iommu_group);
	list(lend, LEND_SHARED, "/dev/iommu");
	count = dir_list(lend->host->ctx, &names, PCI_DEVICES "/%s/vfio-dev", device->name);
	for (int i = 0; i < count; i++)
		list(lend, index, "/dev/vfio/devices/%s", names[i]);
	return 0;
}

int lend_files_open(struct lend *lend)
{
	int error = 0;

	for (unsigned int i = 0; !error && i < lend->count; i++)
		error = lend->devices[i].vfio ? list_vfio(lend, i) : list_uio(lend, i);
	if (!error && lend->options->file)
		list(lend, LEND_SHARED, "%s", lend->options->file);
	if (!error && lend->file_count == LEND_FILES_MAX)
		error = refuse(lend->host->ctx, -E2BIG, NULL, NULL, "too many devices at once");
	return error;
}

void lend_files_close(struct lend *lend)
{
	for (size_t i = 0; i < lend->file_count; i++)
		if (lend->files[i].fd >= 0)
			close(lend->files[i].fd);
	lend->file_count = 0;
}

struct lend_file *lend_file_find(struct lend *lend, const char *path)
{
	for (size_t i = 0; i < lend->file_count; i++)
		if (!strcmp(path, lend->files[i].path))
			return &lend->files[i];
	return NULL;
}

static bool is_of_another(const struct lend *lend, const struct lend_file *file)
{
	const struct lend_device *device;
	uint64_t now = 0;

	if (file->device == LEND_SHARED)
		return false;
	device = &lend->devices[file->device];
	return device->identity && (journal_identity(lend->host, &device->info.addr, &now) ||
				    (now && now != device->identity));
}

/* Another device may have been plugged in meanwhile, and its files have the same names. */
static int open_path(const struct lend *lend, const struct lend_file *file, int flags)
{
	int fd = file_open(lend->host->ctx, flags, "%s", file->path);

	if (fd < 0 || !is_of_another(lend, file))
		return fd;
	close(fd);
	return -ENODEV;
}

int lend_file_get(struct lend *lend, const struct lend_file *file)
{
	int fd;

	if (file->use == LEND_RESET)
		return -ENOENT;
	if (file->fd < 0)
		return open_path(lend, file, file->use == LEND_READ ? O_RDONLY : O_RDWR);
	fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

int lend_file_reset(struct lend *lend, const struct lend_file *file)
{
	AUTO_CLOSE int fd = open_path(lend, file, O_WRONLY);

	return fd < 0 ? fd : pwrite_exact(fd, "1", 1, 0);
}
