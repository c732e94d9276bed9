/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_H
#define USRPCI_CLI_H

/*
 * What the commands share: the table they stand in, options, messages, and devices by name.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/host.h>
#include <usrpci/usrpci.h>

#include "output.h"

enum status {
	STATUS_DONE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_NOT_READY = 3,
};

/* Keys of options without a letter. */
enum { OPTION_LONG = 256 };

struct option_spec {
	int key;              /* its letter, or a number from OPTION_LONG */
	const char *name;     /* without the dashes */
	const char *argument; /* "DIR"; NULL when it takes none */
	const char *help;     /* one line */
};

struct cli;

struct command {
	const char *name;
	const char *operands;              /* "ADDR..." */
	const char *summary;               /* one line */
	const struct option_spec *options; /* ends with a key of 0; NULL: none of its own */
	void (*notes)(void);               /* prints more of --help; NULL: nothing */
	int (*run)(struct cli *cli);       /* returns an enum status */
};

struct cli {
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
	int errors;          /* that the libraries have logged */
	int recovered;       /* devices taken back by open_host_for_changes() */
	char why[128];       /* reason of the change that was printed last */
	struct json changes; /* of a dry run */
};

/*
 * Options (options.c).
 */

/*
 * Returns the key of the next option of the command, its argument in optarg; 0 when all are read,
 * and cli->argv then holds the operands; negative when the command is to end with cli->stopped.
 */
int option_next(struct cli *cli);

/* Reads the program's own options, which stand before the command's name. As option_next(). */
int option_next_global(struct cli *cli, const struct command *program);

void help_command(const struct command *command);
void help_options(const struct option_spec *options);
extern const struct option_spec global_options[];

/* The candidate that a mistyped word is nearest to, or NULL. next() returns NULL after the last. */
const char *did_you_mean(const char *word, const char *(*next)(const void *data, size_t index),
			 const void *data);

/*
 * Messages (main.c). All return the status that they stand for. object and hint may be NULL.
 */

__attribute__((format(printf, 3, 4))) int failed(const char *object, const char *hint,
						 const char *format, ...);
__attribute__((format(printf, 3, 4))) int usage_error(const struct cli *cli, const char *hint,
						      const char *format, ...);

/* For a command that was given operands it does not know. */
int unexpected_operand(const struct cli *cli, const char *operand);

/* The status for a negative errno of the library, which has already said what happened. */
int status_of(int error);

/* Opens the context, and the host for changes, when the first of a command needs them. */
int open_context(struct cli *cli);
int open_host(struct cli *cli);

/* As open_host(), and first cleans up after brokers that were killed. */
int open_host_for_changes(struct cli *cli);

/* Reads a number in C notation or, with base 16, in hexadecimal with or without 0x. */
bool parse_number(const char *text, int base, uint64_t max, uint64_t *value);

/*
 * Devices (device.c).
 */

bool is_emulated(const char *name);

/* Looks up a device of the host by any of its names. */
int find_device(struct cli *cli, const char *name, struct usrpci_dev_info *info);

/* Whether the device exists, and its state now; says nothing when it does not. */
bool device_state(struct cli *cli, const struct usrpci_addr *addr, struct usrpci_dev_info *info);

/* Opens a device, emulated ones included, to look at it. */
int inspect_device(struct cli *cli, const char *name, struct usrpci_dev **dev);

/* The kernel driver that has the device, which nobody else must touch then; NULL: there is none. */
const char *kernel_driver(const struct usrpci_dev_info *info);

/*
 * A device's name, "Intel Corporation 82540EM Gigabit Ethernet Controller", and its class's; ""
 * where there is none.
 */
enum { NAME_SIZE = 160 };
void device_names(struct cli *cli, const struct usrpci_dev_info *info, char name[2 * NAME_SIZE],
		  char class_name[NAME_SIZE]);

/* Writes the names of those that belong to a device, "eth0 nvme0n1", cut to size. */
void interface_names(const struct usrpci_interface *list, int count, const struct usrpci_addr *addr,
		     size_t size, char *names);

/* "64 KiB": exact, in the largest unit that divides it. */
enum { SIZE_TEXT = 32 };
const char *size_text(uint64_t bytes, char text[SIZE_TEXT]);

/* Accepts 2M, 1G, 64K, 4096. */
bool parse_size(const char *text, uint64_t *bytes);

/*
 * Commands, one file each.
 */

int cmd_bar(struct cli *cli);
int cmd_bind(struct cli *cli);
int cmd_check(struct cli *cli);
int cmd_config(struct cli *cli);
int cmd_hugepages(struct cli *cli);
int cmd_list(struct cli *cli);
int cmd_ps(struct cli *cli);
int cmd_restore(struct cli *cli);
int cmd_run(struct cli *cli);
int cmd_show(struct cli *cli);

void bar_notes(void);
void config_notes(void);
void list_notes(void);
void run_notes(void);

extern const struct option_spec bar_options[], bind_options[], config_options[],
	hugepages_options[], list_options[], restore_options[], run_options[];

#endif
