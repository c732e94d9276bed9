// SPDX-License-Identifier: BSD-2-Clause
/*
 * Brings interfaces and disks back, see provided.h. A driver may set a device up after its probe
 * has returned: nvme takes up to a minute, and lets go of a controller that does not answer.
 * Interfaces get their names from udev's rules a moment after the driver has made them.
 */

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "guard/look.h"
#include "shell.h"
#include "wait/provided.h"

#define LOG_SUBJECT "restore"
#include "log.h"

/* How long a driver without interfaces and disks is watched. */
#define WATCH_MS 20

/* What a device provided and what it provides. */
struct provided_of {
	const struct usrpci_addr *addr;
	char name[USRPCI_ADDR_STRLEN];
	const struct provided *was;
	int was_count;
	struct provided now[PROVIDED_MAX];
	int now_count;
};

static bool is_up(struct usrpci_host *host, const char *name)
{
	uint64_t flags = 0;

	return !file_read_u64(host->ctx, &flags, "/sys/class/net/%s/flags", name) && flags & IFF_UP;
}

static bool is_interface(struct usrpci_host *host, const char *name)
{
	return file_exists(host->ctx, "/sys/class/net/%s", name);
}

int provided_list(struct usrpci_host *host, const struct usrpci_addr *addr,
		  struct provided list[PROVIDED_MAX])
{
	struct usrpci_interface *all = NULL;
	int count = look_provided(host, &all), found = 0;

	for (int i = 0; i < count && found < PROVIDED_MAX; i++) {
		struct provided *next = &list[found];

		if (usrpci_addr_compare(&all[i].addr, addr))
			continue;
		*next = (struct provided){0};
		strcpy(next->name, all[i].name);
		next->is_interface = is_interface(host, next->name);
		next->up = next->is_interface && is_up(host, next->name);
		found++;
	}
	look_release(host, all);
	return found;
}

static int keep_link(struct usrpci_host *host, struct provided *one)
{
	int error;

	if (!one->is_interface || file_exists(host->ctx, "/sys/class/net/%s/master", one->name))
		return 0;
	error = net_place_read_link(one->name, &one->place);
	if (one->place.mac_length != ETH_ALEN)
		one->place.mac_length = 0;
	if (!error || error == -ENODEV || error == -EOPNOTSUPP)
		return 0;
	return report(host->ctx, error, one->name, NULL, "its MAC address and MTU cannot be read");
}

int provided_keep(struct usrpci_host *host, const struct usrpci_addr *addr,
		  struct provided list[PROVIDED_MAX])
{
	int count = provided_list(host, addr, list), error = 0;

	/* The interfaces of a host that is made of files are not this machine's. */
	for (int i = 0; !error && host_is_live(host) && i < count; i++)
		error = keep_link(host, &list[i]);
	return error ?: count;
}

static int count_kind(const struct provided *list, int count, bool interfaces)
{
	int found = 0;

	for (int i = 0; i < count; i++)
		found += list[i].is_interface == interfaces;
	return found;
}

static bool has_name(const struct provided *list, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(list[i].name, name))
			return true;
	return false;
}

static bool is_held(struct usrpci_host *host, const char *name, const char *driver)
{
	char now[NAME_SIZE];

	return !file_link_name(host->ctx, now, sizeof(now), PCI_DEVICES "/%s/driver", name) &&
	       !strcmp(now, driver);
}

/* An NVMe controller without a namespace shows no disk, but a state. */
static bool nvme_is_live(struct usrpci_host *host, const char *name)
{
	AUTO_FREE char **names = NULL;
	char state[16];
	int count = dir_list(host->ctx, &names, PCI_DEVICES "/%s/nvme", name);
	bool live = true;

	if (count < 0)
		return true;
	for (int i = 0; i < count; i++)
		live = live &&
		       file_read(host->ctx, state, sizeof(state), PCI_DEVICES "/%s/nvme/%s/state",
				 name, names[i]) >= 0 &&
		       !strcmp(state, "live");
	return live;
}

/* Names that udev gives come a moment after the interfaces. */
static bool is_back(const struct provided_of *of, bool with_names)
{
	if (count_kind(of->now, of->now_count, true) < count_kind(of->was, of->was_count, true) ||
	    count_kind(of->now, of->now_count, false) < count_kind(of->was, of->was_count, false))
		return false;
	for (int i = 0; with_names && i < of->was_count; i++)
		if (!has_name(of->now, of->now_count, of->was[i].name))
			return false;
	return true;
}

static void log_missing(struct usrpci_host *host, const struct provided_of *of)
{
	for (int i = 0; i < of->was_count; i++)
		if (!has_name(of->now, of->now_count, of->was[i].name))
			log_error(host->ctx, of->name, "dmesg | tail", "%s has not come back",
				  of->was[i].name);
}

static int wait_for_all(struct usrpci_host *host, struct provided_of *of, const char *driver)
{
	uint64_t start = clock_ms(), waited;

	if (!of->was_count)
		sleep_ms(WATCH_MS);
	do {
		if (!is_held(host, of->name, driver))
			return refuse(host->ctx, -EIO, of->name, "dmesg | tail",
				      "%s took it and released it again", driver);
		of->now_count = provided_list(host, of->addr, of->now);
		waited = clock_ms() - start;
		if (nvme_is_live(host, of->name) && is_back(of, waited < host->settle_ms / 3))
			return 0;
		sleep_ms(10);
	} while (waited < host->kernel_ms);
	log_missing(host, of);
	return -EUCLEAN;
}

