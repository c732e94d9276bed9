// SPDX-License-Identifier: BSD-2-Clause
/*
 * Listing, looking up and finding devices on a host made of files.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static const struct fixture_device bridge = {
	.addr = "0000:00:1c.0",
	.vendor = 0x8086,
	.device = 0xa110,
	.subsystem_vendor = 0x1028,
	.subsystem_device = 0x06b9,
	.class_code = 0x060400,
	.header_type = 0x81,
	.driver = "pcieport",
	.iommu_group = "7",
};

static const struct fixture_device nic = {
	.addr = "0000:00:03.0",
	.vendor = 0x8086,
	.device = 0x100e,
	.subsystem_vendor = 0x1af4,
	.subsystem_device = 0x1100,
	.class_code = 0x020000,
	.revision = 3,
	.irq_pin = 1,
	.driver = "e1000",
	.iommu_group = "12",
	.numa_node = "1\n",
};

static const struct fixture_device disk = {
	.addr = "0000:02:00.0",
	.vendor = 0x1b36,
	.device = 0x0010,
	.class_code = 0x010802,
	.parent = "0000:00:1c.0",
	.driver = "nvme",
};

static void add_host(struct fixture *fixture)
{
	fixture_add(fixture, &bridge);
	fixture_add(fixture, &disk);
	fixture_add(fixture, &nic);
}

static void assert_address(const struct usrpci_addr *addr, const char *expected)
{
	char text[USRPCI_ADDR_STRLEN];

	assert_string_equal(usrpci_addr_format(addr, text), expected);
}

static void devices_are_listed_in_the_order_of_their_addresses(void **state)
{
	struct usrpci_dev_info *list;
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	add_host(*state);
	assert_int_equal(usrpci_dev_list(ctx, &list), 3);
	assert_address(&list[0].addr, nic.addr);
	assert_address(&list[1].addr, bridge.addr);
	assert_address(&list[2].addr, disk.addr);
	usrpci_dev_list_free(list);
	usrpci_ctx_close(ctx);
}

static void the_kind_of_a_driver_is_known_by_its_name(void **state)
{
	assert_int_equal(usrpci_driver_kind(""), USRPCI_DRIVER_NONE);
	assert_int_equal(usrpci_driver_kind("e1000"), USRPCI_DRIVER_KERNEL);
	assert_int_equal(usrpci_driver_kind("libnvm helper"), USRPCI_DRIVER_KERNEL);
	assert_int_equal(usrpci_driver_kind("pciback"), USRPCI_DRIVER_KERNEL);
	assert_int_equal(usrpci_driver_kind("vfio-pci-not"), USRPCI_DRIVER_KERNEL);
	assert_int_equal(usrpci_driver_kind("uio"), USRPCI_DRIVER_KERNEL);
	assert_int_equal(usrpci_driver_kind("uio_pci_generic"), USRPCI_DRIVER_UIO);
	assert_int_equal(usrpci_driver_kind("igb_uio"), USRPCI_DRIVER_UIO);
	assert_int_equal(usrpci_driver_kind("vfio-pci"), USRPCI_DRIVER_VFIO);
	assert_int_equal(usrpci_driver_kind("vfio_pci"), USRPCI_DRIVER_VFIO);
	assert_int_equal(usrpci_driver_kind("mlx5_vfio_pci"), USRPCI_DRIVER_VFIO);
	assert_int_equal(usrpci_driver_kind("mlx5-vfio-pci"), USRPCI_DRIVER_VFIO);
	assert_int_equal(usrpci_driver_kind("pci-stub"), USRPCI_DRIVER_STUB);
}

static enum usrpci_driver_kind kind_of_nic(struct usrpci_ctx *ctx)
{
	struct usrpci_addr addr = {.dev = 3};
	struct usrpci_dev_info info;

	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), 0);
	return info.driver_kind;
}

static void a_device_of_vfio_is_known_whatever_its_driver_is_called(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	fixture_add(*state, &nic);
	assert_int_equal(kind_of_nic(ctx), USRPCI_DRIVER_KERNEL);
	fixture_mkdir(*state, "/sys/bus/pci/devices/0000:00:03.0/vfio-dev/vfio0");
	assert_int_equal(kind_of_nic(ctx), USRPCI_DRIVER_VFIO);
	usrpci_ctx_close(ctx);
}

static void a_device_that_does_not_answer_is_what_the_kernel_remembers(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_addr addr = {.dev = 3};
	struct usrpci_dev_info info;
	uint8_t ones[64];

	memset(ones, 0xff, sizeof(ones));
	fixture_add(*state, &nic);
	fixture_config(*state, nic.addr, 0, ones, sizeof(ones));
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), 0);
	assert_true(info.silent);
	fixture_text(*state, "/sys/devices/pci0000:00/0000:00:03.0/uevent",
		     "PCI_CLASS=30000\nPCI_ID=10DE:1B80\nPCI_SUBSYS_ID=10DE:119E\n");
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), 0);
	assert_true(info.silent);
	assert_int_equal(info.vendor, 0x10de);
	assert_int_equal(info.subsystem_device, 0x119e);
	assert_int_equal(info.class_code, 0x030000);
	assert_int_equal(info.header_type, 0);
	assert_int_equal(info.irq_pin, 0);
	fixture_text(*state, "/sys/devices/pci0000:00/0000:00:03.0/uevent", "PCI_CLASS=60400\n");
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), 0);
	assert_int_equal(info.header_type, 1);
	fixture_text(*state, "/sys/devices/pci0000:00/0000:00:03.0/uevent", "PCI_CLASS=5555555\n");
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), 0);
	assert_true(info.class_code <= 0xffffff);
	usrpci_ctx_close(ctx);
}

/* Without its file "config", a device of which that is read would be missing. */
static void a_list_wakes_no_device(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev_info *list = NULL, info;
	struct usrpci_addr addr = {.dev = 3};

	fixture_add(*state, &nic);
	fixture_text(*state, "/sys/bus/pci/devices/0000:00:03.0/power/runtime_status",
		     "suspended\n");
	fixture_text(*state, "/sys/bus/pci/devices/0000:00:03.0/revision", "0x03\n");
	fixture_text(*state, "/sys/bus/pci/devices/0000:00:03.0/uevent",
		     "PCI_CLASS=30000\nPCI_ID=10DE:1B80\nPCI_SUBSYS_ID=10DE:119E\n");
	fixture_remove(*state, "/sys/bus/pci/devices/0000:00:03.0/config");
	assert_int_equal(usrpci_dev_list(ctx, &list), 1);
	assert_int_equal(list->vendor, 0x10de);
	assert_int_equal(list->device, 0x1b80);
	assert_int_equal(list->subsystem_device, 0x119e);
	assert_int_equal(list->class_code, 0x030000);
	assert_int_equal(list->revision, 3);
	assert_string_equal(list->driver, nic.driver);
	assert_false(list->silent);
	assert_int_equal(list->irq_pin, 0);
	assert_int_equal(list->irq, -1);
	usrpci_dev_list_free(list);
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), -EBADMSG);
	fixture_text(*state, "/sys/bus/pci/devices/0000:00:03.0/power/runtime_status", "active\n");
	assert_int_equal(usrpci_dev_list(ctx, &list), -EBADMSG);
	usrpci_ctx_close(ctx);
}

