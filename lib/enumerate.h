/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_ENUMERATE_H
#define USRPCI_LIB_ENUMERATE_H

#include <stdint.h>

#include <usrpci/device.h>

/* Where the kernel lists PCI devices, below a context's root; a directory each, by full address. */
#define PCI_DEVICES "/sys/bus/pci/devices"

/* Fills the ids, class, kind and pin of a function from its first 64 bytes of configuration space.
 */
void dev_decode_header(const uint8_t *header, struct usrpci_dev_info *info);

#endif
