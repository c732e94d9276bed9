// SPDX-License-Identifier: BSD-2-Clause
/*
 * The controller: opening, resetting, giving up and closing it. Follows [NVMe] 3.1, 7.3 and 7.6.
 *
 * Registers that read as all ones mean that the device is gone. A controller that a reset does not
 * bring back is forbidden to access memory, and all its queues end.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "deadline.h"
#include "nvme_private.h"

#define ADMIN_ENTRIES   32
#define QUEUES_DEFAULT  8
#define TIMEOUT_DEFAULT 10000
#define TIMEOUT_MIN     50
#define TICK_MAX_US     100000
#define TICKS_MIN       8
#define SHUTDOWN_MS     5000 /* used unless the controller reports a longer time */
#define PAGE_SHIFT_MAX  16

int nvme_ring_alloc(struct usrpci_nvme *nvme, unsigned int qid, unsigned int entries,
		    struct nvme_ring *ring)
{
	size_t sq_size = (entries * sizeof(struct nvme_command) + nvme->page - 1) &
			 ~((size_t)nvme->page - 1);
	struct usrpci_dma_request request = {
		.size = sq_size + entries * sizeof(struct nvme_completion),
		.align = nvme->page,
		.zero = true,
	};
	unsigned int step = 4u << CAP_DSTRD(nvme->cap);
	int error = usrpci_dma_block_alloc(nvme->ctx, &request, &ring->block);

	if (error)
		return error;
	ring->entries = entries;
	ring->qid = qid;
	ring->sq = ring->block.va;
	ring->cq = (void *)((uint8_t *)ring->block.va + sq_size);
	ring->sq_doorbell = SQ_DOORBELL(qid, step);
	ring->cq_doorbell = CQ_DOORBELL(qid, step);
	return 0;
}

void nvme_ring_clear(struct nvme_ring *ring)
{
	memset(ring->block.va, 0, ring->block.size);
	ring->tail = 0;
	ring->head = 0;
	ring->phase = CQE_PHASE;
}

/* A device that is gone reads as ones on most buses, as zeroes on some. */
int nvme_check_alive(struct usrpci_nvme *nvme)
{
	uint32_t csts = usrpci_read32(&nvme->bar, CSTS);
	uint16_t vendor;

	if (csts == UINT32_MAX)
		return -ENODEV;
	if ((csts & (CSTS_RDY | CSTS_CFS)) == CSTS_RDY)
		return 0;
	return usrpci_config_read16(nvme->dev, 0, &vendor) == -ENODEV ? -ENODEV : -EIO;
}

static int disable(struct usrpci_nvme *nvme)
{
	uint32_t cc = usrpci_read32(&nvme->bar, CC);

	if (cc == UINT32_MAX)
		return -ENODEV;
	usrpci_write32(&nvme->bar, CC, cc & ~(CC_EN | CC_SHN_MASK));
	return usrpci_bar_wait32(&nvme->bar, CSTS, CSTS_RDY, 0, nvme->ready_ms, NULL);
}

/* [NVMe] 7.6.2. The controller is disabled afterwards, so that the next driver can start it. */
static void shut_down(struct usrpci_nvme *nvme)
{
	uint32_t cc = usrpci_read32(&nvme->bar, CC);

	if (cc == UINT32_MAX)
		return;
	usrpci_write32(&nvme->bar, CC, (cc & ~CC_SHN_MASK) | CC_SHN_NORMAL);
	usrpci_bar_wait32(&nvme->bar, CSTS, CSTS_SHST_MASK, CSTS_SHST_COMPLETE, nvme->shutdown_ms,
			  NULL);
	disable(nvme);
}

static int enable(struct usrpci_nvme *nvme)
{
	const struct nvme_ring *admin = &nvme->admin;
	uint32_t last = admin->entries - 1;
	uint64_t cq = admin->block.addr + (uint64_t)((uintptr_t)admin->cq - (uintptr_t)admin->sq);
	uint32_t cc = CC_EN | CC_IOSQES | CC_IOCQES | CAP_MPSMIN(nvme->cap) << CC_MPS_SHIFT;
	int error;

	nvme_ring_clear(&nvme->admin);
	usrpci_write32(&nvme->bar, AQA, last | last << 16);
	usrpci_write64_lo_hi(&nvme->bar, ASQ, admin->block.addr);
	usrpci_write64_lo_hi(&nvme->bar, ACQ, cq);
	usrpci_write32(&nvme->bar, CC, cc);
	error = usrpci_bar_wait32(&nvme->bar, CSTS, CSTS_RDY, CSTS_RDY, nvme->ready_ms, NULL);
	if (!error && nvme->options.poll)
		usrpci_write32(&nvme->bar, INTMS, UINT32_MAX);
	return error ?: nvme_check_alive(nvme);
}

