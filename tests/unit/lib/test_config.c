// SPDX-License-Identifier: BSD-2-Clause
/*
 * Configuration space: values, bounds, alignment, and devices that are gone.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "backend.h"
#include "fake/fake.h"
#include "fixture.h"

static struct usrpci_ctx *ctx;
static struct usrpci_dev *dev;

static void open_with_size(void **state, unsigned int config_size)
{
	const struct fake_model model = {
		.vendor = 0x1234, .device = 0x11e8, .config_size = config_size};

	ctx = fixture_ctx(*state);
	assert_int_equal(fake_open(ctx, &model, &dev), 0);
}

static int setup(void **state)
{
	if (fixture_setup(state))
		return -1;
	open_with_size(state, 256);
	return 0;
}

static int teardown(void **state)
{
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return fixture_teardown(state);
}

static void registers_are_little_endian(void **state)
{
	uint8_t byte;
	uint16_t word;
	uint32_t dword;

	memcpy(fake_config(dev) + 0x40, "\x11\x22\x33\x44", 4);
	assert_int_equal(usrpci_config_read8(dev, 0x41, &byte), 0);
	assert_int_equal(byte, 0x22);
	assert_int_equal(usrpci_config_read16(dev, 0x42, &word), 0);
	assert_int_equal(word, 0x4433);
	assert_int_equal(usrpci_config_read32(dev, 0x40, &dword), 0);
	assert_int_equal(dword, 0x44332211);
}

static void a_write_changes_its_bytes_and_no_others(void **state)
{
	uint8_t *config = fake_config(dev);

	assert_int_equal(usrpci_config_write32(dev, 0x40, 0x44332211), 0);
	assert_memory_equal(config + 0x3f, "\0\x11\x22\x33\x44\0", 6);
	assert_int_equal(usrpci_config_write8(dev, 0x41, 0xaa), 0);
	assert_int_equal(usrpci_config_write16(dev, 0x42, 0xbbcc), 0);
	assert_memory_equal(config + 0x3f, "\0\x11\xaa\xcc\xbb\0", 6);
}

static void offsets_outside_are_refused_and_change_nothing(void **state)
{
	uint8_t byte = 1, buffer[8] = {1};
	uint32_t dword = 1;

	assert_int_equal(usrpci_config_read8(dev, 256, &byte), -ERANGE);
	assert_int_equal(usrpci_config_read32(dev, 256, &dword), -ERANGE);
	assert_int_equal(usrpci_config_read32(dev, 0xfffffffc, &dword), -ERANGE);
	assert_int_equal(usrpci_config_write8(dev, 256, 0), -ERANGE);
	assert_int_equal(usrpci_config_read(dev, 250, buffer, 7), -ERANGE);
	assert_int_equal(usrpci_config_read(dev, 4, buffer, SIZE_MAX), -ERANGE);
	assert_int_equal(byte, 1);
	assert_int_equal(dword, 1);
	assert_int_equal(buffer[0], 1);
	assert_logged(*state, "0x100");
	assert_int_equal(usrpci_config_read(dev, 250, buffer, 6), 0);
	assert_int_equal(usrpci_config_read8(dev, 255, &byte), 0);
}

static void unaligned_registers_are_refused(void **state)
{
	uint16_t word;
	uint32_t dword;

	assert_int_equal(usrpci_config_read16(dev, 0x41, &word), -EINVAL);
	assert_int_equal(usrpci_config_read32(dev, 0x42, &dword), -EINVAL);
	assert_int_equal(usrpci_config_write16(dev, 0x43, 0), -EINVAL);
	assert_int_equal(usrpci_config_write32(dev, 0x41, 0), -EINVAL);
	assert_logged(*state, "0x41 is not aligned to 2 bytes");
}

static void bytes_are_read_at_any_offset(void **state)
{
	uint8_t buffer[5];

	memcpy(fake_config(dev) + 0x41, "house", 5);
	assert_int_equal(usrpci_config_read(dev, 0x41, buffer, 5), 0);
	assert_memory_equal(buffer, "house", 5);
	assert_int_equal(usrpci_config_read(dev, 256, buffer, 0), 0);
}

static void a_register_of_ones_is_no_missing_device(void **state)
{
	uint32_t dword;

	memset(fake_config(dev) + 0x40, 0xff, 4);
	assert_int_equal(usrpci_config_read32(dev, 0x40, &dword), 0);
	assert_int_equal(dword, UINT32_MAX);
	/* As a virtual function's are. */
	memset(fake_config(dev), 0xff, 4);
	assert_int_equal(usrpci_config_read32(dev, 0, &dword), 0);
}

static void a_device_that_is_gone_is_reported_once(void **state)
{
	struct fixture *fixture = *state;
	uint8_t byte;
	uint32_t dword = 1;

	fake_unplug(dev);
	assert_int_equal(usrpci_config_read32(dev, 0, &dword), -ENODEV);
	assert_int_equal(dword, 1);
	assert_logged(fixture, "fake:1234:11e8: the device is gone");
	fixture->log[0] = '\0';
	assert_int_equal(usrpci_config_read8(dev, 0x40, &byte), -ENODEV);
	assert_string_equal(fixture->log, "");
}

