// SPDX-License-Identifier: BSD-2-Clause
/*
 * Moves frames between a network card and a TAP device. A card with offloads uses the same header
 * as the TAP, so frames of up to 64 KiB pass unchanged; what another card cannot do is done here.
 * One thread serves one queue of the card and one of the TAP, and sleeps while there are no frames.
 * Where the kernel has vhost-net, it copies them between the TAP and the card's buffers.
 */

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <usrpci/irq.h>

#include "pump/cut.h"
#include "pump/merge.h"
#include "pump/pump.h"
#include "pump/tap.h"
#include "pump/vhost.h"

#define HEADER  ((size_t)sizeof(struct virtio_net_hdr_v1))
#define BATCH   32
#define DIRECT  2    /* buffers that are not worth a thread of the kernel's */
#define STOCK   34   /* buffers that hold 64 KiB and the header */
#define SPARE   1024 /* buffers of a queue that are in no ring of the card's */
#define FULL_MS 1    /* how long it waits when the ring is full */
#define ROUNDS  64   /* batches after which it looks whether it is asked something */

struct pump {
	struct usrpci_nic *nic;
	const struct usrpci_nic_info *info;
	unsigned int queue;
	int tap;
	struct vhost *vhost; /* NULL: each frame is read and written here */
	bool vhost_takes;    /* frames of the TAP, which are read here otherwise */
	bool direct;         /* frames for the TAP are written here for now */
	bool woken;          /* it slept; no frame was taken since */
	int beat;            /* -1: none, or another thread answers */
	int report;          /* where a first frame is reported; -1: nowhere, or it was */
	const char *why;     /* it ends in vain; NULL: it does not */
	int wanted; /* readable when the kernel wants the card back; -1: it cannot say so */
	int ended;  /* an eventfd: readable when the threads are to end */
	const volatile sig_atomic_t *end;
	bool interrupted; /* by the card; not taken yet */
	int error;
	pthread_t thread;
	void *stock[STOCK];              /* buffers for the next frame; NULL: the pool was empty */
	struct virtio_net_hdr_v1 header; /* of a frame that was read for a card without headers */
	struct cut cut;                  /* a frame that is being cut for the card */

	struct usrpci_nic_frame out[BATCH + STOCK]; /* from the TAP, to be sent */
	unsigned int out_count;
	bool lost; /* a frame that was too long, and that was said */

	struct usrpci_nic_frame in[BATCH + USRPCI_NIC_PIECES_MAX]; /* from the card */
	unsigned int in_count;
};

static int follow_link(struct pump *pump)
{
	struct usrpci_nic_link link;
	int error = usrpci_nic_link(pump->nic, &link);

	tap_set_carrier(pump->tap, link.up);
	return error;
}