static void raise_generation(struct usrpci_nvme *nvme)
{
	__atomic_fetch_add(&nvme->generation, 1, __ATOMIC_RELEASE);
	pthread_mutex_lock(&nvme->irq_lock);
	nvme_kick(nvme, NULL);
	pthread_mutex_unlock(&nvme->irq_lock);
}

void nvme_give_up(struct usrpci_nvme *nvme, int error)
{
	if (nvme->error)
		return;
	usrpci_dev_set_bus_master(nvme->dev, false);
	nvme->error = error;
	raise_generation(nvme);
}

void nvme_look_at_request(struct usrpci_nvme *nvme)
{
	bool wanted;

	pthread_mutex_lock(&nvme->irq_lock);
	wanted = nvme->has_request && usrpci_irq_wait(nvme->dev, USRPCI_IRQ_REQUEST, 0, 0) > 0;
	pthread_mutex_unlock(&nvme->irq_lock);
	if (!wanted)
		return;
	pthread_mutex_lock(&nvme->lock);
	if (!nvme->error)
		shut_down(nvme);
	nvme_give_up(nvme, -ENODEV);
	pthread_mutex_unlock(&nvme->lock);
}

void nvme_reset(struct usrpci_nvme *nvme)
{
	unsigned int queues;
	int error = disable(nvme) ?: enable(nvme) ?: nvme_admin_start(nvme, &queues);

	__atomic_fetch_add(&nvme->stats.resets, 1, __ATOMIC_RELAXED);
	if (!error && queues < nvme->info.queues)
		error = -EPROTO;
	if (error)
		nvme_give_up(nvme, error == -ENODEV ? error : -ENOTRECOVERABLE);
	else
		raise_generation(nvme);
}

void nvme_kick(struct usrpci_nvme *nvme, const struct usrpci_nvme_queue *but)
{
	for (struct usrpci_nvme_queue *queue = nvme->queues; queue; queue = queue->next)
		if (queue != but && queue->kick >= 0)
			eventfd_write(queue->kick, 1);
}

static int set_options(struct usrpci_nvme *nvme, const struct usrpci_nvme_options *options)
{
	struct usrpci_nvme_options *own = &nvme->options;

	if (options)
		*own = *options;
	own->queues = own->queues ?: QUEUES_DEFAULT;
	own->timeout_ms = own->timeout_ms ?: TIMEOUT_DEFAULT;
	if (own->queues > NVME_QUEUES_MAX || own->timeout_ms < TIMEOUT_MIN)
		return -EINVAL;
	nvme->tick_us = TICK_MAX_US;
	if (own->timeout_ms < TICK_MAX_US / 1000 * TICKS_MIN)
		nvme->tick_us = own->timeout_ms * 1000 / TICKS_MIN;
	nvme->late = (uint32_t)((uint64_t)own->timeout_ms * 1000 / nvme->tick_us) + 1;
	return 0;
}

static int read_capabilities(struct usrpci_nvme *nvme)
{
	size_t pairs;

	if (nvme->bar.size < DOORBELLS)
		return -EPROTO;
	nvme->cap = usrpci_read64_lo_hi(&nvme->bar, CAP);
	if (nvme->cap >> 32 == UINT32_MAX) /* it may have gone between the two halves */
		return -ENODEV;
	if (!(nvme->cap & CAP_CSS_NVM) || 12 + CAP_MPSMIN(nvme->cap) > PAGE_SHIFT_MAX)
		return -ENOTSUP;
	pairs = (nvme->bar.size - DOORBELLS) / ((size_t)8 << CAP_DSTRD(nvme->cap));
	if (CAP_MQES(nvme->cap) == 0 || pairs < 2)
		return -EPROTO;
	/* The first pair is the admin queue's. */
	nvme->options.queues = (unsigned int)nvme_min(nvme->options.queues, pairs - 1);
	nvme->page = 4096u << CAP_MPSMIN(nvme->cap);
	nvme->ready_ms = 500 * (CAP_TO(nvme->cap) + 1);
	nvme->shutdown_ms = SHUTDOWN_MS;
	nvme->info.depth = nvme_min(CAP_MQES(nvme->cap), NVME_DEPTH_MAX);
	return 0;
}

