// SPDX-License-Identifier: BSD-2-Clause
/*
 * For each finding of the check and each kind of use there is a row: it is found, what its cure
 * says is done, and it is gone; or the cure says that there is none. tests/build/findings.sh looks
 * for the rows. Commands of usrpci and echo are run as they stand in the cure; for the others a
 * function does to the host made of files what they do to a real one.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "kernel.h"

#define CARD "0000:00:04.0"
#define TWIN "0000:00:05.0"

#define CARD_FILE(name) PCI_DEVICES "/" CARD "/" name

struct row {
	const char *topic, *text; /* of the finding; for a use: "use", and a part of its text */
	const char *cure;         /* a part of it */
	void (*arrange)(struct kernel *kernel);
	void (*follow)(struct kernel *kernel); /* NULL: the cure's own commands do all */
	enum usrpci_use_kind kind;
};

static void add_device(struct kernel *kernel, const char *addr, uint32_t class_code,
		       const char *driver, uint8_t pin, const char *group)
{
	struct fixture_device device = {.addr = addr,
					.vendor = 0x8086,
					.device = 0x100e,
					.class_code = class_code,
					.irq_pin = pin,
					.driver = driver,
					.iommu_group = group};

	fixture_add_bindable(kernel->fixture, &device);
}

static void add_card(struct kernel *kernel, const char *driver)
{
	add_device(kernel, CARD, 0x020000, driver, 1, NULL);
}

/* A file, directory or link of the host, as one step of a row. */
static void text(struct kernel *kernel, const char *path, const char *content)
{
	fixture_text(kernel->fixture, path, content);
}

static void gone(struct kernel *kernel, const char *path)
{
	fixture_remove(kernel->fixture, path);
}

static void with_iommu(struct kernel *kernel)
{
	text(kernel, "/sys/kernel/iommu_groups/7/type", "DMA-FQ\n");
	kernel_driver(kernel, "vfio-pci");
	fixture_mkdir(kernel->fixture, "/sys/module/vfio_iommu_type1");
}

/*
 * The host: modules, the kernel, its rights and its memory.
 */

static void without_module(struct kernel *kernel)
{
	gone(kernel, "/sys/module/uio_pci_generic");
}

static void install_module(struct kernel *kernel)
{
	fixture_mkdir(kernel->fixture, "/sys/module/uio_pci_generic");
}

static void bar_module(struct kernel *kernel)
{
	without_module(kernel);
	kernel_module(kernel, "uio_pci_generic");
	text(kernel, "/proc/cmdline", "quiet module_blacklist=uio_pci_generic\n");
}

static void admit_module(struct kernel *kernel)
{
	text(kernel, "/proc/cmdline", "quiet\n");
}

static void without_type1(struct kernel *kernel)
{
	with_iommu(kernel);
	fixture_mkdir(kernel->fixture, "/sys/module/vfio_pci");
	gone(kernel, "/sys/module/vfio_iommu_type1");
}

static void load_type1(struct kernel *kernel)
{
	fixture_mkdir(kernel->fixture, "/sys/module/vfio_iommu_type1");
}

#define ALLOW_FORGED "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"

static void with_gicv2m(struct kernel *kernel)
{
	with_iommu(kernel);
	text(kernel, "/sys/firmware/devicetree/base/intc@8000000/v2m@8020000/compatible",
	     "arm,gic-v2m-frame");
}

static void allow_forged(struct kernel *kernel)
{
	text(kernel, ALLOW_FORGED, "Y\n");
}

