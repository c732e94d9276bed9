/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_GUARD_NETLINK_H
#define USRPCI_HOST_GUARD_NETLINK_H

/*
 * What the kernel's network stack does with the interfaces: addresses and routes.
 */

#include <net/if.h>
#include <stdbool.h>

struct usrpci_host;

struct net_item {
	char interface[IF_NAMESIZE];
	bool is_route;
	char text[64]; /* "10.0.2.15/24"; of a route, where it leads: "default", "10.1.0.0/16" */
};

/*
 * Lists the addresses and routes by which the host is reached or reaches others: of all tables,
 * without link-local IPv6 addresses, and without the routes that the kernel makes for each address.
 * Returns the count, or a negative errno; does not log. The list is the caller's.
 */
int net_read(struct usrpci_host *host, struct net_item **items);

#endif
