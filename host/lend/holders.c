// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds out who still has a device whose loan has ended: a program may have passed a file of it on
 * to a process that it did not start. Files are recognised by what they are, not by their names,
 * among those that a process has open, has mapped, or has registered with an io_uring.
 *
 * A descriptor that lies unread in a socket is noticed under vfio, whose group can be opened only
 * while nobody has it, but not under uio; neither is an io_uring that nobody has open or mapped.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <usrpci/bar.h>

#include "file.h"
#include "lend/lend.h"
#include "ring.h"
#include "unread.h"
#include "vfio_node.h"
#include "wait/maps.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define FILES_MAX   16
#define HOLDER_SIZE 192

/* A file: a node by its device number, others by where they lie. */
struct identity {
	dev_t dev, rdev;
	ino_t ino;
	char path[96];
};

struct search {
	struct usrpci_host *host;
	struct identity files[FILES_MAX];
	int count;
	bool vfio;                /* a process with any device of vfio's will do */
	bool ring;                /* the process has a descriptor of an io_uring */
	char holder[HOLDER_SIZE]; /* "" for none */
};

static void add(struct search *search, const char *path)
{
	struct identity *file = &search->files[search->count];
	char full[PATH_SIZE];
	struct stat status;

	if (search->count == FILES_MAX || path_format(search->host->ctx, full, "%s", path) ||
	    stat(full, &status))
		return;
	*file = (struct identity){status.st_dev, status.st_rdev, status.st_ino};
	snprintf(file->path, sizeof(file->path), "%.95s", path);
	search->count++;
}

static void add_entries(struct search *search, const char *device, const char *below,
			const char *directory)
{
	AUTO_FREE char **names = NULL;
	char path[PATH_SIZE];
	int count = dir_list(search->host->ctx, &names, PCI_DEVICES "/%s/%s", device, below);

	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%.64s", directory, names[i]);
		add(search, path);
	}
}

static void list_files(struct search *search, const struct usrpci_dev_info *info)
{
	char device[USRPCI_ADDR_STRLEN], path[PATH_SIZE];

	usrpci_addr_format(&info->addr, device);
	add_entries(search, device, "uio", "/dev");
	if (info->iommu_group >= 0) {
		snprintf(path, sizeof(path), "/dev/vfio/%d", info->iommu_group);
		add(search, path);
	}
	add_entries(search, device, "vfio-dev", "/dev/vfio/devices");
	for (unsigned int bar = 0; bar < USRPCI_BARS; bar++) {
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource%u", device, bar);
		add(search, path);
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource%u_wc", device, bar);
		add(search, path);
	}
}

static const struct identity *find(const struct search *search, dev_t dev, ino_t ino, dev_t rdev)
{
	for (int i = 0; i < search->count; i++) {
		const struct identity *file = &search->files[i];

		if (rdev && file->rdev ? rdev == file->rdev : dev == file->dev && ino == file->ino)
			return file;
	}
	return NULL;
}

static void found(struct search *search, const char *pid, const char *how, const char *path)
{
	char command[NAME_SIZE];

	host_process_name(search->host, pid, command, sizeof(command));
	snprintf(search->holder, sizeof(search->holder), "pid %.10s (%s) has %.95s %s", pid,
		 command, path, how);
}

/* The descriptors of a process, or of a thread that has its own. */
struct descriptors {
	struct search *search;
	const char *pid;
	int directory;
};

/* The part behind the slash before the last; all of it when there is no such slash. */
static const char *last_two_parts(const char *path)
{
	int slashes = 0;

	for (size_t i = strlen(path); i > 0; i--) {
		if (path[i - 1] == '/' && ++slashes == 2)
			return path + i;
	}
	return path;
}

/*
 * No path is looked up, because a server of a file system might not answer. Before Linux 6.10 the
 * name is the last part alone: a number is then any file's, and vfio's group tells by itself.
 */
static bool is_named(const struct identity *file, const char *name)
{
	const char *last = strrchr(file->path, '/') + 1;

	if (strchr(name, '/'))
		return !strcmp(last_two_parts(name), last_two_parts(file->path));
	return !strcmp(name, last) && !isdigit((unsigned char)*last);
}

/* vfio's file of a device has no name but that of its kind, behind which a kernel may put more. */
static bool is_vfio_device(const struct search *search, const char *name)
{
	return search->vfio && strstr(name, "[vfio-device");
}

static int judge_registered(void *data, const char *name)
{
	const struct descriptors *of = data;

	if (is_vfio_device(of->search, name))
		found(of->search, of->pid, "registered with an io_uring", "a device of vfio's");
	for (int i = 0; i < of->search->count; i++) {
		const struct identity *file = &of->search->files[i];

		if (!is_named(file, name))
			continue;
		found(of->search, of->pid, "registered with an io_uring", file->path);
		break;
	}
	return of->search->holder[0] != '\0';
}

