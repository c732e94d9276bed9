// SPDX-License-Identifier: BSD-2-Clause
/*
 * Configuration space of a lent device: what the program may write there, and what is put back.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>

#include "bytes.h"
#include "kernel.h"
#include "lend/lend.h"

#define ADDR "0000:03:00.0"

enum { POWER = 0x50, MSI = 0x60, EXPRESS = 0x80, MSIX = 0xc0, OWN = 0xe0 };

/* A device with the usual capabilities. */
static struct lend_device lent_device(struct kernel *kernel)
{
	const struct fixture_device fixture = {.addr = ADDR, .bars = {{0xfe000000, 0x1000, 0x200}}};
	struct lend_device device = {.info = {.addr = address(ADDR)}};
	uint8_t caps[0xc0] = {0};

	fixture_add(kernel->fixture, &fixture);
	fixture_config(kernel->fixture, ADDR, PCI_STATUS, "\x10", 1);
	fixture_config(kernel->fixture, ADDR, PCI_CAPABILITY_LIST, "\x50", 1);
	put_le16(caps + POWER - 0x40, PCI_CAP_ID_PM | MSI << 8);
	put_le16(caps + MSI - 0x40, PCI_CAP_ID_MSI | EXPRESS << 8);
	put_le16(caps + MSI - 0x40 + 2, PCI_MSI_FLAGS_64BIT);
	put_le16(caps + EXPRESS - 0x40, PCI_CAP_ID_EXP | MSIX << 8);
	put_le16(caps + EXPRESS - 0x40 + 2, 2);
	put_le16(caps + EXPRESS - 0x40 + PCI_EXP_DEVCTL, 0x20);
	put_le16(caps + MSIX - 0x40, PCI_CAP_ID_MSIX);
	fixture_config(kernel->fixture, ADDR, 0x40, caps, sizeof(caps));
	assert_int_equal(lend_config_save(kernel->host, &device.info.addr, &device.config), 0);
	return device;
}

static uint32_t read_back(struct kernel *kernel, unsigned int offset)
{
	uint8_t bytes[4];

	fixture_config_read(kernel->fixture, ADDR, offset, bytes, sizeof(bytes));
	return get_le32(bytes);
}

static void assert_write(struct kernel *kernel, struct lend_device *device, unsigned int offset,
			 unsigned int width, uint32_t value, int error)
{
	uint32_t before = read_back(kernel, offset & ~3U);

	assert_int_equal(lend_config_write(kernel->host, device, offset, width, value), error);
	if (error)
		assert_int_equal(read_back(kernel, offset & ~3U), before);
	else
		assert_int_equal((read_back(kernel, offset & ~3U) >> 8 * (offset & 3)) &
					 (UINT32_MAX >> (32 - 8 * width)),
				 value);
}

static void a_program_writes_what_is_its_own(void **state)
{
	struct kernel *kernel = *state;
	struct lend_device device = lent_device(kernel);

	assert_write(kernel, &device, PCI_COMMAND, 2, 0x0406, 0);
	assert_write(kernel, &device, PCI_CACHE_LINE_SIZE, 1, 0x20, 0);
	assert_write(kernel, &device, PCI_INTERRUPT_LINE, 1, 5, 0);
	assert_write(kernel, &device, POWER + PCI_PM_CTRL, 2, 3, 0);
	assert_write(kernel, &device, EXPRESS + PCI_EXP_DEVCTL, 2, 0x5020, 0);
	assert_write(kernel, &device, EXPRESS + PCI_EXP_DEVCTL2, 2, 5, 0);
	assert_write(kernel, &device, OWN, 4, 0x12345678, 0);
	usrpci_dev_close(device.config_dev);
}

static void a_program_does_not_write_what_is_the_kernels(void **state)
{
	struct kernel *kernel = *state;
	struct lend_device device = lent_device(kernel);

	assert_write(kernel, &device, PCI_BASE_ADDRESS_0, 4, 0x1000, -EPERM);
	assert_write(kernel, &device, PCI_ROM_ADDRESS, 4, 0xfffff801, -EPERM);
	assert_write(kernel, &device, POWER + 1, 1, 0, -EPERM);
	assert_write(kernel, &device, MSI + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE, -EPERM);
	assert_write(kernel, &device, MSI + PCI_MSI_ADDRESS_LO, 4, 0x12345000, -EPERM);
	assert_write(kernel, &device, MSI + PCI_MSI_DATA_64, 2, 0xbeef, -EPERM);
	assert_write(kernel, &device, MSIX + PCI_MSIX_FLAGS, 2, 0xc000, -EPERM);
	assert_write(kernel, &device, EXPRESS + PCI_EXP_SLTCTL, 2, 1, -EPERM);
	usrpci_dev_close(device.config_dev);
}

static void a_program_writes_whole_words_for_a_byte(void **state)
{
	struct kernel *kernel = *state;
	struct lend_device device = lent_device(kernel);
	uint32_t word = read_back(kernel, PCI_INTERRUPT_LINE);

	assert_write(kernel, &device, PCI_INTERRUPT_LINE, 4, (word & ~0xffU) | 9, 0);
	assert_write(kernel, &device, PCI_INTERRUPT_LINE, 4, (word ^ 0x0100) | 9, -EPERM);
	usrpci_dev_close(device.config_dev);
}

static void a_write_outside_is_refused(void **state)
{
	struct kernel *kernel = *state;
	struct lend_device device = lent_device(kernel);
	const struct {
		uint64_t offset, width;
	} wrong[] = {{256, 4}, {UINT64_MAX, 1}, {254, 4}, {OWN + 1, 2},
		     {OWN, 3}, {OWN, 8},        {OWN, 0}};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(lend_config_write(kernel->host, &device, wrong[i].offset,
						   wrong[i].width, 0),
				 -EPERM);
	usrpci_dev_close(device.config_dev);
}

static void what_a_program_changed_is_put_back(void **state)
{
	struct kernel *kernel = *state;
	struct lend_device device = lent_device(kernel);

	assert_write(kernel, &device, POWER + PCI_PM_CTRL, 2, 0x0103, 0);
	assert_write(kernel, &device, EXPRESS + PCI_EXP_DEVCTL, 2, 0x50ef, 0);
	assert_write(kernel, &device, EXPRESS + PCI_EXP_LNKCTL, 2, 0x01c3, 0);
	assert_write(kernel, &device, EXPRESS + PCI_EXP_DEVCTL2, 2, 0x0005, 0);
	usrpci_dev_close(device.config_dev);
	assert_int_equal(lend_stop(kernel->host, &device.info.addr, &device.config), 0);
	assert_int_equal(read_back(kernel, POWER + PCI_PM_CTRL), 0);
	assert_int_equal(read_back(kernel, EXPRESS + PCI_EXP_DEVCTL), 0x20);
	assert_int_equal(read_back(kernel, EXPRESS + PCI_EXP_LNKCTL), 0);
	assert_int_equal(read_back(kernel, EXPRESS + PCI_EXP_DEVCTL2), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kernel_setup, kernel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_program_writes_what_is_its_own),
		TEST(a_program_does_not_write_what_is_the_kernels),
		TEST(a_program_writes_whole_words_for_a_byte),
		TEST(a_write_outside_is_refused),
		TEST(what_a_program_changed_is_put_back),
	};

	return cmocka_run_group_tests_name("lend_config", tests, NULL, NULL);
}
