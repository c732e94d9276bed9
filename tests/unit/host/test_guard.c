// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard: each way to use a device is found and named, and a free device is found free.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "guard/processes.h"
#include "kernel.h"

#define NIC  "0000:00:03.0"
#define DISK "0000:00:04.0"
#define GPU  "0000:00:05.0"
#define TWIN "0000:00:06.0"

static void add_device(struct kernel *kernel, const char *addr, uint32_t class_code,
		       const char *driver, const char *group)
{
	struct fixture_device device = {.addr = addr,
					.vendor = 0x8086,
					.device = 0x1234,
					.class_code = class_code,
					.irq_pin = 1,
					.driver = driver,
					.iommu_group = group};

	fixture_add(kernel->fixture, &device);
}

/* An interface or disk, below a device as the kernel has it. */
static void add_member(struct kernel *kernel, const char *class_name, const char *name,
		       const char *below)
{
	char path[256], target[256];

	snprintf(path, sizeof(path), "/sys/devices/%s/%s/%s/subsystem", below, class_name, name);
	fixture_link(kernel->fixture, path, class_name);
	snprintf(path, sizeof(path), "/sys/class/%s/%s", class_name, name);
	snprintf(target, sizeof(target), "../../devices/%s/%s/%s", below, class_name, name);
	fixture_link(kernel->fixture, path, target);
}

static int setup(void **state)
{
	struct kernel *kernel;

	if (kernel_setup(state))
		return -1;
	kernel = *state;
	add_device(kernel, NIC, 0x020000, "e1000", NULL);
	add_device(kernel, DISK, 0x010802, "nvme", NULL);
	add_member(kernel, "net", "eth0", "pci0000:00/" NIC);
	add_member(kernel, "block", "nvme0n1", "pci0000:00/" DISK "/nvme/nvme0");
	fixture_text(kernel->fixture, "/sys/class/block/nvme0n1/dev", "259:0\n");
	return 0;
}

static struct usrpci_use *found;

static int count_uses(struct kernel *kernel, const char *addr)
{
	struct usrpci_addr binary = address(addr);

	usrpci_host_uses_free(found);
	found = NULL;
	return usrpci_host_uses(kernel->host, &binary, &found);
}

/* The device has one use, this one. */
static void assert_use(struct kernel *kernel, const char *addr, enum usrpci_use_kind kind,
		       const char *text)
{
	assert_int_equal(count_uses(kernel, addr), 1);
	assert_int_equal(found[0].kind, kind);
	assert_string_equal(found[0].text, text);
}

static int teardown(void **state)
{
	usrpci_host_uses_free(found);
	found = NULL;
	return kernel_teardown(state);
}

static void idle_devices_are_free(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(count_uses(kernel, NIC), 0);
	assert_int_equal(count_uses(kernel, DISK), 0);
	assert_int_equal(count_uses(kernel, "0000:09:09.0"), -ENODEV);
}

static void set_net(struct kernel *kernel, struct net_item *items, int count)
{
	kernel->items = items;
	kernel->item_count = count;
}

static void an_address_is_a_use(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"eth0", NET_ADDRESS, "192.0.2.1/24"},
				   {"eth1", NET_ADDRESS, "192.0.2.9/24"}};

	set_net(kernel, items, 2);
	assert_use(kernel, NIC, USRPCI_USE_ADDRESS, "eth0 carries 192.0.2.1/24");
	assert_string_equal(found[0].object, "eth0");
}

static void what_cannot_be_read_is_a_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_link(kernel->fixture, PCI_DEVICES "/" NIC "/sriov_numvfs", "/proc/self/mem");
	assert_use(kernel, NIC, USRPCI_USE_UNKNOWN,
		   "files that might show a use of it cannot be read");
}

static void a_route_is_a_use(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"eth0", NET_ROUTE, "default (IPv6)"}};

	set_net(kernel, items, 1);
	assert_use(kernel, NIC, USRPCI_USE_ROUTE, "eth0 carries the route to default (IPv6)");
}

static void what_is_above_an_interface_counts_too(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"br0", NET_ADDRESS, "2001:db8::1/64"}};

	fixture_mkdir(kernel->fixture, "/sys/class/net/eth0/upper_bond0");
	fixture_mkdir(kernel->fixture, "/sys/class/net/bond0/upper_br0");
	fixture_mkdir(kernel->fixture, "/sys/class/net/br0/lower_bond0");
	set_net(kernel, items, 1);
	assert_int_equal(count_uses(kernel, NIC), 3);
	assert_string_equal(found[0].text, "eth0 is part of bond0");
	assert_string_equal(found[1].text, "bond0 is part of br0");
	assert_int_equal(found[2].kind, USRPCI_USE_ADDRESS);
	assert_string_equal(found[2].text, "br0 carries 2001:db8::1/64");
}

static void interfaces_above_each_other_in_a_circle_end(void **state)
{
	struct kernel *kernel = *state;

	fixture_mkdir(kernel->fixture, "/sys/class/net/eth0/upper_loop0");
	fixture_mkdir(kernel->fixture, "/sys/class/net/loop0/upper_eth0");
	assert_in_range(count_uses(kernel, NIC), 1, 64);
}

static void an_interface_on_virtio_is_found(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"ens7", NET_ADDRESS, "192.0.2.1/24"}};

	add_device(kernel, TWIN, 0x020000, "virtio-pci", NULL);
	add_member(kernel, "net", "ens7", "pci0000:00/" TWIN "/virtio3");
	set_net(kernel, items, 1);
	assert_use(kernel, TWIN, USRPCI_USE_ADDRESS, "ens7 carries 192.0.2.1/24");
}

static void an_interface_in_another_namespace_is_noticed(void **state)
{
	struct kernel *kernel = *state;

	fixture_remove(kernel->fixture, "/sys/class/net/eth0");
	assert_use(kernel, NIC, USRPCI_USE_NAMESPACE,
		   NIC " has an interface in another network namespace");
}

static void an_interface_of_virtio_in_another_namespace_is_noticed(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x020000, "virtio-pci", NULL);
	fixture_mkdir(kernel->fixture, "/sys/devices/pci0000:00/" TWIN "/virtio9/net");
	assert_use(kernel, TWIN, USRPCI_USE_NAMESPACE,
		   TWIN " has an interface in another network namespace");
}

static void an_interface_in_another_namespace_is_noticed_beside_one_that_is_here(void **state)
{
	struct kernel *kernel = *state;

	fixture_mkdir(kernel->fixture, "/sys/devices/pci0000:00/" NIC "/net/ib0");
	assert_use(kernel, NIC, USRPCI_USE_NAMESPACE,
		   NIC " has an interface in another network namespace");
}

/* As AMD's IOMMU, which has no driver. */
static void an_iommu_that_is_a_function_is_a_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x080600, NULL, NULL);
	add_member(kernel, "iommu", "ivhd0", "pci0000:00/" TWIN);
	assert_use(kernel, TWIN, USRPCI_USE_HOLDER,
		   TWIN " is the IOMMU ivhd0, which translates for other devices");
	assert_string_equal(found[0].cure, "choose another device than " TWIN);
}

/* Fibre Channel over Ethernet needs no address. */
static void a_disk_below_an_interface_is_seen(void **state)
{
	struct kernel *kernel = *state;

	add_member(kernel, "block", "sdq",
		   "pci0000:00/" NIC "/net/eth0/ctlr_0/host5/rport-5:0-0/target5:0:0/5:0:0:0");
	fixture_text(kernel->fixture, "/sys/class/block/sdq/dev", "65:0\n");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "22 1 65:0 / / rw,relatime - ext4 /dev/sdq rw\n");
	assert_use(kernel, NIC, USRPCI_USE_MOUNT, "sdq is mounted on /");
}

/* Its controllers hang below no function. */
static void a_disk_of_nvme_over_fibre_channel_is_seen(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x0c0400, "lpfc", NULL);
	add_member(kernel, "fc_host", "host5", "pci0000:00/" TWIN "/host5");
	fixture_text(kernel->fixture, "/sys/class/fc_host/host5/port_name", "0x10000090fa9427cc\n");
	fixture_text(kernel->fixture, "/sys/class/nvme/nvme1/address",
		     "traddr=nn-0x1:pn-0x10000090fa9427cc,host_traddr=nn-0x2:pn-0x3\n");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_text(kernel->fixture, "/sys/class/nvme/nvme2/address",
		     "traddr=nn-0x1:pn-0x2,host_traddr=nn-0x3:pn-0x10000090fa9427cc\n");
	assert_use(kernel, TWIN, USRPCI_USE_HOLDER, "nvme2 is reached through host5");
	assert_string_equal(found[0].cure, "nvme disconnect -d nvme2");
}

