// SPDX-License-Identifier: BSD-2-Clause
/*
 * BARs of a device in its slot: how large they are, and where in the slot's windows they are put.
 * Follows PCI Local Bus 3.0, 6.2.5.1.
 */

#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>

#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

/* What is left of a slot's windows while its BARs are assigned. */
struct slot_windows {
	struct qemu_window io, memory32, memory64;
};

static struct slot_windows windows_of(unsigned int slot)
{
	return (struct slot_windows){
		.io = {QEMU_IO * (slot + 1), QEMU_IO},
		.memory32 = qemu_window32(slot),
		.memory64 = qemu_window64(slot),
	};
}

static bool take(struct qemu_window *window, struct usrpci_bar_info *bar)
{
	uint64_t skipped = -window->start & (bar->size - 1);

	if (skipped > window->size || bar->size > window->size - skipped)
		return false;
	bar->address = window->start + skipped;
	window->start += skipped + bar->size;
	window->size -= skipped + bar->size;
	return true;
}

static bool place(struct slot_windows *windows, struct usrpci_bar_info *bar)
{
	if (bar->flags & USRPCI_BAR_IO)
		return take(&windows->io, bar);
	if (bar->flags & USRPCI_BAR_64BIT && take(&windows->memory64, bar))
		return true;
	return take(&windows->memory32, bar);
}

/* Writes all ones and reads which bits stay 0. The device does not decode addresses yet. */
static int probe(struct qemu_dev *qdev, unsigned int offset, uint32_t *mask)
{
	return qemu_register_write(qdev, offset, 4, UINT32_MAX)
		       ?: qemu_register_read(qdev, offset, 4, mask);
}

static uint32_t bar_flags(uint32_t low)
{
	if (low & PCI_BASE_ADDRESS_SPACE_IO)
		return USRPCI_BAR_IO;
	return (low & PCI_BASE_ADDRESS_MEM_TYPE_64 ? USRPCI_BAR_64BIT : 0) |
	       (low & PCI_BASE_ADDRESS_MEM_PREFETCH ? USRPCI_BAR_PREFETCH : 0);
}

/*
 * The value before the probe says of what kind the BAR is, as a model may be wrong about the lower
 * bits, which belong to no size. The upper bits of an I/O BAR may be fixed to 0.
 */
static int size_bar(struct qemu_dev *qdev, unsigned int index, struct usrpci_bar_info *bar)
{
	unsigned int offset = PCI_BASE_ADDRESS_0 + 4 * index;
	uint32_t kind = 0, low = 0, high = UINT32_MAX;
	int error = qemu_register_read(qdev, offset, 4, &kind) ?: probe(qdev, offset, &low);

	*bar = (struct usrpci_bar_info){.flags = bar_flags(kind)};
	if (!error && bar->flags & USRPCI_BAR_64BIT)
		error = probe(qdev, offset + 4, &high);
	if (error || low == 0)
		return error;
	low &= bar->flags & USRPCI_BAR_IO ? (uint32_t)PCI_BASE_ADDRESS_IO_MASK
					  : (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	if (bar->flags & USRPCI_BAR_IO)
		low |= 0xffff0000;
	bar->size = ~(low | (uint64_t)high << 32) + 1;
	return 0;
}

int qemu_write_bars(struct qemu_dev *qdev)
{
	const struct usrpci_bar_info *bar = qdev->dev->bars;
	int error = 0;

	for (unsigned int i = 0, offset; i < USRPCI_BARS && !error; i++, bar++) {
		offset = PCI_BASE_ADDRESS_0 + 4 * i;
		if (bar->size == 0)
			continue;
		error = qemu_register_write(qdev, offset, 4, (uint32_t)bar->address);
		if (!error && bar->flags & USRPCI_BAR_64BIT)
			error = qemu_register_write(qdev, offset + 4, 4,
						    (uint32_t)(bar->address >> 32));
	}
	return error;
}

/* The largest BAR is placed first, so that alignment wastes nothing. */
static unsigned int next_largest(const struct usrpci_bar_info *bars)
{
	unsigned int largest = USRPCI_BARS;

	for (unsigned int i = 0; i < USRPCI_BARS; i++)
		if (bars[i].address == 0 && bars[i].size > 0 &&
		    (largest == USRPCI_BARS || bars[i].size > bars[largest].size))
			largest = i;
	return largest;
}

static int place_all(struct qemu_dev *qdev, struct usrpci_bar_info *bars)
{
	struct slot_windows windows = windows_of(qdev->slot);
	unsigned int i;

	while ((i = next_largest(bars)) < USRPCI_BARS)
		if (!place(&windows, &bars[i]))
			return report(qdev->dev->ctx, -ENOSPC, qdev->dev->name,
				      "a context's first device has 512 MiB of 32-bit memory, "
				      "others 64 MiB; each 64 GiB of 64-bit memory, 4 KiB of ports",
				      "BAR %u of %" PRIu64 " bytes does not fit its slot", i,
				      bars[i].size);
	return 0;
}

int qemu_assign_bars(struct qemu_dev *qdev)
{
	bool bridge = qdev->dev->info.header_type == PCI_HEADER_TYPE_BRIDGE;
	unsigned int count = bridge ? 2 : USRPCI_BARS;
	struct usrpci_bar_info *bars = qdev->dev->bars;
	int error = 0;

	for (unsigned int i = 0; i < count && !error; i++) {
		error = size_bar(qdev, i, &bars[i]);
		if (bars[i].flags & USRPCI_BAR_64BIT && ++i < count)
			bars[i] = (struct usrpci_bar_info){0};
	}
	if (!error)
		error = place_all(qdev, bars);
	return error ?: qemu_write_bars(qdev);
}
