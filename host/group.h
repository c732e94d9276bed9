/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * IOMMU groups: the functions that the IOMMU cannot tell apart, and which vfio therefore hands out
 * together.
 */

#include "host.h"

/*
 * Whether a device carries others: bridges to PCI, CardBus and ISA, and to the host. What calls
 * itself "other bridge" is often an accelerator.
 */
bool is_bridge(const struct usrpci_dev_info *info);

/*
 * Returns whether an IOMMU translates for the device; groups that vfio made without one don't
 * count.
 */
bool group_translates(struct usrpci_host *host, const struct usrpci_dev_info *info);

/*
 * Whether only a try shows if an IOMMU stands before the device. Arm's kernels before 6.15 give a
 * device its group when the first driver probes it.
 */
bool group_may_come(struct usrpci_host *host, const struct usrpci_dev_info *info);

/*
 * Whether an IOMMU stands before the device, but the kernel could not put the device there: the
 * bridge above has a group. Arm's kernels take one function behind a bridge from PCIe to PCI;
 * neighbour gets its address, or "others". Of a device that no driver was tried on, ask
 * group_may_come().
 */
bool group_is_full(struct usrpci_host *host, const struct usrpci_dev_info *info,
		   char neighbour[USRPCI_ADDR_STRLEN]);

/* Returns whether vfio was told to work without an IOMMU: devices then reach all memory. */
bool group_noiommu(struct usrpci_host *host);

/* How the kernel uses the group for its own drivers: "DMA", "DMA-FQ", "identity"; "" unknown. */
void group_type(struct usrpci_host *host, int group, char type[NAME_SIZE]);

/*
 * Lists the group's functions but bridges (they don't count), the device itself included. Returns
 * the count or a negative errno (not logged); the list is the caller's.
 */
int group_endpoints(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    struct usrpci_dev_info **members);
