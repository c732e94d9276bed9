// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's disk part: disks and partitions of a device, and the block devices above them (device
 * mapper, md), that are mounted, swapped to, or held. What no mount table shows, or what holds a
 * disk without a trace in sysfs (ZFS, a mount in a container), is found by opening the disk
 * exclusively, which the kernel refuses then.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "guard/guard.h"
#include "guard/hold.h"
#include "guard/loop.h"
#include "libraries.h"
#include "shell.h"

/* LVM on crypt on md on partitions is five; a hostile /sys may be a circle. */
#define DEPTH_MAX 8

struct disk_tables {
	struct guard *guard;
	struct library_mount *lib;
	struct libmnt_table *mounts;
	struct libmnt_table *swaps;
	struct loop *loops;
	int loop_count;
	struct tree *above; /* what is on the disks, and is no leaf of the function's tree */
};

/* The name of a disk's file: in sysfs a "!" stands for the "/" of cciss/c0d0. */
static const char *file_name(const char *disk, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s", disk);
	for (char *at = name; *at; at++)
		*at = *at == '!' ? '/' : *at;
	return name;
}

static bool is_name(const char *disk, const char *path)
{
	char name[NAME_SIZE];

	return path && !strncmp(path, "/dev/", 5) && !strcmp(path + 5, file_name(disk, name));
}

bool is_disk_path(struct usrpci_host *host, const struct leaf *disk, const char *path)
{
	struct statx status;

	if (is_name(disk->name, path))
		return true;
	/* The path may be on a server that is gone, which is not waited for. */
	return host_is_live(host) && disk->number && path[0] == '/' &&
	       !statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &status) &&
	       S_ISBLK(status.stx_mode) &&
	       makedev(status.stx_rdev_major, status.stx_rdev_minor) == disk->number;
}

/* A line that cannot be parsed could be the one that matters; libmount would skip it. */
static int refuse_line(struct libmnt_table *table, const char *file, int line)
{
	return -EBADMSG;
}

/* The first line of /proc/swaps is a heading, which libmount knows only with tabs in it. */
static int refuse_swap(struct libmnt_table *table, const char *file, int line)
{
	return line == 1 ? 1 : -EBADMSG;
}

static int parse_mounts(const struct disk_tables *tables, const char *file)
{
	char path[PATH_SIZE];
	const struct usrpci_ctx *ctx = tables->guard->host->ctx;
	int error = path_format(ctx, path, "%s", file)
			    ?: file_check_lines(ctx, "%s", file)
			    ?: tables->lib->mnt_table_parse_file(tables->mounts, path);

	return error > 0 ? -EIO : error;
}

static int read_mounts(const struct disk_tables *tables)
{
	struct usrpci_host *host = tables->guard->host;
	int error = parse_mounts(tables, "/proc/self/mountinfo");

	/*
	 * In a mount namespace of its own, a program does not see what the host has mounted since.
	 */
	if (!error && host_is_live(host))
		parse_mounts(tables, "/proc/1/mountinfo");
	return error;
}

static int read_swaps(const struct disk_tables *tables)
{
	const struct usrpci_ctx *ctx = tables->guard->host->ctx;
	char path[PATH_SIZE];
	int error = path_format(ctx, path, "/proc/swaps");

	if (!error && file_exists(ctx, "/proc/swaps"))
		error = file_check_lines(ctx, "/proc/swaps")
				?: tables->lib->mnt_table_parse_swaps(tables->swaps, path);
	return error > 0 ? -EIO : error;
}

static int mounts_unknown(const struct disk_tables *tables, int error)
{
	return use_unknown(tables->guard, error, "mount -t proc proc /proc",
			   "the list of mounted file systems cannot be read");
}

