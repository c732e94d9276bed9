// SPDX-License-Identifier: BSD-2-Clause
/*
 * What only a context's first device can have, since QEMU starts with it: children (disks, cards,
 * sticks), models that cannot be plugged into a running machine, and large 32-bit BARs.
 */

#include <linux/pci_regs.h>

#include "qemu_fixture.h"

#define SECTOR 512

/* A file for a drive, with a word of its own at the start of each sector; name, with arguments. */
static void make_disk(struct fixture *fixture, unsigned int sectors)
{
	size_t size = (size_t)sectors * SECTOR;
	uint8_t *bytes = calloc(1, size);

	for (unsigned int i = 0; i < sectors; i++)
		snprintf((char *)bytes + (size_t)i * SECTOR, SECTOR, "sector %u", i);
	fixture_bytes(fixture, "/disk", bytes, size);
	free(bytes);
}

static struct machine open_with_disk(void **state, const char *model, const char *child,
				     unsigned int bar)
{
	struct fixture *fixture = *state;
	char name[512];

	make_disk(fixture, 2048);
	snprintf(name, sizeof(name),
		 "qemu:%s -blockdev driver=file,filename='%s/disk',node-name=d0 %s", model,
		 fixture->root, child);
	return open_device(state, name, bar);
}

static void wait_for(struct usrpci_bar *bar, size_t offset, uint32_t mask, uint32_t value)
{
	for (unsigned int i = 0; (usrpci_read32(bar, offset) & mask) != value; i++)
		assert_true(i < 20000);
}

/* AHCI 1.3.1: of the controller (3.1) and of port 0 (3.3). */
#define GHC         0x004
#define GHC_ENABLE  (1u << 31)
#define PORT        0x100
#define PORT_CLB    (PORT + 0x00)
#define PORT_FB     (PORT + 0x08)
#define PORT_CMD    (PORT + 0x18)
#define PORT_TFD    (PORT + 0x20)
#define PORT_SIG    (PORT + 0x24)
#define PORT_SSTS   (PORT + 0x28)
#define PORT_SERR   (PORT + 0x30)
#define PORT_CI     (PORT + 0x38)
#define CMD_START   0x1
#define CMD_RECEIVE 0x10
#define TFD_BUSY    0x88
#define ATA_DISK    0x101

/* Offsets in the memory of a test: a command list, received FISes, a command table, data. */
#define LIST  0x0000
#define FIS   0x0400
#define TABLE 0x0800
#define DATA  0x1000

/*
 * READ DMA EXT of one sector (ATA8-ACS 7.26): a FIS from host to device and one region of memory.
 */
static void fill_read(uint8_t *memory, usrpci_dma_t addr, uint8_t sector)
{
	const uint8_t fis[20] = {0x27, 0x80, 0x25, 0, sector, [7] = 0x40, [12] = 1};
	const uint32_t region[4] = {(uint32_t)(addr + DATA), 0, 0, SECTOR - 1};
	const uint32_t header[4] = {sizeof(fis) / 4 | 1 << 16, 0, (uint32_t)(addr + TABLE), 0};

	memcpy(memory + TABLE, fis, sizeof(fis));
	memcpy(memory + TABLE + 0x80, region, sizeof(region));
	memcpy(memory + LIST, header, sizeof(header));
}

static void check_sector(struct machine *m, uint8_t *memory, uint8_t sector)
{
	char expected[32];

	snprintf(expected, sizeof(expected), "sector %u", sector);
	fill_read(memory, usrpci_dma_addr(m->ctx, memory), sector);
	usrpci_write32(&m->bar, PORT_CI, 1);
	wait_for(&m->bar, PORT_CI, 1, 0);
	assert_int_equal(usrpci_read32(&m->bar, PORT_TFD) & 1, 0);
	assert_string_equal((char *)memory + DATA, expected);
}