#define VMD_DISK "10000:e1:00.0"

/* As behind Intel's VMD, whose class is RAID: a bus of its own, in a domain of its own. */
static void what_uses_a_function_below_uses_the_function(void **state)
{
	struct kernel *kernel = *state;
	const char *below = "pci0000:00/" TWIN "/pci10000:e0/" VMD_DISK "/nvme/nvme7";

	add_device(kernel, TWIN, 0x010400, "vmd", NULL);
	add_device(kernel, VMD_DISK, 0x010802, "nvme", NULL);
	add_member(kernel, "block", "nvme7n1", below);
	fixture_text(kernel->fixture, "/sys/class/block/nvme7n1/dev", "259:9\n");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "22 1 259:9 / / rw,relatime - ext4 /dev/nvme7n1 rw\n");
	assert_int_equal(count_uses(kernel, TWIN), 2);
	assert_int_equal(found[0].kind, USRPCI_USE_BELOW);
	assert_string_equal(found[0].text, VMD_DISK " is below it, and vanishes with its driver");
	assert_int_equal(found[1].kind, USRPCI_USE_MOUNT);
	assert_string_equal(found[1].text, VMD_DISK ": nvme7n1 is mounted on /");
}

static void a_partition_of_a_multipath_disk_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x010802, "nvme", NULL);
	add_member(kernel, "block", "nvme4c4n1", "pci0000:00/" TWIN "/nvme/nvme4");
	fixture_link(kernel->fixture, "/sys/class/block/nvme4n1/nvme4n1p2/subsystem", "block");
	fixture_link(kernel->fixture, "/sys/class/block/nvme4n1/subsystem", "block");
	fixture_text(kernel->fixture, "/sys/class/block/nvme4n1/nvme4n1p2/dev", "259:8\n");
	fixture_link(kernel->fixture, "/sys/class/block/nvme4n1p2", "nvme4n1/nvme4n1p2");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "22 1 259:8 / / rw,relatime - ext4 /dev/nvme4n1p2 rw\n");
	assert_use(kernel, TWIN, USRPCI_USE_MOUNT, "nvme4n1p2 is mounted on /");
}

/* The table of mounts has the other one. */
static void the_second_disk_of_a_btrfs_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x010802, "nvme", NULL);
	add_member(kernel, "block", "nvme4n1", "pci0000:00/" TWIN "/nvme/nvme4");
	fixture_text(kernel->fixture, "/sys/fs/btrfs/features/raid1c34", "0\n");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_link(kernel->fixture,
		     "/sys/fs/btrfs/0f1e2d3c-8445-11ea-8900-1f9ce7d5650d/devices/nvme4n1",
		     "../../../../class/block/nvme4n1");
	assert_use(kernel, TWIN, USRPCI_USE_HOLDER,
		   "nvme4n1 is a part of the Btrfs 0f1e2d3c-8445-11ea-8900-1f9ce7d5650d, which is "
		   "mounted");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "22 1 0:8 / /data rw,relatime - btrfs /dev/nvme4n1 rw\n");
	assert_use(kernel, TWIN, USRPCI_USE_MOUNT, "nvme4n1 is mounted on /data");
	assert_int_equal(count_uses(kernel, TWIN), 1);
}

static void a_network_that_cannot_be_read_counts_as_in_use(void **state)
{
	struct kernel *kernel = *state;

	set_net(kernel, NULL, -EPERM);
	assert_use(kernel, NIC, USRPCI_USE_UNKNOWN,
		   "the configuration of the network cannot be read: Operation not permitted");
	assert_int_equal(count_uses(kernel, DISK), 0);
}

static void a_mounted_disk_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "20 1 0:18 / /proc rw - proc proc rw\n"
		     "30 1 259:0 / /srv rw - ext4 /dev/disk/by-label/x rw\n");
	assert_use(kernel, DISK, USRPCI_USE_MOUNT, "nvme0n1 is mounted on /srv");
}

static void a_mounted_partition_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_member(kernel, "block", "nvme0n1p2", "pci0000:00/" DISK "/nvme/nvme0/nvme0n1");
	fixture_text(kernel->fixture, "/sys/class/block/nvme0n1p2/dev", "259:2\n");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "30 1 259:2 / / rw - ext4 /dev/root rw\n");
	assert_use(kernel, DISK, USRPCI_USE_MOUNT, "nvme0n1p2 is mounted on /");
}

/* Btrfs mounts have a device number of their own. */
static void a_mount_is_known_by_its_source_as_well(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "30 1 0:44 / /data rw - btrfs /dev/nvme0n1 rw\n");
	assert_use(kernel, DISK, USRPCI_USE_MOUNT, "nvme0n1 is mounted on /data");
}

static void mount_at(struct kernel *kernel, const char *place)
{
	char line[600];

	snprintf(line, sizeof(line),
		 "30 1 259:0 / %s rw - ext4 x rw\n31 1 259:0 / %s rw - ext4 x rw\n", place, place);
	fixture_text(kernel->fixture, "/proc/self/mountinfo", line);
	assert_int_equal(count_uses(kernel, DISK), 1);
	assert_int_equal(found[0].kind, USRPCI_USE_MOUNT);
}

/* A cure that was cut off would be another command. */
static void the_cure_of_a_mount_is_a_command_whatever_its_place_is_called(void **state)
{
	char place[101] = "/";
	char line[220];

	mount_at(*state, "/srv/my\\040disk");
	assert_string_equal(found[0].text, "nvme0n1 is mounted on /srv/my disk");
	assert_string_equal(found[0].cure, "umount '/srv/my disk'");
	mount_at(*state, "/it's");
	assert_string_equal(found[0].cure, "umount '/it'\\''s'");
	mount_at(*state, "/x\\040/dev/a!b");
	assert_string_equal(found[0].cure, "umount '/x /dev/a!b'");
	mount_at(*state, "/two\\012lines");
	assert_string_equal(found[0].cure, "findmnt -S /dev/nvme0n1 # then umount its places");
	memset(place + 1, 'x', sizeof(place) - 2);
	snprintf(line, sizeof(line), "%s%s", place, place);
	mount_at(*state, line);
	assert_string_equal(found[0].cure, "findmnt -S /dev/nvme0n1 # then umount its places");
}

static void swap_space_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/swaps",
		     "Filename\tType\tSize\tUsed\tPriority\n"
		     "/dev/nvme0n1 partition 1048572 0 -2\n");
	assert_use(kernel, DISK, USRPCI_USE_SWAP, "nvme0n1 is swap space");
}

static void the_cure_names_the_file_of_a_disk_below_a_directory_of_dev(void **state)
{
	struct kernel *kernel = *state;

	add_member(kernel, "block", "cciss!c0d0", "pci0000:00/" DISK "/cciss0/block");
	fixture_text(kernel->fixture, "/proc/swaps",
		     "Filename Type Size Used Priority\n/dev/cciss/c0d0 partition 8 0 -2\n");
	assert_use(kernel, DISK, USRPCI_USE_SWAP, "cciss!c0d0 is swap space");
	assert_string_equal(found[0].cure, "swapoff /dev/cciss/c0d0");
}

static void the_heading_of_the_table_of_swap_space_is_none_of_it(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/swaps", "Filename Type Size Used Priority\n");
	assert_int_equal(count_uses(kernel, DISK), 0);
	fixture_text(kernel->fixture, "/proc/swaps",
		     "Filename Type Size Used Priority\n/dev/nvme0n1 partition\n\x01\n");
	assert_int_equal(count_uses(kernel, DISK), 1);
}

/* They have no process, and umount(8) fails until they end. */
static void what_the_kernel_has_of_a_file_system_is_told_before_its_mount(void **state)
{
	static const char *const uses[][2] = {
		{"nvme0n1 has the swap file /a b/swap", "swapoff '/a b/swap'"},
		{"loop3 is mounted on /srv", "umount /srv"},
		{"a file on nvme0n1 is exported by loop3",
		 "losetup -d /dev/loop3 # once lsblk /dev/loop3 shows nothing on it"},
		{"nvme0n1 is mounted on /a b", "umount '/a b'"},
	};
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "30 1 259:0 / /a\\040b rw - ext4 /dev/nvme0n1 rw\n"
		     "31 1 7:3 / /srv rw - ext4 /dev/loop3 rw\n");
	fixture_text(kernel->fixture, "/proc/swaps",
		     "Filename\tType\tSize\tUsed\tPriority\n"
		     "/a\\040b/swap file 1048572 0 -2\n/a\\040be/swap file 1048572 0 -2\n");
	fixture_text(kernel->fixture, "/sys/class/block/loop3/loop/backing_file", "/a b/image\n");
	fixture_text(kernel->fixture, "/sys/class/block/loop3/dev", "7:3\n");
	fixture_text(kernel->fixture, "/sys/class/block/loop4/loop/backing_file", "/a bc/image\n");
	assert_int_equal(count_uses(kernel, DISK), ARRAY_SIZE(uses));
	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		assert_string_equal(found[i].text, uses[i][0]);
		assert_string_equal(found[i].cure, uses[i][1]);
	}
}

