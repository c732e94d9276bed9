// SPDX-License-Identifier: BSD-2-Clause
/*
 * The request to give a device back: somebody asks QEMU to unplug it, with device_del at a monitor
 * of his own. QEMU presses the attention button of the slot, and waits until the slot is switched
 * off, which closing the device does. The root port's own MSI-X tells of the button. Follows the
 * PCI Express Base Specification 4.0, 6.7.3.
 */

#include <linux/pci_regs.h>

#include "qemu/qemu.h"

#define BUTTON (PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_HPIE)

/* The size of a root port's BAR 0, at the start of which is its MSI-X table. */
#define PORT_BAR_SIZE 0x1000

static uint64_t port_bar(unsigned int slot)
{
	return QEMU_PORT_BARS + (uint64_t)slot * PORT_BAR_SIZE;
}

static int update_port(struct qemu_dev *qdev, unsigned int offset, uint32_t clear, uint32_t set)
{
	unsigned int port = qemu_slot_port(qdev->slot);
	uint32_t value;
	int error = qemu_bus_read(qdev->qemu, 0, port, offset, 2, &value);

	return error ? error
		     : qemu_bus_write(qdev->qemu, 0, port, offset, 2, (value & ~clear) | set);
}

static unsigned int port_cap(struct qemu_dev *qdev, uint8_t id)
{
	return qemu_find_cap(qdev->qemu, 0, qemu_slot_port(qdev->slot), id);
}

static int program_entry(struct qemu_dev *qdev)
{
	uint64_t bar = port_bar(qdev->slot);
	const uint32_t entry[] = {QEMU_DOORBELL_ADDRESS, 0, qdev->request.first, 0};
	int error = qemu_bus_write(qdev->qemu, 0, qemu_slot_port(qdev->slot), PCI_BASE_ADDRESS_0, 4,
				   (uint32_t)bar);

	for (unsigned int i = 0; i < 4 && !error; i++)
		error = qemu_write(qdev->qemu, QTEST_MEMORY, bar + 4 * i, 4, entry[i]);
	return error;
}

int qemu_request_enable(struct qemu_dev *qdev)
{
	unsigned int express = port_cap(qdev, PCI_CAP_ID_EXP);
	int error = qemu_reserve_vectors(qdev, 1, 1, &qdev->request);

	qdev->requested = true;
	if (!error)
		error = program_entry(qdev);
	if (!error)
		error = update_port(qdev, port_cap(qdev, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 0,
				    PCI_MSIX_FLAGS_ENABLE);
	/* Writing a one clears a press of the button from before. */
	if (!error)
		error = update_port(qdev, express + PCI_EXP_SLTSTA, 0, PCI_EXP_SLTSTA_ABP);
	return error ?: update_port(qdev, express + PCI_EXP_SLTCTL, 0, BUTTON);
}

void qemu_request_disable(struct qemu_dev *qdev)
{
	update_port(qdev, port_cap(qdev, PCI_CAP_ID_EXP) + PCI_EXP_SLTCTL, BUTTON, 0);
	qemu_release_vectors(qdev, &qdev->request);
}
