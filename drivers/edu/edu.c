// SPDX-License-Identifier: BSD-2-Clause
/*
 * QEMU's educational device, after docs/specs/edu.txt of QEMU.
 *
 * An operation is started by a register write, ends with an interrupt (or, when polling, with a bit
 * that falls), and has one second for it. The device is not trusted: what it answers is compared
 * with what it may answer. The device cannot do several operations at once.
 */

#include <errno.h>
#include <stdlib.h>

#include "deadline.h"
#include "edu.h"
#include "edu_reg.h"

#define TIMEOUT_MS 1000
#define ALL_ONES   UINT32_MAX /* what a device that is gone reads as */

struct edu {
	struct usrpci_dev *dev;
	struct usrpci_ctx *ctx;
	struct usrpci_bar bar;
	usrpci_dma_t limit;
	enum usrpci_irq_type irq;
	bool poll;
};

static int enable_irq(struct edu *edu)
{
	int error;

	if (edu->poll)
		return 0;
	error = usrpci_irq_enable_best(edu->dev, 1, &edu->irq);
	return error < 0 ? error : 0;
}

/* The liveness register tells a device from a bus that reads as anything. */
static int check_identity(struct edu *edu)
{
	uint32_t id = usrpci_read32(&edu->bar, EDU_ID);

	if (id == ALL_ONES)
		return -ENODEV;
	usrpci_write32(&edu->bar, EDU_LIVENESS, 0x12345678);
	if ((id & 0xffff) != EDU_ID_MAGIC ||
	    usrpci_read32(&edu->bar, EDU_LIVENESS) != ~UINT32_C(0x12345678))
		return -EIO;
	return 0;
}

int edu_raise(struct edu *edu, uint32_t causes)
{
	if (!causes)
		return -EINVAL;
	usrpci_write32(&edu->bar, EDU_IRQ_RAISE, causes);
	return 0;
}

int edu_wait(struct edu *edu, int timeout_ms, uint32_t *causes)
{
	int error;

	if (edu->poll)
		return -EOPNOTSUPP;
	error = usrpci_irq_wait(edu->dev, edu->irq, 0, timeout_ms);
	if (error < 0)
		return error;
	*causes = usrpci_read32(&edu->bar, EDU_IRQ_STATUS);
	if (*causes == ALL_ONES)
		return -ENODEV;
	usrpci_write32(&edu->bar, EDU_IRQ_ACK, *causes);
	/* The interrupt is unmasked after the line has fallen; before that, it would fire again. */
	return usrpci_irq_done(edu->dev, edu->irq, 0);
}

/* Waits until the busy bit of a register falls. The last look is after the deadline. */
static int wait_idle(struct edu *edu, size_t reg, uint32_t busy, bool poll)
{
	deadline_t deadline = deadline_in_ms(TIMEOUT_MS);
	int error, left, idle;
	uint32_t causes;

	if (poll)
		return usrpci_bar_wait32(&edu->bar, reg, busy, 0, TIMEOUT_MS, NULL);
	do {
		left = deadline_left_ms(deadline);
		error = edu_wait(edu, left, &causes);
		idle = usrpci_bar_wait32(&edu->bar, reg, busy, 0, 0, NULL);
		if (idle != -ETIMEDOUT)
			return idle;
	} while (left > 0 && (!error || error == -EINTR));
	return error ?: -ETIMEDOUT;
}

