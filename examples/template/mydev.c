// SPDX-License-Identifier: BSD-2-Clause
/*
 * A driver, as an example of its shape: take the device, start an operation, wait for its interrupt
 * with a deadline, let go in reverse order. Every read that may be all ones is looked at: that is
 * how a device that is gone reads.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mydev.h"
#include "mydev_reg.h"

#define TIMEOUT_MS 1000
#define TRIES      8
#define GONE       UINT32_MAX

struct mydev {
	struct usrpci_dev *dev;
	struct usrpci_bar bar;
	enum usrpci_irq_type irq;
	struct usrpci_dma_block buffer;
};

static int check_identity(struct mydev *mydev)
{
	uint32_t id = usrpci_read32(&mydev->bar, REG_ID);

	if (id == GONE)
		return -ENODEV;
	return (id & 0xff) == MYDEV_ID ? 0 : -ENOTSUP;
}

static int allocate(struct mydev *mydev)
{
	struct usrpci_dma_request request = {.size = BUFFER_SIZE, .limit = DMA_LIMIT};

	return usrpci_dma_block_alloc(usrpci_dev_ctx(mydev->dev), &request, &mydev->buffer);
}

int mydev_open(struct usrpci_dev *dev, struct mydev **result)
{
	const struct usrpci_dev_info *info = usrpci_dev_info(dev);
	struct mydev *mydev;
	int error;

	if (info->vendor != MYDEV_VENDOR || info->device != MYDEV_DEVICE)
		return -ENOTSUP;
	mydev = calloc(1, sizeof(*mydev));
	if (!mydev)
		return -ENOMEM;
	mydev->dev = dev;
	error = usrpci_bar_map(dev, 0, &mydev->bar);
	if (error)
		goto free_mydev;
	error = check_identity(mydev);
	if (error)
		goto unmap_bar;
	error = allocate(mydev);
	if (error)
		goto unmap_bar;
	error = usrpci_irq_enable_best(dev, 1, &mydev->irq);
	if (error < 0)
		goto free_buffer;
	/* Last: from here on the device can write to memory. */
	error = usrpci_dev_set_bus_master(dev, true);
	if (error)
		goto disable_irq;
	*result = mydev;
	return 0;

disable_irq:
	usrpci_irq_disable(dev, mydev->irq);
free_buffer:
	usrpci_dma_block_free(usrpci_dev_ctx(dev), &mydev->buffer);
unmap_bar:
	usrpci_bar_unmap(&mydev->bar);
free_mydev:
	free(mydev);
	return error;
}

void mydev_close(struct mydev *mydev)
{
	if (!mydev)
		return;
	/* First: memory is given back only when the device cannot write to it any more. */
	usrpci_dev_set_bus_master(mydev->dev, false);
	usrpci_irq_disable(mydev->dev, mydev->irq);
	usrpci_dma_block_free(usrpci_dev_ctx(mydev->dev), &mydev->buffer);
	usrpci_bar_unmap(&mydev->bar);
	free(mydev);
}

static int acknowledge(struct mydev *mydev)
{
	uint32_t causes = usrpci_read32(&mydev->bar, REG_IRQ_STATUS);

	if (causes == GONE)
		return -ENODEV;
	usrpci_write32(&mydev->bar, REG_IRQ_ACKNOWLEDGE, causes);
	/* INTx stays masked until the device is silent and this is said. */
	return usrpci_irq_done(mydev->dev, mydev->irq, 0);
}

/*
 * The register decides whether the transfer has ended: an interrupt can come for something else, or
 * twice, or never, so a look follows every wait, and there are only so many of them.
 */
static int await_end(struct mydev *mydev)
{
	uint32_t command;
	int waited, error;

	for (unsigned int tries = 0; tries < TRIES; tries++) {
		waited = usrpci_irq_wait(mydev->dev, mydev->irq, 0, TIMEOUT_MS);
		if (waited < 0 && waited != -ETIMEDOUT && waited != -EINTR)
			return waited;
		error = acknowledge(mydev);
		command = usrpci_read32(&mydev->bar, REG_DMA_COMMAND);
		if (error || command == GONE)
			return error ? error : -ENODEV;
		if (!(command & DMA_START))
			return 0;
		if (waited == -ETIMEDOUT)
			break;
	}
	return -ETIMEDOUT;
}

static int transfer(struct mydev *mydev, usrpci_dma_t source, usrpci_dma_t destination, size_t size,
		    uint32_t command)
{
	usrpci_write64(&mydev->bar, REG_DMA_SOURCE, source);
	usrpci_write64(&mydev->bar, REG_DMA_DESTINATION, destination);
	usrpci_write64(&mydev->bar, REG_DMA_COUNT, size);
	/*
	 * The device sees what was stored in the buffer before this: a register write is ordered.
	 */
	usrpci_write32(&mydev->bar, REG_DMA_COMMAND, DMA_START | DMA_IRQ | command);
	return await_end(mydev);
}

int mydev_write(struct mydev *mydev, const void *data, size_t size)
{
	if (size == 0 || size > BUFFER_SIZE)
		return -ERANGE;
	memcpy(mydev->buffer.va, data, size);
	return transfer(mydev, mydev->buffer.addr, BUFFER, size, 0);
}

int mydev_read(struct mydev *mydev, void *data, size_t size)
{
	int error;

	if (size == 0 || size > BUFFER_SIZE)
		return -ERANGE;
	error = transfer(mydev, BUFFER, mydev->buffer.addr, size, DMA_TO_MEMORY);
	if (!error)
		memcpy(data, mydev->buffer.va, size);
	return error;
}
