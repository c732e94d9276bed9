// SPDX-License-Identifier: BSD-2-Clause
/*
 * The qemu backend, seen by a driver: registers, configuration space, interrupts, DMA and reset of
 * device models that QEMU has. edu is described in QEMU's docs/specs/edu.txt.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>

#include "fixture.h"

/* Registers of edu, BAR 0. */
#define EDU_ID         0x00
#define EDU_LIVENESS   0x04
#define EDU_FACTORIAL  0x08
#define EDU_STATUS     0x20
#define EDU_IRQ_STATUS 0x24
#define EDU_IRQ_RAISE  0x60
#define EDU_IRQ_ACK    0x64
#define EDU_DMA_SOURCE 0x80
#define EDU_DMA_TARGET 0x88
#define EDU_DMA_COUNT  0x90
#define EDU_DMA_CMD    0x98

#define EDU_BUFFER     0x40000 /* in the device */
#define EDU_DMA_START  1
#define EDU_DMA_TO_RAM 2
#define EDU_DMA_IRQ    4
#define EDU_DMA_LIMIT  0x0fffffff
#define SIZE           4000 /* of a copy; QEMU's edu ends QEMU when all 4096 bytes are asked */

struct machine {
	struct fixture *fixture;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_bar bar;
};

static struct machine open_device(void **state, const char *name, unsigned int bar)
{
	struct machine m = {.fixture = *state};

	m.ctx = fixture_ctx(m.fixture);
	assert_int_equal(usrpci_dev_open(m.ctx, name, &m.dev), 0);
	assert_int_equal(usrpci_bar_map(m.dev, bar, &m.bar), 0);
	return m;
}

static struct machine open_edu(void **state)
{
	return open_device(state, "qemu:edu", 0);
}

static void close_device(struct machine *m)
{
	usrpci_dev_close(m->dev);
	usrpci_ctx_close(m->ctx);
}

static void edu_is_found_with_its_ids_and_bar(void **state)
{
	struct machine m = open_edu(state);
	const struct usrpci_dev_info *info = usrpci_dev_info(m.dev);
	struct usrpci_bar_info bar;

	assert_int_equal(info->vendor, 0x1234);
	assert_int_equal(info->device, 0x11e8);
	assert_int_equal(info->irq_pin, 1);
	assert_string_equal(usrpci_dev_name(m.dev), "qemu:edu");
	assert_string_equal(usrpci_dev_backend(m.dev), "qemu");
	assert_int_equal(usrpci_bar_info(m.dev, 0, &bar), 0);
	assert_int_equal(bar.size, 1 << 20);
	assert_int_equal(bar.flags, 0);
	assert_int_equal(usrpci_bar_info(m.dev, 1, &bar), -ENOENT);
	close_device(&m);
}

static void edu_registers_answer(void **state)
{
	struct machine m = open_edu(state);

	assert_int_equal(usrpci_read32(&m.bar, EDU_ID), 0x010000ed);
	usrpci_write32(&m.bar, EDU_LIVENESS, 0x12345678);
	assert_int_equal(usrpci_read32(&m.bar, EDU_LIVENESS), 0xedcba987);
	usrpci_write64(&m.bar, EDU_DMA_SOURCE, 0x1122334455667788);
	assert_true(usrpci_read64(&m.bar, EDU_DMA_SOURCE) == 0x1122334455667788);
	close_device(&m);
}

/* An interrupt that edu raises, taken and acknowledged; INTx must be unmasked after it. */
static void take_interrupt(struct machine *m, enum usrpci_irq_type type, uint32_t value)
{
	usrpci_write32(&m->bar, EDU_IRQ_RAISE, value);
	assert_int_equal(usrpci_irq_wait(m->dev, type, 0, 1000), 1);
	assert_int_equal(usrpci_read32(&m->bar, EDU_IRQ_STATUS), value);
	usrpci_write32(&m->bar, EDU_IRQ_ACK, value);
	assert_int_equal(usrpci_irq_wait(m->dev, type, 0, 0), -ETIMEDOUT);
}