static void lock_down(struct kernel *kernel)
{
	text(kernel, "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
}

static void unlock(struct kernel *kernel)
{
	text(kernel, "/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
}

static void without_rights(struct kernel *kernel)
{
	text(kernel, "/proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
}

static void become_root(struct kernel *kernel)
{
	text(kernel, "/proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
}

static void allow_noiommu(struct kernel *kernel)
{
	text(kernel, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
}

static void switch_off(struct kernel *kernel)
{
	text(kernel, "/proc/cmdline", "quiet intel_iommu=off\n");
}

static void boot_without_it(struct kernel *kernel)
{
	text(kernel, "/proc/cmdline", "quiet\n");
	with_iommu(kernel);
}

static void announce_iommu(struct kernel *kernel)
{
	text(kernel, "/sys/firmware/acpi/tables/DMAR", "");
}

static void nothing(struct kernel *kernel)
{
	(void)kernel;
}

static void limit_group(struct kernel *kernel)
{
	text(kernel, "/proc/self/cgroup", "0::/box\n");
	text(kernel, "/sys/fs/cgroup/box/hugetlb.2MB.max", "0\n");
}

static void raise_limit(struct kernel *kernel)
{
	text(kernel, "/sys/fs/cgroup/box/hugetlb.2MB.max", "max\n");
}

static void without_pools(struct kernel *kernel)
{
	gone(kernel, "/sys/devices/system/node/node0/hugepages/hugepages-2048kB");
}

static void another_kernel(struct kernel *kernel)
{
	kernel_pool(kernel, 0, 8, 8);
}

static void empty_pool(struct kernel *kernel)
{
	kernel_pool(kernel, 0, 0, 0);
	kernel->memory = 100;
}

static void empty_pool_with_iommu(struct kernel *kernel)
{
	empty_pool(kernel);
	with_iommu(kernel);
}

static void limit_memory(struct kernel *kernel)
{
	struct rlimit limit;

	without_rights(kernel);
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = 64 << 10;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

/* Where the hard limit is low too, this test cannot raise it, but root has no limit. */
static void raise_memory(struct kernel *kernel)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (limit.rlim_max < 64 << 20)
		become_root(kernel);
}

/*
 * A device: its driver, its file, its hardware.
 */

static void with_driver(struct kernel *kernel)
{
	add_card(kernel, "e1000");
}

static void without_driver(struct kernel *kernel)
{
	add_card(kernel, NULL);
}

static void add_port(struct kernel *kernel)
{
	struct fixture_device port = {.addr = CARD,
				      .vendor = 0x8086,
				      .device = 0x1234,
				      .class_code = 0x060400,
				      .header_type = 1,
				      .driver = "pcieport"};

	fixture_add(kernel->fixture, &port);
}

static void uio_behind_iommu(struct kernel *kernel)
{
	with_iommu(kernel);
	add_device(kernel, CARD, 0x020000, "uio_pci_generic", 1, "7");
}

static void vfio_card(struct kernel *kernel)
{
	with_iommu(kernel);
	add_device(kernel, CARD, 0x020000, "vfio-pci", 1, "7");
}

static void mount_dev(struct kernel *kernel)
{
	text(kernel, "/dev/vfio/7", "");
}

/* Root may open what nobody may: it is a link into nowhere that may not be followed. */
static void close_node(struct kernel *kernel)
{
	vfio_card(kernel);
	fixture_link(kernel->fixture, "/dev/vfio/7", "7");
}

static void give_node(struct kernel *kernel)
{
	gone(kernel, "/dev/vfio/7");
	mount_dev(kernel);
}

static void noiommu_card(struct kernel *kernel)
{
	add_device(kernel, CARD, 0x020000, "vfio-pci", 1, "7");
	text(kernel, "/sys/kernel/iommu_groups/7/name", "vfio-noiommu\n");
	text(kernel, "/dev/vfio/noiommu-7", "");
}

static void consent(struct kernel *kernel)
{
	(void)kernel;
	setenv("USRPCI_NOIOMMU", "1", 1);
}

static void power_off(struct kernel *kernel)
{
	uint8_t ones[64];

	add_card(kernel, "vfio-pci");
	memset(ones, 0xff, sizeof(ones));
	fixture_config(kernel->fixture, CARD, 0, ones, sizeof(ones));
}

static void power_on(struct kernel *kernel)
{
	static const uint8_t ids[] = {0x86, 0x80, 0x0e, 0x10};

	fixture_config(kernel->fixture, CARD, 0, ids, sizeof(ids));
}

static void without_pin(struct kernel *kernel)
{
	add_device(kernel, CARD, 0x020000, "e1000", 0, NULL);
}

static void without_pin_on_vfio(struct kernel *kernel)
{
	with_iommu(kernel);
	add_device(kernel, CARD, 0x020000, "vfio-pci", 0, "7");
}

static void card_of_an_arm_machine(struct kernel *kernel)
{
	add_card(kernel, NULL);
	fixture_mkdir(kernel->fixture, "/sys/class/iommu/smmu3.0x9050000");
}

#define BRIDGE "0000:00:03.0"

static void card_without_a_place(struct kernel *kernel)
{
	const struct fixture_device bridge = {
		.addr = BRIDGE, .class_code = 0x060400, .header_type = 1, .iommu_group = "7"};
	const struct fixture_device card = {.addr = CARD,
					    .class_code = 0x020000,
					    .irq_pin = 1,
					    .driver = "uio_pci_generic",
					    .parent = BRIDGE};

	with_iommu(kernel);
	fixture_add_bindable(kernel->fixture, &bridge);
	fixture_add_bindable(kernel->fixture, &card);
}

/* What the finding then says of vfio alone is no obstacle, and has no cure. */
static void enable_iommu(struct kernel *kernel)
{
	gone(kernel, PCI_DEVICES "/" CARD);
	gone(kernel, "/sys/devices/pci0000:00/" CARD);
	without_pin_on_vfio(kernel);
}

static void without_address(struct kernel *kernel)
{
	static const uint8_t wide[] = {0x0c, 0, 0, 0, 0, 0, 0, 0};

	add_card(kernel, NULL);
	fixture_config(kernel->fixture, CARD, 0x10, wide, sizeof(wide));
}

static void decode_above_4g(struct kernel *kernel)
{
	static const uint8_t wide[] = {0x0c, 0, 0, 0, 0x80, 0, 0, 0};

	fixture_config(kernel->fixture, CARD, 0x10, wide, sizeof(wide));
	text(kernel, CARD_FILE("resource"),
	     "0x0000008000000000 0x00000080000fffff 0x000000000014220c\n");
}

static const struct row findings[] = {
	{"module", "must not be loaded on this host", "modprobe.d", bar_module, admit_module},
	{"module", "the running kernel has no uio_pci_generic", "apt install", without_module,
	 install_module},
	{"module", "vfio-pci is loaded without vfio_iommu_type1: no device can be opened",
	 "modprobe vfio_iommu_type1", without_type1, load_type1},
	{"lockdown", "): registers cannot be reached through uio", "Secure Boot", lock_down,
	 unlock},
	{"rights", "without CAP_SYS_ADMIN: ", "run as root", without_rights, become_root},
	{"rights", "without CAP_DAC_OVERRIDE: ", "run as root", without_rights, become_root},
	{"rights", "without CAP_SYS_RAWIO: ", "run as root", without_rights, become_root},
	{"iommu", "there is no IOMMU, and vfio's no-IOMMU mode is on: devices reach all memory",
	 "echo N > ", allow_noiommu},
	{"iommu",
	 "the IOMMU is switched off by intel_iommu=off: devices reach all memory, vfio-pci "
	 "cannot be used",
	 "remove intel_iommu=off", switch_off, boot_without_it},
	{"iommu", "the machine has an Intel IOMMU, which is off", "intel_iommu=on", announce_iommu,
	 with_iommu},
	{"iommu", "no IOMMU: devices reach all memory", "in the firmware", nothing, with_iommu},
	{"iommu",
	 "devices can forge each other's interrupts (GICv2m): vfio-pci wants consent to that",
	 "echo Y > " ALLOW_FORGED, with_gicv2m, allow_forged},
	{"hugepages", "the kernel has no huge pages of 2 MiB or 1 GiB, which uio needs",
	 "CONFIG_HUGETLBFS", without_pools, another_kernel},
	{"hugepages", " huge pages is free; vfio-pci works with ordinary pages",
	 "usrpci hugepages reserve 64 --size 2M", empty_pool_with_iommu},
	{"hugepages", " huge pages is free", "usrpci hugepages reserve 64 --size 2M", empty_pool},
	{"cgroup", " MiB of huge pages", "raise ", limit_group, raise_limit},
	{"memlock", " KiB may be pinned: little for DMA memory through vfio", "limits.d",
	 limit_memory, raise_memory},
	{"driver", " is a bridge: it cannot be driven from userspace", "none: ", add_port},
	{"driver", CARD " is bound to e1000", "usrpci bind " CARD, with_driver},
	{"driver", " has no driver", "usrpci bind " CARD, without_driver},
	{"iommu", "an IOMMU translates for " CARD ": DMA under uio_pci_generic would fault (DMAR)",
	 "usrpci bind --driver vfio-pci " CARD, uio_behind_iommu},
	{"iommu",
	 "whether an IOMMU translates for " CARD " shows when a driver has it: usrpci bind "
	 "tries vfio-pci first",
	 "", card_of_an_arm_machine},
	{"iommu",
	 "an IOMMU stands before " CARD ", which the kernel cannot put there beside others behind "
	 "the same bridge: its DMA would fault",
	 "none: ", card_without_a_place},
	{"node", " does not exist", "mount -t devtmpfs", vfio_card, mount_dev},
	{"node", " cannot be opened by this user", "usrpci bind --user", close_node, give_node},
	{"node",
	 "without an IOMMU the device is opened only with consent, and by root: it reaches all "
	 "memory",
	 "export USRPCI_NOIOMMU=1", noiommu_card, consent},
	{"power", " does not answer: powered off (", "echo on > ", power_off, power_on},
	{"interrupt", ", and uio_pci_generic knows no MSI", "use an IOMMU", without_pin,
	 enable_iommu},
	{"interrupt", ": its interrupts are MSI, which only vfio-pci delivers", "",
	 without_pin_on_vfio},
	{"bar", ") has no address", "Above 4G", without_address, decode_above_4g},
};

/*
 * Uses, one of each kind at least.
 */

static struct net_item net;

static void carries(struct kernel *kernel, enum net_kind kind, const char *what)
{
	add_card(kernel, NULL);
	fixture_link(kernel->fixture, "/sys/class/net/eth0",
		     "../../devices/pci0000:00/" CARD "/net/eth0");
	fixture_link(kernel->fixture, CARD_FILE("net/eth0/subsystem"), "net");
	net = (struct net_item){.interface = "eth0", .kind = kind};
	snprintf(net.text, sizeof(net.text), "%s", what);
	kernel->items = &net;
	kernel->item_count = kind == NET_LINK ? 0 : 1;
}

static void with_address(struct kernel *kernel)
{
	carries(kernel, NET_ADDRESS, "192.0.2.1/24");
}

static void with_route(struct kernel *kernel)
{
	carries(kernel, NET_ROUTE, "10.1.0.0/16");
}

static void with_xdp(struct kernel *kernel)
{
	carries(kernel, NET_XDP_PROGRAM, "xdp");
}

static void with_bound_socket(struct kernel *kernel)
{
	carries(kernel, NET_BOUND_SOCKET, "");
}

static void under_tunnel(struct kernel *kernel)
{
	carries(kernel, NET_UPPER, "gre1");
}

static void under_mirred(struct kernel *kernel)
{
	carries(kernel, NET_MIRRED, "");
}

static void leave_network(struct kernel *kernel)
{
	kernel->item_count = 0;
}

static void in_bridge(struct kernel *kernel)
{
	carries(kernel, NET_LINK, "");
	fixture_mkdir(kernel->fixture, CARD_FILE("net/eth0/upper_br0"));
	fixture_link(kernel->fixture, CARD_FILE("net/eth0/master"), "../br0");
}

static void leave_bridge(struct kernel *kernel)
{
	gone(kernel, CARD_FILE("net/eth0/upper_br0"));
	gone(kernel, CARD_FILE("net/eth0/master"));
}

static void in_container(struct kernel *kernel)
{
	carries(kernel, NET_LINK, "");
	gone(kernel, "/sys/class/net/eth0");
}

static void end_container(struct kernel *kernel)
{
	fixture_link(kernel->fixture, "/sys/class/net/eth0",
		     "../../devices/pci0000:00/" CARD "/net/eth0");
}

static void add_disk(struct kernel *kernel)
{
	add_device(kernel, CARD, 0x010802, NULL, 1, NULL);
	fixture_link(kernel->fixture, CARD_FILE("nvme/nvme0/nvme0n1/subsystem"), "block");
	fixture_link(kernel->fixture, "/sys/class/block/nvme0n1",
		     "../../devices/pci0000:00/" CARD "/nvme/nvme0/nvme0n1");
	text(kernel, "/sys/class/block/nvme0n1/dev", "259:0\n");
}

static void mount_disk(struct kernel *kernel)
{
	add_disk(kernel);
	text(kernel, "/proc/self/mountinfo", "30 1 259:0 / /srv rw - ext4 /dev/nvme0n1 rw\n");
}

static void unmount_disk(struct kernel *kernel)
{
	text(kernel, "/proc/self/mountinfo", "");
}

static void swap_on_disk(struct kernel *kernel)
{
	add_disk(kernel);
	text(kernel, "/proc/swaps",
	     "Filename Type Size Used Priority\n/dev/nvme0n1 partition 1048572 0 -2\n");
}

static void swap_off(struct kernel *kernel)
{
	text(kernel, "/proc/swaps", "Filename Type Size Used Priority\n");
}

static void hold_disk(struct kernel *kernel)
{
	add_disk(kernel);
	fixture_mkdir(kernel->fixture, "/sys/class/block/nvme0n1/holders/dm-0");
	text(kernel, "/sys/class/block/dm-0/dm/name", "vg-root\n");
}

static void remove_mapping(struct kernel *kernel)
{
	gone(kernel, "/sys/class/block/nvme0n1/holders/dm-0");
}

static void export_disk(struct kernel *kernel)
{
	add_disk(kernel);
	text(kernel, "/sys/class/block/loop3/loop/backing_file", "/dev/nvme0n1\n");
}

static void detach_loop(struct kernel *kernel)
{
	gone(kernel, "/sys/class/block/loop3");
}

static void open_disk(struct kernel *kernel)
{
	add_disk(kernel);
	fixture_link(kernel->fixture, "/proc/9/fd/3", "/dev/nvme0n1");
}

static void kill_process(struct kernel *kernel)
{
	gone(kernel, "/proc/9");
}

static void show_display(struct kernel *kernel)
{
	add_device(kernel, CARD, 0x030000, "bochs-drm", 1, NULL);
	text(kernel, CARD_FILE("boot_vga"), "1\n");
}

static void strange_group(struct kernel *kernel)
{
	with_iommu(kernel);
	add_device(kernel, CARD, 0x020000, "e1000", 1, "7");
	add_device(kernel, TWIN, 0x060100, "lpc_ich", 1, "7");
}

static void add_functions(struct kernel *kernel)
{
	add_card(kernel, NULL);
	text(kernel, CARD_FILE("sriov_numvfs"), "4\n");
}

static void share_files(struct kernel *kernel)
{
	add_device(kernel, CARD, 0x000200, NULL, 1, NULL);
	text(kernel, CARD_FILE("virtio3/mount_tag"), "root\n");
	fixture_link(kernel->fixture, CARD_FILE("virtio3/subsystem"), "virtio");
	fixture_link(kernel->fixture, CARD_FILE("virtio3/driver"), "9pnet_virtio");
}

static void write_messages(struct kernel *kernel)
{
	add_device(kernel, CARD, 0x070002, NULL, 1, NULL);
	fixture_link(kernel->fixture, CARD_FILE("ttyS4/subsystem"), "tty");
	text(kernel, "/sys/class/tty/console/active", "ttyS4\n");
}

static void boot_without_console(struct kernel *kernel)
{
	text(kernel, "/sys/class/tty/console/active", "tty0\n");
}

static void add_function_below(struct kernel *kernel)
{
	add_device(kernel, CARD, 0x010400, "vmd", 1, NULL);
	fixture_mkdir(kernel->fixture, CARD_FILE("pci10000:e0/10000:e1:00.0"));
	add_device(kernel, "10000:e1:00.0", 0x010802, NULL, 1, NULL);
}

/* What hung on the driver is gone with it. */
static void force_it(struct kernel *kernel)
{
	struct usrpci_bind_options force = {.force = true};
	struct usrpci_addr addr = address(CARD);

	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &force), 0);
	gone(kernel, CARD_FILE("pci10000:e0"));
}

static void mediate(struct kernel *kernel)
{
	add_device(kernel, CARD, 0x030000, NULL, 1, NULL);
	fixture_link(kernel->fixture, CARD_FILE("c0ffee00-1111/subsystem"), "mdev");
}

static void remove_mediated(struct kernel *kernel)
{
	gone(kernel, CARD_FILE("c0ffee00-1111"));
}

static void lend_memory(struct kernel *kernel)
{
	add_device(kernel, CARD, 0x050000, NULL, 1, NULL);
	fixture_link(kernel->fixture, CARD_FILE("dax0.0/subsystem"), "dax");
	fixture_link(kernel->fixture, CARD_FILE("dax0.0/driver"), "kmem");
}

static void take_memory_back(struct kernel *kernel)
{
	gone(kernel, CARD_FILE("dax0.0/driver"));
	fixture_link(kernel->fixture, CARD_FILE("dax0.0/driver"), "device_dax");
}

static void hide_network(struct kernel *kernel)
{
	carries(kernel, NET_LINK, "");
	kernel->item_count = -EPERM;
}

#define LENT   "/run/usrpci/lent/" CARD
#define BROKER "/run/usrpci/brokers/" CARD

static int broker = -1;

/* The broker has the device open, and nothing says so but the loan. */
static void lend_device(struct kernel *kernel)
{
	char path[PATH_SIZE];

	add_card(kernel, "uio_pci_generic");
	fixture_mkdir(kernel->fixture, CARD_FILE("uio/uio0"));
	text(kernel, "/proc/77/comm", "usrpci\n");
	fixture_link(kernel->fixture, "/proc/77/fd/3", "/dev/uio0");
	text(kernel, LENT,
	     "usrpci-lent 5\nfirst " CARD "\nbroker 77 1\nprogram 78\nuser 70000\nsince 1\n"
	     "identity 0\nvfio 0\nkeep 0\nours 0\npages 0 -1\ninterrupts 0\nbefore -\n"
	     "memory -\nconfig -\ncommand sleep\n");
	text(kernel, BROKER, "");
	assert_int_equal(path_format(kernel->ctx, path, BROKER), 0);
	broker = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(broker, LOCK_EX | LOCK_NB), 0);
}

static void end_loan(struct kernel *kernel)
{
	close(broker);
	gone(kernel, LENT);
	gone(kernel, BROKER);
	gone(kernel, "/proc/77");
}

#define USE(kind, text, cure, ...)                   \
	{                                            \
		"use", text, cure, __VA_ARGS__, kind \
	}

static const struct row uses[] = {
	USE(USRPCI_USE_ADDRESS, "eth0 carries 192.0.2.1/24", "ip address flush dev eth0",
	    with_address, leave_network),
	USE(USRPCI_USE_ROUTE, "eth0 carries the route to ", "ip link set dev eth0 down", with_route,
	    leave_network),
	USE(USRPCI_USE_UPPER, "eth0 is part of br0", "ip link set dev eth0 nomaster", in_bridge,
	    leave_bridge),
	USE(USRPCI_USE_MOUNT, "nvme0n1 is mounted on /srv", "umount /srv", mount_disk,
	    unmount_disk),
	USE(USRPCI_USE_SWAP, "nvme0n1 is swap space", "swapoff /dev/nvme0n1", swap_on_disk,
	    swap_off),
	USE(USRPCI_USE_HOLDER, "nvme0n1 is held by dm-0", "dmsetup remove vg-root", hold_disk,
	    remove_mapping),
	USE(USRPCI_USE_DISPLAY, CARD " shows the console", "usrpci bind --force " CARD,
	    show_display, NULL),
	USE(USRPCI_USE_OPEN, "pid 9 (?) has /dev/nvme0n1 open", "kill 9", open_disk, kill_process),
	USE(USRPCI_USE_GROUP, TWIN " of the same IOMMU group 7 belongs to lpc_ich",
	    "usrpci bind --whole-group " CARD, strange_group, NULL),
	USE(USRPCI_USE_BRIDGE, CARD " is a bridge", "choose another device", add_port, NULL),
	USE(USRPCI_USE_FUNCTIONS, CARD " has 4 virtual functions",
	    "echo 0 > " CARD_FILE("sriov_numvfs"), add_functions, NULL),
	USE(USRPCI_USE_NAMESPACE, CARD " has an interface in another network namespace",
	    "end the container", in_container, end_container),
	USE(USRPCI_USE_SHARE, CARD " carries the file system \"root\"", "choose another device",
	    share_files, NULL),
	USE(USRPCI_USE_CONSOLE, "ttyS4 is the kernel's console", "boot without console=ttyS4",
	    write_messages, boot_without_console),
	USE(USRPCI_USE_BELOW, "10000:e1:00.0 is below it", "usrpci bind --force " CARD,
	    add_function_below, force_it),
	USE(USRPCI_USE_FRAMES, "eth0 carries frames of an XDP program",
	    "ip link set dev eth0 xdp off", with_xdp, leave_network),
	USE(USRPCI_USE_FRAMES, "eth0 carries frames of a socket that is bound to it",
	    "end the program that \"ss -tuwanp\" shows with %eth0", with_bound_socket,
	    leave_network),
	USE(USRPCI_USE_FRAMES, "eth0 carries frames of an action of tc (mirred)",
	    "delete the filter whose action \"tc -s actions list action mirred\" shows with eth0",
	    under_mirred, leave_network),
	USE(USRPCI_USE_UPPER, "eth0 is part of gre1", "ip link delete gre1", under_tunnel,
	    leave_network),
	USE(USRPCI_USE_EXPORT, "nvme0n1 is exported by loop3",
	    "losetup -d /dev/loop3 # once lsblk /dev/loop3 shows nothing on it", export_disk,
	    detach_loop),
	USE(USRPCI_USE_GUEST, "is a mediated device of it",
	    "echo 1 > /sys/bus/mdev/devices/c0ffee00-1111/remove", mediate, remove_mediated),
	USE(USRPCI_USE_MEMORY, "memory of dax0.0 is used as system memory",
	    "daxctl reconfigure-device --mode=devdax --force dax0.0", lend_memory,
	    take_memory_back),
	USE(USRPCI_USE_LENT, "it is lent to sleep (broker 77)",
	    "end pid 78 (sleep); usrpci ps lists it", lend_device, end_loan),
	USE(USRPCI_USE_UNKNOWN, "the configuration of the network cannot be read",
	    "run on the host itself: a container", hide_network, leave_network),
};

/*
 * Following.
 */

/* "usrpci bind [--driver DRIVER] [--force] [--whole-group] ADDR" */
static void follow_bind(struct kernel *kernel, char *rest)
{
	struct usrpci_bind_options options = {0};
	struct usrpci_addr addr;
	char *word;

	while ((word = strsep(&rest, " "))) {
		if (!strcmp(word, "--driver"))
			options.driver = strsep(&rest, " ");
		else if (!strcmp(word, "--force"))
			options.force = true;
		else if (!strcmp(word, "--whole-group"))
			options.whole_group = true;
		else if (*word)
			addr = address(word);
	}
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), 0);
}

