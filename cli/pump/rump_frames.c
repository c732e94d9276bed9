// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes frames from NetBSD's network drivers, and gives them frames, without NetBSD's protocols.
 *
 * A driver hands each frame that it receives to if_percpuq_enqueue() of sys/net/if.c, which would
 * wake a thread. The dynamic linker finds the function of that name here first; so the frames of an
 * interrupt go to the TAP device together, from where the card wrote them. A bpf(4) between driver
 * and TAP would copy them twice, and wake two threads.
 *
 * Long segments of the TAP are read into buffers of the card's, which cuts them if its driver can.
 * Not done: a card's other offloads, whose work is little beside that.
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
#include "pump/netbsd_mbuf.h"
#include "pump/rump_frames.h"
#include "pump/tcp.h"

#define HEADER     sizeof(struct virtio_net_hdr_v1)
#define BATCH      64
#define STOCK      34 /* buffers that hold a frame of 64 KiB */
#define STOCK_SIZE (STOCK * USRPCI_NIC_BUFFER_SIZE)
#define FULL_TRIES 50
#define FULL_US    200 /* how long it waits when the card's queue is full */

static struct {
	void (*schedule)(void), (*unschedule)(void);
	void (*lock)(int count), (*unlock)(int count, int *counted);
	void *(*find)(const char *name);
	int (*make_promiscuous)(void *interface, int how);
	struct netbsd_mbuf *(*make)(const void *data, int size, int offset, void *interface,
				    void (*copy)(const void *from, void *to, size_t size));
	int (*enqueue)(void *interface, struct netbsd_mbuf *frame);
	void (*free)(struct netbsd_mbuf *frame);
} kernel;

static void *card;
static int tap = -1;
static struct frames_offloads offloads;

/* Buffers for the next frame of the TAP, those of one packet. */
static struct netbsd_mbuf *stock;
static unsigned int stock_size;

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

int frames_open(const char *interface, int to, struct frames_offloads of_card)
{
	int error = find_symbols();

	if (error)
		return error;
	tap = to;
	offloads = of_card;
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

/* NetBSD's function would copy something; the frame is read into its buffers instead. */
static void copy_nothing(const void *from, void *to, size_t size)
{
	(void)from;
	(void)to;
	(void)size;
}

/* Returns whether the stock is complete. What is asked for fills whole buffers of NetBSD's. */
static bool refill(void)
{
	static const uint8_t nothing[STOCK_SIZE];
	unsigned int missing = STOCK_SIZE - stock_size;
	struct netbsd_mbuf *new, *last;

	if (missing == 0)
		return true;
	new = kernel.make(nothing, (int)missing, 0, card, copy_nothing);
	if (!new)
		return false;
	if (new->packet_size != (int)missing)
		offloads = (struct frames_offloads){0}; /* this release has another struct mbuf */
	for (last = new; last->next;)
		last = last->next;
	last->next = stock;
	stock = new;
	stock_size = STOCK_SIZE;
	return true;
}

/* Splits the buffers of a frame off the stock. */
static struct netbsd_mbuf *take(unsigned int size)
{
	struct netbsd_mbuf *frame = stock, *last = stock;

	frame->packet_size = (int)size;
	for (; size > (unsigned int)last->size; last = last->next) {
		size -= (unsigned int)last->size;
		stock_size -= (unsigned int)last->size;
	}
	stock_size -= (unsigned int)last->size;
	stock = last->next;
	last->size = (int)size;
	last->next = NULL;
	return frame;
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

/* The card adds to the checksum of IP's header what stands there; its driver writes the others. */
static void send_uncut(const struct cut *cut, unsigned int size)
{
	struct netbsd_mbuf *frame = take(size);

	frame->offloads = cut->is_ipv6 ? NETBSD_TSO6 : NETBSD_TSO4;
	frame->checksum = (cut->tcp - cut->ip) << 16 | TCP_CHECKSUM;
	frame->segment = cut->segment;
	if (!cut->is_ipv6)
		put16(frame->data + cut->ip + IPV4_CHECKSUM, 0);
	kernel.enqueue(card, frame);
	refill();
}

/* NetBSD's drivers know where IP begins without a VLAN's tag alone. */
static bool card_cuts(const struct cut *cut)
{
	return cut->ip == ETH_HLEN && (cut->is_ipv6 ? offloads.tso6 : offloads.tso4);
}

static void send_long(const struct virtio_net_hdr_v1 *header, const struct usrpci_nic_frame *pieces,
		      unsigned int n, unsigned int size)
{
	struct cut cut;

	if (!cut_begin(&cut, header, pieces, n, 0))
		return;
	enter();
	if (card_cuts(&cut))
		send_uncut(&cut, size);
	else
		send_segments(&cut);
	leave();
}

static void send_short(const struct virtio_net_hdr_v1 *header,
		       const struct usrpci_nic_frame *pieces, unsigned int n, unsigned int size)
{
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && !cut_checksum(header, pieces, n))
		return;
	enter();
	if (n == 1) {
		send_segment(pieces->data, size);
	} else {
		kernel.enqueue(card, take(size));
		refill();
	}
	leave();
}

/* Reads a frame into the stock. Returns its bytes, or 0 if there is none. */
static unsigned int read_frame(struct virtio_net_hdr_v1 *header, struct usrpci_nic_frame *pieces,
			       unsigned int *n)
{
	struct iovec parts[STOCK + 1] = {{header, HEADER}};
	unsigned int count = 0, left;
	ssize_t size;

	for (struct netbsd_mbuf *one = stock; one && count < STOCK; one = one->next)
		parts[++count] = (struct iovec){one->data, (size_t)one->size};
	size = readv(tap, parts, (int)count + 1);
	if (size <= (ssize_t)HEADER)
		return 0;
	left = (unsigned int)(size - (ssize_t)HEADER);
	for (*n = 0; left > 0; left -= pieces[(*n)++].size)
		pieces[*n] = (struct usrpci_nic_frame){
			.data = parts[*n + 1].iov_base,
			.size = (uint16_t)(left < parts[*n + 1].iov_len ? left
									: parts[*n + 1].iov_len),
		};
	return (unsigned int)(size - (ssize_t)HEADER);
}

/* When the card has all of the kernel's buffers, frames wait in the TAP until it is done. */
static bool complete_stock(void)
{
	bool complete;

	if (stock_size == STOCK_SIZE)
		return true;
	enter();
	complete = refill();
	leave();
	if (!complete)
		usleep(FULL_US);
	return complete;
}

bool frames_send(void)
{
	struct usrpci_nic_frame pieces[STOCK];
	struct virtio_net_hdr_v1 header;
	unsigned int n, size;

	while (!complete_stock())
		;
	size = read_frame(&header, pieces, &n);
	if (size == 0)
		return false;
	if (header.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		send_short(&header, pieces, n, size);
	else
		send_long(&header, pieces, n, size);
	return true;
}