/* If there are at least two vectors, one belongs to the admin queue. */
static int enable_irqs(struct usrpci_nvme *nvme)
{
	int count;

	if (nvme->options.poll)
		return 0;
	count = usrpci_irq_enable_best(nvme->dev, nvme->options.queues + 1, &nvme->irq);
	if (count < 0)
		return count;
	nvme->info.vectors = (unsigned int)count;
	return 0;
}

/* The program may have enabled this event itself. */
static int enable_request(struct usrpci_nvme *nvme)
{
	int error = 0;

	if (usrpci_irq_count(nvme->dev, USRPCI_IRQ_REQUEST) > 0 &&
	    usrpci_irq_fd(nvme->dev, USRPCI_IRQ_REQUEST, 0) < 0) {
		error = usrpci_irq_enable(nvme->dev, USRPCI_IRQ_REQUEST, 1);
		nvme->has_request = !error;
	}
	return error;
}

static int start(struct usrpci_nvme *nvme)
{
	unsigned int queues = 0;
	int error = disable(nvme) ?:
		    nvme_ring_alloc(nvme, 0, ADMIN_ENTRIES, &nvme->admin) ?:
		    enable_irqs(nvme) ?:
		    enable_request(nvme) ?:
		    usrpci_dev_set_bus_master(nvme->dev, true) ?:
		    enable(nvme) ?:
		    nvme_admin_start(nvme, &queues);

	nvme->info.queues = queues;
	return error ?: nvme_identify(nvme);
}

static void release(struct usrpci_nvme *nvme)
{
	usrpci_dev_set_bus_master(nvme->dev, false);
	if (nvme->info.vectors > 0)
		usrpci_irq_disable(nvme->dev, nvme->irq);
	if (nvme->has_request)
		usrpci_irq_disable(nvme->dev, USRPCI_IRQ_REQUEST);
	usrpci_dma_block_free(nvme->ctx, &nvme->admin.block);
	usrpci_bar_unmap(&nvme->bar);
	pthread_mutex_destroy(&nvme->irq_lock);
	pthread_mutex_destroy(&nvme->lock);
	free(nvme);
}

int usrpci_nvme_open(struct usrpci_dev *dev, const struct usrpci_nvme_options *options,
		     struct usrpci_nvme **result)
{
	struct usrpci_nvme *nvme;
	int error;

	if (usrpci_dev_info(dev)->class_code != NVME_CLASS)
		return -ENOTSUP;
	nvme = calloc(1, sizeof(*nvme));
	if (!nvme)
		return -ENOMEM;
	nvme->dev = dev;
	nvme->ctx = usrpci_dev_ctx(dev);
	pthread_mutex_init(&nvme->lock, NULL);
	pthread_mutex_init(&nvme->irq_lock, NULL);
	error = set_options(nvme, options) ?:
		usrpci_bar_map(dev, 0, &nvme->bar) ?:
		read_capabilities(nvme) ?:
		start(nvme);
	if (error && nvme->admin.block.va)
		disable(nvme);
	if (error)
		release(nvme);
	else
		*result = nvme;
	return error;
}

void usrpci_nvme_close(struct usrpci_nvme *nvme)
{
	if (!nvme)
		return;
	while (nvme->queues)
		usrpci_nvme_queue_destroy(nvme->queues);
	if (!nvme->error)
		shut_down(nvme);
	release(nvme);
}

const struct usrpci_nvme_info *usrpci_nvme_info(const struct usrpci_nvme *nvme)
{
	return &nvme->info;
}

void usrpci_nvme_stats(struct usrpci_nvme *nvme, struct usrpci_nvme_stats *stats)
{
	stats->aborts = __atomic_load_n(&nvme->stats.aborts, __ATOMIC_RELAXED);
	stats->resets = __atomic_load_n(&nvme->stats.resets, __ATOMIC_RELAXED);
	stats->spurious = __atomic_load_n(&nvme->stats.spurious, __ATOMIC_RELAXED);
}
