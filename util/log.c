// SPDX-License-Identifier: BSD-2-Clause
/*
 * Formats messages and hands them to the context's handler, one at a time. Messages longer than the
 * buffer are cut: they are for people.
 */

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "base.h"
#include "log.h"

static void deliver(const struct usrpci_ctx *ctx, const struct usrpci_log_entry *entry)
{
	struct ctx_base *base = ctx_base(ctx);

	pthread_mutex_lock(&base->log_lock);
	base->log(base->log_data, entry);
	pthread_mutex_unlock(&base->log_lock);
}

static bool wanted(const struct usrpci_ctx *ctx, enum usrpci_log_level level)
{
	return ctx_base(ctx)->log && level <= ctx_base(ctx)->log_level;
}

void log_message(const struct usrpci_ctx *ctx, enum usrpci_log_level level, const char *subject,
		 const char *object, const char *hint, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!wanted(ctx, level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	deliver(ctx, &(struct usrpci_log_entry){level, subject, object, text, hint});
}

int log_report(const struct usrpci_ctx *ctx, int error, const char *subject, const char *object,
	       const char *hint, const char *format, ...)
{
	char text[512];
	va_list args;
	int length;

	if (!wanted(ctx, USRPCI_LOG_ERROR))
		return error;
	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (length >= 0 && (size_t)length < sizeof(text))
		snprintf(text + length, sizeof(text) - (size_t)length, ": %s", strerror(-error));
	deliver(ctx, &(struct usrpci_log_entry){USRPCI_LOG_ERROR, subject, object, text, hint});
	return error;
}
