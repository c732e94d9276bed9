/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_VFS_H
#define USRPCI_HOST_VFS_H

/*
 * How many virtual functions a device has, as bind and restore see it.
 */

#include "journal.h"
#include "target.h"

/*
 * Brings back the number that a record has, where it was changed; a device that is to change its
 * driver gets none yet. Returns 0, or a negative errno, logged; -EBUSY when a virtual function is in
 * use.
 */
int vfs_put_back(struct usrpci_host *host, const struct target *target,
		 const struct journal_record *record);

#endif
