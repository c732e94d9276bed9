// SPDX-License-Identifier: BSD-2-Clause
/*
 * The check: what is missing on a host or for a device is found, with the command that mends it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "kernel.h"

#define NIC "0000:00:03.0"
#define VF  "0000:00:04.0"

static struct usrpci_finding *found;
static int found_count;

static void add_device(struct kernel *kernel, const char *addr, const char *driver, uint8_t pin,
		       const char *group)
{
	struct fixture_device device = {.addr = addr,
					.vendor = 0x8086,
					.device = 0x100e,
					.class_code = 0x020000,
					.irq_pin = pin,
					.driver = driver,
					.iommu_group = group};

	fixture_add(kernel->fixture, &device);
}

static int setup(void **state)
{
	struct kernel *kernel;

	if (kernel_setup(state))
		return -1;
	kernel = *state;
	kernel_pool(kernel, 0, 8, 8);
	fixture_text(kernel->fixture, "/proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
	add_device(kernel, NIC, "e1000", 1, NULL);
	return 0;
}

static int teardown(void **state)
{
	free(found);
	found = NULL;
	return kernel_teardown(state);
}

static void check(struct kernel *kernel, const char *addr)
{
	struct usrpci_addr binary = address(NIC);

	free(found);
	found = NULL;
	if (addr)
		binary = address(addr);
	found_count = usrpci_host_check(kernel->host, addr ? &binary : NULL, &found);
	assert_true(found_count > 0);
}

static const struct usrpci_finding *find(const char *topic, const char *text)
{
	int i;

	for (i = 0; i < found_count; i++) {
		if (!strcmp(found[i].topic, topic) && strstr(found[i].text, text))
			return &found[i];
	}
	for (i = 0; i < found_count; i++)
		print_message("# %s: %s\n", found[i].topic, found[i].text);
	fail_msg("no finding of %s says \"%s\"", topic, text);
	return NULL;
}

static void assert_finding(const char *topic, const char *text, enum usrpci_check_state state,
			   const char *cure)
{
	const struct usrpci_finding *finding = find(topic, text);

	assert_int_equal(finding->state, state);
	if (!strstr(finding->cure, cure))
		fail_msg("the cure of \"%s\" is \"%s\"", finding->text, finding->cure);
}

static void a_host_that_lacks_nothing_is_ready(void **state)
{
	struct kernel *kernel = *state;
	int i;

	check(kernel, NULL);
	for (i = 0; i < found_count; i++) {
		assert_int_not_equal(found[i].state, USRPCI_CHECK_MISSING);
		if (found[i].state == USRPCI_CHECK_OK)
			assert_string_equal(found[i].cure, "");
		else
			assert_string_not_equal(found[i].cure, "");
	}
	assert_finding("hugepages", "8 of 8 huge pages are free, 16 MiB", USRPCI_CHECK_OK, "");
}

static void a_check_changes_nothing(void **state)
{
	struct kernel *kernel = *state;

	check(kernel, NIC);
	assert_int_equal(kernel->changes, 0);
	assert_string_equal(kernel->shown, "");
	assert_null(fixture_read(kernel->fixture, "/run/usrpci/lock"));
}

static void a_device_that_is_not_there_is_an_error(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addr = address("0000:09:09.0");

	found = (void *)kernel;
	assert_int_equal(usrpci_host_check(kernel->host, &addr, &found), -ENODEV);
	assert_null(found);
}

static void a_list_that_cannot_be_made_is_null(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_interface *interfaces = (void *)kernel;
	struct usrpci_lent *lent = (void *)kernel;

	fixture_text(kernel->fixture, "/sys/class/net", "");
	assert_int_equal(usrpci_host_interfaces(kernel->host, &interfaces), -ENOTDIR);
	assert_null(interfaces);
	fixture_text(kernel->fixture, "/run/usrpci/lent", "");
	assert_int_equal(usrpci_host_lent(kernel->host, &lent), -ENOTDIR);
	assert_null(lent);
}

static void huge_pages_that_are_all_in_use_are_missing(void **state)
{
	struct kernel *kernel = *state;

	kernel_pool(kernel, 0, 8, 0);
	check(kernel, NULL);
	assert_finding("hugepages", "none of 8", USRPCI_CHECK_MISSING, "usrpci hugepages reserve");
}

static void vfio_is_ready_without_huge_pages(void **state)
{
	struct kernel *kernel = *state;

	kernel_pool(kernel, 0, 8, 0);
	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/5/type", "DMA-FQ\n");
	check(kernel, NULL);
	assert_finding("hugepages", "none of 8", USRPCI_CHECK_NOTE, "usrpci hugepages reserve");
}

static void a_module_that_is_missing_is_told(void **state)
{
	struct kernel *kernel = *state;

	fixture_remove(kernel->fixture, "/sys/module/uio_pci_generic");
	check(kernel, NULL);
	assert_finding("module", "the running kernel has no uio_pci_generic", USRPCI_CHECK_MISSING,
		       "linux-modules-extra-6.1.0-test");
	fixture_text(kernel->fixture, "/proc/sys/kernel/osrelease", "6.1.0-2-cloud-amd64\n");
	fixture_mkdir(kernel->fixture, "/lib/modules/6.1.0-2-cloud-amd64");
	check(kernel, NULL);
	assert_finding("module", "no uio_pci_generic", USRPCI_CHECK_MISSING,
		       "apt install linux-image-amd64");
	fixture_text(kernel->fixture, "/proc/sys/kernel/osrelease", "6.2.0-upgraded\n");
	check(kernel, NULL);
	assert_finding("module", "no uio_pci_generic", USRPCI_CHECK_MISSING, "reboot");
	fixture_remove(kernel->fixture, "/lib/modules");
	check(kernel, NULL);
	assert_finding("module", "no uio_pci_generic", USRPCI_CHECK_MISSING,
		       "this container has no /lib/modules");
}

static void an_iommu_that_is_off_is_noted(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/firmware/acpi/tables/DMAR", "");
	check(kernel, NULL);
	assert_finding("iommu", "which is off", USRPCI_CHECK_NOTE, "intel_iommu=on");
}

static void an_iommu_is_known_by_the_table_of_its_maker(void **state)
{
	static const struct {
		const char *table, *text, *cure;
	} kinds[] = {
		{"IVRS", "an AMD IOMMU, which is off", "CONFIG_AMD_IOMMU"},
		{"IORT", "an Arm SMMU, which is off", "CONFIG_ARM_SMMU_V3"},
		{"RIMT", "a RISC-V IOMMU, which is off", "CONFIG_RISCV_IOMMU"},
	};
	struct kernel *kernel = *state;
	char path[96];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), "/sys/firmware/acpi/tables/%s", kinds[i].table);
		fixture_text(kernel->fixture, path, "");
		check(kernel, NULL);
		assert_finding("iommu", kinds[i].text, USRPCI_CHECK_NOTE, kinds[i].cure);
		fixture_remove(kernel->fixture, path);
	}
}

static void an_iommu_that_was_switched_off_is_told_from_one_that_was_not(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/firmware/acpi/tables/IVRS", "");
	fixture_text(kernel->fixture, "/proc/cmdline", "quiet amd_iommu=off root=/dev/sda1\n");
	check(kernel, NULL);
	assert_finding("iommu", "switched off by amd_iommu=off", USRPCI_CHECK_NOTE,
		       "remove amd_iommu=off from the kernel's command line");
	fixture_text(kernel->fixture, "/proc/cmdline", "quiet root=/dev/sda1\n");
	check(kernel, NULL);
	assert_finding("iommu", "an AMD IOMMU, which is off", USRPCI_CHECK_NOTE, "");
}

static void groups_that_vfio_made_up_are_no_iommu(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
	check(kernel, NULL);
	assert_finding("iommu", "no IOMMU", USRPCI_CHECK_NOTE, "");
	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/1/type", "DMA\n");
	check(kernel, NULL);
	assert_finding("iommu", "an IOMMU confines devices: 1 groups", USRPCI_CHECK_OK, "");
}

static void interrupts_that_can_be_forged_are_told(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/1/type", "DMA\n");
	fixture_text(kernel->fixture,
		     "/sys/firmware/devicetree/base/intc@8000000/v2m@8020000/compatible",
		     "arm,gic-v2m-frame");
	check(kernel, NULL);
	assert_finding("iommu", "forge each other's interrupts (GICv2m)", USRPCI_CHECK_MISSING,
		       "echo Y > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	fixture_text(kernel->fixture,
		     "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
	check(kernel, NULL);
	for (int i = 0; i < found_count; i++)
		assert_null(strstr(found[i].text, "GICv2m"));
}

static void vfio_needs_its_type1(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/5/type", "DMA-FQ\n");
	fixture_mkdir(kernel->fixture, "/sys/module/vfio_pci");
	check(kernel, NULL);
	assert_finding("module", "without vfio_iommu_type1", USRPCI_CHECK_MISSING,
		       "modprobe vfio_iommu_type1");
	fixture_text(kernel->fixture, "/dev/iommu", "");
	check(kernel, NULL);
	for (int i = 0; i < found_count; i++)
		assert_null(strstr(found[i].text, "type1"));
	fixture_remove(kernel->fixture, "/dev/iommu");
	fixture_mkdir(kernel->fixture, "/sys/module/vfio_iommu_type1");
	check(kernel, NULL);
	for (int i = 0; i < found_count; i++)
		assert_null(strstr(found[i].text, "type1"));
}

/* A number of pages without their size takes all memory where the default is 1 GiB. */
static void the_cure_for_huge_pages_names_their_size(void **state)
{
	struct kernel *kernel = *state;

	kernel_pool(kernel, 0, 0, 0);
	fixture_text(kernel->fixture, "/proc/meminfo", "Hugepagesize: 1048576 kB\n");
	check(kernel, NULL);
	assert_finding("hugepages", "none of 0", USRPCI_CHECK_MISSING,
		       "usrpci hugepages reserve 64 --size 2M");
}

