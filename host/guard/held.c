// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds who holds a disk that the kernel refuses to open exclusively, though no table that the
 * guard reads shows it: a mount in another mount namespace, or a file system that was unmounted
 * lazily while a process has files on it. Both have the number of the disk or of a partition.
 *
 * Leaves out Btrfs, whose mounts have numbers of their own, and files that are only mapped.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "guard/guard.h"
#include "guard/mounts.h"
#include "shell.h"

#define PLACE_SIZE 80

struct search {
	struct guard *guard;
	const struct leaf *only; /* no other is looked for; NULL: any disk of the device */
	const struct leaf *disk; /* what is found */
	bool mounted;
	char pid[12];
};

/* The disk or partition of the device that has this number; NULL: another device's. */
static const struct leaf *disk_of(const struct search *search, dev_t number)
{
	const struct guard *guard = search->guard;

	if (search->only)
		return number == search->only->number ? search->only : NULL;
	for (size_t i = 0; i < guard->tree.count; i++)
		if (leaf_is(&guard->tree.leaves[i], "block") && number &&
		    guard->tree.leaves[i].number == number)
			return &guard->tree.leaves[i];
	return NULL;
}

/* "36 35 259:1 / /mnt rw,noatime - ext4 /dev/nvme0n1p1 rw" */
static const struct leaf *find_mount(const struct search *search, const char *pid)
{
	unsigned int major_number, minor_number;
	FILE *mounts = file_stream(search->guard->host->ctx, "/proc/%s/mountinfo", pid);
	const struct leaf *disk = NULL;
	AUTO_FREE char *line = NULL;
	size_t size = 0;

	while (mounts && !disk && getline(&line, &size, mounts) > 0)
		if (sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) == 2)
			disk = disk_of(search, makedev(major_number, minor_number));
	if (mounts)
		fclose(mounts);
	return disk;
}

/* A server of files that is gone is not waited for. */
static const struct leaf *disk_below(const struct search *search, int directory, const char *name)
{
	struct statx status;

	if (statx(directory, name, AT_STATX_DONT_SYNC, STATX_TYPE, &status))
		return NULL;
	return disk_of(search, makedev(status.stx_dev_major, status.stx_dev_minor));
}

static const struct leaf *find_file(const struct search *search, const char *pid)
{
	static const char *const links[] = {"cwd", "root", "exe"};
	const struct leaf *disk = NULL;
	AUTO_FREE char **files = NULL;
	AUTO_CLOSE int process = file_open(search->guard->host->ctx, O_RDONLY | O_DIRECTORY,
					   "/proc/%s", pid);
	int count = process < 0 ? 0
				: dir_list(search->guard->host->ctx, &files, "/proc/%s/fd", pid);
	char name[NAME_SIZE + 4];

	for (size_t i = 0; !disk && process >= 0 && i < ARRAY_SIZE(links); i++)
		disk = disk_below(search, process, links[i]);
	for (int i = 0; !disk && i < count; i++) {
		snprintf(name, sizeof(name), "fd/%s", files[i]);
		disk = disk_below(search, process, name);
	}
	return disk;
}

static int look_at_process(void *data, const char *pid)
{
	struct search *search = data;

	search->disk = find_mount(search, pid);
	search->mounted = search->disk != NULL;
	search->disk = search->disk ?: find_file(search, pid);
	snprintf(search->pid, sizeof(search->pid), "%s", pid);
	return search->disk != NULL;
}

/* What a reader can look for: "259:0|259:1", as many as there is room for. */
static void list_numbers(const struct tree *tree, char *text, size_t size)
{
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < tree->count && length + sizeof("|4095:1048575") < size; i++)
		if (leaf_is(&tree->leaves[i], "block") && tree->leaves[i].number)
			length += (size_t)sprintf(text + length, "%s%u:%u", length ? "|" : "",
						  major(tree->leaves[i].number),
						  minor(tree->leaves[i].number));
}

static int look_at_files(void *data, const char *pid)
{
	struct search *search = data;
	if (atoi(pid) == getpid() || !find_file(search, pid))
		return 0;
	snprintf(search->pid, sizeof(search->pid), "%s", pid);
	return 1;
}

int cure_busy(struct guard *guard, const struct leaf *disk)
{
	struct search search = {.guard = guard, .only = disk};
	char command[NAME_SIZE], cure[sizeof(guard->uses->cure)];

	if (!disk->number || !host_is_live(guard->host) ||
	    host_each_process(guard->host, look_at_files, &search) != 1)
		return 0;
	host_process_name(guard->host, search.pid, command, sizeof(command));
	snprintf(cure, sizeof(cure), "%s", guard->uses[guard->count - 1].cure);
	return use_cure(guard, "%s # once %s (pid %s) ends, which has files on it", cure, command,
			search.pid);
}

/* A cure has no room for a longer name. */
static int keep_place(void *data, const char *place)
{
	char *kept = data;

	shell_word(place, kept, PLACE_SIZE);
	return strlen(kept) < PLACE_SIZE - 8;
}

static const char *first_disk(const struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		if (leaf_is(&tree->leaves[i], "block"))
			return tree->leaves[i].name;
	return "";
}

/* No process shows who holds it; a namespace of mounts without one is kept by a file. */
static int cure_unseen(struct guard *guard)
{
	char numbers[120], place[PLACE_SIZE];

	if (mounts_each_namespace(guard->host, "self", "mnt", keep_place, place))
		return use_cure(guard,
				"nsenter --mount=%s umount -A /dev/%s # or its partition, or with "
				"another file of findmnt -t nsfs; ZFS: zpool status",
				place, first_disk(&guard->tree));
	list_numbers(&guard->tree, numbers, sizeof(numbers));
	return use_cure(guard,
			"end what holds it: grep -E \" (%s) \" /proc/*/mountinfo, zpool status",
			numbers);
}

int cure_held(struct guard *guard)
{
	struct search search = {.guard = guard};
	char command[NAME_SIZE];

	if (host_each_process(guard->host, look_at_process, &search) != 1)
		return cure_unseen(guard);
	host_process_name(guard->host, search.pid, command, sizeof(command));
	if (search.mounted)
		return use_cure(guard, "nsenter -t %s -m umount -A /dev/%s # or end %s", search.pid,
				search.disk->name, command);
	return use_cure(guard, "kill %s # or end %s, which has files on %s", search.pid, command,
			search.disk->name);
}
