// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci hugepages: shows the pools and what usrpci added to them, reserves pages, and releases
 * them.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "number.h"
#include "output.h"

enum { OPTION_SIZE = OPTION_LONG, OPTION_NODE };

static const struct option_spec hugepages_options[] = {
	{OPTION_SIZE, "size", "SIZE", "pages of this size, 2M or 1G; reserve: 2M, release: all"},
	{OPTION_NODE, "node", "NODE", "of this NUMA node; default: any"},
	{0},
};

static const struct column columns[] = {
	{"SIZE", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER, "page_size"},
	{"NODE", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER, "numa_node"},
	{"TOTAL", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER},
	{"FREE", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER},
	{"SURPLUS", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER},
	{"OURS", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER},
};

struct hugepages {
	struct cli *cli;
	uint64_t size;
	int node;
};

static void fill_line(const struct hugepages *options, struct libscols_line *line,
		      const struct usrpci_hugepages *pool)
{
	char size[SIZE_TEXT];

	if (options->cli->json)
		table_cell(line, 0, "%zu", pool->page_size);
	else
		table_cell(line, 0, "%s", size_text(pool->page_size, size));
	table_cell(line, 1, "%d", pool->node);
	table_cell(line, 2, "%zu", pool->total);
	table_cell(line, 3, "%zu", pool->free);
	table_cell(line, 4, "%zu", pool->surplus);
	table_cell(line, 5, "%zu", pool->ours);
}

static int print_pools(const struct hugepages *options)
{
	struct usrpci_hugepages *pools;
	int count = usrpci_host_hugepages(options->cli->host, &pools);
	struct table table;

	if (count < 0)
		return STATUS_FAILED;
	table = table_open(options->cli->json, "hugepages", columns, ARRAY_SIZE(columns));
	for (int i = 0; i < count; i++) {
		if ((options->size && options->size != pools[i].page_size) ||
		    (options->node >= 0 && options->node != pools[i].node))
			continue;
		fill_line(options, table_row(&table, NULL), &pools[i]);
	}
	free(pools);
	return table_print(&table);
}

/* After a change, prints the table in JSON or a sentence as text; prints nothing in a dry run. */
static int report_change(const struct hugepages *options, int pages, uint64_t page_size,
			 const char *what)
{
	struct cli *cli = options->cli;
	char memory[SIZE_TEXT] = "";

	if (pages < 0)
		return status_of(pages);
	if (cli->dry_run)
		return STATUS_DONE;
	if (cli->json)
		return print_pools(options);
	if (page_size && pages)
		size_text((uint64_t)pages * page_size, memory);
	if (!cli->quiet)
		printf("%d page%s %s%s%s\n", pages, pages == 1 ? "" : "s", what,
		       memory[0] ? ": " : "", memory);
	return STATUS_DONE;
}

static int reserve(const struct hugepages *options)
{
	struct cli *cli = options->cli;
	uint64_t pages;

	if (cli->argc != 2 || !parse_number(cli->argv[1], 10, INT32_MAX, &pages) || pages == 0)
		return usage_error(cli,
				   "N is a count such as 64; --size tells how large each page is",
				   "reserve takes a number of pages");
	return report_change(
		options,
		usrpci_host_hugepages_reserve(cli->host, pages, options->size, options->node),
		options->size ? options->size : 2 << 20, "added");
}

static int release(const struct hugepages *options)
{
	struct cli *cli = options->cli;

	if (cli->argc > 1)
		return unexpected_operand(cli, cli->argv[1]);
	return report_change(options,
			     usrpci_host_hugepages_release(cli->host, options->size, options->node),
			     options->size, "given back");
}

static int read_options(struct hugepages *options)
{
	uint64_t node;
	int key;

	while ((key = option_next(options->cli))) {
		if (key == OPTION_SIZE && parse_size(optarg, &options->size) && options->size)
			continue;
		if (key == OPTION_NODE && parse_number(optarg, 10, INT32_MAX, &node)) {
			options->node = (int)node;
			continue;
		}
		if (key > 0)
			options->cli->stopped = usage_error(options->cli, NULL,
							    "\"%s\" is not a %s", optarg,
							    key == OPTION_SIZE ? "size" : "node");
		return -1;
	}
	return 0;
}

static int cmd_hugepages(struct cli *cli)
{
	struct hugepages options = {.cli = cli, .node = -1};

	if (read_options(&options))
		return cli->stopped;
	/* Showing the pools needs no rights and changes nothing. */
	if (cli->argc == 0)
		return open_host(cli) ? STATUS_FAILED : print_pools(&options);
	if (open_host_for_changes(cli))
		return STATUS_FAILED;
	if (!strcmp(cli->argv[0], "reserve"))
		return reserve(&options);
	if (!strcmp(cli->argv[0], "release"))
		return release(&options);
	return unexpected_operand(cli, cli->argv[0]);
}

const struct command command_hugepages = {
	.name = "hugepages",
	.operands = "[reserve N | release]",
	.summary = "show, reserve or release huge pages",
	.options = hugepages_options,
	.run = cmd_hugepages,
};
