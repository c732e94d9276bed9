// SPDX-License-Identifier: BSD-2-Clause
/*
 * The e1000 driver on a model of the controller, which fetches and fills descriptors as [SDM] 3.2
 * and 3.3 say, and can be told to misbehave.
 */

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include <e1000/e1000.h>
#include <e1000/e1000_reg.h>

#include "bytes.h"
#include "fake/fake.h"

#define BAR_SIZE (128 << 10)
#define HUGE     (2u << 20)

struct model {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct e1000 *nic;
	uint32_t regs[BAR_SIZE / 4];
	uint16_t eeprom[3];
	uint32_t phy_control;
	unsigned int reads, tail_writes; /* of registers */
	unsigned int sent;
	bool loopback;    /* what is sent is received */
	bool stuck_reset; /* misbehaviour */
	bool stuck_transmit;
	unsigned int transmit_limit; /* stuck after so many; 0: never */
};

static const uint8_t address[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

static uint32_t *reg(struct model *model, size_t offset)
{
	return &model->regs[offset / 4];
}

static void raise_irq(struct model *model, uint32_t causes)
{
	bool asserted;

	*reg(model, ICR) |= causes;
	asserted = *reg(model, ICR) & *reg(model, IMS);
	if (usrpci_irq_count(model->dev, USRPCI_IRQ_MSI) == 0)
		fake_intx(model->dev, asserted);
	else if (asserted)
		fake_msi(model->dev, USRPCI_IRQ_MSI, 0);
}

static void *descriptor(struct model *model, size_t base, uint32_t index)
{
	uint64_t ring = *reg(model, base) | (uint64_t)*reg(model, base + 4) << 32;
	void *desc;

	assert_true(index < *reg(model, base + 8) / sizeof(struct e1000_rx_desc));
	desc = fake_dma(model->dev, ring + index * sizeof(struct e1000_rx_desc),
			sizeof(struct e1000_rx_desc));
	assert_non_null(desc);
	return desc;
}

static void advance(struct model *model, size_t head, size_t length)
{
	*reg(model, head) = (*reg(model, head) + 1) % (*reg(model, length) / 16);
}

/* One descriptor comes from outside; the frame's bytes are there as far as they fit a buffer. */
static bool receive_raw(struct model *model, const void *bytes, uint16_t length, uint8_t status,
			uint8_t errors)
{
	size_t size = length < USRPCI_NIC_BUFFER_SIZE ? length : USRPCI_NIC_BUFFER_SIZE;
	struct e1000_rx_desc *desc;
	void *buffer;

	if (!(*reg(model, RCTL) & RCTL_EN) || *reg(model, RDH) == *reg(model, RDT)) {
		++*reg(model, MPC);
		return false;
	}
	desc = descriptor(model, RDBAL, *reg(model, RDH));
	buffer = fake_dma(model->dev, usrpci_le64(desc->address), USRPCI_NIC_BUFFER_SIZE);
	assert_non_null(buffer);
	memcpy(buffer, bytes, size);
	desc->length = usrpci_le16(length);
	desc->errors = errors;
	desc->status = status;
	advance(model, RDH, RDLEN);
	++*reg(model, GPRC);
	raise_irq(model, INT_RXT0);
	return true;
}

static bool receive(struct model *model, const void *bytes, uint16_t size)
{
	return receive_raw(model, bytes, size, RXD_STATUS_DD | RXD_STATUS_EOP, 0);
}

static void transmit(struct model *model)
{
	struct e1000_tx_desc *desc;
	void *frame;

	while (!model->stuck_transmit &&
	       (!model->transmit_limit || model->sent < model->transmit_limit) &&
	       *reg(model, TCTL) & TCTL_EN && *reg(model, TDH) != *reg(model, TDT)) {
		desc = descriptor(model, TDBAL, *reg(model, TDH));
		frame = fake_dma(model->dev, usrpci_le64(desc->address), usrpci_le16(desc->length));
		assert_non_null(frame);
		assert_int_equal(desc->cmd & (TXD_CMD_EOP | TXD_CMD_IFCS),
				 TXD_CMD_EOP | TXD_CMD_IFCS);
		++*reg(model, GPTC);
		model->sent++;
		if (model->loopback)
			receive(model, frame, usrpci_le16(desc->length));
		if (desc->cmd & TXD_CMD_RS)
			desc->status |= TXD_STATUS_DD;
		advance(model, TDH, TDLEN);
	}
}

static uint32_t read_eerd(struct model *model)
{
	bool express = usrpci_dev_info(model->dev)->device == E1000_82574L;
	uint32_t eerd = *reg(model, EERD);
	uint32_t word = (eerd & 0xffff) >> (express ? 2 : 8);

	if (!(eerd & EERD_START))
		return eerd;
	return (uint32_t)model->eeprom[word % 3] << 16 | (express ? 1 << 1 : 1 << 4);
}

static uint64_t model_read(void *data, size_t offset, unsigned int width)
{
	struct model *model = data;
	uint32_t value = *reg(model, offset);

	assert_int_equal(width, 4);
	model->reads++;
	switch (offset) {
	case ICR:
		*reg(model, ICR) = 0;
		raise_irq(model, 0);
		break;
	case EERD:
		return read_eerd(model);
	case CTRL:
		return model->stuck_reset ? value : value & ~CTRL_RST;
	case CRCERRS:
	case RXERRC:
	case MPC:
	case RLEC:
	case GPRC:
	case GPTC:
	case GORCL + 4:
	case GOTCL + 4:
	case RNBC:
		*reg(model, offset) = 0;
		break;
	}
	return value;
}

static void access_phy(struct model *model, uint32_t value)
{
	assert_int_equal(value >> MDIC_REG_SHIFT & 0x1f, PHY_CONTROL);
	if (value & MDIC_WRITE)
		model->phy_control = value & 0xffff;
	*reg(model, MDIC) = model->phy_control | MDIC_READY;
}

static void model_write(void *data, size_t offset, unsigned int width, uint64_t value)
{
	struct model *model = data;

	assert_int_equal(width, 4);
	switch (offset) {
	case IMS:
		*reg(model, IMS) |= (uint32_t)value;
		break;
	case IMC:
		*reg(model, IMS) &= ~(uint32_t)value;
		break;
	case MDIC:
		access_phy(model, (uint32_t)value);
		break;
	default:
		*reg(model, offset) = (uint32_t)value;
	}
	if (offset == RDT || offset == TDT)
		model->tail_writes++;
	if (offset == TDT || offset == TCTL)
		transmit(model);
}

static void plug(struct model *model, uint16_t device, unsigned int msi)
{
	struct fake_model fake = {
		.vendor = E1000_VENDOR,
		.device = device,
		.irq_pin = 1,
		.msi = msi,
		.bars[0] = {.size = BAR_SIZE, .read = model_read, .write = model_write},
		.data = model,
	};

	assert_int_equal(fake_open(model->ctx, &fake, &model->dev), 0);
}

static void unplug(struct model *model)
{
	e1000_close(model->nic);
	usrpci_dev_close(model->dev);
	model->nic = NULL;
	model->dev = NULL;
}

static void set_address(struct model *model)
{
	*reg(model, RAL) = get_le32(address);
	*reg(model, RAH) = address[4] | address[5] << 8 | RAH_AV;
}

static int setup(void **state)
{
	static struct model model;

	memset(&model, 0, sizeof(model));
	*reg(&model, STATUS) = STATUS_LU | STATUS_FD | 2 << STATUS_SPEED_SHIFT;
	set_address(&model);
	for (size_t i = 0; i < 3; i++)
		model.eeprom[i] = get_le16(address + 2 * i);
	*state = &model;
	return usrpci_ctx_open(NULL, &model.ctx);
}

static int teardown(void **state)
{
	struct model *model = *state;

	unplug(model);
	usrpci_ctx_close(model->ctx);
	return 0;
}

static struct e1000 *start(struct model *model, const struct usrpci_nic_options *options)
{
	plug(model, E1000_82540EM, 0);
	assert_int_equal(e1000_open(model->dev, options, &model->nic), 0);
	assert_int_equal(e1000_start(model->nic), 0);
	return model->nic;
}

static bool is_bus_master(struct usrpci_dev *dev)
{
	return fake_config(dev)[4] & 4;
}

static struct usrpci_nic_frame make_frame(struct e1000 *nic, unsigned int number, uint16_t size)
{
	struct usrpci_nic_frame frame = {.data = usrpci_pool_get(e1000_pool(nic)), .size = size};

	assert_non_null(frame.data);
	for (unsigned int i = 0; i < size; i++)
		((uint8_t *)frame.data)[i] = (uint8_t)(number * 7 + i);
	return frame;
}

static void check_frame(const struct usrpci_nic_frame *frame, unsigned int number, uint16_t size)
{
	assert_int_equal(frame->size, size);
	for (unsigned int i = 0; i < size; i++)
		assert_int_equal(((uint8_t *)frame->data)[i], (uint8_t)(number * 7 + i));
}

/* Opening */

static void each_controller_is_taken_and_named(void **state)
{
	static const struct {
		uint16_t device;
		const char *name;
	} known[] = {
		{E1000_82540EM, "82540EM"}, {E1000_82545EM, "82545EM"}, {E1000_82574L, "82574L"}};
	struct model *model = *state;

	for (size_t i = 0; i < 3; i++) {
		plug(model, known[i].device, 0);
		assert_int_equal(e1000_open(model->dev, NULL, &model->nic), 0);
		assert_string_equal(e1000_name(model->nic), known[i].name);
		unplug(model);
	}
}

static void another_device_is_refused(void **state)
{
	struct model *model = *state;

	plug(model, 0x1234, 0);
	assert_int_equal(e1000_open(model->dev, NULL, &model->nic), -ENOTSUP);
}

static void impossible_options_are_refused(void **state)
{
	static const struct usrpci_nic_options bad[] = {
		{.rx_descriptors = 100},     {.tx_descriptors = 4}, {.rx_descriptors = 8192},
		{.irq_gap_us = 20000},       {.queues = 17},        {.irq = 9},
		{.irq = USRPCI_NIC_IRQ_MSIX}};
	struct model *model = *state;

	plug(model, E1000_82540EM, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(e1000_open(model->dev, &bad[i], &model->nic), -EINVAL);
	assert_int_equal(model->reads, 0);
}

static void the_address_comes_from_the_eeprom_where_it_was_not_loaded(void **state)
{
	static const uint16_t devices[] = {E1000_82545EM, E1000_82574L};
	struct model *model = *state;

	for (size_t i = 0; i < 2; i++) {
		plug(model, devices[i], 0);
		*reg(model, RAL) = *reg(model, RAH) = 0;
		assert_int_equal(e1000_open(model->dev, NULL, &model->nic), 0);
		assert_memory_equal(e1000_mac(model->nic), address, 6);
		assert_int_equal(*reg(model, RAL), get_le32(address));
		assert_true(*reg(model, RAH) & RAH_AV);
		unplug(model);
	}
}

static void a_controller_without_an_address_is_refused(void **state)
{
	struct model *model = *state;

	plug(model, E1000_82540EM, 0);
	*reg(model, RAH) = 0;
	memset(model->eeprom, 0, sizeof(model->eeprom));
	assert_int_equal(e1000_open(model->dev, NULL, &model->nic), -EIO);
	memset(model->eeprom, 0xff, sizeof(model->eeprom));
	assert_int_equal(e1000_open(model->dev, NULL, &model->nic), -EIO);
}

static void a_reset_that_never_ends_times_out(void **state)
{
	struct model *model = *state;

	plug(model, E1000_82540EM, 0);
	model->stuck_reset = true;
	assert_int_equal(e1000_open(model->dev, NULL, &model->nic), -ETIMEDOUT);
}

static void a_sleeping_phy_is_woken(void **state)
{
	struct model *model = *state;

	model->phy_control = PHY_CONTROL_DOWN;
	start(model, NULL);
	assert_int_equal(model->phy_control, PHY_CONTROL_AUTO | PHY_CONTROL_RESTART);
}

static void everything_fits_in_one_huge_page(void **state)
{
	struct model *model = *state;
	struct usrpci_dma_stats stats;

	start(model, NULL);
	usrpci_dma_stats(model->ctx, &stats);
	assert_true(stats.bytes_used <= HUGE);
	assert_true(stats.bytes_used >= 512 * USRPCI_NIC_BUFFER_SIZE);
}

static void starting_and_opening_survive_the_failure_of_any_call(void **state)
{
	struct model *model = *state;
	struct usrpci_dma_stats stats;
	unsigned int failures = 0, before, calls;
	int error;

	start(model, NULL);
	e1000_close(model->nic);
	model->nic = NULL;
	before = fake_fail(model->dev, 0, 0);
	assert_int_equal(e1000_open(model->dev, NULL, &model->nic), 0);
	assert_int_equal(e1000_start(model->nic), 0);
	calls = fake_fail(model->dev, 0, 0) - before;
	for (unsigned int i = 1; i <= calls; i++) {
		e1000_close(model->nic);
		model->nic = NULL;
		fake_fail(model->dev, i, -EIO);
		error = e1000_open(model->dev, NULL, &model->nic);
		if (!error)
			error = e1000_start(model->nic);
		if (error)
			assert_false(is_bus_master(model->dev));
		failures += error != 0;
	}
	assert_true(failures > 2);
	e1000_close(model->nic);
	model->nic = NULL;
	usrpci_dma_stats(model->ctx, &stats);
	assert_int_equal(stats.blocks, 0);
}

/* Frames */

static void frames_come_back_in_order_round_after_round(void **state)
{
	struct usrpci_nic_options options = {.rx_descriptors = 64, .tx_descriptors = 32};
	struct model *model = *state;
	struct e1000 *nic = start(model, &options);
	struct usrpci_nic_frame out[16], in[16];
	unsigned int number = 0, n, taken;

	model->loopback = true;
	while (number < 2000) {
		n = number % 16 + 1;
		for (unsigned int i = 0; i < n; i++)
			out[i] = make_frame(nic, number + i, (uint16_t)(60 + (number + i) % 1459));
		assert_int_equal(e1000_transmit(nic, out, n), n);
		taken = e1000_receive(nic, in, 16);
		assert_int_equal(taken, n);
		for (unsigned int i = 0; i < n; i++, number++) {
			check_frame(&in[i], number, (uint16_t)(60 + number % 1459));
			usrpci_pool_put(e1000_pool(nic), in[i].data);
		}
	}
	assert_int_equal(fake_dma_faults(model->dev), 0);
	assert_int_equal(e1000_transmit_reclaim(nic), 0);
	assert_int_equal(usrpci_pool_available(e1000_pool(nic)), 32 + 64);
}

static void a_batch_costs_one_register_write_and_no_read(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_frame frames[100];
	unsigned int reads = model->reads;

	model->loopback = true;
	for (unsigned int i = 0; i < 100; i++)
		frames[i] = make_frame(nic, i, 60);
	model->tail_writes = 0;
	assert_int_equal(e1000_transmit(nic, frames, 100), 100);
	assert_int_equal(model->tail_writes, 1);
	assert_int_equal(e1000_receive(nic, frames, 100), 100);
	assert_int_equal(model->tail_writes, 2);
	assert_int_equal(e1000_receive(nic, frames, 100), 0);
	assert_int_equal(e1000_transmit(nic, frames, 0), 0);
	assert_int_equal(e1000_transmit_reclaim(nic), 0);
	assert_int_equal(model->tail_writes, 2);
	assert_int_equal(model->reads, reads);
}

static void a_full_transmit_ring_takes_no_more(void **state)
{
	struct usrpci_nic_options options = {.tx_descriptors = 8};
	struct model *model = *state;
	struct e1000 *nic = start(model, &options);
	struct usrpci_nic_frame frames[10];

	model->stuck_transmit = true;
	for (unsigned int i = 0; i < 10; i++)
		frames[i] = make_frame(nic, i, 60);
	assert_int_equal(e1000_transmit(nic, frames, 10), 7);
	assert_int_equal(e1000_transmit(nic, frames + 7, 3), 0);
	assert_int_equal(e1000_transmit_reclaim(nic), 7);
	model->stuck_transmit = false;
	transmit(model);
	assert_int_equal(e1000_transmit(nic, frames + 7, 3), 3);
	assert_int_equal(model->sent, 10);
	assert_int_equal(e1000_transmit_reclaim(nic), 0);
}

static void a_long_batch_is_reclaimed_bit_by_bit(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_frame frames[100];
	size_t available;

	for (unsigned int i = 0; i < 100; i++)
		frames[i] = make_frame(nic, i, 60);
	available = usrpci_pool_available(e1000_pool(nic));
	model->transmit_limit = 70;
	assert_int_equal(e1000_transmit(nic, frames, 100), 100);
	assert_int_equal(model->sent, 70);
	assert_int_equal(e1000_transmit_reclaim(nic), 100 - 64); /* a report for each 32 */
	assert_int_equal(usrpci_pool_available(e1000_pool(nic)), available + 64);
	model->transmit_limit = 0;
	transmit(model);
	assert_int_equal(e1000_transmit_reclaim(nic), 0);
}

/* As in a buffer in which somebody has put a header before it. */
static void a_frame_may_begin_behind_the_beginning_of_its_buffer(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	size_t available = usrpci_pool_available(e1000_pool(nic));
	struct usrpci_nic_frame frame = make_frame(nic, 1, 60);

	model->loopback = true;
	frame.data = memmove((uint8_t *)frame.data + 12, frame.data, 60);
	assert_int_equal(e1000_transmit(nic, &frame, 1), 1);
	assert_int_equal(e1000_receive(nic, &frame, 1), 1);
	check_frame(&frame, 1, 60);
	usrpci_pool_put(e1000_pool(nic), frame.data);
	assert_int_equal(e1000_transmit_reclaim(nic), 0);
	assert_int_equal(usrpci_pool_available(e1000_pool(nic)), available);
	for (; available > 0; available--)
		assert_int_equal(
			(uintptr_t)usrpci_pool_get(e1000_pool(nic)) % USRPCI_NIC_BUFFER_SIZE, 0);
}

static void a_frame_of_an_impossible_size_is_not_sent(void **state)
{
	static const uint16_t sizes[] = {0, USRPCI_NIC_FRAME_MIN - 1, E1000_FRAME_MAX + 1,
					 UINT16_MAX};
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_frame frames[3];

	for (unsigned int i = 0; i < 3; i++)
		frames[i] = make_frame(nic, i, 60);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		frames[1].size = sizes[i];
		assert_int_equal(e1000_transmit(nic, frames + 1, 2), 0);
	}
	assert_int_equal(e1000_transmit(nic, frames, 3), 1);
	assert_int_equal(model->sent, 1);
}

static void descriptors_without_a_whole_good_frame_are_dropped(void **state)
{
	enum { DD = RXD_STATUS_DD, END = RXD_STATUS_DD | RXD_STATUS_EOP };
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_frame frames[16];
	struct usrpci_nic_stats stats;
	uint8_t bytes[USRPCI_NIC_BUFFER_SIZE] = {0};
	size_t before = usrpci_pool_available(e1000_pool(nic));

	assert_true(receive_raw(model, bytes, 60, END, 0x01)); /* CRC error */
	assert_true(receive_raw(model, bytes, 60, END, 0x80)); /* data error */
	assert_true(receive_raw(model, bytes, 0, END, 0));     /* empty */
	assert_true(receive_raw(model, bytes, 65535, END, 0)); /* longer than its buffer */
	assert_true(receive_raw(model, bytes, 2048, DD, 0));   /* of several descriptors */
	assert_true(receive_raw(model, bytes, 2048, DD, 0));
	assert_true(receive_raw(model, bytes, 100, END, 0));
	assert_true(receive_raw(model, bytes, 100, END, 0x60)); /* good: layers above */
	assert_int_equal(e1000_receive(nic, frames, 16), 1);
	assert_int_equal(frames[0].size, 100);
	usrpci_pool_put(e1000_pool(nic), frames[0].data);
	assert_int_equal(usrpci_pool_available(e1000_pool(nic)), before);
	assert_int_equal(e1000_stats(nic, &stats), 0);
	assert_int_equal(stats.rx_dropped, 7);
}

static void dropped_descriptors_are_filled_again(void **state)
{
	struct usrpci_nic_options options = {.rx_descriptors = 8};
	struct model *model = *state;
	struct e1000 *nic = start(model, &options);
	struct usrpci_nic_frame frame;
	struct usrpci_nic_stats stats;
	uint8_t bytes[60] = {0};

	for (unsigned int i = 0; i < 20; i++) {
		assert_true(receive_raw(model, bytes, 60, RXD_STATUS_DD | RXD_STATUS_EOP, 1));
		assert_int_equal(e1000_receive(nic, &frame, 1), 0);
	}
	assert_int_equal(e1000_stats(nic, &stats), 0);
	assert_int_equal(stats.rx_dropped, 20);
}

static void frames_wait_in_the_ring_while_the_pool_is_empty(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	void *held[512];
	unsigned int n = 0;
	struct usrpci_nic_frame frame;
	uint8_t bytes[60] = {1, 2, 3};

	while ((held[n] = usrpci_pool_get(e1000_pool(nic))))
		n++;
	assert_true(receive(model, bytes, sizeof(bytes)));
	assert_int_equal(e1000_receive(nic, &frame, 1), 0);
	usrpci_pool_put_bulk(e1000_pool(nic), held, n);
	assert_int_equal(e1000_receive(nic, &frame, 1), 1);
	assert_memory_equal(frame.data, bytes, sizeof(bytes));
}

static void receiving_ends_though_the_device_fills_every_descriptor_at_once(void **state)
{
	struct usrpci_nic_options options = {.rx_descriptors = 8};
	struct model *model = *state;
	struct e1000 *nic = start(model, &options);
	struct usrpci_nic_frame frames[64];
	struct e1000_rx_desc *desc = descriptor(model, RDBAL, 0);
	unsigned int n;

	for (unsigned int i = 0; i < 8; i++) {
		desc[i].length = 60;
		desc[i].status = 0xff;
	}
	n = e1000_receive(nic, frames, 64);
	assert_true(n <= 8);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < i; k++)
			assert_ptr_not_equal(frames[i].data, frames[k].data);
	usrpci_pool_put(e1000_pool(nic), frames[0].data);
}

