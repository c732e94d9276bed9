// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's network part: the interfaces of a device, and those above them (bridges, bonds,
 * teams, VLANs, macvlans, tunnels), with an address, a route, or others who take frames. That
 * covers root file systems over NFS or iSCSI, which reach their server by an address.
 */

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "guard/guard.h"
#include "guard/hold.h"
#include "kernel.h"
#include "guard/look.h"
#include "shell.h"

/*
 * Stacks of interfaces are rarely deeper than three. The kernel allows no loop, but a forged /sys
 * (--root) could contain one.
 */
#define DEPTH_MAX 8

#define TAKER_SIZE 96

struct net_table {
	struct net_item *items;
	int count;
};

static int guard_interface(struct guard *guard, const struct leaf *leaf, const char *interface,
			   const struct net_table *table, unsigned int depth);

/*
 * A bridge or bond lets its members go; a VLAN or macvlan must be deleted. A card above another one
 * (hv_netvsc, net_failover) goes on by itself when that is gone. A part of teql0 is one by its
 * queue, and sysfs does not show it.
 */
static int cure_upper(struct guard *guard, const char *interface, const char *upper)
{
	const struct usrpci_ctx *ctx = guard->host->ctx;
	char master[NAME_SIZE], word[INTERFACE_WORD];

	shell_word(interface, word, sizeof(word));
	if (!strcmp(upper, "ovs-system"))
		return use_cure(guard, "ovs-vsctl del-port %s", word);
	if (!strncmp(upper, "teql", strlen("teql")) &&
	    !file_exists(ctx, "/sys/class/net/%s/upper_%s", interface, upper))
		return use_cure(guard, "tc qdisc del dev %s root", word);
	if (file_exists(ctx, "/sys/class/net/%s/device", upper))
		return use_cure(guard, "usrpci bind --force %s # the kernel goes on by %s alone",
				guard->tree.leaves[0].name, upper);
	if (!file_link_name(ctx, master, sizeof(master), "/sys/class/net/%s/master", interface) &&
	    !strcmp(master, upper))
		return 0;
	return use_cure(guard, "ip link delete %s", shell_word(upper, word, sizeof(word)));
}

static int add_upper(struct guard *guard, const struct leaf *leaf, const char *interface,
		     const char *upper)
{
	int error = use_add(guard, leaf, USRPCI_USE_UPPER, interface, "%s is part of %s", interface,
			    upper);

	return error ?: cure_upper(guard, interface, upper);
}

/* Asks the same of the interfaces above this one; each of them reports its own uses. */
static int guard_uppers(struct guard *guard, const struct leaf *leaf, const char *interface,
			const struct net_table *table, unsigned int depth)
{
	AUTO_FREE char **names = NULL;
	int count, error = 0;

	/* Who holds the device has listened since the walk, and looks for what came before that. */
	if (depth == 0 && !leaf->has_uppers && !guard->host->hold)
		return 0;
	count = dir_list(guard->host->ctx, &names, "/sys/class/net/%s", interface);
	if (count < 0)
		return count == -ENOENT
			       ? 0
			       : use_unknown(guard, count, "run on the host itself",
					     "the interfaces above %s cannot be read", interface);
	for (int i = 0; !error && i < count; i++) {
		const char *upper = names[i] + strlen("upper_");

		if (strncmp(names[i], "upper_", strlen("upper_")) != 0)
			continue;
		error = add_upper(guard, leaf, interface, upper);
		if (!error && depth < DEPTH_MAX)
			error = guard_interface(guard, leaf, upper, table, depth + 1);
	}
	return error;
}

/* Writes who takes the frames. Returns NULL for what is no use of that kind. */
static const char *taker_of(const struct net_item *item, char text[TAKER_SIZE])
{
	switch (item->kind) {
	case NET_BOUND_SOCKET:
		return "a socket that is bound to it";
	case NET_PACKET_SOCKET:
		return "a packet socket";
	case NET_XDP_SOCKET:
		return "an AF_XDP socket";
	case NET_XDP_PROGRAM:
		return "an XDP program";
	case NET_FILTERS:
		snprintf(text, TAKER_SIZE, "filters of tc (%s)", item->text);
		return text;
	case NET_MIRRED:
		return "an action of tc (mirred)";
	case NET_PROTOCOL:
		snprintf(text, TAKER_SIZE, "the kernel's %s", item->text);
		return text;
	case NET_PPPOE:
		return "a PPPoE session";
	case NET_LLC:
		return "an LLC socket";
	case NET_CAN:
		snprintf(text, TAKER_SIZE, "the CAN listener \"%s\"", item->text);
		return text;
	case NET_PKTGEN:
		return "pktgen";
	case NET_NETCONSOLE:
		return "netconsole";
	case NET_ELSEWHERE:
		snprintf(text, TAKER_SIZE, "%s in another network namespace", item->text);
		return text;
	default:
		return NULL;
	}
}

