/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_NET_NET_H
#define USRPCI_HOST_NET_NET_H

/*
 * The place of an interface in the network: the settings that move to another interface.
 *
 * 	net.c    usrpci_host_net(): a TAP takes the place of an interface and gives it back
 * 	place.c  reads a place and gives it to an interface, by rtnetlink(7)
 */

#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <net/if.h>

#include "host.h"

/* Addresses and routes are kept as the kernel's messages, so no detail of them is lost. */
struct net_place {
	char name[IF_NAMESIZE];
	int index;
	uint8_t mac[ETH_ALEN];
	uint32_t mtu;
	bool up;
	struct nlmsghdr **messages;
	size_t count;
};

/*
 * Reads the place of an interface. Errors, logged: -ENODEV (there is no interface of this name);
 * -EOPNOTSUPP (it is no Ethernet interface); those of rtnetlink(7).
 */
int net_place_read(struct usrpci_host *host, const char *name, struct net_place *place);
void net_place_free(struct net_place *place);

/*
 * Takes an interface out of its place: it goes down, loses its addresses, and gets another name,
 * which is stored. Errors are logged.
 */
int net_place_leave(struct usrpci_host *host, const struct net_place *place,
		    char name[IF_NAMESIZE]);

/*
 * Puts the interface that is now called "name" in a place: it gets the name, MAC address, MTU,
 * state, addresses and routes of the place. Goes on after a failed step, since the next one may
 * still help; the place can be given to another interface afterwards. Returns the first error,
 * logged.
 */
int net_place_take(struct usrpci_host *host, struct net_place *place, const char *name);

#endif
