// SPDX-License-Identifier: BSD-2-Clause
/*
 * Moves an interface's place to another interface. Addresses and routes are read as messages of
 * rtnetlink(7) and sent back with another interface in them, as ip-address(8) and ip-route(8) save
 * and restore them, so that nothing that the kernel knows of them is lost.
 *
 * It does not move rules, neighbours, qdiscs, objects of ip-nexthop(8), whose routes become usual
 * ones, and what the kernel makes by itself for each address.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "guard/netlink.h"
#include "net/net.h"
#include "shell.h"

#define LOG_SUBJECT "net"
#include "log.h"

#define ROUTE_PASSES 4 /* how often routes are tried; a route may need another one first */
#define TEXT_SIZE    320
#define LINK_SIZE    512 /* an alias has 256 bytes at most */
#define MORE_SIZE    16  /* room behind a message for one more attribute */

/*
 * Asks for all objects of a type, with a header of so many bytes, and calls a function for each
 * message of the answer.
 */
static int dump_by(size_t header, uint16_t type, mnl_cb_t parse, void *data)
{
	char buffer[32768] __attribute__((aligned(8))) = {0};
	struct mnl_socket *socket = netlink_open();
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	ssize_t size = -1;
	int state = -1;

	if (!socket)
		return -errno;
	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = 1;
	mnl_nlmsg_put_extra_header(request, header);
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) >= 0)
		state = 1;
	while (state > 0) {
		size = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		state = size > 0 ? mnl_cb_run(buffer, (size_t)size, 1,
					      mnl_socket_get_portid(socket), parse, data)
				 : -1;
	}
	state = state < 0 ? -(errno ? errno : EPROTO) : 0;
	mnl_socket_close(socket);
	return state;
}

static int dump(uint16_t type, mnl_cb_t parse, void *data)
{
	return dump_by(sizeof(struct ifinfomsg), type, parse, data);
}

/* As dump(), for a function that may be called for the same message again. */
static int dump_whole(uint16_t type, mnl_cb_t parse, void *data)
{
	unsigned int times = 0;
	int error;

	do
		error = dump(type, parse, data);
	while (netlink_was_interrupted(error, &times));
	return error;
}

struct link_search {
	struct net_place *place;
	const char *name;
	bool found, is_kept;
};

/* Of other interfaces more is lost with their driver, such as the bit rate of a CAN bus. */
static bool has_kind(const struct ifinfomsg *message, const struct nlattr *mac)
{
	unsigned int length = mac ? mnl_attr_get_payload_len(mac) : 0;

	return (message->ifi_type == ARPHRD_ETHER && length == ETH_ALEN) ||
	       (message->ifi_type == ARPHRD_INFINIBAND && length == INFINIBAND_ALEN);
}

static int parse_link(const struct nlmsghdr *header, void *data)
{
	const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
	struct link_search *search = data;
	const struct nlattr *attribute, *mac = NULL, *mtu = NULL;
	bool is_it = false;

	mnl_attr_for_each(attribute, header, sizeof(*message))
	{
		if (mnl_attr_get_type(attribute) == IFLA_IFNAME)
			is_it = !strncmp(mnl_attr_get_str(attribute), search->name,
					 mnl_attr_get_payload_len(attribute));
		if (mnl_attr_get_type(attribute) == IFLA_ADDRESS)
			mac = attribute;
		if (mnl_attr_get_type(attribute) == IFLA_MTU)
			mtu = attribute;
	}
	if (!is_it)
		return MNL_CB_OK;
	search->found = true;
	search->is_kept = has_kind(message, mac) && mtu &&
			  mnl_attr_get_payload_len(mtu) == sizeof(uint32_t);
	if (!search->is_kept)
		return MNL_CB_OK;
	search->place->mac_length = mnl_attr_get_payload_len(mac);
	memcpy(search->place->mac, mnl_attr_get_payload(mac), search->place->mac_length);
	search->place->mtu = mnl_attr_get_u32(mtu);
	search->place->index = message->ifi_index;
	search->place->up = message->ifi_flags & IFF_UP;
	return MNL_CB_OK;
}

