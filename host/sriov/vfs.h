/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_VFS_H
#define USRPCI_HOST_VFS_H

/* The number of virtual functions of a device, for bind and restore. */

#include "journal.h"
#include "target.h"

/*
 * Restores the number in a record if it was changed. A device whose driver will change gets no
 * functions yet. Returns 0, or a negative errno, logged; -EBUSY when a virtual function is in use.
 */
int vfs_put_back(struct usrpci_host *host, const struct target *target,
		 const struct journal_record *record);

#endif
