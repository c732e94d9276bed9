// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hot path: puts commands in the submission queue and takes completions from the completion
 * queue. Follows [NVMe] 4.1, 4.3, 4.4 and 6.
 *
 * A completion counts only if its identifier is that of a command under way. The identifier has the
 * slot's number and how often the slot was used, so a completion that comes twice, too late, or
 * without a command is dropped.
 */

#include <errno.h>

#include "nvme_private.h"

#define BLOCKS_MAX 65536

/* The most blocks of a command, its flags, and what the controller must have for it. */
static const struct {
	uint32_t most, feature;
	uint8_t flags;
	bool has_buffer;
} rules[] = {
	[USRPCI_NVME_OP_READ] = {BLOCKS_MAX, 0, USRPCI_NVME_FUA, true},
	[USRPCI_NVME_OP_WRITE] = {BLOCKS_MAX, 0, USRPCI_NVME_FUA, true},
	[USRPCI_NVME_OP_COMPARE] = {BLOCKS_MAX, USRPCI_NVME_COMPARE, USRPCI_NVME_FUA, true},
	[USRPCI_NVME_OP_WRITE_ZEROES] = {BLOCKS_MAX, USRPCI_NVME_WRITE_ZEROES,
					 USRPCI_NVME_FUA | USRPCI_NVME_TRIM, false},
	[USRPCI_NVME_OP_VERIFY] = {BLOCKS_MAX, USRPCI_NVME_VERIFY, USRPCI_NVME_FUA, false},
	[USRPCI_NVME_OP_DEALLOCATE] = {UINT32_MAX, USRPCI_NVME_DEALLOCATE, USRPCI_NVME_FUA, false},
};

static inline uint64_t bytes(const struct usrpci_nvme_io *io)
{
	return (uint64_t)io->blocks << io->ns->block_shift;
}

/* Nearly all commands do; the others may take longer here. */
static inline bool moves_data(const struct usrpci_nvme_io *io)
{
	return io->op == USRPCI_NVME_OP_READ || io->op == USRPCI_NVME_OP_WRITE;
}

/* Points to the pages of a buffer, by a list where there are more than two, [NVMe] 4.3. */
static void put_pages(const struct usrpci_nvme_queue *queue, const struct usrpci_nvme_io *io,
		      size_t list, struct nvme_command *command)
{
	const struct usrpci_nvme *nvme = queue->nvme;
	uint64_t addr = (io->addr | (nvme->page - 1)) + 1, end = io->addr + bytes(io);
	uint64_t *at = (uint64_t *)((uint8_t *)queue->lists.va + list);

	if (end > addr && end <= addr + nvme->page) {
		command->prp2 = usrpci_le64(addr);
	} else if (end > addr && nvme->info.features & USRPCI_NVME_SGL) {
		command->cdw0 |= usrpci_le32(PSDT_SGL);
		command->prp2 = usrpci_le64(SGL_DATA_BLOCK(bytes(io)));
	} else if (end > addr) {
		command->prp2 = usrpci_le64(queue->lists.addr + list);
		for (; addr < end; addr += nvme->page)
			*at++ = usrpci_le64(addr);
	}
}

/* Writes one range, [NVMe] 6.7, to the place of the list of pages. */
static void put_range(const struct usrpci_nvme_queue *queue, const struct usrpci_nvme_io *io,
		      size_t list, struct nvme_command *command)
{
	struct nvme_dsm_range *range = (void *)((uint8_t *)queue->lists.va + list);

	range->attributes = 0;
	range->blocks = usrpci_le32(io->blocks);
	range->lba = usrpci_le64(io->lba);
	command->prp1 = usrpci_le64(queue->lists.addr + list);
	command->cdw10 = 0; /* ranges - 1 */
	command->cdw11 = usrpci_le32(DSM_DEALLOCATE);
	command->cdw12 = 0;
}

/* Fields that no I/O command has are zero since the ring was cleared. */
static inline struct nvme_command *put(struct usrpci_nvme_queue *queue,
				       const struct usrpci_nvme_io *io, uint64_t cid)
{
	struct nvme_command *command = &queue->ring.sq[queue->ring.tail];

	command->cdw0 = usrpci_le32(io->op | (uint32_t)cid << 16);
	command->prp1 = usrpci_le64(io->addr);
	command->prp2 = 0;
	command->cdw10 = usrpci_le32((uint32_t)io->lba);
	command->cdw11 = usrpci_le32((uint32_t)(io->lba >> 32));
	command->cdw12 = usrpci_le32((io->blocks - 1) | (io->flags & USRPCI_NVME_FUA ? RW_FUA : 0));
	nvme_ring_advance_tail(&queue->ring);
	command->nsid = usrpci_le32(io->ns->nsid);
	return command;
}

