// SPDX-License-Identifier: BSD-2-Clause
/*
 * The chains of capabilities, honest and hostile.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "bytes.h"
#include "fake/fake.h"
#include "fixture.h"

static struct usrpci_ctx *ctx;
static struct usrpci_dev *dev;
static uint8_t *config;

static int setup(void **state)
{
	const struct fake_model model = {.vendor = 0x8086, .device = 0x10d3, .config_size = 4096};

	if (fixture_setup(state))
		return -1;
	ctx = fixture_ctx(*state);
	if (fake_open(ctx, &model, &dev))
		return -1;
	config = fake_config(dev);
	return 0;
}

static int teardown(void **state)
{
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return fixture_teardown(state);
}

static void put_cap(unsigned int offset, uint8_t id, uint8_t next)
{
	config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	config[offset] = id;
	config[offset + 1] = next;
}

static void put_ext_cap(unsigned int offset, uint16_t id, unsigned int version, unsigned int next)
{
	put_le32(config + offset, id | version << 16 | next << 20);
}

/* All that a function with an extended chain must have. */
static void put_express(void)
{
	config[PCI_CAPABILITY_LIST] = 0x40;
	put_cap(0x40, PCI_CAP_ID_EXP, 0);
}

/* The chains of a 82574L as QEMU has it. */
static void put_nic(void)
{
	config[PCI_CAPABILITY_LIST] = 0xc8;
	put_cap(0xc8, PCI_CAP_ID_PM, 0xd0);
	put_cap(0xd0, PCI_CAP_ID_MSI, 0xe0);
	put_cap(0xe0, PCI_CAP_ID_EXP, 0xa0);
	put_cap(0xa0, PCI_CAP_ID_MSIX, 0);
	put_ext_cap(0x100, PCI_EXT_CAP_ID_ERR, 2, 0x140);
	put_ext_cap(0x140, PCI_EXT_CAP_ID_DSN, 1, 0);
}

static void assert_caps(const struct usrpci_cap *expected, int count)
{
	struct usrpci_cap caps[USRPCI_CAPS_MAX];

	assert_int_equal(usrpci_cap_list(dev, caps, USRPCI_CAPS_MAX), count);
	for (int i = 0; i < count; i++) {
		assert_int_equal(caps[i].offset, expected[i].offset);
		assert_int_equal(caps[i].id, expected[i].id);
		assert_int_equal(caps[i].version, expected[i].version);
		assert_int_equal(caps[i].extended, expected[i].extended);
	}
}

static void both_chains_are_listed_in_their_order(void **state)
{
	static const struct usrpci_cap expected[] = {
		{0xc8, 0x01, 0, false}, {0xd0, 0x05, 0, false}, {0xe0, 0x10, 0, false},
		{0xa0, 0x11, 0, false}, {0x100, 0x01, 2, true}, {0x140, 0x03, 1, true},
	};

	put_nic();
	assert_caps(expected, 6);
}

static void a_capability_is_found_by_its_id(void **state)
{
	put_nic();
	assert_int_equal(usrpci_cap_find(dev, USRPCI_CAP_MSIX), 0xa0);
	assert_int_equal(usrpci_cap_find(dev, USRPCI_CAP_POWER), 0xc8);
	assert_int_equal(usrpci_cap_find(dev, USRPCI_CAP_VENDOR), -ENOENT);
	assert_int_equal(usrpci_ext_cap_find(dev, USRPCI_EXT_CAP_SERIAL), 0x140);
	assert_int_equal(usrpci_ext_cap_find(dev, USRPCI_EXT_CAP_SRIOV), -ENOENT);
}

/* The chains of a virtio device, and two DVSECs. */
static void capabilities_of_the_same_id_are_found_one_after_the_other(void **state)
{
	config[PCI_CAPABILITY_LIST] = 0x98;
	put_cap(0x98, PCI_CAP_ID_MSIX, 0x84);
	put_cap(0x84, PCI_CAP_ID_VNDR, 0x70);
	put_cap(0x70, PCI_CAP_ID_VNDR, 0x50);
	put_cap(0x50, PCI_CAP_ID_VNDR, 0x40);
	put_cap(0x40, PCI_CAP_ID_EXP, 0);
	put_ext_cap(0x100, 0x23, 1, 0x140);
	put_ext_cap(0x140, PCI_EXT_CAP_ID_ERR, 2, 0x180);
	put_ext_cap(0x180, 0x23, 1, 0);
	assert_int_equal(usrpci_cap_find(dev, USRPCI_CAP_VENDOR), 0x84);
	assert_int_equal(usrpci_cap_find_next(dev, USRPCI_CAP_VENDOR, 0x84), 0x70);
	assert_int_equal(usrpci_cap_find_next(dev, USRPCI_CAP_VENDOR, 0x70), 0x50);
	assert_int_equal(usrpci_cap_find_next(dev, USRPCI_CAP_VENDOR, 0x50), -ENOENT);
	assert_int_equal(usrpci_cap_find_next(dev, USRPCI_CAP_VENDOR, 0x44), -ENOENT);
	assert_int_equal(usrpci_ext_cap_find_next(dev, (enum usrpci_ext_cap_id)0x23, 0x100), 0x180);
	assert_int_equal(usrpci_ext_cap_find_next(dev, (enum usrpci_ext_cap_id)0x23, 0x180),
			 -ENOENT);
}

