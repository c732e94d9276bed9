/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_CTX_H
#define USRPCI_CTX_H

/*
 * The context: the root of everything that a program does with this library.
 *
 * Nothing in the library is global and writable, so several contexts can live in one process. All
 * devices that are opened in one context share one DMA domain: a buffer of the context has one
 * device address, which any of its devices may be given.
 *
 * Every function of the library returns 0 or a count on success and a negative errno on failure,
 * hands results back through its last parameter, and reports a failure once to the context's log
 * handler. Functions that close or free something accept NULL.
 *
 * Functions that are inline here are also exported by the shared library, for languages that read
 * no headers.
 *
 * Threads: a context may be used by several threads at once; a device by one thread at a time,
 * except that its interrupts and registers may be used by different threads.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if UINTPTR_MAX < UINT64_MAX
/* cppcheck-suppress preprocessorErrorDirective */
#error "usrpci needs 64 bits: it places DMA memory where an address of 32 bits does not reach"
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum usrpci_log_level {
	USRPCI_LOG_ERROR,
	USRPCI_LOG_WARNING,
	USRPCI_LOG_INFO,
	USRPCI_LOG_DEBUG,
};

/** One message of the library. The strings are valid during the call of the handler only. */
struct usrpci_log_entry {
	enum usrpci_log_level level;
	const char *subject; /**< part of the library that speaks: "dma", "irq", "uio" */
	const char *object;  /**< what it is about: "0000:03:00.0", a path; NULL when nothing is */
	const char *text;    /**< what happened and why, one line without a newline */
	const char *hint;    /**< what mends it, often a command; NULL when nothing does */
};

/**
 * Receives messages. The thread that causes a message calls it; calls of one context never overlap.
 */
typedef void usrpci_log_fn(void *data, const struct usrpci_log_entry *entry);

/** A handler for simple programs: prints to stderr as the usrpci command does. */
inline void usrpci_log_stderr(void *data, const struct usrpci_log_entry *entry)
{
	(void)data;
	fprintf(stderr, "usrpci: %s%s%s\n", entry->object ? entry->object : entry->subject, ": ",
		entry->text);
	if (entry->hint)
		fprintf(stderr, "  hint: %s\n", entry->hint);
}

/** How a context is opened. Zero in any member means its default. */
struct usrpci_ctx_options {
	usrpci_log_fn *log;              /**< handler of messages; default: they are dropped */
	void *log_data;                  /**< handed to the handler */
	enum usrpci_log_level log_level; /**< least urgent level that is reported */
	const char *root; /**< directory that stands for "/" when /sys, /proc, /dev and /run are
			       read: a fixture in tests; default "/" (copied) */
	size_t page_size; /**< huge page size for DMA memory, in bytes; default: 2 MiB, and 1 GiB
			       where such pages are free and a request is larger than 2 MiB
			       or no page of 2 MiB is free */
	const char *dma_directory; /**< directory on a hugetlbfs for a file that DMA memory of
					physical addresses comes from, so that it outlives a
					process that is killed; default: no file (copied) */
	const char *vf_token; /**< UUID that a physical function and its virtual ones are opened
				   with on vfio: whoever opens the physical function first
				   chooses it, and other devices are opened without it; default:
				   USRPCI_VF_TOKEN of the environment (copied) */
};

struct usrpci_ctx;

/**
 * The part of a context that inline functions read; the first member of every context. Programs
 * must not write to it.
 */
struct usrpci_ctx_head {
	uintptr_t dma_delta; /**< virtual address - device address of all DMA memory */
};

/**
 * Opens a context. Opening touches no device and reserves no memory.
 *
 * @options	may be NULL for the defaults
 *
 * Errors: -ENOMEM; -EINVAL (an option's value is out of range, or no UUID); -ENOENT or -ENOTDIR
 * (root); -EPIPE, -EPROTO or -EBADF (USRPCI_BROKER names a broker that does not answer).
 */
int usrpci_ctx_open(const struct usrpci_ctx_options *options, struct usrpci_ctx **ctx);

/**
 * Closes a context and gives back its DMA memory. Its devices must be closed before: a device that
 * is still open is closed here, with a warning, because memory must not outlive the right to
 * stop the device that writes to it.
 */
void usrpci_ctx_close(struct usrpci_ctx *ctx);

/**
 * Whether facts of the host stayed hidden since the context was opened. Most files of /sys and
 * /proc may be missing, and what they would say is then left out. One that could not be read for
 * another reason is left out, too, and remembered: a program that reports what it found, or changes
 * a host because of it, asks here before it claims success.
 *
 * @path	receives the first such file or directory, the context's until it is closed; NULL
 *		when there is none
 *
 * Returns 0 when all could be read, else why the first could not: -EIO, -ENOMEM, -EMFILE, -ENFILE
 * or -EINTR.
 */
int usrpci_ctx_unread(struct usrpci_ctx *ctx, const char **path);

/**
 * Opens a file of the host to read and to write. In a program that devices are lent to
 * (usrpci_host_lend()), the broker opens it if it is one that is lent beside the devices.
 *
 * Returns a descriptor, which the caller closes. Errors: those of open(2).
 */
int usrpci_ctx_open_file(struct usrpci_ctx *ctx, const char *path);

#ifdef __cplusplus
}
#endif

#endif