/* Returns whether it is a command that this knows. What follows a "#" is a comment. */
static bool follow_command(struct kernel *kernel, const char *cure)
{
	char copy[256], value[32], path[200];

	snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(cure, "#"), cure);
	if (!strncmp(copy, "usrpci bind ", strlen("usrpci bind ")))
		follow_bind(kernel, copy + strlen("usrpci bind "));
	else if (!strcmp(copy, "usrpci hugepages reserve 64 --size 2M"))
		assert_int_equal(usrpci_host_hugepages_reserve(kernel->host, 64, 2 << 20, -1), 64);
	else if (sscanf(copy, "echo %31s > %199s", value, path) == 2)
		text(kernel, path, value);
	else
		return false;
	return true;
}

static struct usrpci_finding *found;

/* The finding of a row that is no "ok"; NULL: there is none. */
static const struct usrpci_finding *find(struct kernel *kernel, const struct row *row)
{
	struct usrpci_addr addr = address(CARD);
	char path[] = PCI_DEVICES "/" CARD;
	int count;

	free(found);
	found = NULL;
	count = usrpci_host_check(kernel->host, file_exists(kernel->ctx, "%s", path) ? &addr : NULL,
				  &found);
	assert_true(count > 0);
	for (int i = 0; i < count; i++) {
		if (found[i].state != USRPCI_CHECK_OK && !strcmp(found[i].topic, row->topic) &&
		    strstr(found[i].text, row->text))
			return &found[i];
	}
	return NULL;
}