/* What is read of the interrupt of one more network card, by the file irq and the line register. */
static int irq_of(void **state, const char *driver, const char *file, uint8_t line)
{
	static uint8_t slot;
	struct usrpci_addr addr = {.dev = slot++};
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct fixture_device device = nic;
	char name[USRPCI_ADDR_STRLEN], path[64];
	struct usrpci_dev_info info;

	device.addr = usrpci_addr_format(&addr, name);
	device.driver = driver;
	fixture_add(*state, &device);
	fixture_config(*state, name, 0x3c, &line, 1);
	snprintf(path, sizeof(path), "/sys/devices/pci0000:00/%s/irq", name);
	if (file)
		fixture_text(*state, path, file);
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), 0);
	usrpci_ctx_close(ctx);
	return info.irq;
}

static void the_interrupt_of_a_pin_is_the_kernels(void **state)
{
	assert_int_equal(irq_of(state, "e1000", "11\n", 10), 11);
	assert_int_equal(irq_of(state, NULL, "11\n", 11), 11);
	assert_int_equal(irq_of(state, "e1000", "0\n", 0), 0);
	assert_int_equal(irq_of(state, "e1000", "2147483648\n", 255), 0);
	assert_int_equal(irq_of(state, NULL, "0\n", 255), 0);
}

