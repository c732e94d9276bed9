/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_NET_NET_H
#define USRPCI_HOST_NET_NET_H

/*
 * The place of an interface in the network: the settings that move to another interface.
 *
 * 	net.c       usrpci_host_net(): a TAP takes the place of an interface and gives it back
 * 	place.c     reads a place and gives it to an interface, by rtnetlink(7)
 * 	settings.c  what /proc/sys/net has of it
 * 	text.c      a place as lines of text
 * 	left.c      what goes back when usrpci net was killed
 */

#include <linux/if_ether.h>
#include <linux/if_infiniband.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>

#include "host.h"

/* InfiniBand's hardware addresses are the longest that are kept. */
#define NET_MAC_MAX INFINIBAND_ALEN

/*
 * Addresses, routes, and what else the link has are kept as the kernel's messages, so no detail of
 * them is lost.
 */
struct net_place {
	char name[IF_NAMESIZE];
	int index;
	uint8_t mac[NET_MAC_MAX];
	unsigned int mac_length; /* ETH_ALEN or INFINIBAND_ALEN */
	uint32_t mtu;
	bool up;
	char *settings; /* lines, as settings.c says; NULL: all are the usual ones */
	struct nlmsghdr **messages;
	size_t count;
};

/*
 * Reads the place of an interface. Errors, logged: -ENODEV (there is no interface of this name);
 * -EOPNOTSUPP (it is neither Ethernet nor InfiniBand, or would not come back as it is); those of
 * rtnetlink(7).
 */
int net_place_read(struct usrpci_host *host, const char *name, struct net_place *place);

/* Returns the number of an object of ip-nexthop(8) that leads by the interface, or 0. */
uint32_t net_place_nexthop(const struct net_place *place);

/* Reads it without its addresses and routes. The same errors, which are not logged. */
int net_place_read_link(const char *name, struct net_place *place);
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

/*
 * Waits until a card has an interface again, and puts that in a place. Errors, logged: -ENODEV (the
 * card or its interface is gone); -ENOTUNIQ; those of net_place_take().
 */
int net_place_return(struct usrpci_host *host, struct net_place *place,
		     const struct usrpci_addr *addr);

/*
 * Settings of /proc/sys/net: reads them into a place, and adds a line to it. Return 0 or a negative
 * errno. What an interface does not take is told and is no error.
 */
int net_settings_read(struct usrpci_host *host, struct net_place *place);
int net_settings_add(struct net_place *place, const char *line);
void net_settings_give(struct usrpci_host *host, const struct net_place *place);

/* Writes a line "setting ..." for each. */
void net_settings_print(FILE *out, const struct net_place *place);

/* Whether there is a TAP device of this name: 1, 0, or a negative errno, logged. */
int net_is_tap(struct usrpci_host *host, const char *name);

/*
 * Stores what the TAP in a place is called now. Returns false if it was deleted or moved to another
 * network namespace.
 */
bool net_tap_find(struct usrpci_host *host, const struct net_place *place, char name[IF_NAMESIZE]);

/* Deletes a TAP device that no process has, as ip-link(8) does. Returns 0, or a negative errno. */
int net_delete_tap(struct usrpci_host *host, const char *name);

/* Writes the hardware address of a place as "52:54:00:12:34:56". Returns the text. */
#define NET_MAC_TEXT (3 * NET_MAC_MAX)
const char *net_mac_format(const struct net_place *place, char text[NET_MAC_TEXT]);

/*
 * Writes a line "net ..." for the place without its addresses and routes. Returns the length of the
 * line.
 */
#define NET_LINK_TEXT (NET_MAC_TEXT + 64)
int net_place_print_link(char text[NET_LINK_TEXT], const struct net_place *place);

/* Writes that line, and lines "setting ..." and "message ...". */
void net_place_print(FILE *out, const struct net_place *place);

/* Whether all of it could be read back: a message has a greatest length. */
bool net_place_is_printable(const struct net_place *place);

/* Read what stands behind "net" into an empty place, and what stands behind "message". */
bool net_place_parse(struct net_place *place, const char *value);
bool net_place_parse_message(struct net_place *place, const char *value);

/*
 * Records the place that a card's interface is to have again, before it changes. "card" is the
 * index that the interface has before; "moved" says that the TAP has all of the place, so that
 * later changes of it count. Errors, logged: -E2BIG; -ENOMEM; those of writing it.
 */
int net_left_write(struct usrpci_host *host, const struct usrpci_addr *addr, int card,
		   const struct net_place *place, bool moved);
int net_left_drop(struct usrpci_host *host, const struct usrpci_addr *addr);

/* Stores what the TAP of a card is called now. Returns false if the record does not lead to one. */
bool net_left_tap(struct usrpci_host *host, const struct usrpci_addr *addr, char name[IF_NAMESIZE]);

/* Finds the card whose TAP is called so now. Returns 0 or -ENOENT. */
int net_left_find(struct usrpci_host *host, const char *name, struct usrpci_addr *addr);

/*
 * Where usrpci net was killed: deletes its TAP and puts the card's interface in its place again,
 * with the addresses and routes that the TAP had. A card that has no driver of the kernel yet is
 * left for later. Needs the lock. Returns 0, also if there is nothing to do, or a negative errno,
 * logged.
 */
int net_left_recover(struct usrpci_host *host, const struct usrpci_addr *addr);

/* The same for all cards. */
int net_left_recover_all(struct usrpci_host *host);

/* The name of the TAP until it takes the place; "card" as in net_left_write(). */
void net_tap_name(int card, char name[IF_NAMESIZE]);

/*
 * Ends the service of a card, if there is one, and waits until the card was given back. Returns 1
 * if there was one, else 0. Errors, logged: -EBUSY (it does not end).
 */
int net_end(struct usrpci_host *host, const struct usrpci_addr *addr);

/* The file that is locked for as long as usrpci net serves a card. */
#define NET_MARK_SIZE 64
void net_mark_name(const struct usrpci_addr *addr, char name[NET_MARK_SIZE]);

#endif