static void read_ahci_disk(struct machine *m)
{
	struct usrpci_dma_request request = {
		.size = 8192, .align = 4096, .limit = UINT32_MAX, .zero = true};
	usrpci_dma_t addr;
	void *memory;

	assert_int_equal(usrpci_dma_alloc(m->ctx, &request, &memory), 0);
	assert_int_equal(usrpci_dev_set_bus_master(m->dev, true), 0);
	addr = usrpci_dma_addr(m->ctx, memory);
	usrpci_write32(&m->bar, GHC, GHC_ENABLE);
	assert_int_equal(usrpci_read32(&m->bar, PORT_SSTS) & 0xf, 3);
	usrpci_write64(&m->bar, PORT_CLB, addr + LIST);
	usrpci_write64(&m->bar, PORT_FB, addr + FIS);
	usrpci_write32(&m->bar, PORT_SERR, UINT32_MAX);
	usrpci_write32(&m->bar, PORT_CMD, CMD_RECEIVE);
	usrpci_write32(&m->bar, PORT_CMD, CMD_RECEIVE | CMD_START);
	wait_for(&m->bar, PORT_TFD, TFD_BUSY, 0);
	assert_int_equal(usrpci_read32(&m->bar, PORT_SIG), ATA_DISK);
	check_sector(m, memory, 1);
	check_sector(m, memory, 42);
	usrpci_dma_free(m->ctx, memory);
}

static void an_ahci_controller_has_a_disk_that_can_be_read(void **state)
{
	struct machine m = open_with_disk(state, "ich9-ahci", "-device ide-hd,drive=d0,bus=slot0.0",
					  5);

	assert_string_equal(usrpci_dev_name(m.dev), "qemu:ich9-ahci");
	read_ahci_disk(&m);
	close_device(&m);
}

static void a_device_with_children_has_them_when_it_is_opened_again(void **state)
{
	struct machine m = {.fixture = *state, .ctx = fixture_ctx(*state)};
	struct usrpci_dev *other;
	char name[512];

	make_disk(m.fixture, 2048);
	snprintf(name, sizeof(name),
		 "qemu:ich9-ahci -blockdev driver=file,filename='%s/disk',node-name=d0 "
		 "-device ide-hd,drive=d0,bus=slot0.0",
		 m.fixture->root);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(usrpci_dev_open(m.ctx, name, &m.dev), 0);
		assert_int_equal(usrpci_bar_map(m.dev, 5, &m.bar), 0);
		read_ahci_disk(&m);
		usrpci_dev_close(m.dev);
		assert_int_equal(usrpci_dev_open(m.ctx, "qemu:edu", &other), 0);
		usrpci_dev_close(other);
	}
	assert_int_equal(messages(m.fixture), 0);
	usrpci_ctx_close(m.ctx);
}

static void what_a_device_needs_outlives_it(void **state)
{
	struct machine m = {.fixture = *state, .ctx = fixture_ctx(*state)};
	static const char name[] = "qemu:e1000,netdev=n0 -netdev user,id=n0,restrict=on";

	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(usrpci_dev_open(m.ctx, name, &m.dev), 0);
		usrpci_dev_close(m.dev);
	}
	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:e1000e,netdev=n0", &m.dev), 0);
	assert_int_equal(messages(m.fixture), 0);
	usrpci_dev_close(m.dev);
	usrpci_ctx_close(m.ctx);
}

/* SD Host Controller 3.00, 2.2.9: card inserted, state stable, not write protected. */
static void an_sd_host_has_a_card(void **state)
{
	struct machine m = open_with_disk(state, "sdhci-pci", "-device sd-card,drive=d0", 0);

	assert_int_equal(usrpci_read32(&m.bar, 0x24) >> 16 & 0x3, 3);
	close_device(&m);
	m = open_device(state, "qemu:sdhci-pci", 0);
	assert_int_equal(usrpci_read32(&m.bar, 0x24) >> 16 & 0x1, 0);
	close_device(&m);
}

/* xHCI 1.2, 5.4.8: PORTSC of the ports from 0x400 behind the capability registers on. */
static void an_xhci_controller_has_a_stick(void **state)
{
	struct machine m = open_with_disk(state, "qemu-xhci", "-device usb-storage,drive=d0", 0);
	unsigned int operational = usrpci_read8(&m.bar, 0);
	unsigned int ports = usrpci_read32(&m.bar, 4) >> 24, connected = 0;

	for (unsigned int i = 0; i < ports; i++)
		connected += usrpci_read32(&m.bar, operational + 0x400 + 0x10 * i) & 1;
	assert_int_equal(connected, 1);
	close_device(&m);
}

