// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control of virtio-net devices: features, MAC address, MTU, link, control queue, start and stop,
 * interrupts: Virtio 1.2, 5.1.
 *
 * Not supported: packed virtqueues, receive-side scaling and hash reports, notification coalescing,
 * VLAN and MAC filters, fragmentation of UDP.
 */

#include <errno.h>
#include <linux/if_ether.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "deadline.h"
#include "net_private.h"

#define COMMAND_MS   1000
#define DRAIN_MS     100
#define MTU_DEFAULT  1500
#define CONFIG(name) offsetof(struct virtio_net_config, name)

static bool net_matches(const struct usrpci_dev_info *info)
{
	return virtio_matches(info, VIRTIO_TYPE_NET);
}

static int set_options(struct virtio_net *net, const struct usrpci_nic_options *options)
{
	int error = nic_options(options, &net->options);

	return net->options.irq == USRPCI_NIC_IRQ_MSI ? -EINVAL : error;
}

static uint64_t offered(const struct virtio_net *net, unsigned int feature)
{
	return net->v.offered & VIRTIO_BIT(feature);
}

/* Features that depend on each other are taken together: 5.1.3.1. */
static void want_offloads(struct virtio_net *net)
{
	const uint64_t segments = VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) |
				  VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6);
	const uint64_t merged = VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) |
				VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6);

	if (offered(net, VIRTIO_NET_F_CSUM))
		net->wanted |= VIRTIO_BIT(VIRTIO_NET_F_CSUM) | segments;
	if (offered(net, VIRTIO_NET_F_GUEST_CSUM))
		net->wanted |= VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM);
	if (offered(net, VIRTIO_NET_F_GUEST_CSUM) && offered(net, VIRTIO_NET_F_MRG_RXBUF))
		net->wanted |= merged;
}

/* A frame of the MTU must fit in the buffers that we give: 5.1.4.2. */
static int want_mtu(struct virtio_net *net)
{
	bool pieces = net->offload && offered(net, VIRTIO_NET_F_MRG_RXBUF);
	uint64_t mtu = MTU_DEFAULT;
	int error;

	net->mtu = MTU_DEFAULT;
	if (!offered(net, VIRTIO_NET_F_MTU))
		return 0;
	error = virtio_config_read(&net->v, CONFIG(mtu), sizeof(uint16_t), &mtu);
	if (error || mtu < 68)
		return error ? error : -EPROTO;
	if (mtu > USRPCI_NIC_BUFFER_SIZE - VIRTIO_NET_HEADER - ETH_HLEN && !pieces)
		return 0;
	net->wanted |= VIRTIO_BIT(VIRTIO_NET_F_MTU);
	net->mtu = (uint16_t)mtu;
	return 0;
}

static enum usrpci_irq_type choose_irq(const struct virtio_net *net)
{
	bool msix = usrpci_irq_count(net->v.dev, USRPCI_IRQ_MSIX) > 1;

	if (net->options.irq == USRPCI_NIC_IRQ_AUTO)
		return msix ? USRPCI_IRQ_MSIX : USRPCI_IRQ_INTX;
	return net->options.irq == USRPCI_NIC_IRQ_MSIX ? USRPCI_IRQ_MSIX : USRPCI_IRQ_INTX;
}

/* Each queue needs a vector beside that of the configuration, unless it is polled. */
static unsigned int queues_with_irq(const struct virtio_net *net)
{
	int vectors;

	if (net->options.irq == USRPCI_NIC_IRQ_NONE)
		return NIC_QUEUES_MAX;
	if (choose_irq(net) == USRPCI_IRQ_INTX)
		return 1;
	vectors = usrpci_irq_count(net->v.dev, USRPCI_IRQ_MSIX);
	return vectors > 1 ? (unsigned int)vectors - 1 : 1;
}

