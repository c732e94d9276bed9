/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Reading the small files of sysfs and procfs below a context's root directory. Paths are absolute
 * as the running system has them ("/sys/..."); the context's root is put before them here and
 * nowhere else. Nothing here logs: whether a missing file is a failure is the caller's to say. What
 * could not be read though it may be there is told to unread.h.
 */

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <usrpci/ctx.h>

/* Bytes of a path with its zero; longer ones are -ENAMETOOLONG. */
#define PATH_SIZE 512

/* Where the kernel lists PCI devices: a directory each, named by its full address. */
#define PCI_DEVICES "/sys/bus/pci/devices"

/* Writes the path with the context's root before it. Returns 0 or -ENAMETOOLONG. */
__attribute__((format(printf, 3, 4))) int
path_format(const struct usrpci_ctx *ctx, char path[PATH_SIZE], const char *format, ...);

/*
 * Before a declaration: what the pointer points to is freed, or the descriptor closed, unless it is
 * negative, when the variable goes out of scope.
 */
#define AUTO_FREE  __attribute__((cleanup(auto_free)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close)))

/*
 * Replaces control characters by "?": every user names his processes and files, and a newline in a
 * cure, or in the changes that a dry run prints, would be a command of his.
 */
static inline void make_printable(char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			*text = '?';
}

static inline bool is_printable(const char *text)
{
	while (*text && !iscntrl((unsigned char)*text))
		text++;
	return !*text;
}

static inline void auto_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void auto_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/*
 * As file_open(), for what must be a regular file: -EBADMSG for anything else, and a pipe keeps
 * nobody waiting.
 */
__attribute__((format(printf, 3, 4))) int file_open_regular(const struct usrpci_ctx *ctx, int flags,
							    const char *format, ...);

/*
 * Whether another library can be given a text to parse: 0, if it is a regular file of whole lines,
 * without a zero in it, of no more than 64 MiB. A negative errno otherwise: -EBADMSG or -E2BIG.
 */
__attribute__((format(printf, 2, 3))) int file_check_lines(const struct usrpci_ctx *ctx,
							   const char *format, ...);

/* Opens a file: returns a descriptor (O_CLOEXEC) or a negative errno. */
__attribute__((format(printf, 3, 4))) int file_open(const struct usrpci_ctx *ctx, int flags,
						    const char *format, ...);

/* Opens a file for reading line by line; NULL, and errno, when that fails. */
__attribute__((format(printf, 2, 3))) FILE *file_stream(const struct usrpci_ctx *ctx,
							const char *format, ...);

/*
 * Reads a whole small file into text, cut to size - 1 and terminated, white space at its end
 * removed. Returns its length or a negative errno.
 */
__attribute__((format(printf, 4, 5))) int file_read(const struct usrpci_ctx *ctx, char *text,
						    size_t size, const char *format, ...);

/* Reads a number in C notation. Returns 0 or a negative errno; -EINVAL when it is not one. */
__attribute__((format(printf, 3, 4))) int file_read_u64(const struct usrpci_ctx *ctx,
							uint64_t *value, const char *format, ...);

/*
 * Reads the last component of where a symbolic link points, made printable. Returns 0 or a negative
 * errno.
 */
__attribute__((format(printf, 4, 5))) int file_link_name(const struct usrpci_ctx *ctx, char *name,
							 size_t size, const char *format, ...);

/* Whether a file exists: 1, 0, or a negative errno when that cannot be found out. */
__attribute__((format(printf, 2, 3))) int file_find(const struct usrpci_ctx *ctx,
						    const char *format, ...);

/* Whether a file exists. Following a link that leads nowhere, or no right to look, means no. */
__attribute__((format(printf, 2, 3))) bool file_exists(const struct usrpci_ctx *ctx,
						       const char *format, ...);

/*
 * Lists a directory's entries, without "." and "..", in the order of ls -v. Returns the count, or a
 * negative errno; the list is one allocation and the caller's to free, NULL after an error.
 */
__attribute__((format(printf, 3, 4))) int dir_list(const struct usrpci_ctx *ctx, char ***names,
						   const char *format, ...);

/*
 * pread(2) and pwrite(2) of exactly size bytes: 0, a negative errno, or -EIO when less was moved.
 */
int pread_exact(int fd, void *buffer, size_t size, off_t offset);
int pwrite_exact(int fd, const void *buffer, size_t size, off_t offset);

/*
 * Writes the path, without the context's root, of the file of a device that is locked by the one
 * program that drives it through uio: its first BAR, or its configuration space when it has none.
 * flock(2) needs nothing but an open descriptor, so it must be a file that only root can open: any
 * user could keep a file that everybody may read locked for ever. name is the device's address.
 * Returns path.
 */
const char *device_lock_path(const struct usrpci_ctx *ctx, const char *name, char path[PATH_SIZE]);