static void a_holder_and_what_is_mounted_above_it_are_found(void **state)
{
	struct kernel *kernel = *state;

	fixture_mkdir(kernel->fixture, "/sys/class/block/nvme0n1/holders/dm-0");
	fixture_text(kernel->fixture, "/sys/class/block/dm-0/dm/name", "vg-root\n");
	fixture_text(kernel->fixture, "/sys/class/block/dm-0/dev", "253:0\n");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "30 1 253:0 / / rw - ext4 /dev/mapper/vg-root rw\n");
	assert_int_equal(count_uses(kernel, DISK), 2);
	assert_string_equal(found[0].text, "dm-0 is mounted on /");
	assert_int_equal(found[1].kind, USRPCI_USE_HOLDER);
	assert_string_equal(found[1].text, "nvme0n1 is held by dm-0 (vg-root)");
	fixture_text(kernel->fixture, "/sys/class/block/dm-0/dm/name", "odd\\x20name\n");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "30 1 253:0 / /a\\040b rw - ext4 /dev/mapper/vg-root rw\n");
	count_uses(kernel, DISK);
	assert_string_equal(found[0].cure, "umount '/a b'");
	assert_string_equal(found[1].cure, "dmsetup remove 'odd\\x20name' # LVM: vgchange -a n");
	fixture_text(kernel->fixture, "/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-1234\n");
	count_uses(kernel, DISK);
	assert_string_equal(found[1].cure, "cryptsetup close 'odd\\x20name'");
}

/* What is on top ends first; a program that has it open uses the disk, too. */
static void a_stack_of_loop_devices_and_mappings_is_walked_to_its_top(void **state)
{
	static const char *const texts[] = {
		"dm-0 is mounted on /srv", "loop3 is held by dm-0 (name)",
		"nvme0n1 is exported by loop3", "pid 9 (?) has /dev/dm-0 open"};
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/class/block/loop3/loop/backing_file", "/dev/nvme0n1\n");
	fixture_mkdir(kernel->fixture, "/sys/class/block/loop3/holders/dm-0");
	fixture_text(kernel->fixture, "/sys/class/block/dm-0/dm/name", "name\n");
	fixture_text(kernel->fixture, "/sys/class/block/dm-0/dev", "253:0\n");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "30 1 253:0 / /srv rw - ext4 /dev/mapper/name rw\n");
	fixture_link(kernel->fixture, "/proc/9/fd/5", "/dev/dm-0");
	assert_int_equal(count_uses(kernel, DISK), ARRAY_SIZE(texts));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_string_equal(found[i].text, texts[i]);
}

/* umount -A of one would take the root along. */
static void nothing_on_the_disk_of_the_root_can_be_ended(void **state)
{
	static const char cure[] = "choose another device: the root file system is on this one";
	struct kernel *kernel = *state;

	add_member(kernel, "block", "nvme0n1p2", "pci0000:00/" DISK "/nvme/nvme0/nvme0n1");
	fixture_text(kernel->fixture, "/sys/class/block/nvme0n1p2/dev", "259:2\n");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "30 1 259:2 / / rw - ext4 /dev/root rw\n"
		     "31 30 259:2 /home /home rw - ext4 /dev/root rw\n");
	assert_int_equal(count_uses(kernel, DISK), 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(found[i].cure, cure);
}

static void the_head_of_a_multipath_disk_is_found(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x010802, "nvme", NULL);
	add_member(kernel, "block", "nvme1c2n1", "pci0000:00/" TWIN "/nvme/nvme2");
	fixture_text(kernel->fixture, "/sys/class/block/nvme1n1/dev", "259:9\n");
	fixture_link(kernel->fixture, "/sys/class/block/nvme1n1/subsystem", "block");
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "30 1 259:9 / /srv rw - xfs /dev/nvme1n1 rw\n");
	assert_use(kernel, TWIN, USRPCI_USE_MOUNT, "nvme1n1 is mounted on /srv");
}

static void mounts_that_cannot_be_read_count_as_in_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_remove(kernel->fixture, "/proc/self/mountinfo");
	assert_use(kernel, DISK, USRPCI_USE_UNKNOWN,
		   "the list of mounted file systems cannot be read: No such file or directory");
}

/*
 * libmount passes over a line that it does not understand, though it may be the one that matters.
 */
static void a_line_of_mounts_that_is_not_understood_counts_as_in_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "22 1 259:77 / / rw,relatime - ext4 /dev/other rw\n22 1 x:y nonsense\n");
	assert_int_equal(count_uses(kernel, DISK), 1);
	assert_int_equal(found[0].kind, USRPCI_USE_UNKNOWN);
}

static void assert_mounts_unknown(struct kernel *kernel)
{
	assert_int_equal(count_uses(kernel, DISK), 1);
	assert_int_equal(found[0].kind, USRPCI_USE_UNKNOWN);
}

static void replace(struct kernel *kernel, const char *path, const char *target)
{
	fixture_remove(kernel->fixture, path);
	fixture_link(kernel->fixture, path, target);
}

/* A forged tree must neither keep the reader for ever nor hide what is mounted. */
static void a_table_that_is_no_text_counts_as_in_use(void **state)
{
	static const char *const tables[] = {"/proc/self/mountinfo", "/proc/swaps"};
	struct kernel *kernel = *state;
	char pipe[PATH_SIZE];

	assert_int_equal(path_format(kernel->ctx, pipe, "/pipe"), 0);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		fixture_bytes(kernel->fixture, tables[i], "\0\0\n", 3);
		assert_mounts_unknown(kernel);
		fixture_text(kernel->fixture, tables[i], "Filename Type Size Used Priority");
		assert_mounts_unknown(kernel);
		replace(kernel, tables[i], "/dev/zero");
		assert_mounts_unknown(kernel);
		replace(kernel, tables[i], pipe);
		assert_mounts_unknown(kernel);
		fixture_remove(kernel->fixture, tables[i]);
		fixture_text(kernel->fixture, tables[i], "");
	}
	assert_int_equal(count_uses(kernel, DISK), 0);
	fixture_text(kernel->fixture, "/proc/self/mountinfo",
		     "Filename\tType\tSize\tUsed\tPriority\n/dev/nvme0n1 partition 9 0 -1\n");
	assert_mounts_unknown(kernel);
}

static void the_console_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, GPU, 0x030000, "bochs-drm", NULL);
	assert_int_equal(count_uses(kernel, GPU), 0);
	fixture_text(kernel->fixture, PCI_DEVICES "/" GPU "/boot_vga", "1\n");
	assert_use(kernel, GPU, USRPCI_USE_DISPLAY, GPU " shows the console");
}

static void a_serial_line_that_is_the_console_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x070002, "serial", NULL);
	add_member(kernel, "tty", "ttyS4", "pci0000:00/" TWIN);
	fixture_text(kernel->fixture, "/sys/class/tty/console/active", "tty0 ttyS40\n");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_text(kernel->fixture, "/sys/class/tty/console/active", "ttyS40 ttyS4\n");
	assert_use(kernel, TWIN, USRPCI_USE_CONSOLE, "ttyS4 is the kernel's console");
}

static void the_files_of_a_virtual_machines_host_are_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x000200, "virtio-pci", NULL);
	fixture_text(kernel->fixture, PCI_DEVICES "/" TWIN "/virtio3/mount_tag", "root\n");
	fixture_link(kernel->fixture, PCI_DEVICES "/" TWIN "/virtio3/subsystem", "virtio");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_link(kernel->fixture, PCI_DEVICES "/" TWIN "/virtio3/driver",
		     "../../../../bus/virtio/drivers/9pnet_virtio");
	assert_use(kernel, TWIN, USRPCI_USE_SHARE,
		   TWIN " carries the file system \"root\" of the virtual machine's host");
}

static void virtual_functions_hang_on_their_parent(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/sriov_numvfs", "0\n");
	assert_int_equal(count_uses(kernel, NIC), 0);
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/sriov_numvfs", "4\n");
	assert_use(kernel, NIC, USRPCI_USE_FUNCTIONS,
		   NIC " has 4 virtual functions, which vanish with its driver");
}

