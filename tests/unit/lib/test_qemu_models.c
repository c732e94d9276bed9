// SPDX-License-Identifier: BSD-2-Clause
/*
 * What edu does not have: MSI-X with several vectors, a 64-bit BAR and extended configuration space
 * (QEMU's nvme), I/O ports (e1000, pci-testdev), registers of 8 and 16 bits, a reset that shows.
 */

#include <linux/pci_regs.h>
#include <stdlib.h>

#include "qemu_fixture.h"

/* NVM Express Base Specification 1.4: registers (3.1), commands (4.2, 5.3, 5.4, 6.8). */
#define NVME        "qemu:nvme,serial=1"
#define CAP         0x00
#define CC          0x14
#define CSTS        0x1c
#define AQA         0x24
#define ASQ         0x28
#define ACQ         0x30
#define DOORBELL(n) (0x1000 + 4 * (n))

#define CC_ENABLE   (1 | 6 << 16 | 4 << 20) /* entries of 64 and 16 bytes */
#define CREATE_SQ   0x01
#define CREATE_CQ   0x05
#define FLUSH       0x00
#define READ        0x02
#define CONTIGUOUS  1
#define CQ_IRQ      2
#define DEPTH       8 /* of every queue */
#define IO_QUEUES   4
#define QUEUE_BYTES 4096

struct nvme {
	struct machine m;
	uint8_t *memory;                  /* a submission and a completion queue of 4 KiB each */
	unsigned int tail[IO_QUEUES + 1]; /* of the submission queues */
	unsigned int head[IO_QUEUES + 1]; /* of the completion queues */
};

struct command {
	uint32_t dword[16];
};

static usrpci_dma_t queue(const struct nvme *nvme, unsigned int number, unsigned int completion)
{
	return usrpci_dma_addr(nvme->m.ctx, nvme->memory) + (2 * number + completion) * QUEUE_BYTES;
}

static void wait_ready(struct nvme *nvme, uint32_t ready)
{
	for (unsigned int i = 0; (usrpci_read32(&nvme->m.bar, CSTS) & 1) != ready; i++)
		assert_true(i < 100000);
}

static struct nvme open_nvme_as(void **state, const char *name)
{
	struct usrpci_dma_request request = {
		.size = (size_t)2 * (IO_QUEUES + 1) * QUEUE_BYTES, .align = 4096, .zero = true};
	struct nvme nvme = {.m = open_device(state, name, 0)};
	void *memory;

	assert_int_equal(usrpci_dma_alloc(nvme.m.ctx, &request, &memory), 0);
	nvme.memory = memory;
	assert_int_equal(usrpci_dev_set_bus_master(nvme.m.dev, true), 0);
	return nvme;
}

static struct nvme open_nvme(void **state)
{
	return open_nvme_as(state, NVME);
}

static void start(struct nvme *nvme)
{
	struct usrpci_bar *bar = &nvme->m.bar;

	usrpci_write32(bar, AQA, (DEPTH - 1) << 16 | (DEPTH - 1));
	usrpci_write64(bar, ASQ, queue(nvme, 0, 0));
	usrpci_write64(bar, ACQ, queue(nvme, 0, 1));
	usrpci_write32(bar, CC, CC_ENABLE);
	wait_ready(nvme, 1);
}

static void submit(struct nvme *nvme, unsigned int number, const struct command *command)
{
	struct command *slots = (struct command *)(nvme->memory + (size_t)2 * number * QUEUE_BYTES);

	slots[nvme->tail[number]] = *command;
	nvme->tail[number] = (nvme->tail[number] + 1) % DEPTH;
	usrpci_write32(&nvme->m.bar, DOORBELL(2 * number), nvme->tail[number]);
}

/* The completion's status, once its interrupt has come on the vector. */
static unsigned int complete(struct nvme *nvme, unsigned int number)
{
	const uint32_t *entry =
		(const uint32_t *)(nvme->memory + (size_t)(2 * number + 1) * QUEUE_BYTES) +
		4 * nvme->head[number];

	assert_true(usrpci_irq_wait(nvme->m.dev, USRPCI_IRQ_MSIX, number, 2000) >= 1);
	nvme->head[number] = (nvme->head[number] + 1) % DEPTH;
	usrpci_write32(&nvme->m.bar, DOORBELL(2 * number + 1), nvme->head[number]);
	return entry[3] >> 17;
}

