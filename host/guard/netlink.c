// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads interfaces, addresses and routes through rtnetlink(7), as the kernel has them, whatever
 * tool made them. A link-local IPv6 address is no use: the kernel gives one to every interface that
 * is up.
 *
 * An interface on top of ours (macvlan, ipvlan, VLAN) that was moved to another network namespace
 * leaves no trace in this one. It is found from there: it knows by what index and in which
 * namespace the interface below it is.
 *
 * Sockets that are bound to an interface, as those of DHCP, are known to sock_diag(7), which is
 * asked where sockets.c says so.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/net_namespace.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/xdp_diag.h>
#include <linux/tc_act/tc_mirred.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "guard/look.h"
#include "guard/mounts.h"
#include "guard/netlink.h"
#include "host.h"
#include "unread.h"

/* The kernel answers at once; it is not asked to wait for anything. */
#define ERRNO_MAX      4095 /* MAX_ERRNO of the kernel */
#define ANSWER_SECONDS 5

#define INTERRUPTIONS_MAX 20

/* An interface that is up goes with 14 KiB of events, and 256 virtual functions may go at once. */
#define EVENTS_SIZE (4 << 20)

#define ATTRIBUTES 64 /* those with higher numbers are not needed */

struct attributes {
	const struct nlattr *of[ATTRIBUTES];
};

static int keep_attribute(const struct nlattr *attribute, void *data)
{
	struct attributes *attributes = data;
	uint16_t type = mnl_attr_get_type(attribute);

	if (type < ATTRIBUTES)
		attributes->of[type] = attribute;
	return MNL_CB_OK;
}

static uint32_t number_of(const struct nlattr *attribute)
{
	return attribute && !mnl_attr_validate(attribute, MNL_TYPE_U32)
		       ? mnl_attr_get_u32(attribute)
		       : 0;
}

static int result_of(int error)
{
	if (!error)
		return MNL_CB_OK;
	errno = -error;
	return MNL_CB_ERROR;
}

static bool is_link_local(int family, const void *address)
{
	return family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)address);
}

static bool is_multicast(int family, const void *address)
{
	return family == AF_INET6 && IN6_IS_ADDR_MULTICAST((const struct in6_addr *)address);
}

static bool has_address(const struct nlattr *attribute, int family)
{
	return attribute && mnl_attr_get_payload_len(attribute) >= (family == AF_INET ? 4 : 16);
}

/* Returns interface, or NULL when there is no such one. */
static const char *name_of(const struct net_list *list, unsigned int index,
			   char interface[IF_NAMESIZE])
{
	for (size_t i = 0; i < list->known_count; i++)
		if (list->known[i].index == index)
			return strcpy(interface, list->known[i].name);
	return if_indextoname(index, interface);
}

static int parse_address(const struct nlmsghdr *header, void *list)
{
	const struct ifaddrmsg *message = mnl_nlmsg_get_payload(header);
	struct attributes found = {0};
	const struct nlattr *address;
	char interface[IF_NAMESIZE];

	mnl_attr_parse(header, sizeof(*message), keep_attribute, &found);
	/* IFA_LOCAL is ours where IFA_ADDRESS is the other end of a point-to-point link. */
	address = found.of[IFA_LOCAL] ? found.of[IFA_LOCAL] : found.of[IFA_ADDRESS];
	if (!has_address(address, message->ifa_family) ||
	    is_link_local(message->ifa_family, mnl_attr_get_payload(address)) ||
	    !name_of(list, message->ifa_index, interface))
		return MNL_CB_OK;
	return result_of(net_add_target(list, interface, NET_ADDRESS, message->ifa_family,
					mnl_attr_get_payload(address), message->ifa_prefixlen));
}

static int add_route(struct net_list *list, const struct rtmsg *message,
		     const struct nlattr *destination, unsigned int index)
{
	static const struct in6_addr any;
	const void *target = has_address(destination, message->rtm_family)
				     ? mnl_attr_get_payload(destination)
				     : &any;
	char interface[IF_NAMESIZE];

	if (is_link_local(message->rtm_family, target) ||
	    is_multicast(message->rtm_family, target) || !name_of(list, index, interface))
		return 0;
	return net_add_target(list, interface, NET_ROUTE, message->rtm_family, target,
			      message->rtm_dst_len);
}

