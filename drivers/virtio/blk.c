// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-blk: Virtio 1.2, 5.2. Each command uses a slot, which owns three descriptors: for the
 * header, the data and the status. Header and status lie in the slot's own memory, so that only the
 * data's address changes.
 *
 * The device is not trusted: a used entry must name the head of a slot that is under way. The
 * driver cannot check the status of a command: it only passes it to the program.
 *
 * Not supported: secure erase, zones, lifetime, several segments, changes of the capacity.
 */

#include <errno.h>
#include <linux/virtio_blk.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <usrpci/vblk.h>

#include "deadline.h"
#include "virtio.h"

#define QUEUES_MAX  16
#define DEPTH_MAX   256
#define PER_SLOT    3    /* descriptors that a slot has */
#define SECTORS_MAX 8192 /* the largest read or write: 4 MiB */
#define LOOK_MS     1000 /* how long a wait sleeps before it looks at deadlines */
#define LOOK_CALLS  1024 /* after so many reaps without a command, one checks deadlines */
#define POLL_US     5

#define CONFIG(name) offsetof(struct virtio_blk_config, name)

/* The part of a slot that the device reads and writes, without the data. */
struct slot_memory {
	struct virtio_blk_outhdr header;
	struct virtio_blk_discard_write_zeroes range;
	uint8_t status;
	uint8_t unused[64 - 33];
};

_Static_assert(sizeof(struct slot_memory) == 64, "a slot's memory is a cache line");

struct slot {
	struct usrpci_vblk_io *io; /* NULL: it is free */
	uint64_t since;            /* on the monotonic clock, microseconds */
};

struct queue {
	struct virtio_ring ring;
	struct usrpci_dma_block block;
	volatile struct slot_memory *memory; /* in block */
	struct slot *slots;
	uint16_t *free; /* a stack of slots */
	unsigned int free_count;
	unsigned int vain; /* reaps without a command */
};

struct usrpci_vblk {
	struct virtio v;
	struct usrpci_vblk_info info;
	struct usrpci_vblk_options options;
	struct queue *queues;
	uint64_t wanted;
	int error; /* the error that ended the disk's use; any thread may set it */
};

static int check_options(struct usrpci_vblk_options *options)
{
	if (!options->queues)
		options->queues = 1;
	if (!options->depth)
		options->depth = 64;
	if (!options->timeout_ms)
		options->timeout_ms = 10000;
	return options->queues > QUEUES_MAX || options->depth > DEPTH_MAX ||
			       options->timeout_ms < 50
		       ? -EINVAL
		       : 0;
}

static bool offered(const struct usrpci_vblk *vblk, unsigned int feature)
{
	return vblk->v.offered >> feature & 1;
}

/* Reads a field that exists with a feature; without the feature the value stays as it was. */
static int read_field(struct usrpci_vblk *vblk, unsigned int feature, size_t offset,
		      unsigned int width, uint64_t *value)
{
	if (!offered(vblk, feature))
		return 0;
	vblk->wanted |= VIRTIO_BIT(feature);
	return virtio_config_read(&vblk->v, offset, width, value);
}

static uint32_t at_most(uint64_t value, uint32_t most)
{
	return value < most ? (uint32_t)value : most;
}

/* A command has at most one segment and one range, so larger limits are of no use. */
static int read_limits(struct usrpci_vblk *vblk)
{
	uint64_t size = UINT32_MAX, discard = 0, zeroes = 0, block = USRPCI_VBLK_SECTOR;
	struct usrpci_vblk_info *info = &vblk->info;
	int error = read_field(vblk, VIRTIO_BLK_F_SIZE_MAX, CONFIG(size_max), 4, &size) ?:
		read_field(vblk, VIRTIO_BLK_F_BLK_SIZE, CONFIG(blk_size), 4, &block) ?:
		read_field(vblk, VIRTIO_BLK_F_DISCARD, CONFIG(max_discard_sectors), 4, &discard) ?:
		read_field(vblk, VIRTIO_BLK_F_WRITE_ZEROES, CONFIG(max_write_zeroes_sectors), 4,
			   &zeroes);

	if (error)
		return error;
	if (block < USRPCI_VBLK_SECTOR || block > 65536 || (block & (block - 1)))
		return -EPROTO;
	info->block_size = (uint32_t)block;
	info->max_sectors = at_most(size / block * (block / USRPCI_VBLK_SECTOR), SECTORS_MAX);
	info->max_discard = at_most(discard, UINT32_MAX);
	info->max_zeroes = at_most(zeroes, UINT32_MAX);
	return info->max_sectors > 0 ? 0 : -EPROTO;
}