static void an_interrupt_that_is_not_assigned_yet_is_unknown(void **state)
{
	assert_int_equal(irq_of(state, NULL, "0\n", 0), -1);
	assert_int_equal(irq_of(state, "e1000", NULL, 11), -1);
	assert_int_equal(irq_of(state, "e1000", "nonsense\n", 11), -1);
}

static void everything_known_of_a_device_is_listed(void **state)
{
	struct usrpci_dev_info *list;
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	fixture_add(*state, &nic);
	assert_int_equal(usrpci_dev_list(ctx, &list), 1);
	assert_int_equal(list->vendor, 0x8086);
	assert_int_equal(list->device, 0x100e);
	assert_int_equal(list->subsystem_vendor, 0x1af4);
	assert_int_equal(list->subsystem_device, 0x1100);
	assert_int_equal(list->class_code, 0x020000);
	assert_int_equal(list->revision, 3);
	assert_int_equal(list->header_type, 0);
	assert_int_equal(list->irq_pin, 1);
	assert_int_equal(list->numa_node, 1);
	assert_int_equal(list->iommu_group, 12);
	assert_string_equal(list->driver, "e1000");
	usrpci_dev_list_free(list);
	usrpci_ctx_close(ctx);
}

static void a_device_without_driver_and_iommu_says_so(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev_info info;
	struct usrpci_addr addr;

	fixture_add(*state, &(struct fixture_device){.addr = "0000:00:04.0", .vendor = 0x1234});
	assert_int_equal(usrpci_addr_parse("00:04.0", &addr), 0);
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), 0);
	assert_string_equal(info.driver, "");
	assert_int_equal(info.iommu_group, -1);
	assert_int_equal(info.numa_node, -1);
	assert_int_equal(info.irq_pin, 0);
	usrpci_ctx_close(ctx);
}

static void a_bridge_has_its_subsystem_from_the_kernel(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev_info info;
	struct usrpci_addr addr = {.dev = 0x1c};

	add_host(*state);
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), 0);
	assert_int_equal(info.header_type, 1);
	assert_int_equal(info.subsystem_vendor, 0x1028);
	assert_int_equal(info.subsystem_device, 0x06b9);
	usrpci_ctx_close(ctx);
}

static void a_virtual_function_has_its_ids_from_the_kernel(void **state)
{
	static const uint8_t ones[4] = {0xff, 0xff, 0xff, 0xff};
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev_info info;
	struct usrpci_addr addr = {.dev = 3};

	fixture_add(*state, &nic);
	fixture_config(*state, nic.addr, 0, ones, sizeof(ones));
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), 0);
	assert_int_equal(info.vendor, 0x8086);
	assert_int_equal(info.device, 0x100e);
	usrpci_ctx_close(ctx);
}

static void a_device_that_vanishes_meanwhile_is_left_out(void **state)
{
	struct usrpci_dev_info *list;
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	add_host(*state);
	fixture_link(*state, "/sys/bus/pci/devices/0000:00:1d.0", "gone");
	assert_int_equal(usrpci_dev_list(ctx, &list), 3);
	assert_string_equal(((struct fixture *)*state)->log, "");
	usrpci_dev_list_free(list);
	usrpci_ctx_close(ctx);
}

static void a_device_without_a_config_file_is_told_beside_the_others(void **state)
{
	struct usrpci_dev_info *list, info;
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_addr addr = {.bus = 0, .dev = 3};

	add_host(*state);
	fixture_remove(*state, "/sys/devices/pci0000:00/0000:00:03.0/config");
	assert_int_equal(usrpci_dev_list(ctx, &list), 2);
	assert_logged(*state, "/0000:00:03.0/config is missing, or no regular file");
	usrpci_dev_list_free(list);
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), -EBADMSG);
	fixture_mkdir(*state, "/sys/devices/pci0000:00/0000:00:03.0/config");
	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), -EBADMSG);
	usrpci_ctx_close(ctx);
}