static void open_files_name_their_process(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x020000, "uio_pci_generic", NULL);
	fixture_link(kernel->fixture, PCI_DEVICES "/" TWIN "/uio/uio0/subsystem", "uio");
	fixture_link(kernel->fixture, "/proc/812/fd/0", "/dev/null");
	fixture_link(kernel->fixture, "/proc/812/fd/7", "/dev/uio0");
	fixture_text(kernel->fixture, "/proc/812/comm", "testpmd\n");
	fixture_link(kernel->fixture, "/proc/813/fd/1", "/dev/uio01");
	assert_use(kernel, TWIN, USRPCI_USE_OPEN, "pid 812 (testpmd) has /dev/uio0 open");
	fixture_text(kernel->fixture, "/proc/812/comm", "a\n\033[2Jreboot\n");
	assert_use(kernel, TWIN, USRPCI_USE_OPEN, "pid 812 (a??[2Jreboot) has /dev/uio0 open");
	assert_string_equal(found[0].cure, "kill 812 # or end a??[2Jreboot as it is meant to be");
}

static void an_open_resource_file_is_a_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_link(kernel->fixture, "/proc/9/fd/2", "/sys/devices/pci0000:00/" NIC "/resource");
	assert_int_equal(count_uses(kernel, NIC), 0);
	fixture_link(kernel->fixture, "/proc/9/fd/3", "/sys/devices/pci0000:00/" NIC "/resource0");
	assert_int_equal(count_uses(kernel, NIC), 1);
	assert_int_equal(found[0].kind, USRPCI_USE_OPEN);
	assert_int_equal(count_uses(kernel, DISK), 0);
	fixture_remove(kernel->fixture, "/proc/9/fd/3");
	fixture_link(kernel->fixture, "/proc/9/fd/3",
		     "/sys/devices/platform/scb/fd500000.pcie/pci0000:00/" NIC "/resource0_wc");
	assert_int_equal(count_uses(kernel, NIC), 1);
	assert_int_equal(found[0].kind, USRPCI_USE_OPEN);
}

static void an_open_file_of_the_bus_in_proc_is_a_use(void **state)
{
	struct kernel *kernel = *state;
	const char *far = "0001:00:03.0";

	add_device(kernel, far, 0x020000, "e1000", NULL);
	fixture_link(kernel->fixture, "/proc/9/fd/7", "/proc/bus/pci/00/03.0");
	fixture_text(kernel->fixture, "/proc/9/comm", "sleep\n");
	assert_use(kernel, NIC, USRPCI_USE_OPEN, "pid 9 (sleep) has /proc/bus/pci/00/03.0 open");
	assert_int_equal(count_uses(kernel, far), 0);
	assert_int_equal(count_uses(kernel, DISK), 0);
	fixture_remove(kernel->fixture, "/proc/9/fd/7");
	fixture_link(kernel->fixture, "/proc/9/fd/7", "/proc/bus/pci/0001:00/03.0");
	assert_use(kernel, far, USRPCI_USE_OPEN,
		   "pid 9 (sleep) has /proc/bus/pci/0001:00/03.0 open");
	assert_int_equal(count_uses(kernel, NIC), 0);
}

static void a_user_namespace_hides_who_uses_a_device(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/self/uid_map", "         0          0 4294967295\n");
	assert_int_equal(count_uses(kernel, NIC), 0);
	fixture_text(kernel->fixture, "/proc/self/uid_map", "         0          0          1\n");
	assert_use(kernel, NIC, USRPCI_USE_UNKNOWN,
		   "the files that other programs have open cannot be seen");
	assert_non_null(strstr(found[0].cure, "user namespace"));
	fixture_text(kernel->fixture, "/proc/self/uid_map", "");
	assert_int_equal(count_uses(kernel, NIC), 1);
}

/* Of the uses that were found last, the cure of one, or NULL. */
static const char *cure_of(int count, const char *text)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(found[i].text, text))
			return found[i].cure;
	return NULL;
}

static void a_limit_of_open_files_has_a_cure_of_its_own(void **state)
{
	struct kernel *kernel = *state;
	struct rlimit before, low;
	int seen = 0;

	fixture_link(kernel->fixture, "/proc/9/fd/3", "/dev/null");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (rlim_t limit = 3; limit < 40; limit++) {
		const char *cure;
		int count;

		low = (struct rlimit){limit, before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		count = count_uses(kernel, NIC);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		cure = cure_of(count, "the files that other programs have open cannot be seen");
		seen += cure != NULL;
		if (cure)
			assert_string_equal(cure, "ulimit -n 1024");
	}
	assert_true(seen > 0);
}

static void an_open_disk_is_a_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_link(kernel->fixture, "/proc/9/fd/3", "/dev/nvme0n1");
	fixture_text(kernel->fixture, "/proc/9/comm", "qemu\n");
	assert_use(kernel, DISK, USRPCI_USE_OPEN, "pid 9 (qemu) has /dev/nvme0n1 open");
}

/* A file in /dev of something below a device, as the kernel has it in sysfs. */
static void add_node(struct kernel *kernel, const char *path, const char *class_name)
{
	char link[300];

	snprintf(link, sizeof(link), "%s/subsystem", path);
	fixture_link(kernel->fixture, link, class_name);
}

static void files_of_all_classes_below_a_device_count(void **state)
{
	static const struct {
		const char *below, *class_name, *file;
	} nodes[] = {
		{"sound/card0/pcmC0D0p", "sound", "/dev/snd/pcmC0D0p"},
		{"drm/card0", "drm", "/dev/dri/card0"},
		{"infiniband_verbs/uverbs0", "infiniband_verbs", "/dev/infiniband/uverbs0"},
		{"dsa0/wq0.0", "dsa", "/dev/dsa/wq0.0"},
		{"iTCO_wdt/watchdog/watchdog0", "watchdog", "/dev/watchdog0"},
		{"ptp/ptp0", "ptp", "/dev/ptp0"},
		{"host0/target0:0:0/0:0:0:0/scsi_generic/sg0", "scsi_generic", "/dev/sg0"},
		{"usb1/1-1/1-1:1.0/0003:046D:C31C.0001/hidraw/hidraw0", "hidraw", "/dev/hidraw0"},
		{"media0", "media", "/dev/media0"},
	};
	struct kernel *kernel = *state;
	char path[256];

	add_device(kernel, TWIN, 0x040300, "snd_hda_intel", NULL);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		snprintf(path, sizeof(path), PCI_DEVICES "/" TWIN "/%s", nodes[i].below);
		add_node(kernel, path, nodes[i].class_name);
		assert_int_equal(count_uses(kernel, TWIN), 0);
		fixture_link(kernel->fixture, "/proc/812/fd/7", nodes[i].file);
		assert_int_equal(count_uses(kernel, TWIN), 1);
		assert_int_equal(found[0].kind, USRPCI_USE_OPEN);
		assert_non_null(strstr(found[0].text, nodes[i].file));
		fixture_remove(kernel->fixture, "/proc/812/fd/7");
	}
}

static void a_vfio_group_that_is_open_is_a_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x020000, "vfio-pci", "7");
	fixture_link(kernel->fixture, "/proc/812/fd/7", "/dev/pts/7");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_link(kernel->fixture, "/proc/812/fd/8", "/dev/vfio/noiommu-7");
	assert_use(kernel, TWIN, USRPCI_USE_OPEN, "pid 812 (?) has /dev/vfio/noiommu-7 open");
	fixture_link(kernel->fixture, "/proc/813/fd/8", "/dev/vfio/7");
	assert_int_equal(count_uses(kernel, TWIN), 2);
}

static void the_first_watchdog_has_two_files(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x088000, "i6300ESB timer", NULL);
	fixture_link(kernel->fixture, "/proc/1/fd/30", "/dev/watchdog");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_text(kernel->fixture, "/sys/class/watchdog/watchdog0/identity", "i6300ESB timer\n");
	assert_use(kernel, TWIN, USRPCI_USE_OPEN, "pid 1 (?) has /dev/watchdog open");
	fixture_mkdir(kernel->fixture, "/sys/class/watchdog/watchdog0/device");
	assert_int_equal(count_uses(kernel, TWIN), 0);
}

