/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_MERGE_H
#define USRPCI_CLI_MERGE_H

/*
 * Received TCP segments that follow each other become one frame, as the kernel's drivers merge them
 * (GRO), so that the kernel handles a frame once and not forty times. Only segments that were
 * received together are merged: no frame waits for another one.
 */

#include <linux/virtio_net.h>

#include <usrpci/nic.h>

struct merge {
	struct virtio_net_hdr_v1 header;
	struct usrpci_nic_frame pieces[USRPCI_NIC_PIECES_MAX];
	unsigned int count;
	/* What follows is about the first frame, if it is a segment. */
	bool open; /* another segment can follow */
	bool is_ipv6, pushed;
	uint16_t headers, segment; /* bytes */
	uint32_t next;             /* the sequence number that would follow */
	uint32_t size;             /* bytes of the frame */
};

/* Begins with a frame of one buffer, whatever it is. */
void merge_begin(struct merge *merge, const struct usrpci_nic_frame *frame);

/* Adds a frame of one buffer if it continues the first one. Returns whether it did. */
bool merge_add(struct merge *merge, const struct usrpci_nic_frame *frame);

/* Makes the first piece's headers, and "header", those of the merged frame. */
void merge_end(struct merge *merge);

#endif
