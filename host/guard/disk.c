// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's disk part: disks and partitions of a device, and the block devices above them (device
 * mapper, md, multipath), that are mounted, swapped to, or held. What this mount namespace doesn't
 * show, or what holds a disk without a trace in sysfs (ZFS, a container's mount), is found by
 * opening the disk exclusively, which the kernel refuses then.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file.h"
#include "guard/guard.h"
#include "libraries.h"

#define LOG_SUBJECT "guard"
#include "log.h"

/* LVM on crypt on md on partitions is five; a hostile /sys may be a circle. */
#define DEPTH_MAX 8

struct disk_tables {
	struct lazy_mount *lib;
	struct libmnt_table *mounts;
	struct libmnt_table *swaps;
};

static int read_tables(struct usrpci_host *host, struct disk_tables *tables)
{
	char path[PATH_SIZE];
	int error;

	tables->lib = lazy_load_mount();
	if (!tables->lib)
		return report(host->ctx, -ELIBACC, NULL, "apt install libmount1",
			      "cannot read what is mounted");
	tables->mounts = tables->lib->mnt_new_table();
	tables->swaps = tables->lib->mnt_new_table();
	if (!tables->mounts || !tables->swaps)
		return -ENOMEM;
	error = path_format(host->ctx, path, "/proc/self/mountinfo");
	if (!error)
		error = tables->lib->mnt_table_parse_file(tables->mounts, path);
	if (error)
		return report(host->ctx, error < 0 ? error : -EIO, NULL, NULL,
			      "cannot read what is mounted");
	error = path_format(host->ctx, path, "/proc/swaps");
	if (!error && file_exists(host->ctx, "/proc/swaps"))
		error = tables->lib->mnt_table_parse_swaps(tables->swaps, path);
	if (error)
		return report(host->ctx, error < 0 ? error : -EIO, NULL, NULL,
			      "cannot read /proc/swaps");
	return 0;
}

static bool is_source(const struct disk_tables *tables, struct libmnt_fs *fs, const char *disk)
{
	const char *source = tables->lib->mnt_fs_get_source(fs);

	return source && !strncmp(source, "/dev/", 5) && !strcmp(source + 5, disk);
}

/* By number, for a source may be any link to it; by name for Btrfs, which has a number of its own.
 */
static bool is_on_disk(const struct disk_tables *tables, struct libmnt_fs *fs, const char *disk,
		       dev_t number)
{
	return (number && tables->lib->mnt_fs_get_devno(fs) == number) ||
	       is_source(tables, fs, disk);
}

static dev_t disk_number(struct usrpci_host *host, const char *disk)
{
	unsigned int major_number, minor_number;
	char text[NAME_SIZE];

	if (file_read(host->ctx, text, sizeof(text), "/sys/class/block/%s/dev", disk) < 0 ||
	    sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return 0;
	return makedev(major_number, minor_number);
}

static int guard_mounts(const struct disk_tables *tables, const char *disk, dev_t number,
			struct use_list *list)
{
	struct libmnt_iter *iterator = tables->lib->mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	int error = iterator ? 0 : -ENOMEM;

	while (!error && !tables->lib->mnt_table_next_fs(tables->mounts, iterator, &fs)) {
		if (is_on_disk(tables, fs, disk, number))
			error = use_add(list, USRPCI_USE_MOUNT, disk, "%s is mounted on %s", disk,
					tables->lib->mnt_fs_get_target(fs));
	}
	if (!error)
		tables->lib->mnt_reset_iter(iterator, MNT_ITER_FORWARD);
	while (!error && !tables->lib->mnt_table_next_fs(tables->swaps, iterator, &fs)) {
		if (is_source(tables, fs, disk))
			error = use_add(list, USRPCI_USE_SWAP, disk, "%s is swap space", disk);
	}
	tables->lib->mnt_free_iter(iterator);
	return error;
}

static int guard_exclusive(struct usrpci_host *host, const char *disk, struct use_list *list)
{
	int fd = file_open(host->ctx, O_RDONLY | O_EXCL | O_NONBLOCK, "/dev/%s", disk);

	if (fd == -EBUSY)
		return use_add(list, USRPCI_USE_HOLDER, disk,
			       "%s is held: the kernel refuses to open it exclusively", disk);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int guard_disk(struct usrpci_host *host, const char *disk, const struct disk_tables *tables,
		      unsigned int depth, struct use_list *list);

static int guard_holders(struct usrpci_host *host, const char *disk,
			 const struct disk_tables *tables, unsigned int depth,
			 struct use_list *list)
{
	char **names, title[128];
	int count = dir_list(host->ctx, &names, "/sys/class/block/%s/holders", disk);
	int error = 0;
	int i;

	if (count < 0)
		return count == -ENOENT
			       ? 0
			       : report(host->ctx, count, disk, NULL, "cannot read its holders");
	for (i = 0; !error && i < count; i++) {
		if (file_read(host->ctx, title, sizeof(title), "/sys/class/block/%s/dm/name",
			      names[i]) < 0)
			title[0] = '\0';
		error = use_add(list, USRPCI_USE_HOLDER, disk, "%s is held by %s%s%s%s", disk,
				names[i], title[0] ? " (" : "", title, title[0] ? ")" : "");
		if (!error)
			error = guard_disk(host, names[i], tables, depth + 1, list);
	}
	free(names);
	return error;
}

static int guard_disk(struct usrpci_host *host, const char *disk, const struct disk_tables *tables,
		      unsigned int depth, struct use_list *list)
{
	int error = guard_mounts(tables, disk, disk_number(host, disk), list);

	if (error || depth == DEPTH_MAX)
		return error;
	return guard_holders(host, disk, tables, depth, list);
}

/* A whole disk cannot be opened exclusively while a part of it is in use: ask only when none is. */
static int guard_all(struct usrpci_host *host, char (*disks)[NAME_SIZE], int count,
		     struct use_list *list)
{
	struct disk_tables tables = {0};
	size_t before = list->count;
	int error = count ? read_tables(host, &tables) : 0;
	int i;

	for (i = 0; !error && i < count; i++)
		error = guard_disk(host, disks[i], &tables, 0, list);
	for (i = 0; !error && i < count && list->count == before; i++)
		error = guard_exclusive(host, disks[i], list);
	if (tables.mounts)
		tables.lib->mnt_unref_table(tables.mounts);
	if (tables.swaps)
		tables.lib->mnt_unref_table(tables.swaps);
	free(tables.lib);
	return error;
}

/*
 * With native NVMe multipath the disk that is used, nvme0n1, hangs on no PCI device; its path
 * nvme0c1n1 does.
 */
bool multipath_head(const char *disk, char head[NAME_SIZE])
{
	unsigned int subsystem, controller, namespace;
	int end = 0;

	if (sscanf(disk, "nvme%uc%un%u%n", &subsystem, &controller, &namespace, &end) != 3 ||
	    disk[end])
		return false;
	snprintf(head, NAME_SIZE, "nvme%un%u", subsystem, namespace);
	return true;
}

/* Appends a disk's partitions to a list of count. Returns how long it is then, or -errno. */
static int append_partitions(struct usrpci_host *host, const char *disk, char (**list)[NAME_SIZE],
			     int count)
{
	char(*longer)[NAME_SIZE];
	char **names;
	int found = dir_list(host->ctx, &names, "/sys/class/block/%s", disk);

	if (found < 0)
		return found == -ENOENT ? count : found;
	longer = reallocarray(*list, (size_t)(count + found) + 1, sizeof(*longer));
	for (int i = 0; longer && i < found; i++) {
		if (strlen(names[i]) < NAME_SIZE && !strncmp(names[i], disk, strlen(disk)) &&
		    file_exists(host->ctx, "/sys/class/block/%s/%s/dev", disk, names[i]))
			strcpy(longer[count++], names[i]);
	}
	free(names);
	if (!longer)
		return -ENOMEM;
	*list = longer;
	return count;
}

int disk_members(struct usrpci_host *host, const struct usrpci_addr *addr,
		 char (**names)[NAME_SIZE])
{
	int count = class_members(host, addr, "block", names), all = count;
	char head[NAME_SIZE];

	for (int i = 0; all >= 0 && i < count; i++) {
		if (!multipath_head((*names)[i], head))
			continue;
		strcpy((*names)[i], head);
		all = append_partitions(host, head, names, all);
	}
	if (all < 0 && count >= 0)
		free(*names);
	return all;
}

int guard_disks(struct usrpci_host *host, const struct usrpci_dev_info *info, struct use_list *list)
{
	char(*disks)[NAME_SIZE];
	int count = disk_members(host, &info->addr, &disks);
	int error;

	if (count < 0)
		return report(host->ctx, count, NULL, NULL, "cannot read /sys/class/block");
	error = count ? guard_all(host, disks, count, list) : 0;
	free(disks);
	return error;
}
