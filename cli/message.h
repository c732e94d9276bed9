/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_MESSAGE_H
#define USRPCI_CLI_MESSAGE_H

/*
 * Messages and the status that each stands for. object and hint may be NULL.
 */

enum status {
	STATUS_DONE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_NOT_READY = 3,
	STATUS_LEFT = 4, /* something was left behind, which restore --all cleans up */
};

struct cli;

/* "usrpci: object: text", and the hint on a line of its own, behind all results so far. */
void print_message(const char *object, const char *text, const char *hint);

__attribute__((format(printf, 3, 4))) int failed(const char *object, const char *hint,
						 const char *format, ...);
int out_of_memory(void);

/* Without a hint the message points to the help of the command. */
__attribute__((format(printf, 3, 4))) int usage_error(const struct cli *cli, const char *hint,
						      const char *format, ...);

/* For a command that was given operands it does not know. */
int unexpected_operand(const struct cli *cli, const char *operand);

/* The status for a negative errno of the library, which has already logged what happened. */
int status_of(int error);

/* The same, of a change to the host: -EUCLEAN says that something was left behind. */
int status_of_change(int error);

#endif
