/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "host.h"

/*
 * Stops a device for good: no interrupts, no transactions of its own, none under way, and a reset
 * where it has one. Nobody has it open. Returns 0, also when it is gone, or a negative errno,
 * logged: it may still write to memory.
 */
int quiesce(struct usrpci_host *host, const struct usrpci_addr *addr);

/* The same, of a device that is open for inspection. */
int quiesce_open(struct usrpci_host *host, struct usrpci_dev *dev);

/*
 * The same, before another driver of the same program gets it, which has the same memory and
 * rights. It is not reset if it has no rings any more even so.
 */
int quiesce_pause(struct usrpci_host *host, struct usrpci_dev *dev);
