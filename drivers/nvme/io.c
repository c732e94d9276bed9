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

#define CALLS_PER_TICK 256 /* calls until the clock is read, which costs more than a command */
#define BLOCKS_MAX     65536

/* Makes a list of pages for a buffer that has more than two pages, [NVMe] 4.3. */
static __attribute__((noinline)) void put_list(struct usrpci_nvme_queue *queue, unsigned int index,
					       struct nvme_command *command, uint64_t size)
{
	const struct usrpci_nvme *nvme = queue->nvme;
	size_t offset = (size_t)index * queue->list_size;
	uint64_t *list = (uint64_t *)((uint8_t *)queue->lists.va + offset);
	uint64_t addr = queue->slots[index].io->addr, end = addr + size;

	if (nvme->info.features & USRPCI_NVME_SGL) {
		command->cdw0 |= usrpci_le32(PSDT_SGL);
		command->prp2 = usrpci_le64(SGL_DATA_BLOCK(size));
		return;
	}
	command->prp2 = usrpci_le64(queue->lists.addr + offset);
	for (addr = (addr | (nvme->page - 1)) + 1; addr < end; addr += nvme->page)
		*list++ = usrpci_le64(addr);
}

/* Nearly all commands do; the others may take longer here. */
static inline bool moves_data(const struct usrpci_nvme_io *io)
{
	return io->op == USRPCI_NVME_OP_READ || io->op == USRPCI_NVME_OP_WRITE;
}

static inline void put_buffer(struct usrpci_nvme_queue *queue, const struct usrpci_nvme_io *io,
			      unsigned int index, struct nvme_command *command)
{
	uint64_t size = (uint64_t)io->blocks << io->ns->block_shift;
	uint64_t second = (io->addr | (queue->nvme->page - 1)) + 1;

	command->prp1 = usrpci_le64(io->addr);
	if (nvme_unlikely(io->addr + size > second + queue->nvme->page))
		put_list(queue, index, command, size);
	else if (io->addr + size > second)
		command->prp2 = usrpci_le64(second);
}

/* Writes one range, [NVMe] 6.7, to the place of the list of pages. */
static __attribute__((noinline)) void put_range(struct usrpci_nvme_queue *queue, unsigned int index,
						struct nvme_command *command)
{
	const struct usrpci_nvme_io *io = queue->slots[index].io;
	size_t offset = (size_t)index * queue->list_size;
	struct nvme_dsm_range *range = (void *)((uint8_t *)queue->lists.va + offset);

	range->attributes = 0;
	range->blocks = usrpci_le32(io->blocks);
	range->lba = usrpci_le64(io->lba);
	command->prp1 = usrpci_le64(queue->lists.addr + offset);
	command->cdw10 = 0; /* ranges - 1 */
	command->cdw11 = usrpci_le32(DSM_DEALLOCATE);
	command->cdw12 = 0;
}

/* What a command that moves no data has beside its blocks. */
static __attribute__((noinline)) void put_other(struct usrpci_nvme_queue *queue, unsigned int index,
						struct nvme_command *command)
{
	const struct usrpci_nvme_io *io = queue->slots[index].io;

	if (io->op == USRPCI_NVME_OP_COMPARE)
		put_buffer(queue, io, index, command);
	else if (io->op == USRPCI_NVME_OP_DEALLOCATE)
		put_range(queue, index, command);
	else if (io->op == USRPCI_NVME_OP_FLUSH)
		command->cdw10 = command->cdw11 = command->cdw12 = 0;
	else if (io->flags & USRPCI_NVME_TRIM)
		command->cdw12 |= usrpci_le32(ZEROES_DEAC);
}

/* Inline here, and a function for queue.c. */
inline void nvme_queue_put(struct usrpci_nvme_queue *queue, unsigned int index)
{
	struct nvme_command *command = &queue->ring.sq[queue->ring.tail];
	const struct nvme_slot *slot = &queue->slots[index];
	const struct usrpci_nvme_io *io = slot->io;

	*command = (struct nvme_command){
		.cdw0 = usrpci_le32(io->op | (uint32_t)slot->cid << 16),
		.nsid = usrpci_le32(io->ns->nsid),
		.cdw10 = usrpci_le32((uint32_t)io->lba),
		.cdw11 = usrpci_le32((uint32_t)(io->lba >> 32)),
		.cdw12 = usrpci_le32((io->blocks - 1) | (io->flags & USRPCI_NVME_FUA ? RW_FUA : 0)),
	};
	if (nvme_likely(moves_data(io)))
		put_buffer(queue, io, index, command);
	else
		put_other(queue, index, command);
	nvme_ring_advance_tail(&queue->ring);
}

static inline int check_range(const struct usrpci_nvme_io *io, uint8_t flags)
{
	uint64_t end;

	if (nvme_unlikely(io->blocks == 0 || io->flags & ~flags))
		return -EINVAL;
	if (nvme_unlikely(__builtin_add_overflow(io->lba, io->blocks, &end) ||
			  end > io->ns->blocks))
		return -ERANGE;
	return 0;
}

static inline int check_buffer(const struct usrpci_nvme *nvme, const struct usrpci_nvme_io *io)
{
	if (nvme_unlikely(io->addr & 3))
		return -EINVAL;
	if (nvme_unlikely(((uint64_t)io->blocks << io->ns->block_shift) > nvme->info.max_transfer))
		return -ERANGE;
	return 0;
}