static int read_info(struct usrpci_vblk *vblk)
{
	uint64_t queues = 1, capacity = 0;
	int vectors = usrpci_irq_count(vblk->v.dev, USRPCI_IRQ_MSIX);
	int error = virtio_config_read(&vblk->v, CONFIG(capacity), 8, &capacity)
			    ?: read_limits(vblk);

	if (!error && vblk->options.queues > 1)
		error = read_field(vblk, VIRTIO_BLK_F_MQ, CONFIG(num_queues), 2, &queues);
	if (error)
		return error;
	if (!vblk->options.poll && queues > 1)
		queues = vectors > 2 ? at_most(queues, (uint32_t)vectors - 1) : 1;
	vblk->wanted |= VIRTIO_BIT(VIRTIO_BLK_F_RO) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
	vblk->info.sectors = capacity;
	vblk->info.read_only = offered(vblk, VIRTIO_BLK_F_RO);
	vblk->info.write_cache = offered(vblk, VIRTIO_BLK_F_FLUSH);
	vblk->info.queues = at_most(queues, vblk->options.queues);
	return capacity > UINT64_MAX / USRPCI_VBLK_SECTOR || !queues ? -EPROTO : 0;
}

/* Chooses a power of two that holds three descriptors for each slot, if the device has so many. */
static int choose_ring(struct usrpci_vblk *vblk, unsigned int *size)
{
	*size = 4;
	for (unsigned int i = 0; i < vblk->info.queues; i++) {
		unsigned int most = virtio_ring_max(&vblk->v, (uint16_t)i);

		if (most < 4 || most > 32768 || (most & (most - 1)))
			return -EPROTO;
		if (i == 0 || most < vblk->info.depth)
			vblk->info.depth = most;
	}
	while (*size < vblk->info.depth && *size / PER_SLOT < vblk->options.depth)
		*size *= 2;
	vblk->info.depth = at_most(*size / PER_SLOT, vblk->options.depth);
	return 0;
}

static int alloc_queue(struct usrpci_vblk *vblk, struct queue *queue, unsigned int size)
{
	unsigned int depth = vblk->info.depth;
	struct usrpci_dma_request request = {.size = depth * sizeof(struct slot_memory)};
	int error;

	queue->slots = calloc(depth, sizeof(*queue->slots));
	queue->free = calloc(depth, sizeof(*queue->free));
	if (!queue->slots || !queue->free)
		return -ENOMEM;
	error = usrpci_dma_block_alloc(vblk->v.ctx, &request, &queue->block)
			?: virtio_ring_alloc(&vblk->v, size, &queue->ring);
	queue->memory = queue->block.va;
	return error;
}

static int alloc_queues(struct usrpci_vblk *vblk)
{
	unsigned int size;
	int error = choose_ring(vblk, &size);

	if (error)
		return error;
	vblk->queues = aligned_alloc(64, vblk->info.queues * sizeof(*vblk->queues));
	if (!vblk->queues)
		return -ENOMEM;
	memset(vblk->queues, 0, vblk->info.queues * sizeof(*vblk->queues));
	for (unsigned int i = 0; i < vblk->info.queues && !error; i++)
		error = alloc_queue(vblk, &vblk->queues[i], size);
	return error;
}

static void free_all(struct usrpci_vblk *vblk)
{
	virtio_close(&vblk->v);
	virtio_irq_disable(&vblk->v);
	usrpci_dev_set_bus_master(vblk->v.dev, false);
	for (unsigned int i = 0; vblk->queues && i < vblk->info.queues; i++) {
		virtio_ring_free(&vblk->v, &vblk->queues[i].ring);
		usrpci_dma_block_free(vblk->v.ctx, &vblk->queues[i].block);
		free(vblk->queues[i].slots);
		free(vblk->queues[i].free);
	}
	free(vblk->queues);
	free(vblk);
}

/* Sets the parts of a slot's descriptors that never change. */
static void describe_slot(struct queue *queue, unsigned int slot)
{
	struct vring_desc *desc = &queue->ring.desc[slot * PER_SLOT];
	uint64_t memory = queue->block.addr + slot * sizeof(struct slot_memory);

	desc[0] = (struct vring_desc){
		.addr = usrpci_le64(memory),
		.len = usrpci_le32(sizeof(struct virtio_blk_outhdr)),
		.flags = usrpci_le16(VRING_DESC_F_NEXT),
	};
	desc[2] = (struct vring_desc){
		.addr = usrpci_le64(memory + offsetof(struct slot_memory, status)),
		.len = usrpci_le32(1),
		.flags = usrpci_le16(VRING_DESC_F_WRITE),
	};
	queue->free[slot] = (uint16_t)slot;
}

