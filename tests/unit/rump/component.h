/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_RUMP_COMPONENT_H
#define USRPCI_TESTS_RUMP_COMPONENT_H

/*
 * Plays librumpdev_pci, whose functions those of rump/bounce.c stand before: it remembers what it
 * was given, and can refuse the next buffer.
 */

#include <stddef.h>

struct component {
	void *buffer;
	unsigned long size;
	unsigned int loads, syncs, unloads;
	int error; /* of the next load */
};

struct component *component(void);

#endif
