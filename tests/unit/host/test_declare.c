// SPDX-License-Identifier: BSD-2-Clause
/*
 * What files in /etc/usrpci declare is done device by device, and shown after one look.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "file.h"
#include "guard/look.h"
#include "modules.h"
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

static void add_member(struct kernel *kernel, const char *addr, const char *kind, const char *name)
{
	char path[128], link[64], target[128];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s/%s", addr, kind, name);
	snprintf(link, sizeof(link), "/sys/class/%s/%s", kind, name);
	snprintf(target, sizeof(target), "../../devices/pci0000:00/%s/%s/%s", addr, kind, name);
	fixture_mkdir(kernel->fixture, path);
	fixture_link(kernel->fixture, link, target);
}

static void add_interface(struct kernel *kernel, const char *addr, const char *name)
{
	add_member(kernel, addr, "net", name);
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

/* A device that slept while the list was made is asked: the list does not know all of it. */
static void a_device_of_the_list_is_not_looked_up_again(void **state)
{
	struct usrpci_dev_info known = {.addr = {.bus = 5}, .vendor = 0x8086}, info;
	struct kernel *kernel = *state;
	struct look look;

	kernel_host(kernel, true);
	assert_true(look_begin(kernel->host, &look));
	look.devices = &known;
	look.device_count = 1;
	assert_int_equal(look_device(kernel->host, &known.addr, &info), 0);
	assert_int_equal(info.vendor, 0x8086);
	known.irq = -1;
	assert_int_equal(look_device(kernel->host, &known.addr, &info), -ENODEV);
	look_end(kernel->host, &look);
}

#define ALIASES "/lib/modules/6.1.0-test/modules.alias"

/* The file has ten thousands of lines, and a device that is declared by "auto" asks for them. */
static void the_aliases_of_modules_are_read_once_in_a_look(void **state)
{
	const struct usrpci_dev_info nic = {.vendor = 0x8086, .device = 0x100e};
	struct kernel *kernel = *state;
	char name[NAME_SIZE];
	struct look look;

	fixture_text(kernel->fixture, ALIASES,
		     "alias pci:v00008086d*sv*sd*bc*sc*i* e1000\n"
		     "alias vfio_pci:v00008086d*sv*sd*bc*sc*i* one_vfio_pci");
	kernel_host(kernel, true);
	assert_true(look_begin(kernel->host, &look));
	assert_true(module_find_variant(kernel->host, &nic, name));
	assert_string_equal(name, "one_vfio_pci");
	fixture_text(kernel->fixture, ALIASES,
		     "alias vfio_pci:v00008086d*sv*sd*bc*sc*i* other_vfio_pci\n");
	assert_true(module_find_variant(kernel->host, &nic, name));
	assert_string_equal(name, "one_vfio_pci");
	look_end(kernel->host, &look);
	assert_true(module_find_variant(kernel->host, &nic, name));
	assert_string_equal(name, "other_vfio_pci");
}

#define BY_MAC "[Match]\nMACAddress=52:54:00:12:34:56\n[Device]\nDriver=uio_pci_generic\n"
#define NOTE   "/run/usrpci/declared/" NIC

static void add_nic_with_mac(struct kernel *kernel)
{
	add_interface(kernel, NIC, "eth0");
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/address",
		     "52:54:00:12:34:56\n");
	fixture_text(kernel->fixture, "/etc/usrpci/a.conf", BY_MAC);
	kernel_host(kernel, false);
}

static void a_device_that_was_given_back_is_taken_once(void **state)
{
	const struct usrpci_addr addr = {.bus = 3}, other = {.bus = 4};
	struct usrpci_declare_options options = {.only = &addr, .once = true};
	struct kernel *kernel = *state;

	add_nic_with_mac(kernel);
	options.only = &other;
	assert_int_equal(usrpci_host_declare_apply(kernel->host, &options), 0);
	options.only = &addr;
	assert_int_equal(usrpci_host_declare_apply(kernel->host, &options), 0);
	assert_driver(kernel, NIC, "uio_pci_generic");
	assert_int_equal(usrpci_host_restore(kernel->host, &addr), 0);
	assert_driver(kernel, NIC, "e1000");
	assert_int_equal(usrpci_host_declare_apply(kernel->host, &options), 0);
	assert_driver(kernel, NIC, "e1000");
	options.once = false;
	assert_int_equal(usrpci_host_declare_apply(kernel->host, &options), 0);
	assert_driver(kernel, NIC, "uio_pci_generic");
}

static void another_device_in_the_slot_does_not_have_its_mac_address(void **state)
{
	struct kernel *kernel = *state;

	add_nic_with_mac(kernel);
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/address",
		     "52:54:00:00:00:01\n");
	fixture_text(kernel->fixture, NOTE, "identity 1\nmac 52:54:00:12:34:56\nserial \n");
	assert_int_equal(usrpci_host_declare_apply(kernel->host, NULL), 0);
	assert_driver(kernel, NIC, "e1000");
}

/* As nvme has it, and as virtio-blk. */
static void a_disk_is_found_by_its_serial_number(void **state)
{
	static const char *const files[] = {"device/serial", "serial"};
	struct kernel *kernel = *state;

	add_member(kernel, NIC, "block", "disk0");
	fixture_text(kernel->fixture, "/etc/usrpci/a.conf",
		     "[Match]\nSerial=S4EV 7\n[Device]\nDriver=uio_pci_generic\n");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[128];

		snprintf(path, sizeof(path), PCI_DEVICES "/" NIC "/block/disk0/%s", files[i]);
		fixture_text(kernel->fixture, path, "S4EV 7              \n");
		kernel_host(kernel, true);
		assert_int_equal(usrpci_host_declare_apply(kernel->host, NULL), 0);
		assert_non_null(strstr(kernel->shown, "echo " NIC " >"));
		fixture_text(kernel->fixture, path, "S4EV 71             \n");
		kernel_host(kernel, true);
		assert_int_equal(usrpci_host_declare_apply(kernel->host, NULL), 0);
		assert_null(strstr(kernel->shown, "echo " NIC " >"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_dry_run_of_many_devices_looks_at_the_host_once,
						setup, kernel_teardown),
		cmocka_unit_test_setup_teardown(the_aliases_of_modules_are_read_once_in_a_look,
						setup, kernel_teardown),
		cmocka_unit_test_setup_teardown(a_device_of_the_list_is_not_looked_up_again, setup,
						kernel_teardown),
		cmocka_unit_test_setup_teardown(a_device_that_was_given_back_is_taken_once, setup,
						kernel_teardown),
		cmocka_unit_test_setup_teardown(
			another_device_in_the_slot_does_not_have_its_mac_address, setup,
			kernel_teardown),
		cmocka_unit_test_setup_teardown(a_disk_is_found_by_its_serial_number, setup,
						kernel_teardown),
	};

	return cmocka_run_group_tests_name("declare", tests, NULL, NULL);
}