static int start_queue(struct usrpci_vblk *vblk, unsigned int index)
{
	struct queue *queue = &vblk->queues[index];
	int error = virtio_ring_start(&vblk->v, &queue->ring, (uint16_t)index,
				      (uint16_t)(1 + index));

	for (unsigned int i = 0; i < vblk->info.depth && !error; i++)
		describe_slot(queue, i);
	queue->free_count = vblk->info.depth;
	return error;
}

static int enable_irq(struct usrpci_vblk *vblk)
{
	if (vblk->options.poll)
		return 0;
	if (usrpci_irq_count(vblk->v.dev, USRPCI_IRQ_MSIX) > 1)
		return virtio_irq_enable(&vblk->v, USRPCI_IRQ_MSIX, 1 + vblk->info.queues);
	return virtio_irq_enable(&vblk->v, USRPCI_IRQ_INTX, 1);
}

static int start(struct usrpci_vblk *vblk)
{
	int error = usrpci_dev_set_bus_master(vblk->v.dev, true) ?:
		virtio_negotiate(&vblk->v, vblk->wanted) ?:
		enable_irq(vblk);

	for (unsigned int i = 0; i < vblk->info.queues && !error; i++)
		error = start_queue(vblk, i);
	return error ? error : virtio_ready(&vblk->v);
}

int usrpci_vblk_open(struct usrpci_dev *dev, const struct usrpci_vblk_options *options,
		     struct usrpci_vblk **result)
{
	struct usrpci_vblk *vblk = calloc(1, sizeof(*vblk));
	const char *unheard;
	int error;

	if (!vblk)
		return -ENOMEM;
	if (options)
		vblk->options = *options;
	vblk->v.why = vblk->options.why ? vblk->options.why : &unheard;
	error = check_options(&vblk->options);
	if (!error && !virtio_matches(usrpci_dev_info(dev), VIRTIO_TYPE_BLK)) {
		*vblk->v.why = "it is no virtio disk";
		error = -ENOTSUP;
	}
	if (!error)
		error = virtio_open(&vblk->v, dev);
	if (error) {
		free(vblk);
		return error;
	}
	error = read_info(vblk) ?: alloc_queues(vblk) ?: start(vblk);
	if (error) {
		free_all(vblk);
		return error;
	}
	*result = vblk;
	return 0;
}

void usrpci_vblk_close(struct usrpci_vblk *vblk)
{
	if (vblk)
		free_all(vblk);
}

const struct usrpci_vblk_info *usrpci_vblk_info(const struct usrpci_vblk *vblk)
{
	return &vblk->info;
}

static struct queue *find_queue(struct usrpci_vblk *vblk, unsigned int index)
{
	return index < vblk->info.queues ? &vblk->queues[index] : NULL;
}

static int ended(const struct usrpci_vblk *vblk)
{
	return __atomic_load_n(&vblk->error, __ATOMIC_ACQUIRE);
}

/* After the reset the device accesses no buffer any more. */
static void end(struct usrpci_vblk *vblk, int error)
{
	int reset = virtio_reset(&vblk->v);

	if (reset == -ENODEV)
		error = reset;
	if (reset)
		usrpci_dev_set_bus_master(vblk->v.dev, false);
	__atomic_store_n(&vblk->error, error, __ATOMIC_RELEASE);
}

static int check_range(const struct usrpci_vblk *vblk, const struct usrpci_vblk_io *io,
		       uint32_t most)
{
	const struct usrpci_vblk_info *info = &vblk->info;
	uint32_t unit = info->block_size / USRPCI_VBLK_SECTOR;

	if (most == 0)
		return -EOPNOTSUPP;
	if (io->sectors == 0 || io->sectors > most || io->sector > info->sectors ||
	    io->sectors > info->sectors - io->sector)
		return -ERANGE;
	return io->sector % unit || io->sectors % unit ? -ERANGE : 0;
}

static int check(const struct usrpci_vblk *vblk, const struct usrpci_vblk_io *io)
{
	const struct usrpci_vblk_info *info = &vblk->info;

	if (io->op != USRPCI_VBLK_READ && io->op != USRPCI_VBLK_FLUSH && info->read_only)
		return -EROFS;
	switch (io->op) {
	case USRPCI_VBLK_READ:
	case USRPCI_VBLK_WRITE:
		return check_range(vblk, io, info->max_sectors);
	case USRPCI_VBLK_FLUSH:
		return info->write_cache ? 0 : -EOPNOTSUPP;
	case USRPCI_VBLK_DISCARD:
		return check_range(vblk, io, info->max_discard);
	case USRPCI_VBLK_WRITE_ZEROES:
		return check_range(vblk, io, info->max_zeroes);
	}
	return -EINVAL;
}