/* What the card cannot do is done here: it takes fewer instructions than in the kernel. */
static void set_offloads(const struct pump *pump)
{
	tap_set_offloads(pump->tap, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
}

/* A frame is lost, as on any wire, when the TAP is down or full. */
static void write_frame(struct pump *pump, struct virtio_net_hdr_v1 *header,
			const struct usrpci_nic_frame *pieces, unsigned int n)
{
	struct iovec parts[USRPCI_NIC_PIECES_MAX + 1] = {{header, HEADER}};

	for (unsigned int i = 0; i < n; i++)
		parts[i + 1] = (struct iovec){pieces[i].data, pieces[i].size};
	(void)!writev(pump->tap, parts, (int)n + 1);
	for (unsigned int i = 0; i < n; i++)
		usrpci_nic_put(pump->nic, pieces[i].data);
}

static void give_frame(struct pump *pump, struct virtio_net_hdr_v1 *header,
		       const struct usrpci_nic_frame *pieces, unsigned int n)
{
	if (pump->vhost && !pump->direct)
		vhost_give(pump->vhost, header, pieces, n);
	else
		write_frame(pump, header, pieces, n);
}

/* Returns the header that the card wrote before a frame, or NULL: it writes none. */
static struct virtio_net_hdr_v1 *header_of(const struct pump *pump,
					   const struct usrpci_nic_frame *frame)
{
	return pump->info->offload ? (void *)((uint8_t *)frame->data - HEADER) : NULL;
}

static void end_merge(struct pump *pump, struct merge *merge)
{
	struct virtio_net_hdr_v1 *header;

	if (merge->count == 0)
		return;
	merge_end(merge);
	header = header_of(pump, merge->pieces);
	if (header && merge->count > 1)
		*header = merge->header;
	give_frame(pump, header ? header : &merge->header, merge->pieces, merge->count);
	merge->count = 0;
}

/* A card that merges segments itself says so in the header, or has several pieces for a frame. */
static void merge_frame(struct pump *pump, struct merge *merge,
			const struct usrpci_nic_frame *pieces, unsigned int n)
{
	struct virtio_net_hdr_v1 *header = header_of(pump, pieces);
	bool alone = n > 1 || (header && (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ||
					  header->gso_type != VIRTIO_NET_HDR_GSO_NONE));

	if (!alone && merge->count > 0 && merge_add(merge, pieces))
		return;
	end_merge(pump, merge);
	if (alone)
		give_frame(pump, header, pieces, n);
	else
		merge_begin(merge, pieces);
}

/* Returns how many pieces belong to whole frames, which it gives the TAP. */
static unsigned int give_frames(struct pump *pump, unsigned int n)
{
	unsigned int first = 0;
	struct merge merge;

	merge.count = 0;
	for (unsigned int i = 0; i < n; i++) {
		if (pump->in[i].more && i + 1 - first < USRPCI_NIC_PIECES_MAX)
			continue;
		merge_frame(pump, &merge, pump->in + first, i + 1 - first);
		first = i + 1;
	}
	end_merge(pump, &merge);
	return first;
}

/* Each thread does so once. */
static void report_frame(struct pump *pump)
{
	const char frame = PUMP_FRAME;

	if (pump->report >= 0)
		(void)!write(pump->report, &frame, 1);
	pump->report = -1;
}

/*
 * The beginning of a frame whose end has not come yet is kept. A few buffers are written here: to
 * wake vhost-net's thread would take longer.
 */
static bool receive(struct pump *pump)
{
	unsigned int n, given;

	if (pump->vhost && !vhost_has_room(pump->vhost, 2 * (BATCH + USRPCI_NIC_PIECES_MAX)))
		return false;
	n = usrpci_nic_receive(pump->nic, pump->queue, pump->in + pump->in_count, BATCH);
	if (n > 0)
		report_frame(pump);
	pump->in_count += n;
	pump->direct = n <= DIRECT && pump->vhost && vhost_is_idle(pump->vhost);
	given = give_frames(pump, pump->in_count);
	pump->in_count -= given;
	memmove(pump->in, pump->in + given, pump->in_count * sizeof(pump->in[0]));
	return n == BATCH;
}

static bool refill(struct pump *pump)
{
	for (unsigned int i = 0; i < STOCK; i++) {
		if (!pump->stock[i])
			pump->stock[i] = usrpci_nic_get(pump->nic);
		if (!pump->stock[i])
			return false;
	}
	return true;
}

/* Reads a frame into the stock. Returns its bytes with the header, or 0 when there is none. */
static size_t read_stock(struct pump *pump)
{
	struct iovec parts[STOCK + 1];
	unsigned int count = 0;
	ssize_t size;

	if (!pump->info->offload)
		parts[count++] = (struct iovec){&pump->header, HEADER};
	for (unsigned int i = 0; i < STOCK; i++)
		parts[count++] = (struct iovec){(uint8_t *)pump->stock[i] - pump->info->headroom,
						USRPCI_NIC_BUFFER_SIZE};
	size = readv(pump->tap, parts, (int)count);
	return size > (ssize_t)HEADER ? (size_t)size : 0;
}

/* Reads a frame. Returns how many pieces it has; 0: there is none. */
static unsigned int read_frame(struct pump *pump, struct usrpci_nic_frame *pieces,
			       struct virtio_net_hdr_v1 **header)
{
	size_t left = refill(pump) ? read_stock(pump) : 0, skipped = pump->info->headroom;
	unsigned int count = 0;

	left -= left > 0 && !pump->info->offload ? HEADER : 0;
	for (; left > 0; count++, skipped = 0) {
		size_t part = left < USRPCI_NIC_BUFFER_SIZE ? left : USRPCI_NIC_BUFFER_SIZE;

		left -= part;
		pieces[count] = (struct usrpci_nic_frame){
			.data = (uint8_t *)pump->stock[count] - pump->info->headroom + skipped,
			.size = (uint16_t)(part - skipped),
			.more = left > 0,
		};
		pump->stock[count] = NULL;
	}
	if (count > 0)
		*header = header_of(pump, pieces) ?: &pump->header;
	return count;
}

static void put_all(const struct pump *pump, const struct usrpci_nic_frame *pieces, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		usrpci_nic_put(pump->nic, pieces[i].data);
}

/* The interface had this MTU under its kernel driver, or somebody has raised the TAP's. */
static void say_lost(struct pump *pump, size_t size)
{
	if (!pump->lost)
		fprintf(stderr,
			"usrpci: frames of %zu bytes are lost, since the card's driver sends %u at "
			"most: lower the interface's MTU to %u\n",
			size, pump->info->frame_max, pump->info->mtu);
	pump->lost = true;
}

/* Queues pieces that stand behind the queue. A card without headers takes no frame of several. */
static void queue(struct pump *pump, unsigned int n)
{
	const struct usrpci_nic_frame *pieces = pump->out + pump->out_count;
	size_t size = 0;

	for (unsigned int i = 0; i < n; i++)
		size += pieces[i].size;
	if (pump->info->offload || size <= pump->info->frame_max) {
		pump->out_count += n;
		return;
	}
	say_lost(pump, size);
	put_all(pump, pieces, n);
}

/* Cuts a part of the frame that was begun. Returns whether there were enough buffers. */
static bool cut_some(struct pump *pump)
{
	struct usrpci_nic_frame *pieces = pump->out + pump->out_count;
	unsigned int n = cut_pieces(&pump->cut), got = 0;

	while (got < n && (pieces[got].data = usrpci_nic_get(pump->nic)))
		got++;
	if (got < n) {
		put_all(pump, pieces, got);
		usrpci_nic_reclaim(pump->nic, pump->queue);
		return false;
	}
	cut_next(&pump->cut, pieces);
	if (pump->info->offload)
		memset(header_of(pump, pieces), 0, HEADER);
	queue(pump, n);
	if (pump->cut.left == 0)
		put_all(pump, pump->cut.pieces, pump->cut.count);
	return true;
}

static bool cuts_itself(const struct usrpci_nic_info *info, unsigned int type)
{
	if (type == VIRTIO_NET_HDR_GSO_TCPV4)
		return info->offload_segments4;
	return type == VIRTIO_NET_HDR_GSO_TCPV6 && info->offload_segments6;
}

/* Queues a frame of the TAP that stands behind the queue, or begins to cut it. */
static void queue_frame(struct pump *pump, struct virtio_net_hdr_v1 *header, unsigned int n)
{
	const struct usrpci_nic_frame *pieces = pump->out + pump->out_count;
	bool good = true;

	if (header->gso_type != VIRTIO_NET_HDR_GSO_NONE &&
	    !cuts_itself(pump->info, header->gso_type)) {
		if (!cut_begin(&pump->cut, header, pieces, n, pump->info->headroom))
			put_all(pump, pieces, n);
		return;
	}
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && !pump->info->offload_checksum) {
		good = cut_checksum(header, pieces, n);
		header->flags = 0;
	}
	header->num_buffers = 0;
	if (good)
		queue(pump, n);
	else
		put_all(pump, pieces, n);
}

