// SPDX-License-Identifier: BSD-2-Clause
/*
 * The e1000 driver against a controller whose registers read as anything, which writes to all DMA
 * memory when it likes and interrupts as it likes. Whatever it does: calls come back within their
 * deadlines, frames lie in buffers of the pool, no buffer is handed out twice, and none is lost.
 */

#include <e1000/e1000.h>
#include <e1000/e1000_reg.h>

#include "fake/fake.h"
#include "fuzz.h"

#define BAR_SIZE  (128 << 10)
#define REGISTERS (24 << 10) /* bytes of the BAR that drivers use */
#define HELD_MAX  64

static struct hostile {
	struct input input;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	uint32_t regs[REGISTERS / 4];
	struct usrpci_nic_frame held[HELD_MAX]; /* by the program */
	unsigned int held_count;
	bool unplugged;
} device;

static uint64_t ring_address(size_t base)
{
	return device.regs[base / 4] | (uint64_t)device.regs[base / 4 + 1] << 32;
}

/* The device writes somewhere in its rings, or in a buffer that it reads from one. */
static void scribble(void)
{
	uint32_t where = take(&device.input, 2), value = take(&device.input, 4);
	uint64_t address = ring_address(where & 1 ? RDBAL : TDBAL) + (where >> 1 & 0x1fff & ~3u);
	uint32_t *word = fake_dma(device.dev, address, 4);

	if (word)
		*word = value;
}

/* Makes a received frame of any length and status at a descriptor. */
static void deliver(void)
{
	uint64_t slot = take(&device.input, 1);
	struct e1000_rx_desc *desc =
		fake_dma(device.dev, ring_address(RDBAL) + slot * sizeof(*desc), sizeof(*desc));

	if (!desc)
		return;
	desc->length = (uint16_t)take(&device.input, 2);
	desc->errors = (uint8_t)take(&device.input, 1);
	desc->status = (uint8_t)take(&device.input, 1);
}

UNCOVERED static uint64_t honest(size_t offset)
{
	switch (offset) {
	case CTRL:
		return device.regs[CTRL / 4] & ~CTRL_RST;
	case STATUS:
		return STATUS_LU;
	case RAL:
		return 0x12345652;
	case RAH:
		return RAH_AV;
	}
	return device.regs[offset / 4];
}

UNCOVERED static uint64_t read_register(void *data, size_t offset, unsigned int width)
{
	uint32_t how = take(&device.input, 1);

	HOLDS(width == 4 && offset % 4 == 0 && offset < REGISTERS);
	if (how & 0x80)
		fake_intx(device.dev, how & 1);
	if (how & 0x40)
		scribble();
	switch (how % 8) {
	case 1:
		return UINT32_MAX;
	case 2:
		return take(&device.input, 4);
	case 3:
		return 0;
	}
	return honest(offset);
}

static void check_ring(size_t base)
{
	void *ring = usrpci_dma_va(device.ctx, ring_address(base));

	HOLDS(usrpci_dma_contains(device.ctx, ring, device.regs[(base + RDLEN - RDBAL) / 4]));
}

UNCOVERED static void write_register(void *data, size_t offset, unsigned int width, uint64_t value)
{
	fake_time_begin();
	HOLDS(width == 4 && offset % 4 == 0 && offset < REGISTERS);
	device.regs[offset / 4] = (uint32_t)value;
	if (offset == RCTL && value & RCTL_EN)
		check_ring(RDBAL);
	if (offset == TCTL && value & TCTL_EN)
		check_ring(TDBAL);
	if (offset == TDT)
		HOLDS(value * 16 < device.regs[TDLEN / 4]);
	if (offset == RDT)
		HOLDS(value * 16 < device.regs[RDLEN / 4]);
}

static void hold(const struct usrpci_nic_frame *frame)
{
	HOLDS(frame->size >= USRPCI_NIC_FRAME_MIN && frame->size <= USRPCI_NIC_BUFFER_SIZE);
	HOLDS(usrpci_dma_contains(device.ctx, frame->data, USRPCI_NIC_BUFFER_SIZE));
	for (unsigned int i = 0; i < device.held_count; i++)
		HOLDS(device.held[i].data != frame->data);
	device.held[device.held_count++] = *frame;
}