/* Those that are not here have the usual cure. */
static int cure_frames(struct guard *guard, const struct net_item *item)
{
	const char *name = item->interface;
	char word[INTERFACE_WORD];

	shell_word(name, word, sizeof(word));
	switch (item->kind) {
	case NET_BOUND_SOCKET:
		return use_cure(guard, "end the program that \"ss -tuwanp\" shows with %%%s", name);
	case NET_PACKET_SOCKET:
		return use_cure(guard, "end the program that \"ss -0pn\" shows on %s", name);
	case NET_XDP_PROGRAM:
		return use_cure(guard, "ip link set dev %s %s off", word, item->text);
	case NET_FILTERS:
		return use_cure(guard, "tc qdisc del dev %s %s", word, item->text);
	case NET_MIRRED:
		return use_cure(guard,
				"delete the filter whose action \"tc -s actions list action "
				"mirred\" shows with %s",
				name);
	case NET_PROTOCOL:
		return use_cure(guard, "end what takes them; /proc/net/ptype names its module");
	case NET_LLC:
		return use_cure(guard, "end the program whose socket is in /proc/net/llc/socket");
	case NET_CAN:
		return use_cure(
			guard, "%s",
			strcmp(item->text, "gw") != 0
				? "end the program whose listener is in /proc/net/can/rcvlist_*"
				: "cangw -F");
	case NET_PKTGEN:
		return use_cure(guard, "modprobe -r pktgen");
	case NET_NETCONSOLE:
		return use_cure(guard, "rmdir /sys/kernel/config/netconsole/* # that of %s", name);
	default:
		return 0;
	}
}

static int add_frames(struct guard *guard, const struct leaf *leaf, const struct net_item *item)
{
	char text[TAKER_SIZE];
	const char *taker = taker_of(item, text);

	if (!taker)
		return 0;
	return use_add(guard, leaf, USRPCI_USE_FRAMES, item->interface, "%s carries frames of %s",
		       item->interface, taker)
		       ?: cure_frames(guard, item);
}

/* Most kinds of interfaces are in sysfs as well, above this one, and are found there. */
static int add_tunnel(struct guard *guard, const struct leaf *leaf, const struct net_item *item,
		      const struct net_table *table, unsigned int depth)
{
	int error;

	if (file_exists(guard->host->ctx, "/sys/class/net/%s/upper_%s", item->interface,
			item->text))
		return 0;
	error = add_upper(guard, leaf, item->interface, item->text);
	return error || depth >= DEPTH_MAX
		       ? error
		       : guard_interface(guard, leaf, item->text, table, depth + 1);
}

static int add_item(struct guard *guard, const struct leaf *leaf, const struct net_item *item,
		    const struct net_table *table, unsigned int depth)
{
	const char *name = item->interface;

	switch (item->kind) {
	case NET_ADDRESS:
		return use_add(guard, leaf, USRPCI_USE_ADDRESS, name, "%s carries %s", name,
			       item->text);
	case NET_ROUTE:
		return use_add(guard, leaf, USRPCI_USE_ROUTE, name, "%s carries the route to %s",
			       name, item->text);
	case NET_UPPER:
		return add_tunnel(guard, leaf, item, table, depth);
	default:
		return add_frames(guard, leaf, item);
	}
}

/* The sockets of Soft RoCE are bound to no interface; its RDMA device tells which carries it. */
static int guard_rdma(struct guard *guard, const struct leaf *leaf, const char *interface)
{
	char **names;
	int count = look_names(guard->host, LOOK_RDMA, &names), error = 0;
	char parent[NAME_SIZE], word[PATH_SIZE];

	for (int i = 0; !error && i < count; i++) {
		if (file_read(guard->host->ctx, parent, sizeof(parent),
			      "/sys/class/infiniband/%s/parent", names[i]) <= 0 ||
		    strcmp(parent, interface) != 0)
			continue;
		error = use_add(guard, leaf, USRPCI_USE_FRAMES, interface,
				"%s carries frames of the RDMA device %s", interface, names[i])
				?: use_cure(guard, "rdma link delete %s",
					    shell_word(names[i], word, sizeof(word)));
	}
	look_release(guard->host, names);
	return error;
}