static bool send_queued(struct pump *pump)
{
	unsigned int sent = usrpci_nic_transmit(pump->nic, pump->queue, pump->out, pump->out_count);

	if (sent > 0)
		report_frame(pump);
	pump->out_count -= sent;
	memmove(pump->out, pump->out + sent, pump->out_count * sizeof(pump->out[0]));
	return pump->out_count == 0;
}

/*
 * Fills the queue; after a sleep with one frame, for which somebody may wait. Returns whether there
 * may be more.
 */
static bool take_frames(struct pump *pump)
{
	unsigned int most = pump->woken ? 1 : BATCH;
	struct virtio_net_hdr_v1 *header;

	pump->woken = false;
	while (pump->out_count < most) {
		struct usrpci_nic_frame *pieces = pump->out + pump->out_count;
		unsigned int n;

		if (pump->cut.left > 0) {
			if (!cut_some(pump))
				return true;
			continue;
		}
		n = pump->vhost_takes ? vhost_take(pump->vhost, pieces, &header)
				      : read_frame(pump, pieces, &header);
		if (n == 0)
			return false;
		queue_frame(pump, header, n);
	}
	return true;
}

/* Returns whether there is more to do at once. */
static bool transmit(struct pump *pump)
{
	bool more;

	if (!send_queued(pump))
		return false;
	more = take_frames(pump);
	return send_queued(pump) && more;
}

static int answer(int beat)
{
	char byte;

	return read(beat, &byte, 1) == 1 && write(beat, &byte, 1) == 1 ? 0 : -EPIPE;
}