static int keep(struct net_place *place, const struct nlmsghdr *header)
{
	struct nlmsghdr **longer = array_grow(place->messages, place->count, 1,
					      sizeof(struct nlmsghdr *));
	struct nlmsghdr *copy = calloc(1, header->nlmsg_len + MORE_SIZE);

	if (longer)
		place->messages = longer;
	if (!longer || !copy) {
		free(copy);
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	memcpy(copy, header, header->nlmsg_len);
	longer[place->count++] = copy;
	return MNL_CB_OK;
}

static const struct nlattr *find_attribute(const struct nlmsghdr *header, size_t offset,
					   uint16_t type)
{
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, header, (unsigned int)offset)
	{
		if (mnl_attr_get_type(attribute) == type)
			return attribute;
	}
	return NULL;
}

/* Begins a request about one link; the caller adds attributes. */
static struct nlmsghdr *new_link(char buffer[LINK_SIZE], int index)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(memset(buffer, 0, LINK_SIZE));
	struct ifinfomsg *message = mnl_nlmsg_put_extra_header(request, sizeof(*message));

	request->nlmsg_type = RTM_NEWLINK;
	message->ifi_index = index;
	return request;
}

/* What a link has besides its MAC address and MTU, and what a user has switched on. */
#define MODES (IFF_PROMISC | IFF_ALLMULTI)

static int parse_details(const struct nlmsghdr *header, void *data)
{
	const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
	char buffer[LINK_SIZE] __attribute__((aligned(8)));
	struct net_place *place = data;
	const struct nlattr *attribute;
	struct nlmsghdr *details;

	if (message->ifi_index != place->index)
		return MNL_CB_OK;
	details = new_link(buffer, 0);
	((struct ifinfomsg *)mnl_nlmsg_get_payload(details))->ifi_flags = message->ifi_flags &
									  MODES;
	((struct ifinfomsg *)mnl_nlmsg_get_payload(details))->ifi_change = MODES;
	mnl_attr_for_each(attribute, header, sizeof(*message))
	{
		uint16_t type = mnl_attr_get_type(attribute);
		unsigned int size = mnl_attr_get_payload_len(attribute);

		if (size <= LINK_SIZE / 2 &&
		    (type == IFLA_TXQLEN || type == IFLA_GROUP || type == IFLA_IFALIAS))
			mnl_attr_put(details, type, size, mnl_attr_get_payload(attribute));
	}
	return keep(place, details);
}

/* Whether it is fe80:: with the MAC address in it (RFC 4291, appendix A). */
static bool is_made_of_mac(const struct net_place *place, const struct nlattr *address)
{
	const uint8_t *mac = place->mac;
	const uint8_t made[16] = {0xfe, 0x80,        [8] = mac[0] ^ 2, mac[1], mac[2],
				  0xff, [12] = 0xfe, mac[3],           mac[4], mac[5]};

	return address && mnl_attr_get_payload_len(address) == sizeof(made) &&
	       !memcmp(mnl_attr_get_payload(address), made, sizeof(made));
}

/* The kernel gives a link-local address to each interface that is up. */
static int parse_address(const struct nlmsghdr *header, void *data)
{
	const struct ifaddrmsg *message = mnl_nlmsg_get_payload(header);
	const struct nlattr *address = find_attribute(header, sizeof(*message), IFA_ADDRESS);
	struct net_place *place = data;

	if ((int)message->ifa_index != place->index ||
	    (message->ifa_family == AF_INET6 && is_made_of_mac(place, address)))
		return MNL_CB_OK;
	return keep(place, header);
}

/*
 * Looks for the index of an interface in a route, which may have several next hops, and replaces it
 * by "instead". Returns whether it was found.
 */
