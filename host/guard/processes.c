// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads which files processes have open or mapped, see processes.h. Only those are kept that may be
 * a device's: character and block devices, whatever they are called in whose /dev, and the files of
 * registers in sysfs and /proc/bus/pci, which are known by their paths (proc_pid_fd(5)).
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "guard/processes.h"
#include "host.h"
#include "ring.h"
#include "unread.h"
#include "wait/maps.h"

/* The process of the kernel that starts its threads, in the first namespace of processes. */
#define KTHREADD 2

/* The kernel's first namespace of processes has this number: PROC_PID_INIT_INO. */
#define FIRST_PID_NAMESPACE 0xEFFFFFFCu

/* The first namespace of users has this number: PROC_USER_INIT_INO. */
#define FIRST_USER_NAMESPACE 0xEFFFFFFDu

/* Of an attempt to find a name; one fails while others change what is there. */
#define KNOWN_TRIES 20

struct search {
	struct usrpci_host *host;
	struct open_files *files;
	bool live;
	bool has_kthreadd; /* it was seen, and is the kernel's */
	int fds;           /* the directory of the process's descriptors */
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
static int judge_file(const struct search *search, int directory, const char *name,
		      const char *path)
{
	struct statx status = {0};

	if (search->live && statx(directory, name, AT_STATX_DONT_SYNC, STATX_TYPE, &status)) {
		search->files->hidden |= errno == EPERM;
		return 0;
	}
	if (S_ISCHR(status.stx_mode) || S_ISBLK(status.stx_mode))
		return keep(search, path, &status);
	status.stx_mode = 0;
	return !search->live || is_register(path) ? keep(search, path, &status) : 0;
}

static int keep_namespace(const struct search *search, const char *file, ino_t number)
{
	struct open_files *files = search->files;
	struct open_namespace *longer = array_grow(files->namespaces, files->namespace_count, 1,
						   sizeof(*longer));

	if (!longer)
		return -ENOMEM;
	files->namespaces = longer;
	longer = &longer[files->namespace_count++];
	longer->number = number;
	snprintf(longer->file, sizeof(longer->file), "%.11s/%.35s", search->pid, file);
	return 0;
}

static bool is_known(const struct open_files *files, ino_t number)
{
	for (size_t i = 0; i < files->namespace_count; i++)
		if (files->namespaces[i].number == number)
			return true;
	return false;
}

/* Keeps the namespace that a process ("ns/net") or a thread ("task/813/ns/net") is in. */
static int look_at_namespace(const struct search *search, const char *file)
{
	char path[64];
	struct stat status;

	snprintf(path, sizeof(path), "/proc/%.11s/%.35s", search->pid, file);
	if (stat(path, &status)) {
		note_unread(search->host->ctx, path, -errno);
		return 0;
	}
	return is_known(search->files, status.st_ino) ? 0
						      : keep_namespace(search, file, status.st_ino);
}

static int keep_socket(const struct search *search, uint64_t inode, const char *fd)
{
	struct open_files *files = search->files;
	struct open_socket *longer = array_grow(files->sockets, files->socket_count, 1,
						sizeof(*longer));

	if (!longer)
		return -ENOMEM;
	files->sockets = longer;
	longer[files->socket_count++] = (struct open_socket){inode, atoi(search->pid), atoi(fd)};
	return 0;
}

static void note_ring(const struct search *search)
{
	snprintf(search->files->ring, sizeof(search->files->ring), "%s", search->pid);
}

/*
 * Opens what a process names so. A server of files is not asked, which might not answer: the name
 * of a file that is registered is known to the kernel, but where files are looked up with their
 * server each time. Returns a descriptor, -EAGAIN for such a place, or another negative errno.
 */
static int open_known(const struct search *search, const char *name)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_CACHED | RESOLVE_IN_ROOT};
	char path[64];
	AUTO_CLOSE int root = -1;
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/%.11s/root", search->pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	for (int i = 0; i < KNOWN_TRIES; i++) {
		fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : fd;
}

/*
 * Keeps a file that the process names so, if it is there and a device's. Returns 1: it is there,
 * -EAGAIN: only its server could tell.
 */
static int judge_named(const struct search *search, const char *name)
{
	AUTO_CLOSE int fd = open_known(search, name);
	struct statx status;
	int error;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status))
		return fd == -EAGAIN ? fd : 0;
	error = S_ISCHR(status.stx_mode) || S_ISBLK(status.stx_mode) ? keep(search, name, &status)
								     : 0;
	return error ?: 1;
}

