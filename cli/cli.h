/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What a command consists of: its options, and the context and host that it opens. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/host.h>
#include <usrpci/usrpci.h>

#include "array.h"
#include "message.h"
#include "output.h"

/* Options without a letter have keys from here on. */
enum { OPTION_LONG = 256 };

struct option_spec {
	int key;              /* its letter, or a number from OPTION_LONG */
	const char *name;     /* without the dashes */
	const char *argument; /* "DIR"; NULL when it takes none; "[=N]" when it need not have one */
	const char *help;     /* one line */
};

struct cli;

struct command {
	const char *name;                  /* NULL: the program itself, which only has notes */
	const char *operands;              /* "ADDR..." */
	const char *summary;               /* one line; NULL: the help does not list the command */
	const struct option_spec *options; /* ends with a key of 0; NULL: it has none */
	void (*notes)(void);               /* prints more for --help; NULL: nothing */
	int (*run)(struct cli *cli);       /* returns an enum status */
};

/* A change that undoes another. */
struct undo {
	char why[256], command[1024];
};

struct cli {
	const struct command *const *commands; /* ends with NULL */
	const struct command *command;
	int argc; /* number of operands that are left */
	char **argv;
	int stopped; /* status with which option_next() ended the command */

	const char *root;
	bool dry_run;
	bool quiet;
	bool json;
	int verbose;

	struct usrpci_ctx *ctx;
	struct usrpci_host *host;
	bool exit_code;      /* return STATUS_SAME when nothing had to be changed */
	bool differs;        /* "not ready" means for this command that there are differences */
	bool may_change;     /* the command may change the host */
	bool lent;           /* the status comes from a program that was run */
	size_t change_count; /* how many changes were made, or shown by a dry run */
	uint64_t confirm_s;  /* --confirm; 0: changes stay */
	uint64_t wait_s;     /* --wait */
	uint64_t wait_until_ms;
	bool wait_said;
	int errors;          /* how many errors the libraries have logged */
	int recovered;       /* how many devices open_host_for_changes() took back */
	char why[128];       /* reason of the change that was printed last */
	struct json changes; /* the changes that a dry run shows */
	bool shows_undo;     /* ... and those that undo them */
	struct undo *undo;   /* these, until the others are printed */
	size_t undo_count;
	bool undo_lost; /* memory was short */

	struct usrpci_addr *named; /* see named_before() */
	size_t named_count;
};

/* Options (options.c). */

/*
 * Returns the key of the command's next option, with its argument in optarg. Returns 0 after the
 * last one; cli->argv then holds the operands. A negative value means that the command must end
 * with the status cli->stopped.
 */
int option_next(struct cli *cli);

/* Works as option_next() for the program's own options, which come before the command's name. */
int option_next_global(struct cli *cli, const struct command *program);

void help_command(const struct cli *cli, const struct command *command);
void help_options(const struct option_spec *options);
bool option_needs_argument(const struct option_spec *spec);
extern const struct option_spec global_options[];

/* Returns the candidate nearest to a mistyped word, or NULL. next() returns NULL after the last. */
const char *did_you_mean(const char *word, const char *(*next)(const void *data, size_t index),
			 const void *data);

/* The context and the host (context.c). Each is opened at its first use. */

int open_context(struct cli *cli);
int open_host(struct cli *cli);

/* Works as open_host(), but first cleans up after brokers that were killed. */
int open_host_for_changes(struct cli *cli);

/* Closes what was opened, and ends the JSON of a dry run. */
void close_context(struct cli *cli);

/* Prints what a command would do in a dry run, as the host's changes are printed. */
__attribute__((format(printf, 2, 3))) void print_command(struct cli *cli, const char *format, ...);

/* Commands, one file each. */

extern const struct command command_complete, command_apply, command_bar, command_bind,
	command_capture, command_confirm, command_diff, command_export, command_check,
	command_config, command_hugepages, command_list, command_monitor, command_nvme, command_ps,
	command_restore, command_run, command_serve, command_show, command_vfs;
extern const struct command command_net, command_net_driver;

/* Returns the columns of "usrpci list" (commands/cmd_list.c) for did_you_mean(). */
const char *list_column(const void *data, size_t index);