static void huge_pages_of_other_sizes_are_of_no_use(void **state)
{
	struct kernel *kernel = *state;
	const char *pool = "/sys/devices/system/node/node0/hugepages/";
	char path[128];

	snprintf(path, sizeof(path), "%shugepages-2048kB", pool);
	fixture_remove(kernel->fixture, path);
	snprintf(path, sizeof(path), "%shugepages-524288kB/nr_hugepages", pool);
	fixture_text(kernel->fixture, path, "4\n");
	snprintf(path, sizeof(path), "%shugepages-524288kB/free_hugepages", pool);
	fixture_text(kernel->fixture, path, "4\n");
	check(kernel, NULL);
	assert_finding("hugepages", "no huge pages of 2 MiB or 1 GiB", USRPCI_CHECK_MISSING,
		       "use vfio-pci");
}

static void vfio_without_an_iommu_is_noted(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
		     "Y\n");
	check(kernel, NULL);
	assert_finding("iommu", "no-IOMMU mode is on", USRPCI_CHECK_NOTE, "noiommu");
}

static void lockdown_leaves_vfio_alone(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/kernel/security/lockdown",
		     "none integrity [confidentiality]\n");
	check(kernel, NULL);
	assert_finding("lockdown", "locked down (confidentiality)", USRPCI_CHECK_MISSING,
		       "vfio-pci");
}