/* The driver of NVIDIA makes its files without the kernel's help. */
static void the_files_of_nvidia_are_known_by_its_own_table(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, GPU, 0x030200, "nvidia", NULL);
	fixture_text(kernel->fixture, "/proc/driver/nvidia/gpus/" GPU "/information",
		     "Model: \t\t NVIDIA A100\nDevice Minor: \t 3\n");
	fixture_link(kernel->fixture, "/proc/44/fd/5", "/dev/nvidia0");
	assert_int_equal(count_uses(kernel, GPU), 0);
	fixture_link(kernel->fixture, "/proc/44/fd/6", "/dev/nvidia3");
	assert_use(kernel, GPU, USRPCI_USE_OPEN, "pid 44 (?) has /dev/nvidia3 open");
	assert_string_equal(found[0].cure, "kill 44 # NVIDIA: systemctl stop nvidia-persistenced");
}

static void a_disk_that_the_kernel_gives_on_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/class/block/loop0/loop/backing_file", "/srv/image\n");
	assert_int_equal(count_uses(kernel, DISK), 0);
	fixture_text(kernel->fixture, "/sys/class/block/loop3/loop/backing_file", "/dev/nvme0n1\n");
	assert_use(kernel, DISK, USRPCI_USE_EXPORT, "nvme0n1 is exported by loop3");
	assert_string_equal(found[0].cure,
			    "losetup -d /dev/loop3 # once lsblk /dev/loop3 shows nothing on it");
}

/* losetup in a chroot, or by a file that was made for it: the path leads nowhere. */
static void a_loop_device_whose_file_is_not_there_may_have_the_disk(void **state)
{
	static const char *const paths[] = {"/srv/chroot/dev/nvme0n1", "/dev/nvme0n1 (deleted)",
					    "/tmp/disk (deleted)", "/dev/disk/by-id/x"};
	struct kernel *kernel = *state;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		fixture_text(kernel->fixture, "/sys/class/block/loop3/loop/backing_file", paths[i]);
		assert_use(kernel, DISK, USRPCI_USE_UNKNOWN,
			   "it cannot be seen which disk loop3 has");
		assert_string_equal(
			found[0].cure,
			"losetup -d /dev/loop3 # once lsblk /dev/loop3 shows nothing on it");
		assert_int_equal(count_uses(kernel, NIC), 0);
	}
}

#define SUBSYSTEM "/sys/kernel/config/nvmet/subsystems/nqn.x"

static void a_disk_that_is_a_target_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_mkdir(kernel->fixture, "/sys/module/nvmet");
	assert_use(kernel, DISK, USRPCI_USE_UNKNOWN,
		   "it is unknown what the kernel's nvmet exports");
	fixture_text(kernel->fixture, SUBSYSTEM "/namespaces/1/device_path", "/dev/nvme0n1\n");
	fixture_text(kernel->fixture, SUBSYSTEM "/namespaces/1/enable", "0\n");
	assert_int_equal(count_uses(kernel, DISK), 0);
	fixture_text(kernel->fixture, SUBSYSTEM "/namespaces/1/enable", "1\n");
	assert_use(kernel, DISK, USRPCI_USE_EXPORT, "nvme0n1 is exported by nvmet, namespace 1");
	assert_string_equal(found[0].cure, "echo 0 > " SUBSYSTEM "/namespaces/1/enable");
	fixture_text(kernel->fixture, SUBSYSTEM "/namespaces/1/enable", "0\n");
	fixture_text(kernel->fixture, "/sys/kernel/config/target/core/fileio_0/disk0/udev_path",
		     "/dev/nvme0n1\n");
	assert_use(kernel, DISK, USRPCI_USE_EXPORT, "nvme0n1 is exported by the SCSI target disk0");
	fixture_remove(kernel->fixture, "/sys/kernel/config/target/core/fileio_0/disk0/udev_path");
	fixture_text(
		kernel->fixture, "/sys/kernel/config/target/core/fileio_0/disk0/info",
		"Status: ACTIVATED  Max Queue Depth: 0\n"
		"        TCM FILEIO ID: 0        File: /dev/nvme0n1  Size: 1048576  Mode: O_DSYNC\n");
	assert_use(kernel, DISK, USRPCI_USE_EXPORT, "nvme0n1 is exported by the SCSI target disk0");
}

static void what_virtual_machines_have_is_in_use(void **state)
{
	struct kernel *kernel = *state;
	const char *mediated = PCI_DEVICES "/" GPU "/c0ffee00-1111-2222-3333-444455556666";

	add_device(kernel, TWIN, 0x020000, "pciback", NULL);
	assert_use(kernel, TWIN, USRPCI_USE_GUEST,
		   TWIN " is kept for a virtual machine by pciback");
	add_device(kernel, GPU, 0x030000, "i915", NULL);
	assert_int_equal(count_uses(kernel, GPU), 0);
	add_node(kernel, mediated, "mdev");
	assert_int_equal(count_uses(kernel, GPU), 1);
	assert_int_equal(found[0].kind, USRPCI_USE_GUEST);
	assert_non_null(strstr(found[0].cure, "/remove"));
}

static void memory_of_the_system_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x050000, "nd_pmem", NULL);
	add_node(kernel, PCI_DEVICES "/" TWIN "/dax0.0", "dax");
	fixture_link(kernel->fixture, PCI_DEVICES "/" TWIN "/dax0.0/driver", "device_dax");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_remove(kernel->fixture, PCI_DEVICES "/" TWIN "/dax0.0/driver");
	fixture_link(kernel->fixture, PCI_DEVICES "/" TWIN "/dax0.0/driver", "kmem");
	assert_use(kernel, TWIN, USRPCI_USE_MEMORY,
		   "memory of dax0.0 is used as system memory (kmem)");
}

static void memory_in_a_region_of_cxl_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x050210, "cxl_pci", NULL);
	add_node(kernel, PCI_DEVICES "/" TWIN "/mem1", "cxl");
	fixture_link(kernel->fixture, "/sys/bus/cxl/devices/endpoint5/uport", "../mem1");
	fixture_link(kernel->fixture, "/sys/bus/cxl/devices/endpoint4/uport", "../mem0");
	fixture_text(kernel->fixture, "/sys/bus/cxl/devices/region0/target0", "decoder4.0\n");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_text(kernel->fixture, "/sys/bus/cxl/devices/region0/target1", "decoder5.0\n");
	assert_use(kernel, TWIN, USRPCI_USE_MEMORY, "memory of mem1 is in region0");
	fixture_link(kernel->fixture, "/proc/9/fd/3", "/dev/cxl/mem1");
	assert_int_equal(count_uses(kernel, TWIN), 2);
}

static void a_dma_channel_that_the_kernel_uses_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x088000, "ioatdma", NULL);
	add_node(kernel, PCI_DEVICES "/" TWIN "/dma/dma0chan0", "dma");
	fixture_text(kernel->fixture, PCI_DEVICES "/" TWIN "/dma/dma0chan0/in_use", "0\n");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_text(kernel->fixture, PCI_DEVICES "/" TWIN "/dma/dma0chan0/in_use", "1\n");
	assert_use(kernel, TWIN, USRPCI_USE_HOLDER,
		   "the kernel copies with the DMA channel dma0chan0");
}

static void the_frame_buffer_of_the_firmware_is_in_use(void **state)
{
	struct kernel *kernel = *state;
	struct fixture_device gpu = {.addr = GPU,
				     .vendor = 0x10de,
				     .device = 1,
				     .class_code = 0x030000,
				     .driver = "vfio-pci",
				     .bars = {{0xe0000000, 0x1000000, 0x200}}};

	fixture_add(kernel->fixture, &gpu);
	fixture_text(kernel->fixture, "/proc/iomem",
		     "00000000-00000fff : Reserved\n"
		     "f0000000-f07fffff : BOOTFB\n");
	assert_int_equal(count_uses(kernel, GPU), 0);
	fixture_text(kernel->fixture, "/proc/iomem",
		     "e0000000-e0ffffff : " GPU "\n"
		     "  e0000000-e07fffff : BOOTFB\n");
	assert_use(kernel, GPU, USRPCI_USE_DISPLAY,
		   "the frame buffer of the firmware is on a BAR of " GPU);
	assert_non_null(strstr(found[0].cure, "sysfb_init"));
}

static void a_virtio_line_that_is_the_console_is_in_use(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, 0x078000, "virtio-pci", NULL);
	add_node(kernel, PCI_DEVICES "/" TWIN "/virtio2", "virtio");
	fixture_link(kernel->fixture, PCI_DEVICES "/" TWIN "/virtio2/driver", "virtio_console");
	fixture_text(kernel->fixture, "/sys/class/tty/console/active", "tty0\n");
	assert_int_equal(count_uses(kernel, TWIN), 0);
	fixture_text(kernel->fixture, "/sys/class/tty/console/active", "tty0 hvc0\n");
	assert_use(kernel, TWIN, USRPCI_USE_CONSOLE, "hvc0 is the kernel's console");
}