static int add_hops(struct net_list *list, const struct rtmsg *message,
		    const struct attributes *found)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(found->of[RTA_MULTIPATH]);
	int left = mnl_attr_get_payload_len(found->of[RTA_MULTIPATH]);
	int error = 0;

	while (!error && RTNH_OK(hop, left)) {
		error = add_route(list, message, found->of[RTA_DST],
				  (unsigned int)hop->rtnh_ifindex);
		left -= RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	return error;
}

static int parse_route(const struct nlmsghdr *header, void *list)
{
	const struct rtmsg *message = mnl_nlmsg_get_payload(header);
	struct attributes found = {0};

	if (message->rtm_type != RTN_UNICAST || message->rtm_protocol == RTPROT_KERNEL ||
	    (message->rtm_flags & RTM_F_CLONED) ||
	    (message->rtm_family != AF_INET && message->rtm_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_parse(header, sizeof(*message), keep_attribute, &found);
	if (found.of[RTA_MULTIPATH])
		return result_of(add_hops(list, message, &found));
	/* So where net.ipv4.nexthop_compat_mode is 0. */
	if (found.of[RTA_NH_ID] && !found.of[RTA_OIF])
		((struct net_list *)list)->has_unnamed_hops = true;
	return result_of(add_route(list, message, found.of[RTA_DST], number_of(found.of[RTA_OIF])));
}

static int parse_nexthop(const struct nlmsghdr *header, void *list)
{
	struct attributes found = {0};
	char interface[IF_NAMESIZE];

	mnl_attr_parse(header, sizeof(struct nhmsg), keep_attribute, &found);
	if (!name_of(list, number_of(found.of[NHA_OIF]), interface))
		return MNL_CB_OK;
	return result_of(
		net_add(list, interface, NET_ROUTE, "nexthop %u", number_of(found.of[NHA_ID])));
}

/*
 * Returns how ip(8) calls the mode of a program, or NULL where there is none. What removes the one
 * of a mode leaves those of the others.
 */
static const char *program_mode(const struct nlattr *xdp)
{
	struct attributes found = {0};

	if (xdp)
		mnl_attr_parse_nested(xdp, keep_attribute, &found);
	if (!found.of[IFLA_XDP_ATTACHED] ||
	    mnl_attr_get_u8(found.of[IFLA_XDP_ATTACHED]) == XDP_ATTACHED_NONE)
		return NULL;
	return found.of[IFLA_XDP_SKB_PROG_ID]  ? "xdpgeneric"
	       : found.of[IFLA_XDP_HW_PROG_ID] ? "xdpoffload"
					       : "xdp";
}

/*
 * Adds the interface that a tunnel sends through, which sysfs does not name. Its number is one of
 * another network namespace where IFLA_LINK_NETNSID says so.
 */
static int add_lower(struct net_list *list, const struct attributes *found, const char *upper)
{
	char interface[IF_NAMESIZE];

	if (found->of[IFLA_LINK_NETNSID] ||
	    !name_of(list, number_of(found->of[IFLA_LINK]), interface))
		return 0;
	return net_add(list, interface, NET_UPPER, "%s", upper);
}

/* "2 52:54:00:12:34:56", as the files ifindex and address in sysfs say. */
static int parse_link(const struct nlmsghdr *header, void *list)
{
	const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
	struct attributes found = {0};
	const struct nlattr *address;
	const uint8_t *bytes;
	const char *name, *mode;
	char text[64], *at = text;
	int error;

	mnl_attr_parse(header, sizeof(*message), keep_attribute, &found);
	address = found.of[IFLA_ADDRESS];
	at += snprintf(at, 16, "%d ", message->ifi_index);
	bytes = address ? mnl_attr_get_payload(address) : NULL;
	for (int i = 0; address && i < mnl_attr_get_payload_len(address) && i < 14; i++)
		at += sprintf(at, "%s%02x", i ? ":" : "", bytes[i]);
	if (!found.of[IFLA_IFNAME] || mnl_attr_validate(found.of[IFLA_IFNAME], MNL_TYPE_NUL_STRING))
		return MNL_CB_OK;
	name = mnl_attr_get_str(found.of[IFLA_IFNAME]);
	error = net_add(list, name, NET_LINK, "%s", text) ?: add_lower(list, &found, name);
	mode = program_mode(found.of[IFLA_XDP]);
	if (!error && mode)
		error = net_add(list, name, NET_XDP_PROGRAM, "%s", mode);
	return result_of(error);
}

/*
 * Frames that come in may go elsewhere there, before anybody else sees them. A queue of the kind
 * "teql0" makes the interface a part of that one, which sends through all of its parts.
 */
static int parse_queue(const struct nlmsghdr *header, void *list)
{
	const struct tcmsg *message = mnl_nlmsg_get_payload(header);
	struct attributes found = {0};
	char interface[IF_NAMESIZE];
	const char *kind;
	bool is_part;

	mnl_attr_parse(header, sizeof(*message), keep_attribute, &found);
	if (!found.of[TCA_KIND] || mnl_attr_validate(found.of[TCA_KIND], MNL_TYPE_NUL_STRING))
		return MNL_CB_OK;
	kind = mnl_attr_get_str(found.of[TCA_KIND]);
	is_part = !strncmp(kind, "teql", strlen("teql"));
	if ((!is_part && strcmp(kind, "clsact") != 0 && strcmp(kind, "ingress") != 0) ||
	    !if_indextoname((unsigned int)message->tcm_ifindex, interface))
		return MNL_CB_OK;
	return result_of(net_add(list, interface, is_part ? NET_UPPER : NET_FILTERS, "%s", kind));
}

/* What the action "mirred" sends on, with the interface that it sends through. */
static int parse_action(const struct nlattr *action, void *list)
{
	struct attributes found = {0}, options = {0};
	const struct nlattr *parameters;
	char interface[IF_NAMESIZE];
	struct tc_mirred mirred;

	mnl_attr_parse_nested(action, keep_attribute, &found);
	if (found.of[TCA_ACT_OPTIONS])
		mnl_attr_parse_nested(found.of[TCA_ACT_OPTIONS], keep_attribute, &options);
	parameters = options.of[TCA_MIRRED_PARMS];
	if (!parameters || mnl_attr_get_payload_len(parameters) < sizeof(mirred))
		return MNL_CB_OK;
	memcpy(&mirred, mnl_attr_get_payload(parameters), sizeof(mirred));
	if (!if_indextoname(mirred.ifindex, interface))
		return MNL_CB_OK;
	return result_of(net_add(list, interface, NET_MIRRED, "%s", ""));
}

static int parse_actions(const struct nlmsghdr *header, void *list)
{
	struct attributes found = {0};

	mnl_attr_parse(header, sizeof(struct tcamsg), keep_attribute, &found);
	if (!found.of[TCA_ROOT_TAB])
		return MNL_CB_OK;
	return mnl_attr_parse_nested(found.of[TCA_ROOT_TAB], parse_action, list);
}

static struct mnl_socket *open_bus(int bus)
{
	const struct timeval deadline = {.tv_sec = ANSWER_SECONDS};
	struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);

	if (!socket)
		return NULL;
	if (!mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) &&
	    !setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &deadline,
			sizeof(deadline)))
		return socket;
	mnl_socket_close(socket);
	return NULL;
}