static void the_limit_of_a_control_group_is_found_on_the_way_up(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/self/cgroup", "0::/system.slice/x.service\n");
	fixture_text(kernel->fixture, "/sys/fs/cgroup/system.slice/x.service/hugetlb.2MB.max",
		     "max\n");
	check(kernel, NULL);
	for (int i = 0; i < found_count; i++)
		assert_string_not_equal(found[i].topic, "cgroup");
	fixture_text(kernel->fixture, "/sys/fs/cgroup/system.slice/hugetlb.2MB.max", "4194304\n");
	check(kernel, NULL);
	assert_finding("cgroup", "4 MiB of huge pages", USRPCI_CHECK_NOTE, "hugetlb.2MB.max");
	fixture_text(kernel->fixture, "/proc/self/cgroup", "9:cpu:/\n5:hugetlb:/box\n");
	fixture_text(kernel->fixture, "/sys/fs/cgroup/hugetlb/box/hugetlb.2MB.limit_in_bytes",
		     "0\n");
	check(kernel, NULL);
	assert_finding("cgroup", "0 MiB of huge pages", USRPCI_CHECK_MISSING, "limit_in_bytes");
}

static void missing_capabilities_are_named(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/proc/self/status",
		     "Name:\tx\nCapEff:\t0000000000000002\nSeccomp:\t0\n");
	check(kernel, NULL);
	assert_finding("rights", "without CAP_SYS_ADMIN: no physical addresses", USRPCI_CHECK_NOTE,
		       "root");
	assert_finding("rights", "without CAP_SYS_RAWIO", USRPCI_CHECK_NOTE, "root");
	for (int i = 0; i < found_count; i++)
		assert_null(strstr(found[i].text, "CAP_DAC_OVERRIDE"));
}

