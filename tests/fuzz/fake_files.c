// SPDX-License-Identifier: BSD-2-Clause
/*
 * Files in memory in the place of util/file.c, whose contract this keeps: what a fuzzer writes for
 * each input is not worth a file system. Nothing here can be written to, and descriptors are of
 * real files that a target names.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base.h"
#include "file.h"
#include "fuzz.h"

#define FILES     32
#define NAME_ROOM 32 /* bytes of a directory's entry */

static struct fake_file {
	const char *path;
	const uint8_t *bytes; /* of a link, its target */
	size_t size;
	bool link;
	int fd;
} files[FILES];

/* By hand: the fuzzer watches strcmp(3), and would learn these paths instead of the input. */
UNCOVERED static size_t common(const char *a, const char *b)
{
	size_t length = 0;

	while (a[length] && a[length] == b[length])
		length++;
	return length;
}

UNCOVERED static bool same(const char *a, const char *b)
{
	size_t length = common(a, b);

	return a[length] == b[length];
}

/* Finds an entry by its path, or makes it. */
static struct fake_file *entry_of(const char *path)
{
	struct fake_file *file = files;

	while (file->path && !same(file->path, path))
		file++;
	HOLDS(file < files + FILES - 1);
	if (!file->path)
		*file = (struct fake_file){.path = path, .fd = -1};
	return file;
}

void fake_file(const char *path, const void *bytes, size_t size)
{
	struct fake_file *file = entry_of(path);

	file->bytes = bytes;
	file->size = size;
}

void fake_link(const char *path, const char *target)
{
	struct fake_file *file = entry_of(path);

	file->bytes = (const uint8_t *)target;
	file->size = strlen(target);
	file->link = true;
}

void fake_descriptor(const char *path, int fd)
{
	entry_of(path)->fd = fd;
}

void fake_header(const char *path)
{
	static const uint8_t header[64] = {0x86, 0x80, 0x0e, 0x10, [11] = 2};
	int fd = memfd_create("config", MFD_CLOEXEC);

	HOLDS(fd >= 0 && write(fd, header, sizeof(header)) == sizeof(header));
	fake_descriptor(path, fd);
}

UNCOVERED static const struct fake_file *find(const char *path)
{
	for (const struct fake_file *file = files; file->path; file++)
		if (same(file->path, path))
			return file;
	return NULL;
}

