/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The interfaces and disks that a kernel driver provides: what was there before a device was taken
 * has to be there again after it was given back.
 */

#include "net/net.h"

#define PROVIDED_MAX 16

struct provided {
	char name[NAME_SIZE]; /* "eth0", "nvme0n1" */
	bool is_interface;
	bool up;                /* an interface that is */
	struct net_place place; /* its MAC address and MTU; mac_length 0: they are not kept */
};

/* Lists what a device provides now. Returns the count, cut to PROVIDED_MAX. */
int provided_list(struct usrpci_host *host, const struct usrpci_addr *addr,
		  struct provided list[PROVIDED_MAX]);

/*
 * Lists them with the MAC addresses and MTUs that are to come back: those of Ethernet interfaces
 * which are in no bond or bridge, as such a one gives them its own. Returns the count, or a
 * negative errno, logged.
 */
int provided_keep(struct usrpci_host *host, const struct usrpci_addr *addr,
		  struct provided list[PROVIDED_MAX]);

/*
 * Waits until a driver that was given its device back has set it up and provides what it did
 * before, then gives interfaces their names, MAC addresses and MTUs back and takes them up.
 * Addresses and routes are the administrator's to bring back. Returns 0 or a negative errno,
 * logged: -EIO (the driver let go of the device again); -EUCLEAN (something is missing).
 */
int provided_wait(struct usrpci_host *host, const struct usrpci_addr *addr, const char *driver,
		  const struct provided *was, int count);