static void a_device_with_a_kernel_driver_is_not_ready(void **state)
{
	struct kernel *kernel = *state;
	struct net_item item = {"eth0", NET_ADDRESS, "192.0.2.1/24"};

	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0");
	fixture_link(kernel->fixture, "/sys/class/net/eth0",
		     "../../devices/pci0000:00/" NIC "/net/eth0");
	kernel->items = &item;
	kernel->item_count = 1;
	check(kernel, NIC);
	assert_finding("driver", "is bound to e1000", USRPCI_CHECK_MISSING, "usrpci bind " NIC);
	assert_finding("use", "eth0 carries 192.0.2.1/24", USRPCI_CHECK_MISSING,
		       "ip address flush dev eth0");
	assert_finding("interrupt", "has the pin INTA", USRPCI_CHECK_OK, "");
}

static void uio_under_a_translating_iommu_leads_to_vfio(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, VF, "uio_pci_generic", 0, "5");
	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/5/type", "DMA-FQ\n");
	check(kernel, VF);
	assert_finding("iommu", "would fault (DMAR)", USRPCI_CHECK_MISSING,
		       "usrpci bind --driver vfio-pci " VF);
	assert_finding("interrupt", "no interrupt pin", USRPCI_CHECK_NOTE, "");
	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/5/type", "identity\n");
	check(kernel, VF);
	assert_finding("iommu", "is in IOMMU group 5 (identity)", USRPCI_CHECK_OK, "");
}

static void a_device_without_a_pin_and_an_iommu_cannot_interrupt(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, VF, NULL, 0, NULL);
	check(kernel, VF);
	assert_finding("interrupt", "no interrupt pin", USRPCI_CHECK_MISSING, "vfio-pci");
	assert_finding("driver", "has no driver", USRPCI_CHECK_MISSING, "usrpci bind " VF);
}

static void a_group_without_its_node_is_told(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, VF, "vfio-pci", 1, "5");
	check(kernel, VF);
	assert_finding("node", "/dev/vfio/5 does not exist", USRPCI_CHECK_MISSING, "devtmpfs");
	fixture_text(kernel->fixture, "/dev/vfio/5", "");
	check(kernel, VF);
	assert_finding("node", "/dev/vfio/5 can be opened", USRPCI_CHECK_OK, "");
	assert_finding("driver", "is bound to vfio-pci", USRPCI_CHECK_OK, "");
}

