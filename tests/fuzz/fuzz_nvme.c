// SPDX-License-Identifier: BSD-2-Clause
/*
 * The NVMe driver against a controller that completes what it likes, when and how often it likes,
 * writes to all of its queues, lies about sizes, and whose registers read as anything. Whatever it
 * does: calls come back within their deadlines, each command comes back once and only when it was
 * under way, and what the controller is told of lies in DMA memory.
 */

#include <errno.h>
#include <stdio.h>

#include <nvme/nvme_reg.h>
#include <usrpci/nvme.h>

#include "fake/fake.h"
#include "fuzz.h"

#define BAR_SIZE 0x2000
#define IOS      48
#define QUEUES   3
#define STEPS    200

struct ring {
	uint64_t sq, cq;
	unsigned int sq_entries, cq_entries, tail, cq_tail, phase;
};

static struct hostile {
	struct input input;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	uint32_t regs[BAR_SIZE / 4];
	unsigned int stride; /* CAP.DSTRD, as it was said last */
	struct ring rings[QUEUES + 1];
	bool unplugged;
} device;

static struct program {
	struct usrpci_nvme *nvme;
	struct usrpci_nvme_queue *queues[QUEUES];
	struct usrpci_nvme_ns ns;
	struct usrpci_dma_block buffer;
	struct usrpci_nvme_io ios[IOS];
	int owner[IOS]; /* queue + 1; 0: not under way */
} program;

static unsigned long long completions;

/* For a long run, beside what libFuzzer says of itself. */
static __attribute__((destructor)) void say_completions(void)
{
	printf("stat::completions: %llu\n", completions);
}

static uint64_t register64(size_t offset)
{
	return device.regs[offset / 4] | (uint64_t)device.regs[offset / 4 + 1] << 32;
}

static void complete(struct ring *ring, uint32_t dw3)
{
	struct nvme_completion *completion;

	if (!ring->cq_entries)
		return;
	completion = fake_dma(device.dev, ring->cq + ring->cq_tail * sizeof(*completion),
			      sizeof(*completion));
	if (!completion)
		return;
	completions++;
	completion->dw0 = take(&device.input, 4);
	completion->dw3 = (dw3 & ~(1u << 16)) | ring->phase << 16;
	ring->cq_tail = (ring->cq_tail + 1) % ring->cq_entries;
	ring->phase ^= ring->cq_tail == 0;
	fake_intx(device.dev, true);
	fake_intx(device.dev, false);
	fake_msi(device.dev, USRPCI_IRQ_MSIX, (unsigned int)(ring - device.rings));
}

/* Any bytes anywhere in a completion queue, its phase bits included. */
static void scribble(void)
{
	struct ring *ring = &device.rings[take(&device.input, 1) % (QUEUES + 1)];
	uint32_t where = take(&device.input, 2), value = take(&device.input, 4);
	uint32_t *word;

	if (!ring->cq_entries)
		return;
	word = fake_dma(device.dev, ring->cq + (where % (ring->cq_entries * 4)) * 4, 4);
	if (word)
		*word = value;
}

/* As the command is answered: at all, rightly, twice, for another, with an error. */
static void answer(struct ring *ring, uint16_t cid)
{
	uint32_t how = take(&device.input, 1);

	switch (how % 16) {
	case 1:
		return;
	case 2:
		complete(ring, cid);
		break;
	case 3:
		complete(ring, take(&device.input, 4));
		break;
	case 4:
		complete(ring, cid | take(&device.input, 2) << 17);
		return;
	case 5:
		scribble();
		return;
	}
	complete(ring, cid);
}

static void put(uint8_t *bytes, uint32_t value)
{
	memcpy(bytes, &value, sizeof(value));
}

