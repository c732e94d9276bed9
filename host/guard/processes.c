// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads which files processes have open, see processes.h. Only those are kept that may be a
 * device's: character and block devices, whatever they are called in whose /dev, and the files of
 * registers in sysfs and /proc/bus/pci, which are known by their paths (proc_pid_fd(5)).
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "guard/processes.h"
#include "host.h"
#include "unread.h"

struct search {
	struct usrpci_host *host;
	struct open_files *files;
	bool live;
	int fds; /* the directory of the process's descriptors */
	const char *pid;
};

static int keep(const struct search *search, const char *path, const struct statx *status)
{
	struct open_files *files = search->files;
	struct open_file *file = array_grow(files->list, files->count, 1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	files->list = file;
	file = &files->list[files->count];
	*file = (struct open_file){.type = status->stx_mode & S_IFMT};
	file->number = makedev(status->stx_rdev_major, status->stx_rdev_minor);
	snprintf(file->pid, sizeof(file->pid), "%s", search->pid);
	file->path = strdup(path);
	files->count += file->path != NULL;
	return file->path ? 0 : -ENOMEM;
}

/* "/sys/devices/pci0000:00/0000:03:00.0/resource0", "/proc/bus/pci/03/00.0" */
static bool is_register(const char *path)
{
	return (strstr(path, "/devices/") && strstr(path, "/resource")) ||
	       strstr(path, "/bus/pci/");
}

/* A server of files that is gone is not waited for. A host made of files has paths alone. */
static int look_at_file(const struct search *search, const char *fd)
{
	struct statx status = {0};
	char path[PATH_SIZE];
	ssize_t length = readlinkat(search->fds, fd, path, sizeof(path) - 1);

	if (length < 0)
		note_unread(search->host->ctx, "/proc", -errno);
	path[length < 0 ? 0 : length] = '\0';
	if (path[0] != '/')
		return 0;
	if (search->live && statx(search->fds, fd, AT_STATX_DONT_SYNC, STATX_TYPE, &status))
		return 0;
	if (S_ISCHR(status.stx_mode) || S_ISBLK(status.stx_mode))
		return keep(search, path, &status);
	status.stx_mode = 0;
	return !search->live || is_register(path) ? keep(search, path, &status) : 0;
}

static int look_at_entries(const struct search *search, const char *entries, ssize_t size)
{
	int error = 0;

	for (ssize_t at = 0; !error && at < size;) {
		const struct dirent64 *entry = (const struct dirent64 *)(entries + at);

		if (entry->d_name[0] != '.')
			error = look_at_file(search, entry->d_name);
		at += entry->d_reclen;
	}
	return error;
}

/* A process that ends meanwhile holds nothing. */
static void note_hidden(const struct search *search, int error)
{
	note_unread(search->host->ctx, "/proc", -error);
	search->files->hidden |= error != ENOENT && error != ESRCH;
}

/* Most processes are threads of the kernel, which run no program and have no files. */
static bool is_of_kernel_alone(const struct search *search, const char *pid)
{
	char path[64], program[8];

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	return search->live && readlink(path, program, sizeof(program)) < 0 && errno == ENOENT;
}

/* readdir(3) would ask the kernel twice as often. */
static int look_at_process(void *data, const char *pid)
{
	_Alignas(struct dirent64) char entries[4096];
	struct search *search = data;
	ssize_t size = 1;
	int error = 0;

	if (is_of_kernel_alone(search, pid))
		return 0;
	search->pid = pid;
	search->fds = file_open(search->host->ctx, O_RDONLY | O_DIRECTORY, "/proc/%s/fd", pid);
	if (search->fds < 0) {
		note_hidden(search, -search->fds);
		return 0;
	}
	while (!error && size > 0) {
		size = getdents64(search->fds, entries, sizeof(entries));
		if (size < 0)
			note_hidden(search, errno);
		error = look_at_entries(search, entries, size);
	}
	close(search->fds);
	return error;
}

/*
 * An empty /proc shows no process, not that there is none; one that is not the kernel's, as in a
 * copy of a system, shows nothing at all.
 */
static bool is_of_kernel(struct usrpci_host *host)
{
	struct statfs status;
	char proc[PATH_SIZE];

	return !path_format(host->ctx, proc, "/proc") && !statfs(proc, &status) &&
	       status.f_type == PROC_SUPER_MAGIC && file_exists(host->ctx, "/proc/self/fd");
}

int open_files_read(struct usrpci_host *host, struct open_files *files)
{
	struct search search = {.host = host, .files = files, .live = host_is_live(host)};
	int error = -ENOENT;

	files->read = true;
	if (!search.live || is_of_kernel(host))
		error = host_each_process(host, look_at_process, &search);
	if (error == -ENOMEM)
		return error;
	files->error = error;
	return 0;
}

void open_files_free(struct open_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->list[i].path);
	free(files->list);
}
