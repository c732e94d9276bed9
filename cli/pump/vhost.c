// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames between a card's buffers and a TAP device by the kernel's vhost-net, which uses both rings
 * in order.
 *
 * Addresses in the rings are those of this process. Of its memory, the kernel is told where the
 * card's buffers are.
 */

#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pump/vhost.h"

#define HEADER    ((unsigned int)sizeof(struct virtio_net_hdr_v1))
#define SIZE      512 /* descriptors of a ring */
#define ANNOUNCED 256 /* buffers for what the TAP sends */
#define ROOM      64  /* frames after which a full ring announces that it has room again */
#define BIT(n)    (UINT64_C(1) << (n))
#define FEATURES \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_RING_F_EVENT_IDX))

/* The numbers of rings that vhost-net uses: a guest would receive what the TAP sends. */
enum { FROM_TAP, TO_TAP, RINGS };

struct avail {
	uint16_t flags, idx, ring[SIZE], used_event;
};

struct used {
	uint16_t flags, idx;
	struct vring_used_elem ring[SIZE];
	uint16_t avail_event;
};

/* One ring; the kernel reads and writes only its first three parts. */
struct ring {
	struct vring_desc desc[SIZE] __attribute__((aligned(64)));
	struct avail avail __attribute__((aligned(64)));
	struct used used __attribute__((aligned(64)));
	uint16_t head;      /* the available ring's next index */
	uint16_t published; /* the part of head that the kernel knows */
	uint16_t last_used;
	bool broken; /* the kernel wrote what cannot be */
	int kick;
	uint8_t *buffers[SIZE];
	uint16_t pieces[SIZE];     /* TO_TAP: of a frame, by its first descriptor */
	uint16_t next, free_count; /* TO_TAP: descriptors */
};

struct vhost {
	struct usrpci_nic *nic;
	bool offload;          /* the card writes a header before each frame */
	bool takes;            /* frames that the TAP sends, too */
	unsigned int headroom; /* of the card's buffers */
	int file, event;
	struct ring rings[RINGS];
};

/* Returns how many used entries there are; none when there are more than were published. */
static uint16_t pending(struct ring *ring)
{
	uint16_t idx = __atomic_load_n(&ring->used.idx, __ATOMIC_ACQUIRE);
	uint16_t count = (uint16_t)(idx - ring->last_used);

	ring->broken |= count > (uint16_t)(ring->published - ring->last_used);
	return ring->broken ? 0 : count;
}

static void describe(struct ring *ring, uint16_t id, const void *data, size_t size, uint16_t flags,
		     uint16_t next)
{
	ring->desc[id] = (struct vring_desc){
		.addr = (uintptr_t)data,
		.len = (uint32_t)size,
		.flags = flags,
		.next = next,
	};
}

static void put(struct ring *ring, uint16_t id)
{
	ring->avail.ring[ring->head++ % SIZE] = id;
}

