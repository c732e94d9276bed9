// SPDX-License-Identifier: BSD-2-Clause
/*
 * Configuration space and BARs through the files that the kernel has for every PCI device
 * (Documentation/PCI/sysfs-pci.rst). Memory BARs are mapped, I/O BARs are read and written at
 * offsets of their file, so no port privileges are needed. Interrupts and DMA are left out: they
 * need a driver, see uio.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bytes.h"
#include "file.h"
#include "kernel.h"
#include "lent.h"
#include "sysfs.h"
#include "unread.h"

#define LOG_SUBJECT "sysfs"
#include "log.h"

/* Flags in the file "resource" (include/linux/ioport.h; they are ABI by now). */
#define RESOURCE_IO       0x00000100
#define RESOURCE_MEM      0x00000200
#define RESOURCE_PREFETCH 0x00002000
#define RESOURCE_MEM_64   0x00100000
#define RESOURCE_UNSET    0x20000000

/* Returns what usually fixes a failure of one of the device's files; NULL: nothing is known. */
static const char *cure(struct usrpci_dev *dev, int error, char *hint, size_t size)
{
	if (error == -EPERM && kernel_is_locked_down(dev->ctx)) {
		snprintf(
			hint, size,
			"kernel lockdown forbids it; vfio-pci works: usrpci bind %s --driver vfio-pci",
			dev->name);
		return hint;
	}
	if (error == -EPERM || error == -EACCES)
		return lent_cure(dev->ctx, "run as root");
	if (error == -EINVAL && *dev->info.driver)
		return "the kernel keeps memory that a driver claimed to itself; iomem=relaxed on "
		       "its command line changes that";
	return NULL;
}

/* Logs a failure of one of the device's files. */
static int report_file(struct usrpci_dev *dev, int error, const char *action, const char *file)
{
	char hint[160];

	if (error == -ENODEV || error == -EIO)
		return dev_gone(dev);
	return report(dev->ctx, error, dev->name, cure(dev, error, hint, sizeof(hint)),
		      "cannot %s " PCI_DEVICES "/%s/%s", action, dev->name, file);
}

int sysfs_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size)
{
	struct sysfs_dev *sysfs = dev->backend;
	int error = pread_exact(sysfs->config, buffer, size, offset);

	return error ? report_file(dev, error, "read", "config") : 0;
}

static int write_through_broker(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
				size_t size)
{
	int error = lent_config_write(dev->ctx, dev->name, offset, buffer, size);

	if (!error)
		return 0;
	if (error != -EPERM)
		return report_file(dev, error == -ENOENT ? -EACCES : error, "write", "config");
	return report(dev->ctx, error, dev->name, NULL,
		      "register 0x%x of its configuration space is not lent", offset);
}

int sysfs_config_write(struct usrpci_dev *dev, unsigned int offset, const void *buffer, size_t size)
{
	struct sysfs_dev *sysfs = dev->backend;
	int error = pwrite_exact(sysfs->config, buffer, size, offset);

	/*
	 * These are the errors of a descriptor that is open only for reading, in sysfs and
	 * elsewhere.
	 */
	if (error == -ESPIPE || error == -EBADF)
		error = -EACCES;
	/* A broker gives out nothing that writes there. */
	if (error == -EACCES && dev->ctx->broker)
		return write_through_broker(dev, offset, buffer, size);
	return error ? report_file(dev, error, "write", "config") : 0;
}

static int open_file(struct usrpci_dev *dev, int flags, const char *file)
{
	return file_open(dev->ctx, flags, PCI_DEVICES "/%s/%s", dev->name, file);
}

/* A file mounted over sysfs could give a driver wrong registers. */
static bool is_of_sysfs(const struct usrpci_ctx *ctx, int fd)
{
	struct statfs system;

	return ctx->base.root[0] || (!fstatfs(fd, &system) && system.f_type == SYSFS_MAGIC);
}

static int open_regular(struct usrpci_dev *dev, int flags)
{
	return file_open_regular(dev->ctx, flags, PCI_DEVICES "/%s/config", dev->name);
}

