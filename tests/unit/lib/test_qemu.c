// SPDX-License-Identifier: BSD-2-Clause
/*
 * The qemu backend, seen by a driver of edu: configuration space, registers, interrupts, DMA,
 * several devices in one machine, reset and unplugging.
 */

#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "qemu_fixture.h"

static void edu_is_found_with_its_ids_and_bar(void **state)
{
	struct machine m = open_edu(state);
	const struct usrpci_dev_info *info = usrpci_dev_info(m.dev);
	struct usrpci_bar_info bar;

	assert_int_equal(info->vendor, 0x1234);
	assert_int_equal(info->device, 0x11e8);
	assert_int_equal(info->class_code, 0x00ff00);
	assert_int_equal(info->irq_pin, 1);
	assert_string_equal(usrpci_dev_name(m.dev), "qemu:edu");
	assert_string_equal(usrpci_dev_backend(m.dev), "qemu");
	assert_int_equal(usrpci_bar_info(m.dev, 0, &bar), 0);
	assert_int_equal(bar.size, 1 << 20);
	assert_int_equal(bar.flags, 0);
	assert_int_equal(usrpci_bar_info(m.dev, 1, &bar), -ENOENT);
	assert_int_equal(messages(m.fixture), 0);
	close_device(&m);
}

static void opening_changes_nothing_on_the_device(void **state)
{
	struct fixture *fixture = *state;
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_dev *dev;
	uint16_t command;

	assert_int_equal(usrpci_dev_open(ctx, "qemu:edu", &dev), 0);
	assert_int_equal(usrpci_config_read16(dev, PCI_COMMAND, &command), 0);
	assert_int_equal(command, 0);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

static void configuration_space_reads_alike_in_every_width(void **state)
{
	struct machine m = open_edu(state);
	uint8_t block[256], byte;
	uint16_t word;
	uint32_t dword;

	assert_int_equal(usrpci_config_size(m.dev), 256);
	assert_int_equal(usrpci_config_read(m.dev, 0, block, sizeof(block)), 0);
	for (unsigned int i = 0; i < 64; i++) {
		assert_int_equal(usrpci_config_read8(m.dev, i, &byte), 0);
		assert_int_equal(byte, block[i]);
		assert_int_equal(usrpci_config_read16(m.dev, i & ~1U, &word), 0);
		assert_int_equal(word >> (i & 1) * 8 & 0xff, block[i]);
		assert_int_equal(usrpci_config_read32(m.dev, i & ~3U, &dword), 0);
		assert_int_equal(dword >> (i & 3) * 8 & 0xff, block[i]);
	}
	assert_int_equal(usrpci_config_read(m.dev, 3, block + 128, 7), 0);
	assert_memory_equal(block + 128, block + 3, 7);
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

static void intx_stays_masked_until_it_is_unmasked(void **state)
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

/* The DMA engine takes 100 ms, so nobody is reading the socket when its interrupt comes. */
static void intx_wakes_a_waiter_when_nothing_else_happens(void **state)
{
	struct machine m = open_edu(state);
	uint8_t *block = edu_buffer(m.ctx, 4096);

	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_INTX, 1), 0);
	usrpci_write64(&m.bar, EDU_DMA_SOURCE, EDU_BUFFER);
	usrpci_write64(&m.bar, EDU_DMA_TARGET, usrpci_dma_addr(m.ctx, block));
	usrpci_write64(&m.bar, EDU_DMA_COUNT, 4);
	usrpci_write32(&m.bar, EDU_DMA_CMD, EDU_DMA_START | EDU_DMA_TO_RAM | 4);
	assert_int_equal(usrpci_irq_wait(m.dev, USRPCI_IRQ_INTX, 0, -1), 1);
	assert_int_equal(usrpci_read32(&m.bar, EDU_IRQ_STATUS), 0x100);
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

static void msi_needs_bus_mastering_as_on_real_hardware(void **state)
{
	struct machine m = open_edu(state);

	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_MSI, 1), 0);
	usrpci_write32(&m.bar, EDU_IRQ_RAISE, 1);
	assert_int_equal(usrpci_irq_wait(m.dev, USRPCI_IRQ_MSI, 0, 20), -ETIMEDOUT);
	close_device(&m);
}

