// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci restore: gives devices back to the drivers that held them before usrpci first took them.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"
#include "moves.h"
#include "wait.h"

static const struct option_spec restore_options[] = {
	{'a', "all", NULL, "all devices that usrpci has taken"},
	WAIT_OPTION,
	{0},
};

/* Returns whether there is a record of the device. A damaged record counts; restore reports it. */
static bool is_recorded(struct cli *cli, const struct usrpci_addr *addr)
{
	struct usrpci_journal_entry *entries = NULL;
	int errors = cli->errors, count;
	bool found;

	hold_messages();
	count = usrpci_host_journal(cli->host, &entries);
	forget_held_messages();
	found = count < 0 || cli->errors > errors;
	for (int i = 0; i < count; i++)
		found |= !usrpci_addr_compare(&entries[i].addr, addr);
	free(entries);
	cli->errors = errors;
	return found;
}

/*
 * The time to wait is for all devices together. A device that was recorded when the command began
 * may have been given back by another program since.
 */
static int restore(struct cli *cli, const struct usrpci_addr *addr, bool recorded,
		   struct moves *moves)
{
	struct usrpci_dev_info was;
	bool exists = device_state(cli, addr, &was);
	int error;

	wait_begin(cli);
	do
		error = usrpci_host_restore(cli->host, addr);
	while (wait_and_try_again(cli, error));
	if (error == -ENODEV)
		return STATUS_DONE; /* the device is gone for good, as was reported */
	if (error == -ENOENT && recorded && !is_recorded(cli, addr))
		error = 0;
	if (error)
		return status_of_change(error);
	return exists ? moves_add(moves, &was) : STATUS_DONE;
}

static int restore_all(struct cli *cli, struct moves *moves)
{
	struct usrpci_journal_entry *entries;
	int status = STATUS_DONE, count = usrpci_host_journal(cli->host, &entries);

	if (count < 0)
		return STATUS_FAILED;
	/*
	 * A damaged record is skipped, but its device was not given back. What a killed broker left
	 * may still be in use.
	 */
	if (cli->errors || cli->recovered < 0)
		status = cli->recovered < 0 ? status_of_change(cli->recovered) : STATUS_FAILED;
	if (count == 0 && !status && cli->recovered == 0)
		note(cli, NULL, "nothing to restore");
	for (int i = 0; i < count; i++) {
		int last = restore(cli, &entries[i].addr, true, moves);

		status = status == STATUS_LEFT || !last ? status : last;
	}
	free(entries);
	return status;
}

/*
 * A device that usrpci does not hold needs no change, unless a driver for userspace has it: then it
 * is lent, or its record was lost. The recovery may just have given it back.
 */
static int leave(struct cli *cli, const struct usrpci_addr *addr, struct moves *moves)
{
	char name[USRPCI_ADDR_STRLEN];
	struct usrpci_dev_info info;

	if (cli->recovered > 0)
		return STATUS_DONE;
	usrpci_addr_format(addr, name);
	if (!device_state(cli, addr, &info))
		return failed(name, NULL, "there is no such device, and no record of one");
	if (info.driver_kind != USRPCI_DRIVER_NONE && info.driver_kind != USRPCI_DRIVER_KERNEL)
		return restore(cli, addr, false, moves);
	note(cli, name, "usrpci never touched it: there is nothing to restore");
	return moves_add(moves, &info);
}

static int restore_at(struct cli *cli, const struct usrpci_addr *addr, struct moves *moves)
{
	if (named_before(cli, addr))
		return STATUS_DONE;
	return is_recorded(cli, addr) ? restore(cli, addr, true, moves) : leave(cli, addr, moves);
}

static int restore_slot(struct cli *cli, const char *name, struct moves *moves)
{
	struct named named;
	int status = named_find(cli, name, &named), last;

	for (int i = 0; i < named.count; i++) {
		last = restore_at(cli, &named_info(&named, i)->addr, moves);
		status = status == STATUS_LEFT || !last ? status : last;
	}
	named_free(&named);
	return status;
}

/* A device that is gone can always be named by its address. */
static int restore_named(struct cli *cli, const char *name, struct moves *moves)
{
	struct usrpci_addr addr;
	int error = 0;

	if (is_slot(name))
		return restore_slot(cli, name, moves);
	if (usrpci_addr_parse(name, &addr))
		error = find_address(cli, name, &addr);
	return error ? status_of(error) : restore_at(cli, &addr, moves);
}

static int run(struct cli *cli, bool all, struct moves *moves)
{
	int status = STATUS_DONE, last;

	if (all)
		return restore_all(cli, moves);
	for (int i = 0; i < cli->argc; i++) {
		last = restore_named(cli, cli->argv[i], moves);
		status = status == STATUS_LEFT || !last ? status : last;
	}
	return status;
}

static int cmd_restore(struct cli *cli)
{
	struct moves moves = {0};
	bool all = false;
	int key, status;

	while ((key = option_next(cli))) {
		if (key == 'a')
			all = true;
		else if (key != OPTION_WAIT || wait_option(cli))
			return cli->stopped;
	}
	if (all && cli->argc)
		return unexpected_operand(cli, cli->argv[0]);
	if (!all && !cli->argc)
		return usage_error(cli, "--all stands for all that usrpci has taken",
				   "no device is named");
	if (open_host_for_changes(cli))
		return STATUS_FAILED;
	status = run(cli, all, &moves);
	if (moves_print(cli, &moves))
		status = STATUS_FAILED;
	moves_free(&moves);
	return status;
}

const struct command command_restore = {
	.name = "restore",
	.operands = "ADDR... | --all",
	.summary = "give devices back to what held them before",
	.options = restore_options,
	.run = cmd_restore,
};