static bool route_leads(struct nlmsghdr *header, int index, int instead)
{
	const struct nlattr *out = find_attribute(header, sizeof(struct rtmsg), RTA_OIF);
	const struct nlattr *hops = find_attribute(header, sizeof(struct rtmsg), RTA_MULTIPATH);
	struct rtnexthop *hop = hops ? mnl_attr_get_payload(hops) : NULL;
	int left = hops ? mnl_attr_get_payload_len(hops) : 0;
	bool leads = false;

	if (out && mnl_attr_get_payload_len(out) == sizeof(uint32_t) &&
	    (int)mnl_attr_get_u32(out) == index) {
		*(uint32_t *)mnl_attr_get_payload(out) = (uint32_t)instead;
		leads = true;
	}
	while (hop && RTNH_OK(hop, left)) {
		if (hop->rtnh_ifindex == index) {
			hop->rtnh_ifindex = instead;
			hop->rtnh_flags &= RTNH_F_ONLINK;
			leads = true;
		}
		left -= RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	return leads;
}

/* The kernel deletes a route of any interface together with the IPv4 address that it sends from. */
static bool route_comes_from(const struct nlmsghdr *header, const struct net_place *place)
{
	const struct nlattr *source = find_attribute(header, sizeof(struct rtmsg), RTA_PREFSRC);

	for (size_t i = 0; source && i < place->count; i++) {
		const struct nlmsghdr *message = place->messages[i];
		const struct nlattr *local;

		if (message->nlmsg_type != RTM_NEWADDR)
			continue;
		local = find_attribute(message, sizeof(struct ifaddrmsg), IFA_LOCAL);
		if (local && mnl_attr_get_payload_len(local) == sizeof(struct in_addr) &&
		    mnl_attr_get_payload_len(source) == sizeof(struct in_addr) &&
		    mnl_attr_get_u32(local) == mnl_attr_get_u32(source))
			return true;
	}
	return false;
}

/* What is kept says where the route leads, not what the link's state or its nexthop object is. */
static void keep_way(struct nlmsghdr *header)
{
	struct rtmsg *message = mnl_nlmsg_get_payload(header);
	const struct nlattr *object = find_attribute(header, sizeof(*message), RTA_NH_ID);

	message->rtm_flags &= RTNH_F_ONLINK;
	if (object)
		((struct nlattr *)object)->nla_type = RTA_UNSPEC;
}

/* The kernel reports the lifetime of a route in one attribute and accepts it in another one. */
static void keep_lifetime(struct nlmsghdr *header)
{
	const struct nlattr *info = find_attribute(header, sizeof(struct rtmsg), RTA_CACHEINFO);
	struct rta_cacheinfo cache;
	long ticks = sysconf(_SC_CLK_TCK);

	if (!info || mnl_attr_get_payload_len(info) < sizeof(cache) || ticks <= 0)
		return;
	memcpy(&cache, mnl_attr_get_payload(info), sizeof(cache));
	if (cache.rta_expires > 0)
		mnl_attr_put_u32(header, RTA_EXPIRES, (uint32_t)(cache.rta_expires / ticks) + 1);
}

/*
 * Skips routes that the kernel makes for addresses or learns, because it makes them again itself.
 */
static int parse_route(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *message = mnl_nlmsg_get_payload(header);
	struct net_place *place = data;
	struct nlmsghdr *kept;
	int state;

	if (message->rtm_protocol == RTPROT_KERNEL || message->rtm_protocol == RTPROT_RA ||
	    message->rtm_flags & RTM_F_CLONED || message->rtm_type != RTN_UNICAST ||
	    (message->rtm_family != AF_INET && message->rtm_family != AF_INET6))
		return MNL_CB_OK;
	state = keep(place, header);
	if (state != MNL_CB_OK)
		return state;
	kept = place->messages[place->count - 1];
	if (!route_leads(kept, place->index, place->index) && !route_comes_from(kept, place)) {
		free(kept);
		place->count--;
		return MNL_CB_OK;
	}
	keep_way(kept);
	keep_lifetime(kept);
	return MNL_CB_OK;
}

static void free_messages(struct net_place *place)
{
	while (place->count > 0)
		free(place->messages[--place->count]);
}

void net_place_free(struct net_place *place)
{
	free_messages(place);
	free(place->messages);
	free(place->settings);
	memset(place, 0, sizeof(*place));
}

/* A driver starts in datagram mode, which has not room for the MTU of the other one. */
static int check_mode(struct usrpci_host *host, const char *name)
{
	char mode[16], cure[64];

	if (file_read(host->ctx, mode, sizeof(mode), "/sys/class/net/%s/mode", name) <= 0 ||
	    strcmp(mode, "connected") != 0)
		return 0;
	snprintf(cure, sizeof(cure), "echo datagram >/sys/class/net/%s/mode", name);
	return refuse(host->ctx, -EOPNOTSUPP, name, cure,
		      "it is in connected mode, in which it would not come back");
}

int net_place_read_link(const char *name, struct net_place *place)
{
	struct link_search search = {.place = place, .name = name};
	int error;

	memset(place, 0, sizeof(*place));
	snprintf(place->name, sizeof(place->name), "%s", name);
	error = dump_whole(RTM_GETLINK, parse_link, &search);
	if (!error && !search.found)
		return -ENODEV;
	return error ?: search.is_kept ? 0 : -EOPNOTSUPP;
}

static int read_messages(struct net_place *place)
{
	unsigned int times = 0;
	int error;

	do {
		free_messages(place);
		error = dump(RTM_GETLINK, parse_details, place)
				?: dump(RTM_GETADDR, parse_address, place)
				?: dump(RTM_GETROUTE, parse_route, place);
	} while (netlink_was_interrupted(error, &times));
	return error;
}

struct nexthop_search {
	int index;
	uint32_t id;
};

static int parse_nexthop(const struct nlmsghdr *header, void *data)
{
	const struct nlattr *out = find_attribute(header, sizeof(struct nhmsg), NHA_OIF);
	const struct nlattr *id = find_attribute(header, sizeof(struct nhmsg), NHA_ID);
	struct nexthop_search *search = data;

	if (out && id && (int)mnl_attr_get_u32(out) == search->index)
		search->id = mnl_attr_get_u32(id);
	return MNL_CB_OK;
}

uint32_t net_place_nexthop(const struct net_place *place)
{
	struct nexthop_search search = {.index = place->index};

	return dump_by(sizeof(struct nhmsg), RTM_GETNEXTHOP, parse_nexthop, &search) ? 0
										     : search.id;
}

int net_place_read(struct usrpci_host *host, const char *name, struct net_place *place)
{
	int error = net_place_read_link(name, place);

	if (error == -ENODEV)
		return refuse(host->ctx, error, name, NULL, "there is no such interface");
	if (error == -EOPNOTSUPP)
		return refuse(host->ctx, error, name, NULL,
			      "it is neither an Ethernet nor an InfiniBand interface");
	if (!error && place->mac_length == INFINIBAND_ALEN && check_mode(host, name))
		return -EOPNOTSUPP;
	if (!error)
		error = read_messages(place) ?: net_settings_read(host, place);
	if (!error)
		return 0;
	net_place_free(place);
	return report(host->ctx, error, name, NULL,
		      "cannot read its addresses, routes and settings");
}

/* Writes a target as "10.0.2.15/24", or "default" if there is none. */
static void format_target(char *text, size_t size, int family, const struct nlattr *attribute,
			  unsigned int length)
{
	char address[INET6_ADDRSTRLEN] = "default";

	if (attribute)
		inet_ntop(family, mnl_attr_get_payload(attribute), address, sizeof(address));
	if (attribute)
		snprintf(text, size, "%s/%u", address, length);
	else
		snprintf(text, size, "%s", address);
}

static void format_address(char text[TEXT_SIZE], const char *verb, const struct nlmsghdr *header,
			   const char *name)
{
	const struct ifaddrmsg *message = mnl_nlmsg_get_payload(header);
	const struct nlattr *address = find_attribute(header, sizeof(*message), IFA_LOCAL);
	char target[64], word[INTERFACE_WORD];

	if (!address)
		address = find_attribute(header, sizeof(*message), IFA_ADDRESS);
	format_target(target, sizeof(target), message->ifa_family, address, message->ifa_prefixlen);
	snprintf(text, TEXT_SIZE, "ip address %s %s dev %s", verb, target,
		 shell_word(name, word, sizeof(word)));
}

/* A gateway of an IPv4 route can have an IPv6 address (RTA_VIA). */
static void print_gateway(FILE *out, int family, const struct nlattr *gateway)
{
	char address[INET6_ADDRSTRLEN] = "";
	const struct rtvia *via;

	if (!gateway)
		return;
	if (mnl_attr_get_type(gateway) == RTA_GATEWAY) {
		inet_ntop(family, mnl_attr_get_payload(gateway), address, sizeof(address));
		fprintf(out, " via %s", address);
		return;
	}
	via = mnl_attr_get_payload(gateway);
	inet_ntop(via->rtvia_family, via->rtvia_addr, address, sizeof(address));
	fprintf(out, " via %s %s", via->rtvia_family == AF_INET6 ? "inet6" : "inet", address);
}

static const struct nlattr *gateway_of(const struct nlmsghdr *header)
{
	return find_attribute(header, sizeof(struct rtmsg), RTA_GATEWAY)
		       ?: find_attribute(header, sizeof(struct rtmsg), RTA_VIA);
}

static const struct nlattr *gateway_of_hop(const struct rtnexthop *hop)
{
	const char *end = (const char *)hop + hop->rtnh_len;
	const struct nlattr *attribute = (const struct nlattr *)RTNH_DATA(hop);

	while (mnl_attr_ok(attribute, (int)(end - (const char *)attribute))) {
		uint16_t type = mnl_attr_get_type(attribute);

		if (type == RTA_GATEWAY || type == RTA_VIA)
			return attribute;
		attribute = mnl_attr_next(attribute);
	}
	return NULL;
}

/* Hops by other interfaces keep theirs. A dry run has none yet that takes the place. */
static void print_hops(FILE *out, const struct nlmsghdr *header, const char *name, int index)
{
	const struct nlattr *hops = find_attribute(header, sizeof(struct rtmsg), RTA_MULTIPATH);
	const struct rtmsg *message = mnl_nlmsg_get_payload(header);
	struct rtnexthop *hop = hops ? mnl_attr_get_payload(hops) : NULL;
	int left = hops ? mnl_attr_get_payload_len(hops) : 0;

	for (; hop && RTNH_OK(hop, left); left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		char other[IF_NAMESIZE], word[INTERFACE_WORD];
		bool ours = hop->rtnh_ifindex == index ||
			    !if_indextoname((unsigned int)hop->rtnh_ifindex, other);

		fputs(" nexthop", out);
		print_gateway(out, message->rtm_family, gateway_of_hop(hop));
		fprintf(out, " dev %s weight %u%s",
			shell_word(ours ? name : other, word, sizeof(word)), hop->rtnh_hops + 1,
			hop->rtnh_flags & RTNH_F_ONLINK ? " onlink" : "");
	}
}

/* Where a route leads: by the interface whose place moves, or by another one. */
static const char *name_of_way(const struct nlmsghdr *header, const char *name, int index,
			       char other[IF_NAMESIZE])
{
	const struct nlattr *out = find_attribute(header, sizeof(struct rtmsg), RTA_OIF);
	unsigned int leads = out ? mnl_attr_get_u32(out) : 0;

	return leads == (unsigned int)index || !if_indextoname(leads, other) ? name : other;
}

static void print_route(FILE *out, const struct nlmsghdr *header, const char *name, int index)
{
	const struct rtmsg *message = mnl_nlmsg_get_payload(header);
	const struct nlattr *source = find_attribute(header, sizeof(*message), RTA_PREFSRC);
	const struct nlattr *table = find_attribute(header, sizeof(*message), RTA_TABLE);
	const struct nlattr *metric = find_attribute(header, sizeof(*message), RTA_PRIORITY);
	const struct nlattr *expires = find_attribute(header, sizeof(*message), RTA_EXPIRES);
	char target[64], src[INET6_ADDRSTRLEN], word[INTERFACE_WORD], other[IF_NAMESIZE];

	format_target(target, sizeof(target), message->rtm_family,
		      find_attribute(header, sizeof(*message), RTA_DST), message->rtm_dst_len);
	fprintf(out, "ip%s route replace %s", message->rtm_family == AF_INET6 ? " -6" : "", target);
	if (!find_attribute(header, sizeof(*message), RTA_MULTIPATH)) {
		print_gateway(out, message->rtm_family, gateway_of(header));
		fprintf(out, " dev %s%s",
			shell_word(name_of_way(header, name, index, other), word, sizeof(word)),
			message->rtm_flags & RTNH_F_ONLINK ? " onlink" : "");
	}
	fprintf(out, " table %u", table ? mnl_attr_get_u32(table) : message->rtm_table);
	if (source &&
	    inet_ntop(message->rtm_family, mnl_attr_get_payload(source), src, sizeof(src)))
		fprintf(out, " src %s", src);
	if (metric)
		fprintf(out, " metric %u", mnl_attr_get_u32(metric));
	if (expires)
		fprintf(out, " expires %u", mnl_attr_get_u32(expires));
	print_hops(out, header, name, index);
}

static int set_up(struct usrpci_host *host, const char *why, const char *name, int index, bool up)
{
	char buffer[LINK_SIZE] __attribute__((aligned(8))), text[TEXT_SIZE], word[INTERFACE_WORD];
	struct nlmsghdr *request = new_link(buffer, index);
	struct ifinfomsg *message = mnl_nlmsg_get_payload(request);

	message->ifi_change = IFF_UP;
	message->ifi_flags = up ? IFF_UP : 0;
	snprintf(text, sizeof(text), "ip link set %s %s", shell_word(name, word, sizeof(word)),
		 up ? "up" : "down");
	return apply_netlink(host, why, text, request);
}

static int set_mac_and_mtu(struct usrpci_host *host, const struct net_place *place, int index)
{
	char buffer[LINK_SIZE] __attribute__((aligned(8))), text[TEXT_SIZE], mac[NET_MAC_TEXT];
	char word[INTERFACE_WORD];
	struct nlmsghdr *request = new_link(buffer, index);

	mnl_attr_put(request, IFLA_ADDRESS, place->mac_length, place->mac);
	mnl_attr_put_u32(request, IFLA_MTU, place->mtu);
	snprintf(text, sizeof(text), "ip link set %s address %s mtu %u",
		 shell_word(place->name, word, sizeof(word)), net_mac_format(place, mac),
		 place->mtu);
	return apply_netlink(host, "as the interface had them", text, request);
}

static void print_details(FILE *out, const struct nlmsghdr *header, const char *name)
{
	const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
	const struct nlattr *length = find_attribute(header, sizeof(*message), IFLA_TXQLEN);
	const struct nlattr *group = find_attribute(header, sizeof(*message), IFLA_GROUP);
	const struct nlattr *alias = find_attribute(header, sizeof(*message), IFLA_IFALIAS);
	char word[4 * LINK_SIZE];

	fprintf(out, "ip link set %s", shell_word(name, word, sizeof(word)));
	if (length)
		fprintf(out, " txqueuelen %u", mnl_attr_get_u32(length));
	if (group)
		fprintf(out, " group %u", mnl_attr_get_u32(group));
	if (alias)
		fprintf(out, " alias %s", shell_word(mnl_attr_get_str(alias), word, sizeof(word)));
	if (message->ifi_flags & IFF_PROMISC)
		fprintf(out, " promisc on");
	if (message->ifi_flags & IFF_ALLMULTI)
		fprintf(out, " allmulticast on");
}

/* The interface serves without them, so what it does not take is told and is no error. */
static void give_details(struct usrpci_host *host, const struct net_place *place, int index)
{
	for (size_t i = 0; i < place->count; i++) {
		struct nlmsghdr *message = place->messages[i];
		AUTO_FREE char *text = NULL;
		size_t size = 0;
		FILE *out;
		int error;

		if (message->nlmsg_type != RTM_NEWLINK)
			continue;
		((struct ifinfomsg *)mnl_nlmsg_get_payload(message))->ifi_index = index;
		out = open_memstream(&text, &size);
		if (out)
			print_details(out, message, place->name);
		if (!out || fclose(out) || !text)
			return;
		error = apply_netlink(host, "as the interface had them", text, message);
		if (error)
			log_warning(host->ctx, place->name, NULL,
				    "its queue's length, group, alias or modes are not taken: %s",
				    strerror(-error));
	}
}

static int first_of(int first, int error)
{
	return first ? first : error;
}

int net_place_leave(struct usrpci_host *host, const struct net_place *place, char name[IF_NAMESIZE])
{
	int error = set_up(host, "its place is another's now", place->name, place->index, false);

	for (size_t i = 0; i < place->count && !error; i++) {
		struct nlmsghdr *message = place->messages[i];
		char text[TEXT_SIZE];

		if (message->nlmsg_type != RTM_NEWADDR)
			continue;
		format_address(text, "del", message, place->name);
		message->nlmsg_type = RTM_DELADDR;
		message->nlmsg_flags = 0;
		error = apply_netlink(host, "it moves", text, message);
		message->nlmsg_type = RTM_NEWADDR;
		/* The kernel removes IPv6 addresses itself when the interface goes down. */
		error = error == -EADDRNOTAVAIL ? 0 : error;
	}
	snprintf(name, IF_NAMESIZE, "pci%d", place->index);
	if (!error)
		error = apply_rename(host, "its name moves", place->name, name);
	return error ? report(host->ctx, error, place->name, NULL, "cannot leave its place") : 0;
}

/* The address is already ours, so duplicate address detection is not needed. */
static int give_address(struct usrpci_host *host, struct nlmsghdr *message, const char *name,
			int index)
{
	struct ifaddrmsg *about = mnl_nlmsg_get_payload(message);
	const struct nlattr *flags = find_attribute(message, sizeof(*about), IFA_FLAGS);
	char text[TEXT_SIZE];

	about->ifa_index = (uint32_t)index;
	if (about->ifa_family == AF_INET6) {
		about->ifa_flags = (uint8_t)((about->ifa_flags & ~IFA_F_TENTATIVE) | IFA_F_NODAD);
		if (flags)
			*(uint32_t *)mnl_attr_get_payload(flags) = (mnl_attr_get_u32(flags) &
								    ~(uint32_t)IFA_F_TENTATIVE) |
								   IFA_F_NODAD;
	}
	message->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	format_address(text, "replace", message, name);
	return apply_netlink(host, "it moves", text, message);
}

static int give_addresses_of(struct usrpci_host *host, const struct net_place *place, int index,
			     int family)
{
	int first = 0;

	for (size_t i = 0; i < place->count; i++) {
		struct nlmsghdr *message =
			place->messages[family == AF_INET6 ? place->count - 1 - i : i];
		const struct ifaddrmsg *about = mnl_nlmsg_get_payload(message);
		int error;

		if (message->nlmsg_type != RTM_NEWADDR || about->ifa_family != family)
			continue;
		error = give_address(host, message, place->name, index);
		if (error)
			report(host->ctx, error, place->name, NULL, "an address cannot be moved");
		first = first_of(first, error);
	}
	return first;
}

/* The kernel prefers, and tells first, the first one of IPv4 and the last one of IPv6. */
static int give_addresses(struct usrpci_host *host, const struct net_place *place, int index)
{
	int error = give_addresses_of(host, place, index, AF_INET);

	return first_of(error, give_addresses_of(host, place, index, AF_INET6));
}

static int give_route(struct usrpci_host *host, struct nlmsghdr *message, const char *name,
		      int index)
{
	AUTO_FREE char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out)
		print_route(out, message, name, index);
	if (!out || fclose(out) || !text)
		return -ENOMEM;
	message->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	return apply_netlink(host, "it moves", text, message);
}