/* Whether an interface is in a list such as "eth0,eth1". */
static bool is_among(const char *list, const char *interface)
{
	size_t length = strlen(interface);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, interface, length) && (at[length] == ',' || !at[length]))
			return true;
	}
	return false;
}

/* Disks of ATA over Ethernet are reached through interfaces that need no address. */
static int guard_aoe(struct guard *guard, const struct leaf *leaf, const char *interface)
{
	static const char prefix[] = "etherd!";
	char **names;
	int count = look_names(guard->host, LOOK_BLOCK, &names), error = 0;
	char interfaces[256];

	for (int i = 0; !error && i < count; i++) {
		const char *disk = names[i] + strlen(prefix);

		if (strncmp(names[i], prefix, strlen(prefix)) != 0 ||
		    file_read(guard->host->ctx, interfaces, sizeof(interfaces),
			      "/sys/class/block/%s/netif", names[i]) <= 0 ||
		    !is_among(interfaces, interface))
			continue;
		error = use_add(guard, leaf, USRPCI_USE_FRAMES, interface,
				"%s carries frames of the disk /dev/etherd/%s", interface, disk)
				?: use_cure(guard,
					    "modprobe -r aoe # once lsblk /dev/etherd/%s shows "
					    "nothing on it",
					    disk);
	}
	look_release(guard->host, names);
	return error;
}

static int guard_interface(struct guard *guard, const struct leaf *leaf, const char *interface,
			   const struct net_table *table, unsigned int depth)
{
	int error = 0;

	for (int i = 0; !error && i < table->count; i++)
		if (!strcmp(table->items[i].interface, interface))
			error = add_item(guard, leaf, &table->items[i], table, depth);
	return error ?:
		guard_rdma(guard, leaf, interface) ?:
		guard_aoe(guard, leaf, interface) ?:
		guard_uppers(guard, leaf, interface, table, depth);
}

/* Those of the kernel are not known where the network is read from files. */
static bool has_links(const struct net_table *table)
{
	for (int i = 0; i < table->count; i++)
		if (table->items[i].kind == NET_LINK)
			return true;
	return false;
}

/*
 * sysfs may be of another network namespace than this program (ip netns exec mounts a new one,
 * unshare does not), and then its interfaces are as well, even one of the same name.
 */
static bool is_elsewhere(struct guard *guard, const struct leaf *leaf,
			 const struct net_table *table)
{
	char address[48], link[64];
	uint64_t index = 0;

	if (!has_links(table))
		return false;
	if (file_read(guard->host->ctx, address, sizeof(address), "%s/address", leaf->path) < 0)
		address[0] = '\0';
	file_read_u64(guard->host->ctx, &index, "%s/ifindex", leaf->path);
	snprintf(link, sizeof(link), "%" PRIu64 " %s", index, address);
	for (int i = 0; i < table->count; i++) {
		const struct net_item *item = &table->items[i];

		if (item->kind == NET_LINK && !strcmp(item->interface, leaf->name) &&
		    !strcmp(item->text, link))
			return false;
	}
	return true;
}

/* The interface is one of the function, or of the device of virtio that is the function's. */
static const char *find_away(const struct guard *guard, const struct leaf *leaf,
			     const struct net_table *table)
{
	for (int i = 0; i < table->count; i++) {
		for (size_t owner = 0; owner < guard->tree.count; owner++) {
			const struct leaf *device = &guard->tree.leaves[owner];

			if (table->items[i].kind == NET_AWAY &&
			    device->function == leaf->function && !leaf_is(device, "net") &&
			    !strcmp(device->name, table->items[i].interface))
				return table->items[i].text;
		}
	}
	return NULL;
}

/* A namespace with a name may be in use without a process in it. */
static int add_away(struct guard *guard, const struct leaf *leaf, const struct net_table *table)
{
	static const char names[] = "/run/netns/";
	const char *function = tree_function(&guard->tree, leaf);
	const char *where = find_away(guard, leaf, table),
		   *at = where ? strstr(where, names) : NULL;
	char name[PATH_SIZE], interface[IF_NAMESIZE], word[INTERFACE_WORD];
	int error = use_add(guard, leaf, USRPCI_USE_NAMESPACE, function,
			    "%s has an interface in another network namespace%s%s", function,
			    where ? ": " : "", where ? where : "");

	if (error || !at)
		return error;
	shell_word(at + strlen(names), name, sizeof(name));
	snprintf(interface, sizeof(interface), "%.*s", (int)strcspn(where, " "), where);
	return use_cure(guard, "ip -n %s link set %s netns 1", name,
			shell_word(interface, word, sizeof(word)));
}

