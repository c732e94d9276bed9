/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_RESTORE_H
#define USRPCI_HOST_RESTORE_H

#include "host.h"

/*
 * Puts a device, which has been stopped, back as it was before it was lent: with the driver of
 * before if it was usrpci's then, else as the journal says. One that is gone needs nothing.
 * Errors are logged.
 */
int restore_lent(struct usrpci_host *host, const struct usrpci_addr *addr, const char *before,
		 bool was_usrpcis);

#endif
