// SPDX-License-Identifier: BSD-2-Clause
/*
 * One action on the registers of one device, see action.h.
 */

#include <string.h>

#include "action.h"
#include "device.h"

int run_action(struct cli *cli, const struct action *action)
{
	struct access access = {.cli = cli};
	int key, status, used;

	while ((key = option_next(cli))) {
		if (key != 'f')
			return cli->stopped;
		access.force = true;
	}
	if (cli->argc == 0)
		return usage_error(cli, NULL, "no device is named");
	used = cli->argc > 1 ? 2 : 1;
	while (action->name && (used == 1 || strcmp(cli->argv[1], action->name) != 0))
		action++;
	if (!action->name && used == 2)
		return unexpected_operand(cli, cli->argv[1]);
	status = status_of(inspect_device(cli, cli->argv[0], &access.dev));
	if (status)
		return status;
	status = action->run(&access, cli->argc - used, cli->argv + used);
	usrpci_dev_close(access.dev);
	return status;
}