static int guard_leaf(struct guard *guard, const struct leaf *leaf, const struct net_table *table)
{
	if (!leaf->name[0])
		return add_away(guard, leaf, table);
	if (is_elsewhere(guard, leaf, table))
		return use_add(guard, leaf, USRPCI_USE_NAMESPACE, leaf->name,
			       "%s is in another network namespace than this program", leaf->name)
			       ?: use_cure(guard, "run on the host itself: nsenter -t 1 -n");
	return guard_interface(guard, leaf, leaf->name, table, 0);
}

static bool has_interface(const struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		if (leaf_is(&tree->leaves[i], "net"))
			return true;
	return false;
}

static const char *cure_unread(struct usrpci_host *host, int error)
{
	if (error != -EPERM && error != -EACCES)
		return "look at the files of /proc/net: one of them is missing or cannot be read";
	return has_capability(host->ctx, CAP_SYS_ADMIN)
		       ? "run on the host itself: a container hides it from its root too"
		       : "run as root on the host itself";
}

/*
 * Nothing is sent or received through an interface that is down, whoever has bound a socket to it.
 */
static bool has_interface_up(const struct guard *guard)
{
	uint64_t flags;

	for (size_t i = 0; i < guard->tree.count; i++)
		if (leaf_is(&guard->tree.leaves[i], "net") &&
		    (file_read_u64(guard->host->ctx, &flags, "%s/flags",
				   guard->tree.leaves[i].path) ||
		     flags & IFF_UP))
			return true;
	return false;
}

static int add_unseen_xdp(struct guard *guard, const char *pid)
{
	char cure[120];

	if (!pid[0])
		return use_unknown(
			guard, 0, "modprobe xdp_diag",
			"it cannot be seen whether an AF_XDP socket is bound to its interface");
	snprintf(cure, sizeof(cure), "modprobe xdp_diag # or kill %s, where there is none", pid);
	return use_unknown(guard, 0, cure,
			   "it cannot be seen whether an AF_XDP socket of process %s is bound to "
			   "its interface",
			   pid);
}

static bool is_of_all(const struct net_item *item)
{
	return item->kind == NET_UNSEEN_SOCKET || item->kind == NET_UNSEEN_XDP ||
	       item->kind == NET_UNSEEN_NETCONSOLE;
}

static int add_of_all(struct guard *guard, const struct net_item *item)
{
	if (!is_of_all(item) || !has_interface_up(guard))
		return 0;
	switch (item->kind) {
	case NET_UNSEEN_SOCKET:
		/* What no process shows is the kernel's, or of a process that is hidden. */
		return use_unknown(guard, 0,
				   has_capability(guard->host->ctx, CAP_SYS_PTRACE)
					   ? "modprobe -a tcp_diag udp_diag raw_diag"
					   : "run as root on the host itself",
				   "it cannot be seen whether a socket is bound to its interface");
	case NET_UNSEEN_XDP:
		return add_unseen_xdp(guard, item->text);
	case NET_UNSEEN_NETCONSOLE:
		return use_unknown(
			guard, 0, "modprobe -r netconsole",
			"it cannot be seen whether netconsole sends through its interface");
	default:
		return 0;
	}
}

/* The host is heard before it is looked at, so that nothing is missed. */
static int listen_to_all(struct guard *guard)
{
	int error = 0;

	for (size_t i = 0; guard->host->hold && !error && i < guard->tree.count; i++)
		if (leaf_is(&guard->tree.leaves[i], "net") && guard->tree.leaves[i].name[0])
			error = hold_listen(guard->host, guard->host->hold, &guard->tree.leaves[i]);
	return error;
}

int guard_network(struct guard *guard)
{
	struct usrpci_host *host = guard->host;
	struct net_table table = {0};
	int error = 0;

	if (!has_interface(&guard->tree))
		return 0;
	error = listen_to_all(guard);
	if (error)
		return use_unknown(guard, error, "run as root on the host itself",
				   "what comes to its interface cannot be heard");
	table.count = look_net(host, &table.items);
	if (table.count < 0)
		return use_unknown(guard, table.count, cure_unread(host, table.count),
				   "the configuration of the network cannot be read");
	for (int i = 0; !error && i < table.count; i++) {
		guard->is_listened_to |= table.items[i].kind == NET_ALL;
		error = add_of_all(guard, &table.items[i]);
	}
	for (size_t i = 0; !error && i < guard->tree.count; i++)
		if (leaf_is(&guard->tree.leaves[i], "net"))
			error = guard_leaf(guard, &guard->tree.leaves[i], &table);
	look_release(host, table.items);
	return error;
}
