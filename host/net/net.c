// SPDX-License-Identifier: BSD-2-Clause
/*
 * A TAP device (Linux: Documentation/networking/tuntap.rst) in the place of an interface, while a
 * program without privileges drives its card: the interface leaves its place, the TAP takes it, and
 * the card is lent to the program, which gets the TAP by its standard input. At the end all this is
 * undone, and the interface gets the addresses and routes that the TAP has by then.
 *
 * The interface is refused when it has something that cannot move: bridges, bonds, VLANs, XDP
 * programs, packet sockets. The message names it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "lend/lend.h"
#include "net/net.h"
#include "wait/service.h"
#include "shell.h"
#include "state.h"

#define LOG_SUBJECT "net"
#include "log.h"

#define APPEAR_MS   15000
#define DRIVER_MS   5000 /* in which the driver ends after a signal */
#define QUEUES_MAX  8
#define MARK_TEXT   32
#define TUN_FILE    "/dev/net/tun"
#define TUN_CLASS   "/sys/class/misc/tun"
#define VHOST_FILE  "/dev/vhost-net"
#define VHOST_CLASS "/sys/class/misc/vhost-net"

/* Each queue of a TAP is a file. The driver's standard input is a socket that has them. */
struct tap {
	char name[IF_NAMESIZE];
	unsigned int index;
	int card;   /* the index of the interface whose place it takes */
	bool moved; /* it has all of the place, so that later changes of it count */
	int queues[QUEUES_MAX];
	unsigned int count;
	int port;
};

/* Sends the files in one message, which waits in the socket until the driver takes it. */
static int send_queues(int socket, const struct tap *tap)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(tap->queues))];
	} control = {0};
	char count = (char)tap->count;
	struct iovec data = {&count, 1};
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(tap->count * sizeof(int)),
	};
	struct cmsghdr *files = CMSG_FIRSTHDR(&message);

	files->cmsg_level = SOL_SOCKET;
	files->cmsg_type = SCM_RIGHTS;
	files->cmsg_len = CMSG_LEN(tap->count * sizeof(int));
	memcpy(CMSG_DATA(files), tap->queues, tap->count * sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int open_port(struct tap *tap)
{
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	error = send_queues(pair[0], tap);
	close(pair[0]);
	if (error)
		close(pair[1]);
	else
		tap->port = pair[1];
	return error;
}

/* Containers often have a kernel that can, and no file for it or none that they may open. */
static const char *tun_cure(struct usrpci_host *host, int error)
{
	if (!file_exists(host->ctx, TUN_CLASS))
		return "modprobe tun";
	if (error == -ENOENT)
		return "mkdir -p /dev/net; mknod " TUN_FILE " c 10 200";
	if (error == -ENOTTY || error == -EISDIR || error == -ENXIO)
		return "rm -r " TUN_FILE "; mknod " TUN_FILE " c 10 200";
	return "ls -l " TUN_FILE " # a container has to be allowed to use it";
}

/* The card may have fewer queues; the driver then leaves the others of the TAP. */
static int make_tap(struct usrpci_host *host, const struct net_place *place, struct tap *tap)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int error;

	memset(tap, 0, sizeof(*tap));
	tap->card = place->index;
	net_tap_name(tap->card, tap->name);
	tap->count = processors < 1            ? 1
		     : processors > QUEUES_MAX ? QUEUES_MAX
					       : (unsigned int)processors;
	error = apply_tap(host, "it takes the interface's place", tap->name, tap->queues,
			  tap->count);
	if (error || host->options.dry_run)
		return error;
	tap->index = if_nametoindex(tap->name);
	error = open_port(tap);
	if (!error)
		return 0;
	if (tap->port > 0)
		close(tap->port);
	apply_tap_end(host, "it cannot be handed on", tap->name, tap->queues, tap->count);
	return error;
}

/* Addresses and routes move, so they do not count. Lending checks functions of the same group. */
static bool moves(const struct usrpci_use *use, const char *name)
{
	if (use->kind == USRPCI_USE_GROUP)
		return true;
	return (use->kind == USRPCI_USE_ADDRESS || use->kind == USRPCI_USE_ROUTE) &&
	       !strcmp(use->object, name);
}

static int check_uses(struct usrpci_host *host, const struct usrpci_addr *addr, const char *name,
		      bool force)
{
	struct usrpci_use *uses;
	int count = usrpci_host_uses(host, addr, &uses), error = 0;

	if (count < 0)
		return count;
	for (int i = 0; i < count && !force; i++) {
		if (!moves(&uses[i], name))
			error = refuse(host->ctx, -EBUSY, name, uses[i].cure,
				       "cannot be moved to a TAP: %s", uses[i].text);
	}
	free(uses);
	return error;
}

