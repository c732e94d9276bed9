// SPDX-License-Identifier: BSD-2-Clause
/*
 * Moves frames between a network card and a TAP device. A card with offloads uses the same header
 * as the TAP, so frames of up to 64 KiB pass unchanged; for other cards the header is empty. One
 * thread serves one queue, and sleeps while there are no frames.
 */

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "commands/pump.h"

#define HEADER  ((size_t)sizeof(struct virtio_net_hdr_v1))
#define BATCH   32
#define STOCK   34 /* buffers that hold 64 KiB and the header */
#define FULL_MS 1  /* how long it waits when the ring is full */

struct pump {
	struct usrpci_nic *nic;
	const struct usrpci_nic_info *info;
	int tap;
	unsigned int stock_size;
	void *stock[STOCK]; /* buffers for the next frame; NULL: the pool was empty */

	struct usrpci_nic_frame out[BATCH + STOCK]; /* from the TAP, to be sent */
	unsigned int out_count;

	struct iovec in[USRPCI_NIC_PIECES_MAX + 1]; /* a frame from the card */
	void *in_data[USRPCI_NIC_PIECES_MAX];
	unsigned int in_count;
};

void pump_set_carrier(int tap, int up)
{
	ioctl(tap, TUNSETCARRIER, &up);
}

static int follow_link(struct pump *pump)
{
	struct usrpci_nic_link link;
	int error = usrpci_nic_link(pump->nic, &link);

	pump_set_carrier(pump->tap, link.up);
	return error;
}

static void set_offloads(const struct pump *pump)
{
	const struct usrpci_nic_info *info = pump->info;
	unsigned long offloads = info->offload_checksum ? TUN_F_CSUM : 0;

	if (info->offload_segments4)
		offloads |= TUN_F_TSO4;
	if (info->offload_segments6)
		offloads |= TUN_F_TSO6;
	ioctl(pump->tap, TUNSETOFFLOAD, offloads);
}

/* A frame is lost, as on any wire, when the TAP is down or full. */
static void give_frame(struct pump *pump)
{
	static uint8_t none[sizeof(struct virtio_net_hdr_v1)];
	unsigned int count = pump->in_count + 1;
	struct iovec *first = pump->in;

	if (pump->info->offload) {
		first++;
		count--;
		first->iov_base = (uint8_t *)first->iov_base - HEADER;
		first->iov_len += HEADER;
	} else {
		*first = (struct iovec){none, HEADER};
	}
	(void)!writev(pump->tap, first, (int)count);
	for (unsigned int i = 0; i < pump->in_count; i++)
		usrpci_nic_put(pump->nic, pump->in_data[i]);
	pump->in_count = 0;
}

static bool receive(struct pump *pump)
{
	struct usrpci_nic_frame frames[BATCH];
	unsigned int n = usrpci_nic_receive(pump->nic, 0, frames, BATCH);

	for (unsigned int i = 0; i < n; i++) {
		pump->in_data[pump->in_count] = frames[i].data;
		pump->in[++pump->in_count] = (struct iovec){frames[i].data, frames[i].size};
		if (!frames[i].more || pump->in_count == USRPCI_NIC_PIECES_MAX)
			give_frame(pump);
	}
	return n == BATCH;
}

static bool refill(struct pump *pump)
{
	for (unsigned int i = 0; i < pump->stock_size; i++) {
		if (!pump->stock[i])
			pump->stock[i] = usrpci_nic_get(pump->nic);
		if (!pump->stock[i])
			return false;
	}
	return true;
}

/* Reads a frame into the stock. Returns its size with the header, or 0 when there is none. */
static size_t read_frame(struct pump *pump)
{
	uint8_t header[sizeof(struct virtio_net_hdr_v1)];
	struct iovec parts[STOCK + 1];
	unsigned int count = 0;
	ssize_t size;

	if (!pump->info->offload)
		parts[count++] = (struct iovec){header, HEADER};
	for (unsigned int i = 0; i < pump->stock_size; i++)
		parts[count++] = (struct iovec){(uint8_t *)pump->stock[i] - pump->info->headroom,
						USRPCI_NIC_BUFFER_SIZE};
	size = readv(pump->tap, parts, (int)count);
	return size > (ssize_t)HEADER ? (size_t)size : 0;
}

