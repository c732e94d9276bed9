// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fault injection: plans are understood or refused, and each fault happens when the plan says.
 */

#include <linux/pci_regs.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "fake/fake.h"
#include "fault/fault.h"
#include "qemu_fixture.h"

static struct machine open_with(void **state, const char *plan)
{
	struct machine m = {.fixture = *state};

	m.ctx = fixture_ctx(m.fixture);
	assert_int_equal(fault_set(m.ctx, plan), 0);
	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:edu", &m.dev), 0);
	assert_int_equal(usrpci_bar_map(m.dev, 0, &m.bar), 0);
	return m;
}

static void plans_are_lists_of_faults(void **state)
{
	static const char *const good[] = {
		"",
		"ones=1",
		"irq-lost=3",
		"irq-lost=3+",
		"irq-double=1+",
		"dma-late",
		"dma-late=20",
		"dma-torn",
		"alloc=1",
		"ones=5,irq-lost=2,alloc=7+",
	};
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(fault_set(ctx, good[i]), 0);
	usrpci_ctx_close(ctx);
}

static void other_plans_are_refused_with_the_grammar(void **state)
{
	static const char *const bad[] = {
		"ones",     "ones=",      "ones=0",    "ones=x",   "ones=1x",
		"ones=-1",  "one=1",      "o=1",       ",",        "ones=1,",
		"irq-lost", "dma-late=0", "alloc=1++", "alloc= 1", "ones=99999999999",
	};
	struct fixture *fixture = *state;
	struct usrpci_ctx *ctx = fixture_ctx(fixture);

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		fixture->log[0] = '\0';
		if (fault_set(ctx, bad[i]) != -EINVAL)
			fail_msg("\"%s\" was accepted", bad[i]);
		assert_int_equal(messages(fixture), 1);
		assert_logged(fixture, "irq-lost=N");
	}
	usrpci_ctx_close(ctx);
}

static void the_environment_gives_a_plan(void **state)
{
	struct fixture *fixture = *state;
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_dev *dev;
	uint16_t vendor;

	setenv("USRPCI_FAULT", "bogus", 1);
	assert_int_equal(usrpci_dev_open(ctx, "qemu:edu", &dev), -EINVAL);
	assert_logged(fixture, "USRPCI_FAULT");
	setenv("USRPCI_FAULT", "ones=2", 1);
	assert_int_equal(usrpci_dev_open(ctx, "qemu:edu", &dev), 0);
	unsetenv("USRPCI_FAULT");
	assert_int_equal(usrpci_config_read16(dev, PCI_VENDOR_ID, &vendor), 0);
	assert_int_equal(vendor, 0x1234);
	assert_int_equal(usrpci_config_read16(dev, PCI_VENDOR_ID, &vendor), -ENODEV);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

static void the_device_is_gone_from_an_access_on(void **state)
{
	/* Mapping the BAR reads and writes the command register. */
	struct machine m = open_with(state, "ones=5");
	uint64_t value;

	assert_int_equal(usrpci_read32(&m.bar, EDU_ID), 0x010000ed);
	assert_int_equal(usrpci_bar_read(&m.bar, EDU_ID, 4, &value), 0);
	assert_int_equal(usrpci_read32(&m.bar, EDU_ID), UINT32_MAX);
	assert_int_equal(usrpci_bar_read(&m.bar, EDU_ID, 4, &value), -ENODEV);
	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), -ENODEV);
	assert_logged(m.fixture, "injected: the device is gone from access 5 on");
	close_device(&m);
}

