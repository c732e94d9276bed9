// SPDX-License-Identifier: BSD-2-Clause
/* usrpci ps: prints which devices are lent, to whom, since when, and what they use. */

#include <stdlib.h>
#include <time.h>

#include "cli.h"
#include "number.h"
#include "output.h"

static const struct column columns[] = {
	{"ADDR"},
	{"PID", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER},
	{"BROKER", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER},
	{"SINCE"},
	{"DMA", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER},
	{"IRQS", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER},
	{"STATE"},
	{"COMMAND"},
};

static void fill(struct libscols_line *line, const struct usrpci_lent *lent, bool json)
{
	char addr[USRPCI_ADDR_STRLEN], since[32] = "", size[SIZE_TEXT];
	struct tm when;

	if (localtime_r(&lent->since, &when))
		strftime(since, sizeof(since), "%F %T", &when);
	table_cell(line, 0, "%s", usrpci_addr_format(&lent->addr, addr));
	table_cell(line, 1, "%d", lent->program);
	table_cell(line, 2, "%d", lent->broker);
	table_cell(line, 3, "%s", since);
	if (json)
		table_cell(line, 4, "%llu", (unsigned long long)lent->dma_bytes);
	else
		table_cell(line, 4, "%s", size_text(lent->dma_bytes, size));
	table_cell(line, 5, "%llu", (unsigned long long)lent->interrupts);
	table_cell(line, 6, "%s", lent->abandoned ? "abandoned" : "lent");
	table_cell(line, 7, "%s", lent->command);
}

static int print(struct cli *cli, const struct usrpci_lent *list, int count)
{
	struct table table = table_open(cli->json, "lent", columns, ARRAY_SIZE(columns));

	for (int i = 0; i < count; i++)
		fill(table_row(&table, NULL), &list[i], cli->json);
	return table_print(&table);
}

static int cmd_ps(struct cli *cli)
{
	struct usrpci_lent *list;
	int count, status;

	if (option_next(cli))
		return cli->stopped;
	if (cli->argc > 0)
		return unexpected_operand(cli, cli->argv[0]);
	if (open_host(cli))
		return STATUS_FAILED;
	count = usrpci_host_lent(cli->host, &list);
	if (count < 0)
		return STATUS_FAILED;
	status = print(cli, list, count);
	free(list);
	return status;
}

const struct command command_ps = {
	.name = "ps",
	.operands = "",
	.summary = "list devices that are lent",
	.run = cmd_ps,
};
