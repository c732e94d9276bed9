// SPDX-License-Identifier: BSD-2-Clause
/*
 * The model of nvme_model.h. Commands are executed while the doorbell is written, so a test sees
 * their effects at once. Follows NVM Express Base 1.4 as far as the driver goes.
 */

#include <string.h>

#include "bytes.h"
#include "nvme_model.h"

static uint32_t *reg(struct model *model, size_t offset)
{
	return &model->regs[offset / 4];
}

static void set_irq(struct model *model)
{
	bool up = false;

	for (unsigned int i = 0; i <= MODEL_QUEUES; i++) {
		struct model_queue *queue = &model->queues[i];

		if (!queue->used || !queue->irq)
			continue;
		if (usrpci_irq_count(model->dev, USRPCI_IRQ_MSIX) > 0)
			continue;
		up |= queue->cq_tail != queue->head; /* head is of the completion queue here */
	}
	fake_intx(model->dev, up && !*reg(model, INTMS));
}

void model_complete(struct model *model, unsigned int qid, uint16_t cid, uint16_t status,
		    uint32_t result)
{
	struct model_queue *queue = &model->queues[qid];
	struct nvme_completion *completion = fake_dma(
		model->dev, queue->cq + queue->cq_tail * sizeof(*completion), sizeof(*completion));

	assert_non_null(completion);
	completion->dw0 = usrpci_le32(result);
	completion->dw2 = usrpci_le32(queue->tail | qid << 16);
	completion->dw3 = usrpci_le32(cid | (uint32_t)status << 17 | queue->phase << 16);
	queue->cq_tail = (queue->cq_tail + 1) % queue->cq_entries;
	queue->phase ^= queue->cq_tail == 0;
	if (queue->irq && usrpci_irq_count(model->dev, USRPCI_IRQ_MSIX) > 0)
		fake_msi(model->dev, USRPCI_IRQ_MSIX, queue->vector);
	set_irq(model);
}

void model_answer_hung(struct model *model, uint16_t status)
{
	for (unsigned int i = 0; i < model->hung; i++)
		model_complete(model, model->hung_qid[i], model->hung_cid[i], status, 0);
	model->hung = 0;
}

/* The pages of a command's data, as a controller walks them. */
static void copy(struct model *model, const struct nvme_command *command, uint8_t *bytes,
		 size_t size, bool to_host)
{
	uint64_t addr = command->prp1, *list = NULL;
	size_t done = 0, part = size;
	uint8_t *page;

	if (command->cdw0 & PSDT_SGL) {
		assert_int_equal(command->prp2, size);
	} else if (4096 - addr % 4096 < size) {
		part = 4096 - addr % 4096;
		if (size - part > 4096)
			list = fake_dma(model->dev, command->prp2, (size - part + 4095) / 4096 * 8);
	}
	while (done < size) {
		page = fake_dma(model->dev, addr, part);
		assert_non_null(page);
		if (to_host)
			memcpy(page, bytes + done, part);
		else
			memcpy(bytes + done, page, part);
		done += part;
		part = size - done < 4096 ? size - done : 4096;
		addr = list ? usrpci_le64(*list++) : command->prp2;
		assert_true(done == size || addr % 4096 == 0);
	}
}

static uint16_t create_cq(struct model *model, const struct nvme_command *command)
{
	unsigned int qid = command->cdw10 & 0xffff;
	struct model_queue *queue = &model->queues[qid];

	assert_in_range(qid, 1, MODEL_QUEUES);
	assert_false(queue->used);
	queue->cq = command->prp1;
	queue->cq_entries = (command->cdw10 >> 16) + 1;
	queue->cq_tail = 0;
	queue->head = 0;
	queue->phase = 1;
	queue->irq = command->cdw11 & QUEUE_INTERRUPT;
	queue->vector = command->cdw11 >> 16;
	return 0;
}

static uint16_t create_sq(struct model *model, const struct nvme_command *command)
{
	unsigned int qid = command->cdw10 & 0xffff;
	struct model_queue *queue = &model->queues[qid];

	assert_int_equal(command->cdw11 >> 16, qid);
	assert_true(queue->cq != 0);
	queue->sq = command->prp1;
	queue->sq_entries = (command->cdw10 >> 16) + 1;
	queue->tail = 0;
	queue->used = true;
	return 0;
}