/* Virtio 1.2, 4.1.4: device configuration is in BAR 4 of QEMU's at 0x2000; 5.2.4: the capacity. */
static void a_virtio_disk_has_its_capacity(void **state)
{
	struct machine m = open_with_disk(state, "virtio-blk-pci,drive=d0", "", 4);

	assert_int_equal(usrpci_read64(&m.bar, 0x2000), 2048);
	close_device(&m);
}

/* Bochs's display interface in BAR 2 (QEMU's docs/specs/standard-vga.txt). */
static void a_model_that_cannot_be_plugged_is_opened_first(void **state)
{
	struct machine m = open_device(state, "qemu:VGA", 2);
	struct usrpci_dev *edu;

	assert_int_equal(usrpci_read16(&m.bar, 0x500), 0xb0c5);
	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:edu", &edu), 0);
	usrpci_dev_close(m.dev);
	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:VGA", &m.dev), 0);
	assert_int_equal(usrpci_bar_map(m.dev, 2, &m.bar), 0);
	assert_int_equal(usrpci_read16(&m.bar, 0x500), 0xb0c5);
	usrpci_dev_close(edu);
	assert_int_equal(messages(m.fixture), 0);
	close_device(&m);
}

static void a_bridge_has_two_bars(void **state)
{
	struct machine m = {.fixture = *state, .ctx = fixture_ctx(*state)};
	struct usrpci_bar_info bar;

	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:pci-bridge,chassis_nr=1", &m.dev), 0);
	assert_int_equal(usrpci_dev_info(m.dev)->header_type, PCI_HEADER_TYPE_BRIDGE);
	assert_int_equal(usrpci_dev_info(m.dev)->subsystem_vendor, 0);
	assert_int_equal(usrpci_bar_info(m.dev, 0, &bar), 0);
	assert_int_equal(bar.size, 256);
	assert_int_equal(usrpci_bar_info(m.dev, 2, &bar), -ENOENT);
	close_device(&m);
}

static void the_first_device_may_have_large_32_bit_bars(void **state)
{
	struct machine m = open_device(state, "qemu:bochs-display,vgamem=64M", 0);
	struct usrpci_bar_info bar;
	struct usrpci_dev *other;

	assert_int_equal(usrpci_bar_info(m.dev, 0, &bar), 0);
	assert_int_equal(bar.size, 64 << 20);
	usrpci_write32(&m.bar, bar.size - 4, 0x12345678);
	assert_int_equal(usrpci_read32(&m.bar, bar.size - 4), 0x12345678);
	assert_int_equal(usrpci_dev_open(m.ctx, "qemu:bochs-display,vgamem=64M", &other), -ENOSPC);
	assert_logged(m.fixture, "512 MiB");
	close_device(&m);
}

/* QEMU's rocker aborts QEMU when it is unplugged. */
static void the_last_device_is_not_unplugged_for_nothing(void **state)
{
	struct machine m = open_device(state, "qemu:rocker", 0);

	close_device(&m);
	assert_int_equal(messages(m.fixture), 0);
}

static void arguments_may_give_the_machine_more_memory(void **state)
{
	struct machine m = open_device(state,
				       "qemu:virtio-mem-pci,memdev=m0 -m slots=4,maxmem=4G "
				       "-object memory-backend-ram,id=m0,size=1G",
				       4);

	assert_int_equal(usrpci_read64(&m.bar, 0x2000), 2 << 20); /* block size: 5.15.4 */
	close_device(&m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(an_ahci_controller_has_a_disk_that_can_be_read),
		CASE(a_device_with_children_has_them_when_it_is_opened_again),
		CASE(what_a_device_needs_outlives_it),
		CASE(an_sd_host_has_a_card),
		CASE(an_xhci_controller_has_a_stick),
		CASE(a_virtio_disk_has_its_capacity),
		CASE(a_model_that_cannot_be_plugged_is_opened_first),
		CASE(a_bridge_has_two_bars),
		CASE(the_first_device_may_have_large_32_bit_bars),
		CASE(the_last_device_is_not_unplugged_for_nothing),
		CASE(arguments_may_give_the_machine_more_memory),
	};

	return run_tests_on_qemu(tests);
}
