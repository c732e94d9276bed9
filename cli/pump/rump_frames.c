// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes frames from NetBSD's network drivers, and gives them frames, without NetBSD's protocols.
 *
 * A driver hands each frame that it receives to if_percpuq_enqueue() of sys/net/if.c, which would
 * wake a thread. The dynamic linker finds the function of that name here first; so the frames of an
 * interrupt go to the TAP device together, from where the card wrote them. A bpf(4) between driver
 * and TAP would copy them twice, and wake two threads.
 *
 * Not done: a card's own offloads; how NetBSD's drivers are told of them differs between releases.
 */

#include <dlfcn.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include <usrpci/rump.h>

#include "pump/cut.h"
#include "pump/merge.h"
#include "pump/rump_frames.h"

#define HEADER      sizeof(struct virtio_net_hdr_v1)
#define BATCH       64
#define SEGMENT_MAX (64u << 10)
#define FULL_TRIES  50
#define FULL_US     200 /* how long it waits when the card's queue is full */

/* Where NetBSD's struct mbuf begins, on 64-bit machines (sys/sys/mbuf.h). */
struct netbsd_mbuf {
	struct netbsd_mbuf *next, *next_packet;
	uint8_t *data;
	void *owner;
	int size, flags;
};

static struct {
	void (*schedule)(void), (*unschedule)(void);
	void (*lock)(int count), (*unlock)(int count, int *counted);
	void *(*find)(const char *name);
	int (*make_promiscuous)(void *interface, int how);
	struct netbsd_mbuf *(*make)(const void *data, int size, int offset, void *interface,
				    void *copy);
	int (*enqueue)(void *interface, struct netbsd_mbuf *frame);
	void (*free)(struct netbsd_mbuf *frame);
} kernel;

static void *card;
static int tap = -1;

/* What this thread has received. */
static _Thread_local struct {
	struct netbsd_mbuf *frames[BATCH];
	unsigned int count;
	bool waits; /* for the end of an interrupt */
} got;

int rump_find(const struct rump_symbol *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		*list[i].symbol = dlsym(RTLD_DEFAULT, list[i].name);
		if (!*list[i].symbol) {
			fprintf(stderr, "usrpci: this rump kernel has no %s\n", list[i].name);
			return -ENOENT;
		}
	}
	return 0;
}

static int find_symbols(void)
{
	const struct rump_symbol list[] = {
		{"rump_schedule", (void **)&kernel.schedule},
		{"rump_unschedule", (void **)&kernel.unschedule},
		{"rumpns__kernel_lock", (void **)&kernel.lock},
		{"rumpns__kernel_unlock", (void **)&kernel.unlock},
		{"rumpns_ifunit", (void **)&kernel.find},
		{"rumpns_ifpromisc", (void **)&kernel.make_promiscuous},
		{"rumpns_m_devget", (void **)&kernel.make},
		{"rumpns_ifq_enqueue", (void **)&kernel.enqueue},
		{"rumpns_m_freem", (void **)&kernel.free},
	};

	return rump_find(list, sizeof(list) / sizeof(*list));
}

/* A frame is lost, as on any wire, when the TAP is down or full. */
static void give(struct merge *merge)
{
	struct iovec parts[USRPCI_NIC_PIECES_MAX + 1] = {{&merge->header, HEADER}};

	if (merge->count == 0)
		return;
	merge_end(merge);
	for (unsigned int i = 0; i < merge->count; i++)
		parts[i + 1] = (struct iovec){merge->pieces[i].data, merge->pieces[i].size};
	(void)!writev(tap, parts, (int)merge->count + 1);
	merge->count = 0;
}

/* A frame of several buffers is given as it is. */
static void give_chain(const struct netbsd_mbuf *frame)
{
	struct virtio_net_hdr_v1 header = {0};
	struct iovec parts[USRPCI_NIC_PIECES_MAX + 1] = {{&header, HEADER}};
	int n = 1;

	for (; frame && n <= USRPCI_NIC_PIECES_MAX; frame = frame->next)
		parts[n++] = (struct iovec){frame->data, (size_t)frame->size};
	if (!frame)
		(void)!writev(tap, parts, n);
}

