// SPDX-License-Identifier: BSD-2-Clause
/*
 * The qemu backend: "qemu:MODEL[,property=value...] [ARGUMENT...]" is a device model of QEMU, in a
 * process of its own that the context's first such device starts and the context's end ends. That
 * first device is on QEMU's command line, others are plugged in. Registers are commands on QEMU's
 * qtest socket; DMA memory is the machine's RAM. Leaves out functions other than the first of a
 * device, and models that want to be on the root bus.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
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

/* Reads any size at any offset: what has the form of a register as one, all else as a block. */
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
	dev_decode_header(header, &dev->info);
	dev->info.addr.bus = (uint8_t)bus;
	if (dev->info.vendor == 0xffff)
		return report(dev->ctx, -ENODEV, dev->name, NULL, "it is not a PCI device");
	dev->config_size = qemu_find_cap(qdev->qemu, bus, 0, PCI_CAP_ID_EXP)
				   ? USRPCI_CONFIG_SIZE_EXPRESS
				   : USRPCI_CONFIG_SIZE;
	return qemu_msi_find(qdev) ?: qemu_assign_bars(qdev);
}

/*
 * Unplugs a device that was closed, if it has to go now. The last one of all stays until another
 * device is opened: mostly the machine ends first.
 */
static void leave_slot(struct qemu_dev *qdev)
{
	struct qemu *qemu = qdev->qemu;
	unsigned int others = 0;

	qemu->slots[qdev->slot] = NULL;
	for (unsigned int i = 0; i < QEMU_SLOTS; i++)
		others += qemu->slots[i] != NULL;
	if (qdev->slot == 0 && qemu->first_stays)
		qemu->first_waits = !qemu_slot_reset(qemu, 0);
	else if (others || qdev->requested)
		qemu_unplug(qemu, qdev->slot);
	else
		qemu->deserted |= 1U << qdev->slot;
}

static void clear_deserted(struct qemu *qemu)
{
	for (unsigned int slot = 0; slot < QEMU_SLOTS; slot++)
		if (qemu->deserted & 1U << slot)
			qemu_unplug(qemu, slot);
	qemu->deserted = 0;
}

/* Finds the device that QEMU was started with, or plugs one in. */
static int fill_slot(struct qemu_dev *qdev, const struct qemu_model *model)
{
	struct qemu *qemu = qdev->qemu;
	bool first = !strcmp(qemu->first, model->text);

	if (model->words.we_wordc > 1 && !first)
		return refuse(model->ctx, -EBUSY, model->object,
			      "open it before the context's other devices, or in another context",
			      "QEMU runs already and takes no more arguments");
	if (first && qemu->first_waits) {
		qemu->first_waits = false;
		return 0;
	}
	clear_deserted(qemu);
	qdev->slot = qemu->first_stays;
	while (qdev->slot < QEMU_SLOTS && qemu->slots[qdev->slot])
		qdev->slot++;
	if (qdev->slot == QEMU_SLOTS)
		return report(model->ctx, -ENOSPC, model->object, "use another context",
			      "all %d slots of this QEMU are taken", QEMU_SLOTS);
	return qemu_plug(qemu, qdev->slot, model->object, model->words.we_wordv[0]);
}

/* Learns what the device in the slot is. The lock is held. */
static int bring_in(struct qemu_dev *qdev)
{
	int error = identify(qdev);

	if (error)
		leave_slot(qdev);
	else
		qdev->qemu->slots[qdev->slot] = qdev;
	return error;
}

static bool has_name(const struct qemu *qemu, const char *name)
{
	for (unsigned int slot = 0; slot < QEMU_SLOTS; slot++)
		if (qemu->slots[slot] && !strcmp(qemu->slots[slot]->dev->name, name))
			return true;
	return false;
}

/* Messages tell devices of one model apart: "qemu:edu", "qemu:edu#2". */
static void number_name(const struct qemu *qemu, struct usrpci_dev *dev)
{
	size_t length = strlen(dev->name);

	for (unsigned int i = 2; i <= QEMU_SLOTS && has_name(qemu, dev->name); i++)
		snprintf(dev->name + length, sizeof(dev->name) - length, "#%u", i);
}

static int open_in(struct qemu *qemu, struct usrpci_dev *dev, const struct qemu_model *model)
{
	struct qemu_dev *qdev = calloc(1, sizeof(*qdev));
	int error;

	if (!qdev)
		return -ENOMEM;
	*qdev = (struct qemu_dev){.dev = dev, .qemu = qemu, .intx = -1};
	qemu_enter(qemu);
	number_name(qemu, dev);
	error = fill_slot(qdev, model) ?: bring_in(qdev);
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
	leave_slot(qdev);
	qemu_leave(qemu);
	free(qdev);
}

/* Opens the context's first device: QEMU starts with it, and ends if it cannot be opened. */
static int open_first(struct usrpci_dev *dev, const struct qemu_model *model)
{
	struct qemu *qemu;
	int error = qemu_start(model, &qemu);

	if (error)
		return error;
	error = open_in(qemu, dev, model);
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
	int same = dev_has_domain(dev, domain_qemu.name), error;
	struct qemu_model model;

	if (same < 0)
		return same;
	error = qemu_model_parse(dev->ctx, dev->name, dev->target + strlen(PREFIX), &model);
	if (error)
		return error;
	error = same ? open_in((struct qemu *)dev->ctx->domain, dev, &model)
		     : open_first(dev, &model);
	qemu_model_free(&model);
	return error;
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
	/* Where no device answers, QEMU reads zeros and a computer all ones. */
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

/* Resets the slot's bus, and restores BARs, command and messages. The lock is held. */
static int reset(struct qemu_dev *qdev)
{
	uint32_t command;

	return qemu_register_read(qdev, PCI_COMMAND, 2, &command) ?:
	       qemu_slot_reset(qdev->qemu, qdev->slot) ?:
	       qemu_write_bars(qdev) ?:
	       qemu_register_write(qdev, PCI_COMMAND, 2, command) ?:
	       qemu_msi_restore(qdev);
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
