// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-net's receive and transmit queues: Virtio 1.2, 5.1.6. The header lies in the same buffer
 * before the frame, so a frame takes one descriptor.
 *
 * A used entry is read once and checked: its descriptor must exist and be under way, its length
 * must fit in the buffer. The buffers and the header may change at any time, so only the number of
 * pieces is taken from them, once.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net_private.h"

#define BATCH     32 /* buffers exchanged with the pool at once */
#define ARM_TRIES 4

/*
 * The lowest bits of a buffer's address in a transmit queue say what its descriptor begins; none is
 * set in those that continue a chain.
 */
#define WHOLE 1 /* a frame of one descriptor */
#define CHAIN 2 /* a frame of some descriptors */

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static int alloc_rx(struct virtio_net *net, struct virtio_net_rx *rx)
{
	rx->pool = net->pool;
	rx->ctx = net->v.ctx;
	rx->pieces_max = net->offload ? USRPCI_NIC_PIECES_MAX : 1;
	rx->buffers = calloc(net->options.rx_descriptors, sizeof(*rx->buffers));
	if (!rx->buffers)
		return -ENOMEM;
	return virtio_ring_alloc(&net->v, net->options.rx_descriptors, &rx->ring);
}

static int alloc_tx(struct virtio_net *net, struct virtio_net_tx *tx)
{
	unsigned int size = net->options.tx_descriptors;

	tx->pool = net->pool;
	tx->ctx = net->v.ctx;
	tx->offload = net->offload;
	tx->frame_max = USRPCI_NIC_BUFFER_SIZE - VIRTIO_NET_HEADER;
	if (!net->offload)
		tx->frame_max = min(net->mtu + 18u, tx->frame_max);
	tx->buffers = calloc(size, sizeof(*tx->buffers));
	tx->next = calloc(size, sizeof(*tx->next));
	tx->free = calloc(size, sizeof(*tx->free));
	if (!tx->buffers || !tx->next || !tx->free)
		return -ENOMEM;
	return virtio_ring_alloc(&net->v, size, &tx->ring);
}

int virtio_net_rings_alloc(struct virtio_net *net)
{
	struct usrpci_pool_options options = {
		.size = USRPCI_NIC_BUFFER_SIZE,
		.align = USRPCI_NIC_BUFFER_SIZE,
		.count = net->options.spare_buffers +
			 (size_t)net->count *
				 (net->options.rx_descriptors + net->options.tx_descriptors),
	};
	int error = 0;

	net->pairs = aligned_alloc(64, net->count * sizeof(*net->pairs));
	if (!net->pairs)
		return -ENOMEM;
	memset(net->pairs, 0, net->count * sizeof(*net->pairs));
	error = usrpci_pool_create(net->v.ctx, &options, &net->pool);
	for (unsigned int i = 0; i < net->count && !error; i++)
		error = alloc_rx(net, &net->pairs[i].rx) ?: alloc_tx(net, &net->pairs[i].tx);
	if (error)
		virtio_net_rings_free(net);
	return error;
}

void virtio_net_rings_free(struct virtio_net *net)
{
	for (unsigned int i = 0; net->pairs && i < net->count; i++) {
		struct virtio_net_pair *pair = &net->pairs[i];

		virtio_ring_free(&net->v, &pair->rx.ring);
		virtio_ring_free(&net->v, &pair->tx.ring);
		free(pair->rx.buffers);
		free(pair->tx.buffers);
		free(pair->tx.next);
		free(pair->tx.free);
	}
	free(net->pairs);
	net->pairs = NULL;
	usrpci_pool_destroy(net->pool);
	net->pool = NULL;
}

int virtio_net_rings_start(struct virtio_net *net)
{
	int error = 0;

	for (unsigned int i = 0; i < net->count && !error; i++) {
		struct virtio_net_tx *tx = &net->pairs[i].tx;

		net->pairs[i].rx.merges = virtio_has(&net->v, VIRTIO_NET_F_MRG_RXBUF);
		error = virtio_ring_start(&net->v, &net->pairs[i].rx.ring, (uint16_t)(2 * i),
					  (uint16_t)(1 + i))
				?: virtio_ring_start(&net->v, &tx->ring, (uint16_t)(2 * i + 1),
						     VIRTIO_NO_VECTOR);
		tx->free_count = tx->ring.mask + 1u;
		for (unsigned int k = 0; k < tx->free_count; k++)
			tx->free[k] = (uint16_t)k;
	}
	return error;
}