static uint16_t identify(struct model *model, const struct nvme_command *command)
{
	uint8_t bytes[4096] = {0};
	unsigned int n = 0;

	switch (command->cdw10 & 0xff) {
	case CNS_CONTROLLER:
		memcpy(bytes, model->identify, sizeof(bytes));
		break;
	case CNS_NAMESPACE:
		for (unsigned int i = 0; i < 8; i++)
			if (model->nsids[i] == command->nsid)
				memcpy(bytes, model->ns, sizeof(bytes));
		break;
	case CNS_NAMESPACE_LIST:
		for (unsigned int i = 0; i < 8; i++)
			if (model->nsids[i] > command->nsid)
				put_le32(bytes + 4 * n++, model->nsids[i]);
		break;
	}
	copy(model, command, bytes, sizeof(bytes), true);
	return 0;
}

static void log_page(struct model *model, const struct nvme_command *command)
{
	size_t size = ((command->cdw10 >> 16 | (command->cdw11 & 0xffff) << 16) + 1) * (size_t)4;
	static uint8_t bytes[1 << 20];

	assert_true(size <= sizeof(bytes));
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + command->cdw10);
	copy(model, command, bytes, size, true);
}

/* Answers the command that is to be aborted, if it hangs and is not to hang for good. */
static uint32_t abort_command(struct model *model, const struct nvme_command *command)
{
	model->aborts++;
	if (model->hang_for_good || model->hung == 0)
		return 1;
	assert_int_equal(command->cdw10, model->hung_qid[0] | model->hung_cid[0] << 16);
	model->hung--;
	model_complete(model, model->hung_qid[0], model->hung_cid[0], STATUS_ABORTED, 0);
	memmove(model->hung_cid, model->hung_cid + 1, model->hung * sizeof(uint16_t));
	memmove(model->hung_qid, model->hung_qid + 1, model->hung * sizeof(uint16_t));
	return 0;
}

static void reset(struct model *model)
{
	memset(model->queues, 0, sizeof(model->queues));
	model->event_asked = false;
	model->hung = 0;
	model->resets++;
	*reg(model, INTMS) = 0;
	*reg(model, CSTS) = model->stuck_ready ? CSTS_RDY : 0;
	fake_intx(model->dev, false);
}

static void admin(struct model *model, const struct nvme_command *command)
{
	uint16_t cid = (uint16_t)(command->cdw0 >> 16), status = 0;
	uint8_t opcode = (uint8_t)command->cdw0;
	uint32_t result = 0;

	if (model->mute_admin)
		return;
	if (model->outside_opcode == opcode + 1 && model->outside_resets > 0) {
		model->outside_resets--;
		*reg(model, CC) = 0;
		reset(model);
		return;
	}
	if (model->fail_opcode == opcode + 1) {
		model_complete(model, 0, cid, 2, 0);
		return;
	}
	switch (opcode) {
	case ADMIN_EVENT:
		assert_false(model->event_asked);
		model->event_asked = true;
		model->event_cid = cid;
		return;
	case ADMIN_IDENTIFY:
		status = identify(model, command);
		break;
	case ADMIN_CREATE_CQ:
		status = create_cq(model, command);
		break;
	case ADMIN_CREATE_SQ:
		status = create_sq(model, command);
		break;
	case ADMIN_DELETE_SQ:
		assert_true(model->queues[command->cdw10].used);
		model->queues[command->cdw10].used = false;
		break;
	case ADMIN_DELETE_CQ:
		assert_false(model->queues[command->cdw10].used);
		model->queues[command->cdw10].cq = 0;
		break;
	case ADMIN_SET_FEATURES:
		result = (MODEL_QUEUES - 1) | (MODEL_QUEUES - 1) << 16;
		break;
	case ADMIN_GET_LOG:
		log_page(model, command);
		break;
	case ADMIN_ABORT:
		result = abort_command(model, command);
		break;
	default:
		status = 1;
	}
	model_complete(model, 0, cid, status, result);
}

static uint16_t read_write(struct model *model, const struct nvme_command *command)
{
	uint64_t lba = command->cdw10 | (uint64_t)command->cdw11 << 32;
	size_t blocks = (command->cdw12 & 0xffff) + 1, size = blocks * MODEL_BLOCK;
	uint8_t *disk = model->disk + lba * MODEL_BLOCK;
	static uint8_t other[1 << 20];

	assert_true(lba + blocks <= MODEL_BLOCKS);
	switch (command->cdw0 & 0xff) {
	case USRPCI_NVME_OP_READ:
		copy(model, command, disk, size, true);
		break;
	case USRPCI_NVME_OP_WRITE:
		copy(model, command, disk, size, false);
		break;
	case USRPCI_NVME_OP_COMPARE:
		copy(model, command, other, size, false);
		return memcmp(other, disk, size) ? STATUS_COMPARE_FAILURE : 0;
	case USRPCI_NVME_OP_WRITE_ZEROES:
		memset(disk, 0, size);
		break;
	}
	return 0;
}

