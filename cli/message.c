// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages of the libraries and of the commands leave through here, in one form.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

#define PATIENCE_MS 1000

struct message {
	enum message_level level;
	char object[256], text[640], hint[512];
	bool has_object, has_hint;
};

/* Messages that were printed, for JSON, and messages that wait to be printed or forgotten. */
static struct {
	struct message *list;
	size_t count;
} kept, held;

static bool keeps, holds;

static const char *const level_names[] = {"error", "warning", "note", "debug"};

/* Where messages go, and how: it may be a description of standard error's own that never waits. */
static struct {
	int fd;
	bool socket;
	int patience_ms; /* how long to wait for those who read; -1: without end */
} out = {STDERR_FILENO, false, -1};

void messages_never_wait(void)
{
	struct stat status;
	int fd = -1;

	if (fstat(STDERR_FILENO, &status))
		return;
	/* Others share the description of standard error, which must wait as before. */
	if (S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode))
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		out.fd = fd;
	out.socket = S_ISSOCK(status.st_mode);
	out.patience_ms = PATIENCE_MS;
}

/* The process that serves a program writes too, and may not call send(2). */
static ssize_t put(const char *text, size_t size)
{
	struct iovec part = {(char *)text, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	return out.socket ? sendmsg(out.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
			  : write(out.fd, text, size);
}

void say(const char *format, ...)
{
	struct pollfd writable = {out.fd, POLLOUT, 0};
	char text[2048];
	size_t size, at = 0;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	size = strlen(text);
	while (at < size) {
		ssize_t done = put(text + at, size - at);

		at += done > 0 ? (size_t)done : 0;
		if (done >= 0 || errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return;
		if (poll(&writable, 1, out.patience_ms) == 0) {
			out.patience_ms = 0;
			return;
		}
	}
}

static void print(const struct message *message)
{
	fflush(stdout);
	say("usrpci: %s%s%s%s\n", message->object, message->has_object ? ": " : "",
	    message->level == MESSAGE_WARNING ? "warning: "
	    : message->level == MESSAGE_DEBUG ? "debug: "
					      : "",
	    message->text);
	if (message->has_hint)
		say("  hint: %s\n", message->hint);
}

/* When memory is short, the message is at least printed. */
static bool append(struct message **list, size_t *count, const struct message *message)
{
	struct message *longer = reallocarray(*list, *count + 1, sizeof(*longer));

	if (!longer)
		return false;
	*list = longer;
	longer[(*count)++] = *message;
	return true;
}

/* Notes and debug messages that the JSON will contain are not printed as well. */
static void emit(const struct message *message)
{
	if (!keeps || message->level < MESSAGE_NOTE)
		print(message);
	if (keeps)
		append(&kept.list, &kept.count, message);
}

void print_message(enum message_level level, const char *object, const char *text, const char *hint)
{
	struct message message = {.level = level, .has_object = object, .has_hint = hint};

	snprintf(message.object, sizeof(message.object), "%s", object ? object : "");
	snprintf(message.text, sizeof(message.text), "%s", text);
	snprintf(message.hint, sizeof(message.hint), "%s", hint ? hint : "");
	if (!holds || !append(&held.list, &held.count, &message))
		emit(&message);
}

void keep_messages(void)
{
	keeps = true;
}

void hold_messages(void)
{
	holds = true;
}

void forget_held_messages(void)
{
	free(held.list);
	held.list = NULL;
	held.count = 0;
	holds = false;
}

bool first_held_message(char *object, size_t object_size, char *text, size_t text_size)
{
	if (!held.count)
		return false;
	snprintf(object, object_size, "%s", held.list[0].object);
	snprintf(text, text_size, "%s", held.list[0].text);
	return true;
}

void print_held_messages(void)
{
	for (size_t i = 0; i < held.count; i++)
		emit(&held.list[i]);
	forget_held_messages();
}

void json_messages(struct json *json)
{
	json_open(json, "messages", '[');
	for (size_t i = 0; i < kept.count; i++) {
		const struct message *message = &kept.list[i];

		json_open(json, NULL, '{');
		json_text(json, "level", level_names[message->level]);
		json_text(json, "object", message->has_object ? message->object : NULL);
		json_text(json, "text", message->text);
		json_text(json, "hint", message->has_hint ? message->hint : NULL);
		json_close(json, '}');
	}
	json_close(json, ']');
	free(kept.list);
	kept.list = NULL;
	kept.count = 0;
}

int failed(const char *object, const char *hint, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_message(MESSAGE_ERROR, object, text, hint);
	return STATUS_FAILED;
}

void note(const struct cli *cli, const char *object, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!cli->quiet)
		print_message(MESSAGE_NOTE, object, text, NULL);
}

int out_of_memory(void)
{
	return failed(NULL, NULL, "out of memory");
}

int usage_error(const struct cli *cli, const char *hint, const char *format, ...)
{
	const char *name = cli->command ? cli->command->name : NULL;
	char text[512], see[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(see, sizeof(see), "see \"usrpci %s%s--help\"", name ? name : "", name ? " " : "");
	print_message(MESSAGE_ERROR, name, text, hint ? hint : see);
	return STATUS_USAGE;
}

int unexpected_operand(const struct cli *cli, const char *operand)
{
	return usage_error(cli, NULL, "operand \"%s\" is not expected", operand);
}

int status_of(int error)
{
	if (error == -EINVAL)
		return STATUS_USAGE;
	return error < 0 ? STATUS_FAILED : STATUS_DONE;
}

int status_of_change(int error)
{
	if (error == -EUCLEAN)
		return STATUS_LEFT;
	if (error == -EBUSY)
		return STATUS_BUSY;
	return error < 0 ? STATUS_FAILED : STATUS_DONE;
}
