/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the kernel's network stack does with the interfaces: addresses, routes, and frames without
 * either.
 */

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

struct usrpci_host;

enum net_kind {
	NET_ADDRESS, /* text: "10.0.2.15/24" */
	NET_ROUTE,   /* text: where it leads, "default", "10.1.0.0/16" */
	NET_UPPER,   /* text: an interface that sends through this one, "gre1" */
	NET_LINK,    /* the interface is of this network namespace; text: index and address */

	/* Who else takes or sends frames. */
	NET_BOUND_SOCKET,
	NET_PACKET_SOCKET,
	NET_XDP_SOCKET,
	NET_XDP_PROGRAM,
	NET_FILTERS,  /* text: the queue whose filters see them, "clsact" */
	NET_MIRRED,   /* an action of tc that sends frames on */
	NET_PROTOCOL, /* text: the function of the kernel that gets them */
	NET_PPPOE,
	NET_LLC,
	NET_CAN, /* text: what listens there, "raw", "isotp", "gw" */
	NET_PKTGEN,
	NET_NETCONSOLE,
	NET_ELSEWHERE, /* text: the interface above, which is in another network namespace */

	/* Of a device, whose name stands in the place of the interface's. */
	NET_AWAY, /* text: its interface in another network namespace, "eth0 in /run/netns/a" */

	/* Of no interface. */
	NET_ALL,               /* a packet socket takes frames of all of them */
	NET_UNSEEN_SOCKET,     /* it may be bound to any */
	NET_UNSEEN_XDP,        /* the same of one of AF_XDP; text: whose it is, "812", or "" */
	NET_UNSEEN_NETCONSOLE, /* it may send through any */
};

struct net_item {
	char interface[IF_NAMESIZE];
	enum net_kind kind;
	char text[64];
};

/* An interface, by its number. */
struct net_name {
	unsigned int index;
	char name[IF_NAMESIZE];
};

struct net_list {
	struct net_item *items;
	size_t count;
	const struct net_name *known; /* interfaces that may be gone by now */
	size_t known_count;
	bool has_unnamed_hops; /* a route has a nexthop whose interface it does not name */
};

/* Adds an item. Returns 0 or -ENOMEM. */
__attribute__((format(printf, 4, 5))) int net_add(struct net_list *list, const char *interface,
						  enum net_kind kind, const char *format, ...);

/* Adds an address or a route; none of length 0 is the default route. Returns 0 or -ENOMEM. */
int net_add_target(struct net_list *list, const char *interface, enum net_kind kind, int family,
		   const void *target, unsigned int length);

/*
 * Lists by what the host is reached or reaches others: addresses and routes of all tables, without
 * link-local IPv6 addresses, and without the routes that the kernel makes for each address; and who
 * else takes frames. A directory that stands for a host has no NET_LINK.
 *
 * Returns the count, or a negative errno; does not log. The list is the caller's.
 */
int net_read(struct usrpci_host *host, struct net_item **items);

struct mnl_socket;

/*
 * Opens a socket of rtnetlink(7), on which no answer is waited for longer than 5 s. Returns NULL
 * and sets errno on failure; the caller closes it.
 */
struct mnl_socket *netlink_open(void);

/* The same, and the socket is told when addresses, routes and interfaces change. */
struct mnl_socket *netlink_listen(void);

/*
 * Whether something has changed while it was listed, so that it is to be listed again, on a new
 * socket: the rest of the old list waits in the other. Counts how often, up to a limit.
 */
bool netlink_was_interrupted(int error, unsigned int *times);

/*
 * Adds the addresses and routes that came since the last call, and what interfaces became a part of
 * (NET_UPPER of the part, whose text is the upper one), and which went to another namespace
 * (NET_ELSEWHERE, with its own name). Does not wait. Returns 0 or a negative errno; -ENOBUFS:
 * something came that is not known.
 */
int netlink_read_events(struct mnl_socket *socket, struct net_list *list);

/* The parts of it: from rtnetlink(7), sockets (sockets.c) and from sock_diag(7). */
int netlink_read(struct net_list *list);
int sockets_read(struct usrpci_host *host, struct net_list *list);
int netlink_read_sockets(struct net_list *list);
int netlink_read_xdp(struct net_list *list);
int netlink_read_namespaces(struct usrpci_host *host, struct net_list *list);