/* Gives the device a buffer; a descriptor's other members stay as they are. */
static void give(struct virtio_net_rx *rx, uint16_t id, void *buffer)
{
	rx->buffers[id] = buffer;
	rx->ring.desc[id].addr = usrpci_le64(usrpci_dma_addr(rx->ctx, buffer));
	virtio_ring_put(&rx->ring, id);
}

static int fill(struct virtio_net_rx *rx)
{
	unsigned int size = rx->ring.mask + 1u;

	rx->left = 0;
	if (!usrpci_pool_get_bulk(rx->pool, rx->buffers, size))
		return -ENOMEM;
	for (unsigned int i = 0; i < size; i++) {
		rx->ring.desc[i].len = usrpci_le32(USRPCI_NIC_BUFFER_SIZE);
		rx->ring.desc[i].flags = usrpci_le16(VRING_DESC_F_WRITE);
		give(rx, (uint16_t)i, rx->buffers[i]);
	}
	virtio_ring_publish(&rx->ring);
	return 0;
}

int virtio_net_rings_fill(struct virtio_net *net)
{
	int error = 0;

	for (unsigned int i = 0; i < net->count && !error; i++)
		error = fill(&net->pairs[i].rx);
	return error;
}

static void empty(struct usrpci_pool *pool, void **buffers, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		usrpci_pool_put(pool, nic_buffer(buffers[i]));
		buffers[i] = NULL;
	}
}

void virtio_net_rings_empty(struct virtio_net *net)
{
	for (unsigned int i = 0; i < net->count; i++) {
		struct virtio_net_rx *rx = &net->pairs[i].rx;
		struct virtio_net_tx *tx = &net->pairs[i].tx;

		empty(net->pool, rx->buffers, rx->ring.mask + 1u);
		empty(net->pool, tx->buffers, tx->ring.mask + 1u);
	}
}

static unsigned int get_buffers(struct usrpci_pool *pool, void **buffers, unsigned int n)
{
	unsigned int got = usrpci_pool_get_bulk(pool, buffers, n);

	while (got < n && (buffers[got] = usrpci_pool_get(pool)))
		got++;
	return got;
}

/* Returns whether a buffer begins a valid frame. Stores in rx->left how many pieces follow. */
static bool begin_frame(struct virtio_net_rx *rx, uint8_t *buffer, uint32_t length,
			struct usrpci_nic_frame *frame)
{
	const volatile struct virtio_net_hdr_v1 *header = (void *)buffer;
	unsigned int pieces = rx->merges ? usrpci_le16(header->num_buffers) : 1;

	if (length < VIRTIO_NET_HEADER + USRPCI_NIC_FRAME_MIN || length > USRPCI_NIC_BUFFER_SIZE)
		return false;
	if (pieces == 0 || pieces > rx->pieces_max)
		return false;
	rx->left = pieces - 1;
	frame->data = buffer + VIRTIO_NET_HEADER;
	frame->size = (uint16_t)(length - VIRTIO_NET_HEADER);
	frame->more = pieces > 1;
	return true;
}

/* The program already has the frame's beginning, so an invalid piece is handed out empty. */
static bool continue_frame(struct virtio_net_rx *rx, uint8_t *buffer, uint32_t length,
			   struct usrpci_nic_frame *frame)
{
	bool good = length > 0 && length <= USRPCI_NIC_BUFFER_SIZE;

	rx->left--;
	if (!good)
		add(&rx->dropped, 1);
	frame->data = buffer;
	frame->size = good ? (uint16_t)length : 0;
	frame->more = rx->left > 0;
	return true;
}

/*
 * Takes n used entries and gives their descriptors back to the device. Those whose buffers go to
 * the program get new buffers. Returns how many new buffers were used.
 */
static unsigned int exchange(struct virtio_net_rx *rx, unsigned int n, void **fresh,
			     struct usrpci_nic_frame *frames)
{
	struct virtio_ring *ring = &rx->ring;
	unsigned int taken = 0, whole = 0, dropped = 0;
	uint64_t bytes = 0;

	for (; n > 0; n--) {
		const volatile struct vring_used_elem *used =
			&ring->used->ring[ring->last_used++ & ring->mask];
		uint32_t id = usrpci_le32(used->id), length = usrpci_le32(used->len);
		struct usrpci_nic_frame *frame = &frames[taken];

		if (virtio_unlikely(id > ring->mask)) {
			dropped++;
			continue;
		}
		if (virtio_unlikely(rx->left > 0)
			    ? continue_frame(rx, rx->buffers[id], length, frame)
			    : begin_frame(rx, rx->buffers[id], length, frame)) {
			bytes += frame->size;
			whole += !frame->more;
			give(rx, (uint16_t)id, fresh[taken++]);
		} else {
			dropped++;
			give(rx, (uint16_t)id, rx->buffers[id]);
		}
	}
	add(&rx->frames, whole);
	add(&rx->bytes, bytes);
	if (virtio_unlikely(dropped))
		add(&rx->dropped, dropped);
	return taken;
}