static void a_scribbled_ring_does_not_move_buffers(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	size_t all = usrpci_pool_available(e1000_pool(nic)) + 256;
	struct usrpci_nic_frame frames[8];

	for (unsigned int i = 0; i < 8; i++)
		frames[i] = make_frame(nic, i, 60);
	model->stuck_transmit = true;
	assert_int_equal(e1000_transmit(nic, frames, 8), 8);
	memset(descriptor(model, TDBAL, 0), 0xff, 4096);
	memset(descriptor(model, RDBAL, 0), 0xff, 4096);
	assert_int_equal(e1000_transmit_reclaim(nic), 0);
	assert_int_equal(e1000_receive(nic, frames, 8), 0);
	assert_int_equal(e1000_stop(nic), 0);
	assert_int_equal(usrpci_pool_available(e1000_pool(nic)), all);
}

/* Interrupts, link, statistics */

static void check_interrupts(struct model *model, const struct usrpci_nic_options *options)
{
	struct e1000 *nic;
	struct usrpci_nic_frame frame;
	uint8_t bytes[60] = {0};

	assert_int_equal(e1000_open(model->dev, options, &model->nic), 0);
	nic = model->nic;
	assert_int_equal(e1000_wait(nic, 0), -EINVAL);
	assert_int_equal(e1000_start(nic), 0);
	assert_true(e1000_irq_fd(nic) >= 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(e1000_wait(nic, 0), -ETIMEDOUT);
		assert_true(receive(model, bytes, sizeof(bytes)));
		assert_int_equal(e1000_wait(nic, 1000), USRPCI_NIC_RECEIVE);
		assert_int_equal(e1000_receive(nic, &frame, 1), 1);
		usrpci_pool_put(e1000_pool(nic), frame.data);
	}
	raise_irq(model, INT_LSC);
	assert_int_equal(e1000_wait(nic, 1000), USRPCI_NIC_LINK);
	assert_int_equal(e1000_wait(nic, 0), -ETIMEDOUT);
}