/* A discard's data is its range: 5.2.6. */
static void describe_data(struct queue *queue, unsigned int slot, const struct usrpci_vblk_io *io)
{
	volatile struct slot_memory *memory = &queue->memory[slot];
	struct vring_desc *desc = &queue->ring.desc[slot * PER_SLOT];
	bool is_data = io->op == USRPCI_VBLK_READ || io->op == USRPCI_VBLK_WRITE;
	uint16_t flags = VRING_DESC_F_NEXT;

	desc[0].next =
		usrpci_le16((uint16_t)(slot * PER_SLOT + (io->op == USRPCI_VBLK_FLUSH ? 2 : 1)));
	if (io->op == USRPCI_VBLK_READ)
		flags |= VRING_DESC_F_WRITE;
	if (!is_data) {
		memory->range.sector = usrpci_le64(io->sector);
		memory->range.num_sectors = usrpci_le32(io->sectors);
		memory->range.flags = 0;
	}
	desc[1].addr = usrpci_le64(is_data ? io->addr
					   : queue->block.addr + slot * sizeof(*memory) +
						     offsetof(struct slot_memory, range));
	desc[1].len = usrpci_le32(is_data ? io->sectors * USRPCI_VBLK_SECTOR
					  : (uint32_t)sizeof(memory->range));
	desc[1].flags = usrpci_le16(flags);
	desc[1].next = usrpci_le16((uint16_t)(slot * PER_SLOT + 2));
}

static void put(struct queue *queue, struct usrpci_vblk_io *io, uint64_t now)
{
	static const uint32_t types[] = {
		[USRPCI_VBLK_READ] = VIRTIO_BLK_T_IN,
		[USRPCI_VBLK_WRITE] = VIRTIO_BLK_T_OUT,
		[USRPCI_VBLK_FLUSH] = VIRTIO_BLK_T_FLUSH,
		[USRPCI_VBLK_DISCARD] = VIRTIO_BLK_T_DISCARD,
		[USRPCI_VBLK_WRITE_ZEROES] = VIRTIO_BLK_T_WRITE_ZEROES,
	};
	unsigned int slot = queue->free[--queue->free_count];
	volatile struct slot_memory *memory = &queue->memory[slot];
	bool is_data = io->op == USRPCI_VBLK_READ || io->op == USRPCI_VBLK_WRITE;

	queue->slots[slot] = (struct slot){io, now};
	memory->header.type = usrpci_le32(types[io->op]);
	memory->header.ioprio = 0;
	memory->header.sector = usrpci_le64(is_data ? io->sector : 0);
	memory->status = 0xff;
	describe_data(queue, slot, io);
	virtio_ring_put(&queue->ring, (uint16_t)(slot * PER_SLOT));
}

int usrpci_vblk_submit(struct usrpci_vblk *vblk, unsigned int index,
		       struct usrpci_vblk_io *const *ios, unsigned int n)
{
	struct queue *queue = find_queue(vblk, index);
	uint64_t now = now_us();
	unsigned int taken = 0;
	int error = queue ? ended(vblk) : -EINVAL;

	if (error)
		return error;
	while (taken < n && queue->free_count > 0) {
		error = check(vblk, ios[taken]);
		if (error)
			break;
		put(queue, ios[taken++], now);
	}
	virtio_ring_publish(&queue->ring);
	return taken == 0 && error ? error : (int)taken;
}

static int error_of(uint8_t status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_IOERR:
		return -EIO;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	}
	return -EPROTO;
}

static struct usrpci_vblk_io *finish(struct queue *queue, unsigned int slot, int error)
{
	struct usrpci_vblk_io *io = queue->slots[slot].io;

	io->error = error;
	queue->slots[slot].io = NULL;
	queue->free[queue->free_count++] = (uint16_t)slot;
	return io;
}

/* Returns the slot that a used entry names, or -EPROTO when that slot is not under way. */
static int take_used(const struct usrpci_vblk *vblk, struct queue *queue)
{
	struct virtio_ring *ring = &queue->ring;
	uint32_t id = usrpci_le32(ring->used->ring[ring->last_used++ & ring->mask].id);

	if (id % PER_SLOT || id / PER_SLOT >= vblk->info.depth || !queue->slots[id / PER_SLOT].io)
		return -EPROTO;
	return (int)(id / PER_SLOT);
}

