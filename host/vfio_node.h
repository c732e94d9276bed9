/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_VFIO_NODE_H
#define USRPCI_HOST_VFIO_NODE_H

/*
 * The node of a vfio group, /dev/vfio/GROUP: whoever may open it may have the group's devices.
 */

#include "journal.h"

/*
 * Gives a group's node to a user, a group, or both ((uid_t)-1, (gid_t)-1: as is), and records what
 * it was with the device's record, which exists. Returns 0 or a negative errno, logged.
 */
int node_give(struct usrpci_host *host, const struct usrpci_dev_info *info, uid_t uid, gid_t gid);

/*
 * Makes a node what the record of the device says, unless it is gone, or recorded with another
 * device too: then its user keeps it. Returns 0 or a negative errno, logged.
 */
int node_return(struct usrpci_host *host, const struct journal_record *record);

#endif