static void a_device_that_cannot_be_read_is_told_beside_the_others(void **state)
{
	struct usrpci_dev_info *list;
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_addr addr;

	add_host(*state);
	fixture_text(*state, "/sys/devices/pci0000:00/0000:00:03.0/config", "short");
	assert_int_equal(usrpci_dev_list(ctx, &list), 2);
	assert_logged(*state, "0000:00:03.0: cannot look it up");
	for (int i = 0; i < 2; i++)
		assert_int_not_equal(list[i].addr.dev, 3);
	usrpci_dev_list_free(list);
	/* Its ids may be the same as those of another. */
	assert_int_equal(usrpci_dev_find(ctx, "8086:100e", &addr), -EIO);
	usrpci_ctx_close(ctx);
}

/* Of Microsoft's Azure and of Intel's VMD. */
static void domains_may_have_more_than_four_digits(void **state)
{
	struct fixture_device far = nic;
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev_info *list;
	struct usrpci_addr addr;
	char text[USRPCI_ADDR_STRLEN];

	far.addr = "5d0505:01:00.0";
	fixture_add(*state, &far);
	assert_int_equal(usrpci_dev_list(ctx, &list), 1);
	assert_int_equal(list[0].addr.domain, 0x5d0505);
	assert_string_equal(usrpci_addr_format(&list[0].addr, text), far.addr);
	assert_int_equal(usrpci_dev_find(ctx, far.addr, &addr), 0);
	assert_int_equal(usrpci_addr_compare(&addr, &list[0].addr), 0);
	usrpci_dev_list_free(list);
	usrpci_ctx_close(ctx);
}

static void a_host_of_which_no_device_can_be_read_has_no_list(void **state)
{
	struct usrpci_dev_info *list;
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	fixture_add(*state, &nic);
	fixture_text(*state, "/sys/devices/pci0000:00/0000:00:03.0/config", "short");
	assert_int_equal(usrpci_dev_list(ctx, &list), -EIO);
	assert_null(list);
	usrpci_ctx_close(ctx);
}

static void a_host_without_devices_has_an_empty_list(void **state)
{
	struct usrpci_dev_info *list;
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	assert_int_equal(usrpci_dev_list(ctx, &list), 0);
	usrpci_dev_list_free(list);
	usrpci_ctx_close(ctx);
}

static void a_host_without_pci_is_an_error_that_names_the_directory(void **state)
{
	struct usrpci_dev_info *list;
	struct usrpci_ctx *ctx = fixture_ctx(*state);

	fixture_remove(*state, "/sys/bus/pci");
	assert_int_equal(usrpci_dev_list(ctx, &list), -ENOENT);
	assert_logged(*state, "/sys/bus/pci/devices");
	usrpci_ctx_close(ctx);
}

static void looking_up_no_device_names_the_address(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	struct usrpci_dev_info info;
	struct usrpci_addr addr = {.bus = 9};

	assert_int_equal(usrpci_dev_lookup(ctx, &addr, &info), -ENODEV);
	assert_logged(*state, "0000:09:00.0");
	usrpci_ctx_close(ctx);
}

static void many_devices_are_listed_without_loss(void **state)
{
	struct usrpci_dev_info *list;
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	char addr[USRPCI_ADDR_STRLEN];

	for (unsigned int slot = 0; slot < 100; slot++) {
		struct usrpci_addr next = {0, 0x40, (slot >> 3) & 31, slot & 7};

		fixture_add(*state,
			    &(struct fixture_device){.addr = usrpci_addr_format(&next, addr),
						     .vendor = 0x8086,
						     .device = (uint16_t)slot});
	}
	assert_int_equal(usrpci_dev_list(ctx, &list), 100);
	for (unsigned int slot = 0; slot < 100; slot++)
		assert_int_equal(list[slot].device, slot);
	usrpci_dev_list_free(list);
	usrpci_ctx_close(ctx);
}

static void assert_finds(struct fixture *fixture, const char *name, const char *expected)
{
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_addr addr;
	int error = usrpci_dev_find(ctx, name, &addr);

	if (error)
		fail_msg("%s was not found: %s\n%s", name, strerror(-error), fixture->log);
	assert_address(&addr, expected);
	usrpci_ctx_close(ctx);
}

static void assert_find_fails(struct fixture *fixture, const char *name, int expected)
{
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_addr addr = {.domain = 77};

	if (usrpci_dev_find(ctx, name, &addr) != expected)
		fail_msg("\"%s\" was found or failed otherwise than %s", name, strerror(-expected));
	assert_int_equal(addr.domain, 77);
	usrpci_ctx_close(ctx);
}

