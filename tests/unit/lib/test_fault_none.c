// SPDX-License-Identifier: BSD-2-Clause
/*
 * A library without failure injection: lib/fault/none.c stands in for the rest of the folder.
 */

#include <errno.h>
#include <stdlib.h>

#include "fake/fake.h"
#include "fixture.h"

static const struct fake_model model = {.vendor = 0x1234, .device = 0x5678};

static void a_plan_is_refused_with_the_option_to_build_with(void **state)
{
	struct fixture *fixture = *state;
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_dev *dev;

	setenv("USRPCI_FAULT", "alloc=1", 1);
	assert_int_equal(fake_open(ctx, &model, &dev), -EOPNOTSUPP);
	unsetenv("USRPCI_FAULT");
	assert_logged(fixture, "-Dfault=true");
	usrpci_ctx_close(ctx);
}

static void without_a_plan_all_is_as_ever(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dma_request request = {.size = 4096};
	struct usrpci_dev *dev;
	void *block;

	assert_int_equal(fake_open(ctx, &model, &dev), 0);
	assert_int_equal(usrpci_dma_alloc(ctx, &request, &block), 0);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_plan_is_refused_with_the_option_to_build_with,
						fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(without_a_plan_all_is_as_ever, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
