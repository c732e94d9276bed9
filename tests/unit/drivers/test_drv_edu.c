// SPDX-License-Identifier: BSD-2-Clause
/*
 * The edu driver on a model of the device that can be told to misbehave, and on QEMU's own.
 */

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include <edu/edu.h>
#include <edu/edu_reg.h>

#include "fake/fake.h"

struct model {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct edu *edu;
	uint8_t buffer[EDU_BUFFER_SIZE];
	uint32_t id, liveness, factorial, status, causes;
	uint64_t source, destination, count, command;
	bool mute_liveness; /* misbehaviour: reads as what was written */
	bool stuck;         /* operations never end */
	bool lose_irqs;
};

static void raise_irq(struct model *model, uint32_t causes)
{
	model->causes |= causes;
	if (model->lose_irqs || !model->dev)
		return;
	if (usrpci_irq_count(model->dev, USRPCI_IRQ_MSI) > 0)
		fake_msi(model->dev, USRPCI_IRQ_MSI, 0);
	else
		fake_intx(model->dev, model->causes != 0);
}

static void acknowledge(struct model *model, uint32_t causes)
{
	model->causes &= ~causes;
	if (model->dev && !model->causes)
		fake_intx(model->dev, false);
}

static void compute(struct model *model, uint32_t n)
{
	for (model->factorial = 1; n > 1; n--)
		model->factorial *= n;
	if (model->status & EDU_STATUS_IRQ)
		raise_irq(model, EDU_IRQ_FACTORIAL);
}

static void transfer(struct model *model)
{
	bool to_memory = model->command & EDU_DMA_TO_MEMORY;
	uint64_t own = (to_memory ? model->source : model->destination) - EDU_BUFFER;
	void *memory = fake_dma(model->dev, to_memory ? model->destination : model->source,
				model->count);

	assert_true(own < EDU_BUFFER_SIZE && model->count < EDU_BUFFER_SIZE - own);
	assert_non_null(memory);
	if (to_memory)
		memcpy(memory, model->buffer + own, model->count);
	else
		memcpy(model->buffer + own, memory, model->count);
	model->command &= ~(uint64_t)EDU_DMA_START;
	if (model->command & EDU_DMA_IRQ)
		raise_irq(model, EDU_IRQ_DMA);
}

static uint64_t model_read(void *data, size_t offset, unsigned int width)
{
	struct model *model = data;

	switch (offset) {
	case EDU_ID:
		return model->id;
	case EDU_LIVENESS:
		return model->mute_liveness ? ~model->liveness : model->liveness;
	case EDU_FACTORIAL:
		return model->factorial;
	case EDU_STATUS:
		return model->status | (model->stuck ? EDU_STATUS_COMPUTING : 0);
	case EDU_IRQ_STATUS:
		return model->causes;
	case EDU_DMA_COMMAND:
		return model->command;
	}
	return 0;
}

static void model_write(void *data, size_t offset, unsigned int width, uint64_t value)
{
	struct model *model = data;

	switch (offset) {
	case EDU_LIVENESS:
		model->liveness = ~(uint32_t)value;
		break;
	case EDU_FACTORIAL:
		compute(model, (uint32_t)value);
		break;
	case EDU_STATUS:
		model->status = (uint32_t)value & EDU_STATUS_IRQ;
		break;
	case EDU_IRQ_RAISE:
		raise_irq(model, (uint32_t)value);
		break;
	case EDU_IRQ_ACK:
		acknowledge(model, (uint32_t)value);
		break;
	case EDU_DMA_SOURCE:
		model->source = value;
		break;
	case EDU_DMA_DESTINATION:
		model->destination = value;
		break;
	case EDU_DMA_COUNT:
		model->count = value;
		break;
	case EDU_DMA_COMMAND:
		model->command = value;
		if (!model->stuck)
			transfer(model);
		break;
	}
}

static void plug(struct model *model, uint16_t device, unsigned int msi)
{
	struct fake_model fake = {
		.vendor = EDU_VENDOR,
		.device = device,
		.irq_pin = 1,
		.msi = msi,
		.bars[0] = {.size = 1 << 20, .read = model_read, .write = model_write},
		.data = model,
	};

	assert_int_equal(fake_open(model->ctx, &fake, &model->dev), 0);
}

static int setup(void **state)
{
	static struct model model;

	memset(&model, 0, sizeof(model));
	model.id = 0x01000000 | EDU_ID_MAGIC;
	*state = &model;
	return usrpci_ctx_open(NULL, &model.ctx);
}