struct mnl_socket *netlink_open(void)
{
	return open_bus(NETLINK_ROUTE);
}

/* libmnl counts in int, and would go on before a message whose length is negative then. */
static bool are_whole(const char *messages, size_t size)
{
	struct nlmsghdr header;

	while (size >= sizeof(header)) {
		memcpy(&header, messages, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size)
			return false;
		if (MNL_ALIGN(header.nlmsg_len) >= size)
			return true;
		messages += MNL_ALIGN(header.nlmsg_len);
		size -= MNL_ALIGN(header.nlmsg_len);
	}
	return true;
}

/* Sends a request and hands each part of the answer to a function. */
static int ask(struct mnl_socket *socket, struct nlmsghdr *request, mnl_cb_t parse, void *data)
{
	char buffer[32768];
	ssize_t size;
	int state = 1;

	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (state > 0) {
		size = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (size <= 0)
			return size ? -errno : -EIO;
		if (!are_whole(buffer, (size_t)size))
			return -EPROTO;
		state = mnl_cb_run(buffer, (size_t)size, request->nlmsg_seq,
				   mnl_socket_get_portid(socket), parse, data);
		if (!(request->nlmsg_flags & NLM_F_DUMP))
			break;
	}
	if (state >= 0)
		return 0;
	/* It may be the number of an error message, which nobody has checked. */
	return errno > 0 && errno <= ERRNO_MAX ? -errno : -EPROTO;
}