static void interrupts_say_why_by_intx(void **state)
{
	struct model *model = *state;

	plug(model, E1000_82540EM, 0);
	check_interrupts(model, NULL);
}

static void interrupts_say_why_by_msi(void **state)
{
	struct model *model = *state;

	plug(model, E1000_82574L, 1);
	check_interrupts(model, NULL);
}

/* Linux's driver leaves QEMU's 82574L with extended descriptors, and hashes for several queues. */
static void descriptors_are_those_that_the_driver_knows(void **state)
{
	struct model *model = *state;

	plug(model, E1000_82574L, 0);
	*reg(model, RFCTL) = 1u << 15;
	*reg(model, MRQC) = 0x3 << 16;
	assert_int_equal(e1000_open(model->dev, NULL, &model->nic), 0);
	assert_int_equal(e1000_start(model->nic), 0);
	assert_int_equal(*reg(model, RFCTL), 0);
	assert_int_equal(*reg(model, MRQC), 0);
}

static void polling_enables_no_interrupt(void **state)
{
	struct usrpci_nic_options options = {.irq = USRPCI_NIC_IRQ_NONE};
	struct model *model = *state;

	start(model, &options);
	assert_int_equal(*reg(model, IMS), 0);
	assert_int_equal(e1000_wait(model->nic, 0), -EINVAL);
	assert_int_equal(e1000_irq_fd(model->nic), -EINVAL);
}