static void frames_without_an_address_are_a_use(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"eth0", NET_XDP_PROGRAM, "xdpgeneric"}};

	set_net(kernel, items, 1);
	assert_use(kernel, NIC, USRPCI_USE_FRAMES, "eth0 carries frames of an XDP program");
	assert_string_equal(found[0].cure, "ip link set dev eth0 xdpgeneric off");
}

static void a_socket_that_is_bound_to_an_interface_is_a_use(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"eth0", NET_BOUND_SOCKET, ""}};

	set_net(kernel, items, 1);
	assert_use(kernel, NIC, USRPCI_USE_FRAMES,
		   "eth0 carries frames of a socket that is bound to it");
	assert_string_equal(found[0].cure, "end the program that \"ss -tuwanp\" shows with %eth0");
}

/* A VLAN is known to sysfs as well, and is one use. */
static void what_may_be_of_any_interface_is_a_use_of_each(void **state)
{
	static const struct {
		enum net_kind kind;
		const char *text, *what, *cure;
	} rows[] = {
		{NET_UNSEEN_NETCONSOLE, "", "netconsole sends through", "modprobe -r netconsole"},
		{NET_UNSEEN_XDP, "", "an AF_XDP socket is bound to", "modprobe xdp_diag"},
		{NET_UNSEEN_XDP, "812", "an AF_XDP socket of process 812 is bound to",
		 "modprobe xdp_diag # or kill 812, where there is none"},
	};
	struct kernel *kernel = *state;
	struct net_item item = {0};
	char text[128];

	kernel->items = &item;
	kernel->item_count = 1;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		item.kind = rows[i].kind;
		strcpy(item.text, rows[i].text);
		snprintf(text, sizeof(text), "it cannot be seen whether %s its interface",
			 rows[i].what);
		assert_use(kernel, NIC, USRPCI_USE_UNKNOWN, text);
		assert_string_equal(found[0].cure, rows[i].cure);
		assert_int_equal(count_uses(kernel, DISK), 0);
	}
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/flags", "0x1002\n");
	assert_int_equal(count_uses(kernel, NIC), 0); /* it is down */
}

static void netconsole_is_a_use_of_the_interface_that_it_names(void **state)
{
	static const char target[] = "/sys/kernel/config/netconsole/t1";
	struct kernel *kernel = *state;
	struct net_item *items;
	char path[128];

	fixture_text(kernel->fixture, "/proc/net/route", "Iface\n");
	fixture_mkdir(kernel->fixture, "/sys/module/netconsole");
	assert_int_equal(net_read(kernel->host, &items), 0);
	fixture_text(kernel->fixture, "/sys/module/netconsole/refcnt", "0\n");
	assert_int_equal(net_read(kernel->host, &items), 1);
	assert_int_equal(items[0].kind, NET_UNSEEN_NETCONSOLE);
	free(items);
	snprintf(path, sizeof(path), "%s/dev_name", target);
	fixture_text(kernel->fixture, path, "eth0\n");
	snprintf(path, sizeof(path), "%s/enabled", target);
	fixture_text(kernel->fixture, path, "1\n");
	assert_int_equal(net_read(kernel->host, &items), 1);
	assert_int_equal(items[0].kind, NET_NETCONSOLE);
	assert_string_equal(items[0].interface, "eth0");
	free(items);
}

static void an_rdma_device_on_an_interface_is_a_use(void **state)
{
	struct kernel *kernel = *state;

	fixture_mkdir(kernel->fixture, "/sys/class/infiniband/mlx5_0");
	fixture_text(kernel->fixture, "/sys/class/infiniband/rxe0/parent", "eth1\n");
	assert_int_equal(count_uses(kernel, NIC), 0);
	fixture_text(kernel->fixture, "/sys/class/infiniband/rxe0/parent", "eth0\n");
	assert_use(kernel, NIC, USRPCI_USE_FRAMES, "eth0 carries frames of the RDMA device rxe0");
	assert_string_equal(found[0].cure, "rdma link delete rxe0");
}

/* The first disk is reached through both cards, the second through the other one alone. */
static void a_disk_of_ata_over_ethernet_is_a_use_of_its_interfaces(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/class/block/etherd!e1.2/netif", "eth01,eth1\n");
	fixture_mkdir(kernel->fixture, "/sys/class/block/etherd!e1.1p1");
	assert_int_equal(count_uses(kernel, NIC), 0);
	fixture_text(kernel->fixture, "/sys/class/block/etherd!e1.1/netif", "eth1,eth0\n");
	assert_use(kernel, NIC, USRPCI_USE_FRAMES,
		   "eth0 carries frames of the disk /dev/etherd/e1.1");
	assert_string_equal(found[0].cure,
			    "modprobe -r aoe # once lsblk /dev/etherd/e1.1 shows nothing on it");
}

static void listeners_to_can_are_a_use(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"eth0", NET_CAN, "raw"}, {"eth0", NET_CAN, "gw"}};

	set_net(kernel, items, 2);
	assert_int_equal(count_uses(kernel, NIC), 2);
	assert_string_equal(found[0].text, "eth0 carries frames of the CAN listener \"raw\"");
	assert_non_null(strstr(found[0].cure, "/proc/net/can/rcvlist_*"));
	assert_string_equal(found[1].cure, "cangw -F");
}

/* Tables as the kernel's net/can/proc.c writes them. */
static void listeners_to_can_are_read_once_each(void **state)
{
	struct kernel *kernel = *state;
	struct net_item *items;

	fixture_text(kernel->fixture, "/proc/net/route", "");
	fixture_text(kernel->fixture, "/proc/net/can/version", "rev 20170425 abi 9\n");
	fixture_text(kernel->fixture, "/proc/net/can/rcvlist_all",
		     "\nreceive list 'rx_all':\n"
		     "  (any: no entry)\n"
		     "  device   can_id   can_mask  function  userdata   matches  ident\n"
		     "   can0     000    00000000  0000000012345678  0000000012345678"
		     "         0  raw\n");
	fixture_text(kernel->fixture, "/proc/net/can/rcvlist_sff",
		     "\nreceive list 'rx_sff':\n"
		     "  device   can_id   can_mask  function  userdata   matches  ident\n"
		     "   can0     123    c00007ff  0000000012345678  0000000012345678"
		     "        17  raw\n"
		     "   can0     7e8    c00007ff  0000000012345678  0000000012345678"
		     "         0  isotp\n");
	assert_int_equal(net_read(kernel->host, &items), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(items[i].kind, NET_CAN);
		assert_string_equal(items[i].interface, "can0");
	}
	assert_true(!strcmp(items[0].text, "raw") != !strcmp(items[1].text, "raw"));
	free(items);
}

static void a_tunnel_through_an_interface_is_a_use(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"eth0", NET_UPPER, "gre1"},
				   {"gre1", NET_ADDRESS, "192.0.2.1/24"},
				   {"gre1", NET_UPPER, "eth0"}};

	set_net(kernel, items, 2);
	assert_int_equal(count_uses(kernel, NIC), 2);
	assert_int_equal(found[0].kind, USRPCI_USE_UPPER);
	assert_string_equal(found[0].text, "eth0 is part of gre1");
	assert_string_equal(found[0].cure, "ip link delete gre1");
	assert_string_equal(found[1].text, "gre1 carries 192.0.2.1/24");
	set_net(kernel, items, 3);
	assert_in_range(count_uses(kernel, NIC), 2, 64);
	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/upper_gre1");
	set_net(kernel, items, 1);
	assert_int_equal(count_uses(kernel, NIC), 1);
}

/* unshare -n leaves the old sysfs: what it shows is not ours, even if we have one of that name. */
static void an_interface_that_netlink_does_not_know_is_elsewhere(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"lo", NET_LINK, "1 00:00:00:00:00:00"},
				   {"eth0", NET_LINK, "2 52:54:00:12:34:56"}};

	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/ifindex", "2\n");
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/address",
		     "52:54:00:12:34:56\n");
	set_net(kernel, items, 2);
	assert_int_equal(count_uses(kernel, NIC), 0);
	strcpy(items[1].text, "2 52:54:00:12:34:57");
	assert_use(kernel, NIC, USRPCI_USE_NAMESPACE,
		   "eth0 is in another network namespace than this program");
}

