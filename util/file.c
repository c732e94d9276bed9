// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads sysfs and procfs below a context's root. Leaves out writing to the host: host/apply.c alone
 * does that.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"
#include "file.h"
#include "leased.h"
#include "unread.h"

/* A hundred thousand mounts, which is the kernel's limit, have less. */
#define LINES_MAX (64u << 20)

__attribute__((format(printf, 3, 0))) static int
format_path(const struct usrpci_ctx *ctx, char path[PATH_SIZE], const char *format, va_list args)
{
	size_t root = strlen(ctx_base(ctx)->root);
	int length;

	if (root >= PATH_SIZE)
		return -ENAMETOOLONG;
	memcpy(path, ctx_base(ctx)->root, root);
	length = vsnprintf(path + root, PATH_SIZE - root, format, args);
	return length < 0 || root + (size_t)length >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

/* The functions with a format differ in what they do with the path that it makes. */
#define FORMAT_PATH(path, error)                                  \
	do {                                                      \
		va_list args;                                     \
		va_start(args, format);                           \
		(error) = format_path(ctx, (path), format, args); \
		va_end(args);                                     \
	} while (0)

int path_format(const struct usrpci_ctx *ctx, char path[PATH_SIZE], const char *format, ...)
{
	int error;

	FORMAT_PATH(path, error);
	return error;
}

static int open_path(const char *path, int flags)
{
	bool may_be_leased = (flags & O_ACCMODE) == O_RDONLY && !strncmp(path, "/proc/", 6);
	int fd = open(path, flags | O_CLOEXEC | (may_be_leased ? O_NONBLOCK : 0));

	if (fd < 0 && errno == EWOULDBLOCK && may_be_leased)
		return leased_open(path);
	return fd < 0 ? -errno : fd;
}

/* Opening a file for reading only needs no broker. */
static int open_lent(const struct usrpci_ctx *ctx, const char *path, int flags)
{
	if (!ctx_base(ctx)->open_lent || (flags & O_ACCMODE) == O_RDONLY)
		return -ENOENT;
	return ctx_base(ctx)->open_lent((struct usrpci_ctx *)ctx, path);
}

int file_open(const struct usrpci_ctx *ctx, int flags, const char *format, ...)
{
	char path[PATH_SIZE];
	int error, fd;

	FORMAT_PATH(path, error);
	if (error)
		return error;
	fd = open_lent(ctx, path, flags);
	if (fd == -ENOENT)
		fd = open_path(path, flags);
	return fd < 0 ? note_unread(ctx, path, fd) : fd;
}

FILE *file_stream(const struct usrpci_ctx *ctx, const char *format, ...)
{
	char path[PATH_SIZE];
	FILE *stream = NULL;
	int error, fd = -1;

	FORMAT_PATH(path, error);
	if (!error)
		fd = open_path(path, O_RDONLY);
	if (fd >= 0)
		stream = fdopen(fd, "r");
	if (stream)
		return stream;
	error = error ? error : fd < 0 ? fd : -errno;
	if (fd >= 0)
		close(fd);
	errno = -note_unread(ctx, path, error);
	return NULL;
}

int file_open_regular(const struct usrpci_ctx *ctx, int flags, const char *format, ...)
{
	char path[PATH_SIZE];
	struct stat status;
	int error, fd;

	FORMAT_PATH(path, error);
	if (error)
		return error;
	fd = file_open(ctx, flags | O_NONBLOCK, "%s", path + strlen(ctx_base(ctx)->root));
	if (fd < 0)
		return fd;
	error = fstat(fd, &status) ? note_unread(ctx, path, -errno) : 0;
	if (!error && S_ISREG(status.st_mode))
		return fd;
	close(fd);
	return error ?: -EBADMSG;
}

/*
 * A forged tree may have a pipe in the place of a file, which would keep its reader for ever, were
 * it not opened with O_NONBLOCK. Returns -EINVAL for one.
 */
static int check_pipe(int fd)
{
	struct stat status;

	return fstat(fd, &status) ? -errno : S_ISFIFO(status.st_mode) ? -EINVAL : 0;
}

/* Reads up to size bytes; fewer when the file ends before. Returns their number or an errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t got = 1;

	while (length < size && got != 0) {
		got = read(fd, text + length, size - length);
		if (got < 0 && errno != EINTR)
			return -errno;
		length += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)length;
}

static int check_lines(int fd)
{
	char text[16384], last = '\n';
	size_t total = 0;
	ssize_t length;

	while ((length = read_all(fd, text, sizeof(text))) > 0) {
		total += (size_t)length;
		last = text[length - 1];
		if (total > LINES_MAX)
			return -E2BIG;
		if (memchr(text, '\0', (size_t)length))
			return -EBADMSG;
	}
	return length < 0 ? (int)length : last == '\n' ? 0 : -EBADMSG;
}

int file_check_lines(const struct usrpci_ctx *ctx, const char *format, ...)
{
	char path[PATH_SIZE];
	int error, fd;

	FORMAT_PATH(path, error);
	if (error)
		return error;
	fd = file_open_regular(ctx, O_RDONLY, "%s", path + strlen(ctx_base(ctx)->root));
	if (fd < 0)
		return fd;
	error = check_lines(fd);
	close(fd);
	return error;
}

/*
 * The first read(2) gets all of an attribute of sysfs (Linux: Documentation/filesystems/sysfs.rst),
 * and a thousand devices have many. Only what gives nothing is asked whether it is a pipe.
 */
static ssize_t read_attribute(int fd, char *text, size_t size)
{
	ssize_t got = read(fd, text, size);
	int error = got < 0 ? -errno : 0;

	return got > 0 ? got : check_pipe(fd) ?: error;
}

static ssize_t read_whole(const struct usrpci_ctx *ctx, const char *path, int fd, char *text,
			  size_t size)
{
	if (!strncmp(path + strlen(ctx_base(ctx)->root), "/sys/", strlen("/sys/")))
		return read_attribute(fd, text, size);
	return check_pipe(fd) ?: read_all(fd, text, size);
}

static int read_path(const struct usrpci_ctx *ctx, const char *path, char *text, size_t size)
{
	int fd = open_path(path, O_RDONLY | O_NONBLOCK);
	ssize_t length;

	if (fd < 0)
		return note_unread(ctx, path, fd);
	length = read_whole(ctx, path, fd, text, size - 1);
	close(fd);
	if (length < 0)
		return note_unread(ctx, path, (int)length);
	while (length > 0 && strchr(" \t\n", text[length - 1]))
		length--;
	text[length] = '\0';
	return (int)length;
}

int file_read(const struct usrpci_ctx *ctx, char *text, size_t size, const char *format, ...)
{
	char path[PATH_SIZE];
	int error;

	FORMAT_PATH(path, error);
	return error ?: read_path(ctx, path, text, size);
}

int file_read_u64(const struct usrpci_ctx *ctx, uint64_t *value, const char *format, ...)
{
	char path[PATH_SIZE], text[32], *end;
	unsigned long long number;
	int error;

	FORMAT_PATH(path, error);
	if (error)
		return error;
	error = read_path(ctx, path, text, sizeof(text));
	if (error < 0)
		return error;
	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		return -EINVAL;
	*value = number;
	return 0;
}

int file_link_name(const struct usrpci_ctx *ctx, char *name, size_t size, const char *format, ...)
{
	char path[PATH_SIZE], target[PATH_SIZE];
	const char *last;
	ssize_t length;
	int error;

	FORMAT_PATH(path, error);
	if (error)
		return error;
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return note_unread(ctx, path, -errno);
	target[length] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= size)
		return -ENAMETOOLONG;
	strcpy(name, last);
	make_printable(name);
	return 0;
}

