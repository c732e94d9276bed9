// SPDX-License-Identifier: BSD-2-Clause
/*
 * The edu driver against a device whose registers read as anything and which interrupts when it
 * likes. Whatever it does, the driver comes back within its deadlines, and never tells the device
 * to move memory that it was not given.
 */

#include <edu/edu.h>
#include <edu/edu_reg.h>

#include "fake/fake.h"
#include "fuzz.h"

#define BLOCK 8192

static struct hostile {
	struct input input;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	uint64_t regs[EDU_DMA_COMMAND / 8 + 1];
	uint8_t *block; /* the only memory that the device may be told of */
	bool unplugged;
} device;

/* One in four reads is honest, so that the driver gets somewhere. */
UNCOVERED static uint64_t read_register(void *data, size_t offset, unsigned int width)
{
	uint32_t how = take(&device.input, 1);

	if (how % 8 == 7)
		fake_intx(device.dev, how & 8);
	if (how % 4 != 0)
		return how % 4 == 1 ? 0 : how % 4 == 2 ? UINT32_MAX : take(&device.input, 4);
	if (offset == EDU_ID)
		return EDU_ID_MAGIC;
	return offset < sizeof(device.regs) ? device.regs[offset / 8] : 0;
}

static void check_transfer(uint64_t command)
{
	uint64_t source = device.regs[EDU_DMA_SOURCE / 8], count = device.regs[EDU_DMA_COUNT / 8];
	uint64_t destination = device.regs[EDU_DMA_DESTINATION / 8];
	uint64_t memory = command & EDU_DMA_TO_MEMORY ? destination : source;
	uint64_t buffer = command & EDU_DMA_TO_MEMORY ? source : destination;
	uint64_t block = usrpci_dma_addr(device.ctx, device.block);

	HOLDS(device.block);
	HOLDS(count > 0 && count < EDU_BUFFER_SIZE);
	HOLDS(buffer >= EDU_BUFFER && buffer + count < EDU_BUFFER + EDU_BUFFER_SIZE);
	HOLDS(memory >= block && memory + count <= block + BLOCK);
	HOLDS(memory + count - 1 <= EDU_DMA_LIMIT);
}

UNCOVERED static void write_register(void *data, size_t offset, unsigned int width, uint64_t value)
{
	fake_time_begin();
	if (offset == EDU_DMA_COMMAND)
		check_transfer(value);
	if (offset == EDU_LIVENESS)
		value = ~value;
	if (offset < sizeof(device.regs))
		device.regs[offset / 8] = value;
}

/* Offsets and sizes are anything; what would reach beyond the block is the caller's own fault. */
static void transfer(struct edu *edu)
{
	size_t offset = take(&device.input, 2), size = take(&device.input, 2);
	size_t start = take(&device.input, 1);

	if (start + size > BLOCK)
		return;
	if (offset & 1)
		edu_read(edu, offset, device.block + start, size);
	else
		edu_write(edu, offset, device.block + start, size);
}

static void call(struct edu *edu)
{
	uint64_t before = fake_time_us();
	uint32_t value;

	switch (take(&device.input, 1) % 6) {
	case 0:
		edu_factorial(edu, take(&device.input, 1), &value);
		break;
	case 1:
		edu_raise(edu, take(&device.input, 4));
		break;
	case 2:
		edu_wait(edu, (int)take(&device.input, 1), &value);
		break;
	case 3:
	case 4:
		transfer(edu);
		break;
	case 5:
		fake_unplug(device.dev);
		device.unplugged = true;
		break;
	}
	HOLDS(fake_time_us() - before < 2000000);
}

static void run(struct usrpci_dev *dev)
{
	struct edu_options options = {.poll = take(&device.input, 1) & 1};
	struct edu *edu;
	void *memory;

	if (edu_open(dev, &options, &edu))
		return;
	if (edu_alloc(edu, BLOCK, &memory) == 0) {
		device.block = memory;
		while (device.input.size > 0)
			call(edu);
		usrpci_dma_free(device.ctx, memory);
	}
	edu_close(edu);
	device.block = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fake_model model = {
		.vendor = EDU_VENDOR,
		.device = EDU_DEVICE,
		.irq_pin = 1,
		.bars[0] = {.size = 4096, .read = read_register, .write = write_register},
		.dma_size = 64 << 10,
	};

	memset(&device, 0, sizeof(device));
	device.input = (struct input){bytes, size};
	device.ctx = fuzz_ctx();
	HOLDS(fake_open(device.ctx, &model, &device.dev) == 0);
	run(device.dev);
	HOLDS(device.unplugged || !(fake_config(device.dev)[4] & 4)); /* bus mastering */
	usrpci_dev_close(device.dev);
	return 0;
}
