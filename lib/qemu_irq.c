// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts under QEMU, as descriptors.
 *
 * MSI and MSI-X are writes to the doorbell (qemu_doorbell.c), which makes QEMU write to an eventfd
 * of ours. INTx: the lines into the I/O APIC are reported on the qtest socket. Whoever reads there
 * next, mostly the thread that caused the interrupt by a register access, asks the devices on the
 * line whether it is theirs, masks it as a kernel would, and writes to its eventfd. While no
 * command is under way the watcher (backend_qemu.c) reads. Follows PCI Local Bus 3.0, 2.2.6, 6.2.4
 * and 6.8.
 */

#include <errno.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

static struct qemu_dev *device_of(struct usrpci_dev *dev)
{
	return dev->backend;
}

static int read_config(struct qemu_dev *device, unsigned int offset, unsigned int width,
		       uint32_t *value)
{
	return qemu_config_read(device->qemu, qemu_slot_bus(device->slot), 0, offset, width, value);
}

static int write_config(struct qemu_dev *device, unsigned int offset, unsigned int width,
			uint32_t value)
{
	return qemu_config_write(device->qemu, qemu_slot_bus(device->slot), 0, offset, width,
				 value);
}

static int update_config(struct qemu_dev *device, unsigned int offset, unsigned int width,
			 uint32_t clear, uint32_t set)
{
	uint32_t value;
	int error = read_config(device, offset, width, &value);

	return error ? error : write_config(device, offset, width, (value & ~clear) | set);
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
	return update_config(device, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE,
			     masked ? PCI_COMMAND_INTX_DISABLE : 0);
}

