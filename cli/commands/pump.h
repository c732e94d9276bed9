/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_PUMP_H
#define USRPCI_CLI_PUMP_H

#include <signal.h>

#include <usrpci/nic.h>

/*
 * Moves frames between a network card and a TAP device with headers of 12 bytes (IFF_VNET_HDR),
 * whose carrier is the card's link, until *end is set by a signal.
 *
 * @beat	a socket: bytes are answered by bytes; a first one reports that frames flow. -1: none
 *
 * Returns 0, or the negative errno that ended it.
 */
int pump_run(struct usrpci_dev *dev, int tap, int beat, const volatile sig_atomic_t *end);

/* Sets the carrier of a TAP device. */
void pump_set_carrier(int tap, int up);

#endif