static int choose_wait(const struct pump *pump, bool more)
{
	if (more)
		return 0;
	return pump->out_count > 0 ? FULL_MS : -1;
}

/*
 * Frames come first: under uio it takes the broker's help to enable an interrupt again, and while
 * there are frames nobody needs it.
 */
static int take_interrupt(struct pump *pump)
{
	int events = usrpci_nic_wait(pump->nic, pump->queue, 0);

	pump->interrupted = false;
	if (events == -ETIMEDOUT || events == -EINTR)
		return 0;
	if (events > 0 && events & USRPCI_NIC_LINK)
		return follow_link(pump);
	return events < 0 ? events : 0;
}

/* No other driver can do better. */
static int end_in_vain(struct pump *pump, const char *why)
{
	pump->why = why;
	return -ESHUTDOWN;
}

static int wait_for_work(struct pump *pump, bool more)
{
	bool reads = !pump->vhost_takes && pump->out_count == 0;
	struct pollfd polls[] = {
		{.fd = pump->interrupted ? -1 : usrpci_nic_irq_fd(pump->nic, pump->queue),
		 .events = POLLIN},
		{.fd = pump->tap, .events = reads ? POLLIN : 0},
		{.fd = pump->ended, .events = POLLIN},
		{.fd = pump->beat, .events = POLLIN},
		{.fd = pump->vhost ? vhost_event(pump->vhost) : -1, .events = POLLIN},
		{.fd = pump->wanted, .events = POLLIN},
	};
	eventfd_t count;

	if (pump->interrupted && !more)
		return take_interrupt(pump);
	pump->woken = !more;
	if (poll(polls, 6, choose_wait(pump, more)) < 0)
		return errno == EINTR ? 0 : -errno;
	if (polls[2].revents)
		return -ECANCELED;
	if (polls[1].revents & POLLERR)
		return end_in_vain(pump, "its TAP device was deleted");
	if (polls[5].revents)
		return end_in_vain(pump, "the kernel wants the card back, as for an unplug");
	if (polls[3].revents && answer(pump->beat))
		return -EPIPE;
	if (polls[4].revents)
		eventfd_read(polls[4].fd, &count);
	pump->interrupted |= polls[0].revents != 0;
	return 0;
}

/* Moves frames while there are any, which on a busy wire is always. */
static int move(struct pump *pump, bool *more)
{
	int error = 0;

	*more = true;
	for (unsigned int i = 0; i < ROUNDS && *more && !*pump->end && !error; i++) {
		*more = receive(pump);
		*more |= transmit(pump);
		error = pump->vhost ? vhost_publish(pump->vhost) : 0;
	}
	return error;
}

/* The first failure ends all threads. */
static void *pump_serve(void *data)
{
	struct pump *pump = data;
	bool more;

	while (!pump->error && !*pump->end)
		pump->error = move(pump, &more) ?: wait_for_work(pump, more);
	eventfd_write(pump->ended, 1);
	return NULL;
}

