// SPDX-License-Identifier: BSD-2-Clause
/*
 * What files in /etc/usrpci declare is done device by device, and shown after one look.
 */

#include <stdio.h>
#include <string.h>

#include "file.h"
#include "kernel.h"

#define NIC  "0000:03:00.0"
#define TWIN "0000:04:00.0"

static void add_nic(struct kernel *kernel, const char *addr)
{
	const struct fixture_device device = {
		.addr = addr,
		.vendor = 0x8086,
		.device = 0x100e,
		.class_code = 0x020000,
		.irq_pin = 1,
		.driver = "e1000",
	};

	fixture_add_bindable(kernel->fixture, &device);
}

static int setup(void **state)
{
	struct kernel *kernel;

	if (kernel_setup(state))
		return -1;
	kernel = *state;
	add_nic(kernel, NIC);
	add_nic(kernel, TWIN);
	return 0;
}

static void add_interface(struct kernel *kernel, const char *addr, const char *name)
{
	char path[128], link[64], target[128];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/net/%s", addr, name);
	snprintf(link, sizeof(link), "/sys/class/net/%s", name);
	snprintf(target, sizeof(target), "../../devices/pci0000:00/%s/net/%s", addr, name);
	fixture_mkdir(kernel->fixture, path);
	fixture_link(kernel->fixture, link, target);
}

/* Apply changes the host after each device, so that its looks are not shared. */
static void a_dry_run_of_many_devices_looks_at_the_host_once(void **state)
{
	struct kernel *kernel = *state;

	add_interface(kernel, NIC, "eth0");
	add_interface(kernel, TWIN, "eth1");
	fixture_text(kernel->fixture, "/etc/usrpci/a.conf",
		     "[Match]\nAddress=" NIC "\n[Device]\nDriver=uio_pci_generic\n"
		     "[Match]\nAddress=" TWIN "\n[Device]\nDriver=uio_pci_generic\n");
	kernel_host(kernel, true);
	assert_int_equal(usrpci_host_declare_apply(kernel->host, NULL), 0);
	assert_int_equal(kernel->net_reads, 1);
	assert_non_null(strstr(kernel->shown, "echo " NIC " >"));
	assert_non_null(strstr(kernel->shown, "echo " TWIN " >"));
	kernel_host(kernel, false);
	assert_int_equal(usrpci_host_declare_apply(kernel->host, NULL), 0);
	assert_int_equal(kernel->net_reads, 3);
	assert_driver(kernel, TWIN, "uio_pci_generic");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_dry_run_of_many_devices_looks_at_the_host_once,
						setup, kernel_teardown),
	};

	return cmocka_run_group_tests_name("declare", tests, NULL, NULL);
}
