// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads the tables of proc_net(5): packet sockets and PPPoE sessions, which rtnetlink does not
 * know; and of a directory that stands for a host, which has no netlink, addresses and routes as
 * well (the main table alone for IPv4).
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "file.h"
#include "host.h"
#include "guard/netlink.h"
#include "unread.h"
#include "whole.h"

#define TABLE_MOST (64 << 20) /* half a million routes */
#define NETCONSOLE "/sys/kernel/config/netconsole"

int net_add(struct net_list *list, const char *interface, enum net_kind kind, const char *format,
	    ...)
{
	struct net_item *item;
	va_list args;

	item = array_grow(list->items, list->count, 1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	list->items = item;
	item = &list->items[list->count++];
	*item = (struct net_item){.kind = kind};
	snprintf(item->interface, sizeof(item->interface), "%s", interface);
	va_start(args, format);
	vsnprintf(item->text, sizeof(item->text), format, args);
	va_end(args);
	return 0;
}

int net_add_target(struct net_list *list, const char *interface, enum net_kind kind, int family,
		   const void *target, unsigned int length)
{
	char text[INET6_ADDRSTRLEN];

	if (!length && kind == NET_ROUTE)
		return net_add(list, interface, kind, "default%s",
			       family == AF_INET6 ? " (IPv6)" : "");
	if (!inet_ntop(family, target, text, sizeof(text)))
		return 0;
	return net_add(list, interface, kind, "%s/%u", text, length);
}

/* "fe800000000000005054000000123456" */
static bool parse_hex6(const char *text, struct in6_addr *address)
{
	for (size_t i = 0; i < 16; i++)
		if (sscanf(&text[2 * i], "%2hhx", &address->s6_addr[i]) != 1)
			return false;
	return true;
}

/* /proc/net/if_inet6: address, index, prefix length, scope, flags, interface */
static int parse_if_inet6(struct usrpci_host *host, struct net_list *list, const char *line)
{
	char address[33], interface[IF_NAMESIZE];
	struct in6_addr binary;
	unsigned int length;

	if (sscanf(line, "%32s %*x %x %*x %*x %15s", address, &length, interface) != 3 ||
	    !parse_hex6(address, &binary) || IN6_IS_ADDR_LINKLOCAL(&binary))
		return 0;
	return net_add_target(list, interface, NET_ADDRESS, AF_INET6, &binary, length);
}

/* /proc/net/route: interface, destination, gateway, flags, 3 numbers, mask */
static int parse_route(struct usrpci_host *host, struct net_list *list, const char *line)
{
	char interface[IF_NAMESIZE];
	uint32_t target, mask;

	if (sscanf(line, "%15s %8x %*x %*x %*d %*d %*d %8x", interface, &target, &mask) != 3)
		return 0;
	return net_add_target(list, interface, NET_ROUTE, AF_INET, &target,
			      (unsigned int)__builtin_popcount(mask));
}

static bool name_of_index(struct usrpci_host *host, unsigned int index, char name[IF_NAMESIZE])
{
	bool found = false;
	uint64_t number;
	AUTO_FREE char **names = NULL;
	int count;

	if (host_is_live(host))
		return if_indextoname(index, name);
	count = dir_list(host->ctx, &names, "/sys/class/net");
	for (int i = 0; i < count && !found; i++) {
		found = !file_read_u64(host->ctx, &number, "/sys/class/net/%s/ifindex", names[i]) &&
			number == index;
		if (found)
			snprintf(name, IF_NAMESIZE, "%s", names[i]);
	}
	return found;
}

/* /proc/net/packet: address, references, type, protocol, interface; 0 is all of them */
static int parse_packet(struct usrpci_host *host, struct net_list *list, const char *line)
{
	char interface[IF_NAMESIZE];
	unsigned int index;

	if (sscanf(line, "%*x %*d %*d %*x %u", &index) != 1)
		return 0;
	if (!index)
		return net_add(list, "", NET_ALL, "%s", "");
	if (!name_of_index(host, index, interface))
		return 0;
	return net_add(list, interface, NET_PACKET_SOCKET, "%s", "");
}

/* /proc/net/pppoe: session, address, interface */
static int parse_pppoe(struct usrpci_host *host, struct net_list *list, const char *line)
{
	char interface[IF_NAMESIZE];

	if (sscanf(line, "%*8x %*17[0-9A-Fa-f:] %15s", interface) != 1)
		return 0;
	return net_add(list, interface, NET_PPPOE, "%s", "");
}

/* /proc/net/llc/socket: type, multicast, address of the interface "@" its service access point, ... */
static int parse_llc(struct usrpci_host *host, struct net_list *list, const char *line)
{
	char wanted[18], address[48];
	AUTO_FREE char **names = NULL;
	int count, error = 0;

	if (sscanf(line, "%*2x %*2x %17[0-9a-f:]@", wanted) != 1)
		return 0;
	count = dir_list(host->ctx, &names, "/sys/class/net");
	for (int i = 0; !error && i < count; i++)
		if (file_read(host->ctx, address, sizeof(address), "/sys/class/net/%s/address",
			      names[i]) > 0 &&
		    !strcmp(address, wanted))
			error = net_add(list, names[i], NET_LLC, "%s", "");
	return count == -ENOMEM ? count : error;
}

static bool is_listed(const struct net_list *list, const char *interface, enum net_kind kind,
		      const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].kind == kind && !strcmp(list->items[i].text, text) &&
		    !strcmp(list->items[i].interface, interface))
			return true;
	return false;
}

