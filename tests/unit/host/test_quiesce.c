// SPDX-License-Identifier: BSD-2-Clause
/*
 * Stopping a device whose driver was killed, on models of NVMe controllers: which are told of a
 * shutdown, and what was seen first.
 */

#include <errno.h>
#include <string.h>

#include "fake/fake.h"
#include "file.h"
#include "fixture.h"
#include "kernel.h"
#include "quiesce.h"

#define NIC "0000:03:00.0"

#define CC   0x14
#define CSTS 0x1c

struct disk {
	struct fixture *fixture;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	uint32_t cc, csts;
	uint32_t written; /* to CC, the first time */
	unsigned int resets;
	bool mastered; /* it had bus mastering then */
	bool slow;     /* it never says that it has shut down */
	bool deaf;     /* nor that it is disabled */
};

static uint64_t disk_read(void *data, size_t offset, unsigned int width)
{
	struct disk *disk = data;

	assert_int_equal(width, 4);
	return offset == CC ? disk->cc : offset == CSTS ? disk->csts : 0;
}

static void disk_write(void *data, size_t offset, unsigned int width, uint64_t value)
{
	struct disk *disk = data;

	assert_int_equal(width, 4);
	assert_int_equal(offset, CC);
	if (!disk->written)
		disk->written = (uint32_t)value;
	disk->mastered = fake_config(disk->dev)[4] & 4;
	disk->cc = (uint32_t)value;
	if (!disk->slow && value & 3 << 14)
		disk->csts |= 2 << 2;
	if (!disk->deaf && !(value & 1))
		disk->csts &= ~1u;
}

static void disk_reset(void *data)
{
	struct disk *disk = data;

	disk->resets++;
}

static void stop_or_pause(struct disk *disk, uint32_t class_code, bool pause)
{
	struct fake_model model = {
		.class_code = class_code,
		.irq_pin = 1,
		.bars[0] = {.size = 0x2000, .read = disk_read, .write = disk_write},
		.reset = disk_reset,
		.data = disk,
	};
	struct usrpci_host *host;

	disk->ctx = fixture_ctx(disk->fixture);
	assert_int_equal(usrpci_host_open(disk->ctx, NULL, &host), 0);
	assert_int_equal(fake_open(disk->ctx, &model, &disk->dev), 0);
	assert_int_equal(usrpci_dev_set_bus_master(disk->dev, true), 0);
	assert_int_equal(pause ? quiesce_pause(host, disk->dev) : quiesce_open(host, disk->dev), 0);
	assert_int_equal(fake_config(disk->dev)[4] & 4, 0);
	usrpci_dev_close(disk->dev);
	usrpci_host_close(host);
	usrpci_ctx_close(disk->ctx);
}

static void stop(struct disk *disk, uint32_t class_code)
{
	stop_or_pause(disk, class_code, false);
	assert_int_equal(disk->resets, 1);
}

static void pause_disk(struct disk *disk, unsigned int resets)
{
	stop_or_pause(disk, 0x010802, true);
	assert_int_equal(disk->resets, resets);
}

static void a_running_controller_is_told_while_it_can_still_write(void **state)
{
	struct disk disk = {.fixture = *state, .cc = 0x460001, .csts = 1};

	stop(&disk, 0x010802);
	assert_int_equal(disk.written, 0x464001);
	assert_true(disk.mastered);
	assert_null(strstr(disk.fixture->log, "told"));
}

static void a_controller_that_is_disabled_is_left_alone(void **state)
{
	struct disk disk = {.fixture = *state, .cc = 0x460000, .csts = 0};

	stop(&disk, 0x010802);
	assert_int_equal(disk.written, 0);
}

static void a_controller_that_was_told_before_is_left_alone(void **state)
{
	struct disk disk = {.fixture = *state, .cc = 0x464001, .csts = 1 | 2 << 2};

	stop(&disk, 0x010802);
	assert_int_equal(disk.written, 0);
}

static void a_controller_that_is_gone_is_left_alone(void **state)
{
	struct disk disk = {.fixture = *state, .cc = UINT32_MAX, .csts = UINT32_MAX};

	stop(&disk, 0x010802);
	assert_int_equal(disk.written, 0);
}

static void another_device_is_left_alone(void **state)
{
	struct disk disk = {.fixture = *state, .cc = 0x460001, .csts = 1};

	stop(&disk, 0x020000);
	assert_int_equal(disk.written, 0);
}

static void one_that_does_not_shut_down_is_stopped_with_a_warning(void **state)
{
	struct disk disk = {.fixture = *state, .cc = 0x460001, .csts = 1, .slow = true};

	stop(&disk, 0x010802);
	assert_logged(disk.fixture, "the disk was not told to shut down");
}

static void a_pause_disables_a_controller_and_needs_no_reset(void **state)
{
	struct disk disk = {.fixture = *state, .cc = 0x460001, .csts = 1};

	pause_disk(&disk, 0);
	assert_int_equal(disk.written, 0x464001);
	assert_int_equal(disk.cc, 0x460000);
	assert_int_equal(disk.csts & 1, 0);
}

static void a_pause_finds_a_controller_disabled(void **state)
{
	struct disk disk = {.fixture = *state, .cc = 0x460000};

	pause_disk(&disk, 0);
	assert_int_equal(disk.written, 0);
}

static void a_pause_resets_a_controller_that_cannot_be_disabled(void **state)
{
	struct disk deaf = {.fixture = *state, .cc = 0x460001, .csts = 1, .deaf = true};
	struct disk failed = {.fixture = *state, .cc = 0x460001, .csts = 1 | 1 << 1};
	struct disk starting = {.fixture = *state, .cc = 0x460001};

	pause_disk(&deaf, 1);
	pause_disk(&failed, 1);
	pause_disk(&starting, 1);
}