/* Signals are for the first thread, which is the caller's. */
static int start_others(struct pump *pumps, unsigned int count, unsigned int *started)
{
	sigset_t all, before;
	int error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (*started = 1; *started < count && !error; *started += !error) {
		struct pump *pump = &pumps[*started];

		error = -pthread_create(&pump->thread, NULL, pump_serve, pump);
		if (!error)
			pthread_setname_np(pump->thread, "usrpci-queue");
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static int pump_all(struct pump *pumps, unsigned int count)
{
	unsigned int started = 1;

	pumps->error = follow_link(pumps) ?: start_others(pumps, count, &started);
	if (!pumps->error && pumps->beat >= 0 && write(pumps->beat, "", 1) != 1)
		pumps->error = -EPIPE;
	pump_serve(pumps);
	for (unsigned int i = 1; i < started; i++) {
		pthread_join(pumps[i].thread, NULL);
		if (pumps->error == -ECANCELED || !pumps->error)
			pumps->error = pumps[i].error;
	}
	return pumps->error == -ECANCELED ? 0 : pumps->error;
}

/*
 * Where there is no vhost-net, frames pass through this process. So do those that are cut here: to
 * read 64 KiB at once takes fewer instructions than the kernel needs for their many buffers.
 */
static void start_vhost(struct pump *pump, struct usrpci_ctx *ctx)
{
	int file = usrpci_ctx_open_file(ctx, VHOST_FILE), error = file < 0 ? file : 0;
	bool takes = pump->info->offload_segments4;

	if (!error)
		error = vhost_start(file, pump->tap, pump->nic, takes, &pump->vhost);
	pump->vhost_takes = !error && takes;
	if (error && error != -ENOENT && error != -EACCES)
		fprintf(stderr, "usrpci: " VHOST_FILE " is not used: %s\n", strerror(-error));
}

/* Under vfio the kernel waits for us before it lets a card go. Returns a descriptor, or -1. */
static int hear_of_unplug(struct usrpci_dev *dev)
{
	int fd = -1;

	if (usrpci_irq_count(dev, USRPCI_IRQ_REQUEST) > 0 &&
	    !usrpci_irq_enable(dev, USRPCI_IRQ_REQUEST, 1))
		fd = usrpci_irq_fd(dev, USRPCI_IRQ_REQUEST, 0);
	return fd < 0 ? -1 : fd;
}

static void say_why(const char *name, const struct pump *pumps, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		if (!pumps[i].why)
			continue;
		fprintf(stderr, "usrpci: %s: %s\n", name, pumps[i].why);
		return;
	}
}

static int start(struct usrpci_dev *dev, struct usrpci_nic *nic, const struct pump_options *options)
{
	const struct usrpci_nic_info *info = usrpci_nic_info(nic);
	unsigned int count = info->queues < options->count ? info->queues : options->count;
	struct pump *pumps = calloc(count, sizeof(*pumps));
	int ended = eventfd(0, EFD_CLOEXEC), error = pumps && ended >= 0 ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < options->count; i++)
		tap_attach(options->taps[i], i < count);
	for (unsigned int i = 0; i < count && !error; i++)
		pumps[i] = (struct pump){
			.nic = nic,
			.info = info,
			.queue = i,
			.tap = options->taps[i],
			.beat = i == 0 ? options->beat : -1,
			.report = options->beat,
			.wanted = i == 0 ? hear_of_unplug(dev) : -1,
			.ended = ended,
			.end = options->end,
		};
	if (!error) {
		set_offloads(pumps);
		for (unsigned int i = 0; i < count; i++)
			start_vhost(&pumps[i], usrpci_dev_ctx(dev));
		error = usrpci_nic_start(nic) ?: pump_all(pumps, count);
		if (error == -ESHUTDOWN)
			say_why(usrpci_dev_name(dev), pumps, count);
		tap_set_carrier(options->taps[0], 0);
		for (unsigned int i = 0; i < count; i++)
			vhost_stop(pumps[i].vhost);
	}
	if (ended >= 0)
		close(ended);
	free(pumps);
	return error;
}

/*
 * The interface can have had a longer one under its kernel driver, and then it stays there. A TAP
 * that serves already can have got one since.
 */
static int check_mtu(const char *name, const struct usrpci_nic_info *info,
		     const struct pump_options *options)
{
	unsigned int mtu = tap_mtu(options->taps[0]);

	if (info->offload || mtu == 0 || mtu + ETH_HLEN <= info->frame_max)
		return 0;
	fprintf(stderr,
		"usrpci: %s: the interface's MTU is %u, and its driver can send no frame of more "
		"than %u bytes%s: lower it to %u\n",
		name, mtu, info->frame_max, options->goes_on ? ", so longer ones are lost" : "",
		info->mtu);
	return options->goes_on ? 0 : -EMSGSIZE;
}

/* Without a vector for each queue, and one more, a card has one queue: its buffers are enough. */
static unsigned int count_queues(struct usrpci_dev *dev, unsigned int most)
{
	int vectors = usrpci_irq_count(dev, USRPCI_IRQ_MSIX);
	unsigned int queues = vectors > 1 ? (unsigned int)vectors - 1 : 1;

	return queues < most ? queues : most;
}

int pump_run(struct usrpci_dev *dev, const struct pump_options *options)
{
	unsigned int queues = count_queues(dev, options->count);
	const char *why = NULL;
	struct usrpci_nic_options card = {
		.spare_buffers = SPARE * queues,
		.queues = queues,
		.promiscuous = true, /* what is stacked on the TAP can have other MAC addresses */
		.offload = true,
		.why = &why,
	};
	struct usrpci_nic *nic;
	int error = usrpci_nic_open(dev, &card, &nic);

	if (error) {
		if (error == -ENOTSUP)
			fprintf(stderr, "usrpci: %s: %s\n", usrpci_dev_name(dev), why);
		return error;
	}
	error = check_mtu(usrpci_dev_name(dev), usrpci_nic_info(nic), options)
			?: start(dev, nic, options);
	usrpci_nic_close(nic);
	return error;
}
