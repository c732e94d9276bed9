// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci bind: devices to a driver for userspace, all of those named or none. What a failed call
 * has bound already goes back to the driver that it had when the call began, which for a device
 * that usrpci held before is not where "usrpci restore" brings it.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "device.h"
#include "output.h"

enum { OPTION_GROUP_ALL = OPTION_LONG, OPTION_USER, OPTION_GROUP };

static const struct option_spec bind_options[] = {
	{'d', "driver", "DRIVER", "default: vfio-pci behind an IOMMU, else uio_pci_generic"},
	{'f', "force", NULL, "take a device although it is in use"},
	{OPTION_GROUP_ALL, "whole-group", NULL, "take the endpoints of its IOMMU group along"},
	{OPTION_USER, "user", "USER", "vfio-pci: who owns the group's file in /dev/vfio"},
	{OPTION_GROUP, "group", "GROUP", "vfio-pci: the group of that file"},
	{0},
};

struct bind {
	struct cli *cli;
	struct usrpci_bind_options options;
	struct usrpci_dev_info *targets; /* as they were */
	int count;
	struct usrpci_dev_info *before; /* all devices of the host */
	int before_count;
	struct usrpci_journal_entry *journal; /* what usrpci held already */
	int journal_count;
};

static bool was_ours(const struct bind *bind, const struct usrpci_addr *addr)
{
	for (int i = 0; i < bind->journal_count; i++)
		if (!usrpci_addr_compare(&bind->journal[i].addr, addr))
			return true;
	return false;
}

static void undo(const struct bind *bind)
{
	for (int i = 0; i < bind->before_count; i++) {
		const struct usrpci_dev_info *was = &bind->before[i];
		struct usrpci_bind_options options = {.driver = was->driver, .force = true};
		struct usrpci_dev_info now;

		if (!device_state(bind->cli, &was->addr, &now) || !strcmp(was->driver, now.driver))
			continue;
		if (was_ours(bind, &was->addr))
			usrpci_host_bind(bind->cli->host, &was->addr, &options);
		else
			usrpci_host_restore(bind->cli->host, &was->addr);
	}
}

static const struct column columns[] = {{"ADDR", NULL}, {"WAS", NULL}, {"DRIVER", NULL}};

static int print_json(const struct bind *bind)
{
	struct table table = table_open(true, "devices", columns, ARRAY_SIZE(columns));
	char addr[USRPCI_ADDR_STRLEN];

	for (int i = 0; i < bind->count; i++) {
		struct libscols_line *line;
		struct usrpci_dev_info now;

		if (!device_state(bind->cli, &bind->targets[i].addr, &now))
			continue;
		line = table_row(&table, NULL);
		table_cell(line, 0, "%s", usrpci_addr_format(&now.addr, addr));
		table_cell(line, 1, "%s", bind->targets[i].driver);
		table_cell(line, 2, "%s", now.driver);
	}
	return table_print(&table);
}

static void print_result(const struct bind *bind, const struct usrpci_dev_info *was)
{
	char addr[USRPCI_ADDR_STRLEN];
	struct usrpci_dev_info now;

	if (bind->cli->quiet || bind->cli->json || bind->cli->dry_run ||
	    !device_state(bind->cli, &was->addr, &now))
		return;
	usrpci_addr_format(&was->addr, addr);
	if (!strcmp(was->driver, now.driver))
		printf("%s: %s has it already\n", addr, *now.driver ? now.driver : "no driver");
	else
		printf("%s: %s -> %s\n", addr, *was->driver ? was->driver : "no driver",
		       *now.driver ? now.driver : "no driver");
}

static int bind_all(const struct bind *bind)
{
	for (int i = 0; i < bind->count; i++) {
		int error = usrpci_host_bind(bind->cli->host, &bind->targets[i].addr,
					     &bind->options);

		if (!error) {
			print_result(bind, &bind->targets[i]);
			continue;
		}
		if (!bind->cli->dry_run)
			undo(bind);
		return STATUS_FAILED;
	}
	return bind->cli->json && !bind->cli->dry_run ? print_json(bind) : STATUS_DONE;
}

static int read_options(struct bind *bind)
{
	int key;

	while ((key = option_next(bind->cli))) {
		switch (key) {
		case 'd':
			bind->options.driver = strcmp(optarg, "none") ? optarg : "";
			break;
		case 'f':
			bind->options.force = true;
			break;
		case OPTION_GROUP_ALL:
			bind->options.whole_group = true;
			break;
		case OPTION_USER:
			bind->options.user = optarg;
			break;
		case OPTION_GROUP:
			bind->options.group = optarg;
			break;
		default:
			return -1;
		}
	}
	return 0;
}

/* Finds all devices before the first is touched. */
static int find_targets(struct bind *bind)
{
	struct cli *cli = bind->cli;

	bind->targets = calloc((size_t)cli->argc, sizeof(*bind->targets));
	if (!bind->targets)
		return out_of_memory();
	for (int i = 0; i < cli->argc; i++) {
		int error = find_device(cli, cli->argv[i], &bind->targets[bind->count]);

		if (error)
			return status_of(error);
		bind->count++;
	}
	return STATUS_DONE;
}

static int cmd_bind(struct cli *cli)
{
	struct bind bind = {.cli = cli};
	int status;

	if (read_options(&bind))
		return cli->stopped;
	if (cli->argc == 0)
		return usage_error(cli, NULL, "which device?");
	if (open_host_for_changes(cli))
		return STATUS_FAILED;
	status = find_targets(&bind);
	if (!status) {
		bind.before_count = usrpci_dev_list(cli->ctx, &bind.before);
		bind.journal_count = usrpci_host_journal(cli->host, &bind.journal);
		status = bind.before_count < 0 || bind.journal_count < 0 ? STATUS_FAILED
									 : bind_all(&bind);
	}
	if (bind.journal_count >= 0)
		free(bind.journal);
	if (bind.before_count >= 0)
		usrpci_dev_list_free(bind.before);
	free(bind.targets);
	return status;
}

const struct command command_bind = {
	.name = "bind",
	.operands = "ADDR...",
	.summary = "give devices to a driver for userspace",
	.options = bind_options,
	.run = cmd_bind,
};
