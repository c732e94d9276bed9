/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Messages to a context's handler. A source file defines LOG_SUBJECT, then includes this.
 *
 * report() logs a failure and returns the negative errno that it was given, so that a failure is
 * one line: return report(ctx, -errno, name, NULL, "cannot open %s", path);
 */

#include <usrpci/ctx.h>

__attribute__((format(printf, 6, 7))) void log_message(const struct usrpci_ctx *ctx,
						       enum usrpci_log_level level,
						       const char *subject, const char *object,
						       const char *hint, const char *format, ...);

/* As log_message() at level error, followed by ": " and what the errno means; returns error. */
__attribute__((format(printf, 6, 7))) int log_report(const struct usrpci_ctx *ctx, int error,
						     const char *subject, const char *object,
						     const char *hint, const char *format, ...);

/*
 * object and hint may be NULL. error is a negative errno; its meaning is appended to the text.
 * Yields error itself, and not what a function returns, so that analysers see that it is not 0.
 */
#define report(ctx, error, object, hint, ...)                                            \
	({                                                                               \
		const int reported_error = (error);                                      \
		log_report(ctx, reported_error, LOG_SUBJECT, object, hint, __VA_ARGS__); \
		reported_error;                                                          \
	})
/* Logs a failure that the text explains in full; yields error as report() does. */
#define refuse(ctx, error, object, hint, ...) (log_error(ctx, object, hint, __VA_ARGS__), (error))
#define log_error(ctx, object, hint, ...) \
	log_message(ctx, USRPCI_LOG_ERROR, LOG_SUBJECT, object, hint, __VA_ARGS__)
#define log_warning(ctx, object, hint, ...) \
	log_message(ctx, USRPCI_LOG_WARNING, LOG_SUBJECT, object, hint, __VA_ARGS__)
#define log_info(ctx, object, ...) \
	log_message(ctx, USRPCI_LOG_INFO, LOG_SUBJECT, object, NULL, __VA_ARGS__)
#define log_debug(ctx, object, ...) \
	log_message(ctx, USRPCI_LOG_DEBUG, LOG_SUBJECT, object, NULL, __VA_ARGS__)
