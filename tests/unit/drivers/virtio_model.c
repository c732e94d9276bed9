// SPDX-License-Identifier: BSD-2-Clause
/*
 * The model of virtio_model.h. Doorbells are answered while they are rung, so a test sees the
 * effects at once.
 */

#include <string.h>

#include "virtio_model.h"

static struct model_queue *selected(struct model *model)
{
	static struct model_queue none;

	return model->queue_select < MODEL_QUEUES ? &model->queues[model->queue_select] : &none;
}

static uint64_t read_common(struct model *model, size_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DF:
		return (uint32_t)(model->offered >> 32 * (model->device_select & 1));
	case VIRTIO_PCI_COMMON_MSIX:
		return model->takes_no_vector ? VIRTIO_NO_VECTOR : model->config_vector;
	case VIRTIO_PCI_COMMON_STATUS:
		return model->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return model->changes_always ? model->generation++ : model->generation;
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (model->queues_later && model->queue_select > 2 &&
		    !(model->status & VIRTIO_CONFIG_S_FEATURES_OK))
			return 0;
		return selected(model)->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return model->takes_no_vector ? VIRTIO_NO_VECTOR : selected(model)->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return selected(model)->enable;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return model->queue_select + model->notify_offset;
	}
	fail_msg("the driver reads at %zu", offset);
	return 0;
}

static uint8_t take_isr(struct model *model)
{
	uint8_t isr = model->isr;

	model->isr = 0;
	fake_intx(model->dev, false);
	return isr;
}

static uint64_t model_read(void *data, size_t offset, unsigned int width)
{
	struct model *model = data;
	uint64_t value = 0;

	if (offset < MODEL_ISR)
		return read_common(model, offset);
	if (offset == MODEL_ISR)
		return take_isr(model);
	assert_in_range(offset, MODEL_CONFIG, MODEL_CONFIG + sizeof(model->config) - width);
	for (unsigned int i = 0; i < width; i++)
		value |= (uint64_t)model->config[offset - MODEL_CONFIG + i] << 8 * i;
	return value;
}

static void reset(struct model *model)
{
	for (unsigned int i = 0; i < MODEL_QUEUES; i++)
		model->queues[i] = (struct model_queue){.size = model->queues[i].size};
	model->taken = 0;
	model->isr = 0;
	model->status = model->stuck_reset ? VIRTIO_CONFIG_S_DRIVER : 0;
}

static void set_status(struct model *model, uint8_t status)
{
	if (status == 0) {
		reset(model);
		return;
	}
	assert_int_equal(status & model->status, model->status); /* bits are added only */
	if (status & VIRTIO_CONFIG_S_FEATURES_OK)
		assert_int_equal(model->taken & ~model->offered, 0);
	if (model->refuses_features)
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	model->status = status;
}

static void set_half(uint64_t *address, uint64_t value, bool high)
{
	if (high)
		*address = (*address & UINT32_MAX) | value << 32;
	else
		*address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void write_queue(struct model *model, size_t offset, uint64_t value)
{
	struct model_queue *queue = selected(model);

	assert_true(model->status & VIRTIO_CONFIG_S_FEATURES_OK);
	assert_false(queue->enable);
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		assert_true(value > 0 && value <= queue->size && !(value & (value - 1)));
		queue->size = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		queue->vector = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		assert_int_equal(value, 1);
		queue->enable = 1;
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
	default:
		fail_msg("the driver writes at %zu", offset);
	}
}

static void write_common(struct model *model, size_t offset, uint64_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		model->device_select = (uint32_t)value;
		return;
	case VIRTIO_PCI_COMMON_GFSELECT:
		model->driver_select = (uint32_t)value;
		return;
	case VIRTIO_PCI_COMMON_GF:
		set_half(&model->taken, value, model->driver_select & 1);
		return;
	case VIRTIO_PCI_COMMON_MSIX:
		model->config_vector = (uint16_t)value;
		return;
	case VIRTIO_PCI_COMMON_STATUS:
		set_status(model, (uint8_t)value);
		return;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		model->queue_select = (uint16_t)value;
		return;
	}
	write_queue(model, offset, value);
}

static void model_write(void *data, size_t offset, unsigned int width, uint64_t value)
{
	struct model *model = data;
	uint16_t queue = (uint16_t)value;

	if (offset < MODEL_ISR) {
		write_common(model, offset, value);
		return;
	}
	assert_int_equal(width, 2);
	assert_int_equal(offset, MODEL_NOTIFY + 4u * queue);
	assert_true(model->status & VIRTIO_CONFIG_S_DRIVER_OK);
	assert_true(queue < MODEL_QUEUES && model->queues[queue].enable);
	model->queues[queue].doorbells++;
	if (model->notify)
		model->notify(model, queue);
}