static int read_tables(struct disk_tables *tables)
{
	struct usrpci_host *host = tables->guard->host;
	int error;

	if (!host->lib_mount)
		host->lib_mount = library_load_mount();
	tables->lib = host->lib_mount;
	if (!tables->lib)
		return use_unknown(tables->guard, -ELIBACC, "apt install libmount1",
				   "the list of mounted file systems cannot be read");
	tables->mounts = tables->lib->mnt_new_table();
	tables->swaps = tables->lib->mnt_new_table();
	if (!tables->mounts || !tables->swaps)
		return -ENOMEM;
	tables->lib->mnt_table_set_parser_errcb(tables->mounts, refuse_line);
	tables->lib->mnt_table_set_parser_errcb(tables->swaps, refuse_swap);
	error = read_mounts(tables) ?: read_swaps(tables);
	return error ? mounts_unknown(tables, error) : 0;
}

/*
 * By number, for a source may be any link to it; by name for Btrfs, which has a number of its own.
 */
static bool is_on_disk(const struct disk_tables *tables, struct libmnt_fs *fs,
		       const struct leaf *disk)
{
	return (disk->number && tables->lib->mnt_fs_get_devno(fs) == disk->number) ||
	       is_name(disk->name, tables->lib->mnt_fs_get_source(fs));
}

/* By its place: umount -A takes the file system from all places that it has, the root's too. */
static int add_mount(const struct disk_tables *tables, const struct leaf *disk, const char *target)
{
	char place[PATH_SIZE];
	int error = use_add(tables->guard, disk, USRPCI_USE_MOUNT, disk->name,
			    "%s is mounted on %s", disk->name, target);

	tables->guard->has_root |= !strcmp(target, "/");
	return error
		       ?: use_cure(tables->guard, "umount %s",
				   shell_word(target, place, sizeof(place)))
		       ?: cure_busy(tables->guard, disk);
}

/* A mount is in the tables of both mount namespaces, and is one use. */
static bool is_known(const struct disk_tables *tables, const struct leaf *disk,
		     const struct libmnt_fs *mount, const char *target)
{
	struct libmnt_iter *iterator = tables->lib->mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	bool known = false;

	while (!known && iterator &&
	       !tables->lib->mnt_table_next_fs(tables->mounts, iterator, &fs) && fs != mount) {
		const char *place = tables->lib->mnt_fs_get_target(fs);

		known = place && !strcmp(place, target) && is_on_disk(tables, fs, disk);
	}
	tables->lib->mnt_free_iter(iterator);
	return known;
}

/* libmount takes a table that begins as /proc/swaps for one, which has no places. */
static int judge_mount(const struct disk_tables *tables, const struct leaf *disk,
		       struct libmnt_fs *fs)
{
	const char *target = tables->lib->mnt_fs_get_target(fs);

	if (!target)
		return mounts_unknown(tables, -EBADMSG);
	return is_known(tables, disk, fs, target) ? 0 : add_mount(tables, disk, target);
}

static int guard_mounts(const struct disk_tables *tables, const struct leaf *disk)
{
	struct libmnt_iter *iterator = tables->lib->mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	int error = iterator ? 0 : -ENOMEM;

	while (!error && !tables->lib->mnt_table_next_fs(tables->mounts, iterator, &fs))
		if (is_on_disk(tables, fs, disk))
			error = judge_mount(tables, disk, fs);
	if (!error)
		tables->lib->mnt_reset_iter(iterator, MNT_ITER_FORWARD);
	while (!error && !tables->lib->mnt_table_next_fs(tables->swaps, iterator, &fs))
		if (is_disk_path(tables->guard->host, disk, tables->lib->mnt_fs_get_source(fs)))
			error = use_add(tables->guard, disk, USRPCI_USE_SWAP, disk->name,
					"%s is swap space", disk->name);
	tables->lib->mnt_free_iter(iterator);
	return error;
}

static int add_btrfs(const struct disk_tables *tables, const struct leaf *disk, const char *uuid)
{
	int error = use_add(tables->guard, disk, USRPCI_USE_HOLDER, disk->name,
			    "%s is a part of the Btrfs %s, which is mounted", disk->name, uuid);

	return error
		       ?: use_cure(tables->guard,
				   "findmnt -t btrfs -o UUID,TARGET # then umount %s", uuid);
}

