// SPDX-License-Identifier: BSD-2-Clause
/* usrpci bind: binds devices to a driver for userspace, either all that are named or none. */

#include <getopt.h>

#include "confirm.h"
#include "moves.h"
#include "wait.h"

enum { OPTION_USER = OPTION_LONG, OPTION_GROUP };

static const struct option_spec bind_options[] = {
	MOVE_OPTIONS,
	WAIT_OPTION,
	CONFIRM_OPTION,
	{OPTION_USER, "user", "USER", "vfio-pci: who owns the group's file in /dev/vfio"},
	{OPTION_GROUP, "group", "GROUP", "vfio-pci: the group of that file"},
	{0},
};

static int read_options(struct cli *cli, struct usrpci_bind_options *options)
{
	int key;

	while ((key = option_next(cli))) {
		if (key == OPTION_USER) {
			options->user = optarg;
		} else if (key == OPTION_GROUP) {
			options->group = optarg;
		} else if (key == OPTION_WAIT) {
			if (wait_option(cli))
				return -1;
		} else if (key == OPTION_CONFIRM) {
			if (confirm_option(cli))
				return -1;
		} else if (!move_option(key, options)) {
			return -1;
		}
	}
	return 0;
}

static int bind_devices(struct cli *cli, const struct moves *moves,
			const struct usrpci_bind_options *options)
{
	int error;

	wait_begin(cli);
	do
		error = usrpci_host_bind(cli->host, moves->addrs, (size_t)moves->count, options);
	while (wait_and_try_again(cli, error));
	return error || !cli->undo_lost ? status_of_change(error) : out_of_memory();
}

static int cmd_bind(struct cli *cli)
{
	struct usrpci_bind_options options = {0};
	struct moves moves = {0};
	int status;

	if (read_options(cli, &options))
		return cli->stopped;
	if (cli->argc == 0)
		return usage_error(cli, NULL, "no device is named");
	cli->shows_undo = cli->dry_run;
	if (open_host_for_changes(cli))
		return STATUS_FAILED;
	status = moves_find(cli, &moves) ?: bind_devices(cli, &moves, &options);
	if (!status)
		status = moves_print(cli, &moves);
	if (!status)
		say_confirm(cli);
	moves_free(&moves);
	return status;
}

const struct command command_bind = {
	.name = "bind",
	.operands = "ADDR...",
	.summary = "give devices to a driver for userspace",
	.options = bind_options,
	.run = cmd_bind,
};