static int want_queues(struct virtio_net *net)
{
	const uint64_t needed = VIRTIO_BIT(VIRTIO_NET_F_MQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ);
	unsigned int most = queues_with_irq(net);
	uint64_t pairs = 1;
	int error;

	net->count = 1;
	net->pairs_max = 1;
	if (net->options.queues == 1 || most == 1 || (net->v.offered & needed) != needed)
		return 0;
	error = virtio_config_read(&net->v, CONFIG(max_virtqueue_pairs), sizeof(uint16_t), &pairs);
	if (error || pairs == 0 || pairs > VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX)
		return error ? error : -EPROTO;
	net->wanted |= VIRTIO_BIT(VIRTIO_NET_F_MQ);
	net->pairs_max = (unsigned int)pairs;
	net->count = net->options.queues < net->pairs_max ? net->options.queues : net->pairs_max;
	net->count = net->count < most ? net->count : most;
	return 0;
}

static int choose_features(struct virtio_net *net)
{
	int error;

	net->offload = net->options.offload;
	net->wanted = VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS) |
		      VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_BIT(VIRTIO_NET_F_SPEED_DUPLEX);
	if (offered(net, VIRTIO_NET_F_CTRL_VQ))
		net->wanted |= VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX);
	if (net->offload)
		want_offloads(net);
	error = want_mtu(net);
	return error ? error : want_queues(net);
}

/*
 * Limits the size of a ring to that of the device. -EPROTO: there is no ring, or its size is wrong.
 */
static int limit(struct virtio_net *net, uint16_t index, unsigned int *descriptors)
{
	unsigned int most = virtio_ring_max(&net->v, index);

	if (!nic_is_ring_size(most > 4096 ? 4096 : most))
		return -EPROTO;
	if (*descriptors > most)
		*descriptors = most;
	return 0;
}

static int limit_rings(struct virtio_net *net)
{
	int error = 0;

	for (unsigned int i = 0; i < net->count && !error; i++)
		error = limit(net, (uint16_t)(2 * i), &net->options.rx_descriptors)
				?: limit(net, (uint16_t)(2 * i + 1), &net->options.tx_descriptors);
	return error;
}

/* A device without an address gets a random one, as 5.1.5 requires. */
static int read_mac(struct virtio_net *net, uint8_t mac[ETH_ALEN])
{
	uint64_t byte = 0;
	int error = 0;

	if (!offered(net, VIRTIO_NET_F_MAC)) {
		if (getrandom(mac, ETH_ALEN, 0) != ETH_ALEN)
			return -EIO;
		mac[0] = (uint8_t)((mac[0] & ~1) | 2);
		return 0;
	}
	for (unsigned int i = 0; i < ETH_ALEN && !error; i++) {
		error = virtio_config_read(&net->v, CONFIG(mac) + i, 1, &byte);
		mac[i] = (uint8_t)byte;
	}
	return !error && mac[0] & 1 ? -EIO : error;
}

static int alloc_control(struct virtio_net *net)
{
	struct usrpci_dma_request request = {.size = 128};
	int error;

	if (!(net->wanted & VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ)))
		return 0;
	error = virtio_ring_alloc(&net->v, 2, &net->control);
	return error ? error : usrpci_dma_block_alloc(net->v.ctx, &request, &net->command);
}

static void free_all(struct virtio_net *net)
{
	usrpci_dma_block_free(net->v.ctx, &net->command);
	virtio_ring_free(&net->v, &net->control);
	if (net->pairs)
		virtio_net_rings_free(net);
	virtio_close(&net->v);
	free(net);
}

/* QEMU's device has its further queues only once VIRTIO_NET_F_MQ is negotiated. */
static int prepare(struct virtio_net *net, struct usrpci_nic_info *info)
{
	return choose_features(net) ?:
		virtio_negotiate(&net->v, net->wanted) ?:
		limit_rings(net) ?:
		read_mac(net, info->mac) ?:
		virtio_net_rings_alloc(net) ?:
		alloc_control(net);
}

static void describe(const struct virtio_net *net, struct usrpci_nic_info *info)
{
	uint64_t have = net->v.offered & net->wanted;

	info->name = "virtio-net";
	info->mtu = net->mtu;
	info->frame_max = (uint16_t)net->pairs[0].tx.frame_max;
	info->queues = net->count;
	info->headroom = VIRTIO_NET_HEADER;
	info->offload = net->offload;
	info->offload_checksum = have & VIRTIO_BIT(VIRTIO_NET_F_CSUM);
	info->offload_segments4 = have & VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4);
	info->offload_segments6 = have & VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6);
}