static void publish(struct ring *ring)
{
	const volatile uint16_t *event = &ring->used.avail_event;
	uint16_t before = ring->published;

	if (ring->head == before)
		return;
	__atomic_store_n(&ring->avail.idx, ring->head, __ATOMIC_RELEASE);
	ring->published = ring->head;
	/* The index is seen before we read whether the kernel wants to be told. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vring_need_event(*event, ring->head, before))
		eventfd_write(ring->kick, 1);
}

/* Asks for an event when so many entries are used. Returns false when they are already. */
static bool arm(struct ring *ring, uint16_t count)
{
	*(volatile uint16_t *)&ring->avail.used_event = (uint16_t)(ring->last_used + count - 1);
	/* The kernel sees the request before we check whether it came too late. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return pending(ring) < count;
}

static void disarm(struct ring *ring)
{
	*(volatile uint16_t *)&ring->avail.used_event = (uint16_t)(ring->last_used - 1);
}

/* Gives the kernel as many buffers as it can have and the card can spare. */
static void refill(struct vhost *vhost)
{
	struct ring *ring = &vhost->rings[FROM_TAP];
	uint8_t *data;

	while ((uint16_t)(ring->head - ring->last_used) < ANNOUNCED &&
	       (data = usrpci_nic_get(vhost->nic))) {
		uint16_t id = ring->head % ANNOUNCED;

		ring->buffers[id] = data - vhost->headroom;
		describe(ring, id, ring->buffers[id], USRPCI_NIC_BUFFER_SIZE, VRING_DESC_F_WRITE,
			 0);
		put(ring, id);
	}
}

/* How many buffers the next frame has, as its header says; 0: no such number can be. */
static unsigned int count_pieces(const struct ring *ring)
{
	const volatile struct virtio_net_hdr_v1 *header =
		(void *)ring->buffers[ring->last_used % ANNOUNCED];
	unsigned int count = header->num_buffers;

	return count <= VHOST_PIECES ? count : 0;
}

/* Takes one used entry, the first of a frame or another one. */
static bool take_entry(struct ring *ring, bool first, struct usrpci_nic_frame *piece)
{
	uint16_t id = ring->last_used % ANNOUNCED;
	const volatile struct vring_used_elem *used = &ring->used.ring[ring->last_used % SIZE];
	uint32_t size = used->len, skipped = first ? HEADER : 0;

	if (used->id != id || size <= skipped || size > USRPCI_NIC_BUFFER_SIZE)
		return false;
	piece->data = ring->buffers[id] + skipped;
	piece->size = (uint16_t)(size - skipped);
	ring->last_used++;
	ring->buffers[id] = NULL;
	return true;
}

unsigned int vhost_take(struct vhost *vhost, struct usrpci_nic_frame *pieces,
			struct virtio_net_hdr_v1 **header)
{
	struct ring *ring = &vhost->rings[FROM_TAP];
	unsigned int count;

	if (pending(ring) == 0 && arm(ring, 1))
		return 0;
	disarm(ring);
	count = count_pieces(ring);
	ring->broken |= count == 0 || count > pending(ring);
	for (unsigned int i = 0; i < count && !ring->broken; i++) {
		ring->broken = !take_entry(ring, i == 0, &pieces[i]);
		pieces[i].more = i + 1 < count;
	}
	if (ring->broken)
		return 0;
	*header = (void *)((uint8_t *)pieces[0].data - HEADER);
	return count;
}

/* Puts the buffers of the frames that the TAP has back in the pool. */
static void reclaim(struct vhost *vhost)
{
	struct ring *ring = &vhost->rings[TO_TAP];

	for (uint16_t left = pending(ring); left > 0; left--) {
		const volatile struct vring_used_elem *used =
			&ring->used.ring[ring->last_used % SIZE];
		uint16_t oldest = (uint16_t)(ring->next + ring->free_count) % SIZE;
		uint16_t pieces = ring->pieces[oldest];

		if (used->id != oldest || pieces == 0) {
			ring->broken = true;
			return;
		}
		for (uint16_t i = 0; i < pieces; i++) {
			uint16_t id = (oldest + i) % SIZE;

			usrpci_nic_put(vhost->nic, ring->buffers[id]);
			ring->buffers[id] = NULL;
		}
		ring->pieces[oldest] = 0;
		ring->free_count += pieces;
		ring->last_used++;
	}
}

bool vhost_is_idle(struct vhost *vhost)
{
	reclaim(vhost);
	return vhost->rings[TO_TAP].free_count == SIZE;
}

bool vhost_has_room(struct vhost *vhost, unsigned int n)
{
	struct ring *ring = &vhost->rings[TO_TAP];

	if (ring->free_count > n)
		return true;
	reclaim(vhost);
	if (ring->free_count > n) {
		disarm(ring);
		return true;
	}
	return !arm(ring, ROOM);
}

/* Describes the next piece, which the caller makes available with the frame. */
static void add(struct ring *ring, uint8_t *buffer, const void *data, size_t size, bool more)
{
	uint16_t id = ring->next, next = (id + 1) % SIZE;

	ring->buffers[id] = buffer;
	describe(ring, id, data, size, more ? VRING_DESC_F_NEXT : 0, more ? next : 0);
	ring->next = next;
	ring->free_count--;
}

void vhost_give(struct vhost *vhost, const struct virtio_net_hdr_v1 *header,
		const struct usrpci_nic_frame *pieces, unsigned int n)
{
	struct ring *ring = &vhost->rings[TO_TAP];
	uint8_t *data = pieces[0].data;
	uint16_t first = ring->next;

	if (!vhost->offload)
		add(ring, NULL, memcpy(data + USRPCI_NIC_BUFFER_SIZE - HEADER, header, HEADER),
		    HEADER, true);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int skipped = vhost->offload && i == 0 ? HEADER : 0;

		data = pieces[i].data;
		add(ring, data, data - skipped, pieces[i].size + skipped, i + 1 < n);
	}
	ring->pieces[first] = (uint16_t)(ring->next - first) % SIZE;
	put(ring, first);
}

int vhost_publish(struct vhost *vhost)
{
	reclaim(vhost);
	if (vhost->takes)
		refill(vhost);
	publish(&vhost->rings[FROM_TAP]);
	publish(&vhost->rings[TO_TAP]);
	return vhost->rings[FROM_TAP].broken || vhost->rings[TO_TAP].broken ? -EPROTO : 0;
}

int vhost_event(const struct vhost *vhost)
{
	return vhost->event;
}

/* Finds the buffers of the card, which are all in the pool as yet. */
static int find_buffers(struct usrpci_nic *nic, uintptr_t *lowest, uintptr_t *highest)
{
	size_t count = usrpci_nic_available(nic);
	void **buffers = calloc(count + 1, sizeof(*buffers));

	if (!buffers)
		return -ENOMEM;
	*lowest = UINTPTR_MAX;
	*highest = 0;
	for (size_t i = 0; i < count; i++) {
		uintptr_t buffer;

		buffers[i] = usrpci_nic_get(nic);
		buffer = (uintptr_t)buffers[i] / USRPCI_NIC_BUFFER_SIZE * USRPCI_NIC_BUFFER_SIZE;
		*lowest = buffer < *lowest ? buffer : *lowest;
		*highest = buffer > *highest ? buffer : *highest;
	}
	for (size_t i = 0; i < count; i++)
		usrpci_nic_put(nic, buffers[i]);
	free(buffers);
	return 0;
}

/* What lies between the buffers is this process's own. */
static int tell_memory(struct vhost *vhost)
{
	uint64_t bytes[(sizeof(struct vhost_memory) + sizeof(struct vhost_memory_region)) / 8] = {
		0};
	struct vhost_memory *table = (void *)bytes;
	uintptr_t lowest, highest;
	int error = find_buffers(vhost->nic, &lowest, &highest);

	if (error)
		return error;
	table->nregions = 1;
	table->regions[0] = (struct vhost_memory_region){
		.guest_phys_addr = lowest,
		.memory_size = highest - lowest + USRPCI_NIC_BUFFER_SIZE,
		.userspace_addr = lowest,
	};
	return ioctl(vhost->file, VHOST_SET_MEM_TABLE, table) ? -errno : 0;
}

static int tell_ring(struct vhost *vhost, unsigned int index, int tap)
{
	struct ring *ring = &vhost->rings[index];
	struct vhost_vring_state size = {.index = index, .num = SIZE};
	struct vhost_vring_state base = {.index = index};
	struct vhost_vring_file kick = {.index = index, .fd = ring->kick};
	struct vhost_vring_file call = {.index = index, .fd = vhost->event};
	struct vhost_vring_file backend = {.index = index, .fd = tap};
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)&ring->avail,
		.used_user_addr = (uintptr_t)&ring->used,
	};

	if (ioctl(vhost->file, VHOST_SET_VRING_NUM, &size) ||
	    ioctl(vhost->file, VHOST_SET_VRING_BASE, &base) ||
	    ioctl(vhost->file, VHOST_SET_VRING_ADDR, &addr) ||
	    ioctl(vhost->file, VHOST_SET_VRING_KICK, &kick) ||
	    ioctl(vhost->file, VHOST_SET_VRING_CALL, &call) ||
	    ioctl(vhost->file, VHOST_NET_SET_BACKEND, &backend))
		return -errno;
	return 0;
}

