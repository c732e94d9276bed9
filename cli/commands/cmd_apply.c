// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci apply: makes this host what its files say.
 */

#include <getopt.h>

#include "commands/declared.h"
#include "confirm.h"

static const struct option_spec apply_options[] = {
	DECLARED_OPTIONS,
	{OPTION_ONCE, "once", NULL, "not again what was found since it was plugged in"},
	CONFIRM_OPTION,
	{'f', "force", NULL, "take devices in use too; only with --confirm"},
	{0},
};

static int cmd_apply(struct cli *cli)
{
	struct declared declared = {0};
	int status;

	if (declared_options(cli, &declared))
		return cli->stopped;
	status = declared_apply(cli, &declared);
	say_confirm(cli);
	if (!status && !cli->change_count)
		note(cli, NULL, "this host is as its files say");
	return status;
}

const struct command command_apply = {
	.name = "apply",
	.operands = "",
	.summary = "make this host what the files in /etc/usrpci say",
	.options = apply_options,
	.run = cmd_apply,
};