static bool is_gone(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char device[USRPCI_ADDR_STRLEN];

	return !file_find(host->ctx, PCI_DEVICES "/%s", usrpci_addr_format(addr, device));
}

/* Finds the current interface of a device. A new driver needs a moment until it has one. */
static int find_interface(struct usrpci_host *host, const struct usrpci_addr *addr,
			  unsigned int wait_ms, char name[IF_NAMESIZE])
{
	uint64_t end = clock_ms() + wait_ms;
	struct usrpci_interface *list;
	int found = 0, count;

	for (;;) {
		count = usrpci_host_interfaces(host, &list);
		for (int i = 0; i < count; i++) {
			if (usrpci_addr_compare(&list[i].addr, addr) ||
			    !if_nametoindex(list[i].name))
				continue;
			snprintf(name, IF_NAMESIZE, "%.15s", list[i].name);
			found++;
		}
		free(list);
		if (found || clock_ms() >= end || is_gone(host, addr))
			break;
		sleep_ms(10);
	}
	if (found == 1)
		return 0;
	if (count < 0)
		return report(host->ctx, count, NULL, NULL, "the interfaces cannot be listed");
	return refuse(host->ctx, found ? -ENOTUNIQ : -ENODEV, NULL, NULL,
		      found ? "the device has several interfaces" : "the device has no interface");
}

int net_place_return(struct usrpci_host *host, struct net_place *place,
		     const struct usrpci_addr *addr)
{
	char name[IF_NAMESIZE];
	int error = 0;

	if (is_gone(host, addr))
		return report(host->ctx, -ENODEV, place->name, NULL, "the card is gone");
	if (host->options.dry_run)
		snprintf(name, sizeof(name), "pci%d", place->index);
	else
		error = find_interface(host, addr, APPEAR_MS, name);
	return error ?: net_place_take(host, place, name);
}

/* What was put on the TAP while it served goes with it. */
static void name_uppers(struct usrpci_host *host, const char *name)
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, "/sys/class/net/%s", name);
	char master[IF_NAMESIZE] = "", cure[160], word[INTERFACE_WORD], master_word[INTERFACE_WORD];

	(void)file_link_name(host->ctx, master, sizeof(master), "/sys/class/net/%s/master", name);
	for (int i = 0; i < count; i++) {
		const char *upper = names[i] + strlen("upper_");

		if (strncmp(names[i], "upper_", strlen("upper_")) != 0)
			continue;
		if (strcmp(upper, master) != 0) {
			log_warning(host->ctx, name, NULL, "%s stands on it and goes with it",
				    upper);
			continue;
		}
		snprintf(cure, sizeof(cure), "ip link set dev %s master %s",
			 shell_word(name, word, sizeof(word)),
			 shell_word(master, master_word, sizeof(master_word)));
		log_warning(host->ctx, name, cure,
			    "it is part of %s, and the interface that comes back is not", master);
	}
}

/*
 * A driver can have handed queues on, or detached the one by which the TAP is ended: it would stay,
 * and be in the way of the interface.
 */
static int end_tap(struct usrpci_host *host, const struct net_place *before, struct tap *tap)
{
	char name[IF_NAMESIZE];
	int error = apply_tap_end(host, "the interface comes back", before->name, tap->queues,
				  tap->count);

	if (!error && tap->index && if_indextoname(tap->index, name) && net_is_tap(host, name) > 0)
		error = net_delete_tap(host, name);
	return error;
}

/*
 * The interface gets the addresses that the TAP has now, not those that it had itself. They are
 * recorded before the TAP that has them goes.
 */
static int give_back(struct usrpci_host *host, struct net_place *before,
		     const struct usrpci_addr *addr, struct tap *tap)
{
	struct net_place now = {0};
	struct net_place *place = before;
	char name[IF_NAMESIZE];
	int error;

	if (tap->moved && !net_tap_find(host, before, name)) {
		log_warning(host->ctx, before->name, NULL,
			    "it is gone: the interface gets the addresses that it had before");
	} else if (tap->moved && !net_place_read(host, name, &now)) {
		name_uppers(host, name);
		place = &now;
		net_left_write(host, addr, tap->card, place, true);
	}
	error = end_tap(host, before, tap);
	if (!error)
		error = net_place_return(host, place, addr);
	net_place_free(&now);
	return error;
}

