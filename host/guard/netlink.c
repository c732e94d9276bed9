// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads addresses and routes through rtnetlink(7), as the kernel has them, whatever tool made them.
 * A directory that stands for a host has no netlink: there the tables of proc_net(5) are read,
 * which know less (the main table alone for IPv4).
 *
 * A link-local IPv6 address is no use: the kernel gives one to every interface that is up.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "file.h"
#include "host.h"
#include "guard/netlink.h"

/* The kernel answers at once; it is not asked to wait for anything. */
#define ANSWER_MS 5000

struct item_list {
	struct net_item *items;
	size_t count, size;
};

static int add_item(struct item_list *list, const char *interface, bool is_route, int family,
		    const void *address, unsigned int length)
{
	char text[INET6_ADDRSTRLEN];
	struct net_item *item;

	if (list->count == list->size) {
		size_t size = list->size ? 2 * list->size : 16;

		item = reallocarray(list->items, size, sizeof(*item));
		if (!item)
			return -ENOMEM;
		list->items = item;
		list->size = size;
	}
	item = &list->items[list->count++];
	*item = (struct net_item){.is_route = is_route};
	snprintf(item->interface, sizeof(item->interface), "%s", interface);
	if (!length && is_route)
		snprintf(item->text, sizeof(item->text), "default%s",
			 family == AF_INET6 ? " (IPv6)" : "");
	else if (inet_ntop(family, address, text, sizeof(text)))
		snprintf(item->text, sizeof(item->text), "%s/%u", text, length);
	return 0;
}

static bool is_link_local(int family, const void *address)
{
	return family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)address);
}

static bool is_multicast(int family, const void *address)
{
	return family == AF_INET6 && IN6_IS_ADDR_MULTICAST((const struct in6_addr *)address);
}

static int parse_address(struct item_list *list, const struct nlmsghdr *header)
{
	const struct ifaddrmsg *message = NLMSG_DATA(header);
	const struct rtattr *attribute = IFA_RTA(message), *address = NULL;
	int left = (int)IFA_PAYLOAD(header);
	char interface[IF_NAMESIZE];

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		/* IFA_LOCAL is ours where IFA_ADDRESS is the other end of a point-to-point link. */
		if (attribute->rta_type == IFA_LOCAL ||
		    (attribute->rta_type == IFA_ADDRESS && !address))
			address = attribute;
	}
	if (!address || RTA_PAYLOAD(address) < (message->ifa_family == AF_INET ? 4 : 16) ||
	    is_link_local(message->ifa_family, RTA_DATA(address)) ||
	    !if_indextoname(message->ifa_index, interface))
		return 0;
	return add_item(list, interface, false, message->ifa_family, RTA_DATA(address),
			message->ifa_prefixlen);
}

struct route {
	const struct rtattr *target, *oif, *multipath;
};

static int add_route(struct item_list *list, const struct rtmsg *message, const struct route *route,
		     unsigned int index)
{
	static const struct in6_addr any;
	const void *target = route->target ? RTA_DATA(route->target) : &any;
	char interface[IF_NAMESIZE];

	if (is_link_local(message->rtm_family, target) ||
	    is_multicast(message->rtm_family, target) || !if_indextoname(index, interface))
		return 0;
	return add_item(list, interface, true, message->rtm_family, target, message->rtm_dst_len);
}

static int add_hops(struct item_list *list, const struct rtmsg *message, const struct route *route)
{
	const struct rtnexthop *hop = RTA_DATA(route->multipath);
	int left = (int)RTA_PAYLOAD(route->multipath);
	int error = 0;

	while (!error && RTNH_OK(hop, left)) {
		error = add_route(list, message, route, (unsigned int)hop->rtnh_ifindex);
		left -= RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	return error;
}

static int parse_route(struct item_list *list, const struct nlmsghdr *header)
{
	const struct rtmsg *message = NLMSG_DATA(header);
	const struct rtattr *attribute = RTM_RTA(message);
	int left = (int)RTM_PAYLOAD(header);
	struct route route = {0};

	if (message->rtm_type != RTN_UNICAST || message->rtm_protocol == RTPROT_KERNEL ||
	    (message->rtm_flags & RTM_F_CLONED) ||
	    (message->rtm_family != AF_INET && message->rtm_family != AF_INET6))
		return 0;
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == RTA_DST)
			route.target = attribute;
		else if (attribute->rta_type == RTA_OIF)
			route.oif = attribute;
		else if (attribute->rta_type == RTA_MULTIPATH)
			route.multipath = attribute;
	}
	if (route.multipath)
		return add_hops(list, message, &route);
	return route.oif ? add_route(list, message, &route, *(unsigned int *)RTA_DATA(route.oif))
			 : 0;
}