static void add_cap(uint8_t *config, uint8_t at, uint8_t next, uint8_t type, uint32_t offset,
		    uint32_t length)
{
	uint32_t multiplier = usrpci_le32(4);

	offset = usrpci_le32(offset);
	length = usrpci_le32(length);
	config[at] = USRPCI_CAP_VENDOR;
	config[at + 1] = next;
	config[at + 2] = 20;
	config[at + VIRTIO_PCI_CAP_CFG_TYPE] = type;
	config[at + VIRTIO_PCI_CAP_BAR] = 4;
	memcpy(config + at + VIRTIO_PCI_CAP_OFFSET, &offset, sizeof(offset));
	memcpy(config + at + VIRTIO_PCI_CAP_LENGTH, &length, sizeof(length));
	memcpy(config + at + VIRTIO_PCI_NOTIFY_CAP_MULT, &multiplier, sizeof(multiplier));
}

void model_plug(struct model *model, unsigned int type, unsigned int msix)
{
	struct fake_model fake = {
		.vendor = VIRTIO_VENDOR,
		.device = (uint16_t)(0x1040 + type),
		.irq_pin = 1,
		.msix = msix,
		.bars[4] = {.size = MODEL_BAR, .read = model_read, .write = model_write},
		.data = model,
	};
	uint8_t *config;

	assert_int_equal(fake_open(model->ctx, &fake, &model->dev), 0);
	for (unsigned int i = 0; i < MODEL_QUEUES; i++)
		model->queues[i].size = 256;
	config = fake_config(model->dev);
	config[0x06] |= 0x10; /* there are capabilities */
	config[0x34] = 0x40;
	add_cap(config, 0x40, 0x60, VIRTIO_PCI_CAP_COMMON_CFG, 0, 56);
	add_cap(config, 0x60, 0x80, VIRTIO_PCI_CAP_ISR_CFG, MODEL_ISR, 1);
	add_cap(config, 0x80, 0xa0, VIRTIO_PCI_CAP_DEVICE_CFG, MODEL_CONFIG, 64);
	add_cap(config, 0xa0, 0, VIRTIO_PCI_CAP_NOTIFY_CFG, MODEL_NOTIFY, 4 * MODEL_QUEUES);
}

static void *reach(struct model *model, uint64_t address, size_t size)
{
	void *memory = fake_dma(model->dev, address, size);

	assert_non_null(memory);
	return memory;
}

static struct vring_avail *avail_of(struct model *model, const struct model_queue *queue)
{
	return reach(model, queue->avail, 6 + 2u * queue->size);
}

static struct vring_used *used_of(struct model *model, const struct model_queue *queue)
{
	return reach(model, queue->used, 6 + 8u * queue->size);
}

unsigned int model_available(struct model *model, uint16_t queue)
{
	struct model_queue *q = &model->queues[queue];

	return q->enable ? (uint16_t)(usrpci_le16(avail_of(model, q)->idx) - q->next_avail) : 0;
}

int model_fetch(struct model *model, uint16_t queue, struct model_piece *pieces,
		unsigned int *count)
{
	struct model_queue *q = &model->queues[queue];
	struct vring_desc *desc = reach(model, q->desc, q->size * sizeof(*desc));
	uint16_t head, id;

	*count = 0;
	if (model_available(model, queue) == 0)
		return -1;
	assert_true(model_available(model, queue) <= q->size);
	head = id = usrpci_le16(avail_of(model, q)->ring[q->next_avail++ % q->size]);
	/* With event indices: the device wants to know of the next one. */
	used_of(model, q)->ring[q->size].id = usrpci_le32(q->next_avail);
	for (;;) {
		assert_true(id < q->size && *count < q->size);
		pieces[(*count)++] = (struct model_piece){
			.bytes = reach(model, usrpci_le64(desc[id].addr),
				       usrpci_le32(desc[id].len)),
			.size = usrpci_le32(desc[id].len),
			.writable = usrpci_le16(desc[id].flags) & VRING_DESC_F_WRITE,
		};
		if (!(usrpci_le16(desc[id].flags) & VRING_DESC_F_NEXT))
			return head;
		id = usrpci_le16(desc[id].next);
	}
}

void model_use(struct model *model, uint16_t queue, uint32_t id, uint32_t length)
{
	struct model_queue *q = &model->queues[queue];

	used_of(model, q)->ring[q->next_used++ % q->size] =
		(struct vring_used_elem){.id = usrpci_le32(id), .len = usrpci_le32(length)};
}

static void interrupt(struct model *model, uint16_t vector, uint8_t cause)
{
	if (usrpci_irq_count(model->dev, USRPCI_IRQ_MSIX) > 0) {
		if (vector != VIRTIO_NO_VECTOR)
			fake_msi(model->dev, USRPCI_IRQ_MSIX, vector);
		return;
	}
	model->isr |= cause;
	fake_intx(model->dev, true);
}

void model_tell(struct model *model, uint16_t queue)
{
	struct model_queue *q = &model->queues[queue];
	struct vring_avail *avail = avail_of(model, q);
	struct vring_used *used = used_of(model, q);
	uint16_t before = usrpci_le16(used->idx);
	bool wanted = !(usrpci_le16(avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);

	used->idx = usrpci_le16(q->next_used);
	if (model->taken >> VIRTIO_RING_F_EVENT_IDX & 1)
		wanted = vring_need_event(usrpci_le16(avail->ring[q->size]), q->next_used, before);
	if (wanted)
		interrupt(model, q->vector, 1);
}

void model_change(struct model *model)
{
	model->generation++;
	interrupt(model, model->config_vector, 2);
}
