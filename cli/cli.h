/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What every command is and works with: its options, and the context and host that it opens.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/host.h>
#include <usrpci/usrpci.h>

#include "message.h"
#include "output.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Keys of options without a letter. */
enum { OPTION_LONG = 256 };

struct option_spec {
	int key;              /* its letter, or a number from OPTION_LONG */
	const char *name;     /* without the dashes */
	const char *argument; /* "DIR"; NULL when it takes none; "[=N]" when it need not have one */
	const char *help;     /* one line */
};

struct cli;

struct command {
	const char *name;                  /* NULL: the program itself, which has notes alone */
	const char *operands;              /* "ADDR..." */
	const char *summary;               /* one line; NULL: it is not for people */
	const struct option_spec *options; /* ends with a key of 0; NULL: none of its own */
	void (*notes)(void);               /* prints more for --help; NULL: nothing */
	int (*run)(struct cli *cli);       /* returns an enum status */
};

struct cli {
	const struct command *const *commands; /* ends with NULL */
	const struct command *command;
	int argc; /* operands that are left */
	char **argv;
	int stopped; /* status with which option_next() ended the command */

	const char *root;
	bool dry_run;
	bool quiet;
	bool json;
	int verbose;

	struct usrpci_ctx *ctx;
	struct usrpci_host *host;
	bool exit_code;      /* STATUS_SAME is wanted where nothing had to be changed */
	bool differs;        /* what makes a command not ready is a difference */
	bool may_change;     /* the command is one that changes the host */
	bool lent;           /* the status is that of a program that was run */
	size_t change_count; /* changes that were made, or that a dry run showed */
	uint64_t wait_s;     /* --wait */
	uint64_t wait_until_ms;
	bool wait_said;
	int errors;          /* that the libraries have logged */
	int recovered;       /* devices taken back by open_host_for_changes() */
	char why[128];       /* reason of the change that was printed last */
	struct json changes; /* of a dry run */

	struct usrpci_addr *named; /* see named_before() */
	size_t named_count;
};

/* Options (options.c). */

/*
 * Returns the key of the next option of the command, its argument in optarg; 0 when all are read,
 * and cli->argv then holds the operands; negative when the command is to end with cli->stopped.
 */
int option_next(struct cli *cli);

/* Reads the program's own options, which stand before the command's name. As option_next(). */
int option_next_global(struct cli *cli, const struct command *program);

void help_command(const struct command *command);
void help_options(const struct option_spec *options);
bool option_needs_argument(const struct option_spec *spec);
extern const struct option_spec global_options[];

/* The candidate that a mistyped word is nearest to, or NULL. next() returns NULL after the last. */
const char *did_you_mean(const char *word, const char *(*next)(const void *data, size_t index),
			 const void *data);

/* The context and the host (context.c): opened when the first of a command needs them. */

int open_context(struct cli *cli);
int open_host(struct cli *cli);

/* As open_host(), and first cleans up after brokers that were killed. */
int open_host_for_changes(struct cli *cli);

/* Closes what was opened, and ends the JSON of a dry run. */
void close_context(struct cli *cli);

/* Prints what a command would do in a dry run, as the host's changes are printed. */
__attribute__((format(printf, 2, 3))) void print_command(struct cli *cli, const char *format, ...);

/* Commands, one file each. */

extern const struct command command_complete, command_apply, command_bar, command_bind,
	command_capture, command_diff, command_export, command_check, command_config,
	command_hugepages, command_list, command_monitor, command_nvme, command_ps, command_restore,
	command_run, command_serve, command_show, command_vfs;
extern const struct command command_net, command_net_driver;

/* The names that list knows (commands/cmd_list.c), in the form of did_you_mean(). */
const char *list_column(const void *data, size_t index);
const char *list_class(const void *data, size_t index);