static int teardown(void **state)
{
	struct model *model = *state;

	edu_close(model->edu);
	usrpci_dev_close(model->dev);
	usrpci_ctx_close(model->ctx);
	return 0;
}

static struct edu *open_edu(struct model *model, unsigned int msi, bool poll)
{
	struct edu_options options = {.poll = poll};

	plug(model, EDU_DEVICE, msi);
	assert_int_equal(edu_open(model->dev, &options, &model->edu), 0);
	return model->edu;
}

static bool is_bus_master(struct usrpci_dev *dev)
{
	return fake_config(dev)[4] & 4;
}

static void another_device_is_refused(void **state)
{
	struct model *model = *state;

	plug(model, EDU_DEVICE + 1, 0);
	assert_int_equal(edu_open(model->dev, NULL, &model->edu), -ENOTSUP);
}

static void a_device_that_does_not_answer_as_edu_is_refused(void **state)
{
	struct model *model = *state;

	plug(model, EDU_DEVICE, 0);
	model->mute_liveness = true;
	assert_int_equal(edu_open(model->dev, NULL, &model->edu), -EIO);
	model->mute_liveness = false;
	model->id = 0x01000000;
	assert_int_equal(edu_open(model->dev, NULL, &model->edu), -EIO);
	fake_unplug(model->dev);
	assert_int_equal(edu_open(model->dev, NULL, &model->edu), -ENODEV);
}

static void check_factorials(struct edu *edu)
{
	static const struct {
		uint32_t n, result;
	} known[] = {{0, 1}, {1, 1}, {5, 120}, {12, 479001600}, {13, 1932053504}};
	uint32_t result;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_int_equal(edu_factorial(edu, known[i].n, &result), 0);
		assert_int_equal(result, known[i].result);
	}
}

static void factorials_are_computed_by_intx_by_msi_and_by_polling(void **state)
{
	struct model *model = *state;

	for (unsigned int way = 0; way < 3; way++) {
		check_factorials(open_edu(model, way == 1, way == 2));
		edu_close(model->edu);
		usrpci_dev_close(model->dev);
	}
	model->edu = NULL;
	model->dev = NULL;
}

static void check_interrupts(struct edu *edu)
{
	uint32_t causes;

	assert_int_equal(edu_raise(edu, 0), -EINVAL);
	for (uint32_t cause = 1; cause < 8; cause++) {
		assert_int_equal(edu_raise(edu, cause), 0);
		assert_int_equal(edu_wait(edu, 1000, &causes), 0);
		assert_int_equal(causes, cause);
	}
	assert_int_equal(edu_wait(edu, 0, &causes), -ETIMEDOUT);
}

static void an_interrupt_comes_once_with_its_causes(void **state)
{
	struct model *model = *state;

	check_interrupts(open_edu(model, 0, false));
	assert_int_equal(model->causes, 0);
}

static void a_device_opened_for_polling_has_no_interrupts(void **state)
{
	uint32_t causes;

	assert_int_equal(edu_wait(open_edu(*state, 1, true), 0, &causes), -EOPNOTSUPP);
}

/* Sends one half of a block to the device and lets it write that to the other half. */
static void check_transfers(struct usrpci_ctx *ctx, struct edu *edu)
{
	enum { SIZE = EDU_BUFFER_SIZE - 1 };
	uint8_t *block;

	assert_int_equal(edu_alloc(edu, 3 * SIZE, (void **)&block), 0);
	for (unsigned int i = 0; i < SIZE; i++)
		block[i] = (uint8_t)(i * 31 + 7);
	memset(block + SIZE, 0xee, 2 * SIZE);
	assert_int_equal(edu_write(edu, 0, block, SIZE), 0);
	assert_int_equal(edu_read(edu, 0, block + SIZE, SIZE), 0);
	assert_memory_equal(block, block + SIZE, SIZE);
	assert_int_equal(edu_read(edu, 100, block + 2 * SIZE + 1, 10), 0);
	assert_memory_equal(block + 100, block + 2 * SIZE + 1, 10);
	assert_int_equal(block[2 * SIZE], 0xee);
	assert_int_equal(block[2 * SIZE + 11], 0xee);
	usrpci_dma_free(ctx, block);
}

static void data_arrive_in_both_directions(void **state)
{
	struct model *model = *state;

	check_transfers(model->ctx, open_edu(model, 0, false));
	assert_int_equal(fake_dma_faults(model->dev), 0);
}

