/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_FAKE_DOMAIN_H
#define USRPCI_TESTS_FAKE_DOMAIN_H

#include "backend.h"

/* Gives the context of a fake device DMA memory, at most size bytes (0: 1 GiB), if it has none. */
int domain_fake_attach(struct usrpci_dev *dev, size_t size);

#endif