static void create_queue(struct nvme *nvme, unsigned int number)
{
	uint32_t size = (DEPTH - 1) << 16 | number;
	struct command completion = {{CREATE_CQ, [6] = (uint32_t)queue(nvme, number, 1),
				      [10] = size, [11] = number << 16 | CQ_IRQ | CONTIGUOUS}};
	struct command submission = {{CREATE_SQ, [6] = (uint32_t)queue(nvme, number, 0),
				      [10] = size, [11] = number << 16 | CONTIGUOUS}};

	submit(nvme, 0, &completion);
	assert_int_equal(complete(nvme, 0), 0);
	submit(nvme, 0, &submission);
	assert_int_equal(complete(nvme, 0), 0);
}

static void an_nvme_drive_is_read(void **state)
{
	struct fixture *fixture = *state;
	struct usrpci_dma_request request = {.size = 4096, .align = 4096, .zero = true};
	struct command read = {{READ, 1, [10] = 3}};
	uint8_t disk[64 * 512] = {0};
	struct nvme nvme;
	char name[512];
	void *block;

	memcpy(disk + (size_t)3 * 512, "the third", 10);
	fixture_bytes(fixture, "/disk", disk, sizeof(disk));
	snprintf(name, sizeof(name),
		 "qemu:nvme,serial=1,drive=d0 -blockdev driver=file,filename=%s/disk,node-name=d0",
		 fixture->root);
	nvme = open_nvme_as(state, name);
	assert_string_equal(usrpci_dev_name(nvme.m.dev), "qemu:nvme");
	assert_int_equal(usrpci_dma_alloc(nvme.m.ctx, &request, &block), 0);
	assert_int_equal(usrpci_irq_enable(nvme.m.dev, USRPCI_IRQ_MSIX, IO_QUEUES + 1), 0);
	start(&nvme);
	create_queue(&nvme, 1);
	read.dword[6] = (uint32_t)usrpci_dma_addr(nvme.m.ctx, block);
	submit(&nvme, 1, &read);
	assert_int_equal(complete(&nvme, 1), 0);
	assert_string_equal(block, "the third");
	close_device(&nvme.m);
}

static void assert_silent(struct nvme *nvme, unsigned int except)
{
	for (unsigned int i = 0; i <= IO_QUEUES; i++)
		if (i != except)
			assert_int_equal(usrpci_irq_wait(nvme->m.dev, USRPCI_IRQ_MSIX, i, 0),
					 -ETIMEDOUT);
}

static void msix_vectors_fire_each_for_its_own_queue(void **state)
{
	const struct command flush = {{FLUSH, UINT32_MAX}};
	struct nvme nvme = open_nvme(state);

	assert_true(usrpci_irq_count(nvme.m.dev, USRPCI_IRQ_MSIX) > IO_QUEUES);
	assert_int_equal(usrpci_irq_enable(nvme.m.dev, USRPCI_IRQ_MSIX, IO_QUEUES + 1), 0);
	start(&nvme);
	for (unsigned int i = 1; i <= IO_QUEUES; i++)
		create_queue(&nvme, i);
	for (unsigned int i = IO_QUEUES; i > 0; i--) {
		submit(&nvme, i, &flush);
		complete(&nvme, i);
		assert_silent(&nvme, i);
	}
	close_device(&nvme.m);
}

static void a_masked_msix_vector_stays_pending(void **state)
{
	const struct command flush = {{FLUSH, UINT32_MAX}};
	struct nvme nvme = open_nvme(state);

	assert_int_equal(usrpci_irq_enable(nvme.m.dev, USRPCI_IRQ_MSIX, IO_QUEUES + 1), 0);
	start(&nvme);
	create_queue(&nvme, 1);
	assert_int_equal(usrpci_irq_mask(nvme.m.dev, USRPCI_IRQ_MSIX, 1), 0);
	submit(&nvme, 1, &flush);
	assert_int_equal(usrpci_irq_wait(nvme.m.dev, USRPCI_IRQ_MSIX, 1, 30), -ETIMEDOUT);
	assert_int_equal(usrpci_irq_unmask(nvme.m.dev, USRPCI_IRQ_MSIX, 1), 0);
	complete(&nvme, 1);
	close_device(&nvme.m);
}