int edu_open(struct usrpci_dev *dev, const struct edu_options *options, struct edu **result)
{
	const struct usrpci_dev_info *info = usrpci_dev_info(dev);
	struct edu *edu;
	int error;

	if (info->vendor != EDU_VENDOR || info->device != EDU_DEVICE)
		return -ENOTSUP;
	edu = calloc(1, sizeof(*edu));
	if (!edu)
		return -ENOMEM;
	edu->dev = dev;
	edu->ctx = usrpci_dev_ctx(dev);
	edu->poll = options && options->poll;
	edu->limit = options && options->limit ? options->limit : EDU_DMA_LIMIT;
	error = usrpci_bar_map(dev, 0, &edu->bar);
	if (error)
		goto free_edu;
	error = check_identity(edu);
	if (error)
		goto unmap_bar;
	error = wait_idle(edu, EDU_DMA_COMMAND, EDU_DMA_START, true); /* an earlier user's */
	if (error)
		goto unmap_bar;
	usrpci_write32(&edu->bar, EDU_IRQ_ACK, ALL_ONES);
	error = enable_irq(edu);
	if (error)
		goto unmap_bar;
	error = usrpci_dev_set_bus_master(dev, true);
	if (error)
		goto clear_master;
	*result = edu;
	return 0;

clear_master: /* bus mastering may have been switched on in spite of the error */
	usrpci_dev_set_bus_master(dev, false);
	if (!edu->poll)
		usrpci_irq_disable(dev, edu->irq);
unmap_bar:
	usrpci_bar_unmap(&edu->bar);
free_edu:
	free(edu);
	return error;
}

int edu_factorial(struct edu *edu, uint32_t n, uint32_t *result)
{
	int error;

	usrpci_write32(&edu->bar, EDU_STATUS, edu->poll ? 0 : EDU_STATUS_IRQ);
	usrpci_write32(&edu->bar, EDU_FACTORIAL, n);
	error = wait_idle(edu, EDU_STATUS, EDU_STATUS_COMPUTING, edu->poll);
	if (error)
		return error;
	n = usrpci_read32(&edu->bar, EDU_FACTORIAL);
	if (n == ALL_ONES) /* a factorial is even, or 1 */
		return -ENODEV;
	*result = n;
	return 0;
}

int edu_alloc(struct edu *edu, size_t size, void **block)
{
	struct usrpci_dma_request request = {.size = size, .limit = edu->limit};

	return usrpci_dma_alloc(edu->ctx, &request, block);
}

static int transfer(struct edu *edu, size_t offset, const void *block, size_t size, bool to_memory)
{
	usrpci_dma_t memory = usrpci_dma_addr(edu->ctx, block);
	usrpci_dma_t buffer = EDU_BUFFER + offset;
	uint32_t command = EDU_DMA_START | (to_memory ? EDU_DMA_TO_MEMORY : 0);

	if (!size || offset >= EDU_BUFFER_SIZE || size >= EDU_BUFFER_SIZE - offset)
		return -ERANGE;
	if (!usrpci_dma_contains(edu->ctx, block, size) || memory > edu->limit - (size - 1))
		return -EFAULT;
	usrpci_write64(&edu->bar, EDU_DMA_SOURCE, to_memory ? buffer : memory);
	usrpci_write64(&edu->bar, EDU_DMA_DESTINATION, to_memory ? memory : buffer);
	usrpci_write64(&edu->bar, EDU_DMA_COUNT, size);
	usrpci_write32(&edu->bar, EDU_DMA_COMMAND, command | (edu->poll ? 0 : EDU_DMA_IRQ));
	return wait_idle(edu, EDU_DMA_COMMAND, EDU_DMA_START, edu->poll);
}

int edu_write(struct edu *edu, size_t offset, const void *block, size_t size)
{
	return transfer(edu, offset, block, size, false);
}

int edu_read(struct edu *edu, size_t offset, void *block, size_t size)
{
	return transfer(edu, offset, block, size, true);
}

void edu_close(struct edu *edu)
{
	if (!edu)
		return;
	wait_idle(edu, EDU_DMA_COMMAND, EDU_DMA_START, true);
	usrpci_dev_set_bus_master(edu->dev, false);
	if (!edu->poll)
		usrpci_irq_disable(edu->dev, edu->irq);
	usrpci_bar_unmap(&edu->bar);
	free(edu);
}
