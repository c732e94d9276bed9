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
	{"INTERFACE"},
	{"RX", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER, "rx_frames"},
	{"TX", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER, "tx_frames"},
	{"RXBYTES", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER, "rx_bytes"},
	{"TXBYTES", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER, "tx_bytes"},
	{"LOST", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER, "lost"},
};

#define COLUMNS_OF_ALL 8 /* the others are those of interfaces */

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

/* Returns those of each device, without a name where no interface is served; NULL: no memory. */
static struct usrpci_net_stats *read_stats(struct cli *cli, const struct usrpci_lent *list,
					   int count, bool *any)
{
	struct usrpci_net_stats *stats = calloc((size_t)count + 1, sizeof(*stats));

	*any = false;
	for (int i = 0; stats && i < count; i++) {
		if (usrpci_host_net_stats(cli->host, &list[i].addr, &stats[i]))
			stats[i].name[0] = '\0';
		*any = *any || stats[i].name[0];
	}
	return stats;
}

static void fill_interface(struct libscols_line *line, const struct usrpci_net_stats *stats)
{
	if (!stats->name[0])
		return;
	table_cell(line, 8, "%s", stats->name);
	table_cell(line, 9, "%llu", (unsigned long long)stats->rx_frames);
	table_cell(line, 10, "%llu", (unsigned long long)stats->tx_frames);
	table_cell(line, 11, "%llu", (unsigned long long)stats->rx_bytes);
	table_cell(line, 12, "%llu", (unsigned long long)stats->tx_bytes);
	table_cell(line, 13, "%llu", (unsigned long long)stats->rx_dropped + stats->tx_dropped);
}

static int print(struct cli *cli, const struct usrpci_lent *list, int count)
{
	bool any;
	struct usrpci_net_stats *stats = read_stats(cli, list, count, &any);
	size_t width = any || cli->json ? ARRAY_SIZE(columns) : COLUMNS_OF_ALL;
	struct table table = table_open(cli->json, "lent", columns, width);

	table.incomplete |= !stats;
	for (int i = 0; stats && i < count; i++) {
		struct libscols_line *line = table_row(&table, NULL);

		fill(line, &list[i], cli->json);
		if (width > COLUMNS_OF_ALL)
			fill_interface(line, &stats[i]);
	}
	free(stats);
	return table_print(&table);
}

static bool is_net(struct cli *cli, const struct usrpci_addr *addr)
{
	struct usrpci_net_stats stats;

	return !usrpci_host_net_stats(cli->host, addr, &stats);
}

/* A killed usrpci net has left its TAP, whether its card is lent still or not. */
static int tell_left(struct cli *cli, const struct usrpci_lent *list, int count)
{
	struct usrpci_interface *taps;
	int tap_count = usrpci_host_net_taps(cli->host, &taps);

	if (tap_count < 0)
		return out_of_memory();
	for (int i = 0; i < tap_count; i++) {
		struct usrpci_net_stats stats;
		char hint[128];

		if (usrpci_host_net_stats(cli->host, &taps[i].addr, &stats) || !stats.left)
			continue;
		snprintf(hint, sizeof(hint),
			 "usrpci net %s serves it again; usrpci restore --all gives it back",
			 stats.name);
		print_message(MESSAGE_WARNING, stats.name,
			      "the usrpci net that served it was killed: it leads nowhere", hint);
	}
	free(taps);
	for (int i = 0; i < count; i++) {
		char addr[USRPCI_ADDR_STRLEN];

		if (list[i].abandoned && !is_net(cli, &list[i].addr))
			print_message(MESSAGE_WARNING, usrpci_addr_format(&list[i].addr, addr),
				      "the command that lent it was killed",
				      "usrpci restore --all gives it back");
	}
	return STATUS_DONE;
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
	if (!status)
		status = tell_left(cli, list, count);
	free(list);
	return status;
}

const struct command command_ps = {
	.name = "ps",
	.operands = "",
	.summary = "list devices that are lent",
	.run = cmd_ps,
};
