// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci confirm: keeps what bind or apply changed with --confirm; and that option of theirs.
 */

#include <errno.h>
#include <getopt.h>

#include "confirm.h"
#include "number.h"

/* A day: whoever wants longer does not wait for it. */
enum { LONGEST_S = 86400 };

int confirm_option(struct cli *cli)
{
	if (!parse_number(optarg, 10, LONGEST_S, &cli->confirm_s) || !cli->confirm_s)
		return cli->stopped = usage_error(cli, NULL, "\"%s\" is not a number of seconds",
						  optarg);
	return STATUS_DONE;
}

void say_confirm(struct cli *cli)
{
	if (cli->confirm_s && cli->change_count && !cli->dry_run)
		note(cli, NULL, "everything goes back unless \"usrpci confirm\" comes within %u s",
		     (unsigned int)cli->confirm_s);
}

static int cmd_confirm(struct cli *cli)
{
	int result;

	if (option_next(cli))
		return cli->stopped;
	if (cli->argc)
		return unexpected_operand(cli, cli->argv[0]);
	if (open_host(cli))
		return STATUS_FAILED;
	cli->may_change = true;
	if (cli->dry_run)
		return STATUS_DONE;
	result = usrpci_host_confirm(cli->host);
	if (result == -ENOENT)
		note(cli, NULL, "nothing waits for confirmation");
	else if (result < 0)
		return status_of_change(result);
	else if (result == 0)
		note(cli, NULL, "confirmed: the huge pages stay");
	else
		note(cli, NULL, "confirmed: %d device%s", result, result == 1 ? "" : "s");
	cli->change_count += result >= 0;
	return STATUS_DONE;
}

const struct command command_confirm = {
	.name = "confirm",
	.operands = "",
	.summary = "keep what bind or apply changed with --confirm",
	.run = cmd_confirm,
};
