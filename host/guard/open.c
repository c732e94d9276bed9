// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's part for open files: which process has a file of the device, or of anything below it,
 * open. Besides breaking that process, taking the device from its driver may wait for it in the
 * kernel, unkillably. Files are known by their device numbers, whatever they are called in whose
 * /dev; those of sysfs by their paths.
 *
 * Files that were mapped and then closed are not seen, nor those on their way through a socket.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/major.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file.h"
#include "guard/guard.h"
#include "unread.h"

/* The kernel's first namespace of processes has this number: PROC_PID_INIT_INO. */
#define FIRST_PID_NAMESPACE 0xEFFFFFFCu

/* Of /dev/watchdog: WATCHDOG_MINOR of the kernel's linux/miscdevice.h. */
#define WATCHDOG_MINOR 130

/* NVIDIA's files have the number 195, and no file "dev" below the device. */
#define NVIDIA_MAJOR 195

static int add_vfio_group(struct guard *guard, const char *prefix)
{
	char path[PATH_SIZE], name[NAME_SIZE];

	snprintf(name, sizeof(name), "%s%d", prefix, guard->info->iommu_group);
	snprintf(path, sizeof(path), "/sys/class/vfio/%s", name);
	return tree_add(&guard->tree, path, name, "vfio", 0, leaf_number(guard->host, path));
}

/* "Device Minor: 	 0" */
static int add_nvidia(struct guard *guard, size_t function)
{
	const char *line, *key = "Device Minor:";
	char text[1024], path[PATH_SIZE], name[NAME_SIZE];
	unsigned int number;

	snprintf(path, sizeof(path), "/proc/driver/nvidia/gpus/%s/information",
		 guard->tree.leaves[function].name);
	if (file_read(guard->host->ctx, text, sizeof(text), "%s", path) < 0)
		return 0;
	line = strstr(text, key);
	if (!line || sscanf(line + strlen(key), "%u", &number) != 1)
		return 0;
	snprintf(name, sizeof(name), "nvidia%u", number);
	return tree_add(&guard->tree, path, name, "nvidia", function,
			makedev(NVIDIA_MAJOR, number));
}

/* Not every driver says whose its watchdog is; then it goes by the driver's name. */
static int add_watchdog(struct guard *guard, size_t function, const char *name)
{
	char identity[NAME_SIZE], path[PATH_SIZE];
	const struct leaf *leaf = &guard->tree.leaves[function];

	snprintf(path, sizeof(path), "/sys/class/watchdog/%s", name);
	if (!leaf->driver[0] || file_exists(guard->host->ctx, "%s/device", path) ||
	    file_read(guard->host->ctx, identity, sizeof(identity), "%s/identity", path) <= 0 ||
	    strcasecmp(identity, leaf->driver) != 0)
		return 0;
	return tree_add(&guard->tree, path, name, "watchdog", function,
			leaf_number(guard->host, path));
}

static int add_watchdogs(struct guard *guard, size_t functions)
{
	char **names;
	int count = dir_list(guard->host->ctx, &names, "/sys/class/watchdog"), error = 0;

	for (int i = 0; i < count; i++) {
		for (size_t leaf = 0; !error && leaf < functions; leaf++) {
			if (leaf_is(&guard->tree.leaves[leaf], "pci"))
				error = add_watchdog(guard, leaf, names[i]);
		}
	}
	if (count >= 0)
		free(names);
	return error;
}

/* The first watchdog has a second file, which is older than the class. */
static int add_first_watchdog(struct guard *guard)
{
	for (size_t i = 0; i < guard->tree.count; i++) {
		if (leaf_is(&guard->tree.leaves[i], "watchdog") &&
		    !strcmp(guard->tree.leaves[i].name, "watchdog0"))
			return tree_add(&guard->tree, "/sys/class/misc/watchdog", "watchdog",
					"misc", guard->tree.leaves[i].function,
					makedev(MISC_MAJOR, WATCHDOG_MINOR));
	}
	return 0;
}

/* Adds the files in /dev that sysfs does not show below the device. */
static int add_files(struct guard *guard)
{
	size_t count = guard->tree.count;
	int error = 0;

	if (guard->info->driver_kind == USRPCI_DRIVER_VFIO && guard->info->iommu_group >= 0)
		error = add_vfio_group(guard, "") ?: add_vfio_group(guard, "noiommu-");
	for (size_t i = 0; !error && i < count; i++) {
		if (leaf_is(&guard->tree.leaves[i], "pci"))
			error = add_nvidia(guard, i);
	}
	return error ?: add_watchdogs(guard, count) ?: add_first_watchdog(guard);
}

/* A host that is made of files has no device numbers, but paths. */
static bool has_name(const struct leaf *leaf, const char *target)
{
	const char *directory = leaf_is(leaf, "vfio") ? "/dev/vfio/" : "/dev/";
	const char *name = strrchr(target, '/');

	return !strncmp(target, directory, strlen(directory)) && !strcmp(name + 1, leaf->name);
}

static bool is_file_of(const struct leaf *leaf, const struct statx *status)
{
	return leaf->number &&
	       leaf->number == makedev(status->stx_rdev_major, status->stx_rdev_minor) &&
	       leaf_is(leaf, "block") == S_ISBLK(status->stx_mode);
}

/* "/sys/devices/pci0000:00/0000:03:00.0/resource0" */
static bool is_resource(const struct leaf *leaf, const char *target)
{
	char part[NAME_SIZE + 16];

	snprintf(part, sizeof(part), "/%s/resource", leaf->name);
	return leaf_is(leaf, "pci") && strstr(target, "/devices/pci") && strstr(target, part);
}