static int format_path(char path[PATH_SIZE], const char *format, va_list args)
{
	int length = vsnprintf(path, PATH_SIZE, format, args);

	return length < 0 || length >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

#define FORMAT_PATH(path, error)                             \
	do {                                                 \
		va_list args;                                \
		va_start(args, format);                      \
		(error) = format_path((path), format, args); \
		va_end(args);                                \
	} while (0)

int path_format(const struct usrpci_ctx *ctx, char path[PATH_SIZE], const char *format, ...)
{
	int root = snprintf(path, PATH_SIZE, "%s", ctx_base(ctx)->root);
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(path + root, PATH_SIZE - (size_t)root, format, args);
	va_end(args);
	return length < 0 || root + length >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

static int open_file(const char *path)
{
	const struct fake_file *file = find(path);

	return file && file->fd >= 0 ? fcntl(file->fd, F_DUPFD_CLOEXEC, 0) : -ENOENT;
}

int file_open(const struct usrpci_ctx *ctx, int flags, const char *format, ...)
{
	char path[PATH_SIZE];
	int error;

	FORMAT_PATH(path, error);
	return error ?: open_file(path);
}

int file_open_regular(const struct usrpci_ctx *ctx, int flags, const char *format, ...)
{
	char path[PATH_SIZE];
	int error;

	FORMAT_PATH(path, error);
	return error ?: open_file(path);
}

FILE *file_stream(const struct usrpci_ctx *ctx, const char *format, ...)
{
	const struct fake_file *file;
	char path[PATH_SIZE];
	int error;

	FORMAT_PATH(path, error);
	file = error ? NULL : find(path);
	if (file && !file->link && file->size)
		return fmemopen((void *)file->bytes, file->size, "r");
	errno = error ? -error : ENOENT;
	return NULL;
}

int file_check_lines(const struct usrpci_ctx *ctx, const char *format, ...)
{
	const struct fake_file *file;
	char path[PATH_SIZE];
	int error;

	FORMAT_PATH(path, error);
	file = error ? NULL : find(path);
	if (!file)
		return error ?: -ENOENT;
	if (!file->size)
		return 0;
	return memchr(file->bytes, '\0', file->size) || file->bytes[file->size - 1] != '\n'
		       ? -EBADMSG
		       : 0;
}

static int read_file(const char *path, char *text, size_t size)
{
	const struct fake_file *file = find(path);
	size_t length;

	if (!file || file->link)
		return -ENOENT;
	length = file->size < size - 1 ? file->size : size - 1;
	memcpy(text, file->bytes, length);
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
	return error ? error : read_file(path, text, size);
}

int file_read_u64(const struct usrpci_ctx *ctx, uint64_t *value, const char *format, ...)
{
	char path[PATH_SIZE], text[32], *end;
	int error;

	FORMAT_PATH(path, error);
	if (!error)
		error = read_file(path, text, sizeof(text));
	if (error < 0)
		return error;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno || end == text || *end ? -EINVAL : 0;
}

int file_link_name(const struct usrpci_ctx *ctx, char *name, size_t size, const char *format, ...)
{
	const struct fake_file *file;
	char path[PATH_SIZE];
	const char *last;
	int error;

	FORMAT_PATH(path, error);
	file = error ? NULL : find(path);
	if (!file || !file->link)
		return -ENOENT;
	last = strrchr((const char *)file->bytes, '/');
	last = last ? last + 1 : (const char *)file->bytes;
	if (strlen(last) >= size)
		return -ENAMETOOLONG;
	strcpy(name, last);
	make_printable(name);
	return 0;
}

/* The part of a file's path that is a directory's entry; NULL when it is not below it. */
UNCOVERED static const char *entry_below(const struct fake_file *file, const char *directory)
{
	size_t length = common(file->path, directory);

	return directory[length] || file->path[length] != '/' ? NULL : file->path + length + 1;
}

static bool is_there(const char *path)
{
	bool found = find(path);

	for (const struct fake_file *file = files; !found && file->path; file++)
		found = entry_below(file, path) != NULL;
	return found;
}

int file_find(const struct usrpci_ctx *ctx, const char *format, ...)
{
	char path[PATH_SIZE];
	int error;

	FORMAT_PATH(path, error);
	return error ?: is_there(path);
}

bool file_exists(const struct usrpci_ctx *ctx, const char *format, ...)
{
	char path[PATH_SIZE];
	int error;

	FORMAT_PATH(path, error);
	return !error && is_there(path);
}

UNCOVERED static bool is_listed(char **names, int count, const char *name, size_t length)
{
	for (int i = 0; i < count; i++)
		if (strlen(names[i]) == length && !strncmp(names[i], name, length))
			return true;
	return false;
}

int dir_list(const struct usrpci_ctx *ctx, char ***result, const char *format, ...)
{
	char path[PATH_SIZE], **names, *next;
	int count = 0, error;

	*result = NULL;
	FORMAT_PATH(path, error);
	if (error)
		return error;
	names = malloc(FILES * (sizeof(*names) + NAME_ROOM));
	HOLDS(names);
	next = (char *)(names + FILES);
	for (const struct fake_file *file = files; file->path; file++) {
		const char *name = entry_below(file, path);
		size_t length = name ? strcspn(name, "/") : 0;

		if (!name || is_listed(names, count, name, length))
			continue;
		names[count++] = next;
		next += snprintf(next, NAME_ROOM, "%.*s", (int)length, name) + 1;
	}
	if (count == 0) {
		free(names);
		return -ENOENT;
	}
	*result = names;
	return count;
}

/* As of a host that is alive: the files that are there are directories or said to be. */
int __wrap_scandir64(const char *path, struct dirent ***entries,
		     int (*wanted)(const struct dirent *), void *order)
{
	char **names;
	int count = dir_list(NULL, &names, "%s", strstr(path, "/sys/")), kept = 0;

	(void)order;
	if (count < 0) {
		errno = -count;
		return -1;
	}
	*entries = malloc(FILES * sizeof(**entries));
	for (int i = 0; i < count; i++) {
		struct dirent entry = {.d_type = DT_UNKNOWN};

		snprintf(entry.d_name, sizeof(entry.d_name), "%s", names[i]);
		if (!wanted(&entry))
			continue;
		(*entries)[kept] = malloc(sizeof(entry));
		HOLDS((*entries)[kept]);
		*(*entries)[kept++] = entry;
	}
	free(names);
	return kept;
}

int pread_exact(int fd, void *buffer, size_t size, off_t offset)
{
	return pread(fd, buffer, size, offset) == (ssize_t)size ? 0 : -EIO;
}

int pwrite_exact(int fd, const void *buffer, size_t size, off_t offset)
{
	return -EROFS;
}

/* These devices have no file of a BAR. */
const char *device_lock_path(const struct usrpci_ctx *ctx, const char *name, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, PCI_DEVICES "/%s/config", name);
	return path;
}