static void intx_arrives_and_stays_masked_until_unmasked(void **state)
{
	struct machine m = open_edu(state);

	assert_int_equal(usrpci_irq_count(m.dev, USRPCI_IRQ_INTX), 1);
	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_INTX, 1), 0);
	for (uint32_t i = 1; i < 5; i++) {
		take_interrupt(&m, USRPCI_IRQ_INTX, i);
		usrpci_write32(&m.bar, EDU_IRQ_RAISE, 8);
		assert_int_equal(usrpci_irq_wait(m.dev, USRPCI_IRQ_INTX, 0, 10), -ETIMEDOUT);
		assert_int_equal(usrpci_irq_unmask(m.dev, USRPCI_IRQ_INTX, 0), 0);
		assert_int_equal(usrpci_irq_wait(m.dev, USRPCI_IRQ_INTX, 0, 1000), 1);
		usrpci_write32(&m.bar, EDU_IRQ_ACK, 8);
		assert_int_equal(usrpci_irq_unmask(m.dev, USRPCI_IRQ_INTX, 0), 0);
	}
	close_device(&m);
}

static void msi_arrives_through_a_pollable_descriptor(void **state)
{
	struct machine m = open_edu(state);
	struct pollfd poller = {.events = POLLIN};

	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_MSI, 1), 0);
	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_INTX, 1), -EBUSY);
	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	poller.fd = usrpci_irq_fd(m.dev, USRPCI_IRQ_MSI, 0);
	assert_int_equal(poll(&poller, 1, 0), 0);
	usrpci_write32(&m.bar, EDU_IRQ_RAISE, 1);
	assert_int_equal(poll(&poller, 1, 1000), 1);
	assert_int_equal(usrpci_irq_wait(m.dev, USRPCI_IRQ_MSI, 0, -1), 1);
	usrpci_write32(&m.bar, EDU_IRQ_ACK, 1);
	for (uint32_t i = 1; i < 5; i++)
		take_interrupt(&m, USRPCI_IRQ_MSI, i);
	close_device(&m);
}

static void copy(struct machine *m, usrpci_dma_t from, usrpci_dma_t to, size_t size,
		 uint32_t direction)
{
	usrpci_write64(&m->bar, EDU_DMA_SOURCE, from);
	usrpci_write64(&m->bar, EDU_DMA_TARGET, to);
	usrpci_write64(&m->bar, EDU_DMA_COUNT, size);
	usrpci_write32(&m->bar, EDU_DMA_CMD, EDU_DMA_START | EDU_DMA_IRQ | direction);
	assert_int_equal(usrpci_irq_wait(m->dev, USRPCI_IRQ_MSI, 0, 2000), 1);
	usrpci_write32(&m->bar, EDU_IRQ_ACK, 0x100);
}

static void edu_moves_memory_in_both_directions(void **state)
{
	struct machine m = open_edu(state);
	struct usrpci_dma_request request = {
		.size = 8192, .align = 4096, .limit = EDU_DMA_LIMIT, .zero = true};
	usrpci_dma_t addr;
	uint8_t *block;
	void *memory;

	assert_int_equal(usrpci_dma_alloc(m.ctx, &request, &memory), 0);
	block = memory;
	addr = usrpci_dma_addr(m.ctx, block);
	assert_true(addr > 0 && addr + request.size - 1 <= EDU_DMA_LIMIT && addr % 4096 == 0);
	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_MSI, 1), 0);
	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	for (unsigned int i = 0; i < SIZE; i++)
		block[i] = (uint8_t)(i * 7 + i / 256);
	copy(&m, addr, EDU_BUFFER, SIZE, 0);
	copy(&m, EDU_BUFFER, addr + 4096, SIZE, EDU_DMA_TO_RAM);
	assert_memory_equal(block, block + 4096, SIZE);
	usrpci_dma_free(m.ctx, block);
	close_device(&m);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(edu_is_found_with_its_ids_and_bar),
		CASE(edu_registers_answer),
		CASE(intx_arrives_and_stays_masked_until_unmasked),
		CASE(msi_arrives_through_a_pollable_descriptor),
		CASE(edu_moves_memory_in_both_directions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
