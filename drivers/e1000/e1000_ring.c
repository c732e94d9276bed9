// SPDX-License-Identifier: BSD-2-Clause
/*
 * The receive and the transmit ring, legacy descriptors: [SDM] 3.2 to 3.4, 14.4, 14.5.
 *
 * The driver sees progress only in the DD bits of the descriptors, so it reads no register here.
 * Whatever the device writes to a descriptor is read once, checked, and used for nothing but that
 * frame: buffers and positions are kept in memory that it cannot reach. Offloads, VLAN tags, frames
 * of more than one buffer and several queues are not supported.
 */

#include <errno.h>
#include <stdlib.h>

#include <net/nic.h>

#include "e1000_private.h"

#define BATCH 32 /* buffers exchanged with the pool at once; frames for each report */

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static int alloc_desc(struct e1000 *nic, unsigned int count, struct usrpci_dma_block *block)
{
	struct usrpci_dma_request request = {
		.size = count * sizeof(struct e1000_rx_desc),
		.align = 128, /* [SDM] 13.4.25 asks for 16; lengths are multiples of 128 */
		.limit = nic->model->dma_limit,
		.zero = true,
	};

	return usrpci_dma_block_alloc(nic->ctx, &request, block);
}

/* Buffers aligned to their size never cross 64 KiB, which some steppings cannot do. */
static int create_pool(struct e1000 *nic)
{
	struct usrpci_pool_options options = {
		.size = USRPCI_NIC_BUFFER_SIZE,
		.align = USRPCI_NIC_BUFFER_SIZE,
		.count = nic->options.rx_descriptors + nic->options.tx_descriptors +
			 nic->options.spare_buffers,
		.limit = nic->model->dma_limit,
	};

	return usrpci_pool_create(nic->ctx, &options, &nic->pool);
}

int e1000_rings_alloc(struct e1000 *nic)
{
	const struct usrpci_nic_options *options = &nic->options;
	int error;

	nic->rx.mask = options->rx_descriptors - 1;
	nic->tx.mask = options->tx_descriptors - 1;
	nic->rx.buffers = calloc(options->rx_descriptors, sizeof(*nic->rx.buffers));
	nic->tx.buffers = calloc(options->tx_descriptors, sizeof(*nic->tx.buffers));
	nic->tx.report = calloc(options->tx_descriptors, sizeof(*nic->tx.report));
	if (!nic->rx.buffers || !nic->tx.buffers || !nic->tx.report)
		error = -ENOMEM;
	else
		error = alloc_desc(nic, options->rx_descriptors, &nic->rx.block);
	if (!error)
		error = alloc_desc(nic, options->tx_descriptors, &nic->tx.block);
	if (!error)
		error = create_pool(nic);
	if (error)
		e1000_rings_free(nic);
	nic->rx.desc = nic->rx.block.va;
	nic->tx.desc = nic->tx.block.va;
	return error;
}

void e1000_rings_free(struct e1000 *nic)
{
	usrpci_pool_destroy(nic->pool);
	usrpci_dma_block_free(nic->ctx, &nic->tx.block);
	usrpci_dma_block_free(nic->ctx, &nic->rx.block);
	free(nic->tx.report);
	free(nic->tx.buffers);
	free(nic->rx.buffers);
}

static void give_to_device(struct e1000 *nic, unsigned int i)
{
	volatile struct e1000_rx_desc *desc = &nic->rx.desc[i];

	desc->address = usrpci_le64(usrpci_dma_addr(nic->ctx, nic->rx.buffers[i]));
	desc->status = 0;
}

static void set_ring(struct e1000 *nic, size_t base, const struct usrpci_dma_block *block)
{
	usrpci_write64_lo_hi(&nic->bar, base, block->addr);
	reg_write(nic, base + (RDLEN - RDBAL), (uint32_t)block->size);
	reg_write(nic, base + (RDH - RDBAL), 0);
	reg_write(nic, base + (RDT - RDBAL), 0);
}

int e1000_rings_start(struct e1000 *nic)
{
	unsigned int count = nic->rx.mask + 1;

	if (!usrpci_pool_get_bulk(nic->pool, nic->rx.buffers, count))
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++)
		give_to_device(nic, i);
	nic->rx.next = 0;
	nic->rx.in_frame = false;
	nic->tx.next = 0;
	nic->tx.clean = 0;
	set_ring(nic, RDBAL, &nic->rx.block);
	set_ring(nic, TDBAL, &nic->tx.block);
	return 0;
}

/* Puts buffers of the transmit ring, from first to before end, back in the pool. */
static void put_range(struct e1000 *nic, unsigned int first, unsigned int end)
{
	struct e1000_tx_ring *ring = &nic->tx;

	if (end < first) {
		usrpci_pool_put_bulk(nic->pool, ring->buffers + first, ring->mask + 1 - first);
		first = 0;
	}
	usrpci_pool_put_bulk(nic->pool, ring->buffers + first, end - first);
}

void e1000_rings_empty(struct e1000 *nic)
{
	usrpci_pool_put_bulk(nic->pool, nic->rx.buffers, nic->rx.mask + 1);
	put_range(nic, nic->tx.clean, nic->tx.next);
	nic->tx.clean = nic->tx.next;
}

/* How many descriptors, n at most, the device has filled. */
static unsigned int count_received(const struct e1000_rx_ring *ring, unsigned int n)
{
	unsigned int i = 0;

	while (i < n && ring->desc[(ring->next + i) & ring->mask].status & RXD_STATUS_DD)
		i++;
	usrpci_dma_rmb(); /* DD is read before the rest of the descriptor */
	return i;
}