static int parse_message(struct item_list *list, const struct nlmsghdr *header)
{
	switch (header->nlmsg_type) {
	case NLMSG_ERROR:
		return ((const struct nlmsgerr *)NLMSG_DATA(header))->error ?: -EPROTO;
	case RTM_NEWADDR:
		return parse_address(list, header);
	case RTM_NEWROUTE:
		return parse_route(list, header);
	default:
		return 0;
	}
}

/* Returns 1 at the end of the answer, 0 when more follows, or a negative errno. */
static int parse_answer(struct item_list *list, const char *buffer, size_t left)
{
	while (left >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;
		size_t length = NLMSG_ALIGN(header->nlmsg_len);
		int error;

		if (header->nlmsg_len < sizeof(*header) || header->nlmsg_len > left)
			return -EPROTO;
		if (header->nlmsg_type == NLMSG_DONE)
			return 1;
		error = parse_message(list, header);
		if (error)
			return error;
		buffer += length;
		left -= length < left ? length : left;
	}
	return 0;
}

static int receive_dump(int fd, struct item_list *list)
{
	_Alignas(struct nlmsghdr) char buffer[32768];
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	ssize_t got;
	int state = 0;

	while (!state) {
		if (poll(&poll_fd, 1, ANSWER_MS) != 1)
			return -ETIMEDOUT;
		got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (got <= 0)
			return got ? -errno : -EIO;
		state = parse_answer(list, buffer, (size_t)got);
	}
	return state < 0 ? state : 0;
}

static int dump(int fd, struct item_list *list, uint16_t type)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg message; /* of all zeroes, as long as any message that is asked with */
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = type,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	};

	if (send(fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
		return -errno;
	return receive_dump(fd, list);
}

static int read_netlink(struct item_list *list)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int error;

	if (fd < 0)
		return -errno;
	error = dump(fd, list, RTM_GETADDR);
	if (!error)
		error = dump(fd, list, RTM_GETROUTE);
	close(fd);
	return error;
}

/* "fe800000000000005054000000123456" */
static bool parse_hex6(const char *text, struct in6_addr *address)
{
	int i;

	for (i = 0; i < 16; i++) {
		if (sscanf(&text[2 * (size_t)i], "%2hhx", &address->s6_addr[i]) != 1)
			return false;
	}
	return true;
}

/* /proc/net/if_inet6: address, index, prefix length, scope, flags, interface */
static int parse_proc_if_inet6(struct item_list *list, const char *line)
{
	char address[33], interface[IF_NAMESIZE];
	struct in6_addr binary;
	unsigned int length;

	if (sscanf(line, "%32s %*x %x %*x %*x %15s", address, &length, interface) != 3 ||
	    !parse_hex6(address, &binary) || is_link_local(AF_INET6, &binary))
		return 0;
	return add_item(list, interface, false, AF_INET6, &binary, length);
}

/* /proc/net/route: interface, destination, gateway, flags, 3 numbers, mask */
static int parse_proc_route(struct item_list *list, const char *line)
{
	char interface[IF_NAMESIZE];
	uint32_t target, mask;

	if (sscanf(line, "%15s %8x %*x %*x %*d %*d %*d %8x", interface, &target, &mask) != 3)
		return 0;
	return add_item(list, interface, true, AF_INET, &target,
			(unsigned int)__builtin_popcount(mask));
}

static int read_table(struct usrpci_host *host, struct item_list *list, const char *path,
		      int (*parse)(struct item_list *, const char *))
{
	char text[16384], *rest = text, *line;
	int error = file_read(host->ctx, text, sizeof(text), "%s", path);

	if (error < 0)
		return error == -ENOENT ? 0 : error;
	error = 0;
	while (!error && (line = strsep(&rest, "\n")))
		error = parse(list, line);
	return error;
}

static int read_proc(struct usrpci_host *host, struct item_list *list)
{
	int error = read_table(host, list, "/proc/net/route", parse_proc_route);

	return error ? error : read_table(host, list, "/proc/net/if_inet6", parse_proc_if_inet6);
}

int net_read(struct usrpci_host *host, struct net_item **items)
{
	struct item_list list = {0};
	int error = host_is_live(host) ? read_netlink(&list) : read_proc(host, &list);

	if (error) {
		free(list.items);
		return error;
	}
	*items = list.items;
	return (int)list.count;
}
