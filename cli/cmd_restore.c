// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci restore: devices back to what held them before usrpci first touched them.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "device.h"
#include "output.h"

static const struct option_spec restore_options[] = {
	{'a', "all", NULL, "all devices that usrpci has taken"},
	{0},
};

static const struct column columns[] = {{"ADDR", NULL}, {"WAS", NULL}, {"DRIVER", NULL}};

/* table collects results for JSON; it is NULL when people read. */
static int restore(struct cli *cli, const struct usrpci_addr *addr, struct table *table)
{
	struct usrpci_dev_info was = {0}, now = {0};
	struct libscols_line *line;
	char text[USRPCI_ADDR_STRLEN];
	int error;

	device_state(cli, addr, &was);
	error = usrpci_host_restore(cli->host, addr);
	if (error == -ENODEV)
		return STATUS_DONE; /* gone for good, which was said */
	if (error)
		return STATUS_FAILED;
	if (cli->dry_run || !device_state(cli, addr, &now))
		return STATUS_DONE;
	usrpci_addr_format(addr, text);
	if (!table && !cli->quiet)
		printf("%s: %s -> %s\n", text, *was.driver ? was.driver : "no driver",
		       *now.driver ? now.driver : "no driver");
	if (table) {
		line = table_row(table, NULL);
		table_cell(line, 0, "%s", text);
		table_cell(line, 1, "%s", was.driver);
		table_cell(line, 2, "%s", now.driver);
	}
	return STATUS_DONE;
}

static int restore_all(struct cli *cli, struct table *table)
{
	struct usrpci_journal_entry *entries;
	int status = STATUS_DONE, count = usrpci_host_journal(cli->host, &entries);

	if (count < 0)
		return STATUS_FAILED;
	/* A damaged record is passed over, yet its device is not where it was. */
	if (cli->errors)
		status = STATUS_FAILED;
	if (count == 0 && !status && cli->recovered == 0 && !cli->quiet && !cli->json)
		fprintf(stderr, "usrpci: nothing to restore\n");
	for (int i = 0; i < count; i++)
		if (restore(cli, &entries[i].addr, table))
			status = STATUS_FAILED;
	free(entries);
	return status;
}

/* What was taken back from a broker that was killed is restored by that. */
static bool is_done(struct cli *cli, const struct usrpci_addr *addr)
{
	struct usrpci_journal_entry *entries;
	int count = cli->recovered > 0 ? usrpci_host_journal(cli->host, &entries) : -1;
	bool held = count < 0;

	for (int i = 0; i < count; i++)
		held |= !usrpci_addr_compare(&entries[i].addr, addr);
	if (count >= 0)
		free(entries);
	return !held;
}

/* A device that is gone has no name but its address. */
static int restore_named(struct cli *cli, const char *name, struct table *table)
{
	struct usrpci_addr addr;
	int error = 0;

	if (usrpci_addr_parse(name, &addr))
		error = usrpci_dev_find(cli->ctx, name, &addr);
	if (error)
		return status_of(error);
	return is_done(cli, &addr) ? STATUS_DONE : restore(cli, &addr, table);
}

static int run(struct cli *cli, bool all, struct table *table)
{
	int status = STATUS_DONE, last;

	if (all)
		return restore_all(cli, table);
	for (int i = 0; i < cli->argc; i++) {
		last = restore_named(cli, cli->argv[i], table);
		status = last ? last : status;
	}
	return status;
}

static int cmd_restore(struct cli *cli)
{
	bool all = false;
	struct table table;
	int key, status;

	while ((key = option_next(cli))) {
		if (key != 'a')
			return cli->stopped;
		all = true;
	}
	if (all && cli->argc)
		return unexpected_operand(cli, cli->argv[0]);
	if (!all && !cli->argc)
		return usage_error(cli, "--all means all that usrpci has taken", "which device?");
	if (open_host_for_changes(cli))
		return STATUS_FAILED;
	if (!cli->json || cli->dry_run)
		return run(cli, all, NULL);
	table = table_open(true, "devices", columns, ARRAY_SIZE(columns));
	status = run(cli, all, &table);
	return table_print(&table) ? STATUS_FAILED : status;
}

const struct command command_restore = {
	.name = "restore",
	.operands = "ADDR... | --all",
	.summary = "give devices back to what held them before",
	.options = restore_options,
	.run = cmd_restore,
};
