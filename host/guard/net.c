// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's network part: the interfaces of a device, and those above them (bridges, bonds,
 * teams, VLANs, macvlans), with an address or a route. That covers root file systems over NFS or
 * iSCSI, which reach their server by an address.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "guard/guard.h"

#define LOG_SUBJECT "guard"
#include "log.h"

/*
 * Stacks of interfaces are rarely deeper than three. The kernel allows no loop, but a forged /sys
 * (--root) could contain one.
 */
#define DEPTH_MAX 8

struct net_table {
	struct net_item *items;
	int count;
};

static int guard_interface(struct usrpci_host *host, const char *interface,
			   const struct net_table *table, unsigned int depth,
			   struct use_list *list);

/* Asks the same of the interfaces above this one; each of them reports its own uses. */
static int guard_uppers(struct usrpci_host *host, const char *interface,
			const struct net_table *table, unsigned int depth, struct use_list *list)
{
	char **names;
	int count = dir_list(host->ctx, &names, "/sys/class/net/%s", interface);
	int error = 0;
	int i;

	if (count < 0)
		return count == -ENOENT ? 0
					: report(host->ctx, count, interface, NULL,
						 "cannot read what is above it");
	for (i = 0; !error && i < count; i++) {
		const char *upper = names[i] + strlen("upper_");

		if (strncmp(names[i], "upper_", strlen("upper_")) != 0)
			continue;
		error = use_add(list, USRPCI_USE_UPPER, interface, "%s is part of %s", interface,
				upper);
		if (!error && depth < DEPTH_MAX)
			error = guard_interface(host, upper, table, depth + 1, list);
	}
	free(names);
	return error;
}

static int guard_interface(struct usrpci_host *host, const char *interface,
			   const struct net_table *table, unsigned int depth, struct use_list *list)
{
	int error = 0;
	int i;

	for (i = 0; !error && i < table->count; i++) {
		const struct net_item *item = &table->items[i];

		if (strcmp(item->interface, interface) != 0)
			continue;
		error = use_add(list, item->is_route ? USRPCI_USE_ROUTE : USRPCI_USE_ADDRESS,
				interface, "%s %s %s", interface,
				item->is_route ? "carries the route to" : "carries", item->text);
	}
	return error ? error : guard_uppers(host, interface, table, depth, list);
}

static int guard_interfaces(struct usrpci_host *host, char (*interfaces)[NAME_SIZE], int count,
			    struct use_list *list)
{
	struct net_table table = {0};
	int error = 0;
	int i;

	table.count = host->kernel->read_net(host, &table.items);
	if (table.count < 0)
		return report(host->ctx, table.count, NULL, NULL,
			      "cannot read addresses and routes");
	for (i = 0; !error && i < count; i++)
		error = guard_interface(host, interfaces[i], &table, 0, list);
	free(table.items);
	return error;
}

int guard_network(struct usrpci_host *host, const struct usrpci_dev_info *info,
		  struct use_list *list)
{
	char(*interfaces)[NAME_SIZE];
	int count = class_members(host, &info->addr, "net", &interfaces);
	int error;

	if (count < 0)
		return report(host->ctx, count, NULL, NULL, "cannot read /sys/class/net");
	error = count ? guard_interfaces(host, interfaces, count, list) : 0;
	free(interfaces);
	return error;
}
