/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The device as net.c (control) and net_queue.c (data) share it. */

#include <linux/virtio_net.h>

#include <net/nic.h>

#include "net.h"
#include "virtio.h"

#define VIRTIO_NET_HEADER sizeof(struct virtio_net_hdr_v1)

/* Each descriptor has one buffer. All of them are with the device while the ring is in use. */
struct virtio_net_rx {
	struct virtio_ring ring;
	void **buffers;    /* by descriptor */
	unsigned int left; /* pieces of a frame that are still to come */
	unsigned int pieces_max;
	bool merges; /* the header says how many pieces there are */
	struct usrpci_pool *pool;
	const struct usrpci_ctx *ctx;
	uint64_t frames, bytes, dropped; /* another thread reads them */
};

struct virtio_net_tx {
	struct virtio_ring ring;
	void **buffers; /* by descriptor, and what it begins; NULL: it is free */
	uint16_t *next; /* the next descriptor of a chain */
	uint16_t *free; /* a stack of free descriptors */
	unsigned int free_count;
	struct usrpci_pool *pool;
	const struct usrpci_ctx *ctx;
	bool offload;           /* the program writes the header */
	unsigned int frame_max; /* the longest frame in one buffer */
	uint64_t frames, bytes;
};

struct virtio_net_pair {
	struct virtio_net_rx rx;
	struct virtio_net_tx tx;
};

struct virtio_net {
	struct virtio v;
	struct usrpci_pool *pool;
	struct virtio_net_pair *pairs;
	unsigned int count;     /* how many pairs are in use */
	unsigned int pairs_max; /* how many pairs the device has; the control queue follows them */
	struct virtio_ring control;
	struct usrpci_dma_block command;
	struct usrpci_nic_options options;
	uint64_t wanted; /* features */
	uint16_t mtu;
	bool offload, started;
	int poll; /* epoll of the vectors of queue 0 and of the configuration; -1 */
};

/* net_queue.c */

int virtio_net_rings_alloc(struct virtio_net *net);
void virtio_net_rings_free(struct virtio_net *net);

/* Tells the device about the rings of all pairs. */
int virtio_net_rings_start(struct virtio_net *net);

/* Fills the receive rings. Errors: -ENOMEM. */
int virtio_net_rings_fill(struct virtio_net *net);

/* Puts all buffers back in the pool; the device must not access memory any more. */
void virtio_net_rings_empty(struct virtio_net *net);

unsigned int virtio_net_receive(void *self, unsigned int queue, struct usrpci_nic_frame *frames,
				unsigned int n);
unsigned int virtio_net_transmit(void *self, unsigned int queue,
				 const struct usrpci_nic_frame *frames, unsigned int n);
unsigned int virtio_net_reclaim(void *self, unsigned int queue);
