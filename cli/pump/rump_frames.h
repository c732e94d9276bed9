/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_RUMP_FRAMES_H
#define USRPCI_CLI_RUMP_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

struct rump_symbol {
	const char *name;
	void **symbol;
};

/* Finds functions of the rump kernel. Returns 0, or -ENOENT, which is said. */
int rump_find(const struct rump_symbol *list, size_t count);

/* What the card does, and its driver was told to do: cut long segments over IPv4 and over IPv6. */
struct frames_offloads {
	bool tso4, tso6;
};

/*
 * Frames between one of NetBSD's network drivers and a TAP device: NetBSD's protocols do not see
 * them. The rump kernel has been started.
 *
 * frames_open() gives the TAP what the driver receives from now on, other stations' frames too.
 * Returns 0, or -ENOENT if the kernel lacks the interface or a function, which is said.
 */
int frames_open(const char *interface, int tap, struct frames_offloads offloads);

/*
 * Sends the next frame of the TAP: what its header leaves to the card is done here, or by the card.
 * Returns whether there was one. Called by one thread, which is one of the kernel's.
 */
bool frames_send(void);

struct netbsd_mbuf;

/*
 * In the place of NetBSD's function: drivers call it for each frame that they received. No
 * interface is brought up before frames_open() is called.
 */
void rumpns_if_percpuq_enqueue(void *queue, struct netbsd_mbuf *frame);

#endif