/* The table of mounts names one disk of a Btrfs, and sysfs all of them. */
static int guard_btrfs(const struct disk_tables *tables, const struct leaf *disk)
{
	struct usrpci_host *host = tables->guard->host;
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, "/sys/fs/btrfs");

	for (int i = 0; i < count; i++)
		if (file_exists(host->ctx, "/sys/fs/btrfs/%s/devices/%s", names[i], disk->name))
			return add_btrfs(tables, disk, names[i]);
	return count == -ENOMEM ? count : 0;
}

/* Whether the disk is mounted on the place, or on one above it. */
static bool has_place(const struct disk_tables *tables, const struct leaf *disk, const char *place,
		      bool above)
{
	struct libmnt_iter *iterator = tables->lib->mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	bool found = false;

	while (!found && iterator &&
	       !tables->lib->mnt_table_next_fs(tables->mounts, iterator, &fs)) {
		const char *target = tables->lib->mnt_fs_get_target(fs);
		size_t length = target ? strlen(target) : 0;

		found = target && is_on_disk(tables, fs, disk) && !strncmp(place, target, length) &&
			(!place[length] || (above && place[length] == '/'));
	}
	tables->lib->mnt_free_iter(iterator);
	return found;
}

/* Of a host that is made of files the paths alone are known. */
static bool has_file(const struct disk_tables *tables, const struct leaf *disk, const char *path)
{
	struct statx status;

	if (!host_is_live(tables->guard->host))
		return has_place(tables, disk, path, true);
	return disk->number && !statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &status) &&
	       S_ISREG(status.stx_mode) &&
	       makedev(status.stx_dev_major, status.stx_dev_minor) == disk->number;
}

static int guard_swap_files(const struct disk_tables *tables, const struct leaf *disk)
{
	struct libmnt_iter *iterator = tables->lib->mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	int error = iterator ? 0 : -ENOMEM;

	while (!error && !tables->lib->mnt_table_next_fs(tables->swaps, iterator, &fs)) {
		const char *path = tables->lib->mnt_fs_get_source(fs);
		char file[PATH_SIZE];

		if (!path || !has_file(tables, disk, path))
			continue;
		error = use_add(tables->guard, disk, USRPCI_USE_SWAP, disk->name,
				"%s has the swap file %s", disk->name, path)
				?: use_cure(tables->guard, "swapoff %s",
					    shell_word(path, file, sizeof(file)));
	}
	tables->lib->mnt_free_iter(iterator);
	return error;
}

static int guard_disk(const struct disk_tables *tables, const struct leaf *disk,
		      unsigned int depth);

/* What is on top is told first, because it has to end first. */
static int guard_above(const struct disk_tables *tables, const struct leaf *above,
		       unsigned int depth)
{
	int error = tree_add(tables->above, above->path, above->name, "block", above->function,
			     above->number);

	return error ?: guard_disk(tables, above, depth + 1);
}

/* The programs that made a mapping know more of it than dmsetup(8), and forget it with it. */
static int cure_mapper(struct guard *guard, const char *holder, const char *title)
{
	char uuid[16], name[PATH_SIZE];

	shell_word(title, name, sizeof(name));
	if (file_read(guard->host->ctx, uuid, sizeof(uuid), "/sys/class/block/%s/dm/uuid", holder) <
	    0)
		uuid[0] = '\0';
	if (!strncmp(uuid, "CRYPT-", 6))
		return use_cure(guard, "cryptsetup close %s", name);
	if (!strncmp(uuid, "mpath-", 6))
		return use_cure(guard, "multipath -f %s", name);
	return use_cure(guard, "dmsetup remove %s # LVM: vgchange -a n", name);
}

static int add_holder(const struct disk_tables *tables, const struct leaf *disk, const char *holder)
{
	struct guard *guard = tables->guard;
	char title[128];
	int error;

	if (file_read(guard->host->ctx, title, sizeof(title), "/sys/class/block/%s/dm/name",
		      holder) < 0)
		title[0] = '\0';
	error = use_add(guard, disk, USRPCI_USE_HOLDER, disk->name, "%s is held by %s%s%s%s",
			disk->name, holder, title[0] ? " (" : "", title, title[0] ? ")" : "");
	if (!error && title[0])
		return cure_mapper(guard, holder, title);
	if (!error && file_exists(guard->host->ctx, "/sys/class/block/%s/md", holder))
		return use_cure(guard, "mdadm --stop /dev/%s", holder);
	return error;
}

