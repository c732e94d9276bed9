// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices bound to uio_pci_generic, on a host made of files: /dev/uioN is a pipe into which the
 * test writes what the kernel would count.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "fixture.h"

#define ADDR "0000:00:03.0"
#define DIR_ "/sys/devices/pci0000:00/" ADDR

static const struct fixture_device edu = {
	.addr = ADDR,
	.vendor = 0x1234,
	.device = 0x11e8,
	.irq_pin = 1,
	.driver = "uio_pci_generic",
	.bars = {{0xfea00000, 0x1000, 0x40200},
		 {0xc000, 0x40, 0x40101},
		 {0xfea01fc0, 0x40, 0x40200},
		 {0, 0x1000, 0x20040200},
		 {0x4000000000, 0x4000, 0x14220c}},
	.uio = 3,
};

static struct usrpci_ctx *ctx;
static struct usrpci_dev *dev;
static int kernel; /* writing end of /dev/uio2 */

static void write_config16(struct fixture *fixture, unsigned int offset, uint16_t value)
{
	uint8_t bytes[2];

	put_le16(bytes, value);
	fixture_config(fixture, ADDR, offset, bytes, sizeof(bytes));
}

static uint16_t read_config16(struct fixture *fixture, unsigned int offset)
{
	uint8_t bytes[2];

	fixture_config_read(fixture, ADDR, offset, bytes, sizeof(bytes));
	return get_le16(bytes);
}

static int setup_host(void **state)
{
	struct fixture *fixture;
	char path[128];

	if (fixture_setup(state))
		return -1;
	fixture = *state;
	fixture_add(fixture, &edu);
	write_config16(fixture, PCI_COMMAND, PCI_COMMAND_SERR);
	ctx = fixture_ctx(fixture);
	snprintf(path, sizeof(path), "%s/dev/uio2", fixture->root);
	kernel = open(path, O_RDWR | O_CLOEXEC);
	return kernel < 0;
}

static int setup(void **state)
{
	return setup_host(state) || usrpci_dev_open(ctx, "00:03.0", &dev);
}

static int teardown_host(void **state)
{
	usrpci_ctx_close(ctx);
	close(kernel);
	return fixture_teardown(state);
}

static int teardown(void **state)
{
	usrpci_dev_close(dev);
	return teardown_host(state);
}

/* The kernel has counted so many interrupts by now. */
static void kernel_counts(uint32_t count)
{
	assert_int_equal(write(kernel, &count, sizeof(count)), sizeof(count));
}

static void a_device_of_uio_is_opened_through_it(void **state)
{
	assert_string_equal(usrpci_dev_backend(dev), "uio");
	assert_int_equal(usrpci_dev_features(dev), USRPCI_FEATURE_INTX | USRPCI_FEATURE_DMA);
	assert_int_equal(usrpci_config_size(dev), 256);
	assert_int_equal(read_config16(*state, PCI_COMMAND), PCI_COMMAND_SERR);
}

static void a_second_opener_is_refused(void **state)
{
	struct usrpci_ctx *other = fixture_ctx(*state);
	struct usrpci_dev *second;

	assert_int_equal(usrpci_dev_open(other, ADDR, &second), -EBUSY);
	assert_logged(*state, "another program has /dev/uio2 open");
	usrpci_dev_close(dev);
	assert_int_equal(usrpci_dev_open(other, ADDR, &dev), 0);
	usrpci_dev_close(dev);
	usrpci_ctx_close(other);
	dev = NULL;
}

/* BAR 4 is prefetchable, so the kernel has a second file for it. */
static void stores_are_combined_where_the_kernel_can(void **state)
{
	static const uint8_t page[4096];
	struct usrpci_bar bar;
	char *text;

	assert_int_equal(usrpci_bar_map_flags(dev, 4, 0, 4096, USRPCI_BAR_WC, &bar), 0);
	assert_false(bar.flags & USRPCI_BAR_WC);
	usrpci_bar_unmap(&bar);
	fixture_bytes(*state, DIR_ "/resource4_wc", page, sizeof(page));
	assert_int_equal(usrpci_bar_map_flags(dev, 4, 0, 4096, USRPCI_BAR_WC, &bar), 0);
	assert_true(bar.flags & USRPCI_BAR_WC);
	usrpci_write32(&bar, 0, 0x636261);
	usrpci_wc_flush();
	text = fixture_read(*state, DIR_ "/resource4_wc");
	assert_string_equal(text, "abc");
	free(text);
	usrpci_bar_unmap(&bar);
	assert_int_equal(usrpci_bar_map(dev, 4, &bar), 0);
	assert_false(bar.flags & USRPCI_BAR_WC);
	assert_int_equal(usrpci_read32(&bar, 0), 0);
	usrpci_bar_unmap(&bar);
	assert_int_equal(usrpci_bar_map_flags(dev, 4, 0, 4096, USRPCI_BAR_IO, &bar), -EINVAL);
}