static void interrupts_can_be_changed_from_one_type_to_another(void **state)
{
	struct machine m = open_edu(state);

	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_INTX, 1), 0);
		take_interrupt(&m, USRPCI_IRQ_INTX, 1);
		assert_int_equal(usrpci_irq_disable(m.dev, USRPCI_IRQ_INTX), 0);
		assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_MSI, 1), 0);
		take_interrupt(&m, USRPCI_IRQ_MSI, 2);
		/* One that is left over is not the next user's. */
		usrpci_write32(&m.bar, EDU_IRQ_RAISE, 4);
		assert_int_equal(usrpci_irq_disable(m.dev, USRPCI_IRQ_MSI), 0);
		usrpci_write32(&m.bar, EDU_IRQ_ACK, 4);
	}
	assert_int_equal(usrpci_irq_fd(m.dev, USRPCI_IRQ_MSI, 0), -EINVAL);
	close_device(&m);
}

static void edu_moves_memory_in_both_directions(void **state)
{
	struct machine m = open_edu(state);
	uint8_t *block = edu_buffer(m.ctx, 8192);
	usrpci_dma_t addr = usrpci_dma_addr(m.ctx, block);

	assert_true(addr > 0 && addr + 8191 <= EDU_DMA_LIMIT && addr % 4096 == 0);
	assert_ptr_equal(usrpci_dma_va(m.ctx, addr), block);
	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	for (unsigned int i = 0; i < EDU_SIZE; i++)
		block[i] = (uint8_t)(i * 7 + i / 256);
	edu_copy(&m.bar, addr, EDU_BUFFER, 0);
	edu_copy(&m.bar, EDU_BUFFER, addr + 4096, EDU_DMA_TO_RAM);
	assert_memory_equal(block, block + 4096, EDU_SIZE);
	usrpci_dma_free(m.ctx, block);
	close_device(&m);
}

static void the_machine_gives_as_much_memory_as_it_has(void **state)
{
	struct machine m = open_edu(state);
	struct usrpci_dma_request request = {.size = 900 << 20};
	struct usrpci_dma_stats stats;
	void *large, *more;

	assert_int_equal(usrpci_dma_alloc(m.ctx, &request, &large), 0);
	memset(large, 1, 4096);
	assert_int_equal(usrpci_dma_alloc(m.ctx, &request, &more), -ENOMEM);
	assert_logged(m.fixture, "USRPCI_QEMU_RAM");
	usrpci_dma_free(m.ctx, large);
	assert_int_equal(usrpci_dma_trim(m.ctx), request.size);
	usrpci_dma_stats(m.ctx, &stats);
	assert_int_equal(stats.bytes_held, 0);
	assert_int_equal(usrpci_dma_alloc(m.ctx, &request, &large), 0);
	close_device(&m);
}

static void devices_of_one_context_share_a_buffer(void **state)
{
	struct machine m = open_edu(state);
	uint8_t *block = edu_buffer(m.ctx, 8192);
	usrpci_dma_t addr = usrpci_dma_addr(m.ctx, block);
	struct usrpci_dev *other;
	struct usrpci_bar bar;

	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:edu", &other), 0);
	assert_int_equal(usrpci_bar_map(other, 0, &bar), 0);
	assert_int_equal(qemu_pid(other), qemu_pid(m.dev));
	assert_string_equal(usrpci_dev_name(m.dev), "qemu:edu");
	assert_string_equal(usrpci_dev_name(other), "qemu:edu#2");
	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	assert_int_equal(usrpci_dev_set_bus_master(other, true), 0);
	memset(block, 0x5a, EDU_SIZE);
	edu_copy(&m.bar, addr, EDU_BUFFER, 0);
	edu_copy(&m.bar, EDU_BUFFER, addr + 4096, EDU_DMA_TO_RAM);
	edu_copy(&bar, addr + 4096, EDU_BUFFER, 0);
	memset(block, 0, 8192);
	edu_copy(&bar, EDU_BUFFER, addr, EDU_DMA_TO_RAM);
	assert_int_equal(block[0], 0x5a);
	assert_int_equal(block[EDU_SIZE - 1], 0x5a);
	usrpci_dev_close(other);
	close_device(&m);
}

static void two_contexts_have_machines_of_their_own(void **state)
{
	struct machine a = open_edu(state), b = open_edu(state);
	uint8_t *block_a = edu_buffer(a.ctx, 4096), *block_b = edu_buffer(b.ctx, 4096);

	assert_int_not_equal(qemu_pid(a.dev), qemu_pid(b.dev));
	assert_int_equal(usrpci_dev_set_bus_master(a.dev, true), 0);
	assert_int_equal(usrpci_dev_set_bus_master(b.dev, true), 0);
	memset(block_a, 1, EDU_SIZE);
	memset(block_b, 2, EDU_SIZE);
	edu_copy(&a.bar, usrpci_dma_addr(a.ctx, block_a), EDU_BUFFER, 0);
	edu_copy(&b.bar, usrpci_dma_addr(b.ctx, block_b), EDU_BUFFER, 0);
	edu_copy(&a.bar, EDU_BUFFER, usrpci_dma_addr(a.ctx, block_a), EDU_DMA_TO_RAM);
	assert_int_equal(block_a[100], 1);
	assert_int_equal(block_b[100], 2);
	close_device(&a);
	edu_copy(&b.bar, EDU_BUFFER, usrpci_dma_addr(b.ctx, block_b), EDU_DMA_TO_RAM);
	close_device(&b);
}

