/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_VHOST_H
#define USRPCI_CLI_VHOST_H

/*
 * The kernel's vhost-net (<linux/vhost.h>; Virtio 1.2, 2.7 and 5.1.6): a thread of the kernel
 * copies frames between a queue of a TAP device and the card's buffers, which both find in two
 * rings in this process. No frame costs a system call here.
 *
 * The kernel is trusted, but what it writes in the rings is checked.
 */

#include <linux/virtio_net.h>

#include <usrpci/nic.h>

#define VHOST_FILE   "/dev/vhost-net"
#define VHOST_PIECES 34 /* buffers that hold 64 KiB and the header */

struct vhost;

/*
 * Connects a queue of a TAP device with the buffers of a card that is not started yet. file is an
 * open /dev/vhost-net, which then belongs to vhost, even when this fails. "takes" says whether it
 * is to take what the TAP sends, too. Returns 0 or a negative errno: -EOPNOTSUPP (an old kernel).
 */
int vhost_start(int file, int tap, struct usrpci_nic *nic, bool takes, struct vhost **result);

/* Ends the kernel's use of the buffers, and forgets them; NULL does nothing. */
void vhost_stop(struct vhost *vhost);

/* Readable when the kernel has moved frames. */
int vhost_event(const struct vhost *vhost);

/*
 * Takes a frame that the TAP has sent, in VHOST_PIECES buffers at most, which then belong to the
 * caller, and stores where the frame's header is in them. Returns how many; 0 when there is no
 * frame: then an event announces the next one.
 */
unsigned int vhost_take(struct vhost *vhost, struct usrpci_nic_frame *pieces,
			struct virtio_net_hdr_v1 **header);

/* Returns whether the TAP has all frames that it was given: another way to it overtakes none. */
bool vhost_is_idle(struct vhost *vhost);

/* Returns whether a frame of n pieces can be given; if not, an event announces that it can. */
bool vhost_has_room(struct vhost *vhost, unsigned int n);

/*
 * Gives the TAP a frame; there must be room. The buffers go back to the card later. The header is
 * for cards that write none: it is put behind the first piece, which begins its buffer.
 */
void vhost_give(struct vhost *vhost, const struct virtio_net_hdr_v1 *header,
		const struct usrpci_nic_frame *pieces, unsigned int n);

/*
 * Tells the kernel of what was given, and of buffers for what the TAP sends. Returns 0, or -EPROTO
 * when the kernel wrote what cannot be.
 */
int vhost_publish(struct vhost *vhost);

#endif