/* The kernel takes these names, also from root in a container that had the card. */
static void the_cure_of_an_interface_is_a_command_whatever_it_is_called(void **state)
{
	struct kernel *kernel = *state;
	struct net_item items[] = {{"a;b", NET_ADDRESS, "192.0.2.1/24"},
				   {"a;b", NET_ROUTE, "default"}};

	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" NIC "/net/a;b/upper_$(id)");
	fixture_link(kernel->fixture, "/sys/class/net/a;b",
		     "../../bus/pci/devices/" NIC "/net/a;b");
	set_net(kernel, items, 2);
	assert_int_equal(count_uses(kernel, NIC), 3);
	assert_string_equal(found[0].cure, "ip address flush dev 'a;b'");
	assert_string_equal(found[1].cure, "ip link set dev 'a;b' down");
	assert_string_equal(found[2].cure, "ip link delete '$(id)'");
}

static void the_cure_of_an_upper_interface_lets_it_go(void **state)
{
	struct kernel *kernel = *state;

	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/upper_br0");
	fixture_link(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/master", "../br0");
	assert_use(kernel, NIC, USRPCI_USE_UPPER, "eth0 is part of br0");
	assert_string_equal(found[0].cure, "ip link set dev eth0 nomaster");
	fixture_remove(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/master");
	assert_use(kernel, NIC, USRPCI_USE_UPPER, "eth0 is part of br0");
	assert_string_equal(found[0].cure, "ip link delete br0");
	fixture_mkdir(kernel->fixture, "/sys/class/net/br0/device");
	assert_use(kernel, NIC, USRPCI_USE_UPPER, "eth0 is part of br0");
	assert_string_equal(found[0].cure,
			    "usrpci bind --force " NIC " # the kernel goes on by br0 alone");
	fixture_remove(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/upper_br0");
	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/upper_ovs-system");
	assert_use(kernel, NIC, USRPCI_USE_UPPER, "eth0 is part of ovs-system");
	assert_string_equal(found[0].cure, "ovs-vsctl del-port eth0");
}

static void an_isa_bridge_with_a_driver_is_a_stranger_too(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, GPU, 0x040300, "snd_hda_intel", "9");
	add_device(kernel, TWIN, 0x060100, "lpc_ich", "9");
	assert_use(kernel, GPU, USRPCI_USE_GROUP,
		   TWIN " of the same IOMMU group 9 belongs to lpc_ich");
	assert_string_equal(found[0].cure, "usrpci bind --whole-group " GPU);
}

/* A tree that is deeper than any real one cannot be walked to its end. */
static void what_is_below_but_cannot_be_walked_counts_as_in_use(void **state)
{
	struct kernel *kernel = *state;
	char path[256] = PCI_DEVICES "/" TWIN;

	add_device(kernel, TWIN, 0x0c0330, "xhci_hcd", NULL);
	for (int i = 0; i < 30; i++)
		strcat(path, "/a");
	fixture_mkdir(kernel->fixture, path);
	assert_int_equal(count_uses(kernel, TWIN), 1);
	assert_int_equal(found[0].kind, USRPCI_USE_UNKNOWN);
}

static void strangers_in_the_group_are_named_bridges_are_not(void **state)
{
	struct kernel *kernel = *state;
	struct fixture_device bridge = {.addr = "0000:00:1c.0",
					.header_type = 1,
					.driver = "pcieport",
					.vendor = 0x8086,
					.device = 1,
					.class_code = 0x060400,
					.iommu_group = "9"};

	add_device(kernel, GPU, 0x020000, NULL, "9");
	add_device(kernel, TWIN, 0x020000, "pci-stub", "9");
	fixture_add(kernel->fixture, &bridge);
	assert_int_equal(count_uses(kernel, GPU), 0);
	add_device(kernel, "0000:00:08.0", 0x040300, "snd_hda_intel", "9");
	assert_use(kernel, GPU, USRPCI_USE_GROUP,
		   "0000:00:08.0 of the same IOMMU group 9 belongs to snd_hda_intel");
	assert_int_equal(count_uses(kernel, "0000:00:1c.0"), 1);
	assert_int_equal(found[0].kind, USRPCI_USE_BRIDGE);
}

static void *open_and_stay(void *file)
{
	int *ready = file;

	*ready = open("/dev/zero", O_RDONLY);
	for (;;)
		pause();
	return file;
}

static void live_by_the_second_thread(int *ready)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, open_and_stay, ready))
		pthread_exit(NULL);
	_exit(1);
}