/* The leaf whose file an open file is; NULL: none. A server that is gone is not waited for. */
static const struct leaf *find_leaf(const struct guard *guard, int fds, const char *fd,
				    const char *target)
{
	bool live = host_is_live(guard->host);
	struct statx status = {0};

	if (target[0] != '/' || (live && statx(fds, fd, AT_STATX_DONT_SYNC, STATX_TYPE, &status)))
		return NULL;
	for (size_t i = 0; i < guard->tree.count; i++) {
		const struct leaf *leaf = &guard->tree.leaves[i];

		if (is_resource(leaf, target))
			return leaf;
		if (!live && has_name(leaf, target))
			return leaf;
		if ((S_ISCHR(status.stx_mode) || S_ISBLK(status.stx_mode)) &&
		    is_file_of(leaf, &status))
			return leaf;
	}
	return NULL;
}

static int add_process(struct guard *guard, const struct leaf *leaf, const char *pid,
		       const char *file)
{
	char command[NAME_SIZE], object[64];
	int error;

	if (file_read(guard->host->ctx, command, sizeof(command), "/proc/%s/comm", pid) < 0)
		snprintf(command, sizeof(command), "?");
	snprintf(object, sizeof(object), "pid %.10s (%s)", pid, command);
	error = use_add(guard, leaf, USRPCI_USE_OPEN, object, "%s has %s open", object, file);
	if (!error && leaf_is(leaf, "nvidia"))
		return use_cure(guard, "kill %s # NVIDIA: systemctl stop nvidia-persistenced", pid);
	return error ?: use_cure(guard, "kill %s # or end %s as it is meant to be", pid, command);
}

/* The leaf of the first file in a part of a directory of descriptors; NULL: none. */
static const struct leaf *search_entries(const struct guard *guard, int fds, const char *entries,
					 ssize_t size, char target[PATH_SIZE])
{
	const struct leaf *leaf = NULL;

	for (ssize_t at = 0; !leaf && at < size;) {
		const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
		ssize_t length = readlinkat(fds, entry->d_name, target, PATH_SIZE - 1);

		if (length < 0)
			note_unread(guard->host->ctx, "/proc", -errno);
		target[length < 0 ? 0 : length] = '\0';
		leaf = find_leaf(guard, fds, entry->d_name, target);
		at += entry->d_reclen;
	}
	return leaf;
}

/* Whether an error means that the process has files, and hides them. */
static bool is_hidden(const struct guard *guard, int error)
{
	note_unread(guard->host->ctx, "/proc", -error);
	return error != ENOENT && error != ESRCH;
}

/*
 * Returns 1 when the files are hidden from us. One file a process is enough to name it. A process
 * that ends meanwhile holds nothing. Hosts have thousands of processes, most of them without a file
 * (the kernel's threads): readdir(3) would ask the kernel twice as often.
 */
static int search_process(struct guard *guard, const char *pid, int fds)
{
	_Alignas(struct dirent64) char entries[4096];
	const struct leaf *leaf = NULL;
	char target[PATH_SIZE];
	ssize_t size = 1;
	int hidden = 0;

	while (!leaf && size > 0) {
		size = getdents64(fds, entries, sizeof(entries));
		hidden = size < 0 && is_hidden(guard, errno);
		leaf = search_entries(guard, fds, entries, size, target);
	}
	close(fds);
	return leaf ? add_process(guard, leaf, pid, target) : hidden;
}

/* Returns 1 when the files of a process are hidden from us. */
static int look_at_process(struct guard *guard, int proc, const char *pid)
{
	char path[32];
	int fds;

	snprintf(path, sizeof(path), "%.10s/fd", pid);
	fds = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fds >= 0)
		return search_process(guard, pid, fds);
	return is_hidden(guard, errno);
}

/* Whoever may not look into other processes, even root in a container, must not guess. */
static const char *blindness(struct usrpci_host *host, bool hidden)
{
	struct stat status;

	if (!host_is_live(host))
		return hidden ? "run as root" : NULL;
	if (!stat("/proc/self/ns/pid", &status) && status.st_ino != FIRST_PID_NAMESPACE)
		return "run on the host itself: this container shows its own processes alone";
	if (!hidden && file_exists(host->ctx, "/proc/1/fd"))
		return NULL;
	return geteuid() ? "run as root" : "run with the capability CAP_SYS_PTRACE";
}

static int search_processes(struct guard *guard, DIR *proc)
{
	const char *cure;
	struct dirent *entry;
	bool hidden = false;
	int result = 0;

	while (errno = 0, result >= 0 && (entry = readdir(proc))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			result = look_at_process(guard, dirfd(proc), entry->d_name);
		hidden |= result > 0;
	}
	hidden |= result >= 0 && errno && is_hidden(guard, errno);
	cure = result < 0 ? NULL : blindness(guard->host, hidden);
	if (cure)
		return use_unknown(guard, 0, cure,
				   "the files that other programs have open cannot be seen");
	return result < 0 ? result : 0;
}

int guard_open_files(struct guard *guard)
{
	int fd = file_open(guard->host->ctx, O_RDONLY | O_DIRECTORY, "/proc");
	DIR *proc = fd < 0 ? NULL : fdopendir(fd);
	int error = add_files(guard);

	if (fd >= 0 && !proc) {
		close(fd);
		return -ENOMEM;
	}
	/* An empty /proc shows no process, not that there is none. */
	if (!error && (!proc || (host_is_live(guard->host) &&
				 !file_exists(guard->host->ctx, "/proc/self/fd"))))
		error = use_unknown(guard, fd < 0 ? fd : 0, "mount -t proc proc /proc",
				    "/proc is not mounted: open files cannot be seen");
	else if (!error)
		error = search_processes(guard, proc);
	if (proc)
		closedir(proc);
	return error;
}
