// SPDX-License-Identifier: BSD-2-Clause
/*
 * Files in memory in the place of util/file.c, whose contract this keeps, and what reads them by a
 * descriptor: what a fuzzer writes for each input is not worth a file system. Nothing here can be
 * written to.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base.h"
#include "file.h"
#include "fuzz.h"

#define FILES        32
#define NAME_ROOM    32 /* bytes of a directory's entry */
#define OPENED       8
#define OPENED_FIRST (1 << 20) /* no descriptor of the system has such a number */

static struct fake_file {
	const char *path;
	size_t length;        /* of the path */
	const uint8_t *bytes; /* of a link, its target */
	size_t size;
	bool link;
} files[FILES];

/* Descriptors that are open. */
static struct opened {
	const struct fake_file *file; /* NULL: it is closed */
	size_t position;
} opened[OPENED];

/* By hand: the fuzzer watches strcmp(3), and would learn these paths instead of the input. */
static bool same(const char *a, const char *b, size_t length)
{
	/* Paths differ at their ends. */
	while (length > 0 && a[length - 1] == b[length - 1])
		length--;
	return length == 0;
}

static size_t length_of(const char *path)
{
	const char *end = path;

	while (*end)
		end++;
	return (size_t)(end - path);
}

static struct fake_file *find(const char *path)
{
	size_t length = length_of(path);

	for (struct fake_file *file = files; file->path; file++)
		if (file->length == length && same(file->path, path, length))
			return file;
	return NULL;
}

/* Finds an entry by its path, or makes it. */
static struct fake_file *entry_of(const char *path)
{
	struct fake_file *file = find(path);

	if (file)
		return file;
	for (file = files; file->path;)
		file++;
	HOLDS(file < files + FILES - 1);
	*file = (struct fake_file){.path = path, .length = length_of(path)};
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
	fake_file(path, target, strlen(target));
	entry_of(path)->link = true;
}

void fake_header(const char *path)
{
	static const uint8_t header[64] = {0x86, 0x80, 0x0e, 0x10, [11] = 2};

	fake_file(path, header, sizeof(header));
}

/* Nearly all paths have names alone in them, and vsnprintf(3) takes longer than what is tested. */
static bool has_names_alone(const char *format)
{
	while ((format = strchr(format, '%')) && format[1] == 's')
		format += 2;
	return !format;
}

static int format_path(char path[PATH_SIZE], const char *format, va_list args)
{
	size_t length = 0;

	if (!has_names_alone(format))
		return vsnprintf(path, PATH_SIZE, format, args) < PATH_SIZE ? 0 : -ENAMETOOLONG;
	while (*format) {
		bool name = *format == '%';
		const char *part = name ? va_arg(args, const char *) : format;
		size_t size = name ? strlen(part) : strcspn(format, "%");

		if (length + size >= PATH_SIZE)
			return -ENAMETOOLONG;
		memcpy(path + length, part, size);
		length += size;
		format += name ? 2 : size;
	}
	path[length] = '\0';
	return 0;
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
	char below[PATH_SIZE];
	int error;

	FORMAT_PATH(below, error);
	if (!error && snprintf(path, PATH_SIZE, "%s%s", ctx_base(ctx)->root, below) >= PATH_SIZE)
		error = -ENAMETOOLONG;
	return error;
}

static int open_file(const char *path)
{
	const struct fake_file *file = find(path);
	int number = 0;

	if (!file || file->link)
		return -ENOENT;
	while (opened[number].file)
		HOLDS(++number < OPENED);
	opened[number] = (struct opened){.file = file};
	return OPENED_FIRST + number;
}

/* Returns NULL for a descriptor of the system. */
static struct opened *opened_of(int fd)
{
	struct opened *of = fd >= OPENED_FIRST ? &opened[fd - OPENED_FIRST] : NULL;

	HOLDS(!of || (fd < OPENED_FIRST + OPENED && of->file));
	return of;
}

int close(int fd)
{
	struct opened *of = opened_of(fd);

	if (!of)
		return (int)syscall(SYS_close, fd);
	of->file = NULL;
	return 0;
}

static ssize_t copy(const struct fake_file *file, void *buffer, size_t size, size_t offset)
{
	size_t left = offset < file->size ? file->size - offset : 0;

	if (size > left)
		size = left;
	memcpy(buffer, file->bytes + offset, size);
	return (ssize_t)size;
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
	struct opened *of = opened_of(fd);

	return of ? copy(of->file, buffer, size, (size_t)offset)
		  : (ssize_t)syscall(SYS_pread64, fd, buffer, size, offset);
}

ssize_t read(int fd, void *buffer, size_t size)
{
	struct opened *of = opened_of(fd);
	ssize_t got;

	if (!of)
		return (ssize_t)syscall(SYS_read, fd, buffer, size);
	got = copy(of->file, buffer, size, of->position);
	of->position += (size_t)got;
	return got;
}

int fstat(int fd, struct stat *status)
{
	struct opened *of = opened_of(fd);

	if (!of)
		return (int)syscall(SYS_fstat, fd, status);
	*status = (struct stat){.st_mode = S_IFREG, .st_size = (off_t)of->file->size};
	return 0;
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
static const char *entry_below(const struct fake_file *file, const char *directory, size_t length)
{
	bool below = file->length > length && file->path[length] == '/' &&
		     same(file->path, directory, length);

	return below ? file->path + length + 1 : NULL;
}

static bool is_there(const char *path)
{
	size_t length = length_of(path);
	bool found = find(path);

	for (const struct fake_file *file = files; !found && file->path; file++)
		found = entry_below(file, path, length) != NULL;
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

static bool is_listed(char **names, int count, const char *name, size_t length)
{
	for (int i = 0; i < count; i++)
		if (same(names[i], name, length) && !names[i][length])
			return true;
	return false;
}

int dir_list(const struct usrpci_ctx *ctx, char ***result, const char *format, ...)
{
	char path[PATH_SIZE], **names = NULL, *next = NULL;
	int count = 0, error;
	size_t below;

	*result = NULL;
	FORMAT_PATH(path, error);
	if (error)
		return error;
	below = length_of(path);
	for (const struct fake_file *file = files; file->path; file++) {
		const char *name = entry_below(file, path, below);
		size_t length = name ? strcspn(name, "/") : 0;

		if (!name || is_listed(names, count, name, length))
			continue;
		if (!names) {
			names = malloc(FILES * (sizeof(*names) + NAME_ROOM));
			HOLDS(names);
			next = (char *)(names + FILES);
		}
		names[count++] = next;
		next += snprintf(next, NAME_ROOM, "%.*s", (int)length, name) + 1;
	}
	*result = names;
	return count ? count : -ENOENT;
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