static void transfers_beyond_the_buffer_or_the_reach_are_refused(void **state)
{
	struct model *model = *state;
	struct edu *edu = open_edu(model, 0, false);
	struct edu_options narrow = {.limit = 0xfff};
	uint8_t stack[16];
	void *block;

	assert_int_equal(edu_alloc(edu, EDU_BUFFER_SIZE, &block), 0);
	assert_int_equal(edu_write(edu, 0, block, 0), -ERANGE);
	assert_int_equal(edu_write(edu, 0, block, EDU_BUFFER_SIZE), -ERANGE);
	assert_int_equal(edu_read(edu, EDU_BUFFER_SIZE, block, 1), -ERANGE);
	assert_int_equal(edu_read(edu, SIZE_MAX, block, 2), -ERANGE);
	assert_int_equal(edu_read(edu, 4090, block, SIZE_MAX), -ERANGE);
	assert_int_equal(edu_write(edu, 0, stack, sizeof(stack)), -EFAULT);
	edu_close(edu);
	assert_int_equal(edu_open(model->dev, &narrow, &model->edu), 0);
	assert_int_equal(edu_write(model->edu, 0, block, 16), -EFAULT);
	assert_int_equal(model->command, 0);
	usrpci_dma_free(model->ctx, block);
}

static void a_transfer_that_never_ends_times_out(void **state)
{
	struct model *model = *state;
	struct edu *edu = open_edu(model, 0, false);
	void *block;

	assert_int_equal(edu_alloc(edu, 16, &block), 0);
	model->stuck = true;
	assert_int_equal(edu_write(edu, 0, block, 16), -ETIMEDOUT);
	model->command = 0;
}

static void a_lost_interrupt_costs_time_and_nothing_else(void **state)
{
	struct model *model = *state;
	struct edu *edu = open_edu(model, 1, false);
	uint32_t result;

	model->lose_irqs = true;
	assert_int_equal(edu_factorial(edu, 4, &result), 0);
	assert_int_equal(result, 24);
}

static void a_device_that_is_gone_is_reported_by_every_call(void **state)
{
	struct model *model = *state;
	struct edu *edu = open_edu(model, 0, true);
	uint32_t result;
	void *block;

	assert_int_equal(edu_alloc(edu, 16, &block), 0);
	fake_unplug(model->dev);
	assert_int_equal(edu_factorial(edu, 4, &result), -ENODEV);
	assert_int_equal(edu_write(edu, 0, block, 16), -ENODEV);
	assert_int_equal(edu_read(edu, 0, block, 16), -ENODEV);
}

static void closing_takes_the_right_to_memory_back(void **state)
{
	struct model *model = *state;

	open_edu(model, 0, false);
	assert_true(is_bus_master(model->dev));
	edu_close(model->edu);
	model->edu = NULL;
	assert_false(is_bus_master(model->dev));
}

static void opening_survives_the_failure_of_any_call(void **state)
{
	struct model *model = *state;
	unsigned int failures = 0, before, calls;
	int error;

	edu_close(open_edu(model, 0, false));
	before = fake_fail(model->dev, 0, 0);
	assert_int_equal(edu_open(model->dev, NULL, &model->edu), 0);
	calls = fake_fail(model->dev, 0, 0) - before;
	edu_close(model->edu);
	model->edu = NULL;
	for (unsigned int i = 1; i <= calls; i++) {
		fake_fail(model->dev, i, -EIO);
		error = edu_open(model->dev, NULL, &model->edu);
		failures += error != 0;
		if (!error)
			edu_close(model->edu);
		model->edu = NULL;
		assert_false(is_bus_master(model->dev));
	}
	assert_true(failures > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(another_device_is_refused),
		TEST(a_device_that_does_not_answer_as_edu_is_refused),
		TEST(factorials_are_computed_by_intx_by_msi_and_by_polling),
		TEST(an_interrupt_comes_once_with_its_causes),
		TEST(a_device_opened_for_polling_has_no_interrupts),
		TEST(data_arrive_in_both_directions),
		TEST(transfers_beyond_the_buffer_or_the_reach_are_refused),
		TEST(a_transfer_that_never_ends_times_out),
		TEST(a_lost_interrupt_costs_time_and_nothing_else),
		TEST(a_device_that_is_gone_is_reported_by_every_call),
		TEST(closing_takes_the_right_to_memory_back),
		TEST(opening_survives_the_failure_of_any_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
