// SPDX-License-Identifier: BSD-2-Clause
/*
 * The e1000 driver against a controller whose registers read as anything, which writes to all DMA
 * memory when it likes and interrupts as it likes. What must hold then stands in nic.h.
 */

#include <e1000/e1000_reg.h>

#include "fake/fake.h"
#include "nic.h"

#define BAR_SIZE  (128 << 10)
#define REGISTERS (24 << 10) /* bytes of the BAR that drivers use */

static uint32_t regs[REGISTERS / 4];
static struct nic_program program;

static uint64_t ring_address(size_t base)
{
	return regs[base / 4] | (uint64_t)regs[base / 4 + 1] << 32;
}

/* The device writes somewhere in its rings, or in a buffer that it reads from one. */
static void scribble(void)
{
	uint32_t where = take(&program.input, 2), value = take(&program.input, 4);
	uint64_t address = ring_address(where & 1 ? RDBAL : TDBAL) + (where >> 1 & 0x1fff & ~3u);
	uint32_t *word = fake_dma(program.dev, address, 4);

	if (word)
		*word = value;
}

/* Makes a received frame of any length and status at a descriptor. */
static void deliver(void)
{
	uint64_t slot = take(&program.input, 1);
	struct e1000_rx_desc *desc =
		fake_dma(program.dev, ring_address(RDBAL) + slot * sizeof(*desc), sizeof(*desc));

	if (!desc)
		return;
	desc->length = (uint16_t)take(&program.input, 2);
	desc->errors = (uint8_t)take(&program.input, 1);
	desc->status = (uint8_t)take(&program.input, 1);
}

UNCOVERED static uint64_t honest(size_t offset)
{
	switch (offset) {
	case CTRL:
		return regs[CTRL / 4] & ~CTRL_RST;
	case STATUS:
		return STATUS_LU;
	case RAL:
		return 0x12345652;
	case RAH:
		return RAH_AV;
	}
	return regs[offset / 4];
}

UNCOVERED static uint64_t read_register(void *data, size_t offset, unsigned int width)
{
	uint32_t how = take(&program.input, 1);

	HOLDS(width == 4 && offset % 4 == 0 && offset < REGISTERS);
	return nic_answer(&program, how, 8, scribble, honest(offset));
}

static void check_ring(size_t base)
{
	void *ring = usrpci_dma_va(program.ctx, ring_address(base));

	HOLDS(usrpci_dma_contains(program.ctx, ring, regs[(base + RDLEN - RDBAL) / 4]));
}

UNCOVERED static void write_register(void *data, size_t offset, unsigned int width, uint64_t value)
{
	fake_time_begin();
	HOLDS(width == 4 && offset % 4 == 0 && offset < REGISTERS);
	regs[offset / 4] = (uint32_t)value;
	if (offset == RCTL && value & RCTL_EN)
		check_ring(RDBAL);
	if (offset == TCTL && value & TCTL_EN)
		check_ring(TDBAL);
	if (offset == TDT)
		HOLDS(value * 16 < regs[TDLEN / 4]);
	if (offset == RDT)
		HOLDS(value * 16 < regs[RDLEN / 4]);
}

static void run(void)
{
	struct usrpci_nic_options options = {
		.rx_descriptors = 8u << take(&program.input, 1) % 3,
		.tx_descriptors = 8u << take(&program.input, 1) % 3,
		.spare_buffers = 1 + take(&program.input, 1) % 8,
		.irq = take(&program.input, 1) % 3,
	};

	nic_run(&program, &options);
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

	memset(regs, 0, sizeof(regs));
	program = (struct nic_program){
		.input = {bytes, size},
		.ctx = fuzz_ctx(),
		.queues = 1,
		.least = USRPCI_NIC_FRAME_MIN,
		.deadline_us = 1000000,
		.act = deliver,
		.scribble = scribble,
	};
	model.device = devices[take(&program.input, 1) % 3];
	HOLDS(fake_open(program.ctx, &model, &program.dev) == 0);
	run();
	return 0;
}
