// SPDX-License-Identifier: BSD-2-Clause
/*
 * Names the file that the one user of a uio device locks; see device_lock.h.
 */

#include <stdio.h>

#include "device_lock.h"

#define BARS 6

const char *device_lock_path(const struct usrpci_ctx *ctx, const char *name, char path[PATH_SIZE])
{
	for (unsigned int bar = 0; bar < BARS; bar++) {
		snprintf(path, PATH_SIZE, PCI_DEVICES "/%s/resource%u", name, bar);
		if (file_exists(ctx, "%s", path))
			return path;
	}
	snprintf(path, PATH_SIZE, PCI_DEVICES "/%s/config", name);
	return path;
}