static void a_device_is_found_by_its_address_long_or_short(void **state)
{
	add_host(*state);
	assert_finds(*state, "0000:02:00.0", disk.addr);
	assert_finds(*state, "02:00.0", disk.addr);
	assert_finds(*state, "/sys/bus/pci/devices/0000:02:00.0", disk.addr);
	assert_finds(*state, "/sys/devices/pci0000:00/0000:00:1c.0/0000:02:00.0//", disk.addr);
	assert_finds(*state, "pci-0000:02:00.0", disk.addr);
	assert_find_fails(*state, "/sys/bus/pci/devices/", -EINVAL);
	assert_find_fails(*state, "02:00.1", -ENODEV);
	assert_logged(*state, "0000:02:00.1");
}

static void a_device_is_found_by_its_ids_when_they_are_its_alone(void **state)
{
	struct fixture_device second = nic;

	add_host(*state);
	assert_finds(*state, "8086:100e", nic.addr);
	assert_finds(*state, "8086:100E", nic.addr);
	assert_find_fails(*state, "8086:ffff", -ENODEV);
	second.addr = "0000:00:05.0";
	fixture_add(*state, &second);
	assert_find_fails(*state, "8086:100e", -ENOTUNIQ);
	assert_logged(*state, "0000:00:03.0 0000:00:05.0");
}

#define NIC_DIR  "/sys/devices/pci0000:00/0000:00:03.0"
#define DISK_DIR "/sys/devices/pci0000:00/0000:00:1c.0/0000:02:00.0"

static void a_device_is_found_by_its_interface(void **state)
{
	add_host(*state);
	fixture_mkdir(*state, NIC_DIR "/net/eth0");
	fixture_link(*state, "/sys/class/net/eth0",
		     "../../devices/pci0000:00/0000:00:03.0/net/eth0");
	assert_finds(*state, "eth0", nic.addr);
}

static void a_virtio_interface_leads_to_the_device_below(void **state)
{
	add_host(*state);
	fixture_mkdir(*state, NIC_DIR "/virtio0/net/enp0s3");
	fixture_link(*state, "/sys/class/net/enp0s3",
		     "../../devices/pci0000:00/0000:00:03.0/virtio0/net/enp0s3");
	assert_finds(*state, "enp0s3", nic.addr);
}

static void a_device_is_found_by_its_disk_or_partition(void **state)
{
	add_host(*state);
	fixture_mkdir(*state, DISK_DIR "/nvme/nvme0/nvme0n1/nvme0n1p2");
	fixture_link(*state, "/sys/class/block/nvme0n1",
		     "../../devices/pci0000:00/0000:00:1c.0/0000:02:00.0/nvme/nvme0/nvme0n1");
	fixture_link(
		*state, "/sys/class/block/nvme0n1p2",
		"../../devices/pci0000:00/0000:00:1c.0/0000:02:00.0/nvme/nvme0/nvme0n1/nvme0n1p2");
	fixture_link(*state, "/sys/class/nvme/nvme0",
		     "../../devices/pci0000:00/0000:00:1c.0/0000:02:00.0/nvme/nvme0");
	assert_finds(*state, "nvme0n1", disk.addr);
	assert_finds(*state, "/dev/nvme0n1p2", disk.addr);
	assert_finds(*state, "/dev/nvme0", disk.addr);
}

static void a_multipath_disk_is_found_through_its_only_controller(void **state)
{
	static const char subsystem[] = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0";
	char path[128];

	add_host(*state);
	fixture_mkdir(*state, DISK_DIR "/nvme/nvme0");
	snprintf(path, sizeof(path), "%s/nvme0n1", subsystem);
	fixture_mkdir(*state, path);
	snprintf(path, sizeof(path), "%s/nvme0", subsystem);
	fixture_link(*state, path, "../../../pci0000:00/0000:00:1c.0/0000:02:00.0/nvme/nvme0");
	fixture_link(*state, "/sys/class/block/nvme0n1",
		     "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1");
	assert_finds(*state, "nvme0n1", disk.addr);
	snprintf(path, sizeof(path), "%s/nvme1", subsystem);
	fixture_link(*state, path, "../../../pci0000:00/0000:00:03.0");
	assert_find_fails(*state, "nvme0n1", -ENOTUNIQ);
	assert_logged(*state, "it has 2 paths: 0000:02:00.0, 0000:00:03.0");
}

