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
 * Puts the command register of a stopped device back that has no driver again: the kernel's drivers
 * and quiesce() left it changed. Transactions stay off, and the interrupt of a device that asserts
 * it now stays masked: nobody would answer, and others may share the line. Returns 0, also when it
 * is gone, or a negative errno.
 */
int quiesce_put_command(struct usrpci_host *host, const struct usrpci_addr *addr, uint16_t command);

/*
 * The same as quiesce_open(), before another driver of the same program gets it, which has the same
 * memory and rights. It is not reset if it has no rings any more even so.
 */
int quiesce_pause(struct usrpci_host *host, struct usrpci_dev *dev);
