// SPDX-License-Identifier: BSD-2-Clause
/*
 * MSI and MSI-X of a device under QEMU: finds out what it has and programs it to ring the doorbell
 * (doorbell.c). Follows PCI Local Bus 3.0, 6.8.
 */

#include <errno.h>
#include <linux/pci_regs.h>

#include "numbers.h"
#include "qemu/qemu.h"

static int program_msi(struct qemu_dev *qdev)
{
	unsigned int data = PCI_MSI_DATA_32;
	uint32_t control;
	int error = qemu_register_read(qdev, qdev->msi + PCI_MSI_FLAGS, 2, &control)
			    ?: qemu_register_write(qdev, qdev->msi + PCI_MSI_ADDRESS_LO, 4,
						   QEMU_DOORBELL_ADDRESS);

	if (!error && control & PCI_MSI_FLAGS_64BIT) {
		data = PCI_MSI_DATA_64;
		error = qemu_register_write(qdev, qdev->msi + PCI_MSI_ADDRESS_HI, 4, 0);
	}
	if (!error)
		error = qemu_register_write(qdev, qdev->msi + data, 2, qdev->messages.first);
	if (error)
		return error;
	control &= ~(uint32_t)PCI_MSI_FLAGS_QSIZE;
	control |= (uint32_t)__builtin_ctz(qdev->messages.count) << 4 | PCI_MSI_FLAGS_ENABLE;
	return qemu_register_write(qdev, qdev->msi + PCI_MSI_FLAGS, 2, control);
}

static int mask_msi(struct qemu_dev *qdev, unsigned int vector, bool masked)
{
	unsigned int offset = PCI_MSI_MASK_32;
	uint32_t control;
	int error = qemu_register_read(qdev, qdev->msi + PCI_MSI_FLAGS, 2, &control);

	if (error)
		return error;
	if (!(control & PCI_MSI_FLAGS_MASKBIT))
		return -EOPNOTSUPP;
	if (control & PCI_MSI_FLAGS_64BIT)
		offset = PCI_MSI_MASK_64;
	return qemu_register_update(qdev, qdev->msi + offset, 4, 1U << vector,
				    masked ? 1U << vector : 0);
}

/* MSI-X */

static int table_address(struct qemu_dev *qdev, unsigned int vector, uint64_t *address)
{
	const struct usrpci_bar_info *bar;
	uint32_t table;
	int error = qemu_register_read(qdev, qdev->msix + PCI_MSIX_TABLE, 4, &table);

	if (error)
		return error;
	if ((table & PCI_MSIX_TABLE_BIR) >= USRPCI_BARS)
		return -EIO;
	bar = &qdev->dev->bars[table & PCI_MSIX_TABLE_BIR];
	*address = bar->address + (table & PCI_MSIX_TABLE_OFFSET) + vector * PCI_MSIX_ENTRY_SIZE;
	return bar->address ? 0 : -EIO;
}

static int write_entry(struct qemu_dev *qdev, unsigned int vector, unsigned int offset,
		       uint32_t value)
{
	uint64_t address;

	return table_address(qdev, vector, &address)
		       ?: qemu_write(qdev->qemu, QTEST_MEMORY, address + offset, 4, value);
}

static int mask_msix(struct qemu_dev *qdev, unsigned int vector, bool masked)
{
	return write_entry(qdev, vector, PCI_MSIX_ENTRY_VECTOR_CTRL,
			   masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

static int fill_entry(struct qemu_dev *qdev, unsigned int vector)
{
	return write_entry(qdev, vector, PCI_MSIX_ENTRY_LOWER_ADDR, QEMU_DOORBELL_ADDRESS) ?:
	       write_entry(qdev, vector, PCI_MSIX_ENTRY_UPPER_ADDR, 0) ?:
	       write_entry(qdev, vector, PCI_MSIX_ENTRY_DATA, qdev->messages.first + vector) ?:
	       mask_msix(qdev, vector, false);
}

static int program_msix(struct qemu_dev *qdev)
{
	/* The table is in a memory BAR. */
	int error = qemu_register_update(qdev, PCI_COMMAND, 1, 0, PCI_COMMAND_MEMORY);

	for (unsigned int i = 0; i < qdev->count && !error; i++)
		error = fill_entry(qdev, i);
	return error ? error
		     : qemu_register_update(qdev, qdev->msix + PCI_MSIX_FLAGS, 2,
					    PCI_MSIX_FLAGS_MASKALL, PCI_MSIX_FLAGS_ENABLE);
}

static int program(struct qemu_dev *qdev)
{
	return qdev->type == USRPCI_IRQ_MSI ? program_msi(qdev) : program_msix(qdev);
}

int qemu_msi_enable(struct qemu_dev *qdev)
{
	/* A device with MSI replaces the lower bits of the data by the vector's number. */
	unsigned int count = qdev->type == USRPCI_IRQ_MSI
				     ? (unsigned int)next_power_of_two(qdev->count)
				     : qdev->count;
	unsigned int align = qdev->type == USRPCI_IRQ_MSI ? count : 1;

	return qemu_reserve_vectors(qdev, count, align, &qdev->messages) ?: program(qdev);
}

void qemu_msi_disable(struct qemu_dev *qdev)
{
	if (qdev->type == USRPCI_IRQ_MSI)
		qemu_register_update(qdev, qdev->msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE, 0);
	else
		qemu_register_update(qdev, qdev->msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE,
				     0);
	qemu_release_vectors(qdev, &qdev->messages);
}

int qemu_msi_restore(struct qemu_dev *qdev)
{
	return qdev->count == 0 || qdev->type == USRPCI_IRQ_INTX ? 0 : program(qdev);
}

int qemu_msi_mask(struct qemu_dev *qdev, unsigned int vector, bool masked)
{
	return qdev->type == USRPCI_IRQ_MSI ? mask_msi(qdev, vector, masked)
					    : mask_msix(qdev, vector, masked);
}

int qemu_msi_find(struct qemu_dev *qdev)
{
	unsigned int bus = qemu_slot_bus(qdev->slot);
	uint32_t control;
	int error = 0;

	qdev->msi = qemu_find_cap(qdev->qemu, bus, 0, PCI_CAP_ID_MSI);
	qdev->msix = qemu_find_cap(qdev->qemu, bus, 0, PCI_CAP_ID_MSIX);
	if (qdev->msi) {
		error = qemu_register_read(qdev, qdev->msi + PCI_MSI_FLAGS, 2, &control);
		qdev->msi_vectors = 1U << ((control & PCI_MSI_FLAGS_QMASK) >> 1);
	}
	if (qdev->msix && !error) {
		error = qemu_register_read(qdev, qdev->msix + PCI_MSIX_FLAGS, 2, &control);
		qdev->msix_vectors = (control & PCI_MSIX_FLAGS_QSIZE) + 1;
	}
	return error;
}