static void identify(const struct nvme_command *command)
{
	uint8_t *data = fake_dma(device.dev, command->prp1, IDENTIFY_SIZE);
	unsigned int lies = take(&device.input, 1) % 8;

	if (!data)
		return;
	memset(data, 0, IDENTIFY_SIZE);
	if ((command->cdw10 & 0xff) == CNS_CONTROLLER) {
		data[ID_MDTS] = 5;
		put(data + ID_ONCS, ONCS_COMPARE | ONCS_DSM | ONCS_WRITE_ZEROES | ONCS_VERIFY);
	} else if ((command->cdw10 & 0xff) == CNS_NAMESPACE) {
		put(data + NS_NSZE, 1 << 20);
		put(data + NS_LBAF(0), 9 << 16);
	} else {
		put(data, 1);
	}
	for (; lies > 0; lies--)
		data[take(&device.input, 2) % 1024] = (uint8_t)take(&device.input, 1);
}

static void create(const struct nvme_command *command, bool sq)
{
	unsigned int qid = command->cdw10 & 0xffff, entries = (command->cdw10 >> 16) + 1;
	size_t size = entries * (sq ? sizeof(*command) : sizeof(struct nvme_completion));
	struct ring *ring;

	HOLDS(qid >= 1 && qid <= QUEUES);
	HOLDS(usrpci_dma_contains(device.ctx, usrpci_dma_va(device.ctx, command->prp1), size));
	ring = &device.rings[qid];
	if (sq) {
		ring->sq = command->prp1;
		ring->sq_entries = entries;
		ring->tail = 0;
	} else {
		*ring = (struct ring){.cq = command->prp1, .cq_entries = entries, .phase = 1};
	}
}

static void admin(const struct nvme_command *command)
{
	uint8_t opcode = (uint8_t)command->cdw0;
	unsigned int qid = command->cdw10 & 0xffff;

	if (opcode == ADMIN_IDENTIFY)
		identify(command);
	else if (opcode == ADMIN_CREATE_CQ || opcode == ADMIN_CREATE_SQ)
		create(command, opcode == ADMIN_CREATE_SQ);
	else if (opcode == ADMIN_DELETE_CQ && qid <= QUEUES)
		device.rings[qid] = (struct ring){0};
	if (opcode != ADMIN_EVENT || take(&device.input, 1) % 4 == 1)
		answer(&device.rings[0], (uint16_t)(command->cdw0 >> 16));
}

static bool in_memory(uint64_t addr, size_t size)
{
	return usrpci_dma_contains(device.ctx, usrpci_dma_va(device.ctx, addr), size);
}

static void check_pages(const struct nvme_command *command, size_t size)
{
	size_t page = 4096u << (device.regs[CC / 4] >> CC_MPS_SHIFT & 0xf);
	size_t first = page - command->prp1 % page;

	HOLDS(in_memory(command->prp1, size < first ? size : first));
	if (size <= first)
		return;
	HOLDS(in_memory(command->prp2, size - first <= page ? size - first : 8));
	if (size - first <= page)
		return;
	for (size_t done = first, i = 0; done < size; done += page, i++) {
		uint64_t *entry = usrpci_dma_va(device.ctx, command->prp2 + i * 8);

		HOLDS(in_memory(command->prp2 + i * 8, 8));
		HOLDS(*entry % page == 0 && in_memory(*entry, 1));
	}
}

static void io(struct ring *ring, const struct nvme_command *command)
{
	uint8_t opcode = (uint8_t)command->cdw0;
	size_t size = ((command->cdw12 & 0xffff) + 1) * (size_t)program.ns.block_size;

	if (opcode == USRPCI_NVME_OP_READ || opcode == USRPCI_NVME_OP_WRITE ||
	    opcode == USRPCI_NVME_OP_COMPARE) {
		if (command->cdw0 & PSDT_SGL)
			HOLDS(in_memory(command->prp1, size) && command->prp2 == size);
		else
			check_pages(command, size);
	}
	answer(ring, (uint16_t)(command->cdw0 >> 16));
}

