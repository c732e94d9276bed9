// SPDX-License-Identifier: BSD-2-Clause
/*
 * The files that declare this host, see declared.h.
 */

#include <errno.h>
#include <getopt.h>

#include "commands/declared.h"
#include "confirm.h"
#include "device.h"

int declared_options(struct cli *cli, struct declared *declared)
{
	int key;

	while ((key = option_next(cli))) {
		if (key == 'c')
			declared->options.directory = optarg;
		else if (key == OPTION_DRIVERCTL)
			declared->options.driverctl = true;
		else if (key == OPTION_DEVICE)
			declared->device = optarg;
		else if (key == OPTION_ONCE)
			declared->options.once = true;
		else if (key == 'f')
			declared->options.force = true;
		else if (key != OPTION_CONFIRM || confirm_option(cli))
			return -1;
	}
	if (declared->options.force && !cli->confirm_s) {
		cli->stopped = usage_error(cli, "--confirm 60",
					   "--force is only for changes that may go back");
		return -1;
	}
	if (cli->argc == 0)
		return 0;
	cli->stopped = unexpected_operand(cli, cli->argv[0]);
	return -1;
}

int declared_apply(struct cli *cli, struct declared *declared)
{
	struct usrpci_addr addr;
	int error = declared->device ? find_address(cli, declared->device, &addr) : 0;

	if (error)
		return status_of(error);
	if (open_host_for_changes(cli))
		return STATUS_FAILED;
	declared->options.only = declared->device ? &addr : NULL;
	return status_of_change(usrpci_host_declare_apply(cli->host, &declared->options));
}