static bool says_that_there_is_none(const char *cure)
{
	return !*cure || !strncmp(cure, "none", 4) || !strncmp(cure, "choose another device", 21);
}

static void try_row(struct kernel *kernel, const struct row *row)
{
	const struct usrpci_finding *finding;
	char cure[sizeof(finding->cure)];

	row->arrange(kernel);
	finding = find(kernel, row);
	if (!finding)
		fail_msg("not found: \"%s\"", row->text);
	strcpy(cure, finding->cure);
	if (!strstr(cure, row->cure))
		fail_msg("the cure of \"%s\" is \"%s\"", finding->text, cure);
	if (!row->follow && says_that_there_is_none(cure))
		return;
	if (row->follow)
		row->follow(kernel);
	else if (!follow_command(kernel, cure))
		fail_msg("nobody knows how to follow \"%s\"", cure);
	if (find(kernel, row))
		fail_msg("\"%s\" is still there after \"%s\"", row->text, cure);
}

static void try_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		void *state = NULL;
		struct kernel *kernel;

		assert_int_equal(kernel_setup(&state), 0);
		kernel = state;
		kernel_pool(kernel, 0, 8, 8);
		become_root(kernel);
		try_row(kernel, &rows[i]);
		unsetenv("USRPCI_NOIOMMU");
		free(found);
		found = NULL;
		assert_int_equal(kernel_teardown(&state), 0);
	}
}