static int guard_holders(const struct disk_tables *tables, const struct leaf *disk,
			 unsigned int depth)
{
	struct leaf above = *disk;
	AUTO_FREE char **names = NULL;
	int count = dir_list(tables->guard->host->ctx, &names, "/sys/class/block/%s/holders",
			     disk->name);
	int error = 0;

	if (count < 0)
		return count == -ENOENT
			       ? 0
			       : use_unknown(tables->guard, count, "run on the host itself",
					     "the holders of %s cannot be read", disk->name);
	for (int i = 0; !error && i < count; i++) {
		snprintf(above.name, sizeof(above.name), "%s", names[i]);
		snprintf(above.path, sizeof(above.path), "/sys/class/block/%s", names[i]);
		above.number = leaf_number(tables->guard->host, above.path);
		error = guard_above(tables, &above, depth) ?: add_holder(tables, disk, names[i]);
	}
	return error;
}

static int guard_above_loop(const struct disk_tables *tables, const struct leaf *disk,
			    const struct loop *loop, unsigned int depth)
{
	struct leaf above = *disk;

	strcpy(above.name, loop->name);
	snprintf(above.path, sizeof(above.path), "/sys/class/block/%s", loop->name);
	above.number = leaf_number(tables->guard->host, above.path);
	return guard_above(tables, &above, depth);
}

static int guard_loops(const struct disk_tables *tables, const struct leaf *disk,
		       unsigned int depth)
{
	struct guard *guard = tables->guard;
	int error = 0;

	for (int i = 0; !error && i < tables->loop_count; i++) {
		const struct loop *loop = &tables->loops[i];

		if (!loop_is_on(guard, loop, disk))
			continue;
		error = guard_above_loop(tables, disk, loop, depth)
				?: use_add(guard, disk, USRPCI_USE_EXPORT, disk->name,
					   "%s is exported by %s", disk->name, loop->name)
				?: cure_loop(guard, loop);
	}
	return error;
}

/* What no process shows keeps a file system from being unmounted, and has to end first. */
static int guard_files(const struct disk_tables *tables, const struct leaf *disk,
		       unsigned int depth)
{
	struct guard *guard = tables->guard;
	int error;

	/* Nothing on the disk of the root can be ended. */
	if (has_place(tables, disk, "/", false))
		return 0;
	error = guard_swap_files(tables, disk);
	for (int i = 0; !error && depth < DEPTH_MAX && i < tables->loop_count; i++) {
		struct loop *loop = &tables->loops[i];
		bool is_its = loop->asked ? disk->number && loop->file_system == disk->number
					  : has_file(tables, disk, loop->path);

		if (!is_its || loop->told)
			continue;
		loop->told = true;
		error = guard_above_loop(tables, disk, loop, depth)
				?: use_add(guard, disk, USRPCI_USE_EXPORT, disk->name,
					   "a file on %s is exported by %s", disk->name, loop->name)
				?: cure_loop(guard, loop);
	}
	return error;
}

static int guard_disk(const struct disk_tables *tables, const struct leaf *disk, unsigned int depth)
{
	int error = guard_files(tables, disk, depth);
	size_t before = tables->guard->count;

	error = error ?: guard_mounts(tables, disk);
	if (!error && tables->guard->count == before)
		error = guard_btrfs(tables, disk);
	return error || depth == DEPTH_MAX ? error
					   : guard_holders(tables, disk, depth)
						     ?: guard_loops(tables, disk, depth);
}

static bool is_file_of(int fd, const struct leaf *disk)
{
	struct stat status;

	return fd >= 0 && !fstat(fd, &status) && S_ISBLK(status.st_mode) &&
	       status.st_rdev == disk->number;
}

/*
 * A file that is missing, or of another disk as in a container's /dev, says nothing of this disk.
 * Partitions cannot be opened exclusively while the whole disk is, and are not used then.
 */