static void look_at_deadlines(struct usrpci_vblk *vblk, const struct queue *queue)
{
	uint64_t now = now_us(), most = (uint64_t)vblk->options.timeout_ms * 1000;

	for (unsigned int i = 0; i < vblk->info.depth && !ended(vblk); i++) {
		if (queue->slots[i].io && now - queue->slots[i].since > most)
			end(vblk, -ETIMEDOUT);
	}
}

/* Gives all commands back with the error that ended the disk's use. */
static int reap_ended(struct usrpci_vblk *vblk, struct queue *queue, struct usrpci_vblk_io **done,
		      unsigned int budget)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < vblk->info.depth && count < budget; i++) {
		if (queue->slots[i].io)
			done[count++] = finish(queue, i, ended(vblk));
	}
	return count > 0 ? (int)count : ended(vblk);
}

int usrpci_vblk_reap(struct usrpci_vblk *vblk, unsigned int index, struct usrpci_vblk_io **done,
		     unsigned int budget)
{
	struct queue *queue = find_queue(vblk, index);
	unsigned int pending, count = 0;
	int slot;

	if (!queue)
		return -EINVAL;
	pending = ended(vblk) ? 0 : virtio_ring_pending(&queue->ring);
	while (count < budget && count < pending) {
		slot = take_used(vblk, queue);
		if (virtio_unlikely(slot < 0)) {
			queue->ring.broken = true;
			break;
		}
		done[count++] = finish(queue, (unsigned int)slot,
				       error_of(queue->memory[slot].status));
	}
	if (count > 0) {
		queue->ring.armed = false;
		return (int)count;
	}
	if (virtio_unlikely(queue->ring.broken) && !ended(vblk))
		end(vblk, -EPROTO);
	if (++queue->vain % LOOK_CALLS == 0)
		look_at_deadlines(vblk, queue);
	return ended(vblk) ? reap_ended(vblk, queue, done, budget) : 0;
}

static bool is_complete(struct usrpci_vblk *vblk, struct queue *queue)
{
	return ended(vblk) || virtio_ring_pending(&queue->ring) > 0 || queue->ring.broken;
}

static int sleep_for(struct usrpci_vblk *vblk, unsigned int index, int timeout_ms)
{
	struct virtio *v = &vblk->v;
	int got = 0;

	if (v->vectors == 0) {
		nap_us(POLL_US);
		return 0;
	}
	if (!virtio_ring_arm(&vblk->queues[index].ring))
		return 0;
	got = usrpci_irq_wait(v->dev, v->irq, v->irq == USRPCI_IRQ_MSIX ? 1 + index : 0,
			      timeout_ms < LOOK_MS && timeout_ms >= 0 ? timeout_ms : LOOK_MS);
	if (got > 0 && v->irq == USRPCI_IRQ_INTX) {
		virtio_isr(v);
		usrpci_irq_done(v->dev, USRPCI_IRQ_INTX, 0);
	}
	return got == -EINTR ? got : 0;
}

int usrpci_vblk_wait(struct usrpci_vblk *vblk, unsigned int index, int timeout_ms)
{
	deadline_t deadline = timeout_ms > 0 ? deadline_in_ms((unsigned int)timeout_ms) : 0;
	struct queue *queue = find_queue(vblk, index);
	bool late = false;
	int error;

	if (!queue)
		return -EINVAL;
	while (!is_complete(vblk, queue)) {
		if (late)
			return -ETIMEDOUT;
		late = timeout_ms >= 0 && deadline_left_ms(deadline) == 0;
		error = sleep_for(vblk, index,
				  timeout_ms < 0 ? -1
				  : late         ? 0
						 : deadline_left_ms(deadline));
		if (error)
			return error;
		look_at_deadlines(vblk, queue);
	}
	return 0;
}

int usrpci_vblk_irq_fd(struct usrpci_vblk *vblk, unsigned int index)
{
	if (vblk->v.vectors == 0 || index >= vblk->info.queues)
		return -EINVAL;
	return usrpci_irq_fd(vblk->v.dev, vblk->v.irq,
			     vblk->v.irq == USRPCI_IRQ_MSIX ? 1 + index : 0);
}

int usrpci_vblk_run(struct usrpci_vblk *vblk, unsigned int index, struct usrpci_vblk_io *io)
{
	struct usrpci_vblk_io *done;
	int got = 0;

	if (find_queue(vblk, index) && vblk->queues[index].free_count < vblk->info.depth)
		return -EBUSY;
	got = usrpci_vblk_submit(vblk, index, &io, 1);
	if (got < 0)
		return got;
	do
		usrpci_vblk_wait(vblk, index, -1);
	while (usrpci_vblk_reap(vblk, index, &done, 1) == 0);
	return io->error;
}