void net_mark_name(const struct usrpci_addr *addr, char name[NET_MARK_SIZE])
{
	char device[USRPCI_ADDR_STRLEN];

	snprintf(name, NET_MARK_SIZE, "net/%s", usrpci_addr_format(addr, device));
}

/*
 * The place is recorded for whoever comes after a kill. Until then a locked file tells other
 * processes that the card is served, by which process, and as which interface.
 */
static int leave_mark(struct usrpci_host *host, const struct usrpci_addr *addr,
		      const struct net_place *place, int *mark)
{
	char name[NET_MARK_SIZE], text[MARK_TEXT];
	int error;

	net_mark_name(addr, name);
	error = state_hold(host, name, mark);
	if (error)
		return error;
	snprintf(text, sizeof(text), "%d %s", (int)getpid(), place->name);
	if (*mark >= 0)
		pwrite_exact(*mark, text, strlen(text), 0);
	error = net_left_write(host, addr, place->index, place, false);
	if (error)
		state_let_go(host, name, *mark, NULL);
	return error;
}

int net_end(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char mark[NET_MARK_SIZE], name[NAME_SIZE];
	pid_t pid;

	net_mark_name(addr, mark);
	pid = service_find(host, mark, name);
	return !pid || host->options.dry_run ? 0 : service_end(host, mark, name, pid);
}

static void take_mark(struct usrpci_host *host, const struct usrpci_addr *addr, int mark)
{
	char name[NET_MARK_SIZE];

	net_mark_name(addr, name);
	state_let_go(host, name, mark, NULL);
}

/* By vhost-net, frames cost the driver no system call. Returns NULL where the kernel has none. */
static const char *find_vhost(struct usrpci_host *host)
{
	if (file_exists(host->ctx, VHOST_CLASS))
		return VHOST_FILE;
	apply_module(host, "frames cost the driver fewer system calls", "vhost_net");
	if (host->options.dry_run || file_exists(host->ctx, VHOST_CLASS))
		return VHOST_FILE;
	log_warning(host->ctx, VHOST_FILE, "modprobe vhost_net",
		    "the kernel does not have it: each frame costs the driver a system call");
	return NULL;
}

static int serve(struct usrpci_host *host, const struct usrpci_net_options *options,
		 struct net_place *place, struct tap *tap)
{
	struct usrpci_lend_options lend = {
		.addrs = &options->addr,
		.count = 1,
		.bind = options->bind,
		.user = options->user,
		.hugepages = options->hugepages,
		.argv = options->argv,
		.input = tap->port,
		.end_ms = DRIVER_MS,
		.file = find_vhost(host),
	};
	char aside[IF_NAMESIZE];
	int status = net_place_leave(host, place, aside);

	if (!status)
		status = net_place_take(host, place, tap->name);
	tap->moved = !status && !host->options.dry_run;
	if (tap->moved)
		status = net_left_write(host, &options->addr, tap->card, place, true);
	host->moved = host->options.dry_run ? place->name : NULL;
	status = status ?: lend_recovered(host, &lend, -1);
	host->moved = NULL;
	return status;
}

/* Serves the card, and gives it back. */
static int serve_in_place(struct usrpci_host *host, const struct usrpci_net_options *options,
			  struct net_place *place)
{
	struct tap tap;
	int status, error = make_tap(host, place, &tap);

	if (error == -EBUSY)
		return refuse(host->ctx, error, tap.name, "ip link show",
			      "an interface of this name is in the way of the TAP device");
	if (error)
		return report(host->ctx, error, TUN_FILE, tun_cure(host, error),
			      "cannot make a TAP device");
	status = serve(host, options, place, &tap);
	if (tap.port > 0)
		close(tap.port);
	error = give_back(host, place, &options->addr, &tap) ?: state_left(host);
	if (error)
		return is_gone(host, &options->addr) ? -ENODEV : -EUCLEAN;
	return status;
}

/* The kernel deletes such an object with its interface, and whoever made it makes no new one. */
static int check_nexthops(struct usrpci_host *host, const struct net_place *place, bool force)
{
	uint32_t id = force ? 0 : net_place_nexthop(place);
	char cure[64];

	if (!id)
		return 0;
	snprintf(cure, sizeof(cure), "ip nexthop del id %u # its routes go with it", id);
	return refuse(host->ctx, -EBUSY, place->name, cure,
		      "cannot be moved to a TAP: the nexthop object %u leads by it", id);
}