/* A route through a gateway needs the route to the gateway first, but may come before it. */
static int give_routes(struct usrpci_host *host, const struct net_place *place, int index)
{
	bool *given = calloc(place->count + 1, sizeof(*given));
	int error = given ? 0 : -ENOMEM;

	for (unsigned int pass = 0; given && pass < ROUTE_PASSES; pass++) {
		error = 0;
		for (size_t i = 0; i < place->count; i++) {
			struct nlmsghdr *message = place->messages[i];
			int failed;

			if (message->nlmsg_type != RTM_NEWROUTE || given[i])
				continue;
			route_leads(message, place->index, index);
			failed = give_route(host, message, place->name, index);
			given[i] = !failed;
			error = first_of(error, failed);
		}
		if (!error)
			break;
	}
	free(given);
	return error ? report(host->ctx, error, place->name, NULL, "a route cannot be moved") : 0;
}

static bool has_routes(const struct net_place *place)
{
	for (size_t i = 0; i < place->count; i++)
		if (place->messages[i]->nlmsg_type == RTM_NEWROUTE)
			return true;
	return false;
}

int net_place_take(struct usrpci_host *host, struct net_place *place, const char *name)
{
	int index = (int)if_nametoindex(name), first, error;
	bool up = place->up || has_routes(place);

	if (!index && !host->options.dry_run)
		return report(host->ctx, -ENODEV, name, NULL, "the interface is not there");
	first = set_up(host, "while it changes, the interface is down", name, index, false);
	if (strcmp(name, place->name))
		first = first_of(first, apply_rename(host, "its new place", name, place->name));
	if (first)
		return report(host->ctx, first, name, NULL, "cannot be called %s", place->name);
	error = set_mac_and_mtu(host, place, index);
	if (error)
		report(host->ctx, error, place->name, NULL, "its MAC address or MTU is not taken");
	first = error;
	give_details(host, place, index);
	net_settings_give(host, place);
	if (up)
		first = first_of(
			first,
			set_up(host, place->up ? "as the interface was" : "its routes can be set",
			       place->name, index, true));
	first = first_of(first, give_addresses(host, place, index));
	first = first_of(first, give_routes(host, place, index));
	if (up && !place->up)
		first = first_of(first,
				 set_up(host, "as the interface was", place->name, index, false));
	if (index)
		place->index = index; /* where its routes lead now */
	return first;
}

