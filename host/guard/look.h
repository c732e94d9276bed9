/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What looks at several devices share while nothing changes. Each part is read when it is first
 * needed.
 */

#include "guard/netlink.h"
#include "guard/processes.h"
#include "host.h"

/* The directories whose names are read for every device, or are those of devices. */
enum look_list {
	LOOK_RDMA,
	LOOK_BLOCK,
	LOOK_WATCHDOGS,
	LOOK_NVIDIA,
	LOOK_LENT,
	LOOK_JOURNAL,
	LOOK_MOVING,
	LOOK_LISTS
};

struct look_names {
	char **names;
	int count; /* or -ENOENT */
	bool read;
};

struct look {
	struct open_files files;
	const struct usrpci_dev_info *devices; /* as usrpci_dev_list() gave them, or NULL */
	int device_count;
	struct net_item *net; /* addresses, routes and so on */
	int net_count;
	bool has_net;
	struct usrpci_interface *provided;
	int provided_count;
	char *aliases;   /* see modules.c */
	int group;       /* the IOMMU group that was asked about last, or -1 */
	bool translates; /* what group_translates() found out about it */
	struct look_names lists[LOOK_LISTS];
};

/*
 * Begins to share in host->look. Returns false, and changes nothing, where that is done already;
 * then there is nothing to end.
 */
bool look_begin(struct usrpci_host *host, struct look *look);
void look_end(struct usrpci_host *host, struct look *look);

/* Finds a device in a list of usrpci_dev_list(), or returns NULL. */
const struct usrpci_dev_info *look_at(const struct usrpci_dev_info *devices, int count,
				      const struct usrpci_addr *addr);

/* As usrpci_dev_lookup(). */
int look_device(struct usrpci_host *host, const struct usrpci_addr *addr,
		struct usrpci_dev_info *info);

/* Copies the driver of one of many devices, where they are shared; false where they are not. */
bool look_driver(struct usrpci_host *host, const struct usrpci_addr *addr, char driver[NAME_SIZE]);

/*
 * As host->kernel->read_net(), usrpci_host_interfaces() and dir_list(). What they store belongs to
 * host->look, or to the caller where nothing is shared: give it back with look_release().
 */
int look_net(struct usrpci_host *host, struct net_item **items);
int look_provided(struct usrpci_host *host, struct usrpci_interface **list);
int look_names(struct usrpci_host *host, enum look_list which, char ***names);
void look_release(struct usrpci_host *host, void *list);

/*
 * Whether a directory has no entry for a device of many that are looked at. False where only one
 * is, or where it could not be listed: then the entry itself must be looked for.
 */
bool look_lacks(struct usrpci_host *host, enum look_list which, const char *name);

/*
 * Reads the open files of all processes, unless that was done: into host->look, or where nothing is
 * shared into own, which the caller frees in any case. Returns 0 or -ENOMEM.
 */
int look_files(struct usrpci_host *host, struct open_files *own, const struct open_files **files);