/* Looking at a device works without the right to write to it. */
static int open_config(struct usrpci_dev *dev)
{
	int fd = open_regular(dev, O_RDWR);

	if (fd < 0 && dev->inspect && (fd == -EACCES || fd == -EPERM || fd == -EROFS))
		fd = open_regular(dev, O_RDONLY);
	if (fd >= 0 && !is_of_sysfs(dev->ctx, fd)) {
		close(fd);
		return refuse(dev->ctx, -EBADMSG, dev->name, NULL,
			      PCI_DEVICES "/%s/config is no file of sysfs", dev->name);
	}
	if (fd < 0)
		report_file(dev, fd == -ENOENT ? -ENODEV : fd, "open", "config");
	return fd;
}

/* The file's size is the device's; without privileges reads end after the standard header. */
static unsigned int readable_size(const struct usrpci_dev *dev, int config)
{
	struct stat status = {0};
	uint8_t byte;
	ssize_t got = fstat(config, &status) ? -1 : 0;

	if (!got && status.st_size >= USRPCI_CONFIG_SIZE)
		got = pread(config, &byte, 1, USRPCI_CONFIG_SIZE - 1);
	if (got < 0)
		note_unread(dev->ctx, dev->name, -errno);
	if (got != 1)
		return PCI_STD_HEADER_SIZEOF;
	return status.st_size < USRPCI_CONFIG_SIZE_EXPRESS ? USRPCI_CONFIG_SIZE
							   : USRPCI_CONFIG_SIZE_EXPRESS;
}

/* "0xstart 0xend 0xflags", a line for each BAR. */
static bool parse_resource(const char *line, struct usrpci_bar_info *bar)
{
	uint64_t start, end, flags;

	if (sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &end, &flags) != 3)
		return false;
	*bar = (struct usrpci_bar_info){0};
	if (!(flags & (RESOURCE_IO | RESOURCE_MEM)) || end < start)
		return true;
	bar->size = end - start + 1;
	bar->address = flags & RESOURCE_UNSET ? 0 : start;
	bar->flags = (flags & RESOURCE_IO ? USRPCI_BAR_IO : 0) |
		     (flags & RESOURCE_UNSET ? USRPCI_BAR_UNASSIGNED : 0) |
		     (flags & RESOURCE_MEM_64 ? USRPCI_BAR_64BIT : 0) |
		     (flags & RESOURCE_PREFETCH ? USRPCI_BAR_PREFETCH : 0);
	return true;
}