static void a_pin_without_an_interrupt_gives_none(void **state)
{
	uint16_t vendor;

	fixture_text(*state, DIR_ "/irq", "0\n");
	assert_int_equal(usrpci_dev_open(ctx, ADDR, &dev), 0);
	assert_int_equal(usrpci_dev_features(dev), USRPCI_FEATURE_DMA);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), -EOPNOTSUPP);
	assert_logged(*state, "the kernel has no interrupt for it");
	assert_int_equal(usrpci_config_read16(dev, PCI_VENDOR_ID, &vendor), 0);
	assert_int_equal(vendor, 0x1234);
	usrpci_dev_close(dev);
}

/* Reading at address 0 of a process's memory is the same error as reading such a uio device. */
static void an_interrupt_that_uio_does_not_have_is_no_unplugging(void **state)
{
	uint16_t vendor;

	fixture_remove(*state, "/dev/uio2");
	fixture_link(*state, "/dev/uio2", "/proc/self/mem");
	assert_int_equal(usrpci_dev_open(ctx, ADDR, &dev), 0);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), -EOPNOTSUPP);
	assert_logged(*state, "the kernel delivers no interrupts of the device");
	assert_int_equal(usrpci_config_read16(dev, PCI_VENDOR_ID, &vendor), 0);
	usrpci_dev_close(dev);
}

static void a_bar_without_an_address_is_shown_and_not_mapped(void **state)
{
	const uint8_t prefetchable_64bit[4] = {0x0c};
	struct usrpci_bar_info info;
	struct usrpci_bar bar;

	fixture_config(*state, ADDR, PCI_BASE_ADDRESS_5, prefetchable_64bit, 4);
	assert_int_equal(usrpci_dev_open(ctx, ADDR, &dev), 0);
	assert_int_equal(usrpci_bar_info(dev, 5, &info), 0);
	assert_int_equal(info.flags,
			 USRPCI_BAR_64BIT | USRPCI_BAR_PREFETCH | USRPCI_BAR_UNASSIGNED);
	assert_int_equal(info.size, 0);
	assert_int_equal(usrpci_bar_map(dev, 5, &bar), -ENXIO);
	assert_logged(*state, "firmware and kernel gave BAR 5 no address");
	usrpci_dev_close(dev);
}

static void bars_are_what_the_kernel_says(void **state)
{
	struct usrpci_bar_info info;

	assert_int_equal(usrpci_bar_info(dev, 0, &info), 0);
	assert_int_equal(info.address, 0xfea00000);
	assert_int_equal(info.size, 0x1000);
	assert_int_equal(info.flags, 0);
	assert_int_equal(usrpci_bar_info(dev, 1, &info), 0);
	assert_int_equal(info.flags, USRPCI_BAR_IO);
	assert_int_equal(usrpci_bar_info(dev, 3, &info), 0);
	assert_int_equal(info.address, 0);
	assert_int_equal(usrpci_bar_info(dev, 4, &info), 0);
	assert_true(info.address == 0x4000000000);
	assert_int_equal(info.flags, USRPCI_BAR_64BIT | USRPCI_BAR_PREFETCH);
	assert_int_equal(usrpci_bar_info(dev, 5, &info), -ENOENT);
}

static void peek(struct fixture *fixture, const char *file, off_t offset, void *bytes, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s" DIR_ "/%s", fixture->root, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, size, offset), size);
	close(fd);
}

static void memory_is_mapped_and_decoding_switched_on(void **state)
{
	struct usrpci_bar bar;
	uint8_t bytes[4];

	assert_int_equal(usrpci_bar_map(dev, 0, &bar), 0);
	assert_int_equal(bar.direct_size, 0x1000);
	usrpci_write32(&bar, 0x80, 0x01020304);
	peek(*state, "resource0", 0x80, bytes, sizeof(bytes));
	assert_int_equal(get_le32(bytes), 0x01020304);
	assert_int_equal(read_config16(*state, PCI_COMMAND), PCI_COMMAND_SERR | PCI_COMMAND_MEMORY);
	usrpci_bar_unmap(&bar);
}

static void a_range_in_the_second_page_is_mapped(void **state)
{
	struct usrpci_bar bar;
	uint8_t byte;

	assert_int_equal(usrpci_bar_map_range(dev, 4, 0x1008, 0x10, &bar), 0);
	usrpci_write8(&bar, 1, 0x77);
	peek(*state, "resource4", 0x1009, &byte, 1);
	assert_int_equal(byte, 0x77);
	usrpci_bar_unmap(&bar);
}