static struct nlmsghdr *new_request(char buffer[256], uint16_t type, uint16_t flags, size_t size)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(memset(buffer, 0, 256));

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	request->nlmsg_seq = 1;
	mnl_nlmsg_put_extra_header(request, size);
	return request;
}

static int dump(struct mnl_socket *socket, uint16_t type, size_t size, mnl_cb_t parse, void *data)
{
	char buffer[256];

	return ask(socket, new_request(buffer, type, NLM_F_DUMP, size), parse, data);
}

/* Without statistics, which a driver may have to read from its card. */
static int dump_links(struct mnl_socket *socket, mnl_cb_t parse, void *data)
{
	char buffer[256];
	struct nlmsghdr *request = new_request(buffer, RTM_GETLINK, NLM_F_DUMP,
					       sizeof(struct ifinfomsg));

	mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return ask(socket, request, parse, data);
}

/* A kernel without traffic control knows no such request. */
static int dump_queues(struct mnl_socket *socket, struct net_list *list)
{
	int error = dump(socket, RTM_GETQDISC, sizeof(struct tcmsg), parse_queue, list);

	return error == -EOPNOTSUPP ? 0 : error;
}

/* A kernel that has no such action has nothing to list. */
static int dump_actions(struct mnl_socket *socket, struct net_list *list)
{
	static const struct {
		struct nlattr first, kind;
		char name[8];
	} wanted = {
		{sizeof(wanted), 1},
		{NLA_HDRLEN + sizeof("mirred"), TCA_ACT_KIND},
		"mirred",
	};
	char buffer[256];
	struct nlmsghdr *request = new_request(buffer, RTM_GETACTION, NLM_F_DUMP,
					       sizeof(struct tcamsg));
	int error;

	mnl_attr_put(request, TCA_ROOT_TAB, sizeof(wanted), &wanted);
	error = ask(socket, request, parse_actions, list);
	return error == -EOPNOTSUPP ? 0 : error;
}

/* Routes may name a nexthop by its number alone, and a nexthop names its interface. */
static int dump_routes(struct mnl_socket *socket, struct net_list *list)
{
	int error = dump(socket, RTM_GETROUTE, sizeof(struct rtgenmsg), parse_route, list);

	if (error || !list->has_unnamed_hops)
		return error;
	return dump(socket, RTM_GETNEXTHOP, sizeof(struct nhmsg), parse_nexthop, list);
}

bool netlink_was_interrupted(int error, unsigned int *times)
{
	return error == -EINTR && ++*times < INTERRUPTIONS_MAX;
}

static int read_once(struct net_list *list)
{
	struct mnl_socket *socket = netlink_open();
	int error;

	if (!socket)
		return -errno;
	error = dump_links(socket, parse_link, list) ?:
		dump(socket, RTM_GETADDR, sizeof(struct rtgenmsg), parse_address, list) ?:
		dump_routes(socket, list) ?:
		dump_queues(socket, list) ?: dump_actions(socket, list);
	mnl_socket_close(socket);
	return error;
}

int netlink_read(struct net_list *list)
{
	size_t before = list->count;
	unsigned int times = 0;
	int error;

	do {
		list->count = before;
		error = read_once(list);
	} while (netlink_was_interrupted(error, &times));
	return error;
}

struct mnl_socket *netlink_listen(void)
{
	static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				     RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
	struct mnl_socket *socket = netlink_open();
	int size = EVENTS_SIZE;

	if (socket)
		setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &size,
			   sizeof(size));
	for (size_t i = 0; socket && i < ARRAY_SIZE(groups); i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))) {
			mnl_socket_close(socket);
			socket = NULL;
		}
	}
	return socket;
}

static int parse_master(const struct nlmsghdr *header, void *list)
{
	const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
	char interface[IF_NAMESIZE], master[IF_NAMESIZE];
	struct attributes found = {0};
	int error = 0;

	mnl_attr_parse(header, sizeof(*message), keep_attribute, &found);
	if (name_of(list, (unsigned int)message->ifi_index, interface) &&
	    name_of(list, number_of(found.of[IFLA_MASTER]), master))
		error = net_add(list, interface, NET_UPPER, "%s", master);
	if (!error && name_of(list, (unsigned int)message->ifi_index, interface))
		error = add_lower(list, &found, interface);
	return result_of(error);
}

