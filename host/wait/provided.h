/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The interfaces and disks that a kernel driver provides: what was there before a device was taken
 * has to be there again after it was given back.
 */

#include "host.h"

#define PROVIDED_MAX 16

struct provided {
	char name[NAME_SIZE]; /* "eth0", "nvme0n1" */
	bool is_interface;
	bool up; /* an interface that is */
};

/* Lists what a device provides now. Returns the count, cut to PROVIDED_MAX. */
int provided_list(struct usrpci_host *host, const struct usrpci_addr *addr,
		  struct provided list[PROVIDED_MAX]);

/*
 * Waits until a driver that was given its device back has set it up and provides what it did
 * before, then gives interfaces their names back and takes them up. Addresses and routes are the
 * administrator's to bring back. Returns 0 or a negative errno, logged: -EIO (the driver let go of
 * the device again); -EUCLEAN (something is missing).
 */
int provided_wait(struct usrpci_host *host, const struct usrpci_addr *addr, const char *driver,
		  const struct provided *was, int count);