void nvme_queue_put(struct usrpci_nvme_queue *queue, unsigned int index)
{
	const struct usrpci_nvme_io *io = queue->slots[index].io;
	struct nvme_command *command = put(queue, io, queue->slots[index].cid);
	size_t list = (size_t)index * queue->list_size;

	if (rules[io->op].has_buffer)
		put_pages(queue, io, list, command);
	else
		command->prp1 = 0;
	if (io->op == USRPCI_NVME_OP_DEALLOCATE)
		put_range(queue, io, list, command);
	else if (io->op == USRPCI_NVME_OP_FLUSH)
		command->cdw10 = command->cdw11 = command->cdw12 = 0;
	else if (io->flags & USRPCI_NVME_TRIM)
		command->cdw12 |= usrpci_le32(ZEROES_DEAC);
}

static int check(const struct usrpci_nvme *nvme, const struct usrpci_nvme_io *io)
{
	bool known = io->op < sizeof(rules) / sizeof(rules[0]) && rules[io->op].most > 0;
	uint64_t end;

	if (io->op == USRPCI_NVME_OP_FLUSH)
		return io->flags ? -EINVAL : 0;
	if (known && (nvme->info.features & rules[io->op].feature) != rules[io->op].feature)
		return -EOPNOTSUPP;
	if (!known || io->blocks == 0 || io->flags & ~rules[io->op].flags ||
	    (rules[io->op].has_buffer && io->addr & 3))
		return -EINVAL;
	if (io->blocks > rules[io->op].most || __builtin_add_overflow(io->lba, io->blocks, &end) ||
	    end > io->ns->blocks ||
	    (rules[io->op].has_buffer && bytes(io) > nvme->info.max_transfer))
		return -ERANGE;
	return 0;
}

/* Returns whether it is a read or write within one page that passes all checks of check(). */
static inline bool is_plain(const struct usrpci_nvme *nvme, const struct usrpci_nvme_io *io)
{
	uint64_t end;

	return moves_data(io) && io->flags <= USRPCI_NVME_FUA && !(io->addr & 3) &&
	       bytes(io) - 1 < nvme->page - (io->addr & (nvme->page - 1)) &&
	       !__builtin_add_overflow(io->lba, io->blocks, &end) && end <= io->ns->blocks;
}

/* Takes a slot. */
static inline unsigned int start(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io *io)
{
	unsigned int index = queue->slots[--queue->free_count].free;
	struct nvme_slot *slot = &queue->slots[index];

	slot->io = io;
	slot->tick = queue->tick;
	slot->cid = (uint16_t)(slot->cid + (1 << NVME_SLOT_BITS));
	slot->strikes = 0;
	slot->aborted = false;
	return index;
}

static __attribute__((noinline)) int submit_other(struct usrpci_nvme_queue *queue,
						  struct usrpci_nvme_io *io)
{
	int error = check(queue->nvme, io);

	if (!error)
		nvme_queue_put(queue, start(queue, io));
	return error;
}

static inline int submit(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io *io)
{
	if (nvme_unlikely(!is_plain(queue->nvme, io)))
		return submit_other(queue, io);
	put(queue, io, queue->slots[start(queue, io)].cid);
	return 0;
}

int usrpci_nvme_submit(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io *const *ios,
		       unsigned int n)
{
	int error = nvme_queue_follow(queue);
	unsigned int i;

	if (nvme_unlikely(error))
		return error;
	n = nvme_min(n, queue->free_count);
	for (i = 0; i < n; i++) {
		error = submit(queue, ios[i]);
		if (nvme_unlikely(error))
			break;
	}
	if (nvme_unlikely(i == 0))
		return error;
	usrpci_dma_rmb(); /* what was read of a buffer is read before the device has it again */
	usrpci_write32(&queue->nvme->bar, queue->ring.sq_doorbell, queue->ring.tail);
	return (int)i;
}

static inline struct usrpci_nvme_io *release(struct usrpci_nvme_queue *queue, unsigned int index,
					     uint16_t status, int error)
{
	struct nvme_slot *slot = &queue->slots[index];

	slot->io->status = status;
	slot->io->error = error;
	slot->cid |= SLOT_IDLE;
	queue->slots[queue->free_count++].free = (uint16_t)index;
	return slot->io;
}