static int net_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options, void **self,
		    struct usrpci_nic_info *info, struct usrpci_pool **pool)
{
	struct virtio_net *net = aligned_alloc(64, sizeof(*net));
	int error;

	if (!net)
		return -ENOMEM;
	memset(net, 0, sizeof(*net));
	net->poll = -1;
	net->v.why = options->why;
	error = set_options(net, options) ?: virtio_open(&net->v, dev);
	if (error) {
		free(net);
		return error;
	}
	error = prepare(net, info);
	if (error) {
		free_all(net);
		return error;
	}
	describe(net, info);
	*pool = net->pool;
	*self = net;
	return 0;
}

static bool await_command(struct virtio_net *net)
{
	deadline_t deadline = deadline_in_ms(COMMAND_MS);

	while (virtio_ring_pending(&net->control) == 0) {
		if (net->control.broken || deadline_left_ms(deadline) == 0)
			return false;
		nap_us(50);
	}
	net->control.last_used++;
	return true;
}

/* 5.1.6.5: the request is in the first 64 bytes of a block, and the answer follows. */
static int command(struct virtio_net *net, uint8_t class, uint8_t cmd, const void *data,
		   size_t size)
{
	struct vring_desc *desc = net->control.desc;
	uint8_t *asked = net->command.va;
	volatile uint8_t *answer = asked + 64;

	asked[0] = class;
	asked[1] = cmd;
	memcpy(asked + 2, data, size);
	*answer = VIRTIO_NET_ERR;
	desc[0].addr = usrpci_le64(net->command.addr);
	desc[0].len = usrpci_le32((uint32_t)(2 + size));
	desc[0].flags = usrpci_le16(VRING_DESC_F_NEXT);
	desc[0].next = usrpci_le16(1);
	desc[1].addr = usrpci_le64(net->command.addr + 64);
	desc[1].len = usrpci_le32(1);
	desc[1].flags = usrpci_le16(VRING_DESC_F_WRITE);
	virtio_ring_put(&net->control, 0);
	virtio_ring_publish(&net->control);
	return await_command(net) && *answer == VIRTIO_NET_OK ? 0 : -EPROTO;
}

static int set_up(struct virtio_net *net)
{
	uint16_t pairs = usrpci_le16((uint16_t)net->count);
	uint8_t promiscuous = net->options.promiscuous;
	int error = 0;

	if (net->count > 1)
		error = command(net, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs,
				sizeof(pairs));
	if (!error && virtio_has(&net->v, VIRTIO_NET_F_CTRL_RX))
		error = command(net, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &promiscuous,
				sizeof(promiscuous));
	return error;
}

static int watch(int poll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return fd < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) ? -EINVAL : 0;
}

/* One descriptor waits for queue 0 and for changes of the configuration, which report the link. */
static int make_poll(struct virtio_net *net)
{
	int error;

	net->poll = epoll_create1(EPOLL_CLOEXEC);
	if (net->poll < 0)
		return -errno;
	error = watch(net->poll, usrpci_irq_fd(net->v.dev, USRPCI_IRQ_MSIX, 0));
	return error ? error : watch(net->poll, usrpci_irq_fd(net->v.dev, USRPCI_IRQ_MSIX, 1));
}

static int enable_irq(struct virtio_net *net)
{
	enum usrpci_irq_type type = choose_irq(net);
	int error;

	if (net->options.irq == USRPCI_NIC_IRQ_NONE)
		return 0;
	error = virtio_irq_enable(&net->v, type, type == USRPCI_IRQ_MSIX ? 1 + net->count : 1);
	return error || type == USRPCI_IRQ_INTX ? error : make_poll(net);
}

static void disable(struct virtio_net *net)
{
	if (net->poll >= 0)
		close(net->poll);
	net->poll = -1;
	virtio_irq_disable(&net->v);
}

