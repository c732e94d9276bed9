/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_DECLARED_H
#define USRPCI_CLI_DECLARED_H

/*
 * What diff and apply share: the files that declare this host.
 */

#include "cli.h"

enum { OPTION_DRIVERCTL = OPTION_LONG, OPTION_DEVICE, OPTION_ONCE };

/* Rows of a command's table of options. */
#define DECLARED_OPTIONS                                                                        \
	{'c', "config", "DIR", "the files are in DIR; default: /etc/usrpci"},                   \
		{OPTION_DEVICE, "device", "ADDR", "this device alone"},                         \
	{                                                                                       \
		OPTION_DRIVERCTL, "driverctl", NULL, "and what is in driverctl's directory too" \
	}

struct declared {
	struct usrpci_declare_options options;
	const char *device; /* NULL: all devices */
};

/* Reads options and operands. Returns nonzero when the command ends with cli->stopped. */
int declared_options(struct cli *cli, struct declared *declared);

/* Changes the host to what the files say, or shows the changes. Returns a status. */
int declared_apply(struct cli *cli, struct declared *declared);

#endif
