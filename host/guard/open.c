// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's part for open files: which process has a file of the device open. Besides breaking
 * that process, taking the device away from vfio would wait for it in the kernel, unkillably.
 *
 * Files that were mapped and then closed are not seen.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "driver.h"
#include "group.h"
#include "guard/guard.h"

#define LOG_SUBJECT "guard"
#include "log.h"

/* A disk with all its partitions; what exceeds it is covered by the guard's disk part. */
#define FILES_MAX 64

struct device_files {
	char resource[64]; /* as part of a path: "/0000:03:00.0/resource" */
	char paths[FILES_MAX][64];
	int count;
};

static void add_file(struct device_files *files, const char *directory, const char *name)
{
	if (files->count < FILES_MAX)
		snprintf(files->paths[files->count++], sizeof(files->paths[0]), "%s/%s", directory,
			 name);
}

static void add_entries(struct usrpci_host *host, struct device_files *files, const char *device,
			const char *below, const char *directory)
{
	char **names;
	int count = dir_list(host->ctx, &names, PCI_DEVICES "/%s/%s", device, below);
	int i;

	for (i = 0; i < count; i++)
		add_file(files, directory, names[i]);
	if (count >= 0)
		free(names);
}

static int list_files(struct usrpci_host *host, const struct usrpci_dev_info *info,
		      struct device_files *files)
{
	char device[USRPCI_ADDR_STRLEN], group[16];
	char(*disks)[NAME_SIZE];
	int count, i;

	usrpci_addr_format(&info->addr, device);
	snprintf(files->resource, sizeof(files->resource), "/%s/resource", device);
	add_entries(host, files, device, "uio", "/dev");
	add_entries(host, files, device, "vfio-dev", "/dev/vfio/devices");
	add_entries(host, files, device, "nvme", "/dev");
	if (info->driver_kind == USRPCI_DRIVER_VFIO && info->iommu_group >= 0) {
		snprintf(group, sizeof(group), "%d", info->iommu_group);
		add_file(files, "/dev/vfio", group);
		snprintf(group, sizeof(group), "noiommu-%d", info->iommu_group);
		add_file(files, "/dev/vfio", group);
	}
	count = disk_members(host, &info->addr, &disks);
	if (count < 0)
		return count;
	for (i = 0; i < count; i++)
		add_file(files, "/dev", disks[i]);
	free(disks);
	return 0;
}

static bool is_of_device(const struct device_files *files, const char *target)
{
	int i;

	for (i = 0; i < files->count; i++) {
		if (!strcmp(target, files->paths[i]))
			return true;
	}
	return !strncmp(target, "/sys/", 5) && strstr(target, files->resource);
}

static int add_process(struct usrpci_host *host, const char *pid, const char *file,
		       struct use_list *list)
{
	char command[NAME_SIZE], object[64];

	if (file_read(host->ctx, command, sizeof(command), "/proc/%s/comm", pid) < 0)
		snprintf(command, sizeof(command), "?");
	snprintf(object, sizeof(object), "pid %.10s (%s)", pid, command);
	return use_add(list, USRPCI_USE_OPEN, object, "%s has %s open", object, file);
}

/* One file a process is enough to name it. A process that ends meanwhile holds nothing. */
static int search_process(struct usrpci_host *host, const struct device_files *files,
			  const char *pid, int fds, struct use_list *list)
{
	char target[PATH_SIZE];
	struct dirent *entry;
	int error = 0;
	DIR *directory = fdopendir(fds);
	bool found = false;

	if (!directory) {
		error = -errno;
		close(fds);
		return error;
	}
	while (!found && (entry = readdir(directory))) {
		ssize_t length = readlinkat(fds, entry->d_name, target, sizeof(target) - 1);

		if (length < 0)
			continue;
		target[length] = '\0';
		found = is_of_device(files, target);
	}
	if (found)
		error = add_process(host, pid, target, list);
	closedir(directory);
	return error;
}

/* Whoever may not look into other processes, even root in a container, must not guess. */
static int hidden_process(struct usrpci_host *host, const char *pid)
{
	return report(host->ctx, -EACCES, NULL,
		      geteuid() ? "run as root" : "the capability CAP_SYS_PTRACE is needed",
		      "cannot see the files that process %s has open", pid);
}

static int search_processes(struct usrpci_host *host, const struct device_files *files, DIR *proc,
			    struct use_list *list)
{
	struct dirent *entry;
	char path[32];
	int error = 0;

	while (!error && (entry = readdir(proc))) {
		int fds;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%.10s/fd", entry->d_name);
		fds = openat(dirfd(proc), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fds >= 0)
			error = search_process(host, files, entry->d_name, fds, list);
		else if (errno == EACCES)
			error = hidden_process(host, entry->d_name);
		else if (errno != ENOENT && errno != ESRCH)
			error = report(host->ctx, -errno, entry->d_name, NULL,
				       "cannot see the files that it has open");
	}
	return error;
}

int guard_open_files(struct usrpci_host *host, const struct usrpci_dev_info *info,
		     struct use_list *list)
{
	struct device_files files = {0};
	int error = list_files(host, info, &files);
	DIR *proc;
	int fd;

	if (error)
		return report(host->ctx, error, NULL, NULL, "cannot list the device's files");
	/* An empty /proc shows no process, not that there is none. */
	if (host_is_live(host) && !file_exists(host->ctx, "/proc/self/fd"))
		return refuse(host->ctx, -ENOENT, NULL, "mount -t proc proc /proc",
			      "/proc is not mounted");
	fd = file_open(host->ctx, O_RDONLY | O_DIRECTORY, "/proc");
	if (fd < 0)
		return report(host->ctx, fd, NULL, NULL, "cannot read /proc");
	proc = fdopendir(fd);
	if (!proc) {
		close(fd);
		return -ENOMEM;
	}
	error = search_processes(host, &files, proc, list);
	closedir(proc);
	return error;
}