static int start_control(struct virtio_net *net)
{
	if (!virtio_has(&net->v, VIRTIO_NET_F_CTRL_VQ))
		return 0;
	return virtio_ring_start(&net->v, &net->control, (uint16_t)(2 * net->pairs_max),
				 VIRTIO_NO_VECTOR);
}

/* 3.1.1, 5.1.5 */
static int bring_up(struct virtio_net *net)
{
	return virtio_negotiate(&net->v, net->wanted) ?:
		enable_irq(net) ?:
		virtio_net_rings_start(net) ?:
		start_control(net) ?:
		virtio_ready(&net->v) ?:
		set_up(net) ?:
		virtio_net_rings_fill(net);
}

static int net_stop(void *self);

static int net_start(void *self)
{
	struct virtio_net *net = self;
	int error;

	if (net->started)
		return 0;
	error = usrpci_dev_set_bus_master(net->v.dev, true) ?: bring_up(net);
	net->started = true;
	if (error)
		net_stop(net);
	return error;
}

static bool is_sent(struct virtio_net *net)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < net->count; i++)
		if (!net->pairs[i].tx.ring.broken)
			left += virtio_net_reclaim(net, i);
	return left == 0;
}

static int drain(struct virtio_net *net)
{
	deadline_t deadline = deadline_in_ms(DRAIN_MS);
	int error;

	while (!is_sent(net)) {
		error = virtio_check(&net->v);
		if (error)
			return error;
		if (deadline_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		nap_us(50);
	}
	return 0;
}

static int net_stop(void *self)
{
	struct virtio_net *net = self;
	int error, reset, cleared;

	if (!net->started)
		return 0;
	error = drain(net);
	reset = virtio_reset(&net->v);
	disable(net);
	cleared = usrpci_dev_set_bus_master(net->v.dev, false);
	net->started = false;
	virtio_net_rings_empty(net);
	if (!error)
		error = reset;
	return error ? error : cleared;
}

static void net_close(void *self)
{
	net_stop(self);
	free_all(self);
}

static int net_irq_fd(void *self, unsigned int queue)
{
	struct virtio_net *net = self;

	if (net->v.vectors == 0)
		return -EINVAL;
	if (net->v.irq == USRPCI_IRQ_MSIX && queue == 0)
		return net->poll;
	return usrpci_irq_fd(net->v.dev, net->v.irq, net->v.irq == USRPCI_IRQ_MSIX ? 1 + queue : 0);
}

static int wait_intx(struct virtio_net *net, int timeout_ms)
{
	int error = usrpci_irq_wait(net->v.dev, USRPCI_IRQ_INTX, 0, timeout_ms);
	uint8_t isr;

	if (error < 0)
		return error;
	isr = virtio_isr(&net->v);
	error = (isr == 0xff ? virtio_check(&net->v) : 0)
			?: usrpci_irq_done(net->v.dev, USRPCI_IRQ_INTX, 0);
	if (error)
		return error;
	return (isr & 1 ? USRPCI_NIC_RECEIVE : 0) | (isr & 2 ? USRPCI_NIC_LINK : 0);
}

/* Takes the interrupt of a vector without waiting. Returns events, 0 or a negative errno. */
static int take_vector(struct virtio_net *net, unsigned int vector, int events)
{
	int got = usrpci_irq_wait(net->v.dev, USRPCI_IRQ_MSIX, vector, 0);

	if (got == -ETIMEDOUT)
		return 0;
	return got < 0 ? got : events;
}

static int wait_both(struct virtio_net *net, int timeout_ms)
{
	struct epoll_event event;
	int ready = epoll_wait(net->poll, &event, 1, timeout_ms), link, receive;

	if (ready <= 0)
		return ready < 0 ? -errno : -ETIMEDOUT;
	receive = take_vector(net, 1, USRPCI_NIC_RECEIVE);
	link = take_vector(net, 0, USRPCI_NIC_LINK);
	if (receive < 0 || link < 0)
		return receive < 0 ? receive : link;
	return receive | link;
}

static int wait_queue(struct virtio_net *net, unsigned int queue, int timeout_ms)
{
	int got;

	if (net->v.irq == USRPCI_IRQ_INTX)
		return wait_intx(net, timeout_ms);
	if (queue == 0)
		return wait_both(net, timeout_ms);
	got = usrpci_irq_wait(net->v.dev, USRPCI_IRQ_MSIX, 1 + queue, timeout_ms);
	return got < 0 ? got : USRPCI_NIC_RECEIVE;
}

static bool is_broken(const struct virtio_net *net)
{
	for (unsigned int i = 0; i < net->count; i++)
		if (net->pairs[i].rx.ring.broken || net->pairs[i].tx.ring.broken)
			return true;
	return false;
}

static int net_wait(void *self, unsigned int queue, int timeout_ms)
{
	struct virtio_net *net = self;
	struct virtio_ring *ring = &net->pairs[queue].rx.ring;
	int events, error = 0;

	if (net->v.vectors == 0)
		return -EINVAL;
	if (is_broken(net))
		return -EPROTO;
	if (!ring->armed && !virtio_ring_arm(ring)) {
		ring->armed = false;
		timeout_ms = 0;
	}
	events = wait_queue(net, queue, timeout_ms);
	if (events == -ETIMEDOUT && !ring->armed)
		events = USRPCI_NIC_RECEIVE;
	if (events > 0 && events & USRPCI_NIC_LINK)
		error = virtio_check(&net->v);
	return error ? error : events;
}

static int net_link(void *self, struct usrpci_nic_link *link)
{
	struct virtio_net *net = self;
	uint64_t status = VIRTIO_NET_S_LINK_UP, speed = 0, duplex = 0;
	int error = is_broken(net) ? -EPROTO : virtio_check(&net->v);

	memset(link, 0, sizeof(*link));
	if (!error && offered(net, VIRTIO_NET_F_STATUS))
		error = virtio_config_read(&net->v, CONFIG(status), sizeof(uint16_t), &status);
	if (!error && offered(net, VIRTIO_NET_F_SPEED_DUPLEX))
		error = virtio_config_read(&net->v, CONFIG(speed), sizeof(uint32_t), &speed);
	if (!error && offered(net, VIRTIO_NET_F_SPEED_DUPLEX))
		error = virtio_config_read(&net->v, CONFIG(duplex), sizeof(uint8_t), &duplex);
	if (error || !(status & VIRTIO_NET_S_LINK_UP))
		return error;
	link->up = true;
	link->full_duplex = duplex == 1;
	link->speed = speed <= INT32_MAX ? (unsigned int)speed : 0;
	return 0;
}

static int net_stats(void *self, struct usrpci_nic_stats *stats)
{
	struct virtio_net *net = self;

	memset(stats, 0, sizeof(*stats));
	for (unsigned int i = 0; i < net->count; i++) {
		const struct virtio_net_pair *pair = &net->pairs[i];

		stats->rx_frames += __atomic_load_n(&pair->rx.frames, __ATOMIC_RELAXED);
		stats->rx_bytes += __atomic_load_n(&pair->rx.bytes, __ATOMIC_RELAXED);
		stats->rx_dropped += __atomic_load_n(&pair->rx.dropped, __ATOMIC_RELAXED);
		stats->tx_frames += __atomic_load_n(&pair->tx.frames, __ATOMIC_RELAXED);
		stats->tx_bytes += __atomic_load_n(&pair->tx.bytes, __ATOMIC_RELAXED);
	}
	return virtio_check(&net->v);
}

const struct nic_driver virtio_nic_driver = {
	.matches = net_matches,
	.look = virtio_look,
	.open = net_open,
	.close = net_close,
	.start = net_start,
	.stop = net_stop,
	.receive = virtio_net_receive,
	.transmit = virtio_net_transmit,
	.reclaim = virtio_net_reclaim,
	.wait = net_wait,
	.irq_fd = net_irq_fd,
	.link = net_link,
	.stats = net_stats,
};
