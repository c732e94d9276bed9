/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_QEMU_FIXTURE_H
#define USRPCI_TESTS_QEMU_FIXTURE_H

/* What the tests of the qemu backend share: a device opened with a BAR mapped, and edu's face. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "qemu/qemu.h"

/* Registers of edu, BAR 0 (QEMU's docs/specs/edu.txt). */
#define EDU_ID         0x00
#define EDU_LIVENESS   0x04
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
#define EDU_DMA_LIMIT  0x0fffffff
#define EDU_SIZE       4000 /* of a copy; QEMU's edu ends QEMU when all 4096 bytes are asked */

struct machine {
	struct fixture *fixture;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_bar bar;
};

static inline struct machine open_device(void **state, const char *name, unsigned int bar)
{
	struct machine m = {.fixture = *state};

	m.ctx = fixture_ctx(m.fixture);
	assert_int_equal(usrpci_dev_open(m.ctx, name, &m.dev), 0);
	assert_int_equal(usrpci_bar_map(m.dev, bar, &m.bar), 0);
	return m;
}

static inline struct machine open_edu(void **state)
{
	return open_device(state, "qemu:edu", 0);
}

static inline void close_device(struct machine *m)
{
	usrpci_dev_close(m->dev);
	usrpci_ctx_close(m->ctx);
}

/* Copies by edu's DMA and waits for its end by polling. */
static inline void edu_copy(struct usrpci_bar *bar, usrpci_dma_t from, usrpci_dma_t to,
			    uint32_t direction)
{
	usrpci_write64(bar, EDU_DMA_SOURCE, from);
	usrpci_write64(bar, EDU_DMA_TARGET, to);
	usrpci_write64(bar, EDU_DMA_COUNT, EDU_SIZE);
	usrpci_write32(bar, EDU_DMA_CMD, EDU_DMA_START | direction);
	for (unsigned int i = 0; usrpci_read32(bar, EDU_DMA_CMD) & EDU_DMA_START; i++)
		assert_true(i < 1000000);
}

static inline uint8_t *edu_buffer(struct usrpci_ctx *ctx, size_t size)
{
	struct usrpci_dma_request request = {
		.size = size, .align = 4096, .limit = EDU_DMA_LIMIT, .zero = true};
	void *block;

	assert_int_equal(usrpci_dma_alloc(ctx, &request, &block), 0);
	return block;
}

static inline pid_t qemu_pid(const struct usrpci_dev *dev)
{
	return ((struct qemu_dev *)dev->backend)->qemu->process.pid;
}

/* How many messages the log has. */
static inline unsigned int messages(const struct fixture *fixture)
{
	unsigned int count = 0;

	for (const char *c = fixture->log; *c; c++)
		count += *c == '\n';
	return count;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