/* Reaps commands that will get no completion. */
static unsigned int reap_ended(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io **done,
			       unsigned int budget)
{
	unsigned int n = 0;

	for (unsigned int i = 0; queue->ended > 0 && n < budget; i++) {
		struct nvme_slot *slot = &queue->slots[i];

		if (!slot->error)
			continue;
		done[n++] = release(queue, i, 0, slot->error);
		slot->error = 0;
		queue->ended--;
	}
	return n;
}

/* What not every call does. */
static __attribute__((noinline)) unsigned int reap_others(struct usrpci_nvme_queue *queue,
							  struct usrpci_nvme_io **done,
							  unsigned int n, unsigned int budget)
{
	n += reap_ended(queue, done + n, budget - n);
	if (queue->shared && n < budget)
		nvme_queue_arm(queue);
	if (!queue->shared || ++queue->calls % NVME_CALLS == 0)
		nvme_queue_tick(queue);
	queue->calls_left = queue->shared || queue->ended > 0 ? 1 : NVME_CALLS;
	return n;
}

/* Takes each command once, and of other completions one round, whatever the device writes. */
static __attribute__((noinline)) unsigned int reap_odd(struct usrpci_nvme_queue *queue,
						       struct usrpci_nvme_io **done, unsigned int n,
						       unsigned int budget)
{
	struct nvme_ring *ring = &queue->ring;
	unsigned int dropped = 0;

	while (n < budget && dropped < ring->entries && nvme_ring_has(ring)) {
		uint32_t dw3 = usrpci_le32(ring->cq[ring->head].dw3);
		unsigned int index = dw3 & queue->slot_mask;
		int error = nvme_status_errno(CQE_STATUS(dw3));

		nvme_ring_advance_head(ring);
		if (queue->slots[index].cid == (uint16_t)dw3)
			done[n++] = release(queue, index, CQE_STATUS(dw3),
					    error && queue->slots[index].aborted ? -ETIMEDOUT
										 : error);
		else
			dropped++;
	}
	__atomic_fetch_add(&queue->nvme->stats.spurious, dropped, __ATOMIC_RELAXED);
	if (dropped > 0)
		usrpci_write32(&queue->nvme->bar, ring->cq_doorbell, ring->head);
	return n;
}

/* Takes the completions that report the success of a command under way; one comparison says so. */
static inline unsigned int reap_completed(struct usrpci_nvme_queue *queue,
					  struct usrpci_nvme_io **done, unsigned int budget)
{
	struct nvme_ring *ring = &queue->ring;
	size_t n;

	for (n = 0; n < budget; n++) {
		uint32_t dw3 = usrpci_le32(ring->cq[ring->head].dw3);
		unsigned int index = dw3 & queue->slot_mask;

		if (nvme_unlikely((queue->slots[index].cid | ring->phase) != dw3)) {
			if (nvme_ring_has(ring))
				n = reap_odd(queue, done, (unsigned int)n, budget);
			break;
		}
		nvme_ring_advance_head(ring);
		done[n] = release(queue, index, 0, 0);
	}
	usrpci_dma_rmb(); /* completions are read before the data that they report */
	if (n > 0)
		usrpci_write32(&queue->nvme->bar, ring->cq_doorbell, ring->head);
	return (unsigned int)n;
}

int usrpci_nvme_reap(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io **done,
		     unsigned int budget)
{
	int error = nvme_queue_follow(queue);
	unsigned int n;

	if (nvme_unlikely(error)) {
		n = reap_ended(queue, done, budget);
		return n > 0 || budget == 0 ? (int)n : error;
	}
	n = reap_completed(queue, done, budget);
	if (nvme_unlikely(--queue->calls_left == 0))
		n = reap_others(queue, done, n, budget);
	return (int)n;
}

unsigned int usrpci_nvme_queue_used(const struct usrpci_nvme_queue *queue)
{
	return queue->depth - queue->free_count;
}

int usrpci_nvme_run(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io *io)
{
	struct usrpci_nvme_io *done;
	int got;

	if (usrpci_nvme_queue_used(queue) > 0)
		return -EBUSY;
	got = usrpci_nvme_submit(queue, &io, 1);
	if (got < 0)
		return got;
	while ((got = usrpci_nvme_reap(queue, &done, 1)) == 0)
		usrpci_nvme_wait(queue, -1);
	return got < 0 ? got : io->error;
}
