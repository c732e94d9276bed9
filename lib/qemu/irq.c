// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts under QEMU, as descriptors.
 *
 * Messages (msi.c, request.c) arrive as eventfds that QEMU writes to. INTx: the lines
 * into the I/O APIC are reported on the qtest socket. Whoever reads there next, mostly the thread
 * that caused the interrupt by a register access, asks the devices on the line whether it is
 * theirs, masks it as a kernel would, and writes to its eventfd. While no command is under way the
 * watcher (machine.c) reads. Follows PCI Local Bus 3.0, 2.2.6 and 6.2.4.
 */

#include <errno.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

static struct qemu_dev *qdev_of(struct usrpci_dev *dev)
{
	return dev->backend;
}

/* INTx */

/* Device 0 behind a root port; the host bridge's pins 20 to 23 rotate (Q35, PIRQ E to H). */
static uint32_t line_of(const struct qemu_dev *qdev)
{
	return 1U << (20 + (qemu_slot_port(qdev->slot) + qdev->dev->info.irq_pin - 1) % 4);
}

/* QEMU looks at the bit when the register's first byte is written. */
static int set_intx_mask(struct qemu_dev *qdev, bool masked)
{
	qdev->intx_masked = masked;
	if (!masked)
		qdev->qemu->lines_changed = true;
	return qemu_register_update(qdev, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE,
				    masked ? PCI_COMMAND_INTX_DISABLE : 0);
}

static bool asserts_intx(struct qemu_dev *qdev)
{
	uint32_t status;

	if (qdev->intx < 0 || qdev->intx_masked || !(qdev->qemu->lines & line_of(qdev)))
		return false;
	return !qemu_register_read(qdev, PCI_STATUS, 2, &status) && status != 0xffff &&
	       status & PCI_STATUS_INTERRUPT;
}

/* Masking one device may show another that shares its line: once more until none is found. */
void qemu_deliver_intx(struct qemu *qemu)
{
	struct qemu_dev *qdev;

	while (qemu->lines_changed) {
		qemu->lines_changed = false;
		for (unsigned int slot = 0; slot < QEMU_SLOTS; slot++) {
			qdev = qemu->slots[slot];
			if (!qdev || !asserts_intx(qdev))
				continue;
			if (!set_intx_mask(qdev, true))
				eventfd_write(qdev->intx, 1);
			qemu->lines_changed = true;
		}
	}
}

static void line_changed(void *data, unsigned int line, bool raised)
{
	struct qemu *qemu = data;

	if (line >= 32)
		return;
	if (raised)
		qemu->lines |= 1U << line;
	else
		qemu->lines &= ~(1U << line);
	qemu->lines_changed = qemu->lines_changed || raised;
}

static int intercept(struct qemu *qemu)
{
	int error;

	if (qemu->intercepted)
		return 0;
	qemu->qtest.irq = line_changed;
	qemu->qtest.irq_data = qemu;
	error = qtest_intercept_ioapic(&qemu->qtest);
	qemu->intercepted = !error;
	return error ? qemu_lost(qemu, error) : 0;
}

static int enable_intx(struct qemu_dev *qdev)
{
	int error = intercept(qdev->qemu);

	if (error)
		return error;
	qdev->intx = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (qdev->intx < 0)
		return report(qdev->dev->ctx, -errno, qdev->dev->name, NULL,
			      "cannot make a descriptor for INTx");
	return set_intx_mask(qdev, false);
}

static void disable_intx(struct qemu_dev *qdev)
{
	set_intx_mask(qdev, true);
	if (qdev->intx >= 0)
		close(qdev->intx);
	qdev->intx = -1;
}

/* All types */

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
		disable_intx(qdev);
	else
		qemu_msi_disable(qdev);
	qdev->count = 0;
}

static int enable(struct qemu_dev *qdev, enum usrpci_irq_type type, unsigned int count)
{
	uint32_t command;
	/* A QEMU that is gone says so here. */
	int error = qemu_register_read(qdev, PCI_COMMAND, 2, &command);

	if (error)
		return error;
	if (type == USRPCI_IRQ_REQUEST)
		return qemu_request_enable(qdev);
	qdev->type = type;
	qdev->count = count;
	return type == USRPCI_IRQ_INTX ? enable_intx(qdev) : qemu_msi_enable(qdev);
}

int qemu_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	struct qemu_dev *qdev = qdev_of(dev);
	int error = qemu_watch(qdev->qemu);

	if (error)
		return report(dev->ctx, error, dev->name, NULL, "cannot watch for interrupts");
	qemu_lock(qdev->qemu);
	error = enable(qdev, type, count);
	if (error)
		disable(qdev, type);
	qemu_unlock(qdev->qemu);
	if (error)
		qemu_unwatch(qdev->qemu);
	return error;
}

int qemu_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	struct qemu_dev *qdev = qdev_of(dev);

	qemu_lock(qdev->qemu);
	disable(qdev, type);
	qemu_unlock(qdev->qemu);
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

/* QEMU makes the eventfds that it shares non-blocking, so waiting takes a poll. */
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
	qemu_lock(qdev->qemu);
	if (type == USRPCI_IRQ_INTX)
		error = set_intx_mask(qdev, masked);
	else
		error = qemu_msi_mask(qdev, vector, masked);
	qemu_unlock(qdev->qemu);
	return error;
}

/* Makes everybody look who waits for an interrupt that can no longer come. */
void qemu_wake_all(struct qemu *qemu)
{
	for (unsigned int slot = 0; slot < QEMU_SLOTS; slot++)
		if (qemu->slots[slot] && qemu->slots[slot]->intx >= 0)
			eventfd_write(qemu->slots[slot]->intx, 1);
	for (unsigned int i = 0; i < qemu->vectors_made; i++)
		eventfd_write(qemu->vectors[i], 1);
}
