/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The node of a vfio group, /dev/vfio/GROUP: whoever may open it may have the group's devices.
 */

#include "journal.h"

/*
 * Whether a process has a vfio group open: 0, or -EBUSY, logged, after waiting for a moment. The
 * kernel tells by refusing to open it once more, so one counts that no process shows: a descriptor
 * of the device alone, or one on its way through a socket.
 */
int vfio_node_is_free(struct usrpci_host *host, const struct usrpci_dev_info *info);

/*
 * Gives a group's node to a user, a group, or both ((uid_t)-1, (gid_t)-1: as is), and records what
 * it was with the device's record, which exists. Returns 0 or a negative errno, logged.
 */
int vfio_node_give(struct usrpci_host *host, const struct usrpci_dev_info *info, uid_t uid,
		   gid_t gid);

/*
 * Makes a node what the record of the device says, unless it is gone, or recorded with another
 * device too: then its user keeps it. Returns 0 or a negative errno, logged.
 */
int vfio_node_return(struct usrpci_host *host, const struct journal_record *record);