/* Also checks that the controller has the command. */
static __attribute__((noinline)) int check_other(const struct usrpci_nvme *nvme,
						 const struct usrpci_nvme_io *io)
{
	uint32_t feature, most = BLOCKS_MAX;
	uint8_t flags = USRPCI_NVME_FUA;

	switch (io->op) {
	case USRPCI_NVME_OP_FLUSH:
		return io->flags ? -EINVAL : 0;
	case USRPCI_NVME_OP_COMPARE:
		feature = USRPCI_NVME_COMPARE;
		break;
	case USRPCI_NVME_OP_WRITE_ZEROES:
		feature = USRPCI_NVME_WRITE_ZEROES;
		flags |= USRPCI_NVME_TRIM;
		break;
	case USRPCI_NVME_OP_VERIFY:
		feature = USRPCI_NVME_VERIFY;
		break;
	case USRPCI_NVME_OP_DEALLOCATE:
		feature = USRPCI_NVME_DEALLOCATE;
		most = UINT32_MAX;
		break;
	default:
		return -EINVAL;
	}
	if (!(nvme->info.features & feature))
		return -EOPNOTSUPP;
	if (io->blocks > most)
		return -ERANGE;
	return check_range(io, flags)
		       ?: (io->op == USRPCI_NVME_OP_COMPARE ? check_buffer(nvme, io) : 0);
}

static inline int check(const struct usrpci_nvme *nvme, const struct usrpci_nvme_io *io)
{
	if (nvme_likely(moves_data(io)))
		return check_range(io, USRPCI_NVME_FUA) ?: check_buffer(nvme, io);
	return check_other(nvme, io);
}

static inline void start(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io *io,
			 unsigned int index)
{
	struct nvme_slot *slot = &queue->slots[index];

	slot->io = io;
	slot->tick = queue->tick;
	slot->cid = (uint16_t)(slot->cid + (1 << NVME_SLOT_BITS));
	slot->strikes = 0;
	slot->aborted = false;
	nvme_queue_put(queue, index);
}

int usrpci_nvme_submit(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io *const *ios,
		       unsigned int n)
{
	const uint16_t *free = queue->free + queue->free_count;
	unsigned int i;
	int error = 0;

	nvme_queue_follow(queue);
	if (nvme_unlikely(queue->error))
		return queue->error;
	n = nvme_min(n, queue->free_count);
	for (i = 0; i < n; i++) {
		error = check(queue->nvme, ios[i]);
		if (nvme_unlikely(error))
			break;
		start(queue, ios[i], *--free);
	}
	queue->free_count -= i;
	if (i == 0)
		return error;
	usrpci_dma_rmb(); /* what was read of a buffer is read before the device has it again */
	usrpci_write32(&queue->nvme->bar, queue->ring.sq_doorbell, queue->ring.tail);
	return (int)i;
}

static inline struct usrpci_nvme_io *release(struct usrpci_nvme_queue *queue, unsigned int index,
					     int error)
{
	struct usrpci_nvme_io *io = queue->slots[index].io;

	io->error = error;
	queue->slots[index].io = NULL;
	queue->free[queue->free_count++] = (uint16_t)index;
	return io;
}

static inline struct usrpci_nvme_io *complete(struct usrpci_nvme_queue *queue, uint32_t dw3)
{
	unsigned int index = dw3 & ((1u << NVME_SLOT_BITS) - 1);
	struct nvme_slot *slot = &queue->slots[index];
	uint16_t status = CQE_STATUS(dw3);

	if (nvme_unlikely(index >= queue->depth || !slot->io || slot->error ||
			  slot->cid != (uint16_t)dw3)) {
		__atomic_fetch_add(&queue->nvme->stats.spurious, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	slot->io->status = status;
	if (nvme_likely(status == 0))
		return release(queue, index, 0);
	return release(queue, index, slot->aborted ? -ETIMEDOUT : nvme_status_errno(status));
}

/* Reaps commands that will get no completion. */
static __attribute__((noinline)) unsigned int
reap_ended(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io **done, unsigned int budget)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < queue->depth && n < budget; i++) {
		struct nvme_slot *slot = &queue->slots[i];

		if (!slot->error)
			continue;
		slot->io->status = 0;
		done[n++] = release(queue, i, slot->error);
		slot->error = 0;
		queue->ended--;
	}
	return n;
}

/*
 * Takes at most one round of the queue, whatever the device writes. "n" are there already; returns
 * how many there are then.
 */
static inline unsigned int reap_completed(struct usrpci_nvme_queue *queue,
					  struct usrpci_nvme_io **done, unsigned int n,
					  unsigned int budget)
{
	struct nvme_ring *ring = &queue->ring;
	unsigned int seen = 0;

	for (; n < budget && seen < ring->entries; seen++) {
		uint32_t dw3 = usrpci_le32(ring->cq[ring->head].dw3);

		if ((dw3 & CQE_PHASE) != ring->phase)
			break;
		nvme_ring_advance_head(ring);
		done[n] = complete(queue, dw3);
		n += done[n] != NULL;
	}
	usrpci_dma_rmb(); /* completions are read before the data that they report */
	if (seen > 0)
		usrpci_write32(&queue->nvme->bar, ring->cq_doorbell, ring->head);
	return n;
}

int usrpci_nvme_reap(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io **done,
		     unsigned int budget)
{
	unsigned int n = 0;

	nvme_queue_follow(queue);
	if (nvme_unlikely(queue->ended > 0))
		n = reap_ended(queue, done, budget);
	if (nvme_likely(!queue->error))
		n = reap_completed(queue, done, n, budget);
	else if (n == 0 && budget > 0)
		return queue->error;
	if (queue->shared && n < budget)
		nvme_queue_arm(queue);
	if (nvme_unlikely(++queue->calls % CALLS_PER_TICK == 0))
		nvme_queue_tick(queue);
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
