// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio-net driver against a device whose registers read as anything, which writes to its used
 * rings and buffers when it likes and interrupts as it likes. What must hold then stands in nic.h.
 */

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "fake/fake.h"
#include "nic.h"

#define QUEUES 5
#define ISR    0x40 /* offsets in BAR 4 */
#define CONFIG 0x80
#define NOTIFY 0xc0
#define WINDOW 0x100

struct queue {
	uint16_t size, enable;
	uint64_t desc, avail, used;
};

static struct nic_program program;

static struct hostile {
	struct queue queues[QUEUES];
	uint32_t select, features;
	uint16_t queue;
	uint8_t status;
	bool hostile;   /* registers lie too */
	bool misplaced; /* a capability may say that they are elsewhere */
} device;

static struct queue *selected(void)
{
	return &device.queues[device.queue % QUEUES];
}

/* Writes used entries and an index, which may be anything. */
static void use(void)
{
	struct queue *queue = &device.queues[take(&program.input, 1) % QUEUES];
	uint32_t n = take(&program.input, 1) % 8;
	struct vring_used *used = fake_dma(program.dev, queue->used, 6 + 8u * queue->size);
	struct vring_avail *avail = fake_dma(program.dev, queue->avail, 6 + 2u * queue->size);

	if (!queue->enable || !used || !avail || !queue->size)
		return;
	for (uint32_t i = 0; i < n; i++) {
		struct vring_used_elem *elem = &used->ring[used->idx++ % queue->size];
		uint32_t how = take(&program.input, 1);

		elem->id = how & 1 ? take(&program.input, 1)
				   : avail->ring[(used->idx - 1) % queue->size];
		elem->len = how & 2 ? take(&program.input, 2) : 60 + how;
	}
	if (n == 7)
		used->idx = (uint16_t)take(&program.input, 2);
	if (n == 6)
		used->flags = (uint16_t)take(&program.input, 1);
}

/* Writes the header of a buffer that the device was given, or any byte of a ring. */
static void scribble(void)
{
	struct queue *queue = &device.queues[take(&program.input, 1) % QUEUES];
	uint32_t where = take(&program.input, 1);
	struct vring_desc *desc = fake_dma(program.dev, queue->desc + where % 8 * sizeof(*desc),
					   sizeof(*desc));
	struct virtio_net_hdr_v1 *header = desc ? fake_dma(program.dev, desc->addr, sizeof(*header))
						: NULL;

	if (header)
		header->num_buffers = (uint16_t)take(&program.input, 1);
	if (desc && where == 255)
		desc->addr = take(&program.input, 4);
}

UNCOVERED static uint64_t honest(size_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DF:
		return device.select & 1 ? 1 | 1 << 2 : device.features;
	case VIRTIO_PCI_COMMON_STATUS:
		return device.status;
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return device.queue < QUEUES ? 8 : 0;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return selected()->enable;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return device.queue;
	case CONFIG + 6:
		return VIRTIO_NET_S_LINK_UP;
	case CONFIG + 8:
		return 2;
	case CONFIG + 10:
		return 1500;
	}
	return 0;
}

UNCOVERED static uint64_t read_register(void *data, size_t offset, unsigned int width)
{
	uint32_t how = device.hostile ? take(&program.input, 1) : 0;

	HOLDS((offset < NOTIFY || device.misplaced) && offset % width == 0);
	return nic_answer(&program, how, 16, use, honest(offset));
}

static void check_queue(const struct queue *queue)
{
	HOLDS(queue->size > 0 && queue->size <= 256);
	HOLDS(usrpci_dma_contains(program.ctx, usrpci_dma_va(program.ctx, queue->desc),
				  queue->size * sizeof(struct vring_desc)));
	HOLDS(usrpci_dma_contains(program.ctx, usrpci_dma_va(program.ctx, queue->avail),
				  6 + 2u * queue->size));
	HOLDS(usrpci_dma_contains(program.ctx, usrpci_dma_va(program.ctx, queue->used),
				  6 + 8u * queue->size));
}

static void set_half(uint64_t *address, uint64_t value, bool high)
{
	*address = high ? (*address & UINT32_MAX) | value << 32 : value;
}