static int count_lost_disks(const struct provided_of *of)
{
	int count = 0;

	for (int i = 0; i < of->was_count; i++)
		count += !of->was[i].is_interface &&
			 !has_name(of->now, of->now_count, of->was[i].name);
	return count;
}

/* Returns an interface of the device that has a name which none of it had before, or NULL. */
static struct provided *find_renamed(struct provided_of *of)
{
	for (int i = 0; i < of->now_count; i++)
		if (of->now[i].is_interface && !has_name(of->was, of->was_count, of->now[i].name))
			return &of->now[i];
	return NULL;
}

/* What the interface had, as a command that brings it to the one of this name. */
static const char *hint_of_place(const struct provided *was, const char *name, char hint[160])
{
	const char *up = was->up ? " up" : "";
	char mac[NET_MAC_TEXT], word[INTERFACE_WORD];

	shell_word(name, word, sizeof(word));
	if (was->place.mac_length)
		snprintf(hint, 160, "ip link set dev %s mtu %u address %s%s", word, was->place.mtu,
			 net_mac_format(&was->place, mac), up);
	else
		snprintf(hint, 160, "ip link set dev %s%s", word, up);
	return was->place.mac_length || was->up ? hint : NULL;
}

/* If several interfaces have other names, this assumes that their order is the same as before. */
static int rename_back(struct usrpci_host *host, struct provided_of *of, const struct provided *was)
{
	struct provided *other = find_renamed(of);
	const char *name = was->name;
	char hint[160];
	int error;

	if (!other || has_name(of->now, of->now_count, name))
		return 0;
	if (is_interface(host, name)) {
		log_warning(host->ctx, other->name, hint_of_place(was, other->name, hint),
			    "its name was %s before, and another interface has that name now: it "
			    "did not get back what it had",
			    name);
		return 0;
	}
	error = apply_rename(host, "give the interface its name back", other->name, name);
	if (error)
		return report(host->ctx, error, other->name, NULL, "cannot rename it to %s", name);
	strcpy(other->name, name);
	return 0;
}

/* A CAN interface comes up once it has a bitrate, which the kernel forgets with its driver. */
static bool is_can(struct usrpci_host *host, const char *name)
{
	uint64_t type;

	return !file_read_u64(host->ctx, &type, "/sys/class/net/%s/type", name) &&
	       type == ARPHRD_CAN;
}

static int take_up(struct usrpci_host *host, const char *name)
{
	int error = apply_up(host, "bring the interface up, as it was before", name);
	char hint[224], word[INTERFACE_WORD];

	if (!error)
		return 0;
	shell_word(name, word, sizeof(word));
	snprintf(
		hint, sizeof(hint),
		"ip link set %s type can bitrate RATE; ip link set %s up # RATE: 500000 or its bus's",
		word, word);
	return report(host->ctx, error, name, is_can(host, name) ? hint : NULL,
		      "cannot bring the interface up");
}

/* Whether an interface has another MAC address or MTU now, which a dry run cannot know. */
static bool link_differs(struct usrpci_host *host, const struct provided *was)
{
	struct net_place now;

	if (!was->place.mac_length)
		return false;
	if (host->options.dry_run)
		return true;
	return !net_place_read_link(was->name, &now) &&
	       (now.mtu != was->place.mtu || now.mac_length != was->place.mac_length ||
		memcmp(now.mac, was->place.mac, now.mac_length));
}

/* Another interface may have its name. */
static int put_interface_back(struct usrpci_host *host, struct provided_of *of,
			      const struct provided *was)
{
	struct net_place place = was->place;
	int error = rename_back(host, of, was);

	if (error || (!host->options.dry_run && !has_name(of->now, of->now_count, was->name)))
		return error;
	if (link_differs(host, was))
		return net_place_take(host, &place, was->name);
	return was->up && !is_up(host, was->name) ? take_up(host, was->name) : 0;
}

/* The kernel numbers disks as they come, and gives no other names afterwards. */
static void tell_of_disks(struct usrpci_host *host, const struct provided_of *of)
{
	for (int i = 0; i < of->now_count; i++)
		if (!of->now[i].is_interface &&
		    !has_name(of->was, of->was_count, of->now[i].name) && count_lost_disks(of))
			log_warning(host->ctx, of->name,
				    "ls -l /dev/disk/by-id # those names stay the same",
				    "its disk has another name than before: %s", of->now[i].name);
}

int provided_wait(struct usrpci_host *host, const struct usrpci_addr *addr, const char *driver,
		  const struct provided *was, int count)
{
	struct provided_of of = {.addr = addr, .was = was, .was_count = count};
	int error = 0;

	usrpci_addr_format(addr, of.name);
	if (!host->options.dry_run)
		error = wait_for_all(host, &of, driver);
	if (!error)
		tell_of_disks(host, &of);
	for (int i = 0; !error && i < count; i++)
		if (was[i].is_interface)
			error = put_interface_back(host, &of, &was[i]);
	return error;
}