static void a_device_without_capabilities_has_none(void **state)
{
	struct usrpci_cap caps[1];

	config[PCI_CAPABILITY_LIST] = 0x40; /* without the bit in the status register */
	config[0x40] = PCI_CAP_ID_MSI;
	assert_int_equal(usrpci_cap_list(dev, caps, 1), 0);
	assert_int_equal(usrpci_cap_find(dev, USRPCI_CAP_MSI), -ENOENT);
}

static void a_list_that_is_too_short_is_filled(void **state)
{
	struct usrpci_cap caps[3] = {0};

	put_nic();
	assert_int_equal(usrpci_cap_list(dev, caps, 2), 2);
	assert_int_equal(caps[1].id, PCI_CAP_ID_MSI);
	assert_int_equal(caps[2].id, 0);
}

static void a_loop_ends_the_list_with_a_warning(void **state)
{
	static const struct usrpci_cap expected[] = {{0x40, 0x01, 0, false},
						     {0x50, 0x05, 0, false}};

	config[PCI_CAPABILITY_LIST] = 0x40;
	put_cap(0x40, PCI_CAP_ID_PM, 0x50);
	put_cap(0x50, PCI_CAP_ID_MSI, 0x40);
	assert_caps(expected, 2);
	assert_logged(*state, "loops at 0x40");
	assert_int_equal(usrpci_cap_find(dev, USRPCI_CAP_MSIX), -ENOENT);
}

static void a_capability_that_leads_to_itself_is_listed_once(void **state)
{
	static const struct usrpci_cap expected[] = {{0x40, 0x10, 0, false},
						     {0x100, 0x01, 1, true}};

	put_express();
	put_ext_cap(0x100, PCI_EXT_CAP_ID_ERR, 1, 0x100);
	assert_caps(expected, 2);
	assert_logged(*state, "loops at 0x100");
}

static void a_pointer_into_the_header_ends_the_list(void **state)
{
	static const struct usrpci_cap expected[] = {{0x40, 0x01, 0, false}};

	config[PCI_CAPABILITY_LIST] = 0x40;
	put_cap(0x40, PCI_CAP_ID_PM, 0x3c);
	assert_caps(expected, 1);
	assert_logged(*state, "0x3c");
	put_express();
	put_ext_cap(0x100, PCI_EXT_CAP_ID_ERR, 1, 0xfc);
	assert_int_equal(usrpci_ext_cap_find(dev, USRPCI_EXT_CAP_ACS), -ENOENT);
	assert_logged(*state, "0xfc");
}

static void the_low_bits_of_a_pointer_are_ignored(void **state)
{
	static const struct usrpci_cap expected[] = {{0x40, 0x01, 0, false},
						     {0x50, 0x05, 0, false}};

	config[PCI_CAPABILITY_LIST] = 0x43;
	put_cap(0x40, PCI_CAP_ID_PM, 0x51);
	put_cap(0x50, PCI_CAP_ID_MSI, 0);
	assert_caps(expected, 2);
}

static void the_fullest_chains_fit_and_end(void **state)
{
	struct usrpci_cap caps[USRPCI_CAPS_MAX];

	config[PCI_CAPABILITY_LIST] = 0x40;
	for (unsigned int offset = 0x40; offset < 0x100; offset += 4)
		put_cap(offset, PCI_CAP_ID_PCIX, (uint8_t)(offset + 4));
	for (unsigned int offset = 0x100; offset < 0x1000; offset += 4)
		put_ext_cap(offset, PCI_EXT_CAP_ID_VNDR, 1, (offset + 4) & 0xfff);
	assert_int_equal(usrpci_cap_list(dev, caps, USRPCI_CAPS_MAX), USRPCI_CAPS_MAX);
}

