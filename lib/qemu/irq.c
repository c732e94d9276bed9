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

static struct qemu_dev *device_of(struct usrpci_dev *dev)
{
	return dev->backend;
}

/* INTx */

/* Device 0 behind a root port; the host bridge's pins 20 to 23 rotate (Q35, PIRQ E to H). */
static uint32_t line_of(const struct qemu_dev *device)
{
	return 1U << (20 + (qemu_slot_port(device->slot) + device->dev->info.irq_pin - 1) % 4);
}

/* QEMU looks at the bit when the register's first byte is written. */
static int set_intx_mask(struct qemu_dev *device, bool masked)
{
	device->intx_masked = masked;
	if (!masked)
		device->qemu->lines_changed = true;
	return qemu_dev_update_config(device, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE,
				      masked ? PCI_COMMAND_INTX_DISABLE : 0);
}

static bool asserts_intx(struct qemu_dev *device)
{
	uint32_t status;

	if (device->intx < 0 || device->intx_masked || !(device->qemu->lines & line_of(device)))
		return false;
	return !qemu_dev_read_config(device, PCI_STATUS, 2, &status) && status != 0xffff &&
	       status & PCI_STATUS_INTERRUPT;
}

/* Masking one device may show another that shares its line: once more until none is found. */
void qemu_deliver_intx(struct qemu *qemu)
{
	struct qemu_dev *device;

	while (qemu->lines_changed) {
		qemu->lines_changed = false;
		for (unsigned int slot = 0; slot < QEMU_SLOTS; slot++) {
			device = qemu->slots[slot];
			if (!device || !asserts_intx(device))
				continue;
			if (!set_intx_mask(device, true))
				eventfd_write(device->intx, 1);
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

static int enable_intx(struct qemu_dev *device)
{
	int error = intercept(device->qemu);

	if (error)
		return error;
	device->intx = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->intx < 0)
		return report(device->dev->ctx, -errno, device->dev->name, NULL,
			      "cannot make a descriptor for INTx");
	return set_intx_mask(device, false);
}

static void disable_intx(struct qemu_dev *device)
{
	set_intx_mask(device, true);
	if (device->intx >= 0)
		close(device->intx);
	device->intx = -1;
}

/* All types */

int qemu_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	const struct qemu_dev *device = device_of(dev);

	switch (type) {
	case USRPCI_IRQ_INTX:
		return dev->info.irq_pin != 0;
	case USRPCI_IRQ_MSI:
		return (int)device->msi_vectors;
	case USRPCI_IRQ_MSIX:
		return (int)device->msix_vectors;
	case USRPCI_IRQ_REQUEST:
		return 1;
	default:
		return 0;
	}
}

static void disable(struct qemu_dev *device, enum usrpci_irq_type type)
{
	if (type == USRPCI_IRQ_REQUEST) {
		qemu_request_disable(device);
		return;
	}
	if (type == USRPCI_IRQ_INTX)
		disable_intx(device);
	else
		qemu_msi_disable(device);
	device->count = 0;
}

static int enable(struct qemu_dev *device, enum usrpci_irq_type type, unsigned int count)
{
	uint32_t command;
	/* A QEMU that is gone says so here. */
	int error = qemu_dev_read_config(device, PCI_COMMAND, 2, &command);

	if (error)
		return error;
	if (type == USRPCI_IRQ_REQUEST)
		return qemu_request_enable(device);
	device->type = type;
	device->count = count;
	return type == USRPCI_IRQ_INTX ? enable_intx(device) : qemu_msi_enable(device);
}

int qemu_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	struct qemu_dev *device = device_of(dev);
	int error = qemu_watch(device->qemu);

	if (error)
		return report(dev->ctx, error, dev->name, NULL, "cannot watch for interrupts");
	qemu_lock(device->qemu);
	error = enable(device, type, count);
	if (error)
		disable(device, type);
	qemu_unlock(device->qemu);
	if (error)
		qemu_unwatch(device->qemu);
	return error;
}

int qemu_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	struct qemu_dev *device = device_of(dev);

	qemu_lock(device->qemu);
	disable(device, type);
	qemu_unlock(device->qemu);
	qemu_unwatch(device->qemu);
	return 0;
}

int qemu_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	const struct qemu_dev *device = device_of(dev);

	switch (type) {
	case USRPCI_IRQ_INTX:
		return device->intx;
	case USRPCI_IRQ_REQUEST:
		return device->qemu->vectors[device->request.first];
	default:
		return device->qemu->vectors[device->messages.first + vector];
	}
}

/* QEMU makes the eventfds that it shares non-blocking, so waiting takes a poll. */
int qemu_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	struct pollfd poller = {.fd = qemu_irq_fd(dev, type, vector), .events = POLLIN};
	struct qemu *qemu = device_of(dev)->qemu;
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
	struct qemu_dev *device = device_of(dev);
	int error;

	if (type == USRPCI_IRQ_REQUEST)
		return -EOPNOTSUPP;
	qemu_lock(device->qemu);
	if (type == USRPCI_IRQ_INTX)
		error = set_intx_mask(device, masked);
	else
		error = qemu_msi_mask(device, vector, masked);
	qemu_unlock(device->qemu);
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