/* Of an interface that goes for ever the kernel names no namespace. */
static int parse_leaving(const struct nlmsghdr *header, void *list)
{
	const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
	struct attributes found = {0};
	char interface[IF_NAMESIZE];

	mnl_attr_parse(header, sizeof(*message), keep_attribute, &found);
	if (!found.of[IFLA_NEW_NETNSID] ||
	    !name_of(list, (unsigned int)message->ifi_index, interface))
		return MNL_CB_OK;
	return result_of(net_add(list, interface, NET_ELSEWHERE, "%s", interface));
}

static int parse_event(const struct nlmsghdr *header, void *list)
{
	switch (header->nlmsg_type) {
	case RTM_NEWADDR:
		return parse_address(header, list);
	case RTM_NEWROUTE:
		return parse_route(header, list);
	case RTM_NEWLINK:
		return parse_master(header, list);
	case RTM_DELLINK:
		return parse_leaving(header, list);
	default:
		return MNL_CB_OK;
	}
}

int netlink_read_events(struct mnl_socket *socket, struct net_list *list)
{
	char buffer[32768];
	ssize_t size;

	while ((size = recv(mnl_socket_get_fd(socket), buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
		if (!are_whole(buffer, (size_t)size))
			return -EPROTO;
		if (mnl_cb_run(buffer, (size_t)size, 0, 0, parse_event, list) < 0)
			return -errno;
	}
	return size < 0 && errno != EAGAIN ? -errno : 0;
}

/* Sockets. */

/* What stays of a connection that is closed is nobody's. */
static int parse_socket(const struct nlmsghdr *header, void *list)
{
	const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
	char interface[IF_NAMESIZE];

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)) ||
	    message->idiag_state == TCP_TIME_WAIT ||
	    !if_indextoname(message->id.idiag_if, interface))
		return MNL_CB_OK;
	return result_of(net_add(list, interface, NET_BOUND_SOCKET, "%s", ""));
}

static int dump_sockets(struct mnl_socket *socket, uint8_t family, uint8_t protocol,
			struct net_list *list)
{
	char buffer[256];
	struct nlmsghdr *request = new_request(buffer, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP,
					       sizeof(struct inet_diag_req_v2));
	struct inet_diag_req_v2 *wanted = mnl_nlmsg_get_payload(request);

	wanted->sdiag_family = family;
	wanted->sdiag_protocol = protocol;
	wanted->idiag_states = ~0U;
	return ask(socket, request, parse_socket, list);
}

int netlink_read_sockets(struct net_list *list)
{
	static const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_RAW};
	struct mnl_socket *socket = open_bus(NETLINK_SOCK_DIAG);
	int error = 0;

	if (!socket)
		return -errno;
	for (size_t i = 0; !error && i < ARRAY_SIZE(protocols); i++)
		error = dump_sockets(socket, AF_INET, protocols[i], list)
				?: dump_sockets(socket, AF_INET6, protocols[i], list);
	mnl_socket_close(socket);
	return error;
}

static int parse_xdp(const struct nlmsghdr *header, void *list)
{
	struct attributes found = {0};
	struct xdp_diag_info info;
	char interface[IF_NAMESIZE];

	mnl_attr_parse(header, sizeof(struct xdp_diag_msg), keep_attribute, &found);
	if (!found.of[XDP_DIAG_INFO] ||
	    mnl_attr_get_payload_len(found.of[XDP_DIAG_INFO]) < sizeof(info))
		return MNL_CB_OK;
	memcpy(&info, mnl_attr_get_payload(found.of[XDP_DIAG_INFO]), sizeof(info));
	if (!if_indextoname(info.ifindex, interface))
		return MNL_CB_OK;
	return result_of(net_add(list, interface, NET_XDP_SOCKET, "%s", ""));
}

int netlink_read_xdp(struct net_list *list)
{
	struct mnl_socket *socket = open_bus(NETLINK_SOCK_DIAG);
	char buffer[256];
	struct nlmsghdr *request = new_request(buffer, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP,
					       sizeof(struct xdp_diag_req));
	struct xdp_diag_req *wanted = mnl_nlmsg_get_payload(request);
	int error;

	if (!socket)
		return -errno;
	wanted->sdiag_family = AF_XDP;
	wanted->xdiag_show = XDP_SHOW_INFO;
	error = ask(socket, request, parse_xdp, list);
	mnl_socket_close(socket);
	return error;
}

