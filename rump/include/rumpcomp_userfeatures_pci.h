/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Features of these hypercalls, read by the kernel side of librumpdev_pci when it is built.
 *
 * Not defined: RUMPCOMP_USERFEATURE_PCI_IOSPACE, with which the kernel side executes port
 * instructions itself. Define it (-DRUMPCOMP_USERFEATURE_PCI_IOSPACE) for drivers that need ports:
 * legacy virtio, auich, eap, pcn.
 */
#define RUMPCOMP_USERFEATURE_PCI_DMAFREE
