// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts under QEMU, as descriptors. Messages (msi.c, request.c) arrive as eventfds that QEMU
 * writes to; INTx (intx.c) as ones that the program itself writes to.
 */

#include <errno.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

static struct qemu_dev *qdev_of(struct usrpci_dev *dev)
{
	return dev->backend;
}

int qemu_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	const struct qemu_dev *qdev = qdev_of(dev);

	switch (type) {
	case USRPCI_IRQ_INTX:
		return dev->info.irq_pin != 0;
	case USRPCI_IRQ_MSI:
		return (int)qdev->msi_vectors;
	case USRPCI_IRQ_MSIX:
		return (int)qdev->msix_vectors;
	case USRPCI_IRQ_REQUEST:
		return 1;
	default:
		return 0;
	}
}

static void disable(struct qemu_dev *qdev, enum usrpci_irq_type type)
{
	if (type == USRPCI_IRQ_REQUEST) {
		qemu_request_disable(qdev);
		return;
	}
	if (type == USRPCI_IRQ_INTX)
		qemu_intx_disable(qdev);
	else
		qemu_msi_disable(qdev);
	qdev->count = 0;
}

static int enable(struct qemu_dev *qdev, enum usrpci_irq_type type, unsigned int count)
{
	uint32_t command;
	/* If QEMU is gone, this access finds out. */
	int error = qemu_register_read(qdev, PCI_COMMAND, 2, &command);

	if (error)
		return error;
	if (type == USRPCI_IRQ_REQUEST)
		return qemu_request_enable(qdev);
	qdev->type = type;
	qdev->count = count;
	return type == USRPCI_IRQ_INTX ? qemu_intx_enable(qdev) : qemu_msi_enable(qdev);
}

int qemu_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	struct qemu_dev *qdev = qdev_of(dev);
	int error = qemu_watch(qdev->qemu);

	if (error)
		return report(dev->ctx, error, dev->name, NULL, "cannot watch for interrupts");
	qemu_enter(qdev->qemu);
	error = enable(qdev, type, count);
	if (error)
		disable(qdev, type);
	qemu_leave(qdev->qemu);
	if (error)
		qemu_unwatch(qdev->qemu);
	return error;
}

int qemu_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	struct qemu_dev *qdev = qdev_of(dev);

	qemu_enter(qdev->qemu);
	disable(qdev, type);
	qemu_leave(qdev->qemu);
	qemu_unwatch(qdev->qemu);
	return 0;
}

int qemu_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	const struct qemu_dev *qdev = qdev_of(dev);

	switch (type) {
	case USRPCI_IRQ_INTX:
		return qdev->intx;
	case USRPCI_IRQ_REQUEST:
		return qdev->qemu->vectors[qdev->request.first];
	default:
		return qdev->qemu->vectors[qdev->messages.first + vector];
	}
}

/* QEMU makes the eventfds that it shares non-blocking, so waiting needs poll(2). */
int qemu_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	struct pollfd poller = {.fd = qemu_irq_fd(dev, type, vector), .events = POLLIN};
	struct qemu *qemu = qdev_of(dev)->qemu;
	eventfd_t count;

	while (eventfd_read(poller.fd, &count)) {
		if (errno == EAGAIN && poll(&poller, 1, -1) >= 0)
			continue;
		return -errno;
	}
	if (__atomic_load_n(&qemu->gone, __ATOMIC_ACQUIRE))
		return -ENODEV;
	return count > INT_MAX ? INT_MAX : (int)count;
}

int qemu_irq_set_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
		      bool masked)
{
	struct qemu_dev *qdev = qdev_of(dev);
	int error;

	if (type == USRPCI_IRQ_REQUEST)
		return -EOPNOTSUPP;
	qemu_enter(qdev->qemu);
	if (type == USRPCI_IRQ_INTX)
		error = qemu_intx_mask(qdev, masked);
	else
		error = qemu_msi_mask(qdev, vector, masked);
	qemu_leave(qdev->qemu);
	return error;
}