static int read_place(struct usrpci_host *host, const char *name, bool force,
		      struct net_place *place)
{
	int error = net_place_read(host, name, place);

	if (!error && place->mac_length != ETH_ALEN)
		error = refuse(host->ctx, -EOPNOTSUPP, name, NULL, "it is no Ethernet interface");
	if (!error)
		error = check_nexthops(host, place, force);
	if (error)
		net_place_free(place);
	return error;
}

static int check_mtu(struct usrpci_host *host, const struct usrpci_net_options *options,
		     const struct net_place *place)
{
	char cure[96], word[INTERFACE_WORD];

	if (!options->mtu_max || place->mtu <= options->mtu_max)
		return 0;
	snprintf(cure, sizeof(cure), "ip link set dev %s mtu %u",
		 shell_word(place->name, word, sizeof(word)), options->mtu_max);
	return refuse(host->ctx, -EMSGSIZE, place->name, cure,
		      "its MTU is %u, and the driver of its card can carry %u at most", place->mtu,
		      options->mtu_max);
}

/* What would be refused when the interface has moved is refused before. */
static int look_first(struct usrpci_host *host, const struct usrpci_net_options *options,
		      const struct net_place *place)
{
	const struct usrpci_lend_options lend = {
		.addrs = &options->addr,
		.count = 1,
		.bind = options->bind,
		.user = options->user,
		.argv = options->look,
	};
	int error = check_mtu(host, options, place);

	host->moved = place->name;
	error = error ?: lend_look(host, &lend);
	host->moved = NULL;
	return error;
}

static int net(struct usrpci_host *host, const struct usrpci_net_options *options)
{
	struct net_place place;
	char name[IF_NAMESIZE];
	int status, error, mark;

	error = find_interface(host, &options->addr, 0, name);
	if (!error)
		error = check_uses(host, &options->addr, name, options->bind.force);
	if (!error)
		error = read_place(host, name, options->bind.force, &place);
	if (error)
		return error;
	status = look_first(host, options, &place);
	if (status) {
		net_place_free(&place);
		return status;
	}
	if (!file_exists(host->ctx, TUN_CLASS))
		apply_module(host, "TAP devices are its", "tun");
	status = leave_mark(host, &options->addr, &place, &mark);
	if (!status) {
		status = serve_in_place(host, options, &place);
		/* What could not be given back is the next recovery's. */
		if (status != -EUCLEAN && net_left_drop(host, &options->addr))
			status = -EUCLEAN;
		take_mark(host, &options->addr, mark);
	}
	net_place_free(&place);
	return status;
}

int usrpci_host_net(struct usrpci_host *host, const struct usrpci_net_options *options)
{
	int status, raised = lend_spare_files(host, options->argv[0]);
	sigset_t signals;

	if (raised < 0)
		return raised;
	/* A killed "usrpci net" has left a TAP in the place of the interface. */
	usrpci_host_recover(host);
	lend_signals_block(&signals);
	status = lend_user_check(host, options->user) ?: net(host, options);
	lend_signals_restore(&signals);
	if (raised)
		lend_unspare_files(host);
	return status;
}

int usrpci_host_net_stats(struct usrpci_host *host, const struct usrpci_addr *addr,
			  struct usrpci_net_stats *stats)
{
	const struct {
		const char *file;
		uint64_t *value;
	} counters[] = {
		{"rx_packets", &stats->rx_frames},  {"rx_bytes", &stats->rx_bytes},
		{"tx_packets", &stats->tx_frames},  {"tx_bytes", &stats->tx_bytes},
		{"rx_dropped", &stats->rx_dropped}, {"tx_dropped", &stats->tx_dropped},
	};
	char mark[NET_MARK_SIZE], name[NAME_SIZE], renamed[IF_NAMESIZE] = "";

	memset(stats, 0, sizeof(*stats));
	net_mark_name(addr, mark);
	stats->left = !service_find(host, mark, name);
	if (!stats->left)
		snprintf(stats->name, sizeof(stats->name), "%.15s", name);
	if (host_is_live(host) && net_left_tap(host, addr, renamed))
		memcpy(stats->name, renamed, sizeof(stats->name));
	if (!stats->name[0])
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		int error = file_read_u64(host->ctx, counters[i].value,
					  "/sys/class/net/%s/statistics/%s", stats->name,
					  counters[i].file);

		if (error)
			return error == -EACCES ? error : -ENOENT;
	}
	return 0;
}