/* Some files have no name of their own, only one of their kind. */
static void look_at_kind(struct descriptors *of, const char *fd)
{
	char target[32];
	ssize_t length = readlinkat(of->directory, fd, target, sizeof(target) - 1);

	target[length < 0 ? 0 : length] = '\0';
	if (is_vfio_device(of->search, target))
		found(of->search, of->pid, "open", "a device of vfio's");
	if (strcmp(target, RING_PATH) != 0)
		return;
	of->search->ring = true;
	if (ring_each_file(of->directory, fd, judge_registered, of) == -EAGAIN)
		found(of->search, of->pid, "open", "an io_uring whose files cannot be seen");
}

static void search_open(struct search *search, const char *pid, const char *thread)
{
	int fd = file_open(search->host->ctx, O_RDONLY | O_DIRECTORY, "/proc/%s/task/%s/fd", pid,
			   thread);
	struct descriptors of = {search, pid, fd};
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct statx status;

	while (errno = 0, directory && !search->holder[0] && (entry = readdir(directory))) {
		const struct identity *file;

		/* No server of a file system is asked, which might not answer. */
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    statx(fd, entry->d_name, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &status))
			continue;
		file = find(search, makedev(status.stx_dev_major, status.stx_dev_minor),
			    (ino_t)status.stx_ino,
			    makedev(status.stx_rdev_major, status.stx_rdev_minor));
		if (file)
			found(search, pid, "open", file->path);
		else
			look_at_kind(&of, entry->d_name);
	}
	note_unread(search->host->ctx, "/proc", -errno);
	if (directory)
		closedir(directory);
}

/* "7f00-7f01 rw-s 0 00:17 1234   /sys/...": the device number is that of the file system. */
static void judge_mapping(struct search *search, const char *pid, const char *line)
{
	unsigned int major, minor;
	const struct identity *file;
	uint64_t ino;

	if (!search->ring && strstr(line, RING_PATH))
		found(search, pid, "mapped", "an io_uring whose files cannot be seen");
	if (is_vfio_device(search, line))
		found(search, pid, "mapped", "a device of vfio's");
	if (sscanf(line, "%*s %*s %*s %x:%x %" SCNu64, &major, &minor, &ino) != 3 || !ino)
		return;
	file = find(search, makedev(major, minor), (ino_t)ino, 0);
	if (file)
		found(search, pid, "mapped", file->path);
}

/* False when there is nothing, as for a thread that has ended while others of its process go on. */
static bool search_mapped(struct search *search, const char *pid, const char *thread)
{
	AUTO_FREE char *text = NULL;
	char task[48], *rest, *line;
	int error;

	snprintf(task, sizeof(task), "%.16s/task/%.16s", pid, thread);
	error = maps_read(search->host, task, &text);
	rest = text;

	if (error == -ETIMEDOUT)
		found(search, pid, "mapped", "something that cannot be seen");
	while (!search->holder[0] && (line = strsep(&rest, "\n")))
		judge_mapping(search, pid, line);
	return text && text[0];
}

/*
 * A thread may have files of its own, and outlive the one that the process is named after. An
 * io_uring shows its files by a descriptor alone, and works without one.
 */
static int search_process(void *data, const char *pid)
{
	struct search *search = data;
	AUTO_FREE char **threads = NULL;
	int count = 0;

	search->ring = false;
	if (atoi(pid) != getpid())
		count = dir_list(search->host->ctx, &threads, "/proc/%s/task", pid);
	for (int i = 0; i < count && !search->holder[0]; i++)
		if (!thread_shares_files(pid, threads[i]))
			search_open(search, pid, threads[i]);
	for (int i = 0; i < count && !search->holder[0]; i++)
		if (search_mapped(search, pid, threads[i]))
			break;
	return search->holder[0] != '\0';
}

/* Returns 0 when nobody has the device, or -EBUSY and who has it. */
static int search_device(struct usrpci_host *host, const struct usrpci_dev_info *info,
			 char holder[HOLDER_SIZE])
{
	unsigned int before = unread_count(host->ctx);
	struct search search = {.host = host};
	int error;

	search.vfio = info->iommu_group >= 0 && vfio_node_is_open(host, info->iommu_group);
	list_files(&search, info);
	error = host_each_process(host, search_process, &search);
	if (!error && !search.holder[0] && unread_count(host->ctx) != before)
		error = -EIO;
	if (error < 0)
		return report(host->ctx, error, NULL, NULL, "cannot read /proc");
	if (!search.holder[0] && search.vfio)
		snprintf(search.holder, sizeof(search.holder),
			 "a descriptor that no process shows, as one that lies unread in a socket, "
			 "keeps the group %d open",
			 info->iommu_group);
	memcpy(holder, search.holder, sizeof(search.holder));
	return holder[0] ? -EBUSY : 0;
}

int lend_wait_unheld(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	uint64_t end = clock_ms() + host->settle_ms;
	char name[USRPCI_ADDR_STRLEN], holder[HOLDER_SIZE];
	struct usrpci_dev_info info;
	int error = usrpci_dev_lookup(host->ctx, addr, &info);

	if (error)
		return error == -ENODEV ? 0 : error;
	while ((error = search_device(host, &info, holder)) == -EBUSY) {
		if (clock_ms() >= end)
			return refuse(host->ctx, error, usrpci_addr_format(addr, name),
				      "end it, then: usrpci restore --all",
				      "it is not given back, %s", holder);
		sleep_ms(20);
	}
	return error;
}
