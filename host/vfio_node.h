/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The node of a vfio group, /dev/vfio/GROUP: whoever may open it may have the group's devices. On
 * kernels with iommufd alone it is the device's own.
 */

#include "journal.h"

#define NODE_SIZE sizeof((struct journal_node){0}.path)

/* Writes the path of the node by which a device of vfio is opened, or of the one that comes. */
void vfio_node_path(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    char path[NODE_SIZE]);

/*
 * Whether a process has a vfio group open. The kernel refuses to open it once more then, so a
 * descriptor counts that no process shows: one of the device alone, or one that is on its way
 * through a socket.
 */
bool vfio_node_is_open(struct usrpci_host *host, int group);

/* Returns 0 when nobody has the device's group open; -EBUSY, logged, after waiting for a moment. */
int vfio_node_is_free(struct usrpci_host *host, const struct usrpci_dev_info *info);

/*
 * Gives a device's node to a user, a group, or both ((uid_t)-1, (gid_t)-1: as is), and records what
 * it was with the device's record, which exists. Returns 0 or a negative errno, logged.
 */
int vfio_node_give(struct usrpci_host *host, const struct usrpci_dev_info *info, uid_t uid,
		   gid_t gid);

/* Reads what a device's node is now; without one, the path is "". */
void vfio_node_read(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    struct journal_node *node);

/* Makes a node what it was, if it is there. Returns 0 or a negative errno, logged. */
int vfio_node_set(struct usrpci_host *host, const struct journal_node *was);

/*
 * Makes a node what the record of the device says, unless it is gone, is another device's by now,
 * or is recorded with another device too: then its user keeps it. Returns 0 or a negative errno,
 * logged.
 */
int vfio_node_return(struct usrpci_host *host, const struct usrpci_dev_info *info,
		     const struct journal_record *record);