static int tell_features(struct vhost *vhost)
{
	uint64_t features = 0;

	if (ioctl(vhost->file, VHOST_SET_OWNER) ||
	    ioctl(vhost->file, VHOST_GET_FEATURES, &features))
		return -errno;
	if ((features & FEATURES) != FEATURES)
		return -EOPNOTSUPP;
	features = FEATURES;
	return ioctl(vhost->file, VHOST_SET_FEATURES, &features) ? -errno : 0;
}

int vhost_start(int file, int tap, struct usrpci_nic *nic, bool takes, struct vhost **result)
{
	struct vhost *vhost = aligned_alloc(64, sizeof(*vhost));
	int error;

	if (!vhost) {
		close(file);
		return -ENOMEM;
	}
	memset(vhost, 0, sizeof(*vhost));
	vhost->nic = nic;
	vhost->offload = usrpci_nic_info(nic)->offload;
	vhost->headroom = usrpci_nic_info(nic)->headroom;
	vhost->takes = takes;
	vhost->file = file;
	vhost->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vhost->rings[TO_TAP].free_count = SIZE;
	for (unsigned int i = 0; i < RINGS; i++)
		vhost->rings[i].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	disarm(&vhost->rings[TO_TAP]);
	error = tell_features(vhost)
			?: tell_memory(vhost)
			?: (takes ? tell_ring(vhost, FROM_TAP, tap) : 0)
			?: tell_ring(vhost, TO_TAP, tap);
	if (error)
		vhost_stop(vhost);
	else
		*result = vhost;
	return error;
}

void vhost_stop(struct vhost *vhost)
{
	if (!vhost)
		return;
	close(vhost->file);
	for (unsigned int i = 0; i < RINGS; i++) {
		for (unsigned int id = 0; id < SIZE; id++)
			usrpci_nic_put(vhost->nic, vhost->rings[i].buffers[id]);
		close(vhost->rings[i].kick);
	}
	close(vhost->event);
	free(vhost);
}