static void an_empty_extended_chain_is_zeros_or_ones(void **state)
{
	struct usrpci_cap caps[1];

	put_express();
	assert_int_equal(usrpci_cap_list(dev, caps, 1), 1);
	memset(config + 0x100, 0xff, 4);
	assert_int_equal(usrpci_cap_list(dev, caps, 1), 1);
}

/* A host bridge whose upper configuration space is the lower one once more, and what not. */
static void without_pci_express_there_is_no_extended_chain(void **state)
{
	static const struct usrpci_cap expected[] = {{0x40, 0x01, 0, false}};
	struct fixture *fixture = *state;

	config[PCI_CAPABILITY_LIST] = 0x40;
	put_cap(0x40, PCI_CAP_ID_PM, 0);
	put_ext_cap(0x100, 0x1002, 1, 0x790);
	put_ext_cap(0x790, PCI_EXT_CAP_ID_ERR, 1, 0x790);
	assert_caps(expected, 1);
	assert_int_equal(usrpci_ext_cap_find(dev, USRPCI_EXT_CAP_AER), -ENOENT);
	assert_string_equal(fixture->log, "");
}

static void a_device_that_is_gone_has_no_list(void **state)
{
	struct usrpci_cap caps[1];

	put_nic();
	fake_unplug(dev);
	assert_int_equal(usrpci_cap_list(dev, caps, 1), -ENODEV);
	assert_int_equal(usrpci_cap_find(dev, USRPCI_CAP_MSI), -ENODEV);
}

static void capabilities_hidden_from_the_user_are_an_error(void **state)
{
	const struct fixture_device device = {
		.addr = "0000:00:03.0", .vendor = 0x8086, .config_size = 64};
	static const uint8_t pointer = 0x40;
	struct usrpci_cap caps[1];
	struct usrpci_dev *hidden;

	fixture_add(*state, &device);
	fixture_config(*state, device.addr, PCI_CAPABILITY_LIST, &pointer, 1);
	assert_int_equal(usrpci_dev_inspect(ctx, device.addr, &hidden), 0);
	assert_int_equal(usrpci_config_size(hidden), 64);
	assert_int_equal(usrpci_cap_list(hidden, caps, 1), -EACCES);
	assert_logged(*state, "run as root");
	usrpci_dev_close(hidden);
}

static void names_are_those_that_lspci_prints(void **state)
{
	assert_string_equal(usrpci_cap_name(&(struct usrpci_cap){.id = 0x11}), "MSI-X");
	assert_string_equal(usrpci_cap_name(&(struct usrpci_cap){.id = 0x10}), "Express");
	assert_string_equal(usrpci_cap_name(&(struct usrpci_cap){.id = 0x10, .extended = true}),
			    "SR-IOV");
	assert_null(usrpci_cap_name(&(struct usrpci_cap){.id = 0x16}));
	assert_null(usrpci_cap_name(&(struct usrpci_cap){.id = 0x14, .extended = true}));
	assert_null(usrpci_cap_name(&(struct usrpci_cap){.id = 0xffff, .extended = true}));
}

static void symbols_are_those_that_setpci_takes(void **state)
{
	assert_string_equal(usrpci_cap_symbol(&(struct usrpci_cap){.id = 0x11}), "CAP_MSIX");
	assert_string_equal(usrpci_cap_symbol(&(struct usrpci_cap){.id = 0x10, .extended = true}),
			    "ECAP_SRIOV");
	assert_null(usrpci_cap_symbol(&(struct usrpci_cap){.id = 0}));
	assert_null(usrpci_cap_symbol(&(struct usrpci_cap){.id = 0xffff}));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_chains_are_listed_in_their_order),
		TEST(a_capability_is_found_by_its_id),
		TEST(capabilities_of_the_same_id_are_found_one_after_the_other),
		TEST(a_device_without_capabilities_has_none),
		TEST(a_list_that_is_too_short_is_filled),
		TEST(a_loop_ends_the_list_with_a_warning),
		TEST(a_capability_that_leads_to_itself_is_listed_once),
		TEST(a_pointer_into_the_header_ends_the_list),
		TEST(the_low_bits_of_a_pointer_are_ignored),
		TEST(the_fullest_chains_fit_and_end),
		TEST(an_empty_extended_chain_is_zeros_or_ones),
		TEST(without_pci_express_there_is_no_extended_chain),
		TEST(a_device_that_is_gone_has_no_list),
		TEST(capabilities_hidden_from_the_user_are_an_error),
		TEST(names_are_those_that_lspci_prints),
		TEST(symbols_are_those_that_setpci_takes),
	};

	return cmocka_run_group_tests_name("cap", tests, NULL, NULL);
}