static void two_devices_have_vectors_of_their_own(void **state)
{
	struct nvme nvme = open_nvme(state);
	struct usrpci_dev *edu;
	struct usrpci_bar bar;

	assert_int_equal(usrpci_dev_open(nvme.m.ctx, "qemu:edu", &edu), 0);
	assert_int_equal(usrpci_bar_map(edu, 0, &bar), 0);
	assert_int_equal(usrpci_dev_set_bus_master(edu, true), 0);
	assert_int_equal(usrpci_irq_enable(nvme.m.dev, USRPCI_IRQ_MSIX, IO_QUEUES + 1), 0);
	assert_int_equal(usrpci_irq_enable(edu, USRPCI_IRQ_MSI, 1), 0);
	start(&nvme);
	usrpci_write32(&bar, EDU_IRQ_RAISE, 1);
	assert_int_equal(usrpci_irq_wait(edu, USRPCI_IRQ_MSI, 0, 1000), 1);
	assert_silent(&nvme, UINT32_MAX);
	create_queue(&nvme, 1);
	assert_int_equal(usrpci_irq_wait(edu, USRPCI_IRQ_MSI, 0, 0), -ETIMEDOUT);
	usrpci_dev_close(edu);
	close_device(&nvme.m);
}

static void nvme_has_a_64_bit_bar_above_4_gib(void **state)
{
	struct machine m = open_device(state, NVME, 0);
	struct usrpci_bar_info bar;
	uint32_t low, high;

	assert_int_equal(usrpci_bar_info(m.dev, 0, &bar), 0);
	assert_int_equal(bar.flags, USRPCI_BAR_64BIT);
	assert_true(bar.address > UINT32_MAX && bar.address % bar.size == 0);
	assert_int_equal(usrpci_bar_info(m.dev, 1, &bar), -ENOENT);
	assert_int_equal(usrpci_bar_info(m.dev, 0, &bar), 0);
	assert_int_equal(usrpci_config_read32(m.dev, PCI_BASE_ADDRESS_0, &low), 0);
	assert_int_equal(usrpci_config_read32(m.dev, PCI_BASE_ADDRESS_1, &high), 0);
	assert_true(((uint64_t)high << 32 | (low & ~0xfU)) == bar.address);
	/* The capabilities: queues of 2048 entries, contiguous ones. */
	assert_int_equal(usrpci_read16(&m.bar, CAP), 0x7ff);
	assert_true((usrpci_read64(&m.bar, CAP) & 0x1ffff) == 0x107ff);
	close_device(&m);
}

/* QEMU's model has a BAR of two bytes and the kind of BAR in none of the bits below. */
static void a_bar_is_no_smaller_than_16_bytes(void **state)
{
	struct machine m = open_device(state, "qemu:pvpanic-pci", 0);
	struct usrpci_bar_info bar;

	assert_int_equal(usrpci_bar_info(m.dev, 0, &bar), 0);
	assert_int_equal(bar.size, 16);
	assert_int_equal(bar.flags, 0);
	/* The events that it knows: later versions know more than a panic and a crash kernel. */
	assert_int_equal(usrpci_read8(&m.bar, 0) & 3, 3);
	close_device(&m);
}

static void express_devices_have_extended_configuration_space(void **state)
{
	struct machine m = open_device(state, "qemu:e1000e", 0);
	uint8_t whole[USRPCI_CONFIG_SIZE_EXPRESS];
	struct usrpci_cap caps[32];
	int aer = usrpci_ext_cap_find(m.dev, USRPCI_EXT_CAP_AER);

	assert_int_equal(usrpci_config_size(m.dev), USRPCI_CONFIG_SIZE_EXPRESS);
	assert_true(aer >= 256);
	assert_true(usrpci_cap_find(m.dev, USRPCI_CAP_EXPRESS) > 0);
	assert_true(usrpci_cap_list(m.dev, caps, 32) >= 4);
	assert_int_equal(usrpci_config_read(m.dev, 0, whole, sizeof(whole)), 0);
	assert_int_equal(whole[aer], USRPCI_EXT_CAP_AER);
	close_device(&m);
}