static void ring_doorbell(size_t offset, uint32_t value)
{
	size_t number = offset / (4u << device.stride);
	struct ring *ring = &device.rings[number / 2 <= QUEUES ? number / 2 : 0];
	struct nvme_command *command;

	HOLDS(offset % (4u << device.stride) == 0 && number / 2 <= QUEUES);
	if (number & 1 || !ring->sq_entries)
		return;
	HOLDS(value < ring->sq_entries);
	while (ring->sq_entries && ring->tail != value) {
		command = fake_dma(device.dev, ring->sq + ring->tail * sizeof(*command),
				   sizeof(*command));
		ring->tail = (ring->tail + 1) % ring->sq_entries;
		if (command && ring == device.rings)
			admin(command);
		else if (command)
			io(ring, command);
	}
}

static uint32_t say_register(size_t offset)
{
	uint32_t how = take(&device.input, 1);

	if (how & 0x80)
		scribble();
	switch (how % 32) {
	case 1:
		return UINT32_MAX;
	case 2:
		return take(&device.input, 4);
	case 3:
		return 0;
	case 4:
		return device.regs[offset / 4] | CSTS_CFS;
	}
	return device.regs[offset / 4];
}

static uint64_t read_register(void *data, size_t offset, unsigned int width)
{
	uint32_t value;

	HOLDS(width == 4 && offset % 4 == 0 && offset < BAR_SIZE);
	value = say_register(offset);
	if (offset == CAP + 4)
		device.stride = CAP_DSTRD((uint64_t)value << 32);
	return value;
}

static void enable(uint32_t value)
{
	uint32_t aqa = device.regs[AQA / 4];

	memset(device.rings, 0, sizeof(device.rings));
	device.regs[CSTS / 4] = value & CC_EN ? CSTS_RDY : 0;
	if (!(value & CC_EN))
		return;
	device.rings[0] = (struct ring){
		.sq = register64(ASQ),
		.cq = register64(ACQ),
		.sq_entries = (aqa & 0xfff) + 1,
		.cq_entries = (aqa >> 16 & 0xfff) + 1,
		.phase = 1,
	};
	HOLDS(in_memory(register64(ASQ), ((aqa & 0xfff) + 1) * sizeof(struct nvme_command)));
}

static void write_register(void *data, size_t offset, unsigned int width, uint64_t value)
{
	uint32_t changed = device.regs[offset / 4] ^ (uint32_t)value;

	HOLDS(width == 4 && offset % 4 == 0 && offset < BAR_SIZE);
	device.regs[offset / 4] = (uint32_t)value;
	if (offset >= DOORBELLS)
		ring_doorbell(offset - DOORBELLS, (uint32_t)value);
	else if (offset == CC && changed & CC_EN)
		enable((uint32_t)value);
	else if (offset == CC && value & CC_SHN_NORMAL)
		device.regs[CSTS / 4] |= CSTS_SHST_COMPLETE;
}

static struct usrpci_nvme_io *make(unsigned int i)
{
	static const uint8_t ops[] = {2, 1, 2, 0, 5, 8, 9, 0x0c};
	struct usrpci_nvme_io *made = &program.ios[i];

	made->op = ops[take(&device.input, 1) % sizeof(ops)];
	made->flags = take(&device.input, 1) % 2 && made->op ? USRPCI_NVME_FUA : 0;
	made->ns = &program.ns;
	made->lba = take(&device.input, 3);
	made->blocks = take(&device.input, 1);
	made->addr = program.buffer.addr + take(&device.input, 2) * 4;
	return made;
}

static void submit(unsigned int q)
{
	struct usrpci_nvme_io *list[8];
	unsigned int wanted = take(&device.input, 1) % 8 + 1, n = 0;
	int got;

	for (unsigned int i = 0; i < IOS && n < wanted; i++)
		if (!program.owner[i])
			list[n++] = make(i);
	got = usrpci_nvme_submit(program.queues[q], list, n);
	HOLDS(got <= (int)n);
	for (int i = 0; i < got; i++)
		program.owner[list[i] - program.ios] = (int)q + 1;
}

static void reap(unsigned int q)
{
	struct usrpci_nvme_io *done[16];
	unsigned int budget = take(&device.input, 1) % 17;
	int got = usrpci_nvme_reap(program.queues[q], done, budget);

	HOLDS(got <= (int)budget);
	for (int i = 0; i < got; i++) {
		int *owner = &program.owner[done[i] - program.ios];

		HOLDS(*owner == (int)q + 1);
		*owner = 0;
	}
}