static void a_device_that_does_not_answer_is_no_bridge(void **state)
{
	struct kernel *kernel = *state;
	uint8_t ones[64];

	add_device(kernel, VF, "vfio-pci", 1, "5");
	memset(ones, 0xff, sizeof(ones));
	fixture_config(kernel->fixture, VF, 0, ones, sizeof(ones));
	check(kernel, VF);
	assert_finding("power", "does not answer: powered off (D3cold) or fallen off the bus",
		       USRPCI_CHECK_MISSING, "power/control");
	assert_finding("use", "nobody uses " VF, USRPCI_CHECK_OK, "");
	fixture_text(kernel->fixture, PCI_DEVICES "/" VF "/power_state", "unknown\n");
	check(kernel, VF);
	assert_finding("power", "powered off (unknown)", USRPCI_CHECK_MISSING, "/remove");
	for (int i = 0; i < found_count; i++)
		assert_null(strstr(found[i].text, "bridge"));
}

static void a_pin_without_an_interrupt_is_told(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/irq", "0\n");
	check(kernel, NIC);
	assert_finding("interrupt", "the kernel has no interrupt for it (irq 0)",
		       USRPCI_CHECK_MISSING, "a driver that polls");
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/irq", "11\n");
	check(kernel, NIC);
	assert_finding("interrupt", "has the pin INTA", USRPCI_CHECK_OK, "");
}

/* Once the driver is there that polls, as the cure says, the finding is a note. */
static void a_driver_that_polls_may_do_without_interrupts(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, VF, "uio_pci_generic", 0, NULL);
	check(kernel, VF);
	assert_finding("interrupt", "no interrupt pin", USRPCI_CHECK_NOTE, "bind --force");
}

static void bars_without_an_address_are_told(void **state)
{
	static const uint8_t wide[] = {0x0c, 0, 0, 0, 0, 0, 0, 0};
	struct kernel *kernel = *state;

	check(kernel, NIC);
	for (int i = 0; i < found_count; i++)
		assert_string_not_equal(found[i].topic, "bar");
	fixture_config(kernel->fixture, NIC, 0x10, wide, sizeof(wide));
	check(kernel, NIC);
	assert_finding("bar", "BAR 0 of " NIC " (memory, 64-bit) has no address",
		       USRPCI_CHECK_MISSING, "Above 4G decoding");
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/resource",
		     "0x00000000fe000000 0x00000000fe0fffff 0x0000000000140204\n"
		     "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
		     "0x0000000000000000 0x00000000000fffff 0x0000000020040200\n");
	check(kernel, NIC);
	assert_finding("bar", "BAR 2 of " NIC " (memory) has no address", USRPCI_CHECK_MISSING,
		       "pci=realloc");
	for (int i = 0; i < found_count; i++)
		assert_null(strstr(found[i].text, "BAR 0"));
}

static void a_node_without_an_iommu_has_another_name(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, VF, "vfio-pci", 1, "5");
	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/5/name", "vfio-noiommu\n");
	fixture_text(kernel->fixture, "/dev/vfio/noiommu-5", "");
	check(kernel, VF);
	assert_finding("node", "/dev/vfio/noiommu-5 can be opened", USRPCI_CHECK_OK, "");
	assert_finding("node", "only with consent", USRPCI_CHECK_NOTE, "USRPCI_NOIOMMU=1");
	setenv("USRPCI_NOIOMMU", "1", 1);
	check(kernel, VF);
	unsetenv("USRPCI_NOIOMMU");
	for (int i = 0; i < found_count; i++)
		assert_null(strstr(found[i].text, "consent"));
}

static void kernels_without_groups_have_a_node_of_the_device(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, VF, "vfio-pci", 1, "5");
	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" VF "/vfio-dev/vfio3");
	fixture_text(kernel->fixture, "/dev/vfio/devices/vfio3", "");
	check(kernel, VF);
	assert_finding("node", "/dev/vfio/devices/vfio3 can be opened", USRPCI_CHECK_OK, "");
}