static void an_update_that_changes_nothing_writes_nothing(void **state)
{
	unsigned int calls = fake_fail(dev, 0, 0);

	assert_int_equal(usrpci_config_update16(dev, PCI_COMMAND, PCI_COMMAND_MASTER, 0), 0);
	assert_int_equal(fake_fail(dev, 0, 0), calls + 1);
	assert_int_equal(usrpci_config_update16(dev, PCI_COMMAND, 0, PCI_COMMAND_MASTER), 0);
	assert_int_equal(fake_fail(dev, 0, 0), calls + 3);
	assert_int_equal(fake_config(dev)[PCI_COMMAND], PCI_COMMAND_MASTER);
}

static void an_update_writes_both_bytes_when_both_change(void **state)
{
	memcpy(fake_config(dev) + 0x40, "\xf0\x0f", 2);
	assert_int_equal(usrpci_config_update16(dev, 0x40, 0x0ff0, 0x1001), 0);
	assert_memory_equal(fake_config(dev) + 0x40, "\x01\x10", 2);
	assert_int_equal(usrpci_config_update16(dev, 0x40, 0x1000, 0x8000), 0);
	assert_memory_equal(fake_config(dev) + 0x40, "\x01\x80", 2);
}

static size_t written_size;

static int note_write(struct usrpci_dev *device, unsigned int offset, const void *bytes,
		      size_t size)
{
	written_size = size;
	memcpy(fake_config(device) + offset, bytes, size);
	return 0;
}

static void an_update_never_writes_the_high_byte_alone(void **state)
{
	const struct backend_ops *fake = dev->ops;
	struct backend_ops ops = *fake;

	ops.config_write = note_write;
	dev->ops = &ops;
	assert_int_equal(usrpci_config_update16(dev, PCI_COMMAND, 0, PCI_COMMAND_INTX_DISABLE), 0);
	assert_int_equal(written_size, 2);
	assert_int_equal(usrpci_config_update16(dev, PCI_COMMAND, 0, PCI_COMMAND_MASTER), 0);
	assert_int_equal(written_size, 1);
	assert_memory_equal(fake_config(dev) + PCI_COMMAND, "\x04\x04", 2);
	dev->ops = fake;
}

/* As if another thread unmasked INTx right after this one has read the command register. */
static int read_before_unmask(struct usrpci_dev *device, unsigned int offset, void *buffer,
			      size_t size)
{
	memcpy(buffer, fake_config(device) + offset, size);
	fake_config(device)[PCI_COMMAND + 1] = 0;
	return 0;
}

static void an_update_leaves_the_other_byte_to_other_threads(void **state)
{
	const struct backend_ops *fake = dev->ops;
	struct backend_ops ops = *fake;

	ops.config_read = read_before_unmask;
	dev->ops = &ops;
	fake_config(dev)[PCI_COMMAND + 1] = PCI_COMMAND_INTX_DISABLE >> 8;
	assert_int_equal(usrpci_config_update16(dev, PCI_COMMAND, 0, PCI_COMMAND_MASTER), 0);
	assert_int_equal(fake_config(dev)[PCI_COMMAND], PCI_COMMAND_MASTER);
	assert_int_equal(fake_config(dev)[PCI_COMMAND + 1], 0);
	dev->ops = fake;
}

static void an_error_of_the_backend_comes_through(void **state)
{
	uint16_t word = 1;

	fake_fail(dev, 1, -EACCES);
	assert_int_equal(usrpci_config_read16(dev, 0, &word), -EACCES);
	assert_int_equal(word, 1);
	fake_fail(dev, 1, -EPERM);
	assert_int_equal(usrpci_config_write16(dev, 0x40, 0), -EPERM);
}

static void the_extended_space_is_there_when_the_device_has_it(void **state)
{
	uint32_t dword;

	assert_int_equal(usrpci_config_size(dev), 256);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	open_with_size(state, 4096);
	assert_int_equal(usrpci_config_size(dev), 4096);
	memcpy(fake_config(dev) + 0xffc, "\1\2\3\4", 4);
	assert_int_equal(usrpci_config_read32(dev, 0xffc, &dword), 0);
	assert_int_equal(dword, 0x04030201);
	assert_int_equal(usrpci_config_read32(dev, 0x1000, &dword), -ERANGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers_are_little_endian),
		TEST(a_write_changes_its_bytes_and_no_others),
		TEST(offsets_outside_are_refused_and_change_nothing),
		TEST(unaligned_registers_are_refused),
		TEST(bytes_are_read_at_any_offset),
		TEST(a_register_of_ones_is_no_missing_device),
		TEST(a_device_that_is_gone_is_reported_once),
		TEST(an_update_that_changes_nothing_writes_nothing),
		TEST(an_update_writes_both_bytes_when_both_change),
		TEST(an_update_never_writes_the_high_byte_alone),
		TEST(an_update_leaves_the_other_byte_to_other_threads),
		TEST(an_error_of_the_backend_comes_through),
		TEST(the_extended_space_is_there_when_the_device_has_it),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
