/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_ACTION_H
#define USRPCI_CLI_ACTION_H

/*
 * What "usrpci config" and "usrpci bar" share: each opens one device and does one thing to its
 * registers.
 */

#include "cli.h"

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

#endif