/* What keeps nobody from taking a device is told beside the answer. */
static void what_is_worth_knowing_is_a_note(void **state)
{
	struct kernel *kernel = *state;
	const char *input = PCI_DEVICES "/" VF "/usb1/1-1/1-1:1.0/0003/input/input7";
	char path[256];

	add_device(kernel, VF, "xhci_hcd", 1, NULL);
	snprintf(path, sizeof(path), "%s/subsystem", input);
	fixture_link(kernel->fixture, path, "input");
	snprintf(path, sizeof(path), "%s/capabilities/ev", input);
	fixture_text(kernel->fixture, path, "120013\n");
	snprintf(path, sizeof(path), "%s/name", input);
	fixture_text(kernel->fixture, path, "Logitech K120\n");
	check(kernel, VF);
	assert_finding("use", "the keyboard \"Logitech K120\" is connected to this controller",
		       USRPCI_CHECK_NOTE, "");
	assert_finding("use", "nobody uses " VF, USRPCI_CHECK_OK, "");
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0/carrier", "1\n");
	fixture_mkdir(kernel->fixture, "/sys/class/net/eth0");
	fixture_text(kernel->fixture, "/proc/net/igmp",
		     "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
		     "1\tlo        :     1      V3\n\t\t\t\t010101EF     1 0:00000000\t\t0\n"
		     "2\teth0      :     2      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n");
	check(kernel, NIC);
	assert_finding("use", "eth0 is up and has a carrier", USRPCI_CHECK_NOTE, "");
	for (int i = 0; i < found_count; i++)
		assert_null(strstr(found[i].text, "multicast"));
	fixture_text(kernel->fixture, "/proc/net/igmp",
		     "2\teth0      :     2      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n");
	check(kernel, NIC);
	assert_finding("use", "a program joined the multicast group 224.0.0.251 on eth0",
		       USRPCI_CHECK_NOTE, "");
}

static void what_cannot_be_found_out_is_never_nobody(void **state)
{
	struct kernel *kernel = *state;

	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0");
	fixture_mkdir(kernel->fixture, "/sys/class/net/eth0");
	fixture_text(kernel->fixture, "/proc/self/status", "CapEff:\t0000000000000000\n");
	kernel->item_count = -EPERM;
	check(kernel, NIC);
	assert_finding("use", "the configuration of the network cannot be read",
		       USRPCI_CHECK_MISSING, "run as root on the host itself");
	for (int i = 0; i < found_count; i++)
		assert_null(strstr(found[i].text, "nobody"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_that_lacks_nothing_is_ready),
		TEST(a_check_changes_nothing),
		TEST(a_device_that_is_not_there_is_an_error),
		TEST(a_list_that_cannot_be_made_is_null),
		TEST(huge_pages_that_are_all_in_use_are_missing),
		TEST(vfio_is_ready_without_huge_pages),
		TEST(a_module_that_is_missing_is_told),
		TEST(an_iommu_that_is_off_is_noted),
		TEST(an_iommu_is_known_by_the_table_of_its_maker),
		TEST(an_iommu_that_was_switched_off_is_told_from_one_that_was_not),
		TEST(groups_that_vfio_made_up_are_no_iommu),
		TEST(interrupts_that_can_be_forged_are_told),
		TEST(vfio_needs_its_type1),
		TEST(the_cure_for_huge_pages_names_their_size),
		TEST(huge_pages_of_other_sizes_are_of_no_use),
		TEST(vfio_without_an_iommu_is_noted),
		TEST(lockdown_leaves_vfio_alone),
		TEST(the_limit_of_a_control_group_is_found_on_the_way_up),
		TEST(missing_capabilities_are_named),
		TEST(a_device_with_a_kernel_driver_is_not_ready),
		TEST(uio_under_a_translating_iommu_leads_to_vfio),
		TEST(a_device_without_a_pin_and_an_iommu_cannot_interrupt),
		TEST(a_group_without_its_node_is_told),
		TEST(a_device_that_does_not_answer_is_no_bridge),
		TEST(a_pin_without_an_interrupt_is_told),
		TEST(a_driver_that_polls_may_do_without_interrupts),
		TEST(bars_without_an_address_are_told),
		TEST(a_node_without_an_iommu_has_another_name),
		TEST(kernels_without_groups_have_a_node_of_the_device),
		TEST(what_is_worth_knowing_is_a_note),
		TEST(what_cannot_be_found_out_is_never_nobody),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