static void add(struct merge *merge, const struct netbsd_mbuf *frame)
{
	struct usrpci_nic_frame whole = {frame->data, (uint16_t)frame->size, false};

	if (frame->next || frame->size > UINT16_MAX) {
		give(merge);
		give_chain(frame);
	} else if (merge->count == 0 || !merge_add(merge, &whole)) {
		give(merge);
		merge_begin(merge, &whole);
	}
}

static void give_all(void)
{
	struct merge merge = {.count = 0};

	for (unsigned int i = 0; i < got.count; i++)
		add(&merge, got.frames[i]);
	give(&merge);
	for (unsigned int i = 0; i < got.count; i++)
		kernel.free(got.frames[i]);
	got.count = 0;
}

/* Only threads that call this have a moment at which a batch is complete. */
static void end_interrupt(void)
{
	got.waits = true;
	give_all();
}

void rumpns_if_percpuq_enqueue(void *queue, struct netbsd_mbuf *frame)
{
	(void)queue;
	got.frames[got.count++] = frame;
	if (!got.waits || got.count == BATCH)
		give_all();
}

/* NetBSD's drivers may need the lock that its bpf(4) takes too. */
static void enter(void)
{
	kernel.schedule();
	kernel.lock(1);
}

static void leave(void)
{
	kernel.unlock(1, NULL);
	kernel.unschedule();
}

int frames_open(const char *interface, int to)
{
	int error = find_symbols();

	if (error)
		return error;
	tap = to;
	enter();
	card = kernel.find(interface);
	error = card ? kernel.make_promiscuous(card, 1) : 0;
	leave();
	if (card && !error) {
		usrpci_rump_after_interrupt(end_interrupt);
		return 0;
	}
	fprintf(stderr, "usrpci: %s: %s\n", interface,
		card ? "its driver cannot receive frames of other stations"
		     : "the driver has not found its card");
	return -EIO;
}

/* Returns whether the card's queue took it. */
static bool enqueue(const uint8_t *data, unsigned int size)
{
	struct netbsd_mbuf *frame = kernel.make(data, (int)size, 0, card, NULL);

	return frame && !kernel.enqueue(card, frame);
}

/*
 * A full queue is the card's: the frame is worth some waiting, as in pump.c. A card without a link
 * keeps its queue full.
 */
static void send_segment(const uint8_t *data, unsigned int size)
{
	for (unsigned int i = 0; i < FULL_TRIES && !enqueue(data, size); i++) {
		leave();
		usleep(FULL_US);
		enter();
	}
}

/* Cuts a frame of the TAP; the buffers of a segment follow each other. */
static void send_segments(struct cut *cut)
{
	static uint8_t segment[USRPCI_NIC_PIECES_MAX * USRPCI_NIC_BUFFER_SIZE];
	struct usrpci_nic_frame pieces[USRPCI_NIC_PIECES_MAX];

	while (cut_pieces(cut) > 0) {
		for (unsigned int i = 0; i < USRPCI_NIC_PIECES_MAX; i++)
			pieces[i].data = segment + (size_t)i * USRPCI_NIC_BUFFER_SIZE;
		send_segment(segment, cut_next(cut, pieces));
	}
}

void frames_send(const struct virtio_net_hdr_v1 *header, uint8_t *frame, size_t size)
{
	const struct usrpci_nic_frame pieces[] = {
		{frame, (uint16_t)(size < SEGMENT_MAX / 2 ? size : SEGMENT_MAX / 2), true},
		{frame + SEGMENT_MAX / 2, (uint16_t)(size - SEGMENT_MAX / 2), false},
	};
	unsigned int n = size > SEGMENT_MAX / 2 ? 2 : 1;
	bool checksum = header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	struct cut cut;

	if (header->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		if (!cut_begin(&cut, header, pieces, n, 0))
			return;
		enter();
		send_segments(&cut);
		leave();
	} else if (!checksum || cut_checksum(header, pieces, n)) {
		enter();
		send_segment(frame, (unsigned int)size);
		leave();
	}
}