int net_delete_tap(struct usrpci_host *host, const char *name)
{
	char buffer[LINK_SIZE] __attribute__((aligned(8))), text[TEXT_SIZE], word[INTERFACE_WORD];
	struct nlmsghdr *request = new_link(buffer, (int)if_nametoindex(name));
	int error;

	request->nlmsg_type = RTM_DELLINK;
	snprintf(text, sizeof(text), "ip link del %s", shell_word(name, word, sizeof(word)));
	error = apply_netlink(host, "it has the place of the interface", text, request);
	/* Whoever had its last queue has just ended. */
	return error && error != -ENODEV
		       ? report(host->ctx, error, name, NULL, "the TAP cannot be deleted")
		       : 0;
}

struct tap_search {
	const char *name;
	bool found;
};

static int parse_kind(const struct nlmsghdr *header, void *data)
{
	const struct nlattr *name = find_attribute(header, sizeof(struct ifinfomsg), IFLA_IFNAME);
	const struct nlattr *info = find_attribute(header, sizeof(struct ifinfomsg), IFLA_LINKINFO);
	struct tap_search *search = data;
	const struct nlattr *kind;

	if (!name || !info || strcmp(mnl_attr_get_str(name), search->name) != 0)
		return MNL_CB_OK;
	mnl_attr_for_each_nested(kind, info)
	{
		if (mnl_attr_get_type(kind) == IFLA_INFO_KIND)
			search->found = !strcmp(mnl_attr_get_str(kind), "tun");
	}
	return MNL_CB_OK;
}

int net_is_tap(struct usrpci_host *host, const char *name)
{
	struct tap_search search = {.name = name};
	int error = dump_whole(RTM_GETLINK, parse_kind, &search);

	return error ? report(host->ctx, error, name, NULL, "its kind cannot be found out")
		     : search.found;
}

bool net_tap_find(struct usrpci_host *host, const struct net_place *place, char name[IF_NAMESIZE])
{
	return if_indextoname((unsigned int)place->index, name) && net_is_tap(host, name) > 0;
}
