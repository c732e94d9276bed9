// SPDX-License-Identifier: BSD-2-Clause
/*
 * BARs: what they are, mapping, and accesses of all widths, both where they are plain loads and
 * stores and where they are calls.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "bytes.h"
#include "fake/fake.h"
#include "fixture.h"

static struct usrpci_ctx *ctx;
static struct usrpci_dev *dev;

/* BAR 2 keeps what is written, at every offset the same; and says how it was called. */
static struct registers {
	uint64_t value;
	size_t offset;
	unsigned int width;
	unsigned int calls;
} registers;

static uint64_t read_register(void *data, size_t offset, unsigned int width)
{
	struct registers *r = data;

	assert_int_equal(offset % width, 0);
	*r = (struct registers){r->value, offset, width, r->calls + 1};
	return r->value;
}

static void write_register(void *data, size_t offset, unsigned int width, uint64_t value)
{
	assert_int_equal(offset % width, 0);
	*(struct registers *)data = (struct registers){value, offset, width, registers.calls + 1};
}

static int setup(void **state)
{
	const struct fake_model model = {
		.vendor = 0x1234,
		.device = 0x11e8,
		.bars = {{.size = 0x1000},
			 {0},
			 {.size = 0x100, .read = read_register, .write = write_register},
			 {.size = 0x40,
			  .flags = USRPCI_BAR_IO,
			  .read = read_register,
			  .write = write_register},
			 {.size = 20}},
		.data = &registers,
	};

	registers = (struct registers){0};
	if (fixture_setup(state))
		return -1;
	ctx = fixture_ctx(*state);
	return fake_open(ctx, &model, &dev);
}

static int teardown(void **state)
{
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return fixture_teardown(state);
}

static void what_a_bar_is_can_be_asked(void **state)
{
	struct usrpci_bar_info info;

	assert_int_equal(usrpci_bar_info(dev, 3, &info), 0);
	assert_int_equal(info.size, 0x40);
	assert_int_equal(info.flags, USRPCI_BAR_IO);
	assert_int_not_equal(info.address, 0);
	assert_int_equal(usrpci_bar_info(dev, 1, &info), -ENOENT);
	assert_int_equal(usrpci_bar_info(dev, 6, &info), -EINVAL);
}