static void a_file_that_is_shorter_than_its_bar_is_refused(void **state)
{
	const struct fixture *fixture = *state;
	struct usrpci_bar bar;
	char path[128];

	snprintf(path, sizeof(path), "%s" DIR_ "/resource0", fixture->root);
	assert_int_equal(truncate(path, 0x800), 0);
	assert_int_equal(usrpci_bar_map(dev, 0, &bar), -EPROTO);
	assert_logged(*state, "its file resource0 is shorter than its BAR");
}

static void a_bar_in_the_middle_of_a_page_is_found_there(void **state)
{
	const size_t at = 0xfea01fc0 & ((size_t)sysconf(_SC_PAGESIZE) - 1);
	struct usrpci_bar bar;
	uint8_t byte;

	assert_int_equal(usrpci_bar_map(dev, 2, &bar), 0);
	usrpci_write8(&bar, 0, 0x55);
	peek(*state, "resource2", at, &byte, 1);
	assert_int_equal(byte, 0x55);
	usrpci_bar_unmap(&bar);
	assert_int_equal(usrpci_bar_map_range(dev, 2, 0x20, 8, &bar), 0);
	usrpci_write8(&bar, 1, 0x66);
	peek(*state, "resource2", at + 0x21, &byte, 1);
	assert_int_equal(byte, 0x66);
	usrpci_bar_unmap(&bar);
}

static void ports_go_through_their_file(void **state)
{
	struct usrpci_bar bar, again;
	uint8_t bytes[4];

	assert_int_equal(usrpci_bar_map(dev, 1, &bar), 0);
	assert_int_equal(usrpci_bar_map_range(dev, 1, 0x10, 4, &again), 0);
	assert_int_equal(bar.direct_size, 0);
	usrpci_write16(&bar, 0x10, 0xbeef);
	peek(*state, "resource1", 0x10, bytes, 2);
	assert_int_equal(get_le16(bytes), 0xbeef);
	usrpci_bar_unmap(&bar);
	assert_int_equal(usrpci_read16(&again, 0), 0xbeef);
	assert_int_equal(read_config16(*state, PCI_COMMAND), PCI_COMMAND_SERR | PCI_COMMAND_IO);
	usrpci_bar_unmap(&again);
}

static void a_bar_without_address_is_not_mapped(void **state)
{
	struct usrpci_bar bar;

	assert_int_equal(usrpci_bar_map(dev, 3, &bar), -ENXIO);
	assert_logged(*state, "firmware and kernel gave BAR 3 no address");
}

static void interrupts_are_the_difference_of_two_counts(void **state)
{
	fixture_text(*state, DIR_ "/uio/uio2/event", "41\n");
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	kernel_counts(42);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 1000), 1);
	kernel_counts(45);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, -1), 3);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 0), -ETIMEDOUT);
}

static void the_count_may_wrap(void **state)
{
	fixture_text(*state, DIR_ "/uio/uio2/event", "4294967295\n");
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	kernel_counts(1);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 1000), 2);
}

static void interrupts_from_before_enabling_are_forgotten(void **state)
{
	kernel_counts(7);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 0), -ETIMEDOUT);
	kernel_counts(8);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 1000), 1);
}

static void intx_is_masked_in_the_command_register(void **state)
{
	const uint16_t disabled = PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE;

	write_config16(*state, PCI_COMMAND, disabled);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	assert_int_equal(read_config16(*state, PCI_COMMAND), PCI_COMMAND_SERR);
	assert_int_equal(usrpci_irq_mask(dev, USRPCI_IRQ_INTX, 0), 0);
	assert_int_equal(read_config16(*state, PCI_COMMAND), disabled);
	assert_int_equal(usrpci_irq_unmask(dev, USRPCI_IRQ_INTX, 0), 0);
	assert_int_equal(read_config16(*state, PCI_COMMAND), PCI_COMMAND_SERR);
	assert_int_equal(usrpci_irq_disable(dev, USRPCI_IRQ_INTX), 0);
	assert_int_equal(read_config16(*state, PCI_COMMAND), disabled);
}

static void unmasking_leaves_bus_mastering_and_status_alone(void **state)
{
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	assert_int_equal(usrpci_dev_set_bus_master(dev, true), 0);
	write_config16(*state, PCI_STATUS, 0xf910);
	assert_int_equal(usrpci_irq_unmask(dev, USRPCI_IRQ_INTX, 0), 0);
	assert_int_equal(read_config16(*state, PCI_COMMAND), PCI_COMMAND_SERR | PCI_COMMAND_MASTER);
	assert_int_equal(read_config16(*state, PCI_STATUS), 0xf910);
}

