/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_ENUMERATE_H
#define USRPCI_LIB_ENUMERATE_H

/* Where the kernel lists PCI devices, below a context's root; a directory each, by full address. */
#define PCI_DEVICES "/sys/bus/pci/devices"

#endif
