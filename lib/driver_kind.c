// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whose a device is: the one place that knows the names of the drivers that leave devices to
 * userspace. It follows drivers/vfio/pci and drivers/pci/pci-stub.c of Linux.
 *
 * A driver that is not known here counts as a kernel driver, which nobody may disturb. That is
 * meant for Xen's pciback too: a guest works with its devices.
 */

#include <string.h>

#include "driver_kind.h"
#include "enumerate.h"
#include "file.h"

static bool same_character(char a, char b)
{
	return a == b || (strchr("-_", a) && strchr("-_", b) && a && b);
}

/* Drivers spell with "-" or "_" as their authors liked; modules always with "_". */
static bool same_name(const char *a, const char *b)
{
	while (*a && same_character(*a, *b)) {
		a++;
		b++;
	}
	return *a == *b;
}

enum usrpci_driver_kind usrpci_driver_kind(const char *driver)
{
	size_t length = strlen(driver), suffix = strlen("vfio-pci");

	if (!length)
		return USRPCI_DRIVER_NONE;
	if (length >= suffix && same_name(driver + length - suffix, "vfio-pci"))
		return USRPCI_DRIVER_VFIO;
	if (same_name(driver, "uio-pci-generic") || same_name(driver, "igb-uio"))
		return USRPCI_DRIVER_UIO;
	return same_name(driver, "pci-stub") ? USRPCI_DRIVER_STUB : USRPCI_DRIVER_KERNEL;
}

enum usrpci_driver_kind driver_kind_of(const struct usrpci_ctx *ctx, const char *device,
				       const char *driver)
{
	enum usrpci_driver_kind kind = usrpci_driver_kind(driver);

	if (kind == USRPCI_DRIVER_KERNEL && file_exists(ctx, PCI_DEVICES "/%s/vfio-dev", device))
		return USRPCI_DRIVER_VFIO;
	return kind;
}