static void toggle(unsigned int q)
{
	struct usrpci_nvme_queue_options options = {.depth = take(&device.input, 1) % 20};

	if (!program.queues[q]) {
		usrpci_nvme_queue_create(program.nvme, &options, &program.queues[q]);
		return;
	}
	usrpci_nvme_queue_destroy(program.queues[q]);
	program.queues[q] = NULL;
	for (unsigned int i = 0; i < IOS; i++)
		if (program.owner[i] == (int)q + 1)
			program.owner[i] = 0;
}

static void check_count(unsigned int q)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < IOS; i++)
		count += program.owner[i] == (int)q + 1;
	HOLDS(usrpci_nvme_queue_used(program.queues[q]) == count);
}

static void step(void)
{
	uint32_t what = take(&device.input, 1), event, list[4];
	unsigned int q = what / 16 % QUEUES;
	uint8_t page[512];

	switch (what % 16) {
	case 0:
		toggle(q);
		break;
	case 1:
		usrpci_nvme_log(program.nvme, 2, 0, page, sizeof(page));
		break;
	case 2:
		usrpci_nvme_event(program.nvme, &event);
		break;
	case 3:
		usrpci_nvme_ns_list(program.nvme, list, 4);
		break;
	case 4:
		fake_unplug(device.dev);
		device.unplugged = true;
		break;
	case 5:
		scribble();
		break;
	default:
		if (program.queues[q] && what % 2)
			submit(q);
		else if (program.queues[q] && what % 16 < 14)
			reap(q);
		else if (program.queues[q])
			usrpci_nvme_wait(program.queues[q], (int)take(&device.input, 1));
	}
	if (program.queues[q])
		check_count(q);
}

/* Everything that was taken comes back, or the queue still has it. */
static void run(void)
{
	struct usrpci_dma_request request = {.size = 768 << 10, .align = 4096};
	uint64_t begin = fake_time_us();

	if (usrpci_nvme_ns(program.nvme, 1, &program.ns) == 0 &&
	    usrpci_dma_block_alloc(device.ctx, &request, &program.buffer) == 0)
		for (unsigned int i = 0; i < STEPS && device.input.size > 0; i++)
			step();
	for (unsigned int q = 0; q < QUEUES; q++)
		usrpci_nvme_queue_destroy(program.queues[q]);
	HOLDS(fake_time_us() - begin < UINT64_C(1000000) * 60 * STEPS);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fake_model model = {
		.vendor = 0x1b36,
		.device = 0x0010,
		.class_code = NVME_CLASS,
		.irq_pin = 1,
		.bars[0] = {.size = BAR_SIZE, .read = read_register, .write = write_register},
		.dma_size = 4 << 20,
	};
	struct usrpci_nvme_options options = {.queues = QUEUES, .timeout_ms = 1000};
	struct usrpci_dma_stats stats;
	uint32_t how;

	memset(&device, 0, sizeof(device));
	memset(&program, 0, sizeof(program));
	device.input = (struct input){bytes, size};
	device.ctx = fuzz_ctx();
	device.regs[CAP / 4] = 63 | 1 << 24;
	device.regs[CAP / 4 + 1] = 1 << 5;
	how = take(&device.input, 1);
	options.poll = how & 1;
	model.msix = how & 2 ? QUEUES + 1 : 0;
	options.no_sgl = true;
	HOLDS(fake_open(device.ctx, &model, &device.dev) == 0);
	if (usrpci_nvme_open(device.dev, &options, &program.nvme) == 0) {
		run();
		usrpci_nvme_close(program.nvme);
	}
	usrpci_dma_block_free(device.ctx, &program.buffer);
	usrpci_dma_stats(device.ctx, &stats);
	HOLDS(stats.blocks == 0);
	HOLDS(device.unplugged || !(fake_config(device.dev)[4] & 4)); /* bus mastering */
	usrpci_dev_close(device.dev);
	return 0;
}