/* Slots 0 and 4 are wired to the same line of the I/O APIC. */
static void devices_that_share_a_line_both_get_their_interrupt(void **state)
{
	struct machine m = open_edu(state);
	struct usrpci_dev *devs[5] = {m.dev};
	struct usrpci_bar bars[5] = {m.bar};

	for (unsigned int i = 1; i < 5; i++) {
		assert_int_equal(usrpci_dev_open(m.ctx, "qemu:edu", &devs[i]), 0);
		assert_int_equal(usrpci_bar_map(devs[i], 0, &bars[i]), 0);
	}
	for (unsigned int i = 0; i < 5; i++) {
		usrpci_write32(&bars[i], EDU_IRQ_RAISE, 1);
		assert_int_equal(usrpci_irq_enable(devs[i], USRPCI_IRQ_INTX, 1), 0);
	}
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(usrpci_irq_wait(devs[i], USRPCI_IRQ_INTX, 0, 1000), 1);
		usrpci_write32(&bars[i], EDU_IRQ_ACK, 1);
		assert_int_equal(usrpci_irq_unmask(devs[i], USRPCI_IRQ_INTX, 0), 0);
		assert_int_equal(usrpci_irq_wait(devs[i], USRPCI_IRQ_INTX, 0, 0), -ETIMEDOUT);
	}
	/* Raised while the other's has not been handled. */
	usrpci_write32(&bars[0], EDU_IRQ_RAISE, 1);
	usrpci_write32(&bars[4], EDU_IRQ_RAISE, 1);
	assert_int_equal(usrpci_irq_wait(devs[4], USRPCI_IRQ_INTX, 0, 1000), 1);
	assert_int_equal(usrpci_irq_wait(devs[0], USRPCI_IRQ_INTX, 0, 1000), 1);
	for (unsigned int i = 1; i < 5; i++)
		usrpci_dev_close(devs[i]);
	close_device(&m);
}

static void a_slot_is_free_again_after_its_device_is_closed(void **state)
{
	struct machine m = open_edu(state);
	struct usrpci_dev *devs[QEMU_SLOTS], *more;

	for (unsigned int i = 1; i < QEMU_SLOTS; i++)
		assert_int_equal(usrpci_dev_open(m.ctx, "qemu:edu", &devs[i]), 0);
	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:edu", &more), -ENOSPC);
	assert_int_equal(messages(m.fixture), 1);
	usrpci_dev_close(devs[5]);
	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:edu", &devs[5]), 0);
	for (unsigned int i = 1; i < QEMU_SLOTS; i++)
		usrpci_dev_close(devs[i]);
	close_device(&m);
}

static void an_unplugged_device_reads_all_ones_and_is_gone(void **state)
{
	struct machine m = open_edu(state);
	uint64_t value;
	uint16_t vendor;

	qemu_pull(m.dev);
	assert_int_equal(usrpci_read32(&m.bar, EDU_ID), UINT32_MAX);
	assert_int_equal(usrpci_bar_read(&m.bar, EDU_ID, 4, &value), -ENODEV);
	assert_int_equal(usrpci_config_read16(m.dev, PCI_VENDOR_ID, &vendor), -ENODEV);
	assert_int_equal(messages(m.fixture), 1);
	close_device(&m);
}

/* What a person types at a monitor of his own, with -monitor in USRPCI_QEMU_ARGS. */
static void ask_to_unplug(struct usrpci_dev *dev)
{
	struct qemu_dev *device = dev->backend;
	char reply[128];

	qemu_enter(device->qemu);
	assert_int_equal(qemu_monitor(device->qemu->process.monitor, "device_del slot0", reply,
				      sizeof(reply)),
			 0);
	qemu_leave(device->qemu);
	assert_string_equal(reply, "");
}

