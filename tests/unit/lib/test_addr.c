// SPDX-License-Identifier: BSD-2-Clause
/*
 * Addresses: what is accepted, what is refused, and their order.
 */

#include <errno.h>
#include <string.h>

#include "fixture.h"

static void assert_parses(const char *text, const char *full)
{
	struct usrpci_addr addr;
	char formatted[USRPCI_ADDR_STRLEN];

	assert_int_equal(usrpci_addr_parse(text, &addr), 0);
	assert_string_equal(usrpci_addr_format(&addr, formatted), full);
}

static void full_and_short_addresses_are_accepted(void **state)
{
	assert_parses("0000:03:00.0", "0000:03:00.0");
	assert_parses("03:00.0", "0000:03:00.0");
	assert_parses("3:1f.7", "0000:03:1f.7");
	assert_parses("0:0.0", "0000:00:00.0");
	assert_parses("FF:1F.7", "0000:ff:1f.7");
}

static void domains_have_up_to_32_bits(void **state)
{
	assert_parses("10000:e1:00.0", "10000:e1:00.0");
	assert_parses("ffffffff:ff:1f.7", "ffffffff:ff:1f.7");
	assert_parses("1:03:00.0", "0001:03:00.0");
}

static void anything_else_is_refused_and_changes_nothing(void **state)
{
	static const char *const malformed[] = {
		"",
		":",
		".",
		"0000",
		"03:00",
		"03:00.",
		"03:00.8",
		"03:00.00",
		"03:20.0",
		"03:000.0",
		"103:00.0",
		"003:00.0",
		"0000:103:00.0",
		"100000000:0:0.0",
		"03:00.0 ",
		" 03:00.0",
		"03:00.0\n",
		"+3:00.0",
		"-3:00.0",
		"0x3:00.0",
		"0000:03:00:0",
		"0000:03.00.0",
		"0000::00.0",
		":03:00.0",
		"03:00.0.0",
		"0:0000:03:00.0",
		"g3:00.0",
		"03:0g.0",
		"*:*.*",
		"eth0",
	};
	struct usrpci_addr addr = {1, 2, 3, 4};

	for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++) {
		if (usrpci_addr_parse(malformed[i], &addr) != -EINVAL)
			fail_msg("\"%s\" was accepted", malformed[i]);
		assert_int_equal(addr.domain, 1);
		assert_int_equal(addr.bus, 2);
		assert_int_equal(addr.dev, 3);
		assert_int_equal(addr.fn, 4);
	}
}

static void every_address_of_a_bus_survives_text(void **state)
{
	for (unsigned int slot = 0; slot < 256; slot++) {
		struct usrpci_addr addr = {slot << 24 | 0x12345, (uint8_t)slot, slot >> 3,
					   slot & 7};
		struct usrpci_addr parsed;
		char text[USRPCI_ADDR_STRLEN];

		assert_int_equal(usrpci_addr_parse(usrpci_addr_format(&addr, text), &parsed), 0);
		assert_int_equal(usrpci_addr_compare(&addr, &parsed), 0);
	}
}

static void order_is_domain_bus_device_function(void **state)
{
	static const char *const ascending[] = {"0:0.0",   "0:0.1",   "0:1.0",         "1:0.0",
						"ff:1f.7", "1:0:0.0", "80000000:0:0.0"};
	struct usrpci_addr a, b;

	for (size_t i = 1; i < sizeof(ascending) / sizeof(*ascending); i++) {
		assert_int_equal(usrpci_addr_parse(ascending[i - 1], &a), 0);
		assert_int_equal(usrpci_addr_parse(ascending[i], &b), 0);
		assert_true(usrpci_addr_compare(&a, &b) < 0);
		assert_true(usrpci_addr_compare(&b, &a) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_and_short_addresses_are_accepted),
		cmocka_unit_test(domains_have_up_to_32_bits),
		cmocka_unit_test(anything_else_is_refused_and_changes_nothing),
		cmocka_unit_test(every_address_of_a_bus_survives_text),
		cmocka_unit_test(order_is_domain_bus_device_function),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