/*
 * pci-testdev (QEMU's docs/specs/pci-testdev.txt): test, width, padding, offset, data, count, name.
 * The first test counts writes of data to offset.
 */
static void count_writes(struct machine *m, unsigned int index, const char *expected)
{
	char name[32] = "";
	struct usrpci_bar bar;
	uint32_t offset;

	assert_int_equal(usrpci_bar_map(m->dev, index, &bar), 0);
	usrpci_write8(&bar, 0, 0);
	offset = usrpci_read32(&bar, 4);
	assert_int_equal(offset, usrpci_read16(&bar, 4) | usrpci_read16(&bar, 6) << 16);
	assert_int_equal(usrpci_read16(&bar, 4), usrpci_read8(&bar, 4) | usrpci_read8(&bar, 5)
										 << 8);
	for (unsigned int i = 0; i < sizeof(name) - 1; i++)
		name[i] = (char)usrpci_read8(&bar, 16 + i);
	assert_string_equal(name, expected);
	for (unsigned int i = 0; i < 3; i++)
		usrpci_write8(&bar, offset, (uint8_t)usrpci_read32(&bar, 8));
	assert_int_equal(usrpci_read32(&bar, 12), 3);
	usrpci_bar_unmap(&bar);
}

static void memory_and_ports_are_accessed_in_every_width(void **state)
{
	struct machine m = open_device(state, "qemu:pci-testdev", 0);

	count_writes(&m, 0, "mmio-no-eventfd");
	count_writes(&m, 1, "portio-no-eventfd");
	close_device(&m);
}

static void reset_forgets_registers_and_keeps_configuration(void **state)
{
	struct nvme nvme = open_nvme(state);
	uint8_t before[64], after[64];

	assert_int_equal(usrpci_irq_enable(nvme.m.dev, USRPCI_IRQ_MSIX, IO_QUEUES + 1), 0);
	start(&nvme);
	assert_int_equal(usrpci_config_read(nvme.m.dev, 0, before, sizeof(before)), 0);
	assert_int_equal(usrpci_dev_reset(nvme.m.dev, USRPCI_RESET_FUNCTION), 0);
	assert_int_equal(usrpci_config_read(nvme.m.dev, 0, after, sizeof(after)), 0);
	assert_memory_equal(before, after, 0x3c);
	assert_int_equal(usrpci_read32(&nvme.m.bar, CC), 0);
	assert_int_equal(usrpci_read32(&nvme.m.bar, CSTS), 0);
	memset(nvme.tail, 0, sizeof(nvme.tail));
	memset(nvme.head, 0, sizeof(nvme.head));
	memset(nvme.memory, 0, (size_t)2 * QUEUE_BYTES);
	start(&nvme);
	create_queue(&nvme, 1);
	close_device(&nvme.m);
}

/* Receive control and its bit that lets the device receive (8254x, 13.4.22). */
#define RCTL    0x100
#define RCTL_EN (1u << 1)

static void check_receiver_is_reset(void **state, const char *name)
{
	struct machine m = open_device(state, name, 0);

	usrpci_write32(&m.bar, RCTL, RCTL_EN);
	assert_int_equal(usrpci_read32(&m.bar, RCTL), RCTL_EN);
	assert_true(usrpci_dev_features(m.dev) & USRPCI_FEATURE_RESET);
	assert_int_equal(usrpci_dev_reset(m.dev, USRPCI_RESET_FUNCTION), 0);
	assert_int_equal(usrpci_read32(&m.bar, RCTL) & RCTL_EN, 0);
	close_device(&m);
}

/* PCI's reset leaves QEMU's 82574L as it is. */
static void known_models_are_reset_by_their_own_registers_too(void **state)
{
	check_receiver_is_reset(state, "qemu:e1000");
	check_receiver_is_reset(state, "qemu:e1000e");
}