static bool asserts_intx(struct qemu_dev *device)
{
	uint32_t status;

	if (device->intx < 0 || device->intx_masked || !(device->qemu->lines & line_of(device)))
		return false;
	return !read_config(device, PCI_STATUS, 2, &status) && status != 0xffff &&
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
	return error;
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

/* MSI */

static unsigned int power_of_two(unsigned int count)
{
	unsigned int power = 1;

	while (power < count)
		power *= 2;
	return power;
}

static int program_msi(struct qemu_dev *device)
{
	unsigned int data = PCI_MSI_DATA_32;
	uint32_t control;
	int error = read_config(device, device->msi + PCI_MSI_FLAGS, 2, &control);

	if (!error)
		error = write_config(device, device->msi + PCI_MSI_ADDRESS_LO, 4,
				     QEMU_DOORBELL_ADDRESS);
	if (!error && control & PCI_MSI_FLAGS_64BIT) {
		data = PCI_MSI_DATA_64;
		error = write_config(device, device->msi + PCI_MSI_ADDRESS_HI, 4, 0);
	}
	if (!error)
		error = write_config(device, device->msi + data, 2, device->first);
	if (error)
		return error;
	control &= ~(uint32_t)PCI_MSI_FLAGS_QSIZE;
	control |= (uint32_t)__builtin_ctz(device->reserved) << 4 | PCI_MSI_FLAGS_ENABLE;
	return write_config(device, device->msi + PCI_MSI_FLAGS, 2, control);
}

static int mask_msi(struct qemu_dev *device, unsigned int vector, bool masked)
{
	unsigned int offset = PCI_MSI_MASK_32;
	uint32_t control;
	int error = read_config(device, device->msi + PCI_MSI_FLAGS, 2, &control);

	if (error)
		return error;
	if (!(control & PCI_MSI_FLAGS_MASKBIT))
		return -EOPNOTSUPP;
	if (control & PCI_MSI_FLAGS_64BIT)
		offset = PCI_MSI_MASK_64;
	return update_config(device, device->msi + offset, 4, 1U << vector,
			     masked ? 1U << vector : 0);
}

/* MSI-X */

static int table_address(struct qemu_dev *device, unsigned int vector, uint64_t *address)
{
	const struct usrpci_bar_info *bar;
	uint32_t table;
	int error = read_config(device, device->msix + PCI_MSIX_TABLE, 4, &table);

	if (error)
		return error;
	if ((table & PCI_MSIX_TABLE_BIR) >= USRPCI_BARS)
		return -EIO;
	bar = &device->dev->bars[table & PCI_MSIX_TABLE_BIR];
	*address = bar->address + (table & PCI_MSIX_TABLE_OFFSET) + vector * PCI_MSIX_ENTRY_SIZE;
	return bar->address ? 0 : -EIO;
}

static int write_entry(struct qemu_dev *device, unsigned int vector, unsigned int offset,
		       uint32_t value)
{
	uint64_t address;
	int error = table_address(device, vector, &address);

	return error ? error : qemu_write(device->qemu, QTEST_MEMORY, address + offset, 4, value);
}

static int mask_msix(struct qemu_dev *device, unsigned int vector, bool masked)
{
	return write_entry(device, vector, PCI_MSIX_ENTRY_VECTOR_CTRL,
			   masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

static int fill_entry(struct qemu_dev *device, unsigned int vector)
{
	int error = write_entry(device, vector, PCI_MSIX_ENTRY_LOWER_ADDR, QEMU_DOORBELL_ADDRESS);

	if (!error)
		error = write_entry(device, vector, PCI_MSIX_ENTRY_UPPER_ADDR, 0);
	if (!error)
		error = write_entry(device, vector, PCI_MSIX_ENTRY_DATA, device->first + vector);
	return error ? error : mask_msix(device, vector, false);
}

static int program_msix(struct qemu_dev *device)
{
	/* The table is in a memory BAR. */
	int error = update_config(device, PCI_COMMAND, 1, 0, PCI_COMMAND_MEMORY);

	for (unsigned int i = 0; i < device->count && !error; i++)
		error = fill_entry(device, i);
	return error ? error
		     : update_config(device, device->msix + PCI_MSIX_FLAGS, 2,
				     PCI_MSIX_FLAGS_MASKALL, PCI_MSIX_FLAGS_ENABLE);
}

static void disable_messages(struct qemu_dev *device)
{
	if (device->type == USRPCI_IRQ_MSI)
		update_config(device, device->msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE, 0);
	else
		update_config(device, device->msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE, 0);
}

int qemu_irq_restore(struct qemu_dev *device)
{
	if (device->count == 0 || device->type == USRPCI_IRQ_INTX)
		return 0;
	return device->type == USRPCI_IRQ_MSI ? program_msi(device) : program_msix(device);
}

/* All types */

int qemu_irq_find(struct qemu_dev *device)
{
	unsigned int bus = qemu_slot_bus(device->slot);
	uint32_t control;
	int error = 0;

	device->msi = qemu_find_cap(device->qemu, bus, 0, PCI_CAP_ID_MSI);
	device->msix = qemu_find_cap(device->qemu, bus, 0, PCI_CAP_ID_MSIX);
	if (device->msi) {
		error = read_config(device, device->msi + PCI_MSI_FLAGS, 2, &control);
		device->msi_vectors = 1U << ((control & PCI_MSI_FLAGS_QMASK) >> 1);
	}
	if (device->msix && !error) {
		error = read_config(device, device->msix + PCI_MSIX_FLAGS, 2, &control);
		device->msix_vectors = (control & PCI_MSIX_FLAGS_QSIZE) + 1;
	}
	return error;
}

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
	default:
		return 0;
	}
}

static int enable(struct qemu_dev *device)
{
	/* MSI replaces the lower bits of its data by the vector. */
	unsigned int power = power_of_two(device->count);
	int error;

	if (device->type == USRPCI_IRQ_INTX)
		return enable_intx(device);
	if (device->type == USRPCI_IRQ_MSI)
		error = qemu_reserve_vectors(device, power, power);
	else
		error = qemu_reserve_vectors(device, device->count, 1);
	return error ? error : qemu_irq_restore(device);
}

static void disable(struct qemu_dev *device)
{
	if (device->type == USRPCI_IRQ_INTX)
		disable_intx(device);
	else
		disable_messages(device);
	qemu_release_vectors(device);
	device->count = 0;
}

int qemu_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	struct qemu_dev *device = device_of(dev);
	struct qemu *qemu = device->qemu;
	int error = qemu_watch(qemu);
	uint32_t command;

	if (error)
		return report(dev->ctx, error, dev->name, NULL, "cannot watch for interrupts");
	qemu_lock(qemu);
	device->type = type;
	device->count = count;
	/* A QEMU that is gone says so here. */
	error = read_config(device, PCI_COMMAND, 2, &command);
	if (!error)
		error = enable(device);
	if (error)
		disable(device);
	qemu_unlock(qemu);
	if (error)
		qemu_unwatch(qemu);
	return error;
}

int qemu_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	struct qemu_dev *device = device_of(dev);

	qemu_lock(device->qemu);
	disable(device);
	qemu_unlock(device->qemu);
	qemu_unwatch(device->qemu);
	return 0;
}

int qemu_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	const struct qemu_dev *device = device_of(dev);

	if (type == USRPCI_IRQ_INTX)
		return device->intx;
	return device->qemu->vectors[device->first + vector];
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

	qemu_lock(device->qemu);
	if (type == USRPCI_IRQ_INTX)
		error = set_intx_mask(device, masked);
	else if (type == USRPCI_IRQ_MSI)
		error = mask_msi(device, vector, masked);
	else
		error = mask_msix(device, vector, masked);
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
