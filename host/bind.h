/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_BIND_H
#define USRPCI_HOST_BIND_H

#include "target.h"

/* Records what the device was before usrpci's first touch, unless that is recorded already. */
int bind_record(struct usrpci_host *host, struct target *target);

#endif