/* Of files that were deleted, and of those of a server, most are data. */
static int judge_path(const struct search *search, const char *path)
{
	static const struct statx registers = {0};
	int found;

	if (is_register(path))
		return keep(search, path, &registers);
	found = judge_named(search, path);
	if ((!found && !strstr(path, " (deleted)")) || (found <= 0 && strstr(path, "/dev/")))
		note_ring(search);
	return found == -ENOMEM ? found : 0;
}

/*
 * Kernels before 6.10 tell the last part of a path alone; that of a device is below /dev, and one
 * of registers could be any device's.
 */
static int judge_registered(void *data, const char *name)
{
	const struct search *search = data;
	static const char *const directories[] = {"",     "vfio/",       "vfio/devices/", "snd/",
						  "dri/", "infiniband/", "dsa/"};
	char path[PATH_SIZE];
	int found = 0;

	if (name[0] == '/')
		return judge_path(search, name);
	if (!strncmp(name, "resource", strlen("resource")))
		note_ring(search);
	for (size_t i = 0; found != -ENOMEM && i < ARRAY_SIZE(directories); i++) {
		snprintf(path, sizeof(path), "/dev/%s%.255s", directories[i], name);
		found = strchr(name, '/') ? 0 : judge_named(search, path);
	}
	return found == -ENOMEM ? found : 0;
}

static int look_at_ring(struct search *search, const char *fd)
{
	int error = ring_each_file(search->fds, fd, judge_registered, search);

	if (error == -EAGAIN)
		note_ring(search);
	return error == -EAGAIN ? 0 : error;
}

static int look_at_file(struct search *search, const char *fd)
{
	char path[PATH_SIZE], file[32];
	uint64_t inode;
	ssize_t length = readlinkat(search->fds, fd, path, sizeof(path) - 1);

	if (length < 0)
		note_unread(search->host->ctx, "/proc", -errno);
	path[length < 0 ? 0 : length] = '\0';
	if (search->live && !strcmp(path, RING_PATH))
		return look_at_ring(search, fd);
	if (search->live && !strncmp(path, "net:[", strlen("net:["))) {
		snprintf(file, sizeof(file), "fd/%.15s", fd);
		return keep_namespace(search, file, 0);
	}
	if (search->live && sscanf(path, "socket:[%" SCNu64 "]", &inode) == 1)
		return keep_socket(search, inode, fd);
	return path[0] == '/' ? judge_file(search, search->fds, fd, path) : 0;
}

static int look_at_entries(struct search *search, const char *entries, ssize_t size)
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
	search->files->too_few |= error == EMFILE;
}

/* Whether a process has more threads than one: the directory counts a link for each. */
static bool has_threads(const char *pid)
{
	char path[64];
	struct stat tasks;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	return !stat(path, &tasks) && tasks.st_nlink > 3;
}

/* Whether /proc numbers the processes as the system calls of this one do. */
static bool has_own_numbers(void)
{
	char number[16] = "";

	return readlink("/proc/self", number, sizeof(number) - 1) > 0 && atoi(number) == getpid();
}

static bool shares_with_kthreadd(const char *pid, int what)
{
	return syscall(SYS_kcmp, KTHREADD, atoi(pid), what, 0, 0) == 0;
}

/*
 * Most processes are threads of the kernel, which run no program, have no files, and are in the
 * kernel's first network namespace. So looks a process whose first thread has ended, but that has
 * others. Whatever shares the kernel's own empty table of files, and no memory, is asked no more.
 */
static bool is_of_kernel_alone(struct search *search, const char *pid)
{
	char path[64], program[8];

	if (search->has_kthreadd && shares_with_kthreadd(pid, KCMP_FILES) &&
	    shares_with_kthreadd(pid, KCMP_VM))
		return true;
	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	if (!search->live || readlink(path, program, sizeof(program)) >= 0 || errno != ENOENT ||
	    has_threads(pid))
		return false;
	search->has_kthreadd |= atoi(pid) == KTHREADD && has_own_numbers();
	return true;
}

