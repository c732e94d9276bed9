/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What both libraries know of a context: the members that every context begins with (lib/ctx.c
 * fills them).
 */

#include <pthread.h>

#include <usrpci/ctx.h>

#include "file.h"

struct ctx_base {
	struct usrpci_ctx_head head;
	usrpci_log_fn *log;
	void *log_data;
	enum usrpci_log_level log_level;
	pthread_mutex_t log_lock; /* one message at a time; guards what unread.c counts, too */
	char *root;               /* without a slash at its end: "" stands for "/" */
	/*
	 * Opens a file that this process may not open itself, for writing: a descriptor or a
	 * negative errno; -ENOENT when that way does not lead to it either. NULL: there is no such
	 * way.
	 */
	int (*open_lent)(struct usrpci_ctx *ctx, const char *path);
	unsigned int unread_count;   /* see unread.h */
	int unread_error;            /* of the first */
	char unread_path[PATH_SIZE]; /* of the first */
};

static inline struct ctx_base *ctx_base(const struct usrpci_ctx *ctx)
{
	return (struct ctx_base *)ctx;
}