static void write_queue(size_t offset, uint64_t value)
{
	struct queue *queue = selected();

	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		queue->size = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_half(&queue->desc, value, offset == VIRTIO_PCI_COMMON_Q_DESCHI);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_half(&queue->avail, value, offset == VIRTIO_PCI_COMMON_Q_AVAILHI);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_half(&queue->used, value, offset == VIRTIO_PCI_COMMON_Q_USEDHI);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		queue->enable = 1;
		if (!device.misplaced)
			check_queue(queue);
		break;
	}
}

static void write_status(uint8_t value)
{
	device.status = value;
	if (value == 0)
		memset(device.queues, 0, sizeof(device.queues));
}

UNCOVERED static void write_register(void *data, size_t offset, unsigned int width, uint64_t value)
{
	fake_time_begin();
	HOLDS(offset < WINDOW && offset % width == 0);
	if (offset == VIRTIO_PCI_COMMON_STATUS)
		write_status((uint8_t)value);
	else if (offset == VIRTIO_PCI_COMMON_DFSELECT)
		device.select = (uint32_t)value;
	else if (offset == VIRTIO_PCI_COMMON_Q_SELECT)
		device.queue = (uint16_t)value;
	else if (offset > VIRTIO_PCI_COMMON_Q_SELECT && offset < ISR)
		write_queue(offset, value);
	else if (offset >= NOTIFY)
		use();
}

static void run(void)
{
	struct usrpci_nic_options options = {
		.rx_descriptors = 8,
		.tx_descriptors = 8,
		.spare_buffers = 1 + take(&program.input, 1) % 8,
		.queues = 1 + take(&program.input, 1) % 2,
		.irq = take(&program.input, 1) % 3,
		.offload = take(&program.input, 1) & 1,
	};

	nic_run(&program, &options);
}

static void add_cap(uint8_t *config, uint8_t at, uint8_t type, uint8_t offset, uint8_t length)
{
	config[at] = USRPCI_CAP_VENDOR;
	config[at + 1] = type == VIRTIO_PCI_CAP_DEVICE_CFG ? 0 : at + 0x20;
	config[at + VIRTIO_PCI_CAP_CFG_TYPE] = type;
	config[at + VIRTIO_PCI_CAP_BAR] = 4;
	config[at + VIRTIO_PCI_CAP_OFFSET] = offset;
	config[at + VIRTIO_PCI_CAP_LENGTH] = length;
	config[at + VIRTIO_PCI_NOTIFY_CAP_MULT] = 2;
}

static void add_caps(uint8_t *config)
{
	config[0x06] |= 0x10; /* there are capabilities */
	config[0x34] = 0x40;
	add_cap(config, 0x40, VIRTIO_PCI_CAP_COMMON_CFG, 0, 56);
	add_cap(config, 0x60, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, 2 * QUEUES);
	add_cap(config, 0x80, VIRTIO_PCI_CAP_ISR_CFG, ISR, 1);
	add_cap(config, 0xa0, VIRTIO_PCI_CAP_DEVICE_CFG, CONFIG, 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fake_model model = {
		.vendor = 0x1af4,
		.device = 0x1041,
		.irq_pin = 1,
		.bars[4] = {.size = WINDOW, .read = read_register, .write = write_register},
		.dma_size = 256 << 10,
	};
	uint32_t damage;

	memset(&device, 0, sizeof(device));
	program = (struct nic_program){
		.input = {bytes, size},
		.ctx = fuzz_ctx(),
		.queues = 2,
		.scatters = true,
		.deadline_us = 10000000,
		.act = use,
		.scribble = scribble,
	};
	device.features = take(&program.input, 4);
	device.hostile = take(&program.input, 1) & 1;
	damage = take(&program.input, 1);
	HOLDS(fake_open(program.ctx, &model, &program.dev) == 0);
	add_caps(fake_config(program.dev));
	device.misplaced = damage & 0x80;
	if (device.misplaced) /* a byte of a capability */
		fake_config(program.dev)[0x40 + (damage & 0x7f)] = (uint8_t)take(&program.input, 1);
	run();
	return 0;
}
