// SPDX-License-Identifier: BSD-2-Clause
/*
 * Remembers what could not be read, see unread.h. The first is kept by name: those that follow
 * mostly have the same cause.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "base.h"
#include "unread.h"

/* Others are the file's own answers: it is missing, gone, forbidden, or has no value now. */
static bool hides(int error)
{
	return error == -EIO || error == -ENOMEM || error == -EMFILE || error == -ENFILE ||
	       error == -EINTR || error == -EAGAIN;
}

int note_unread(const struct usrpci_ctx *ctx, const char *path, int error)
{
	struct ctx_base *base = ctx_base(ctx);

	if (!hides(error))
		return error;
	pthread_mutex_lock(&base->log_lock);
	if (base->unread_count++ == 0) {
		base->unread_error = error;
		snprintf(base->unread_path, sizeof(base->unread_path), "%s", path);
	}
	pthread_mutex_unlock(&base->log_lock);
	return error;
}

unsigned int unread_count(const struct usrpci_ctx *ctx)
{
	struct ctx_base *base = ctx_base(ctx);
	unsigned int count;

	pthread_mutex_lock(&base->log_lock);
	count = base->unread_count;
	pthread_mutex_unlock(&base->log_lock);
	return count;
}
