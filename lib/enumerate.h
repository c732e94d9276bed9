/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_ENUMERATE_H
#define USRPCI_LIB_ENUMERATE_H

#include <linux/pci_regs.h>

#include <usrpci/device.h>

/* Reads the standard header of one of the host's devices: 0 or a negative errno, not logged. */
int dev_read_header(const struct usrpci_ctx *ctx, const char *name,
		    uint8_t header[PCI_STD_HEADER_SIZEOF]);

/*
 * Fills what a function's standard header (64 bytes) says: ids, class, header type and pin. Where
 * all of it reads ones, silent is set, and so are all bits of the ids and the class. The number of
 * the interrupt stays unknown.
 */
void dev_decode_header(const uint8_t *header, struct usrpci_dev_info *info);

#endif