static void the_link_is_as_the_controller_says(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_link link;

	assert_int_equal(e1000_link(nic, &link), 0);
	assert_true(link.up && link.full_duplex && link.speed == 1000);
	*reg(model, STATUS) = STATUS_LU | 1 << STATUS_SPEED_SHIFT;
	assert_int_equal(e1000_link(nic, &link), 0);
	assert_true(link.up && !link.full_duplex && link.speed == 100);
	assert_int_equal(e1000_link_wait(nic, 0), 0);
	*reg(model, STATUS) = 0;
	assert_int_equal(e1000_link(nic, &link), 0);
	assert_true(!link.up && link.speed == 0);
	assert_int_equal(e1000_link_wait(nic, 10), -ETIMEDOUT);
}

static void counters_add_up_from_opening_on(void **state)
{
	struct model *model = *state;
	struct usrpci_nic_stats stats;
	struct e1000 *nic;

	*reg(model, GPRC) = 1000;
	nic = start(model, NULL);
	assert_int_equal(e1000_stats(nic, &stats), 0);
	assert_int_equal(stats.rx_frames, 0);
	for (unsigned int i = 1; i <= 3; i++) {
		*reg(model, GPRC) = 10;
		*reg(model, GORCL) = 640;
		*reg(model, GORCL + 4) = 1;
		*reg(model, MPC) = 2;
		*reg(model, RXERRC) = 1;
		*reg(model, RLEC) = 1;
		assert_int_equal(e1000_stats(nic, &stats), 0);
		assert_int_equal(stats.rx_frames, 10 * i);
		assert_int_equal(stats.rx_bytes, i * ((UINT64_C(1) << 32) + 640));
		assert_int_equal(stats.rx_missed, 2 * i);
		assert_int_equal(stats.rx_errors, 2 * i);
	}
}