static uint32_t register_flags(uint32_t value)
{
	if (value & PCI_BASE_ADDRESS_SPACE_IO)
		return USRPCI_BAR_IO;
	return ((value & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64
			? USRPCI_BAR_64BIT
			: 0) |
	       (value & PCI_BASE_ADDRESS_MEM_PREFETCH ? USRPCI_BAR_PREFETCH : 0);
}

/*
 * A BAR for which the kernel found no address is all zeros in the file resource. Its register tells
 * it from one that is not there, except where neither the kind nor firmware set a bit in it.
 */
static void find_unassigned(struct usrpci_dev *dev, const uint8_t *header)
{
	unsigned int registers = dev->info.header_type == PCI_HEADER_TYPE_NORMAL ? USRPCI_BARS : 0;

	for (unsigned int i = 0; i < registers; i++) {
		uint32_t value = get_le32(header + PCI_BASE_ADDRESS_0 + 4 * i);
		uint32_t flags = register_flags(value);

		if (value && value != UINT32_MAX && !dev->bars[i].size)
			dev->bars[i].flags = flags | USRPCI_BAR_UNASSIGNED;
		if (flags & USRPCI_BAR_64BIT)
			i++;
	}
}

int sysfs_read_bars(struct usrpci_dev *dev)
{
	uint8_t header[PCI_STD_HEADER_SIZEOF];
	char text[2048], *line = text;
	int length = file_read(dev->ctx, text, sizeof(text), PCI_DEVICES "/%s/resource", dev->name);

	if (length < 0)
		return report_file(dev, length, "read", "resource");
	for (unsigned int i = 0; i < USRPCI_BARS; i++) {
		if (!line || !parse_resource(line, &dev->bars[i]))
			return report(dev->ctx, -EPROTO, dev->name, NULL,
				      "line %u of its file resource makes no sense", i + 1);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!dev_read_header(dev->ctx, dev->name, header))
		find_unassigned(dev, header);
	return 0;
}

int sysfs_attach(struct usrpci_dev *dev, struct sysfs_dev *sysfs)
{
	int error = sysfs_read_bars(dev);

	if (error)
		return error;
	sysfs->config = open_config(dev);
	if (sysfs->config < 0)
		return sysfs->config;
	dev->config_size = readable_size(dev, sysfs->config);
	for (unsigned int i = 0; i < USRPCI_BARS; i++)
		sysfs->io[i] = -1;
	return 0;
}

void sysfs_detach(struct sysfs_dev *sysfs)
{
	close(sysfs->config);
}

int sysfs_lock(struct usrpci_dev *dev)
{
	char path[PATH_SIZE];
	int fd = file_open(dev->ctx, O_RDWR, "%s", device_lock_path(dev->ctx, dev->name, path));
	int error;

	if (fd < 0)
		return report(dev->ctx, fd, dev->name,
			      fd == -EACCES ? lent_cure(dev->ctx, "run as root") : NULL,
			      "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	error = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return error == -EBUSY ? error
			       : report(dev->ctx, error, dev->name, NULL, "cannot lock %s", path);
}

static int open_resource(struct usrpci_dev *dev, unsigned int index, char file[16])
{
	snprintf(file, 16, "resource%u", index);
	return open_file(dev, O_RDWR, file);
}

static int map_io(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	struct sysfs_dev *sysfs = dev->backend;
	char file[16];

	if (sysfs->io_users[bar->index] == 0) {
		int fd = open_resource(dev, bar->index, file);

		if (fd < 0)
			return report_file(dev, fd, "open", file);
		sysfs->io[bar->index] = fd;
	}
	sysfs->io_users[bar->index]++;
	return 0;
}

static void unmap_io(struct sysfs_dev *sysfs, unsigned int index)
{
	if (--sysfs->io_users[index] > 0)
		return;
	close(sysfs->io[index]);
	sysfs->io[index] = -1;
}

/* A tree that stands for a host may be forged: an access behind the end of a file is a SIGBUS. */
static bool has_all(int fd, const struct usrpci_bar *bar)
{
	struct stat status;

	return !fstat(fd, &status) && (uint64_t)status.st_size >= bar->offset + bar->size;
}

/*
 * Pages are mapped. A BAR smaller than a page lies somewhere in its page, which it may share; a
 * larger one begins with a page, since BARs are aligned to their size.
 */
static int map_pages(struct usrpci_dev *dev, struct usrpci_bar *bar, int fd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = bar->offset + (dev->bars[bar->index].address & (page - 1));
	uint64_t skip = start & (page - 1);
	void *map;

	if (!has_all(fd, bar))
		return -EPROTO;
	map = mmap(NULL, skip + bar->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   (off_t)(start - skip));
	if (map == MAP_FAILED)
		return -errno;
	bar->base = (volatile uint8_t *)map + skip;
	bar->direct_size = bar->size & ~(size_t)7;
	return 0;
}

static int map_memory(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	char file[16];
	AUTO_CLOSE int fd = open_resource(dev, bar->index, file);
	int error;

	if (fd < 0)
		return report_file(dev, fd, "open", file);
	error = map_pages(dev, bar, fd);
	if (error == -EPROTO)
		return report(dev->ctx, error, dev->name, NULL,
			      "its file %s is shorter than its BAR", file);
	return error ? report_file(dev, error, "map", file) : 0;
}

/* The kernel has this file for prefetchable memory, where the processor can combine stores. */
int sysfs_bar_map_wc(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	AUTO_CLOSE int fd = file_open(dev->ctx, O_RDWR, PCI_DEVICES "/%s/resource%u_wc", dev->name,
				      bar->index);

	return fd < 0 || map_pages(dev, bar, fd) ? -EOPNOTSUPP : 0;
}

int sysfs_bar_map(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	return bar->flags & USRPCI_BAR_IO ? map_io(dev, bar) : map_memory(dev, bar);
}

void sysfs_bar_unmap(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	uintptr_t skip = (uintptr_t)bar->base & ((uintptr_t)sysconf(_SC_PAGESIZE) - 1);

	if (bar->flags & USRPCI_BAR_IO)
		unmap_io(dev->backend, bar->index);
	else
		munmap((void *)((uintptr_t)bar->base - skip), skip + bar->size);
}

/* The kernel takes port accesses of 1, 2 and 4 bytes in the processor's byte order. */
int sysfs_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t *value)
{
	struct sysfs_dev *sysfs = bar->dev->backend;
	uint8_t bytes[4] = {0};
	int error;

	if (bar->base) {
		*value = mmio_load(bar->base + offset, width);
		return 0;
	}
	error = pread_exact(sysfs->io[bar->index], bytes, width, (off_t)(bar->offset + offset));
	if (error)
		return report_file(bar->dev, error, "read", "the file of an I/O BAR");
	*value = get_le32(bytes);
	return 0;
}

int sysfs_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t value)
{
	struct sysfs_dev *sysfs = bar->dev->backend;
	uint8_t bytes[4];
	int error;

	if (bar->base) {
		mmio_store(bar->base + offset, width, value);
		return 0;
	}
	put_le32(bytes, (uint32_t)value);
	error = pwrite_exact(sysfs->io[bar->index], bytes, width, (off_t)(bar->offset + offset));
	return error ? report_file(bar->dev, error, "write", "the file of an I/O BAR") : 0;
}

