/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_CUT_H
#define USRPCI_CLI_CUT_H

/*
 * A TAP sends TCP segments of up to 64 KiB, and leaves checksums out, for cards that do the rest
 * (Virtio 1.2, 5.1.6.2). For a card that cannot, it is done here: so the kernel handles such a
 * frame once and not forty times.
 */

#include <linux/virtio_net.h>

#include <usrpci/nic.h>

/* A frame that is being cut. */
struct cut {
	struct usrpci_nic_frame pieces[USRPCI_NIC_PIECES_MAX]; /* they belong to the caller */
	unsigned int count;
	unsigned int piece, offset; /* where the next segment's data begin */
	unsigned int headroom;
	uint32_t left; /* bytes of data */
	bool is_ipv6;
	unsigned int ip, tcp, headers; /* where they begin; bytes before the data */
	unsigned int segment, number;
};

/*
 * Begins to cut a frame of n pieces; headroom is what every buffer but the first of a frame has
 * too. Returns false when its header says what cannot be.
 */
bool cut_begin(struct cut *cut, const struct virtio_net_hdr_v1 *header,
	       const struct usrpci_nic_frame *pieces, unsigned int n, unsigned int headroom);

/* How many buffers the next segment needs; 0: there is none. */
unsigned int cut_pieces(const struct cut *cut);

/*
 * Makes the next segment of so many buffers: "data" of each is where usrpci_nic_get() says that a
 * frame begins. Returns its bytes.
 */
unsigned int cut_next(struct cut *cut, struct usrpci_nic_frame *pieces);

/*
 * Writes the checksum that the header asks for into a frame of n pieces. Returns false when its
 * place cannot be.
 */
bool cut_checksum(const struct virtio_net_hdr_v1 *header, const struct usrpci_nic_frame *pieces,
		  unsigned int n);

#endif
