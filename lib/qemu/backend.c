// SPDX-License-Identifier: BSD-2-Clause
/*
 * The qemu backend: "qemu:MODEL[,property=value...]" is a device model of QEMU, in a process of its
 * own that the context's first such device starts and the context's end ends. Registers are
 * commands on QEMU's qtest socket; DMA memory is the machine's RAM. Leaves out models that QEMU
 * cannot plug into a running machine, and functions other than the first of a device.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

#define PREFIX "qemu:"

static bool qemu_match(struct usrpci_ctx *ctx, const struct backend_target *target)
{
	return !strncmp(target->name, PREFIX, strlen(PREFIX));
}

static int find_slot(struct qemu_dev *qdev)
{
	struct qemu *qemu = qdev->qemu;

	for (unsigned int slot = 0; slot < QEMU_SLOTS; slot++) {
		if (qemu->slots[slot])
			continue;
		qdev->slot = slot;
		return 0;
	}
	return report(qdev->dev->ctx, -ENOSPC, qdev->dev->name, "use another context",
		      "all %d slots of this QEMU are taken", QEMU_SLOTS);
}

static void fill_info(struct usrpci_dev_info *info, unsigned int bus, const uint8_t *header)
{
	info->addr.bus = (uint8_t)bus;
	info->vendor = get_le16(header + PCI_VENDOR_ID);
	info->device = get_le16(header + PCI_DEVICE_ID);
	info->subsystem_vendor = get_le16(header + PCI_SUBSYSTEM_VENDOR_ID);
	info->subsystem_device = get_le16(header + PCI_SUBSYSTEM_ID);
	info->class_code = get_le32(header + PCI_REVISION_ID) >> 8;
	info->revision = header[PCI_REVISION_ID];
	info->header_type = header[PCI_HEADER_TYPE] & 0x7f;
	info->irq_pin = header[PCI_INTERRUPT_PIN];
}

/* Any offset and size: registers one by one where they are, else as a block. */
static int read_bytes(struct qemu_dev *qdev, unsigned int offset, uint8_t *bytes, size_t size)
{
	unsigned int bus = qemu_slot_bus(qdev->slot);
	uint8_t number[4];
	uint32_t value;
	int error;

	if ((size == 1 || size == 2 || size == 4) && offset % size == 0) {
		error = qemu_bus_read(qdev->qemu, bus, 0, offset, (unsigned int)size, &value);
		put_le32(number, value);
		memcpy(bytes, number, size);
		return error;
	}
	return qemu_bus_read_block(qdev->qemu, bus, offset, bytes, size);
}

/* Fills what the generic code and the interrupts need to know. The lock is held. */
static int identify(struct qemu_dev *qdev)
{
	struct usrpci_dev *dev = qdev->dev;
	unsigned int bus = qemu_slot_bus(qdev->slot);
	uint8_t header[PCI_STD_HEADER_SIZEOF];
	int error = read_bytes(qdev, 0, header, sizeof(header));

	if (error)
		return error;
	fill_info(&dev->info, bus, header);
	if (dev->info.vendor == 0xffff)
		return report(dev->ctx, -ENODEV, dev->name, NULL, "it is no PCI device");
	if (dev->info.header_type != PCI_HEADER_TYPE_NORMAL)
		return report(dev->ctx, -EPROTONOSUPPORT, dev->name, NULL, "it is a bridge");
	dev->config_size = qemu_find_cap(qdev->qemu, bus, 0, PCI_CAP_ID_EXP)
				   ? USRPCI_CONFIG_SIZE_EXPRESS
				   : USRPCI_CONFIG_SIZE;
	error = qemu_msi_find(qdev);
	return error ? error : qemu_assign_bars(qdev);
}

/* Plugs the model in and takes stock of it. The lock is held. */
static int bring_in(struct qemu_dev *qdev)
{
	struct usrpci_dev *dev = qdev->dev;
	int error = find_slot(qdev);

	if (!error)
		error = qemu_plug(qdev->qemu, qdev->slot, dev->name, dev->target + strlen(PREFIX));
	if (error)
		return error;
	error = identify(qdev);
	if (error)
		qemu_unplug(qdev->qemu, qdev->slot);
	else
		qdev->qemu->slots[qdev->slot] = qdev;
	return error;
}

static int open_in(struct qemu *qemu, struct usrpci_dev *dev)
{
	struct qemu_dev *qdev = calloc(1, sizeof(*qdev));
	int error;

	if (!qdev)
		return -ENOMEM;
	*qdev = (struct qemu_dev){.dev = dev, .qemu = qemu, .intx = -1};
	qemu_enter(qemu);
	error = bring_in(qdev);
	qemu_leave(qemu);
	if (error)
		free(qdev);
	else
		dev->backend = qdev;
	return error;
}

static void qemu_close(struct usrpci_dev *dev)
{
	struct qemu_dev *qdev = dev->backend;
	struct qemu *qemu = qdev->qemu;

	qemu_enter(qemu);
	qemu_unplug(qemu, qdev->slot);
	qemu->slots[qdev->slot] = NULL;
	qemu_leave(qemu);
	free(qdev);
}

