// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices: which can be opened, bus mastering, reset, and what closing leaves behind.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fake/fake.h"
#include "fixture.h"

static const struct fake_model model = {
	.vendor = 0x1234,
	.device = 0x11e8,
	.irq_pin = 1,
	.bars = {{.size = 0x1000}},
};

static void assert_open_fails(struct fixture *fixture, const char *name, int expected)
{
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_dev *dev = (struct usrpci_dev *)fixture;

	assert_int_equal(usrpci_dev_open(ctx, name, &dev), expected);
	assert_ptr_equal(dev, fixture);
	usrpci_ctx_close(ctx);
}

static void a_device_of_a_kernel_driver_is_refused_with_the_cure(void **state)
{
	fixture_add(*state, &(struct fixture_device){
				    .addr = "0000:00:03.0", .vendor = 0x8086, .driver = "e1000"});
	assert_open_fails(*state, "00:03.0", -EBUSY);
	assert_logged(*state, "0000:00:03.0: the kernel's driver e1000 holds it");
	assert_logged(*state, "hint: usrpci bind 0000:00:03.0");
}

static void a_device_without_driver_is_refused_with_the_cure(void **state)
{
	fixture_add(*state, &(struct fixture_device){.addr = "0000:00:03.0", .vendor = 0x8086});
	assert_open_fails(*state, "00:03.0", -ENXIO);
	assert_logged(*state, "hint: usrpci bind 0000:00:03.0");
}

static void a_name_that_is_no_device_is_refused(void **state)
{
	assert_open_fails(*state, "00:04.0", -ENODEV);
	assert_open_fails(*state, "what is this?", -ENODEV);
	assert_open_fails(*state, "fake:1234:11e8", -EINVAL);
}

static void a_device_is_inspected_whoever_holds_it(void **state)
{
	static const uint8_t command = PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev *dev;
	uint16_t vendor;
	uint8_t after;

	fixture_add(*state, &(struct fixture_device){
				    .addr = "0000:00:03.0", .vendor = 0x8086, .driver = "e1000"});
	fixture_config(*state, "0000:00:03.0", PCI_COMMAND, &command, 1);
	assert_int_equal(usrpci_dev_inspect(ctx, "8086:0", &dev), 0);
	assert_string_equal(usrpci_dev_backend(dev), "sysfs");
	assert_string_equal(usrpci_dev_name(dev), "0000:00:03.0");
	assert_string_equal(usrpci_dev_info(dev)->driver, "e1000");
	assert_ptr_equal(usrpci_dev_ctx(dev), ctx);
	assert_int_equal(usrpci_config_read16(dev, PCI_VENDOR_ID, &vendor), 0);
	assert_int_equal(vendor, 0x8086);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), -EOPNOTSUPP);
	usrpci_dev_close(dev);
	/* Its driver goes on using it. */
	fixture_config_read(*state, "0000:00:03.0", PCI_COMMAND, &after, 1);
	assert_int_equal(after, command);
	usrpci_ctx_close(ctx);
}

/* Neither a pipe, which would keep who opens it waiting, nor a node that answers as it likes. */
static void configuration_space_is_a_regular_file_or_refused(void **state)
{
	static const char config[] = "/sys/bus/pci/devices/0000:00:03.0/config";
	struct fixture *fixture = *state;
	char path[sizeof(fixture->root) + sizeof(config)];
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_dev *dev;

	fixture_add(fixture, &(struct fixture_device){.addr = "0000:00:03.0", .vendor = 0x8086});
	snprintf(path, sizeof(path), "%s%s", fixture->root, config);
	fixture_remove(fixture, config);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(usrpci_dev_inspect(ctx, "00:03.0", &dev), -EBADMSG);
	fixture_remove(fixture, config);
	fixture_link(fixture, config, "/dev/zero");
	assert_int_equal(usrpci_dev_inspect(ctx, "00:03.0", &dev), -EBADMSG);
	usrpci_ctx_close(ctx);
}