/* Stopping */

static void stopping_sends_what_was_taken_and_gives_all_buffers_back(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_frame frame = make_frame(nic, 1, 60);

	assert_true(is_bus_master(model->dev));
	assert_int_equal(e1000_transmit(nic, &frame, 1), 1);
	assert_int_equal(e1000_stop(nic), 0);
	assert_int_equal(model->sent, 1);
	assert_false(is_bus_master(model->dev));
	assert_int_equal(*reg(model, RCTL) & RCTL_EN, 0);
	assert_int_equal(*reg(model, TCTL) & TCTL_EN, 0);
	assert_int_equal(*reg(model, IMS), 0);
	assert_int_equal(usrpci_pool_available(e1000_pool(nic)), 256 + 256 + 64);
	assert_int_equal(e1000_stop(nic), 0);
}

static void stopping_gives_up_frames_that_are_never_sent(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_frame frame = make_frame(nic, 1, 60);

	model->stuck_transmit = true;
	assert_int_equal(e1000_transmit(nic, &frame, 1), 1);
	assert_int_equal(e1000_stop(nic), -ETIMEDOUT);
	assert_false(is_bus_master(model->dev));
	assert_int_equal(usrpci_pool_available(e1000_pool(nic)), 256 + 256 + 64);
}

static void a_stopped_controller_starts_again(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_frame frame;

	model->loopback = true;
	for (unsigned int i = 0; i < 3; i++) {
		frame = make_frame(nic, i, 99);
		assert_int_equal(e1000_transmit(nic, &frame, 1), 1);
		assert_int_equal(e1000_receive(nic, &frame, 1), 1);
		check_frame(&frame, i, 99);
		usrpci_pool_put(e1000_pool(nic), frame.data);
		assert_int_equal(e1000_stop(nic), 0);
		assert_int_equal(e1000_start(nic), 0);
		assert_int_equal(e1000_start(nic), 0);
	}
}

