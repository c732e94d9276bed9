/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_RUMP_FRAMES_H
#define USRPCI_CLI_RUMP_FRAMES_H

#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdint.h>

struct rump_symbol {
	const char *name;
	void **symbol;
};

/* Finds functions of the rump kernel. Returns 0, or -ENOENT, which is said. */
int rump_find(const struct rump_symbol *list, size_t count);

/*
 * Frames between one of NetBSD's network drivers and a TAP device: NetBSD's protocols do not see
 * them. The rump kernel has been started.
 *
 * frames_open() gives the TAP what the driver receives from now on, other stations' frames too.
 * Returns 0, or -ENOENT if the kernel lacks the interface or a function, which is said.
 */
int frames_open(const char *interface, int tap);

/*
 * Sends a frame of the TAP: what its header leaves to the card is done here. "frame" is changed.
 * Called by one thread, which is one of the kernel's.
 */
void frames_send(const struct virtio_net_hdr_v1 *header, uint8_t *frame, size_t size);

struct netbsd_mbuf;

/*
 * In the place of NetBSD's function: drivers call it for each frame that they received. No
 * interface is brought up before frames_open() is called.
 */
void rumpns_if_percpuq_enqueue(void *queue, struct netbsd_mbuf *frame);

#endif