static unsigned int get_buffers(struct usrpci_pool *pool, void **buffers, unsigned int n)
{
	unsigned int got = usrpci_pool_get_bulk(pool, buffers, n);

	while (got < n && (buffers[got] = usrpci_pool_get(pool)))
		got++;
	return got;
}

/* Whether a descriptor holds one whole frame without errors; its size is stored. */
static bool check_received(struct e1000_rx_ring *ring, const volatile struct e1000_rx_desc *desc,
			   uint16_t *size)
{
	uint16_t length = usrpci_le16(desc->length);
	uint8_t errors = desc->errors;
	bool first = !ring->in_frame;
	bool last = desc->status & RXD_STATUS_EOP;

	*size = length;
	ring->in_frame = !last;
	return first && last && !(errors & RXD_ERRORS) && length >= USRPCI_NIC_FRAME_MIN &&
	       length <= USRPCI_NIC_BUFFER_SIZE;
}

/*
 * Takes n filled descriptors and gives them back to the device. Descriptors whose buffers go to the
 * program get new buffers. Returns how many frames there were, which is how many new buffers were
 * used.
 */
static unsigned int exchange(struct e1000 *nic, unsigned int n, void **fresh,
			     struct usrpci_nic_frame *frames)
{
	struct e1000_rx_ring *ring = &nic->rx;
	unsigned int taken = 0;

	for (; n > 0; n--) {
		if (check_received(ring, &ring->desc[ring->next], &frames[taken].size)) {
			frames[taken].data = ring->buffers[ring->next];
			frames[taken].more = false;
			ring->buffers[ring->next] = fresh[taken];
			taken++;
		} else {
			__atomic_store_n(&ring->dropped, ring->dropped + 1, __ATOMIC_RELAXED);
		}
		give_to_device(nic, ring->next);
		ring->next = (ring->next + 1) & ring->mask;
	}
	return taken;
}

unsigned int e1000_receive(struct e1000 *nic, struct usrpci_nic_frame *frames, unsigned int n)
{
	struct e1000_rx_ring *ring = &nic->rx;
	unsigned int first = ring->next, total = 0, seen = 0, ready, taken;
	void *fresh[BATCH];

	if (!nic->started)
		return 0;
	/*
	 * It takes at most one round of the ring, even if the device fills descriptors again
	 * meanwhile.
	 */
	while (total < n && seen < ring->mask) {
		ready = count_received(ring, min(min(n - total, ring->mask - seen), BATCH));
		ready = get_buffers(nic->pool, fresh, ready);
		if (!ready)
			break;
		taken = exchange(nic, ready, fresh, frames + total);
		usrpci_pool_put_bulk(nic->pool, fresh + taken, ready - taken);
		total += taken;
		seen += ready;
	}
	if (ring->next == first)
		return 0;
	usrpci_dma_rmb(); /* what was read of a buffer is read before the device has it again */
	reg_write(nic, RDT, (ring->next - 1) & ring->mask);
	return total;
}

unsigned int e1000_transmit_reclaim(struct e1000 *nic)
{
	struct e1000_tx_ring *ring = &nic->tx;
	unsigned int clean = ring->clean, last;

	while (clean != ring->next) {
		last = ring->report[clean];
		if (!(ring->desc[last].status & TXD_STATUS_DD))
			break;
		clean = (last + 1) & ring->mask;
	}
	if (clean != ring->clean)
		put_range(nic, ring->clean, clean);
	ring->clean = clean;
	return (ring->next - clean) & ring->mask;
}

static unsigned int count_sendable(const struct usrpci_nic_frame *frames, unsigned int n)
{
	unsigned int i = 0;

	while (i < n && frames[i].size >= USRPCI_NIC_FRAME_MIN &&
	       frames[i].size <= E1000_FRAME_MAX && !frames[i].more)
		i++;
	return i;
}

/* Fills one descriptor; that of the last frame of a group asks for a report. */
static void queue(struct e1000 *nic, const struct usrpci_nic_frame *frame, bool last)
{
	struct e1000_tx_ring *ring = &nic->tx;
	volatile struct e1000_tx_desc *desc = &ring->desc[ring->next];

	ring->buffers[ring->next] = nic_buffer(frame->data);
	desc->address = usrpci_le64(usrpci_dma_addr(nic->ctx, frame->data));
	desc->length = usrpci_le16(frame->size);
	desc->cso = 0;
	desc->cmd = TXD_CMD_EOP | TXD_CMD_IFCS | (last ? TXD_CMD_RS : 0);
	desc->status = 0;
	desc->css = 0;
	desc->special = 0;
	ring->next = (ring->next + 1) & ring->mask;
}

unsigned int e1000_transmit(struct e1000 *nic, const struct usrpci_nic_frame *frames,
			    unsigned int n)
{
	struct e1000_tx_ring *ring = &nic->tx;
	unsigned int used = (ring->next - ring->clean) & ring->mask, group, i;

	if (!nic->started)
		return 0;
	if (ring->mask - used < n)
		used = e1000_transmit_reclaim(nic);
	n = count_sendable(frames, min(n, ring->mask - used));
	for (i = 0; i < n; i += group) {
		group = min(n - i, BATCH);
		ring->report[ring->next] = (ring->next + group - 1) & ring->mask;
		for (unsigned int k = 0; k < group; k++)
			queue(nic, &frames[i + k], k == group - 1);
	}
	if (n > 0)
		reg_write(nic, TDT, ring->next);
	return n;
}