static void the_cure_of_each_finding_mends_it(void **state)
{
	(void)state;
	try_rows(findings, ARRAY_SIZE(findings));
}

static void the_cure_of_each_use_ends_it(void **state)
{
	(void)state;
	try_rows(uses, ARRAY_SIZE(uses));
}

static void a_device_that_is_lent_is_not_ready(void **state)
{
	struct kernel *kernel = *state;
	const struct usrpci_finding *finding;

	become_root(kernel);
	lend_device(kernel);
	finding = find(kernel, &(struct row){.topic = "use", .text = "it is lent to sleep"});
	assert_non_null(finding);
	assert_int_equal(finding->state, USRPCI_CHECK_MISSING);
	assert_null(find(kernel, &(struct row){.topic = "use", .text = "pid 77"}));
	end_loan(kernel);
	free(found);
	found = NULL;
}

static void each_kind_of_use_has_a_row(void **state)
{
	(void)state;
	for (size_t kind = 0; kind <= USRPCI_USE_UNKNOWN; kind++) {
		size_t row = 0;

		while (row < ARRAY_SIZE(uses) && uses[row].kind != kind)
			row++;
		if (row == ARRAY_SIZE(uses))
			fail_msg("no row follows the cure of kind %zu", kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cure_of_each_finding_mends_it),
		cmocka_unit_test(the_cure_of_each_use_ends_it),
		cmocka_unit_test(each_kind_of_use_has_a_row),
		cmocka_unit_test_setup_teardown(a_device_that_is_lent_is_not_ready, kernel_setup,
						kernel_teardown),
	};

	return cmocka_run_group_tests_name("cures", tests, NULL, NULL);
}