/* Its first thread shows no program and no files, as a thread of the kernel. */
static void a_file_of_a_process_whose_first_thread_ended_is_seen(void **state)
{
	int *ready = mmap(NULL, sizeof(*ready), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	struct usrpci_host host = {.ctx = NULL};
	struct open_files files = {0};
	char pid[12];
	bool seen = false;
	pid_t child;

	(void)state;
	if (getenv("USRPCI_EMULATED")) {
		print_message("# an emulator of programs does not end the first thread alone\n");
		skip();
	}
	assert_ptr_not_equal(ready, MAP_FAILED);
	assert_int_equal(usrpci_ctx_open(NULL, &host.ctx), 0);
	child = fork();
	if (!child)
		live_by_the_second_thread(ready);
	snprintf(pid, sizeof(pid), "%d", (int)child);
	for (int i = 0; i < 1000 && !seen; i++) {
		usleep(10000);
		if (!*(volatile int *)ready)
			continue;
		assert_int_equal(open_files_read(&host, &files), 0);
		for (size_t k = 0; k < files.count; k++)
			seen |= !strcmp(files.list[k].pid, pid) &&
				files.list[k].number == makedev(1, 5);
		open_files_free(&files);
		files = (struct open_files){0};
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	usrpci_ctx_close(host.ctx);
	munmap(ready, sizeof(*ready));
	assert_true(seen);
}

/* Registers a file with an io_uring, closes it, keeps a namespace, and says so by a byte. */
static void keep_in_a_ring(int ready)
{
	char parameters[120] = {0};
	int ring = (int)syscall(SYS_io_uring_setup, 4, parameters);
	int file = open("/dev/zero", O_RDONLY);

	if (ring >= 0 && open("/proc/self/ns/net", O_RDONLY) >= 0 &&
	    !syscall(SYS_io_uring_register, ring, 2, &file, 1) && !close(file) &&
	    write(ready, "", 1) == 1)
		pause();
	_exit(1);
}

static bool has_namespace_of(const struct open_files *files, const char *pid)
{
	for (size_t i = 0; i < files->namespace_count; i++)
		if (!strncmp(files->namespaces[i].file, pid, strlen(pid)) &&
		    files->namespaces[i].file[strlen(pid)] == '/')
			return true;
	return false;
}

static void what_only_a_ring_or_a_descriptor_keeps_is_seen(void **state)
{
	struct usrpci_host host = {.ctx = NULL};
	struct open_files files = {0};
	char pid[12], byte;
	bool seen = false, kept;
	int ends[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child)
		keep_in_a_ring(ends[1]);
	close(ends[1]);
	snprintf(pid, sizeof(pid), "%d", (int)child);
	if (read(ends[0], &byte, 1) == 1) {
		assert_int_equal(usrpci_ctx_open(NULL, &host.ctx), 0);
		assert_int_equal(open_files_read(&host, &files), 0);
		for (size_t i = 0; i < files.count; i++)
			seen |= !strcmp(files.list[i].pid, pid) &&
				files.list[i].number == makedev(1, 5);
		kept = has_namespace_of(&files, pid);
		open_files_free(&files);
		usrpci_ctx_close(host.ctx);
		assert_true(seen);
		assert_true(kept);
	}
	close(ends[0]);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* The table has the address of the interface; one without a carries frames of none. */
static void a_socket_of_llc_is_known_by_its_address(void **state)
{
	struct kernel *kernel = *state;
	struct net_item *items;

	fixture_text(kernel->fixture, "/proc/net/route", "");
	fixture_text(kernel->fixture, "/sys/class/net/eth0/address", "52:54:00:12:34:56\n");
	fixture_text(
		kernel->fixture, "/proc/net/llc/socket",
		"SKt Mc local_mac_sap     remote_mac_sap       tx_queue rx_queue st uid link\n"
		" 2   0 52:54:00:12:34:56@42 00:00:00:00:00:00@00        0        0  0    0    0\n"
		" 2   0 00:00:00:00:00:00@44 00:00:00:00:00:00@00        0        0  0    0    0\n");
	assert_int_equal(net_read(kernel->host, &items), 1);
	assert_int_equal(items[0].kind, NET_LLC);
	assert_string_equal(items[0].interface, "eth0");
	free(items);
}

/*
 * Without netlink, as for any directory that stands for a host, the tables of /proc/net are read.
 */
static void proc_net_is_read_for_a_host_of_files(void **state)
{
	struct kernel *kernel = *state;
	struct net_item *items;

	fixture_text(kernel->fixture, "/proc/net/route",
		     "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
		     "eth0\t00000000\t0202000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
		     "eth0\t0002000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n");
	fixture_text(kernel->fixture, "/proc/net/if_inet6",
		     "fe80000000000000505400fffe123456 02 40 20 80     eth0\n"
		     "20010db8000000000000000000000001 02 40 00 80     eth0\n"
		     "nonsense\n");
	fixture_text(kernel->fixture, "/sys/class/net/eth0/ifindex", "2\n");
	fixture_text(kernel->fixture, "/proc/net/packet",
		     "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n"
		     "0000000000000000 3      3    0003   0     1 0      0      122\n"
		     "0000000000000000 3      3    0003   2     1 0      0      123\n");
	fixture_text(kernel->fixture, "/proc/net/pppoe",
		     "Id       Address              Device\n"
		     "00000012 52:54:00:12:34:56     eth0\n");
	fixture_text(kernel->fixture, "/proc/net/ptype",
		     "Type Device      Function\n"
		     "ALL  eth0     packet_rcv\n"
		     "0800          ip_rcv\n"
		     "dada          edsa_rcv [dsa]\n"
		     "88ca eth0     tipc_l2_rcv_msg [tipc]\n");
	fixture_text(kernel->fixture, "/proc/net/pktgen/pgctrl", "");
	fixture_text(kernel->fixture, "/proc/net/pktgen/kpktgend_0", "");
	fixture_text(kernel->fixture, "/proc/net/pktgen/eth0@1", "");
	assert_int_equal(net_read(kernel->host, &items), 8);
	assert_int_equal(items[0].kind, NET_ALL);
	assert_int_equal(items[1].kind, NET_PACKET_SOCKET);
	assert_string_equal(items[1].interface, "eth0");
	assert_int_equal(items[2].kind, NET_PPPOE);
	assert_string_equal(items[2].interface, "eth0");
	assert_int_equal(items[3].kind, NET_PROTOCOL);
	assert_string_equal(items[3].text, "tipc_l2_rcv_msg");
	assert_int_equal(items[4].kind, NET_PKTGEN);
	assert_string_equal(items[4].interface, "eth0");
	assert_string_equal(items[5].text, "default");
	assert_string_equal(items[6].text, "10.0.2.0/24");
	assert_int_equal(items[6].kind, NET_ROUTE);
	assert_string_equal(items[7].text, "2001:db8::1/64");
	assert_int_equal(items[7].kind, NET_ADDRESS);
	free(items);
	fixture_remove(kernel->fixture, "/proc/net/route");
	assert_int_equal(net_read(kernel->host, &items), -ENOENT);
}

/* The kernel fills each line with blanks, so a table that is cut may end with one. */
static void all_of_a_long_table_is_read(void **state)
{
	static const char other[] = "eth1\t%08X\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0";
	enum { LINE = 128, LINES = 600 };
	struct kernel *kernel = *state;
	char *text = calloc(LINES + 1, LINE), line[LINE];
	struct net_item *items;

	for (unsigned int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), other, i);
		snprintf(text + i * LINE, LINE + 1, "%-127s\n", line);
	}
	strcat(text, "eth0\t00000000\t0202000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
	fixture_text(kernel->fixture, "/proc/net/route", text);
	free(text);
	assert_int_equal(net_read(kernel->host, &items), LINES + 1);
	assert_string_equal(items[LINES].interface, "eth0");
	assert_string_equal(items[LINES].text, "default");
	free(items);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	TEST(idle_devices_are_free),
	TEST(an_address_is_a_use),
	TEST(a_route_is_a_use),
	TEST(what_cannot_be_read_is_a_use),
	TEST(what_is_above_an_interface_counts_too),
	TEST(interfaces_above_each_other_in_a_circle_end),
	TEST(an_interface_on_virtio_is_found),
	TEST(an_interface_in_another_namespace_is_noticed),
	TEST(an_interface_of_virtio_in_another_namespace_is_noticed),
	TEST(an_interface_in_another_namespace_is_noticed_beside_one_that_is_here),
	TEST(an_iommu_that_is_a_function_is_a_use),
	TEST(a_disk_below_an_interface_is_seen),
	TEST(a_disk_of_nvme_over_fibre_channel_is_seen),
	TEST(what_uses_a_function_below_uses_the_function),
	TEST(a_partition_of_a_multipath_disk_is_in_use),
	TEST(the_second_disk_of_a_btrfs_is_in_use),
	TEST(a_network_that_cannot_be_read_counts_as_in_use),
	TEST(a_mounted_disk_is_in_use),
	TEST(a_mounted_partition_is_in_use),
	TEST(a_mount_is_known_by_its_source_as_well),
	TEST(the_cure_of_a_mount_is_a_command_whatever_its_place_is_called),
	TEST(swap_space_is_in_use),
	TEST(the_cure_names_the_file_of_a_disk_below_a_directory_of_dev),
	TEST(the_heading_of_the_table_of_swap_space_is_none_of_it),
	TEST(what_the_kernel_has_of_a_file_system_is_told_before_its_mount),
	TEST(a_holder_and_what_is_mounted_above_it_are_found),
	TEST(a_stack_of_loop_devices_and_mappings_is_walked_to_its_top),
	TEST(nothing_on_the_disk_of_the_root_can_be_ended),
	TEST(the_head_of_a_multipath_disk_is_found),
	TEST(mounts_that_cannot_be_read_count_as_in_use),
	TEST(a_line_of_mounts_that_is_not_understood_counts_as_in_use),
	TEST(a_table_that_is_no_text_counts_as_in_use),
	TEST(the_console_is_in_use),
	TEST(a_serial_line_that_is_the_console_is_in_use),
	TEST(the_files_of_a_virtual_machines_host_are_in_use),
	TEST(virtual_functions_hang_on_their_parent),
	TEST(open_files_name_their_process),
	TEST(an_open_resource_file_is_a_use),
	TEST(an_open_file_of_the_bus_in_proc_is_a_use),
	TEST(a_user_namespace_hides_who_uses_a_device),
	TEST(a_limit_of_open_files_has_a_cure_of_its_own),
	TEST(an_open_disk_is_a_use),
	TEST(files_of_all_classes_below_a_device_count),
	TEST(a_vfio_group_that_is_open_is_a_use),
	TEST(the_first_watchdog_has_two_files),
	TEST(the_files_of_nvidia_are_known_by_its_own_table),
	TEST(a_disk_that_the_kernel_gives_on_is_in_use),
	TEST(a_loop_device_whose_file_is_not_there_may_have_the_disk),
	TEST(a_file_of_a_process_whose_first_thread_ended_is_seen),
	TEST(what_only_a_ring_or_a_descriptor_keeps_is_seen),
	TEST(a_disk_that_is_a_target_is_in_use),
	TEST(what_virtual_machines_have_is_in_use),
	TEST(memory_of_the_system_is_in_use),
	TEST(memory_in_a_region_of_cxl_is_in_use),
	TEST(a_dma_channel_that_the_kernel_uses_is_in_use),
	TEST(the_frame_buffer_of_the_firmware_is_in_use),
	TEST(a_virtio_line_that_is_the_console_is_in_use),
	TEST(frames_without_an_address_are_a_use),
	TEST(a_socket_that_is_bound_to_an_interface_is_a_use),
	TEST(what_may_be_of_any_interface_is_a_use_of_each),
	TEST(netconsole_is_a_use_of_the_interface_that_it_names),
	TEST(an_rdma_device_on_an_interface_is_a_use),
	TEST(a_disk_of_ata_over_ethernet_is_a_use_of_its_interfaces),
	TEST(listeners_to_can_are_a_use),
	TEST(listeners_to_can_are_read_once_each),
	TEST(a_tunnel_through_an_interface_is_a_use),
	TEST(an_interface_that_netlink_does_not_know_is_elsewhere),
	TEST(the_cure_of_an_interface_is_a_command_whatever_it_is_called),
	TEST(the_cure_of_an_upper_interface_lets_it_go),
	TEST(an_isa_bridge_with_a_driver_is_a_stranger_too),
	TEST(what_is_below_but_cannot_be_walked_counts_as_in_use),
	TEST(strangers_in_the_group_are_named_bridges_are_not),
	TEST(a_socket_of_llc_is_known_by_its_address),
	TEST(proc_net_is_read_for_a_host_of_files),
	TEST(all_of_a_long_table_is_read),
};

int main(void)
{
	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
