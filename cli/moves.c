// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices that a command moves from one driver to another, see moves.h.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "moves.h"
#include "output.h"

bool move_option(int key, struct usrpci_bind_options *options)
{
	switch (key) {
	case 'd':
		options->driver = strcmp(optarg, "none") ? optarg : "";
		return true;
	case 'f':
		options->force = true;
		return true;
	case OPTION_WHOLE_GROUP:
		options->whole_group = true;
		return true;
	default:
		return false;
	}
}

int moves_add(struct moves *moves, const struct usrpci_dev_info *was)
{
	size_t count = (size_t)moves->count + 1;
	struct usrpci_dev_info *infos = reallocarray(moves->was, count, sizeof(*infos));
	struct usrpci_addr *addrs = NULL;

	if (infos) {
		moves->was = infos;
		addrs = reallocarray(moves->addrs, count, sizeof(*addrs));
	}
	if (!addrs)
		return out_of_memory();
	moves->addrs = addrs;
	infos[moves->count] = *was;
	addrs[moves->count++] = was->addr;
	return STATUS_DONE;
}

void moves_free(struct moves *moves)
{
	free(moves->was);
	free(moves->addrs);
}

/* A bus is left out: its bridges have devices behind them that nobody has named. */
static int find_operand(struct cli *cli, const char *operand, struct named *named)
{
	int error;

	if (is_slot(operand))
		return named_find(cli, operand, named);
	*named = (struct named){0};
	error = find_device(cli, operand, &named->one);
	named->count = !error;
	return status_of(error);
}

int moves_find(struct cli *cli, struct moves *moves)
{
	int status = STATUS_DONE;

	for (int i = 0; !status && i < cli->argc; i++) {
		struct named named;

		status = find_operand(cli, cli->argv[i], &named);
		for (int j = 0; !status && j < named.count; j++)
			if (!named_before(cli, &named_info(&named, j)->addr))
				status = moves_add(moves, named_info(&named, j));
		named_free(&named);
	}
	return status;
}

static const char *driver_text(const struct usrpci_dev_info *info)
{
	return info->driver[0] ? info->driver : "no driver";
}

static void print_line(const struct usrpci_dev_info *was, const struct usrpci_dev_info *now)
{
	char addr[USRPCI_ADDR_STRLEN];

	usrpci_addr_format(&was->addr, addr);
	if (!strcmp(was->driver, now->driver))
		printf("%s: %s has it already\n", addr, driver_text(now));
	else
		printf("%s: %s -> %s\n", addr, driver_text(was), driver_text(now));
}

static void fill_row(struct table *table, const struct usrpci_dev_info *was,
		     const struct usrpci_dev_info *now)
{
	struct libscols_line *line = table_row(table, NULL);
	char addr[USRPCI_ADDR_STRLEN];

	table_cell(line, 0, "%s", usrpci_addr_format(&was->addr, addr));
	table_cell(line, 1, "%s", was->driver);
	table_cell(line, 2, "%s", now->driver);
}

static int print_json(struct cli *cli, const struct moves *moves)
{
	static const struct column columns[] = {{"ADDR", NULL}, {"WAS", NULL}, {"DRIVER", NULL}};
	struct table table = table_open(true, "devices", columns, ARRAY_SIZE(columns));
	struct usrpci_dev_info now;

	for (int i = 0; i < moves->count; i++)
		if (device_state(cli, &moves->addrs[i], &now))
			fill_row(&table, &moves->was[i], &now);
	return table_print(&table);
}

int moves_print(struct cli *cli, const struct moves *moves)
{
	struct usrpci_dev_info now;

	if (cli->dry_run)
		return STATUS_DONE;
	if (cli->json)
		return print_json(cli, moves);
	for (int i = 0; i < moves->count && !cli->quiet; i++)
		if (device_state(cli, &moves->addrs[i], &now))
			print_line(&moves->was[i], &now);
	return STATUS_DONE;
}
