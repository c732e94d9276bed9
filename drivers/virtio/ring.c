// SPDX-License-Identifier: BSD-2-Clause
/*
 * Split virtqueues with event indices: Virtio 1.2, 2.7. Not supported: indirect descriptors and
 * packed virtqueues. They only save memory reads for devices in hardware.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "virtio.h"

#define ALIGN 64

static size_t align(size_t size)
{
	return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

uint16_t virtio_ring_max(struct virtio *v, uint16_t index)
{
	usrpci_write16(&v->common, VIRTIO_PCI_COMMON_Q_SELECT, index);
	return usrpci_read16(&v->common, VIRTIO_PCI_COMMON_Q_SIZE);
}

/* 2.7.1. The ring always has the two event fields. */
int virtio_ring_alloc(struct virtio *v, unsigned int size, struct virtio_ring *ring)
{
	size_t avail = align(size * sizeof(struct vring_desc));
	size_t used = avail + align(offsetof(struct vring_avail, ring) + 2 * size + 2);
	struct usrpci_dma_request request = {
		.size = used + align(offsetof(struct vring_used, ring) +
				     size * sizeof(struct vring_used_elem) + 2),
		.align = ALIGN,
	};
	int error = usrpci_dma_block_alloc(v->ctx, &request, &ring->block);
	uint8_t *base = ring->block.va;

	if (error)
		return error;
	ring->desc = (struct vring_desc *)(void *)base;
	ring->avail = (struct vring_avail *)(void *)(base + avail);
	ring->used = (const volatile struct vring_used *)(void *)(base + used);
	ring->used_event = &ring->avail->ring[size];
	ring->avail_event =
		(const volatile __virtio16 *)(const volatile void *)&ring->used->ring[size];
	ring->mask = (uint16_t)(size - 1);
	return 0;
}

void virtio_ring_free(struct virtio *v, struct virtio_ring *ring)
{
	usrpci_dma_block_free(v->ctx, &ring->block);
}

static void clear(struct virtio *v, struct virtio_ring *ring, uint16_t index)
{
	memset(ring->block.va, 0, ring->block.size);
	ring->head = 0;
	ring->published = 0;
	ring->last_used = 0;
	ring->broken = false;
	ring->index = index;
	ring->notify = &v->notify;
	ring->event_idx = virtio_has(v, VIRTIO_RING_F_EVENT_IDX);
	virtio_ring_disarm(ring);
}

/* 4.1.4.4 */
static int find_doorbell(struct virtio *v, struct virtio_ring *ring)
{
	uint64_t offset = usrpci_read16(&v->common, VIRTIO_PCI_COMMON_Q_NOFF);

	offset *= v->notify_multiplier;
	if (offset > v->notify.size - sizeof(uint16_t) || offset % sizeof(uint16_t))
		return -EPROTO;
	ring->doorbell = offset;
	return 0;
}

static int set_vector(struct virtio *v, uint16_t vector)
{
	usrpci_write16(&v->common, VIRTIO_PCI_COMMON_Q_MSIX, vector);
	return usrpci_read16(&v->common, VIRTIO_PCI_COMMON_Q_MSIX) == vector ? 0 : -EPROTO;
}

static void set_address(struct virtio *v, const struct virtio_ring *ring, size_t reg,
			const volatile void *part)
{
	size_t offset = (size_t)((const volatile uint8_t *)part - (uint8_t *)ring->block.va);

	usrpci_write64_lo_hi(&v->common, reg, ring->block.addr + offset);
}

int virtio_ring_start(struct virtio *v, struct virtio_ring *ring, uint16_t index, uint16_t vector)
{
	int error;

	clear(v, ring, index);
	if (virtio_ring_max(v, index) <= ring->mask ||
	    usrpci_read16(&v->common, VIRTIO_PCI_COMMON_Q_ENABLE))
		return -EPROTO;
	usrpci_write16(&v->common, VIRTIO_PCI_COMMON_Q_SIZE, (uint16_t)(ring->mask + 1));
	error = find_doorbell(v, ring);
	if (!error && v->vectors > 0 && v->irq == USRPCI_IRQ_MSIX)
		error = set_vector(v, vector);
	if (error)
		return error;
	set_address(v, ring, VIRTIO_PCI_COMMON_Q_DESCLO, ring->desc);
	set_address(v, ring, VIRTIO_PCI_COMMON_Q_AVAILLO, ring->avail);
	set_address(v, ring, VIRTIO_PCI_COMMON_Q_USEDLO, ring->used);
	usrpci_write16(&v->common, VIRTIO_PCI_COMMON_Q_ENABLE, 1);
	return 0;
}

/* 2.7.10: with event indices the device says at which entry it wants a notification. */
static bool wants_doorbell(const struct virtio_ring *ring, uint16_t before)
{
	if (ring->event_idx)
		return vring_need_event(usrpci_le16(*ring->avail_event), ring->head, before);
	return !(usrpci_le16(ring->used->flags) & VRING_USED_F_NO_NOTIFY);
}

void virtio_ring_publish(struct virtio_ring *ring)
{
	uint16_t before = ring->published;

	if (ring->head == before)
		return;
	usrpci_dma_rmb(); /* what was read of a buffer is read before the device has it again */
	usrpci_dma_wmb(); /* entries are seen before the index */
	*(volatile __virtio16 *)&ring->avail->idx = usrpci_le16(ring->head);
	ring->published = ring->head;
	usrpci_dma_mb(); /* the index is seen before we read whether it wants a doorbell */
	if (wants_doorbell(ring, before))
		usrpci_write16(ring->notify, ring->doorbell, ring->index);
}

bool virtio_ring_arm(struct virtio_ring *ring)
{
	ring->armed = true;
	if (ring->event_idx)
		*ring->used_event = usrpci_le16(ring->last_used);
	else
		*(volatile __virtio16 *)&ring->avail->flags = 0;
	usrpci_dma_mb(); /* the device sees the request before we check whether it came too late */
	return usrpci_le16(ring->used->idx) == ring->last_used;
}

void virtio_ring_disarm(struct virtio_ring *ring)
{
	ring->armed = false;
	if (ring->event_idx)
		*ring->used_event = usrpci_le16((uint16_t)(ring->last_used - 1));
	else
		*(volatile __virtio16 *)&ring->avail->flags =
			usrpci_le16(VRING_AVAIL_F_NO_INTERRUPT);
}