/* The name that a list shows, where the subsystem does not say whose its controllers are. */
static void a_multipath_disk_is_found_through_the_path_to_it(void **state)
{
	static const char disks[] = "../../devices/virtual/nvme-subsystem/nvme-subsys4";
	char target[128];

	add_host(*state);
	fixture_mkdir(*state, DISK_DIR "/nvme/nvme4/nvme4c4n1");
	fixture_link(*state, "/sys/class/block/nvme4c4n1",
		     "../../devices/pci0000:00/0000:00:1c.0/0000:02:00.0/nvme/nvme4/nvme4c4n1");
	snprintf(target, sizeof(target), "%s/nvme4n1", disks);
	fixture_mkdir(*state, "/sys/devices/virtual/nvme-subsystem/nvme-subsys4/nvme4n1/nvme4n1p2");
	fixture_link(*state, "/sys/class/block/nvme4n1", target);
	snprintf(target, sizeof(target), "%s/nvme4n1/nvme4n1p2", disks);
	fixture_link(*state, "/sys/class/block/nvme4n1p2", target);
	assert_finds(*state, "nvme4n1", disk.addr);
	assert_finds(*state, "nvme4n1p2", disk.addr);
	assert_finds(*state, "nvme4c4n1", disk.addr);
}

static void an_interface_that_is_no_pci_device_is_refused(void **state)
{
	add_host(*state);
	fixture_mkdir(*state, "/sys/devices/virtual/net/lo");
	fixture_link(*state, "/sys/class/net/lo", "../../devices/virtual/net/lo");
	assert_find_fails(*state, "lo", -ENOTSUP);
	assert_logged(*state, "lo: it does not belong to a PCI device");
}

static void names_that_are_nothing_are_refused(void **state)
{
	static const char *const malformed[] = {
		"",
		".",
		"..",
		"/dev/",
		"a/b",
		"../../etc",
		":",
		"8086:",
		":100e",
		"8086:100e:",
		"18086:100e",
		"8086:100e0",
		"/dev/../x",
		"0000:02:00",
		"qemu:edu",
		"0x8086:100e",
		"/dev/mapper/root",
	};

	add_host(*state);
	for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++)
		assert_find_fails(*state, malformed[i], -EINVAL);
	assert_find_fails(*state, "eth9", -ENODEV);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(devices_are_listed_in_the_order_of_their_addresses),
		TEST(everything_known_of_a_device_is_listed),
		TEST(a_device_that_does_not_answer_is_what_the_kernel_remembers),
		TEST(a_list_wakes_no_device),
		TEST(the_interrupt_of_a_pin_is_the_kernels),
		TEST(an_interrupt_that_is_not_assigned_yet_is_unknown),
		TEST(the_kind_of_a_driver_is_known_by_its_name),
		TEST(a_device_of_vfio_is_known_whatever_its_driver_is_called),
		TEST(a_device_without_driver_and_iommu_says_so),
		TEST(a_bridge_has_its_subsystem_from_the_kernel),
		TEST(a_virtual_function_has_its_ids_from_the_kernel),
		TEST(a_device_that_vanishes_meanwhile_is_left_out),
		TEST(a_device_without_a_config_file_is_told_beside_the_others),
		TEST(a_device_that_cannot_be_read_is_told_beside_the_others),
		TEST(domains_may_have_more_than_four_digits),
		TEST(a_host_of_which_no_device_can_be_read_has_no_list),
		TEST(a_host_without_devices_has_an_empty_list),
		TEST(a_host_without_pci_is_an_error_that_names_the_directory),
		TEST(looking_up_no_device_names_the_address),
		TEST(many_devices_are_listed_without_loss),
		TEST(a_device_is_found_by_its_address_long_or_short),
		TEST(a_device_is_found_by_its_ids_when_they_are_its_alone),
		TEST(a_device_is_found_by_its_interface),
		TEST(a_virtio_interface_leads_to_the_device_below),
		TEST(a_device_is_found_by_its_disk_or_partition),
		TEST(a_multipath_disk_is_found_through_its_only_controller),
		TEST(a_multipath_disk_is_found_through_the_path_to_it),
		TEST(an_interface_that_is_no_pci_device_is_refused),
		TEST(names_that_are_nothing_are_refused),
	};

	return cmocka_run_group_tests_name("enumerate", tests, NULL, NULL);
}