/* "   can0     123    000007ff  0000000012345678  0000000012345678         0  raw" */
static int parse_can(struct usrpci_host *host, struct net_list *list, const char *line)
{
	char interface[IF_NAMESIZE], listener[16];

	if (sscanf(line, "%15s %*8x %*8x %*s %*s %*d %15s", interface, listener) != 2 ||
	    is_listed(list, interface, NET_CAN, listener))
		return 0;
	return net_add(list, interface, NET_CAN, "%s", listener);
}

/*
 * /proc/net/ptype: "88ca eth0     tipc_l2_rcv_msg [tipc]", who in the kernel takes frames of a type.
 * Protocols of all interfaces name none; packet sockets are in a table of their own.
 */
static int parse_taker(struct usrpci_host *host, struct net_list *list, const char *line)
{
	char interface[IF_NAMESIZE], function[32];

	if (strlen(line) < 6 || line[5] == ' ' || !strncmp(line, "Type", 4) ||
	    sscanf(line + 5, "%15s %31s", interface, function) != 2 ||
	    strstr(function, "packet_rcv"))
		return 0;
	return net_add(list, interface, NET_PROTOCOL, "%s", function);
}

/* The kernel's generator of packets has a file for each interface, "eth0" or "eth0@1". */
static int read_generator(struct usrpci_host *host, struct net_list *list)
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, "/proc/net/pktgen"), error = 0;

	for (int i = 0; !error && i < count; i++) {
		names[i][strcspn(names[i], "@")] = '\0';
		if (strcmp(names[i], "pgctrl") && strncmp(names[i], "kpktgend_", 9))
			error = net_add(list, names[i], NET_PKTGEN, "%s", "");
	}
	return count < 0 && count != -ENOENT ? count : error;
}

/* One target of netconsole, which sends the kernel's messages without any socket. */
static int read_target(struct usrpci_host *host, struct net_list *list, const char *target)
{
	char interface[IF_NAMESIZE];
	uint64_t enabled = 0;

	if (file_read_u64(host->ctx, &enabled, NETCONSOLE "/%s/enabled", target) || !enabled ||
	    file_read(host->ctx, interface, sizeof(interface), NETCONSOLE "/%s/dev_name", target) <=
		    0)
		return 0;
	return net_add(list, interface, NET_NETCONSOLE, "%s", "");
}

/* Targets that stand in the module's parameters are shown nowhere. */
static int read_netconsole(struct usrpci_host *host, struct net_list *list)
{
	AUTO_FREE char **targets = NULL;
	int count = dir_list(host->ctx, &targets, NETCONSOLE), error = 0;
	size_t before = list->count;

	for (int i = 0; !error && i < count; i++)
		error = read_target(host, list, targets[i]);
	if (error || list->count > before ||
	    !file_exists(host->ctx, "/sys/module/netconsole/refcnt"))
		return error;
	return net_add(list, "", NET_UNSEEN_NETCONSOLE, "%s", "");
}

static int read_table(struct usrpci_host *host, struct net_list *list, const char *path,
		      int (*parse)(struct usrpci_host *, struct net_list *, const char *))
{
	AUTO_FREE char *text = NULL;
	AUTO_CLOSE int fd = file_open_regular(host->ctx, O_RDONLY, "%s", path);
	int error = fd < 0 ? fd : read_whole(fd, &text, TABLE_MOST);
	char *rest = text, *line, full[PATH_SIZE];

	if (fd >= 0 && error < 0 && !path_format(host->ctx, full, "%s", path))
		note_unread(host->ctx, full, error);
	if (error < 0)
		return error == -ENOENT ? 0 : error;
	error = 0;
	while (!error && (line = strsep(&rest, "\n")))
		error = parse(host, list, line);
	return error;
}

/* A table for each kind of filter: rcvlist_all, rcvlist_sff, ... */
static int read_can(struct usrpci_host *host, struct net_list *list)
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, "/proc/net/can"), error = 0;
	char path[PATH_SIZE];

	for (int i = 0; !error && i < count; i++) {
		if (strncmp(names[i], "rcvlist_", strlen("rcvlist_")) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/net/can/%s", names[i]);
		error = read_table(host, list, path, parse_can);
	}
	return count < 0 && count != -ENOENT ? count : error;
}

static int read_all(struct usrpci_host *host, struct net_list *list)
{
	int error = read_table(host, list, "/proc/net/packet", parse_packet)
			    ?: read_table(host, list, "/proc/net/pppoe", parse_pppoe)
			    ?: read_table(host, list, "/proc/net/llc/socket", parse_llc)
			    ?: read_table(host, list, "/proc/net/ptype", parse_taker)
			    ?: read_can(host, list)
			    ?: read_generator(host, list)
			    ?: read_netconsole(host, list);

	if (error)
		return error;
	if (host_is_live(host))
		return netlink_read(list)
			       ?: sockets_read(host, list)
			       ?: netlink_read_namespaces(host, list);
	if (!file_exists(host->ctx, "/proc/net/route"))
		return -ENOENT;
	return read_table(host, list, "/proc/net/route", parse_route)
		       ?: read_table(host, list, "/proc/net/if_inet6", parse_if_inet6);
}

int net_read(struct usrpci_host *host, struct net_item **items)
{
	struct net_list list = {0};
	int error = read_all(host, &list);

	if (error) {
		free(list.items);
		return error;
	}
	*items = list.items;
	return (int)list.count;
}