/* The context's first device: it brings QEMU, and takes it along when it cannot be opened. */
static int open_first(struct usrpci_dev *dev)
{
	struct qemu *qemu;
	int error = qemu_start(dev->ctx, dev->name, &qemu);

	if (error)
		return error;
	error = open_in(qemu, dev);
	if (!error) {
		error = dma_attach(dev->ctx, &qemu->domain, (uintptr_t)qemu->ram_va);
		if (error)
			qemu_close(dev);
	}
	if (error)
		qemu_stop(qemu);
	return error;
}

static int qemu_open(struct usrpci_dev *dev)
{
	int same = dev_has_domain(dev, domain_qemu.name);

	if (same < 0)
		return same;
	return same ? open_in((struct qemu *)dev->ctx->domain, dev) : open_first(dev);
}

static uint32_t qemu_features(struct usrpci_dev *dev)
{
	const struct qemu_dev *qdev = dev->backend;

	return USRPCI_FEATURE_DMA | USRPCI_FEATURE_RESET | USRPCI_FEATURE_HOT_RESET |
	       (dev->info.irq_pin ? USRPCI_FEATURE_INTX : 0) |
	       (qdev->msi ? USRPCI_FEATURE_MSI : 0) | (qdev->msix ? USRPCI_FEATURE_MSIX : 0);
}

static int qemu_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size)
{
	struct qemu_dev *qdev = dev->backend;
	int error;

	qemu_enter(qdev->qemu);
	error = read_bytes(qdev, offset, buffer, size);
	qemu_leave(qdev->qemu);
	return error;
}

static int qemu_config_write(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
			     size_t size)
{
	struct qemu_dev *qdev = dev->backend;
	uint8_t number[4] = {0};
	int error;

	memcpy(number, buffer, size);
	qemu_enter(qdev->qemu);
	error = qemu_bus_write(qdev->qemu, qemu_slot_bus(qdev->slot), 0, offset, (unsigned int)size,
			       get_le32(number));
	qemu_leave(qdev->qemu);
	return error;
}

/* Nothing is mapped: every access is a command. */
static int qemu_bar_map(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	return 0;
}

static enum qtest_space space(const struct usrpci_bar *bar)
{
	return bar->flags & USRPCI_BAR_IO ? QTEST_IO : QTEST_MEMORY;
}

static uint64_t bar_address(const struct usrpci_bar *bar, size_t offset)
{
	return bar->dev->bars[bar->index].address + bar->offset + offset;
}

static int qemu_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t *value)
{
	struct qemu_dev *qdev = bar->dev->backend;
	int error = 0;

	qemu_enter(qdev->qemu);
	/* QEMU reads 0 where nobody answers, a computer all ones. */
	if (qdev->pulled)
		*value = UINT64_MAX >> (64 - 8 * width);
	else
		error = qemu_read(qdev->qemu, space(bar), bar_address(bar, offset), width, value);
	qemu_leave(qdev->qemu);
	return error;
}

static int qemu_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t value)
{
	struct qemu_dev *qdev = bar->dev->backend;
	int error;

	qemu_enter(qdev->qemu);
	error = qemu_write(qdev->qemu, space(bar), bar_address(bar, offset), width, value);
	qemu_leave(qdev->qemu);
	return error;
}

void qemu_pull(struct usrpci_dev *dev)
{
	struct qemu_dev *qdev = dev->backend;

	qemu_enter(qdev->qemu);
	qemu_unplug(qdev->qemu, qdev->slot);
	qdev->pulled = true;
	qemu_leave(qdev->qemu);
}

/* The reset of the slot's bus, after which BARs and command are as before. The lock is held. */
static int reset(struct qemu_dev *qdev)
{
	uint32_t command;
	int error = qemu_register_read(qdev, PCI_COMMAND, 2, &command);

	if (!error)
		error = qemu_slot_reset(qdev->qemu, qdev->slot);
	if (!error)
		error = qemu_write_bars(qdev);
	if (!error)
		error = qemu_register_write(qdev, PCI_COMMAND, 2, command);
	return error ? error : qemu_msi_restore(qdev);
}

/* The device is alone behind its port, so a reset of the bus is one of the function too. */
static int qemu_reset(struct usrpci_dev *dev, enum usrpci_reset kind)
{
	struct qemu_dev *qdev = dev->backend;
	int error;

	qemu_enter(qdev->qemu);
	error = reset(qdev);
	qemu_leave(qdev->qemu);
	return error;
}

const struct backend_ops backend_qemu = {
	.name = "qemu",
	.match = qemu_match,
	.open = qemu_open,
	.close = qemu_close,
	.features = qemu_features,
	.config_read = qemu_config_read,
	.config_write = qemu_config_write,
	.bar_map = qemu_bar_map,
	.bar_read = qemu_bar_read,
	.bar_write = qemu_bar_write,
	.irq_count = qemu_irq_count,
	.irq_enable = qemu_irq_enable,
	.irq_disable = qemu_irq_disable,
	.irq_fd = qemu_irq_fd,
	.irq_take = qemu_irq_take,
	.irq_set_mask = qemu_irq_set_mask,
	.reset = qemu_reset,
};