/* Other network namespaces. */

struct elsewhere {
	struct usrpci_host *host;
	struct net_list *list;
	int own, other;   /* files of network namespaces */
	int own_id;       /* what the other calls ours; -1: nothing there is on ours */
	const char *path; /* of the other */
	int error;
};

static int parse_own_id(const struct nlmsghdr *header, void *data)
{
	struct elsewhere *elsewhere = data;
	struct attributes found = {0};

	mnl_attr_parse(header, sizeof(struct rtgenmsg), keep_attribute, &found);
	if (found.of[NETNSA_NSID])
		elsewhere->own_id = (int)number_of(found.of[NETNSA_NSID]);
	return MNL_CB_OK;
}

/*
 * The number of the interface that one stands on. For a VXLAN the kernel says its own number there,
 * and the one that it sends through among its options.
 */
static uint32_t lower_of(const struct attributes *link)
{
	struct attributes info = {0}, data = {0};

	if (link->of[IFLA_LINKINFO])
		mnl_attr_parse_nested(link->of[IFLA_LINKINFO], keep_attribute, &info);
	if (!info.of[IFLA_INFO_DATA] || !info.of[IFLA_INFO_KIND] ||
	    mnl_attr_validate(info.of[IFLA_INFO_KIND], MNL_TYPE_NUL_STRING) ||
	    strcmp(mnl_attr_get_str(info.of[IFLA_INFO_KIND]), "vxlan") != 0)
		return number_of(link->of[IFLA_LINK]);
	mnl_attr_parse_nested(info.of[IFLA_INFO_DATA], keep_attribute, &data);
	return number_of(data.of[IFLA_VXLAN_LINK]);
}

static const char *text_of(const struct nlattr *attribute)
{
	return attribute && !mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING)
		       ? mnl_attr_get_str(attribute)
		       : NULL;
}

/*
 * Finds interfaces of another namespace whose lower interface is in this one, and those of devices,
 * for which the kernel says so since Linux 5.14.
 */
static int parse_other(const struct nlmsghdr *header, void *data)
{
	struct elsewhere *elsewhere = data;
	struct attributes found = {0};
	char interface[IF_NAMESIZE];
	const char *name, *device;

	mnl_attr_parse(header, sizeof(struct ifinfomsg), keep_attribute, &found);
	name = text_of(found.of[IFLA_IFNAME]);
	device = text_of(found.of[IFLA_PARENT_DEV_NAME]);
	if (name && device)
		return result_of(net_add(elsewhere->list, device, NET_AWAY, "%s in %s", name,
					 elsewhere->path));
	if (!name || elsewhere->own_id < 0 || !found.of[IFLA_LINK_NETNSID] ||
	    (int)number_of(found.of[IFLA_LINK_NETNSID]) != elsewhere->own_id ||
	    !if_indextoname(lower_of(&found), interface))
		return MNL_CB_OK;
	return result_of(net_add(elsewhere->list, interface, NET_ELSEWHERE, "%s", name));
}

static int read_elsewhere(struct elsewhere *elsewhere, struct mnl_socket *socket)
{
	char buffer[256];
	struct nlmsghdr *request = new_request(buffer, RTM_GETNSID, 0, sizeof(struct rtgenmsg));
	int error;

	elsewhere->own_id = -1;
	mnl_attr_put_u32(request, NETNSA_FD, (uint32_t)elsewhere->own);
	error = ask(socket, request, parse_own_id, elsewhere);
	return error ?: dump_links(socket, parse_other, elsewhere);
}

/* A thread can go to another namespace alone, and needs no way back. */
static void *visit(void *data)
{
	struct elsewhere *elsewhere = data;
	struct mnl_socket *socket;

	if (setns(elsewhere->other, CLONE_NEWNET)) {
		elsewhere->error = -errno;
		return NULL;
	}
	socket = netlink_open();
	elsewhere->error = socket ? 0 : -errno;
	return socket;
}