static void a_pause_resets_another_device(void **state)
{
	struct disk disk = {.fixture = *state};

	stop_or_pause(&disk, 0x020000, true);
	assert_int_equal(disk.resets, 1);
}

/* A virtio device, whose status register is at 0x114 of BAR 4. */
struct card {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	uint8_t status;
	bool deaf; /* it does not confirm its reset */
	unsigned int resets;
};

static uint64_t card_read(void *data, size_t offset, unsigned int width)
{
	struct card *card = data;

	assert_int_equal(width, 1);
	assert_int_equal(offset, 0x114);
	return card->status;
}

static void card_write(void *data, size_t offset, unsigned int width, uint64_t value)
{
	struct card *card = data;

	assert_int_equal(width, 1);
	assert_int_equal(offset, 0x114);
	if (!card->deaf)
		card->status = (uint8_t)value;
}

static void card_reset(void *data)
{
	struct card *card = data;

	card->resets++;
}

/* With a capability for another structure before the one that counts, whose type is given. */
static void pause_card(struct fixture *fixture, struct card *card, uint8_t type)
{
	const uint8_t caps[] = {0x09, 0x50, 20, 2,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				0x09, 0,    16, type, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0};
	const struct fake_model model = {
		.vendor = 0x1af4,
		.device = 0x1041,
		.irq_pin = 1,
		.bars[4] = {.size = 0x1000, .read = card_read, .write = card_write},
		.reset = card_reset,
		.data = card,
	};
	struct usrpci_host *host;

	card->ctx = fixture_ctx(fixture);
	assert_int_equal(usrpci_host_open(card->ctx, NULL, &host), 0);
	assert_int_equal(fake_open(card->ctx, &model, &card->dev), 0);
	fake_config(card->dev)[0x06] |= 0x10;
	fake_config(card->dev)[0x34] = 0x40;
	memcpy(fake_config(card->dev) + 0x40, caps, sizeof(caps));
	assert_int_equal(quiesce_pause(host, card->dev), 0);
	usrpci_dev_close(card->dev);
	usrpci_host_close(host);
	usrpci_ctx_close(card->ctx);
}

static void a_pause_resets_a_virtio_device_by_its_register(void **state)
{
	struct card card = {.status = 0x0f};

	pause_card(*state, &card, 1);
	assert_int_equal(card.status, 0);
	assert_int_equal(card.resets, 0);
}

static void a_pause_resets_the_function_of_one_that_does_not_answer(void **state)
{
	struct card deaf = {.status = 0x0f, .deaf = true}, other = {.status = 0x0f};

	pause_card(*state, &deaf, 1);
	assert_int_equal(deaf.resets, 1);
	pause_card(*state, &other, 3);
	assert_int_equal(other.resets, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* Address 0 of a process, which cannot be read, stands for a file that cannot be read this time. */
static struct usrpci_host *open_with_a_bad_file(struct fixture *fixture)
{
	static const struct fixture_device nic = {.addr = NIC, .vendor = 0x8086, .device = 0x100e};
	struct usrpci_host *host;

	fixture_add(fixture, &nic);
	fixture_remove(fixture, PCI_DEVICES "/" NIC "/resource");
	fixture_link(fixture, PCI_DEVICES "/" NIC "/resource", "/proc/self/mem");
	assert_int_equal(usrpci_host_open(fixture_ctx(fixture), NULL, &host), 0);
	return host;
}

static void assert_quiesced(struct usrpci_host *host, int error)
{
	struct usrpci_addr addr = address(NIC);

	assert_int_equal(quiesce(host, &addr), error);
	assert_int_equal(quiesce_put_command(host, &addr, 0x103), error);
}

static void close_all(struct usrpci_host *host)
{
	struct usrpci_ctx *ctx = host->ctx;

	usrpci_host_close(host);
	usrpci_ctx_close(ctx);
}

static void a_device_of_which_a_file_cannot_be_read_is_not_gone(void **state)
{
	struct usrpci_host *host = open_with_a_bad_file(*state);

	assert_quiesced(host, -EIO);
	fixture_remove(*state, PCI_DEVICES "/" NIC);
	assert_quiesced(host, 0);
	close_all(host);
}

/* It answers no more, and only some of its files are left. */
static void what_fails_while_a_device_goes_is_no_error(void **state)
{
	struct usrpci_host *host = open_with_a_bad_file(*state);

	fixture_text(*state, PCI_DEVICES "/" NIC "/config", "\xff\xff\xff\xff");
	assert_quiesced(host, 0);
	close_all(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_running_controller_is_told_while_it_can_still_write),
		TEST(a_controller_that_is_disabled_is_left_alone),
		TEST(a_controller_that_was_told_before_is_left_alone),
		TEST(a_controller_that_is_gone_is_left_alone),
		TEST(a_device_of_which_a_file_cannot_be_read_is_not_gone),
		TEST(what_fails_while_a_device_goes_is_no_error),
		TEST(another_device_is_left_alone),
		TEST(one_that_does_not_shut_down_is_stopped_with_a_warning),
		TEST(a_pause_disables_a_controller_and_needs_no_reset),
		TEST(a_pause_finds_a_controller_disabled),
		TEST(a_pause_resets_a_controller_that_cannot_be_disabled),
		TEST(a_pause_resets_another_device),
		TEST(a_pause_resets_a_virtio_device_by_its_register),
		TEST(a_pause_resets_the_function_of_one_that_does_not_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
