/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_RESTORE_H
#define USRPCI_HOST_RESTORE_H

#include "host.h"

/* As usrpci_host_restore(), for a device that has been stopped already. */
int restore_stopped(struct usrpci_host *host, const struct usrpci_addr *addr);

#endif
