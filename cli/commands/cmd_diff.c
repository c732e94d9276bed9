// SPDX-License-Identifier: BSD-2-Clause
/* usrpci diff: a dry run of apply, whose exit status says whether something would change. */

#include "commands/declared.h"

static const struct option_spec diff_options[] = {DECLARED_OPTIONS, {0}};

static int cmd_diff(struct cli *cli)
{
	struct declared declared = {0};
	int status;

	if (declared_options(cli, &declared))
		return cli->stopped;
	cli->dry_run = true;
	cli->differs = true;
	status = declared_apply(cli, &declared);
	cli->may_change = false;
	return status ? status : cli->change_count ? STATUS_NOT_READY : STATUS_DONE;
}

const struct command command_diff = {
	.name = "diff",
	.operands = "",
	.summary = "show what differs from what the files in /etc/usrpci say",
	.options = diff_options,
	.run = cmd_diff,
};
