/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_DRIVER_KIND_H
#define USRPCI_LIB_DRIVER_KIND_H

#include <usrpci/device.h>

/*
 * The kind of the driver that holds a device. Since Linux 6.1 a device of vfio has a directory
 * vfio-dev, whatever its driver is called.
 */
enum usrpci_driver_kind driver_kind_of(const struct usrpci_ctx *ctx, const char *device,
				       const char *driver);

#endif
