/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Registers as users write them: a hexadecimal offset or a name of setpci(8), and a width. */

#include "cli.h"

struct reg {
	unsigned int offset;
	unsigned int width; /* bytes: 1, 2, 4 or 8 */
};

/*
 * Finds a register of configuration space: "COMMAND", "04.w", "CAP_MSI+2.w", "ECAP_AER@0+8".
 * Reports errors and returns a status.
 */
int register_find(struct cli *cli, struct usrpci_dev *dev, const char *text, struct reg *reg);

/* Splits "10.w", a register of a BAR. The default width is 4 bytes. */
int register_offset(struct cli *cli, const char *text, uint64_t *offset, unsigned int *width);

/* Parses a hexadecimal value that fits in width bytes. */
int register_value(struct cli *cli, const char *text, unsigned int width, uint64_t *value);

/* Returns names of registers for did_you_mean(). The caller must skip empty names. */
const char *register_word(const void *data, size_t index);

/* Returns the letter of a width: b, w, l or q. */
char width_letter(unsigned int width);

/* "usrpci config" and "usrpci bar" each open one device and do one thing to its registers. */

struct access {
	struct cli *cli;
	struct usrpci_dev *dev;
	bool force;
};

struct action {
	const char *name; /* NULL in the last row, the action when the command line names none */
	int (*run)(struct access *access, int count, char **words);
};

/* Reads the options and the operands, opens the device, and runs the action. Returns a status. */
int run_action(struct cli *cli, const struct action *actions);