/* readdir(3) would ask the kernel twice as often. */
static int look_at_files(struct search *search, const char *thread)
{
	_Alignas(struct dirent64) char entries[4096];
	ssize_t size = 1;
	int error = 0;

	search->fds = file_open(search->host->ctx, O_RDONLY | O_DIRECTORY, "/proc/%s/fd", thread);
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

/* "7f0000000000-7f0000001000 rw-s 0 00:17 1234   /sys/...": device files are mapped shared. */
static int look_at_mapping(const struct search *search, char *line)
{
	unsigned long start, end;
	char name[64], shared;
	int path = 0;

	/* Most are private, and sscanf(3) takes its time. */
	if (!strstr(line, "s "))
		return 0;
	if (sscanf(line, "%lx-%lx %*3c%c %*s %*s %*s %n", &start, &end, &shared, &path) != 3 ||
	    shared != 's' || line[path] != '/')
		return 0;
	snprintf(name, sizeof(name), "/proc/%s/map_files/%lx-%lx", search->pid, start, end);
	return judge_file(search, AT_FDCWD, name, line + path);
}

/*
 * A mapping outlives the descriptor, which most drivers close at once. False when there is nothing,
 * as for a thread that has ended while others of its process go on.
 */
static bool look_at_mappings(const struct search *search, const char *thread, int *error)
{
	AUTO_FREE char *text = NULL;
	char *rest, *line;
	int hidden;

	/* One is enough for a refusal, and the next might take as long. */
	if (search->files->maps[0])
		return true;
	hidden = maps_read(search->host, thread, &text);
	rest = text;
	if (hidden == -ETIMEDOUT)
		snprintf(search->files->maps, sizeof(search->files->maps), "%s", search->pid);
	else if (hidden)
		note_hidden(search, -hidden);
	while (!*error && (line = strsep(&rest, "\n")))
		*error = look_at_mapping(search, line);
	return text && text[0];
}

/* A thread can be in another namespace, and have other files, than its process. */
static int look_at_thread(struct search *search, const char *thread)
{
	char file[48];

	if (!strcmp(search->pid, thread))
		return 0;
	snprintf(file, sizeof(file), "task/%.11s/ns/net", thread);
	return look_at_namespace(search, file)
		       ?: thread_shares_files(search->pid, thread) ? 0
								   : look_at_files(search, thread);
}

static int look_at_threads(struct search *search, bool *mapped)
{
	AUTO_FREE char **threads = NULL;
	int count = dir_list(search->host->ctx, &threads, "/proc/%s/task", search->pid), error = 0;

	for (int i = 0; !error && i < count; i++) {
		error = look_at_thread(search, threads[i]);
		if (!error && !*mapped)
			*mapped = look_at_mappings(search, threads[i], &error);
	}
	return error;
}

/* A host that is made of files shows neither namespaces, nor threads, nor mappings. */
static int look_at_process(void *data, const char *pid)
{
	struct search *search = data;
	bool mapped = false;
	int error;

	if (is_of_kernel_alone(search, pid))
		return 0;
	search->pid = pid;
	error = look_at_files(search, pid);
	if (error || !search->live)
		return error;
	mapped = look_at_mappings(search, pid, &error);
	error = error ?: look_at_namespace(search, "ns/net");
	return !error && has_threads(pid) ? look_at_threads(search, &mapped) : error;
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

/* Root there sees no file of the host's root, and without an error. */
static bool is_user_namespace(struct usrpci_host *host)
{
	unsigned int first, below, count;
	struct stat status;
	char map[64];

	if (host_is_live(host) && !stat("/proc/self/ns/user", &status) &&
	    status.st_ino != FIRST_USER_NAMESPACE)
		return true;
	if (file_read(host->ctx, map, sizeof(map), "/proc/self/uid_map") < 0)
		return false;
	return sscanf(map, "%u %u %u", &first, &below, &count) != 3 || first || below ||
	       count != UINT32_MAX;
}

/* A program that cannot see other processes, even root in a container, must not guess. */
static const char *blindness(struct usrpci_host *host, const struct open_files *files)
{
	struct stat status;

	if (files->too_few)
		return "ulimit -n 1024";
	if (is_user_namespace(host))
		return "run on the host itself: this user namespace hides what the host's "
		       "processes hold";
	if (!host_is_live(host))
		return files->hidden ? "run as root" : NULL;
	if (!stat("/proc/self/ns/pid", &status) && status.st_ino != FIRST_PID_NAMESPACE)
		return "run on the host itself: this container shows its own processes alone";
	if (!files->hidden && file_exists(host->ctx, "/proc/1/fd"))
		return NULL;
	return geteuid() ? "run as root" : "run with the capability CAP_SYS_PTRACE";
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
	files->blindness = blindness(host, files);
	return 0;
}

void open_files_free(struct open_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->list[i].path);
	free(files->list);
	free(files->namespaces);
	free(files->sockets);
}
