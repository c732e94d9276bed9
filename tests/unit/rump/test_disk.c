// SPDX-License-Identifier: BSD-2-Clause
/* What NetBSD calls the disks of a driver. No rump kernel is there. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <usrpci/rump.h>

#include "layout.h"

struct rump_bus *rump_bus(void)
{
	return NULL;
}

static void disks_have_the_names_of_their_drivers(void **state)
{
	(void)state;
	assert_string_equal(usrpci_rump_disk("ld"), "ld");
	assert_string_equal(usrpci_rump_disk("sd"), "sd");
	assert_string_equal(usrpci_rump_disk("umass"), "sd");
}

static void cards_and_unknown_drivers_have_no_disks(void **state)
{
	(void)state;
	assert_null(usrpci_rump_disk("wm"));
	assert_null(usrpci_rump_disk("re"));
	assert_null(usrpci_rump_disk(""));
}

static void there_is_no_start_without_a_rump_kernel(void **state)
{
	(void)state;
	setenv("RUMP_PREFIX", "/nowhere", 1);
	assert_int_equal(usrpci_rump_start("umass", "00:01.0"), -ENOENT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(disks_have_the_names_of_their_drivers),
		cmocka_unit_test(cards_and_unknown_drivers_have_no_disks),
		cmocka_unit_test(there_is_no_start_without_a_rump_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