static void memory_that_is_mapped_directly_is_gone_too(void **state)
{
	struct fake_model model = {.vendor = 1, .device = 2, .bars = {{.size = 4096}}};
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_bar bar;
	struct usrpci_dev *dev;

	assert_int_equal(fault_set(ctx, "ones=6"), 0);
	assert_int_equal(fake_open(ctx, &model, &dev), 0);
	assert_int_equal(usrpci_bar_map(dev, 0, &bar), 0);
	usrpci_write32(&bar, 8, 0x1234);
	assert_int_equal(usrpci_read32(&bar, 8), 0x1234);
	assert_int_equal(usrpci_le32(*(uint32_t *)(fake_bar_memory(dev, 0) + 8)), 0x1234);
	usrpci_read32(&bar, 8);
	usrpci_write32(&bar, 8, 0);
	assert_int_equal(usrpci_read32(&bar, 8), UINT32_MAX);
	assert_int_equal(usrpci_le32(*(uint32_t *)(fake_bar_memory(dev, 0) + 8)), 0x1234);
	usrpci_bar_unmap(&bar);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

/* Raises an interrupt, which is to arrive or not. */
static void assert_arrives(struct machine *m, enum usrpci_irq_type type, bool arrives)
{
	usrpci_write32(&m->bar, EDU_IRQ_RAISE, 1);
	assert_int_equal(usrpci_irq_wait(m->dev, type, 0, arrives ? 5000 : 100),
			 arrives ? 1 : -ETIMEDOUT);
	usrpci_write32(&m->bar, EDU_IRQ_ACK, 1);
	if (type == USRPCI_IRQ_INTX)
		assert_int_equal(usrpci_irq_unmask(m->dev, type, 0), 0);
}

static void check_lost(void **state, enum usrpci_irq_type type)
{
	struct machine m = open_with(state, "irq-lost=2");

	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	assert_int_equal(usrpci_irq_enable(m.dev, type, 1), 0);
	assert_arrives(&m, type, true);
	assert_arrives(&m, type, false);
	assert_arrives(&m, type, true);
	close_device(&m);
}

static void an_interrupt_is_lost(void **state)
{
	check_lost(state, USRPCI_IRQ_MSI);
}

static void an_intx_is_lost(void **state)
{
	check_lost(state, USRPCI_IRQ_INTX);
}

static void all_interrupts_are_lost_from_one_on(void **state)
{
	struct machine m = open_with(state, "irq-lost=2+");

	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_MSI, 1), 0);
	assert_arrives(&m, USRPCI_IRQ_MSI, true);
	assert_arrives(&m, USRPCI_IRQ_MSI, false);
	assert_arrives(&m, USRPCI_IRQ_MSI, false);
	close_device(&m);
}

static void an_interrupt_comes_twice(void **state)
{
	struct machine m = open_with(state, "irq-double=2");
	struct pollfd poller = {.events = POLLIN};
	int count;

	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_MSI, 1), 0);
	poller.fd = usrpci_irq_fd(m.dev, USRPCI_IRQ_MSI, 0);
	assert_arrives(&m, USRPCI_IRQ_MSI, true);
	assert_int_equal(poll(&poller, 1, 50), 0);
	usrpci_write32(&m.bar, EDU_IRQ_RAISE, 1);
	/* The copy comes 1 ms later, which a busy machine may not tell apart. */
	count = usrpci_irq_wait(m.dev, USRPCI_IRQ_MSI, 0, 5000);
	if (count == 1)
		count += usrpci_irq_wait(m.dev, USRPCI_IRQ_MSI, 0, 5000);
	assert_int_equal(count, 2);
	usrpci_write32(&m.bar, EDU_IRQ_ACK, 1);
	assert_int_equal(poll(&poller, 1, 50), 0);
	close_device(&m);
}

static void an_allocation_fails(void **state)
{
	struct machine m = open_with(state, "alloc=2");
	struct usrpci_dma_request request = {.size = 64};
	struct usrpci_pool_options options = {.size = 64, .count = 16};
	struct usrpci_pool *pool;
	void *block = NULL, *none = NULL;

	assert_int_equal(usrpci_dma_alloc(m.ctx, &request, &block), 0);
	assert_int_equal(usrpci_dma_alloc(m.ctx, &request, &none), -ENOMEM);
	assert_null(none);
	assert_int_equal(usrpci_pool_create(m.ctx, &options, &pool), 0);
	usrpci_pool_destroy(pool);
	usrpci_dma_free(m.ctx, block);
	close_device(&m);
}