/* Takes what is there, one round of the ring at most. */
static unsigned int take(struct virtio_net_rx *rx, struct usrpci_nic_frame *frames, unsigned int n)
{
	unsigned int total = 0, seen = 0, ready, taken;
	void *fresh[BATCH];

	while (total < n && seen < rx->ring.mask) {
		ready = min(min(n - total, rx->ring.mask - seen), BATCH);
		ready = min(virtio_ring_pending(&rx->ring), ready);
		if (ready)
			ready = get_buffers(rx->pool, fresh, ready);
		if (!ready)
			break;
		taken = exchange(rx, ready, fresh, frames + total);
		usrpci_pool_put_bulk(rx->pool, fresh + taken, ready - taken);
		total += taken;
		seen += ready;
	}
	if (seen > 0) {
		if (rx->ring.armed)
			virtio_ring_disarm(&rx->ring);
		virtio_ring_publish(&rx->ring);
	}
	return total;
}

unsigned int virtio_net_receive(void *self, unsigned int queue, struct usrpci_nic_frame *frames,
				unsigned int n)
{
	struct virtio_net *net = self;
	struct virtio_net_rx *rx = &net->pairs[queue].rx;
	unsigned int total = 0;

	if (!net->started)
		return 0;
	/*
	 * Entries that arrive while the interrupt is being armed may raise none, and this can go on
	 * for ever.
	 */
	for (unsigned int tries = 0; tries < ARM_TRIES; tries++) {
		total += take(rx, frames + total, n - total);
		if (total == n || net->v.vectors == 0 || rx->ring.armed)
			break;
		if (virtio_ring_arm(&rx->ring))
			break;
	}
	return total;
}

/*
 * Takes up to *left used entries and stores their buffers. Returns how many buffers. The loop uses
 * local variables because the compiler cannot know that the arrays do not alias the members.
 */
static unsigned int take_sent(struct virtio_net_tx *tx, unsigned int *left, void **buffers)
{
	const volatile struct vring_used_elem *used = tx->ring.used->ring;
	uint16_t mask = tx->ring.mask, last_used = tx->ring.last_used;
	unsigned int count = 0, most = min(*left, BATCH);
	uint16_t *free = tx->free + tx->free_count;
	void **own = tx->buffers;

	while (count < most) {
		uint32_t id = usrpci_le32(used[last_used & mask].id);

		if (virtio_unlikely(id > mask || !((uintptr_t)own[id] & WHOLE)))
			break;
		buffers[count++] = nic_buffer(own[id]);
		own[id] = NULL;
		*free++ = (uint16_t)id;
		last_used++;
	}
	tx->free_count += count;
	tx->ring.last_used = last_used;
	*left -= count;
	return count;
}

/* Takes one used entry with a chain of any length. Returns how many buffers; 0: it is invalid. */
static unsigned int take_chain(struct virtio_net_tx *tx, void **buffers)
{
	struct virtio_ring *ring = &tx->ring;
	uint32_t id = usrpci_le32(ring->used->ring[ring->last_used++ & ring->mask].id), last;
	unsigned int count = 0;

	if (id > ring->mask || !((uintptr_t)tx->buffers[id] & (WHOLE | CHAIN))) {
		ring->broken = true;
		return 0;
	}
	do {
		buffers[count++] = nic_buffer(tx->buffers[id]);
		tx->buffers[id] = NULL;
		tx->free[tx->free_count++] = (uint16_t)id;
		last = id;
		id = tx->next[id];
	} while (id != last);
	return count;
}

unsigned int virtio_net_reclaim(void *self, unsigned int queue)
{
	struct virtio_net *net = self;
	struct virtio_net_tx *tx = &net->pairs[queue].tx;
	unsigned int left = net->started ? virtio_ring_pending(&tx->ring) : 0, count;
	void *buffers[BATCH + USRPCI_NIC_PIECES_MAX];

	while (left > 0 && !tx->ring.broken) {
		count = take_sent(tx, &left, buffers);
		if (left > 0 && count < BATCH) {
			count += take_chain(tx, buffers + count);
			left--;
		}
		usrpci_pool_put_bulk(tx->pool, buffers, count);
	}
	return tx->ring.mask + 1u - tx->free_count;
}

/* A frame of one buffer, the usual case without offloads. */
static inline bool is_whole(const struct virtio_net_tx *tx, const struct usrpci_nic_frame *frame)
{
	unsigned int size = frame->size;

	return size >= USRPCI_NIC_FRAME_MIN && size <= tx->frame_max && !frame->more;
}

