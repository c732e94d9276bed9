/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Messages and the status that each stands for. object and hint may be NULL.
 */

#include <stdbool.h>
#include <stddef.h>

enum status {
	STATUS_DONE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_NOT_READY = 3,
	STATUS_LEFT = 4, /* something was left behind, which restore --all cleans up */
	STATUS_BUSY = 5, /* refused: a device is in use; everything is as it was */
	STATUS_SAME = 6, /* with --exit-code: nothing had to be changed */
};

struct cli;
struct json;

/* How important a message is; "level" in JSON. */
enum message_level { MESSAGE_ERROR, MESSAGE_WARNING, MESSAGE_NOTE, MESSAGE_DEBUG };

/* Prints "usrpci: object: text" and the hint on its own line, after all results so far. */
void print_message(enum message_level level, const char *object, const char *text,
		   const char *hint);

/* Writes to standard error at once, at most 2047 bytes. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/*
 * From now on messages are left out where nobody takes them within a second: a program that
 * devices are lent to shares the terminal, and can stop what is written to it (tcflow(3)), or fill
 * a pipe. It must not keep its devices by that.
 */
void messages_never_wait(void);

/* Remembers messages from now on, for json_messages(). */
void keep_messages(void);

/* Writes the messages that were remembered, as "messages". */
void json_messages(struct json *json);

/* Keeps messages back from now on, until they are printed or forgotten. */
void hold_messages(void);
void print_held_messages(void);
void forget_held_messages(void);
bool first_held_message(char *object, size_t object_size, char *text, size_t text_size);

__attribute__((format(printf, 3, 4))) int failed(const char *object, const char *hint,
						 const char *format, ...);

/* Prints a message that is not a failure, unless --quiet was given. */
__attribute__((format(printf, 3, 4))) void note(const struct cli *cli, const char *object,
						const char *format, ...);
int out_of_memory(void);

/* If hint is NULL, the message points to the help of the command. */
__attribute__((format(printf, 3, 4))) int usage_error(const struct cli *cli, const char *hint,
						      const char *format, ...);

/* Reports an operand that the command does not know. */
int unexpected_operand(const struct cli *cli, const char *operand);

/* Returns the status for a negative errno of the library, which has already logged the failure. */
int status_of(int error);

/*
 * The same for a change to the host: -EUCLEAN says that something was left behind, -EBUSY that
 * nothing was touched because it is in use.
 */
int status_of_change(int error);