static void allocations_fail_from_one_on_in_pools_too(void **state)
{
	struct machine m = open_with(state, "alloc=1+");
	struct usrpci_dma_request request = {.size = 64};
	struct usrpci_pool_options options = {.size = 64, .count = 16};
	struct usrpci_pool *pool;
	void *block;

	assert_int_equal(usrpci_dma_alloc(m.ctx, &request, &block), -ENOMEM);
	assert_int_equal(usrpci_pool_create(m.ctx, &options, &pool), -ENOMEM);
	close_device(&m);
}

/* Has edu write 1, 2, 3... as 32-bit words to the second half of the block. */
static uint32_t *write_words(struct machine *m)
{
	uint8_t *block = edu_buffer(m->ctx, 8192);
	usrpci_dma_t addr = usrpci_dma_addr(m->ctx, block);

	assert_int_equal(usrpci_dev_set_bus_master(m->dev, true), 0);
	for (uint32_t i = 0; i < EDU_SIZE / 4; i++)
		((uint32_t *)block)[i] = i + 1;
	edu_copy(&m->bar, addr, EDU_BUFFER, 0);
	edu_copy(&m->bar, EDU_BUFFER, addr + 4096, EDU_DMA_TO_RAM);
	return (uint32_t *)(block + 4096);
}

static uint32_t await_word(const uint32_t *word)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < 10000 && value == 0; i++) {
		value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
		if (value == 0)
			usleep(1000);
	}
	return value;
}

static void what_devices_write_is_seen_late(void **state)
{
	struct machine m = open_with(state, "dma-late=1000");
	uint32_t *words = write_words(&m);

	assert_int_equal(words[0], 0);
	assert_int_equal(words[EDU_SIZE / 4 - 1], 0);
	for (uint32_t i = 0; i < EDU_SIZE / 4; i++)
		assert_int_equal(await_word(&words[i]), i + 1);
	close_device(&m);
}

static void what_devices_write_is_seen_in_two_parts(void **state)
{
	struct machine m = open_with(state, "dma-torn=1000");
	uint32_t *words = write_words(&m);

	/* The last of the odd ones. */
	assert_int_equal(await_word(&words[EDU_SIZE / 4 - 1]), EDU_SIZE / 4);
	for (uint32_t i = 0; i < EDU_SIZE / 4; i++)
		assert_int_equal(words[i], i % 2 ? i + 1 : 0);
	for (uint32_t i = 0; i < EDU_SIZE / 4; i++)
		assert_int_equal(await_word(&words[i]), i + 1);
	close_device(&m);
}

static void memory_that_was_late_is_whole_when_it_is_given_back(void **state)
{
	struct machine m = open_with(state, "dma-late=1");
	uint32_t *words = write_words(&m);

	assert_int_equal(await_word(&words[5]), 6);
	usrpci_dma_free(m.ctx, words - 1024);
	assert_int_equal(usrpci_dma_trim(m.ctx), 2 << 20);
	words = write_words(&m);
	assert_int_equal(await_word(&words[5]), 6);
	close_device(&m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(plans_are_lists_of_faults),
		CASE(other_plans_are_refused_with_the_grammar),
		CASE(the_environment_gives_a_plan),
		CASE(the_device_is_gone_from_an_access_on),
		CASE(memory_that_is_mapped_directly_is_gone_too),
		CASE(an_interrupt_is_lost),
		CASE(an_intx_is_lost),
		CASE(all_interrupts_are_lost_from_one_on),
		CASE(an_interrupt_comes_twice),
		CASE(an_allocation_fails),
		CASE(allocations_fail_from_one_on_in_pools_too),
		CASE(what_devices_write_is_seen_late),
		CASE(what_devices_write_is_seen_in_two_parts),
		CASE(memory_that_was_late_is_whole_when_it_is_given_back),
	};

	return run_tests_on_qemu(tests);
}