/* LIST is where a controller's list begins, ENABLE what enables interrupts. */
static void check_usb_is_reset(void **state, const char *name, unsigned int bar, size_t list,
			       size_t enable, uint32_t interrupt)
{
	struct machine m = open_device(state, name, bar);

	assert_int_equal(usrpci_config_update16(m.dev, 4, 0, 7), 0);
	usrpci_write32(&m.bar, list, 0x1000);
	assert_int_equal(usrpci_read32(&m.bar, list), 0x1000);
	usrpci_write32(&m.bar, enable, interrupt);
	assert_int_equal(usrpci_read32(&m.bar, enable) & interrupt, interrupt);
	assert_true(usrpci_dev_features(m.dev) & USRPCI_FEATURE_RESET);
	assert_int_equal(usrpci_dev_reset(m.dev, USRPCI_RESET_FUNCTION), 0);
	assert_int_equal(usrpci_read32(&m.bar, list), 0);
	assert_int_equal(usrpci_read32(&m.bar, enable) & interrupt, 0);
	close_device(&m);
}

static void usb_controllers_are_reset_by_their_own_registers(void **state)
{
	check_usb_is_reset(state, "qemu:piix3-usb-uhci", 4, 0x08, 0x04, 1);
	check_usb_is_reset(state, "qemu:pci-ohci", 0, 0x18, 0x10, 4);
	check_usb_is_reset(state, "qemu:usb-ehci", 0, 0x34, 0x28, 1);
}

static void a_device_gets_its_backend_from_qemu_arguments(void **state)
{
	struct machine m;
	uint32_t link;

	setenv("USRPCI_QEMU_ARGS", "-netdev 'user,id=n0,restrict=on'", 1);
	m = open_device(state, "qemu:e1000,netdev=n0,mac=52:54:00:12:34:56", 0);
	unsetenv("USRPCI_QEMU_ARGS");
	assert_string_equal(usrpci_dev_name(m.dev), "qemu:e1000");
	/* RAL0 and RAH0 hold the address. */
	assert_int_equal(usrpci_read32(&m.bar, 0x5400), 0x12005452);
	link = usrpci_read32(&m.bar, 0x5404);
	assert_int_equal(link & 0xffff, 0x5634);
	/* It can be had again once it is closed. */
	usrpci_dev_close(m.dev);
	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:e1000,netdev=n0", &m.dev), 0);
	close_device(&m);
}

static void a_drive_outlives_its_device(void **state)
{
	struct machine m = {.fixture = *state, .ctx = fixture_ctx(*state)};

	setenv("USRPCI_QEMU_ARGS", "-blockdev driver=null-co,node-name=d0,read-zeroes=on", 1);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(usrpci_dev_open(m.ctx, "qemu:nvme,serial=1,drive=d0", &m.dev), 0);
		usrpci_dev_close(m.dev);
	}
	unsetenv("USRPCI_QEMU_ARGS");
	assert_int_equal(messages(m.fixture), 0);
	usrpci_ctx_close(m.ctx);
}

static void virtio_devices_can_be_opened(void **state)
{
	struct machine m = open_device(state, "qemu:virtio-rng-pci", 4);

	assert_int_equal(usrpci_dev_info(m.dev)->vendor, 0x1af4);
	assert_true(usrpci_cap_find(m.dev, USRPCI_CAP_VENDOR) > 0);
	assert_true(usrpci_irq_count(m.dev, USRPCI_IRQ_MSIX) >= 2);
	close_device(&m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(msix_vectors_fire_each_for_its_own_queue),
		CASE(an_nvme_drive_is_read),
		CASE(a_masked_msix_vector_stays_pending),
		CASE(two_devices_have_vectors_of_their_own),
		CASE(nvme_has_a_64_bit_bar_above_4_gib),
		CASE(a_bar_is_no_smaller_than_16_bytes),
		CASE(express_devices_have_extended_configuration_space),
		CASE(memory_and_ports_are_accessed_in_every_width),
		CASE(reset_forgets_registers_and_keeps_configuration),
		CASE(known_models_are_reset_by_their_own_registers_too),
		CASE(usb_controllers_are_reset_by_their_own_registers),
		CASE(a_device_gets_its_backend_from_qemu_arguments),
		CASE(a_drive_outlives_its_device),
		CASE(virtio_devices_can_be_opened),
	};

	return run_tests_on_qemu(tests);
}