static void closing_stops_the_device(void **state)
{
	struct usrpci_bar bar;

	assert_int_equal(usrpci_bar_map(dev, 0, &bar), 0);
	assert_int_equal(usrpci_bar_map(dev, 1, &bar), 0);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	assert_int_equal(usrpci_dev_set_bus_master(dev, true), 0);
	usrpci_dev_close(dev);
	dev = NULL;
	assert_int_equal(read_config16(*state, PCI_COMMAND),
			 PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_MEMORY |
				 PCI_COMMAND_IO);
}

static void message_interrupts_are_refused_with_the_cure(void **state)
{
	write_config16(*state, PCI_CAPABILITY_LIST, 0x40);
	write_config16(*state, 0x40, PCI_CAP_ID_MSI);
	assert_int_equal(usrpci_irq_count(dev, USRPCI_IRQ_MSI), 0);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 1), -EOPNOTSUPP);
	assert_logged(*state, "uio gives no MSI interrupts");
	assert_logged(*state, "usrpci bind " ADDR " --driver vfio-pci");
}

static void a_device_that_is_gone_is_all_ones(void **state)
{
	uint8_t ones[256];
	uint32_t value;

	memset(ones, 0xff, sizeof(ones));
	fixture_config(*state, ADDR, 0, ones, sizeof(ones));
	assert_int_equal(usrpci_config_read32(dev, 0, &value), -ENODEV);
	assert_int_equal(usrpci_dev_set_bus_master(dev, true), -ENODEV);
}

static void a_reset_is_one_write(void **state)
{
	char *written;

	assert_int_equal(usrpci_dev_reset(dev, USRPCI_RESET_FUNCTION), -EOPNOTSUPP);
	fixture_text(*state, DIR_ "/reset", "");
	assert_int_equal(usrpci_dev_reset(dev, USRPCI_RESET_FUNCTION), 0);
	written = fixture_read(*state, DIR_ "/reset");
	assert_string_equal(written, "1");
	free(written);
}

static void a_device_without_pin_has_no_intx(void **state)
{
	static const uint8_t none = 0;

	fixture_config(*state, ADDR, PCI_INTERRUPT_PIN, &none, 1);
	assert_int_equal(usrpci_dev_open(ctx, ADDR, &dev), 0);
	assert_int_equal(usrpci_dev_features(dev), USRPCI_FEATURE_DMA);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), -EOPNOTSUPP);
	assert_logged(*state, "no interrupt pin");
	usrpci_dev_close(dev);
}

static void a_missing_file_is_named_and_nothing_stays_open(void **state)
{
	static const char *const files[] = {"/dev/uio2", DIR_ "/resource"};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		fixture_remove(*state, files[i]);
		assert_true(usrpci_dev_open(ctx, ADDR, &dev) < 0);
		fixture_text(*state, files[i], "not a resource\n");
	}
	assert_logged(*state, "/dev/uio2");
	assert_logged(*state, "/resource");
	assert_int_equal(usrpci_dev_open(ctx, ADDR, &dev), -EPROTO);
	assert_logged(*state, "line 1 of its file resource makes no sense");
	/* The lock on it was let go each time. */
	fixture_remove(*state, DIR_ "/uio");
	assert_int_equal(usrpci_dev_open(ctx, ADDR, &dev), -ENOENT);
	assert_logged(*state, "/uio: ");
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_HOST(name) cmocka_unit_test_setup_teardown(name, setup_host, teardown_host)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_of_uio_is_opened_through_it),
		TEST(a_second_opener_is_refused),
		TEST(bars_are_what_the_kernel_says),
		TEST(memory_is_mapped_and_decoding_switched_on),
		TEST(a_range_in_the_second_page_is_mapped),
		TEST(a_bar_in_the_middle_of_a_page_is_found_there),
		TEST(a_file_that_is_shorter_than_its_bar_is_refused),
		TEST(stores_are_combined_where_the_kernel_can),
		TEST(ports_go_through_their_file),
		TEST(a_bar_without_address_is_not_mapped),
		TEST(interrupts_are_the_difference_of_two_counts),
		TEST(the_count_may_wrap),
		TEST(interrupts_from_before_enabling_are_forgotten),
		TEST(intx_is_masked_in_the_command_register),
		TEST(unmasking_leaves_bus_mastering_and_status_alone),
		TEST(closing_stops_the_device),
		TEST(message_interrupts_are_refused_with_the_cure),
		TEST(a_device_that_is_gone_is_all_ones),
		TEST_HOST(a_pin_without_an_interrupt_gives_none),
		TEST_HOST(an_interrupt_that_uio_does_not_have_is_no_unplugging),
		TEST_HOST(a_bar_without_an_address_is_shown_and_not_mapped),
		TEST(a_reset_is_one_write),
		TEST_HOST(a_device_without_pin_has_no_intx),
		TEST_HOST(a_missing_file_is_named_and_nothing_stays_open),
	};

	return cmocka_run_group_tests_name("uio", tests, NULL, NULL);
}
