// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages of the libraries and of the commands leave through here, in one form.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

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

static void print(const struct message *message)
{
	fflush(stdout);
	fprintf(stderr, "usrpci: %s%s%s%s\n", message->object, message->has_object ? ": " : "",
		message->level == MESSAGE_WARNING ? "warning: "
		: message->level == MESSAGE_DEBUG ? "debug: "
						  : "",
		message->text);
	if (message->has_hint)
		fprintf(stderr, "  hint: %s\n", message->hint);
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