/* A frame that is too long for the card is lost: the TAP's MTU was raised above the card's. */
static void queue_frame(struct pump *pump, size_t size)
{
	size_t left = size - (pump->info->offload ? 0 : HEADER);

	if (!pump->info->offload && left > pump->info->frame_max)
		return;
	for (unsigned int i = 0; left > 0; i++) {
		size_t part = left < USRPCI_NIC_BUFFER_SIZE ? left : USRPCI_NIC_BUFFER_SIZE;
		size_t skipped = i == 0 ? pump->info->headroom : 0;

		left -= part;
		pump->out[pump->out_count++] = (struct usrpci_nic_frame){
			.data = (uint8_t *)pump->stock[i] - (i == 0 ? 0 : pump->info->headroom),
			.size = (uint16_t)(part - skipped),
			.more = left > 0,
		};
		pump->stock[i] = NULL;
	}
}

static bool send_queued(struct pump *pump)
{
	unsigned int sent = usrpci_nic_transmit(pump->nic, 0, pump->out, pump->out_count);

	pump->out_count -= sent;
	memmove(pump->out, pump->out + sent, pump->out_count * sizeof(pump->out[0]));
	return pump->out_count == 0;
}

/* Returns whether there is more to do at once. */
static bool transmit(struct pump *pump)
{
	size_t size = 1;

	if (!send_queued(pump))
		return false;
	while (pump->out_count < BATCH && refill(pump) && (size = read_frame(pump)) > 0)
		queue_frame(pump, size);
	return send_queued(pump) && size > 0;
}

static int answer(int beat)
{
	char byte;

	return read(beat, &byte, 1) == 1 && write(beat, &byte, 1) == 1 ? 0 : -EPIPE;
}

static int wait_for_work(struct pump *pump, int beat)
{
	struct pollfd polls[] = {
		{.fd = usrpci_nic_irq_fd(pump->nic, 0), .events = POLLIN},
		{.fd = pump->out_count > 0 ? -1 : pump->tap, .events = POLLIN},
		{.fd = beat, .events = POLLIN},
	};
	int events = 0;

	if (poll(polls, 3, pump->out_count > 0 ? FULL_MS : -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (polls[2].revents && answer(beat))
		return -EPIPE;
	if (polls[0].revents)
		events = usrpci_nic_wait(pump->nic, 0, 0);
	if (events == -ETIMEDOUT || events == -EINTR)
		events = 0;
	if (events > 0 && events & USRPCI_NIC_LINK)
		return follow_link(pump);
	return events < 0 ? events : 0;
}

static int loop(struct pump *pump, int beat, const volatile sig_atomic_t *end)
{
	bool more;
	int error = follow_link(pump);

	if (!error && beat >= 0 && write(beat, "", 1) != 1)
		error = -EPIPE;
	while (!error && !*end) {
		do {
			more = receive(pump);
			more |= transmit(pump);
		} while (more && !*end);
		error = wait_for_work(pump, beat);
	}
	return error;
}

int pump_run(struct usrpci_dev *dev, int tap, int beat, const volatile sig_atomic_t *end)
{
	const char *why = NULL;
	struct usrpci_nic_options options = {
		.spare_buffers = 256,
		.promiscuous = true, /* what is stacked on the TAP can have other MAC addresses */
		.offload = true,
		.why = &why,
	};
	struct pump pump = {.tap = tap};
	int error = usrpci_nic_open(dev, &options, &pump.nic);

	if (error) {
		if (error == -ENOTSUP)
			fprintf(stderr, "usrpci: %s: %s\n", usrpci_dev_name(dev), why);
		return error;
	}
	pump.info = usrpci_nic_info(pump.nic);
	pump.stock_size = pump.info->offload ? STOCK : 1;
	set_offloads(&pump);
	error = usrpci_nic_start(pump.nic);
	if (!error)
		error = loop(&pump, beat, end);
	pump_set_carrier(tap, 0);
	usrpci_nic_close(pump.nic);
	return error;
}