static uint16_t deallocate(struct model *model, const struct nvme_command *command)
{
	struct nvme_dsm_range *range = fake_dma(model->dev, command->prp1, sizeof(*range));
	uint64_t lba, blocks;

	assert_non_null(range);
	lba = usrpci_le64(range->lba);
	blocks = usrpci_le32(range->blocks);
	assert_int_equal(command->cdw10, 0);
	assert_int_equal(command->cdw11, DSM_DEALLOCATE);
	assert_true(lba + blocks <= MODEL_BLOCKS);
	memset(model->disk + lba * MODEL_BLOCK, 0, blocks * MODEL_BLOCK);
	return 0;
}

static void io(struct model *model, unsigned int qid, const struct nvme_command *command)
{
	uint16_t cid = (uint16_t)(command->cdw0 >> 16), status = 0;
	uint8_t opcode = (uint8_t)command->cdw0;

	model->commands++;
	model->last = *command;
	assert_int_equal(command->nsid, 1);
	if (model->fatal_on_io || model->always_fatal) {
		model->fatal_on_io = false;
		*reg(model, CSTS) |= CSTS_CFS;
		return;
	}
	if (model->hang > 0 || model->hang_for_good) {
		model->hang -= model->hang > 0;
		model->hung_cid[model->hung] = cid;
		model->hung_qid[model->hung++] = (uint16_t)qid;
		return;
	}
	if (model->fail_io)
		status = model->fail_io;
	else if (opcode == USRPCI_NVME_OP_DEALLOCATE)
		status = deallocate(model, command);
	else if (opcode != USRPCI_NVME_OP_FLUSH)
		status = read_write(model, command);
	model->fail_io = 0;
	model_complete(model, qid, cid, status, 0);
}

/* In the host's byte order. */
static struct nvme_command read_command(const struct nvme_command *entry)
{
	return (struct nvme_command){
		.cdw0 = usrpci_le32(entry->cdw0),
		.nsid = usrpci_le32(entry->nsid),
		.reserved = usrpci_le64(entry->reserved),
		.mptr = usrpci_le64(entry->mptr),
		.prp1 = usrpci_le64(entry->prp1),
		.prp2 = usrpci_le64(entry->prp2),
		.cdw10 = usrpci_le32(entry->cdw10),
		.cdw11 = usrpci_le32(entry->cdw11),
		.cdw12 = usrpci_le32(entry->cdw12),
		.cdw13 = usrpci_le32(entry->cdw13),
		.cdw14 = usrpci_le32(entry->cdw14),
		.cdw15 = usrpci_le32(entry->cdw15),
	};
}

static void fetch(struct model *model, unsigned int qid, unsigned int tail)
{
	struct model_queue *queue = &model->queues[qid];
	struct nvme_command command;
	void *entry;

	if (!(*reg(model, CSTS) & CSTS_RDY) || (qid > 0 && !queue->used))
		return;
	assert_true(tail < queue->sq_entries);
	while (queue->tail != tail && (*reg(model, CSTS) & (CSTS_RDY | CSTS_CFS)) == CSTS_RDY) {
		entry = fake_dma(model->dev, queue->sq + queue->tail * sizeof(command),
				 sizeof(command));
		assert_non_null(entry);
		command = read_command(entry);
		queue->tail = (queue->tail + 1) % queue->sq_entries;
		if (qid == 0)
			admin(model, &command);
		else
			io(model, qid, &command);
	}
}

static uint64_t model_read(void *data, size_t offset, unsigned int width)
{
	struct model *model = data;

	assert_int_equal(width, 4);
	model->reads++;
	return offset < sizeof(model->regs) ? *reg(model, offset) : 0;
}

static void enable(struct model *model)
{
	struct model_queue *queue = &model->queues[0];

	*queue = (struct model_queue){
		.sq = *reg(model, ASQ) | (uint64_t)*reg(model, ASQ + 4) << 32,
		.cq = *reg(model, ACQ) | (uint64_t)*reg(model, ACQ + 4) << 32,
		.sq_entries = (*reg(model, AQA) & 0xfff) + 1,
		.cq_entries = (*reg(model, AQA) >> 16 & 0xfff) + 1,
		.phase = 1,
		.irq = true,
		.used = true,
	};
	if (!model->never_ready)
		*reg(model, CSTS) |= CSTS_RDY;
}

