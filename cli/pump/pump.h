/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_PUMP_H
#define USRPCI_CLI_PUMP_H

#include <signal.h>

#include <usrpci/nic.h>

#define PUMP_QUEUES_MAX 16

/* The byte on the beat by which a driver reports its first frame. Others are 0. */
#define PUMP_FRAME 1

struct pump_options {
	int taps[PUMP_QUEUES_MAX]; /* the queues of a TAP device */
	unsigned int count;
	/*
	 * A socket: each byte is answered by one; a first one reports that it serves. -1: none
	 */
	int beat;
	const volatile sig_atomic_t *end; /* set by a signal to end it */
	bool goes_on; /* frames have flowed already: an MTU that is too long does not end it */
};

/*
 * Moves frames between a network card and a TAP device with headers of 12 bytes (IFF_VNET_HDR),
 * whose carrier is the card's link. Uses as many queues as both have.
 *
 * Returns 0, or the negative errno that ended it.
 */
int pump_run(struct usrpci_dev *dev, const struct pump_options *options);

#endif