static void receive(struct e1000 *nic)
{
	struct usrpci_nic_frame frames[HELD_MAX];
	unsigned int room = HELD_MAX - device.held_count, n;

	n = e1000_receive(nic, frames, room);
	HOLDS(n <= room);
	for (unsigned int i = 0; i < n; i++)
		hold(&frames[i]);
}

static void transmit(struct e1000 *nic)
{
	unsigned int n = take(&device.input, 1) % 8;
	unsigned int sent = n < device.held_count ? n : device.held_count;

	sent = e1000_transmit(nic, device.held, sent);
	device.held_count -= sent;
	memmove(device.held, device.held + sent, device.held_count * sizeof(device.held[0]));
}

static void take_buffer(struct e1000 *nic)
{
	struct usrpci_nic_frame frame = {.size = USRPCI_NIC_FRAME_MIN + take(&device.input, 1)};

	if (device.held_count == HELD_MAX)
		return;
	frame.data = usrpci_pool_get(e1000_pool(nic));
	if (frame.data)
		hold(&frame);
}

static void put_all(struct e1000 *nic)
{
	while (device.held_count > 0)
		usrpci_pool_put(e1000_pool(nic), device.held[--device.held_count].data);
}

static void control(struct e1000 *nic, uint32_t which)
{
	struct usrpci_nic_stats stats;
	struct usrpci_nic_link link;

	switch (which) {
	case 0:
		e1000_start(nic);
		break;
	case 1:
		e1000_stop(nic);
		break;
	case 2:
		e1000_link(nic, &link);
		break;
	case 3:
		e1000_link_wait(nic, take(&device.input, 1));
		break;
	case 4:
		e1000_stats(nic, &stats);
		break;
	case 5:
		fake_unplug(device.dev);
		device.unplugged = true;
		break;
	}
}

static void call(struct e1000 *nic)
{
	uint32_t which = take(&device.input, 1) % 16;
	uint64_t before = fake_time_us();

	if (which < 6)
		control(nic, which);
	else if (which < 8)
		deliver();
	else if (which < 10)
		receive(nic);
	else if (which < 12)
		transmit(nic);
	else if (which == 12)
		take_buffer(nic);
	else if (which == 13)
		put_all(nic);
	else if (which == 14)
		scribble();
	else
		e1000_wait(nic, (int)take(&device.input, 1));
	HOLDS(fake_time_us() - before < 1000000);
}

static void run(struct usrpci_dev *dev)
{
	struct usrpci_nic_options options = {
		.rx_descriptors = 8u << take(&device.input, 1) % 3,
		.tx_descriptors = 8u << take(&device.input, 1) % 3,
		.spare_buffers = 1 + take(&device.input, 1) % 8,
		.irq = take(&device.input, 1) % 3,
	};
	size_t all = options.rx_descriptors + options.tx_descriptors + options.spare_buffers;
	struct e1000 *nic;

	if (e1000_open(dev, &options, &nic))
		return;
	e1000_start(nic);
	while (device.input.size > 0)
		call(nic);
	put_all(nic);
	e1000_stop(nic);
	HOLDS(usrpci_pool_available(e1000_pool(nic)) == all);
	e1000_close(nic);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const uint16_t devices[] = {E1000_82540EM, E1000_82545EM, E1000_82574L};
	struct fake_model model = {
		.vendor = E1000_VENDOR,
		.irq_pin = 1,
		.bars[0] = {.size = BAR_SIZE, .read = read_register, .write = write_register},
		.dma_size = 256 << 10,
	};
	struct usrpci_dma_stats stats;

	memset(&device, 0, sizeof(device));
	device.input = (struct input){bytes, size};
	model.device = devices[take(&device.input, 1) % 3];
	device.ctx = fuzz_ctx();
	HOLDS(fake_open(device.ctx, &model, &device.dev) == 0);
	run(device.dev);
	usrpci_dma_stats(device.ctx, &stats);
	HOLDS(stats.blocks == 0);
	HOLDS(device.unplugged || !(fake_config(device.dev)[4] & 4)); /* bus mastering */
	usrpci_dev_close(device.dev);
	return 0;
}