static int visit_namespace(struct elsewhere *elsewhere)
{
	struct mnl_socket *socket;
	pthread_t thread;
	void *result;
	int error = pthread_create(&thread, NULL, visit, elsewhere);

	if (error)
		return -error;
	pthread_join(thread, &result);
	socket = result;
	if (!socket)
		return elsewhere->error;
	error = read_elsewhere(elsewhere, socket);
	mnl_socket_close(socket);
	return error;
}

#define NAMESPACES_MAX 256

struct namespaces {
	ino_t known[NAMESPACES_MAX];
	size_t count;
};

static bool is_known(struct namespaces *namespaces, ino_t number)
{
	for (size_t i = 0; i < namespaces->count; i++)
		if (namespaces->known[i] == number)
			return true;
	if (namespaces->count < NAMESPACES_MAX)
		namespaces->known[namespaces->count++] = number;
	return false;
}

/*
 * Opens the file of a namespace that is not known yet. Returns its descriptor; negative: no such.
 */
static int open_namespace(struct usrpci_host *host, struct namespaces *namespaces, const char *path)
{
	struct stat status;
	int fd;

	if (stat(path, &status))
		return note_unread(host->ctx, path, -errno);
	if (!S_ISREG(status.st_mode) || is_known(namespaces, status.st_ino))
		return -EEXIST;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? note_unread(host->ctx, path, -errno) : fd;
}

static int visit_path(struct elsewhere *elsewhere, struct namespaces *namespaces, const char *path)
{
	size_t before = elsewhere->list->count;
	unsigned int times = 0;
	int error;

	elsewhere->other = open_namespace(elsewhere->host, namespaces, path);
	if (elsewhere->other < 0)
		return 0;
	elsewhere->path = path;
	do {
		elsewhere->list->count = before;
		error = visit_namespace(elsewhere);
	} while (netlink_was_interrupted(error, &times));
	close(elsewhere->other);
	return error;
}

/* A namespace that ip-netns(8) or a container has given a name. */
static int visit_directory(struct elsewhere *elsewhere, struct namespaces *namespaces,
			   const char *directory)
{
	DIR *entries = opendir(directory);
	struct dirent *entry;
	char path[280];
	int error = 0;

	while (errno = 0, entries && !error && (entry = readdir(entries))) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		error = visit_path(elsewhere, namespaces, path);
	}
	if (!error)
		note_unread(elsewhere->host->ctx, directory, -errno);
	if (entries)
		closedir(entries);
	return error;
}

struct mounted {
	struct elsewhere *elsewhere;
	struct namespaces *namespaces;
	const char *pid;
};

static int visit_place(void *data, const char *place)
{
	const struct mounted *mounted = data;
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "/proc/%s/root%s", mounted->pid, place);
	return visit_path(mounted->elsewhere, mounted->namespaces, path);
}

/* A name that stands anywhere. */
static int visit_mounts(struct elsewhere *elsewhere, struct namespaces *namespaces, const char *pid)
{
	struct mounted mounted = {elsewhere, namespaces, pid};

	return mounts_each_namespace(elsewhere->host, pid, "net", visit_place, &mounted);
}

/* Those that processes are in, or keep by a descriptor. */
static int visit_files(struct elsewhere *elsewhere, struct namespaces *namespaces,
		       const struct open_files *files)
{
	char path[64];
	int error = 0;

	for (size_t i = 0; !error && i < files->namespace_count; i++) {
		snprintf(path, sizeof(path), "/proc/%s", files->namespaces[i].file);
		error = visit_path(elsewhere, namespaces, path);
	}
	return error;
}

int netlink_read_namespaces(struct usrpci_host *host, struct net_list *list)
{
	struct elsewhere elsewhere = {.host = host, .list = list};
	struct namespaces namespaces = {0};
	const struct open_files *files;
	struct open_files own_files = {0};
	struct stat own;
	int error;

	elsewhere.own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (elsewhere.own < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!fstat(elsewhere.own, &own))
		is_known(&namespaces, own.st_ino);
	/* A name says more than a process that is in it. */
	error = visit_directory(&elsewhere, &namespaces, "/run/netns") ?:
		visit_directory(&elsewhere, &namespaces, "/run/docker/netns") ?:
		look_files(host, &own_files, &files) ?:
		visit_files(&elsewhere, &namespaces, files) ?:
		visit_mounts(&elsewhere, &namespaces, "self") ?:
		visit_mounts(&elsewhere, &namespaces, "1");
	open_files_free(&own_files);
	close(elsewhere.own);
	return error;
}
