/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Registers as people write them: a hexadecimal offset or a name of setpci(8), and a width.
 */

#include "cli.h"

struct reg {
	unsigned int offset;
	unsigned int width; /* bytes: 1, 2, 4 or 8 */
};

/*
 * Finds a register of configuration space: "COMMAND", "04.w", "CAP_MSI+2.w", "ECAP_AER@0+8".
 * Says what is wrong and returns a status.
 */
int register_find(struct cli *cli, struct usrpci_dev *dev, const char *text, struct reg *reg);

/* Splits "10.w" of a BAR's register; without a width it is 4 bytes wide. */
int register_offset(struct cli *cli, const char *text, uint64_t *offset, unsigned int *width);

/* Parses a value, hexadecimal, that fits width bytes. */
int register_value(struct cli *cli, const char *text, unsigned int width, uint64_t *value);

/* The names of registers, in the form of did_you_mean(); empty ones are to be passed over. */
const char *register_word(const void *data, size_t index);

/* The letter of a width: b, w, l or q. */
char width_letter(unsigned int width);

/* "usrpci config" and "usrpci bar" each open one device and do one thing to its registers. */

struct access {
	struct cli *cli;
	struct usrpci_dev *dev;
	bool force;
};

struct action {
	const char *name; /* NULL ends the table: what is done when the command line names none */
	int (*run)(struct access *access, int count, char **words);
};

/* Reads the options and the operands, opens the device, and runs the action. Returns a status. */
int run_action(struct cli *cli, const struct action *actions);