static void mapped_memory_is_reached_in_all_widths(void **state)
{
	struct usrpci_bar bar;
	uint8_t *memory = fake_bar_memory(dev, 0);

	assert_int_equal(usrpci_bar_map(dev, 0, &bar), 0);
	assert_int_equal(bar.size, 0x1000);
	usrpci_write64(&bar, 0x10, 0x8877665544332211);
	assert_memory_equal(memory + 0x10, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	assert_int_equal(usrpci_read8(&bar, 0x11), 0x22);
	assert_int_equal(usrpci_read16(&bar, 0x12), 0x4433);
	assert_int_equal(usrpci_read32(&bar, 0x14), 0x88776655);
	assert_true(usrpci_read64(&bar, 0x10) == 0x8877665544332211);
	usrpci_write8(&bar, 0x10, 0xaa);
	usrpci_write16(&bar, 0x12, 0xbbcc);
	usrpci_write32(&bar, 0x14, 0xdeadbeef);
	assert_memory_equal(memory + 0x10, "\xaa\x22\xcc\xbb\xef\xbe\xad\xde", 8);
	usrpci_bar_unmap(&bar);
}

static void registers_that_cannot_be_mapped_are_reached_by_calls(void **state)
{
	struct usrpci_bar bar;

	assert_int_equal(usrpci_bar_map(dev, 2, &bar), 0);
	usrpci_write32(&bar, 0x24, 0xdeadbeef);
	assert_int_equal(registers.offset, 0x24);
	assert_int_equal(registers.width, 4);
	assert_int_equal(registers.value, 0xdeadbeef);
	assert_int_equal(usrpci_read16(&bar, 0x26), 0xbeef);
	assert_int_equal(registers.width, 2);
	assert_int_equal(registers.calls, 2);
	usrpci_bar_unmap(&bar);
}

static void a_range_begins_and_ends_where_it_was_asked(void **state)
{
	struct usrpci_bar bar;

	fake_bar_memory(dev, 0)[0x804] = 0x5a;
	assert_int_equal(usrpci_bar_map_range(dev, 0, 0x800, 0x10, &bar), 0);
	assert_int_equal(bar.offset, 0x800);
	assert_int_equal(usrpci_read8(&bar, 4), 0x5a);
	assert_int_equal(usrpci_read32(&bar, 0x10), 0xffffffff);
	assert_logged(*state, "window of 16 bytes at 0x800");
	usrpci_bar_unmap(&bar);
	assert_int_equal(usrpci_bar_map_range(dev, 2, 0x40, 0x10, &bar), 0);
	usrpci_write8(&bar, 1, 7);
	assert_int_equal(registers.offset, 0x41);
	usrpci_bar_unmap(&bar);
}

static void the_odd_end_of_a_bar_is_reached_too(void **state)
{
	struct usrpci_bar bar;

	assert_int_equal(usrpci_bar_map(dev, 4, &bar), 0);
	assert_int_equal(bar.direct_size, 16);
	usrpci_write32(&bar, 16, 0x01020304);
	assert_int_equal(get_le32(fake_bar_memory(dev, 4) + 16), 0x01020304);
	assert_int_equal(usrpci_read32(&bar, 16), 0x01020304);
	usrpci_write64(&bar, 16, 0);
	assert_int_equal(usrpci_read32(&bar, 16), 0x01020304);
	usrpci_bar_unmap(&bar);
}

static void an_access_outside_reads_ones_or_is_dropped_and_is_logged(void **state)
{
	struct usrpci_bar bar;

	assert_int_equal(usrpci_bar_map(dev, 2, &bar), 0);
	assert_int_equal(usrpci_read16(&bar, 0x100), 0xffff);
	assert_true(usrpci_read64(&bar, SIZE_MAX - 7) == UINT64_MAX);
	usrpci_write8(&bar, 0x100, 1);
	usrpci_write32(&bar, 0x41, 1);
	assert_int_equal(registers.calls, 0);
	assert_logged(*state, "access of 2 bytes at 0x100 of BAR 2");
	usrpci_bar_unmap(&bar);
}

static void a_checked_access_names_what_is_wrong(void **state)
{
	struct usrpci_bar bar;
	uint64_t value = 1;

	assert_int_equal(usrpci_bar_map(dev, 0, &bar), 0);
	assert_int_equal(usrpci_bar_read(&bar, 0x1000, 1, &value), -ERANGE);
	assert_int_equal(usrpci_bar_read(&bar, 0xffe, 4, &value), -EINVAL);
	assert_int_equal(usrpci_bar_read(&bar, 0, 3, &value), -EINVAL);
	assert_int_equal(usrpci_bar_read(&bar, 0, 0, &value), -EINVAL);
	assert_int_equal(usrpci_bar_read(&bar, 0, 16, &value), -EINVAL);
	assert_int_equal(usrpci_bar_write(&bar, 0x1000, 8, 0), -ERANGE);
	assert_int_equal(value, 1);
	assert_int_equal(usrpci_bar_write(&bar, 0xff8, 8, 0x0102030405060708), 0);
	assert_int_equal(usrpci_bar_read(&bar, 0xff8, 8, &value), 0);
	assert_true(value == 0x0102030405060708);
	usrpci_bar_unmap(&bar);
}

static void ports_are_not_accessed_by_8_bytes(void **state)
{
	struct usrpci_bar bar;
	uint64_t value;

	assert_int_equal(usrpci_bar_map(dev, 3, &bar), 0);
	assert_int_equal(usrpci_bar_read(&bar, 0, 8, &value), -EINVAL);
	assert_int_equal(usrpci_bar_write(&bar, 4, 4, 9), 0);
	assert_int_equal(registers.offset, 4);
	usrpci_bar_unmap(&bar);
}

static void a_range_outside_the_bar_is_refused(void **state)
{
	struct usrpci_bar bar = {.index = 77};

	assert_int_equal(usrpci_bar_map_range(dev, 0, 0x1000, 1, &bar), -ERANGE);
	assert_int_equal(usrpci_bar_map_range(dev, 0, 0xfff, 2, &bar), -ERANGE);
	assert_int_equal(usrpci_bar_map_range(dev, 0, 8, SIZE_MAX, &bar), -ERANGE);
	assert_int_equal(usrpci_bar_map_range(dev, 0, UINT64_MAX, 2, &bar), -ERANGE);
	assert_int_equal(usrpci_bar_map_range(dev, 0, 0, 0, &bar), -ERANGE);
	assert_int_equal(usrpci_bar_map(dev, 1, &bar), -ENOENT);
	assert_int_equal(usrpci_bar_map(dev, 9, &bar), -EINVAL);
	assert_int_equal(bar.index, 77);
	assert_logged(*state, "BAR 1 does not exist");
}

static void mapping_switches_decoding_on_and_nothing_else(void **state)
{
	struct usrpci_bar memory, ports;

	assert_int_equal(usrpci_bar_map(dev, 0, &memory), 0);
	assert_int_equal(fake_config(dev)[PCI_COMMAND], PCI_COMMAND_MEMORY);
	assert_int_equal(usrpci_bar_map(dev, 3, &ports), 0);
	assert_int_equal(fake_config(dev)[PCI_COMMAND], PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	usrpci_bar_unmap(&memory);
	usrpci_bar_unmap(&ports);
}

static void a_mapping_that_fails_leaves_nothing_behind(void **state)
{
	struct usrpci_bar bar;

	/* The calls: read the command register, write it, map. */
	for (unsigned int call = 1; call <= 3; call++) {
		fake_config(dev)[PCI_COMMAND] = 0;
		fake_fail(dev, call, -EPERM);
		assert_int_equal(usrpci_bar_map(dev, 0, &bar), -EPERM);
	}
	fake_fail(dev, 4, -EPERM);
	fake_config(dev)[PCI_COMMAND] = 0;
	assert_int_equal(usrpci_bar_map(dev, 0, &bar), 0);
	usrpci_bar_unmap(&bar);
}

static void unmapping_twice_or_nothing_is_harmless(void **state)
{
	struct usrpci_bar bar, copy, other, never = {0};

	assert_int_equal(usrpci_bar_map(dev, 0, &bar), 0);
	assert_int_equal(usrpci_bar_map_range(dev, 0, 8, 8, &other), 0);
	copy = bar;
	usrpci_bar_unmap(&bar);
	usrpci_bar_unmap(&bar);
	usrpci_bar_unmap(&copy);
	usrpci_bar_unmap(&never);
	usrpci_bar_unmap(NULL);
	assert_int_equal(usrpci_read8(&other, 0), 0);
	usrpci_bar_unmap(&other);
}

static void bytes_are_copied_from_any_offset_to_any_other(void **state)
{
	uint8_t from[40], back[48];
	struct usrpci_bar bar;

	(void)state;
	for (unsigned int i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i + 1);
	assert_int_equal(usrpci_bar_map_range(dev, 0, 4, 0x100, &bar), 0);
	for (size_t offset = 0; offset < 9; offset++) {
		for (size_t size = 0; size < sizeof(from); size++) {
			memset(fake_bar_memory(dev, 0), 0xee, 64);
			memset(back, 0xaa, sizeof(back));
			assert_int_equal(usrpci_bar_copy_to(&bar, offset, from, size), 0);
			assert_memory_equal(fake_bar_memory(dev, 0) + 4 + offset, from, size);
			assert_int_equal(fake_bar_memory(dev, 0)[3 + offset], 0xee);
			assert_int_equal(fake_bar_memory(dev, 0)[4 + offset + size], 0xee);
			assert_int_equal(usrpci_bar_copy_from(&bar, offset, back + 1, size), 0);
			assert_memory_equal(back + 1, from, size);
			assert_int_equal(back[size + 1], 0xaa);
		}
	}
	assert_int_equal(usrpci_bar_copy_to(&bar, 0xf8, from, 9), -ERANGE);
	assert_int_equal(usrpci_bar_copy_from(&bar, 0x101, back, 0), -ERANGE);
	assert_int_equal(usrpci_bar_copy_from(&bar, SIZE_MAX, back, 2), -ERANGE);
	usrpci_bar_unmap(&bar);
	assert_int_equal(usrpci_bar_copy_from(&bar, 0, back, 1), -EINVAL);
}

/* An access of another kind ends a program on arm64. */
static void copies_are_made_of_aligned_accesses(void **state)
{
	uint8_t bytes[40] = {0};
	struct usrpci_bar bar;

	(void)state;
	for (unsigned int index = 2; index < 4; index++) {
		for (size_t start = 0; start < 8; start++) {
			assert_int_equal(usrpci_bar_map_range(dev, index, start, 0x30, &bar), 0);
			for (size_t i = 0; i < 8 * sizeof(bytes); i++) {
				assert_int_equal(usrpci_bar_copy_to(&bar, i % 8, bytes, i / 8), 0);
				assert_int_equal(usrpci_bar_copy_from(&bar, i % 8, bytes, i / 8),
						 0);
			}
			usrpci_bar_unmap(&bar);
		}
	}
}

static void copies_of_ports_are_calls_of_four_bytes_at_most(void **state)
{
	struct usrpci_bar bar;
	uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	(void)state;
	assert_int_equal(usrpci_bar_map(dev, 3, &bar), 0);
	assert_int_equal(usrpci_bar_copy_to(&bar, 8, bytes, 8), 0);
	assert_int_equal(registers.calls, 2);
	assert_int_equal(registers.width, 4);
	assert_int_equal(registers.value, 0x08070605);
	assert_int_equal(usrpci_bar_copy_from(&bar, 2, bytes, 2), 0);
	assert_int_equal(registers.width, 2);
	usrpci_bar_unmap(&bar);
}

static void ones_of_a_device_that_is_there_are_a_value(void **state)
{
	struct usrpci_bar bar;
	uint64_t value;

	assert_int_equal(usrpci_bar_map(dev, 2, &bar), 0);
	registers.value = UINT64_MAX;
	assert_int_equal(usrpci_bar_read(&bar, 0, 4, &value), 0);
	assert_int_equal(value, UINT32_MAX);
	fake_unplug(dev);
	assert_int_equal(usrpci_bar_read(&bar, 0, 4, &value), -ENODEV);
	assert_int_equal(usrpci_read32(&bar, 0), UINT32_MAX);
	usrpci_bar_unmap(&bar);
}

/* BAR 0 counts: its value is how often it was read. */
static uint64_t count_reads(void *data, size_t offset, unsigned int width)
{
	return ++((struct registers *)data)->calls;
}

static struct usrpci_dev *open_counter(void)
{
	const struct fake_model model = {
		.vendor = 0x1234,
		.device = 0x11e9,
		.bars = {{.size = 8, .read = count_reads, .write = write_register}},
		.data = &registers,
	};
	struct usrpci_dev *counter;

	assert_int_equal(fake_open(ctx, &model, &counter), 0);
	return counter;
}

static void a_register_is_waited_for(void **state)
{
	struct usrpci_dev *counter = open_counter();
	struct usrpci_bar bar;
	uint32_t last;

	assert_int_equal(usrpci_bar_map(counter, 0, &bar), 0);
	assert_int_equal(usrpci_bar_wait32(&bar, 0, 0xf0, 0x20, 5000, &last), 0);
	assert_int_equal(last, 0x20);
	assert_int_equal(usrpci_bar_wait32(&bar, 0, 0xff, 0x12f, 5000, &last), 0);
	assert_int_equal(last, 0x2f);
	usrpci_dev_close(counter);
}

static void a_register_that_never_changes_has_a_deadline(void **state)
{
	struct usrpci_bar bar;
	uint32_t last = 0;

	assert_int_equal(usrpci_bar_map(dev, 2, &bar), 0);
	registers.value = 0x10;
	assert_int_equal(usrpci_bar_wait32(&bar, 0, 1, 1, 0, &last), -ETIMEDOUT);
	assert_int_equal(registers.calls, 1);
	assert_int_equal(usrpci_bar_wait32(&bar, 0, 1, 1, 3, &last), -ETIMEDOUT);
	assert_true(registers.calls > 2);
	assert_int_equal(last, 0x10);
	registers.value = 1;
	assert_int_equal(usrpci_bar_wait32(&bar, 0, 1, 1, 0, NULL), 0);
}

static void a_device_that_is_gone_ends_the_wait_for_its_register(void **state)
{
	struct usrpci_bar bar;

	assert_int_equal(usrpci_bar_map(dev, 2, &bar), 0);
	fake_unplug(dev);
	assert_int_equal(usrpci_bar_wait32(&bar, 0, 1, 1, 60000, NULL), -ENODEV);
	assert_int_equal(usrpci_bar_wait32(&bar, 0, 1, 0, 60000, NULL), -ENODEV);
}

static void a_register_of_64_bits_is_reached_by_its_halves(void **state)
{
	struct usrpci_bar bar;

	assert_int_equal(usrpci_bar_map(dev, 2, &bar), 0);
	registers.value = 0x12345678;
	assert_int_equal(usrpci_read64_lo_hi(&bar, 8), 0x1234567812345678);
	assert_int_equal(registers.calls, 2);
	assert_int_equal(registers.width, 4);
	assert_int_equal(registers.offset, 12);
	usrpci_write64_lo_hi(&bar, 16, 0xaabbccdd11223344);
	assert_int_equal(registers.calls, 4);
	assert_int_equal(registers.width, 4);
	assert_int_equal(registers.offset, 20);
	assert_int_equal(registers.value, 0xaabbccdd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_bar_is_can_be_asked),
		TEST(mapped_memory_is_reached_in_all_widths),
		TEST(registers_that_cannot_be_mapped_are_reached_by_calls),
		TEST(a_range_begins_and_ends_where_it_was_asked),
		TEST(the_odd_end_of_a_bar_is_reached_too),
		TEST(an_access_outside_reads_ones_or_is_dropped_and_is_logged),
		TEST(a_checked_access_names_what_is_wrong),
		TEST(ports_are_not_accessed_by_8_bytes),
		TEST(a_range_outside_the_bar_is_refused),
		TEST(mapping_switches_decoding_on_and_nothing_else),
		TEST(a_mapping_that_fails_leaves_nothing_behind),
		TEST(unmapping_twice_or_nothing_is_harmless),
		TEST(bytes_are_copied_from_any_offset_to_any_other),
		TEST(copies_are_made_of_aligned_accesses),
		TEST(copies_of_ports_are_calls_of_four_bytes_at_most),
		TEST(ones_of_a_device_that_is_there_are_a_value),
		TEST(a_register_is_waited_for),
		TEST(a_register_that_never_changes_has_a_deadline),
		TEST(a_device_that_is_gone_ends_the_wait_for_its_register),
		TEST(a_register_of_64_bits_is_reached_by_its_halves),
	};

	return cmocka_run_group_tests_name("bar", tests, NULL, NULL);
}