bool sysfs_can_reset(struct usrpci_dev *dev)
{
	return file_exists(dev->ctx, PCI_DEVICES "/%s/reset", dev->name);
}

static int write_reset(struct usrpci_dev *dev)
{
	AUTO_CLOSE int fd = open_file(dev, O_WRONLY, "reset");

	return fd < 0 ? fd : pwrite_exact(fd, "1", 1, 0);
}

/* The kernel saves and restores configuration space around the reset. */
int sysfs_reset(struct usrpci_dev *dev, enum usrpci_reset kind)
{
	int error = dev->ctx->broker ? lent_reset(dev->ctx, dev->name) : write_reset(dev);

	if (error == -ENOTTY)
		error = -EOPNOTSUPP;
	return error ? report_file(dev, error, "write", "reset") : 0;
}

static bool sysfs_match(struct usrpci_ctx *ctx, const struct backend_target *target)
{
	return target->inspect && target->info;
}

static int sysfs_open(struct usrpci_dev *dev)
{
	struct sysfs_dev *sysfs = calloc(1, sizeof(*sysfs));
	int error;

	if (!sysfs)
		return -ENOMEM;
	error = sysfs_attach(dev, sysfs);
	if (error)
		free(sysfs);
	else
		dev->backend = sysfs;
	return error;
}

static void sysfs_close(struct usrpci_dev *dev)
{
	sysfs_detach(dev->backend);
	free(dev->backend);
}

static uint32_t sysfs_features(struct usrpci_dev *dev)
{
	return sysfs_can_reset(dev) ? USRPCI_FEATURE_RESET : 0;
}

const struct backend_ops backend_sysfs = {
	.name = "sysfs",
	.match = sysfs_match,
	.open = sysfs_open,
	.close = sysfs_close,
	.features = sysfs_features,
	.config_read = sysfs_config_read,
	.config_write = sysfs_config_write,
	.bar_map = sysfs_bar_map,
	.bar_map_wc = sysfs_bar_map_wc,
	.bar_unmap = sysfs_bar_unmap,
	.bar_read = sysfs_bar_read,
	.bar_write = sysfs_bar_write,
	.reset = sysfs_reset,
};