static int find_path(const struct usrpci_ctx *ctx, const char *path)
{
	if (!faccessat(AT_FDCWD, path, F_OK, 0))
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : note_unread(ctx, path, -errno);
}

int file_find(const struct usrpci_ctx *ctx, const char *format, ...)
{
	char path[PATH_SIZE];
	int error;

	FORMAT_PATH(path, error);
	return error ?: find_path(ctx, path);
}

bool file_exists(const struct usrpci_ctx *ctx, const char *format, ...)
{
	char path[PATH_SIZE];
	int error;

	FORMAT_PATH(path, error);
	return !error && find_path(ctx, path) > 0;
}

static int is_entry(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

/* An array of pointers and, behind it, the strings that they point to. */
static char **pack_names(struct dirent *const *entries, int count)
{
	size_t size = (size_t)count * sizeof(char *) + 1;
	char **names, *next;

	for (int i = 0; i < count; i++)
		size += strlen(entries[i]->d_name) + 1;
	names = malloc(size);
	next = (char *)(names + count);
	for (int i = 0; names && i < count; i++) {
		names[i] = next;
		next = stpcpy(next, entries[i]->d_name) + 1;
	}
	return names;
}

int dir_list(const struct usrpci_ctx *ctx, char ***names, const char *format, ...)
{
	struct dirent **entries;
	char path[PATH_SIZE];
	int count, error;

	*names = NULL;
	FORMAT_PATH(path, error);
	if (error)
		return error;
	count = scandir(path, &entries, is_entry, versionsort);
	if (count < 0)
		return note_unread(ctx, path, -errno);
	*names = pack_names(entries, count);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return *names ? count : note_unread(ctx, path, -ENOMEM);
}

int pread_exact(int fd, void *buffer, size_t size, off_t offset)
{
	ssize_t got = pread(fd, buffer, size, offset);

	if (got < 0)
		return -errno;
	return (size_t)got == size ? 0 : -EIO;
}

int pwrite_exact(int fd, const void *buffer, size_t size, off_t offset)
{
	ssize_t put = pwrite(fd, buffer, size, offset);

	if (put < 0)
		return -errno;
	return (size_t)put == size ? 0 : -EIO;
}

const char *device_lock_path(const struct usrpci_ctx *ctx, const char *name, char path[PATH_SIZE])
{
	for (unsigned int bar = 0; bar < 6; bar++) {
		snprintf(path, PATH_SIZE, PCI_DEVICES "/%s/resource%u", name, bar);
		if (file_exists(ctx, "%s", path))
			return path;
	}
	snprintf(path, PATH_SIZE, PCI_DEVICES "/%s/config", name);
	return path;
}
