// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the backend over libpciaccess refuses before it asks libpciaccess, which knows the devices
 * of the running system alone. Suites in the virtual machine show the rest.
 */

#include <errno.h>

#include "fixture.h"

static const struct fixture_device card = {
	.addr = "0000:00:03.0",
	.vendor = 0x1234,
	.device = 0x5678,
	.bars = {{0xfea00000, 0x1000, 0x40200}},
};

static void a_host_made_of_files_is_refused(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev *dev;

	fixture_add(*state, &card);
	assert_int_equal(usrpci_dev_open(ctx, "pciaccess:00:03.0", &dev), -EOPNOTSUPP);
	assert_int_equal(usrpci_dev_inspect(ctx, "pciaccess:00:03.0", &dev), -EOPNOTSUPP);
	assert_logged(*state, "libpciaccess knows the devices of the running system alone");
	usrpci_ctx_close(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_host_made_of_files_is_refused, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