static void write_cc(struct model *model, uint32_t value)
{
	uint32_t before = *reg(model, CC);

	*reg(model, CC) = value;
	if ((before ^ value) & CC_EN) {
		if (value & CC_EN)
			enable(model);
		else
			reset(model);
	}
	if ((value & CC_SHN_MASK) == CC_SHN_NORMAL && (before & CC_SHN_MASK) != CC_SHN_NORMAL) {
		model->shutdowns++;
		*reg(model, CSTS) |= CSTS_SHST_COMPLETE;
	}
}

static void ring(struct model *model, size_t offset, uint32_t value)
{
	unsigned int number = (unsigned int)(offset - DOORBELLS) / 4, qid = number / 2;

	assert_in_range(qid, 0, MODEL_QUEUES);
	if (number & 1) {
		model->queues[qid].head = value;
		set_irq(model);
		return;
	}
	model->sq_doorbells += qid > 0;
	fetch(model, qid, value);
}

static void model_write(void *data, size_t offset, unsigned int width, uint64_t value)
{
	struct model *model = data;

	assert_int_equal(width, 4);
	if (offset >= DOORBELLS) {
		ring(model, offset, (uint32_t)value);
	} else if (offset == CC) {
		write_cc(model, (uint32_t)value);
	} else if (offset == INTMS) {
		*reg(model, INTMS) |= (uint32_t)value;
		set_irq(model);
	} else if (offset >= AQA && offset < sizeof(model->regs)) {
		*reg(model, offset) = (uint32_t)value;
	} else {
		fail_msg("a register that is not to be written: 0x%zx", offset);
	}
}

void model_plug(struct model *model, unsigned int msix)
{
	struct fake_model fake = {
		.vendor = 0x1b36,
		.device = 0x0010,
		.class_code = NVME_CLASS,
		.irq_pin = 1,
		.msix = msix,
		.bars[0] = {.size = MODEL_BAR, .read = model_read, .write = model_write},
		.data = model,
	};

	assert_int_equal(fake_open(model->ctx, &fake, &model->dev), 0);
}

static void describe(struct model *model)
{
	/* 256 entries, 1 s until ready, the NVM command set. */
	*reg(model, CAP) = 255 | 2u << 24;
	*reg(model, CAP + 4) = 1u << 5;
	*reg(model, VS) = 0x010400;
	memcpy(model->identify + ID_SN, "serial\x01             ", 20);
	memcpy(model->identify + ID_MN, "a model                                 ", 40);
	memcpy(model->identify + ID_FR, "1.0     ", 8);
	model->identify[ID_MDTS] = 8;
	put_le32(model->identify + ID_NN, 8);
	put_le32(model->identify + ID_ONCS,
		 ONCS_COMPARE | ONCS_DSM | ONCS_WRITE_ZEROES | ONCS_VERIFY);
	model->identify[ID_VWC] = 1;
	put_le32(model->ns + NS_NSZE, MODEL_BLOCKS);
	put_le32(model->ns + NS_LBAF(0), 9 << 16);
	model->nsids[0] = 1;
}

int model_setup(void **state)
{
	static struct model model;

	memset(&model, 0, sizeof(model));
	describe(&model);
	for (size_t i = 0; i < sizeof(model.disk); i++)
		model.disk[i] = (uint8_t)(i * 13 + i / 256 * 7);
	*state = &model;
	return usrpci_ctx_open(NULL, &model.ctx);
}

int model_teardown(void **state)
{
	struct model *model = *state;
	struct usrpci_dma_stats stats;

	usrpci_dma_block_free(model->ctx, &model->buffer);
	usrpci_nvme_close(model->nvme);
	if (model->dev) {
		usrpci_dma_stats(model->ctx, &stats);
		assert_int_equal(stats.blocks, 0);
		assert_int_equal(fake_dma_faults(model->dev), 0);
	}
	usrpci_dev_close(model->dev);
	usrpci_ctx_close(model->ctx);
	return 0;
}

struct usrpci_nvme *model_open(struct model *model, const struct usrpci_nvme_options *options)
{
	if (!model->dev)
		model_plug(model, 0);
	assert_int_equal(usrpci_nvme_open(model->dev, options, &model->nvme), 0);
	return model->nvme;
}

void model_start(struct model *model, const struct usrpci_nvme_options *options, unsigned int depth,
		 struct usrpci_nvme_ns *ns)
{
	struct usrpci_nvme_queue_options queue = {.depth = depth};
	struct usrpci_dma_request request = {.size = 1 << 20, .align = 4096, .zero = true};

	model_open(model, options);
	assert_int_equal(usrpci_nvme_ns(model->nvme, 1, ns), 0);
	assert_int_equal(usrpci_nvme_queue_create(model->nvme, &queue, &model->queue), 0);
	assert_int_equal(usrpci_dma_block_alloc(model->ctx, &request, &model->buffer), 0);
}