static void a_stopped_controller_neither_receives_nor_transmits(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_frame frame = make_frame(nic, 1, 60), received;
	uint8_t bytes[60] = {0};

	assert_true(receive(model, bytes, sizeof(bytes)));
	assert_int_equal(e1000_stop(nic), 0);
	assert_int_equal(e1000_receive(nic, &received, 1), 0);
	assert_int_equal(e1000_transmit(nic, &frame, 1), 0);
	usrpci_pool_put(e1000_pool(nic), frame.data);
	assert_int_equal(e1000_start(nic), 0);
	assert_int_equal(e1000_stop(nic), 0);
	assert_int_equal(usrpci_pool_available(e1000_pool(nic)), 256 + 256 + 64);
}

static void starting_fails_while_the_program_holds_the_buffers(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	void *held[400];

	assert_int_equal(e1000_stop(nic), 0);
	assert_int_equal(usrpci_pool_get_bulk(e1000_pool(nic), held, 400), 400);
	assert_int_equal(e1000_start(nic), -ENOMEM);
	usrpci_pool_put_bulk(e1000_pool(nic), held, 400);
	assert_int_equal(e1000_start(nic), 0);
}

static void a_controller_that_is_gone_is_reported_and_can_be_closed(void **state)
{
	struct model *model = *state;
	struct e1000 *nic = start(model, NULL);
	struct usrpci_nic_frame frame = make_frame(nic, 1, 60);
	struct usrpci_nic_link link;
	struct usrpci_nic_stats stats;

	model->stuck_transmit = true;
	assert_int_equal(e1000_transmit(nic, &frame, 1), 1);
	fake_unplug(model->dev);
	assert_int_equal(e1000_link(nic, &link), -ENODEV);
	assert_int_equal(e1000_link_wait(nic, 1000), -ENODEV);
	assert_int_equal(e1000_stats(nic, &stats), -ENODEV);
	assert_int_equal(e1000_receive(nic, &frame, 1), 0);
	assert_int_equal(e1000_stop(nic), -ENODEV);
	assert_int_equal(usrpci_pool_available(e1000_pool(nic)), 256 + 256 + 64);
	e1000_close(nic);
	assert_int_equal(e1000_open(model->dev, NULL, &model->nic), -ENODEV);
	model->nic = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_controller_is_taken_and_named),
		TEST(another_device_is_refused),
		TEST(impossible_options_are_refused),
		TEST(the_address_comes_from_the_eeprom_where_it_was_not_loaded),
		TEST(a_controller_without_an_address_is_refused),
		TEST(a_reset_that_never_ends_times_out),
		TEST(a_sleeping_phy_is_woken),
		TEST(everything_fits_in_one_huge_page),
		TEST(starting_and_opening_survive_the_failure_of_any_call),
		TEST(frames_come_back_in_order_round_after_round),
		TEST(a_batch_costs_one_register_write_and_no_read),
		TEST(a_full_transmit_ring_takes_no_more),
		TEST(a_long_batch_is_reclaimed_bit_by_bit),
		TEST(a_frame_may_begin_behind_the_beginning_of_its_buffer),
		TEST(a_frame_of_an_impossible_size_is_not_sent),
		TEST(descriptors_without_a_whole_good_frame_are_dropped),
		TEST(dropped_descriptors_are_filled_again),
		TEST(frames_wait_in_the_ring_while_the_pool_is_empty),
		TEST(receiving_ends_though_the_device_fills_every_descriptor_at_once),
		TEST(a_scribbled_ring_does_not_move_buffers),
		TEST(interrupts_say_why_by_intx),
		TEST(interrupts_say_why_by_msi),
		TEST(descriptors_are_those_that_the_driver_knows),
		TEST(polling_enables_no_interrupt),
		TEST(the_link_is_as_the_controller_says),
		TEST(counters_add_up_from_opening_on),
		TEST(stopping_sends_what_was_taken_and_gives_all_buffers_back),
		TEST(stopping_gives_up_frames_that_are_never_sent),
		TEST(a_stopped_controller_starts_again),
		TEST(a_stopped_controller_neither_receives_nor_transmits),
		TEST(starting_fails_while_the_program_holds_the_buffers),
		TEST(a_controller_that_is_gone_is_reported_and_can_be_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
