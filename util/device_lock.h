/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_UTIL_DEVICE_LOCK_H
#define USRPCI_UTIL_DEVICE_LOCK_H

/*
 * Which file of a device is locked by the one program that drives it through uio. flock(2) needs
 * nothing but an open descriptor, so it must be a file that only root can open: any user could keep
 * a file that everybody may read, such as config, locked for ever.
 */

#include "file.h"

/*
 * Writes the path, without the context's root, of the device's first BAR; of its configuration
 * space when it has no BAR. name is the device's address. Returns path.
 */
const char *device_lock_path(const struct usrpci_ctx *ctx, const char *name, char path[PATH_SIZE]);

#endif