/* Returns how many entries the first frame has, of which there is more than one; 0: it is wrong. */
static unsigned int count_pieces(const struct virtio_net_tx *tx,
				 const struct usrpci_nic_frame *frames, unsigned int n)
{
	unsigned int pieces = 1;

	if (!frames->more || frames->size < USRPCI_NIC_FRAME_MIN || frames->size > tx->frame_max)
		return 0;
	while (tx->offload && pieces < n && pieces < USRPCI_NIC_PIECES_MAX) {
		if (frames[pieces].size == 0 || frames[pieces].size > USRPCI_NIC_BUFFER_SIZE)
			return 0;
		if (!frames[pieces++].more)
			return pieces;
	}
	return 0;
}

static inline void describe(struct virtio_net_tx *tx, uint16_t id, const uint8_t *data,
			    uint32_t size, uint16_t flags, uint16_t next)
{
	tx->ring.desc[id] = (struct vring_desc){
		.addr = usrpci_le64(usrpci_dma_addr(tx->ctx, data)),
		.len = usrpci_le32(size),
		.flags = usrpci_le16(flags),
		.next = usrpci_le16(next),
	};
}

/*
 * Queues up to n frames of one buffer each; the ring has room for them. Returns how many. The loop
 * uses local variables for the same reason as take_sent().
 */
static unsigned int queue_wholes(struct virtio_net_tx *tx, const struct usrpci_nic_frame *frames,
				 unsigned int n, uint64_t *bytes)
{
	uint16_t *free = tx->free + tx->free_count, head = tx->ring.head, mask = tx->ring.mask;
	struct vring_avail *avail = tx->ring.avail;
	void **own = tx->buffers;
	uint64_t total = 0;
	unsigned int i;

	for (i = 0; i < n && is_whole(tx, &frames[i]); i++) {
		uint8_t *first = (uint8_t *)frames[i].data - VIRTIO_NET_HEADER;
		uint32_t size = frames[i].size;
		uint16_t id = *--free;

		if (!tx->offload)
			memset(first, 0, VIRTIO_NET_HEADER);
		avail->ring[head++ & mask] = usrpci_le16(id);
		own[id] = (uint8_t *)nic_buffer(first) + WHOLE;
		describe(tx, id, first, size + (uint32_t)VIRTIO_NET_HEADER, 0, 0);
		total += size;
	}
	tx->free_count -= i;
	tx->ring.head = head;
	*bytes += total;
	return i;
}

/* Puts a frame of some pieces in the ring, which has room for them. Returns its bytes. */
static unsigned int queue_pieces(struct virtio_net_tx *tx, const struct usrpci_nic_frame *frames,
				 unsigned int pieces)
{
	uint16_t id = tx->free[tx->free_count - 1], next;
	unsigned int bytes = 0;

	virtio_ring_put(&tx->ring, id);
	for (unsigned int i = 0; i < pieces; i++, id = next) {
		size_t header = i ? 0 : VIRTIO_NET_HEADER;
		const uint8_t *data = (const uint8_t *)frames[i].data - header;
		bool more = i + 1 < pieces;

		tx->free_count--;
		next = more ? tx->free[tx->free_count - 1] : id;
		tx->next[id] = next;
		tx->buffers[id] = (uint8_t *)nic_buffer(data) + (i ? 0 : CHAIN);
		describe(tx, id, data, (uint32_t)(frames[i].size + header),
			 more ? VRING_DESC_F_NEXT : 0, more ? next : 0);
		bytes += frames[i].size;
	}
	return bytes;
}

unsigned int virtio_net_transmit(void *self, unsigned int queue,
				 const struct usrpci_nic_frame *frames, unsigned int n)
{
	struct virtio_net *net = self;
	struct virtio_net_tx *tx = &net->pairs[queue].tx;
	unsigned int done = 0, count, pieces;
	uint64_t bytes = 0, whole = 0;

	if (!net->started || tx->ring.broken)
		return 0;
	if (tx->free_count < n)
		virtio_net_reclaim(net, queue);
	do {
		count = queue_wholes(tx, frames + done, min(n - done, tx->free_count), &bytes);
		done += count;
		whole += count;
		pieces = done < n ? count_pieces(tx, frames + done, n - done) : 0;
		if (pieces == 0 || pieces > tx->free_count)
			break;
		bytes += queue_pieces(tx, frames + done, pieces);
		done += pieces;
		whole++;
	} while (done < n);
	virtio_ring_publish(&tx->ring);
	add(&tx->frames, whole);
	add(&tx->bytes, bytes);
	return done;
}
