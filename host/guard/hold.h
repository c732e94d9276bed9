/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What was free when the guard looked must be free when the driver lets go. Until then the disks of
 * the device are open exclusively, so that the kernel refuses to mount them; and the kernel tells
 * what comes to its interfaces. Some kernels need the disks closed a moment before, see target.c.
 */

#include <sys/types.h>

#include "guard/tree.h"
#include "host.h"

/* Has room for what came to an interface, and for the command that brings it there. */
#define HOLD_TEXT 192

struct mnl_socket;

/* A disk or partition of the device: what it was called is gone with its driver. */
struct hold_name {
	dev_t number;
	char name[NAME_SIZE];
};

/* All zero: nothing is held. */
struct hold {
	int *disks;
	size_t disk_count;
	struct hold_name *names;
	size_t name_count;
	struct mnl_socket *events;
	struct net_name *interfaces;
	size_t interface_count;
};

/* Keeps a disk open, whose file fd becomes the hold's. Returns 0 or -ENOMEM. */
int hold_keep(struct hold *hold, int fd);
bool hold_has(const struct hold *hold, dev_t number);

/* Remembers a disk or partition, for hold_loops(). Returns 0 or -ENOMEM. */
int hold_name(struct hold *hold, const struct leaf *disk);

/*
 * Once the driver has let go: whether a loop device has one of the disks or partitions, for which
 * the kernel does not ask whether they are free. Writes it and the command that does it again.
 */
bool hold_loops(struct usrpci_host *host, const struct hold *hold, char text[HOLD_TEXT],
		char cure[HOLD_TEXT]);

/* Hears from now on what comes to an interface. Returns 0 or a negative errno. */
int hold_listen(struct usrpci_host *host, struct hold *hold, const struct leaf *leaf);

/*
 * Writes what came first to one of the interfaces since the last call: "eth0 carries 192.0.2.1/24",
 * and the command that brings it there. News that cannot be heard is told as such. Returns whether
 * there was any.
 */
bool hold_news(struct hold *hold, char text[HOLD_TEXT], char cure[HOLD_TEXT]);

/* The disks are free from now on; what they were called is still known. */
void hold_end_disks(struct hold *hold);

void hold_end(struct hold *hold);
