// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices in memory for unit tests, see fake.h. Follows the hardware where drivers could tell: the
 * command register's writable bits, INTx as a level, messages as bus master's writes, all ones
 * after an unplug. Configuration space has no capabilities but those that a test writes.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend.h"
#include "bytes.h"
#include "fake/domain.h"
#include "fake/fake.h"

#define VECTORS 16
#define WRITABLE \
	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

struct fake {
	struct fake_model model;
	uint8_t *memory[USRPCI_BARS];
	int vectors[USRPCI_IRQ_MSIX + 1][VECTORS]; /* event descriptors, -1: not enabled */
	bool intx_up;
	bool intx_masked;
	bool unplugged;
	unsigned int dma_faults;
	unsigned int calls;
	unsigned int fail_at; /* the call that fails; 0: none */
	int fail_error;
	uint8_t config[]; /* of the size that the model says */
};

static unsigned int config_size(const struct fake_model *model)
{
	return model->config_size ? model->config_size : USRPCI_CONFIG_SIZE;
}

static int called(struct fake *fake)
{
	return ++fake->calls == fake->fail_at ? fake->fail_error : 0;
}

static size_t round_up(size_t value, size_t to)
{
	return (value + to - 1) & ~(to - 1);
}

static void write_header(struct fake *fake, struct usrpci_dev *dev)
{
	const struct fake_model *model = &fake->model;

	put_le16(fake->config + PCI_VENDOR_ID, model->vendor);
	put_le16(fake->config + PCI_DEVICE_ID, model->device);
	put_le32(fake->config + PCI_REVISION_ID, model->class_code << 8);
	fake->config[PCI_INTERRUPT_PIN] = model->irq_pin;
	dev->info.vendor = model->vendor;
	dev->info.device = model->device;
	dev->info.class_code = model->class_code;
	dev->info.irq_pin = model->irq_pin;
	dev->config_size = config_size(model);
}

static void free_fake(struct fake *fake)
{
	for (unsigned int i = 0; i < USRPCI_BARS; i++)
		free(fake->memory[i]);
	free(fake);
}

/* A BAR with behaviour is that, not memory. */
static bool is_memory(const struct fake_bar *bar)
{
	return bar->size > 0 && !bar->read && !bar->write;
}

static int make_bars(struct fake *fake, struct usrpci_dev *dev)
{
	for (unsigned int i = 0; i < USRPCI_BARS; i++) {
		const struct fake_bar *bar = &fake->model.bars[i];

		if (bar->size == 0)
			continue;
		dev->bars[i] = (struct usrpci_bar_info){0xe0000000 + 0x1000000 * i, bar->size,
							bar->flags};
		if (!is_memory(bar))
			continue;
		fake->memory[i] = aligned_alloc(4096, round_up(bar->size, 4096));
		if (!fake->memory[i])
			return -ENOMEM;
		memset(fake->memory[i], 0, round_up(bar->size, 4096));
	}
	return 0;
}

/* The name that fake_open() opens, and what else it has to say. */
struct fake_name {
	char text[16]; /* first: dev->target points to it */
	const struct fake_model *model;
};

static int fake_open_device(struct usrpci_dev *dev)
{
	const struct fake_model *model = ((const struct fake_name *)dev->target)->model;
	struct fake *fake = calloc(1, sizeof(*fake) + config_size(model));
	int error;

	if (!fake)
		return -ENOMEM;
	fake->model = *model;
	memset(fake->vectors, 0xff, sizeof(fake->vectors));
	dev->backend = fake;
	write_header(fake, dev);
	error = make_bars(fake, dev);
	if (!error)
		error = domain_fake_attach(dev, fake->model.dma_size);
	if (error)
		free_fake(fake);
	return error;
}

static void fake_close(struct usrpci_dev *dev)
{
	free_fake(dev->backend);
}

static uint32_t fake_features(struct usrpci_dev *dev)
{
	const struct fake *fake = dev->backend;

	return USRPCI_FEATURE_DMA | (fake->model.irq_pin ? USRPCI_FEATURE_INTX : 0) |
	       (fake->model.msi ? USRPCI_FEATURE_MSI : 0) |
	       (fake->model.msix ? USRPCI_FEATURE_MSIX : 0) |
	       (fake->model.reset ? USRPCI_FEATURE_RESET : 0);
}

