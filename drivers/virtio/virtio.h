/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What drivers of virtio devices share; sections are those of Virtual I/O Device (VIRTIO) Version
 * 1.2.
 *
 * 	pci.c   the transport: where registers are, negotiation, interrupts, 3.1 and 4.1
 * 	ring.c  split virtqueues, 2.7
 *
 * The device can write only to the used rings and the buffers. What a driver bases its decisions on
 * is kept elsewhere.
 */

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <usrpci/usrpci.h>

#define VIRTIO_VENDOR 0x1af4

/* Device types, section 5. */
#define VIRTIO_TYPE_NET 1
#define VIRTIO_TYPE_BLK 2

#define VIRTIO_BIT(n) (UINT64_C(1) << (n))

#define virtio_unlikely(condition) __builtin_expect(!!(condition), 0)

/* A device. */
struct virtio {
	struct usrpci_dev *dev;
	struct usrpci_ctx *ctx;
	struct usrpci_bar common, notify, isr, config; /* isr and config may be unmapped */
	uint32_t notify_multiplier;
	uint64_t offered, features; /* sets of VIRTIO_BIT() */
	enum usrpci_irq_type irq;
	unsigned int vectors; /* how many are enabled; 0: polling */
	const char **why;     /* stores the reason of a refusal */
};

/* pci.c */

/* Returns whether this is a device of a type, with a modern or a transitional id: 4.1.2. */
bool virtio_matches(const struct usrpci_dev_info *info, unsigned int type);

/*
 * Looks for the modern interface of a device that another driver may have, and touches nothing.
 * Errors: -ENOTSUP (it has none, as *why says); those of usrpci_config_read8().
 */
int virtio_look(struct usrpci_dev *dev, const char **why);

/*
 * Maps the registers, resets the device, and reads what it offers. v->why must be set before.
 * Errors: -ENOTSUP (no modern interface: *v->why says what is missing); -EPROTO (registers that
 * cannot be); -ENODEV; -ETIMEDOUT; those of usrpci_bar_map_range().
 */
int virtio_open(struct virtio *v, struct usrpci_dev *dev);
/* Resets the device and unmaps. */
void virtio_close(struct virtio *v);

/* Writes 0 to the status and waits until it reads so: 4.1.4.3.2. */
int virtio_reset(struct virtio *v);

/*
 * Resets the device and negotiates the wanted features among those offered: steps 1 to 6 of 3.1.1.
 * Stores the result in v->features.
 */
int virtio_negotiate(struct virtio *v, uint64_t wanted);

/* Tells the device that the driver is ready: step 8. */
int virtio_ready(struct virtio *v);

/* Checks the device. Errors: -ENODEV (it is gone); -EPROTO (it asks for a reset, 2.1.1). */
int virtio_check(struct virtio *v);

/*
 * Enables up to count vectors, or the one of INTx; sends changes of the configuration to vector 0.
 * Errors: those of usrpci_irq_enable(); -EPROTO (it takes no vectors).
 */
int virtio_irq_enable(struct virtio *v, enum usrpci_irq_type type, unsigned int count);
void virtio_irq_disable(struct virtio *v);

/* INTx: reads, and so clears, why it came: 4.1.4.5. Bit 0: a queue; bit 1: the configuration. */
uint8_t virtio_isr(struct virtio *v);

/*
 * Reads a field of the device's configuration, of 1, 2, 4 or 8 bytes: 4.1.3.1, 2.5.3. Errors:
 * -EPROTO (there is no such field, or it does not stop changing).
 */
int virtio_config_read(struct virtio *v, size_t offset, unsigned int width, uint64_t *value);

static inline bool virtio_has(const struct virtio *v, unsigned int feature)
{
	return v->features >> feature & 1;
}

/* ring.c */

/* A split virtqueue. The driver keeps what belongs to a descriptor in arrays of its own. */
struct virtio_ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	const volatile struct vring_used *used;
	volatile __virtio16 *used_event;        /* behind the available ring */
	const volatile __virtio16 *avail_event; /* behind the used ring */
	uint16_t mask;                          /* size - 1 */
	uint16_t head;                          /* the available ring's next index */
	uint16_t published;                     /* the part of head that the device knows */
	uint16_t last_used;                     /* the used ring's next index */
	bool event_idx;
	bool armed;
	bool broken; /* the device wrote something invalid */
	uint16_t index;
	size_t doorbell;
	struct usrpci_bar *notify;
	struct usrpci_dma_block block;
} __attribute__((aligned(64)));

#define VIRTIO_NO_VECTOR 0xffff

/* Returns how many entries a queue can have, 0 when there is no such queue: 4.1.4.3. */
uint16_t virtio_ring_max(struct virtio *v, uint16_t index);

/* Allocates a ring of size entries, a power of two. Errors: those of usrpci_dma_alloc(). */
int virtio_ring_alloc(struct virtio *v, unsigned int size, struct virtio_ring *ring);
void virtio_ring_free(struct virtio *v, struct virtio_ring *ring);

/*
 * Tells the device of an empty ring and enables it: 4.1.5.1.3. Its interrupt is not armed.
 * Errors: -EPROTO (no vector, a doorbell outside of its window, or it was enabled before).
 */
int virtio_ring_start(struct virtio *v, struct virtio_ring *ring, uint16_t index, uint16_t vector);

/*
 * Returns how many used entries there are. If there are more than are under way, the ring is marked
 * as broken, and has no entries from then on.
 */
static inline unsigned int virtio_ring_pending(struct virtio_ring *ring)
{
	uint16_t pending = (uint16_t)(usrpci_le16(ring->used->idx) - ring->last_used);

	if (virtio_unlikely(pending > (uint16_t)(ring->published - ring->last_used)))
		ring->broken = true;
	if (virtio_unlikely(ring->broken))
		return 0;
	usrpci_dma_rmb(); /* the index is read before the entries that it counts */
	return pending;
}

/* Makes a chain available, by its first descriptor; the device learns of it by a publish. */
static inline void virtio_ring_put(struct virtio_ring *ring, uint16_t id)
{
	ring->avail->ring[ring->head++ & ring->mask] = usrpci_le16(id);
}

/* Publishes what was put, and rings the doorbell if the device wants to know: 2.7.13. */
void virtio_ring_publish(struct virtio_ring *ring);

/*
 * Asks for an interrupt at the next used entry: 2.7.7. Returns false when there is one already,
 * which may come without an interrupt.
 */
bool virtio_ring_arm(struct virtio_ring *ring);
/*
 * Asks for no interrupts, which the device may ignore. Must be repeated after every 32768 entries.
 */
void virtio_ring_disarm(struct virtio_ring *ring);