static int guard_exclusive(struct guard *guard, const struct leaf *disk)
{
	struct hold *hold = guard->host->hold;
	char name[NAME_SIZE];
	bool is_free;
	int fd;

	if (hold && hold_name(hold, disk))
		return -ENOMEM;
	if (hold && (hold_has(hold, disk->number) ||
		     file_exists(guard->host->ctx, "%s/partition", disk->path)))
		return 0;
	fd = file_open(guard->host->ctx, O_RDONLY | O_EXCL | O_NONBLOCK, "/dev/%s",
		       file_name(disk->name, name));
	is_free = fd == -ENOMEDIUM || is_file_of(fd, disk);
	if (hold && fd >= 0 && is_free)
		return hold_keep(hold, fd);
	if (fd >= 0)
		close(fd);
	if (fd == -EBUSY)
		return use_add(guard, disk, USRPCI_USE_HOLDER, disk->name,
			       "%s is held: the kernel refuses to open it exclusively", disk->name)
			       ?: cure_held(guard);
	if (is_free)
		return 0;
	return use_unknown(guard, fd < 0 ? fd : -ENODEV,
			   fd == -EACCES || fd == -EPERM ? "run as root" : "run on the host itself",
			   "it is unknown whether %s is held, because /dev/%s cannot be opened",
			   disk->name, name);
}

/* What is above joins the tree, so that a program that has it open is found, too. */
static int join(struct guard *guard, const struct tree *above)
{
	int error = 0;

	for (size_t i = 0; !error && i < above->count; i++) {
		const struct leaf *leaf = &above->leaves[i];

		error = tree_add(&guard->tree, leaf->path, leaf->name, leaf->class_name,
				 leaf->function, leaf->number);
	}
	return error;
}

static int guard_stacks(struct disk_tables *tables)
{
	struct guard *guard = tables->guard;
	struct tree above = {0};
	int error = 0;

	tables->above = &above;
	tables->loop_count = loops_read(guard->host, &tables->loops);
	if (tables->loop_count < 0)
		error = use_unknown(guard, tables->loop_count, "run as root",
				    "/sys/class/block cannot be read");
	for (size_t i = 0; !error && i < guard->tree.count; i++)
		if (leaf_is(&guard->tree.leaves[i], "block"))
			error = guard_disk(tables, &guard->tree.leaves[i], 0);
	if (!error)
		error = join(guard, &above);
	for (int i = 0; !error && i < tables->loop_count; i++)
		error = guard_unseen_loop(guard, &tables->loops[i]);
	free(tables->loops);
	free(above.leaves);
	return error ?: guard_exports(guard);
}

/*
 * A whole disk cannot be opened exclusively while a part of it is in use: ask only when none is.
 * A loop device, or what exports the disk, may have begun with it before that.
 */
static int guard_free(struct disk_tables *tables)
{
	struct guard *guard = tables->guard;
	size_t before = guard->count;
	int error = 0;

	for (size_t i = 0; !error && i < guard->tree.count; i++)
		if (leaf_is(&guard->tree.leaves[i], "block") && guard->count == before)
			error = guard_exclusive(guard, &guard->tree.leaves[i]);
	if (!error && guard->host->hold && guard->count == before)
		error = guard_stacks(tables);
	return error;
}

static int guard_all(struct guard *guard)
{
	struct disk_tables tables = {.guard = guard};
	size_t before = guard->count;
	int error = read_tables(&tables);

	if (!error && tables.swaps)
		error = guard_stacks(&tables);
	if (!error && host_is_live(guard->host) && guard->count == before)
		error = guard_free(&tables);
	if (tables.mounts)
		tables.lib->mnt_unref_table(tables.mounts);
	if (tables.swaps)
		tables.lib->mnt_unref_table(tables.swaps);
	return error;
}

int guard_disks(struct guard *guard)
{
	for (size_t i = 0; i < guard->tree.count; i++)
		if (leaf_is(&guard->tree.leaves[i], "block"))
			return guard_all(guard);
	return 0;
}