static int fake_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size)
{
	struct fake *fake = dev->backend;
	int error = called(fake);

	if (error)
		return error;
	if (fake->unplugged)
		memset(buffer, 0xff, size);
	else
		memcpy(buffer, fake->config + offset, size);
	return 0;
}

static uint8_t writable(const struct fake *fake, unsigned int offset)
{
	unsigned int command = WRITABLE & ~fake->model.command_fixed;

	if (offset == PCI_COMMAND || offset == PCI_COMMAND + 1)
		return (uint8_t)(command >> 8 * (offset - PCI_COMMAND));
	return offset == PCI_INTERRUPT_LINE || offset >= PCI_STD_HEADER_SIZEOF ? 0xff : 0;
}

static void deliver(struct fake *fake, enum usrpci_irq_type type, unsigned int vector)
{
	if (fake->vectors[type][vector] >= 0)
		eventfd_write(fake->vectors[type][vector], 1);
}

/* The kernel masks INTx when it delivers it. */
static void update_intx(struct fake *fake)
{
	bool disabled = get_le16(fake->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;

	if (!fake->intx_up || fake->intx_masked || disabled || fake->unplugged)
		return;
	fake->intx_masked = true;
	deliver(fake, USRPCI_IRQ_INTX, 0);
}

static int fake_config_write(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
			     size_t size)
{
	struct fake *fake = dev->backend;
	const uint8_t *bytes = buffer;
	int error = called(fake);

	for (size_t i = 0; !error && !fake->unplugged && i < size; i++) {
		uint8_t mask = writable(fake, offset + (unsigned int)i);
		uint8_t *byte = &fake->config[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (bytes[i] & mask));
	}
	update_intx(fake);
	return error;
}

static int fake_bar_map(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	struct fake *fake = dev->backend;
	int error = called(fake);

	if (error || !is_memory(&fake->model.bars[bar->index]))
		return error;
	bar->base = fake->memory[bar->index] + bar->offset;
	bar->direct_size = bar->size & ~(size_t)7;
	return 0;
}

static int fake_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t *value)
{
	struct fake *fake = bar->dev->backend;
	const struct fake_bar *model = &fake->model.bars[bar->index];

	*value = UINT64_MAX >> (64 - 8 * width);
	if (fake->unplugged)
		return 0;
	if (bar->base)
		*value = mmio_load(bar->base + offset, width);
	else if (model->read)
		*value &= model->read(fake->model.data, bar->offset + offset, width);
	return 0;
}

static int fake_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t value)
{
	struct fake *fake = bar->dev->backend;
	const struct fake_bar *model = &fake->model.bars[bar->index];

	if (fake->unplugged)
		return 0;
	if (bar->base)
		mmio_store(bar->base + offset, width, value);
	else if (model->write)
		model->write(fake->model.data, bar->offset + offset, width, value);
	return 0;
}

static int fake_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	const struct fake *fake = dev->backend;
	unsigned int count[] = {fake->model.irq_pin ? 1 : 0, fake->model.msi, fake->model.msix};

	if (type > USRPCI_IRQ_MSIX)
		return 0;
	return count[type] < VECTORS ? (int)count[type] : VECTORS;
}

static int fake_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	struct fake *fake = dev->backend;

	for (unsigned int i = 0; i < VECTORS; i++) {
		if (fake->vectors[type][i] >= 0)
			close(fake->vectors[type][i]);
		fake->vectors[type][i] = -1;
	}
	return 0;
}

static int fake_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	struct fake *fake = dev->backend;
	int error = called(fake);
	int left = (int)fake->model.vectors_left;

	if (!error && left && count > (unsigned int)left)
		return left;
	for (unsigned int i = 0; !error && i < count; i++) {
		fake->vectors[type][i] = eventfd(0, EFD_CLOEXEC);
		if (fake->vectors[type][i] < 0)
			error = -errno;
	}
	if (error)
		fake_irq_disable(dev, type);
	fake->intx_masked = false;
	update_intx(fake);
	return error;
}