static void a_request_to_unplug_is_an_event_beside_the_interrupts(void **state)
{
	struct machine m = open_edu(state);
	struct usrpci_dev *next;

	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_MSI, 1), 0);
	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_REQUEST, 1), 0);
	assert_int_equal(usrpci_dev_set_bus_master(m.dev, true), 0);
	assert_int_equal(usrpci_irq_wait(m.dev, USRPCI_IRQ_REQUEST, 0, 20), -ETIMEDOUT);
	ask_to_unplug(m.dev);
	assert_int_equal(usrpci_irq_wait(m.dev, USRPCI_IRQ_REQUEST, 0, 2000), 1);
	take_interrupt(&m, USRPCI_IRQ_MSI, 1);
	usrpci_dev_close(m.dev);
	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:edu", &next), 0);
	assert_int_equal(usrpci_irq_enable(next, USRPCI_IRQ_REQUEST, 1), 0);
	assert_int_equal(usrpci_irq_wait(next, USRPCI_IRQ_REQUEST, 0, 20), -ETIMEDOUT);
	usrpci_dev_close(next);
	usrpci_ctx_close(m.ctx);
}

static void *read_registers(void *data)
{
	struct usrpci_bar *bar = data;

	for (unsigned int i = 0; i < 500; i++)
		if (usrpci_read32(bar, EDU_ID) != 0x010000ed)
			return bar;
	return NULL;
}

static void registers_and_interrupts_may_be_used_by_different_threads(void **state)
{
	struct machine m = open_edu(state);
	pthread_t readers[2];
	void *failed;

	assert_int_equal(usrpci_irq_enable(m.dev, USRPCI_IRQ_INTX, 1), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_registers, &m.bar), 0);
	for (unsigned int i = 0; i < 200; i++) {
		take_interrupt(&m, USRPCI_IRQ_INTX, 1);
		assert_int_equal(usrpci_irq_unmask(m.dev, USRPCI_IRQ_INTX, 0), 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(readers[i], &failed);
		assert_null(failed);
	}
	close_device(&m);
}

#define ACCESSES 4001

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The same command on the same socket, and nothing around it. */
static uint64_t time_round_trip(int fd, const char *command)
{
	uint64_t start = now_ns();
	char reply[64];

	assert_true(send(fd, command, strlen(command), 0) > 0);
	assert_true(recv(fd, reply, sizeof(reply), 0) > 0);
	return now_ns() - start;
}

static uint64_t time_access(struct usrpci_bar *bar)
{
	uint64_t start = now_ns();

	usrpci_read32(bar, EDU_ID);
	return now_ns() - start;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static double median_us(uint64_t *times)
{
	qsort(times, ACCESSES, sizeof(*times), compare);
	return (double)times[ACCESSES / 2] / 1000;
}

/* In turns, so that what else this machine does is borne by both. */
static void an_access_costs_at_most_1_2_bare_round_trips(void **state)
{
	static uint64_t bare[ACCESSES], ours[ACCESSES];
	struct machine m = open_edu(state);
	const struct qemu *qemu = ((struct qemu_dev *)m.dev->backend)->qemu;
	char command[64];

	snprintf(command, sizeof(command), "readl 0x%llx\n",
		 (unsigned long long)m.dev->bars[0].address);
	for (unsigned int i = 0; i < ACCESSES; i++) {
		bare[i] = time_round_trip(qemu->process.qtest, command);
		ours[i] = time_access(&m.bar);
	}
	print_message("# bare round trip %.1f us, access %.1f us\n", median_us(bare),
		      median_us(ours));
	assert_true(median_us(ours) <= 1.2 * median_us(bare));
	close_device(&m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(edu_is_found_with_its_ids_and_bar),
		CASE(opening_changes_nothing_on_the_device),
		CASE(configuration_space_reads_alike_in_every_width),
		CASE(edu_registers_answer),
		CASE(intx_stays_masked_until_it_is_unmasked),
		CASE(intx_wakes_a_waiter_when_nothing_else_happens),
		CASE(msi_arrives_through_a_pollable_descriptor),
		CASE(msi_needs_bus_mastering_as_on_real_hardware),
		CASE(interrupts_can_be_changed_from_one_type_to_another),
		CASE(edu_moves_memory_in_both_directions),
		CASE(the_machine_gives_as_much_memory_as_it_has),
		CASE(devices_of_one_context_share_a_buffer),
		CASE(two_contexts_have_machines_of_their_own),
		CASE(devices_that_share_a_line_both_get_their_interrupt),
		CASE(a_slot_is_free_again_after_its_device_is_closed),
		CASE(an_unplugged_device_reads_all_ones_and_is_gone),
		CASE(a_request_to_unplug_is_an_event_beside_the_interrupts),
		CASE(registers_and_interrupts_may_be_used_by_different_threads),
		CASE(an_access_costs_at_most_1_2_bare_round_trips),
	};

	return run_tests_on_qemu(tests);
}