static void opening_changes_nothing(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev *dev;

	assert_int_equal(fake_open(ctx, &model, &dev), 0);
	assert_int_equal(fake_config(dev)[PCI_COMMAND], 0);
	assert_int_equal(fake_fail(dev, 0, 0), 0);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

static void bus_mastering_goes_on_and_off(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev *dev;

	assert_int_equal(fake_open(ctx, &model, &dev), 0);
	fake_config(dev)[PCI_COMMAND] = PCI_COMMAND_MEMORY;
	assert_int_equal(usrpci_dev_set_bus_master(dev, true), 0);
	assert_int_equal(fake_config(dev)[PCI_COMMAND], PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(usrpci_dev_set_bus_master(dev, false), 0);
	assert_int_equal(fake_config(dev)[PCI_COMMAND], PCI_COMMAND_MEMORY);
	fake_unplug(dev);
	assert_int_equal(usrpci_dev_set_bus_master(dev, true), -ENODEV);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

static void a_bit_that_does_not_take_is_an_error(void **state)
{
	struct fake_model stubborn = model;
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev *dev;

	stubborn.command_fixed = PCI_COMMAND_MASTER;
	assert_int_equal(fake_open(ctx, &stubborn, &dev), 0);
	assert_int_equal(usrpci_dev_set_bus_master(dev, true), -EIO);
	assert_logged(*state, "bus mastering stays off");
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

static void count_reset(void *data)
{
	++*(unsigned int *)data;
}

static void a_reset_is_the_devices_or_refused(void **state)
{
	unsigned int resets = 0;
	struct fake_model resettable = model;
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev *plain, *dev;

	resettable.reset = count_reset;
	resettable.data = &resets;
	assert_int_equal(fake_open(ctx, &model, &plain), 0);
	assert_int_equal(fake_open(ctx, &resettable, &dev), 0);
	assert_int_equal(usrpci_dev_reset(dev, USRPCI_RESET_FUNCTION), 0);
	assert_int_equal(resets, 1);
	assert_int_equal(usrpci_dev_reset(dev, USRPCI_RESET_BUS), -EOPNOTSUPP);
	assert_int_equal(usrpci_dev_reset(dev, (enum usrpci_reset)9), -EINVAL);
	assert_int_equal(usrpci_dev_reset(plain, USRPCI_RESET_FUNCTION), -EOPNOTSUPP);
	assert_logged(*state, "no bus reset through fake");
	assert_int_equal(resets, 1);
	usrpci_dev_close(dev);
	usrpci_dev_close(plain);
	usrpci_ctx_close(ctx);
}

static void a_context_closes_what_was_left_open_with_a_warning(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_bar bar;
	struct usrpci_dev *first, *second;

	assert_int_equal(fake_open(ctx, &model, &first), 0);
	assert_int_equal(fake_open(ctx, &model, &second), 0);
	assert_int_equal(usrpci_bar_map(first, 0, &bar), 0);
	assert_int_equal(usrpci_irq_enable(first, USRPCI_IRQ_INTX, 1), 0);
	usrpci_ctx_close(ctx);
	assert_logged(*state, "still open when its context is closed");
}

static void closing_nothing_is_harmless(void **state)
{
	usrpci_dev_close(NULL);
	usrpci_ctx_close(NULL);
}

static void a_device_that_is_gone_can_be_closed(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_bar bar;
	struct usrpci_dev *dev;

	assert_int_equal(fake_open(ctx, &model, &dev), 0);
	assert_int_equal(usrpci_bar_map(dev, 0, &bar), 0);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	fake_unplug(dev);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_of_a_kernel_driver_is_refused_with_the_cure),
		TEST(a_device_without_driver_is_refused_with_the_cure),
		TEST(a_name_that_is_no_device_is_refused),
		TEST(a_device_is_inspected_whoever_holds_it),
		TEST(configuration_space_is_a_regular_file_or_refused),
		TEST(opening_changes_nothing),
		TEST(bus_mastering_goes_on_and_off),
		TEST(a_bit_that_does_not_take_is_an_error),
		TEST(a_reset_is_the_devices_or_refused),
		TEST(a_context_closes_what_was_left_open_with_a_warning),
		TEST(closing_nothing_is_harmless),
		TEST(a_device_that_is_gone_can_be_closed),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