static int fake_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	return ((struct fake *)dev->backend)->vectors[type][vector];
}

static int fake_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	struct fake *fake = dev->backend;
	eventfd_t count;

	if (fake->unplugged)
		return dev_gone(dev);
	return eventfd_read(fake->vectors[type][vector], &count) ? -errno : (int)count;
}

static int fake_irq_set_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
			     bool masked)
{
	struct fake *fake = dev->backend;

	if (type != USRPCI_IRQ_INTX)
		return -EOPNOTSUPP;
	if (fake->unplugged)
		return dev_gone(dev);
	fake->intx_masked = masked;
	update_intx(fake);
	return 0;
}

static int fake_reset(struct usrpci_dev *dev, enum usrpci_reset kind)
{
	struct fake *fake = dev->backend;
	int error = called(fake);

	if (!error)
		fake->model.reset(fake->model.data);
	return error;
}

static const struct backend_ops backend_fake = {
	.name = "fake",
	.open = fake_open_device,
	.close = fake_close,
	.features = fake_features,
	.config_read = fake_config_read,
	.config_write = fake_config_write,
	.bar_map = fake_bar_map,
	.bar_read = fake_bar_read,
	.bar_write = fake_bar_write,
	.irq_count = fake_irq_count,
	.irq_enable = fake_irq_enable,
	.irq_disable = fake_irq_disable,
	.irq_fd = fake_irq_fd,
	.irq_take = fake_irq_take,
	.irq_set_mask = fake_irq_set_mask,
	.reset = fake_reset,
};

/* By hand: a fuzzer opens so many devices that printf(3) would take a thirtieth of its time. */
static void put_hex(char *text, uint16_t value)
{
	for (int i = 3; i >= 0; i--, value >>= 4)
		text[i] = "0123456789abcdef"[value & 0xf];
}

int fake_open(struct usrpci_ctx *ctx, const struct fake_model *model, struct usrpci_dev **dev)
{
	struct fake_name name = {.text = "fake:0000:0000", .model = model};

	put_hex(name.text + 5, model->vendor);
	put_hex(name.text + 10, model->device);
	return dev_create(ctx, &backend_fake, &(struct backend_target){.name = name.text}, dev);
}

uint8_t *fake_config(struct usrpci_dev *dev)
{
	return ((struct fake *)dev->backend)->config;
}

uint8_t *fake_bar_memory(struct usrpci_dev *dev, unsigned int index)
{
	return ((struct fake *)dev->backend)->memory[index];
}

void fake_intx(struct usrpci_dev *dev, bool up)
{
	struct fake *fake = dev->backend;

	fake->intx_up = up;
	update_intx(fake);
}

static bool bus_master(const struct fake *fake)
{
	return get_le16(fake->config + PCI_COMMAND) & PCI_COMMAND_MASTER && !fake->unplugged;
}

void fake_msi(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	struct fake *fake = dev->backend;

	if (type <= USRPCI_IRQ_MSIX && vector < VECTORS && bus_master(fake))
		deliver(fake, type, vector);
}

void *fake_dma(struct usrpci_dev *dev, usrpci_dma_t addr, size_t size)
{
	struct fake *fake = dev->backend;
	void *va = usrpci_dma_va(dev->ctx, addr);

	if (bus_master(fake) && usrpci_dma_contains(dev->ctx, va, size))
		return va;
	fake->dma_faults++;
	return NULL;
}

unsigned int fake_dma_faults(struct usrpci_dev *dev)
{
	return ((struct fake *)dev->backend)->dma_faults;
}

void fake_unplug(struct usrpci_dev *dev)
{
	struct fake *fake = dev->backend;

	fake->unplugged = true;
	for (unsigned int i = 0; i < USRPCI_BARS; i++)
		if (fake->memory[i])
			memset(fake->memory[i], 0xff, fake->model.bars[i].size);
}

unsigned int fake_fail(struct usrpci_dev *dev, unsigned int count, int error)
{
	struct fake *fake = dev->backend;
	unsigned int before = fake->calls;

	fake->fail_at = fake->calls + count;
	fake->fail_error = error;
	return before;
}
