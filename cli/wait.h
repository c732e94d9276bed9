/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_WAIT_H
#define USRPCI_CLI_WAIT_H

/*
 * Waiting for a device that is in use (--wait): the change is tried again until it is no longer
 * refused.
 *
 * 	wait_begin(cli);
 * 	do
 * 		error = usrpci_host_bind(...);
 * 	while (wait_and_try_again(cli, error));
 */

#include "cli.h"

enum { OPTION_WAIT = OPTION_LONG + 65 };

/* A row for a command's table of options. */
#define WAIT_OPTION                                                                        \
	{                                                                                  \
		OPTION_WAIT, "wait", "SECONDS", "wait so long for a device that is in use" \
	}

/* Reads the option's argument in optarg. Returns 0, or a status for a usage error. */
int wait_option(struct cli *cli);

/*
 * Begins to wait before the first change of a command: messages of refused tries are kept back.
 * Does nothing without the option.
 */
void wait_begin(struct cli *cli);

/*
 * Returns whether the change must be tried again. If the error is -EBUSY and there is time left,
 * sleeps a while and returns true; else prints the messages of the last try.
 */
bool wait_and_try_again(struct cli *cli, int error);

#endif
