// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bind and restore on a host made of files: the exact changes, and that a device is back where it
 * was whichever of them fails.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "file.h"
#include "kernel.h"
#include "restore.h"
#include "state.h"

#define NIC  "0000:00:03.0"
#define CARD "0000:00:04.0"
#define VF   "0000:00:05.0"
#define PORT "0000:00:06.0"
#define TWIN "0000:00:07.0"

#define OVERRIDE(addr) PCI_DEVICES "/" addr "/driver_override"

static const struct kernel_match natural[] = {{NIC, "e1000"}, {TWIN, "e1000"}, {CARD, ""}, {0}};

static void add_device(struct kernel *kernel, const char *addr, const char *driver, uint8_t pin,
		       const char *group)
{
	struct fixture_device device = {
		.addr = addr,
		.vendor = 0x8086,
		.device = 0x100e,
		.class_code = 0x020000,
		.irq_pin = pin,
		.driver = driver,
		.iommu_group = group,
	};

	fixture_add_bindable(kernel->fixture, &device);
}

static int setup(void **state)
{
	struct kernel *kernel;

	if (kernel_setup(state))
		return -1;
	kernel = *state;
	kernel->matches = natural;
	add_device(kernel, NIC, "e1000", 1, NULL);
	add_device(kernel, CARD, NULL, 1, NULL);
	return 0;
}

static int bind_to(struct kernel *kernel, const char *addr, const char *driver)
{
	struct usrpci_bind_options options = {.driver = driver};
	struct usrpci_addr binary = address(addr);

	return usrpci_host_bind(kernel->host, &binary, 1, &options);
}

static int restore(struct kernel *kernel, const char *addr)
{
	struct usrpci_addr binary = address(addr);

	return usrpci_host_restore(kernel->host, &binary);
}

static int journal_count(struct kernel *kernel)
{
	struct usrpci_journal_entry *entries = NULL;
	int count = usrpci_host_journal(kernel->host, &entries);

	free(entries);
	return count;
}

static void add_group_of_two(struct kernel *kernel)
{
	kernel_driver(kernel, "vfio-pci");
	add_device(kernel, VF, "e1000", 1, "7");
	add_device(kernel, TWIN, "e1000", 1, "7");
	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/7/type", "DMA\n");
}

#define BIND_NIC                                                                      \
	"echo uio_pci_generic > " OVERRIDE(NIC) "\n"                                  \
						"echo " NIC " > " PCI_DEVICES "/" NIC \
						"/driver/unbind\n"                    \
						"echo " NIC " > /sys/bus/pci/drivers_probe\n"

static void bind_moves_a_device_and_keeps_the_override(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	assert_driver(kernel, NIC, "uio_pci_generic");
	assert_override(kernel, NIC, "uio_pci_generic");
	assert_string_equal(kernel->shown, BIND_NIC);
	assert_int_equal(journal_count(kernel), 1);
}

static void bind_takes_a_device_without_a_driver(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, CARD, NULL), 0);
	assert_driver(kernel, CARD, "uio_pci_generic");
	assert_string_equal(kernel->shown,
			    "echo uio_pci_generic > " OVERRIDE(
				    CARD) "\n"
					  "echo " CARD " > /sys/bus/pci/drivers_probe\n");
}

/* Intel's IOMMU would have given it a group by now. */
static void a_device_without_a_group_beside_intels_iommu_has_none(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "vfio-pci");
	fixture_mkdir(kernel->fixture, "/sys/class/iommu/dmar0");
	assert_int_equal(bind_to(kernel, CARD, NULL), 0);
	assert_driver(kernel, CARD, "uio_pci_generic");
}

/* As Arm's kernels do it. */
static void a_group_that_comes_with_the_driver_is_waited_for(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "vfio-pci");
	fixture_mkdir(kernel->fixture, "/sys/class/iommu/smmu3.0x9050000");
	kernel->late_group = "4";
	assert_int_equal(bind_to(kernel, CARD, NULL), 0);
	assert_driver(kernel, CARD, "vfio-pci");
	assert_string_equal(kernel->fixture->log, "");
	assert_int_equal(restore(kernel, CARD), 0);
	assert_driver(kernel, CARD, "");
}

static void a_device_whose_group_may_come_can_be_given_to_vfio(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "vfio-pci");
	fixture_mkdir(kernel->fixture, "/sys/class/iommu/smmu3.0x9050000");
	kernel->late_group = "4";
	assert_int_equal(bind_to(kernel, CARD, "vfio-pci"), 0);
	assert_driver(kernel, CARD, "vfio-pci");
}

static void a_device_that_no_group_comes_for_goes_to_uio(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "vfio-pci");
	fixture_mkdir(kernel->fixture, "/sys/class/iommu/smmu3.0x9050000");
	kernel->unwilling = "vfio-pci";
	assert_int_equal(bind_to(kernel, CARD, NULL), 0);
	assert_driver(kernel, CARD, "uio_pci_generic");
	assert_override(kernel, CARD, "uio_pci_generic");
	assert_string_equal(kernel->fixture->log, "bind: " CARD ": no IOMMU translates for it: it "
						  "goes to uio_pci_generic\n");
}

#define BRIDGE "0000:01:00.0"
#define FIRST  "0000:02:01.0"
#define SECOND "0000:02:02.0"

/* An SMMU before a bridge from PCIe to PCI, whose first function has been given to vfio-pci. */
static void add_old_bus(struct kernel *kernel, const char *driver)
{
	const struct fixture_device bridge = {.addr = BRIDGE,
					      .vendor = 0x8086,
					      .class_code = 0x060400,
					      .header_type = 1,
					      .iommu_group = "7"},
				    first = {.addr = FIRST,
					     .vendor = 0x8086,
					     .class_code = 0x020000,
					     .irq_pin = 1,
					     .driver = "vfio-pci",
					     .parent = BRIDGE,
					     .iommu_group = "7"},
				    second = {.addr = SECOND,
					      .vendor = 0x8086,
					      .class_code = 0x020000,
					      .irq_pin = 1,
					      .driver = driver,
					      .parent = BRIDGE};

	kernel_driver(kernel, "vfio-pci");
	fixture_mkdir(kernel->fixture, "/sys/class/iommu/smmu3.0x9050000");
	fixture_add_bindable(kernel->fixture, &bridge);
	fixture_add_bindable(kernel->fixture, &first);
	fixture_add_bindable(kernel->fixture, &second);
	kernel->unwilling = "vfio-pci";
}

static void a_device_that_the_iommu_has_no_place_for_stays_as_it_is(void **state)
{
	struct kernel *kernel = *state;

	add_old_bus(kernel, NULL);
	assert_int_equal(bind_to(kernel, SECOND, NULL), -EIO);
	assert_driver(kernel, SECOND, "");
	assert_override(kernel, SECOND, "");
	assert_logged(kernel->fixture, "cannot put it there beside " FIRST);
	assert_null(strstr(kernel->fixture->log, "goes to uio_pci_generic"));
	assert_int_equal(journal_count(kernel), 0);
}

static void a_kernels_driver_shows_that_the_iommu_has_no_place(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options options = {.force = true};
	struct usrpci_addr addr = address(SECOND);

	add_old_bus(kernel, "e1000");
	assert_int_equal(bind_to(kernel, SECOND, NULL), -EOPNOTSUPP);
	assert_int_equal(bind_to(kernel, SECOND, "vfio-pci"), -EOPNOTSUPP);
	assert_int_equal(bind_to(kernel, SECOND, "uio_pci_generic"), -EOPNOTSUPP);
	assert_driver(kernel, SECOND, "e1000");
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), 0);
	assert_driver(kernel, SECOND, "uio_pci_generic");
}

static void uio_is_warned_of_where_a_group_may_come(void **state)
{
	struct kernel *kernel = *state;

	fixture_mkdir(kernel->fixture, "/sys/class/iommu/smmu3.0x9050000");
	assert_int_equal(bind_to(kernel, CARD, "uio_pci_generic"), 0);
	assert_logged(kernel->fixture, "no IOMMU of a device before a driver has it");
}

static void bind_twice_changes_nothing(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	kernel->changes = 0;
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	assert_int_equal(kernel->changes, 0);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
}

static void a_dry_run_shows_the_same_and_changes_nothing(void **state)
{
	struct kernel *kernel = *state;

	kernel_host(kernel, true);
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	assert_string_equal(kernel->shown, BIND_NIC);
	assert_int_equal(kernel->changes, 0);
	assert_driver(kernel, NIC, "e1000");
	assert_false(fixture_read(kernel->fixture, "/run/usrpci/lock"));
	assert_int_equal(journal_count(kernel), 0);
}

#define RESTORE_NIC                                                                            \
	"setpci -s " NIC " 4.w=0400:0400\n"                                                    \
	": reset by its own registers: " NIC "\n"                                              \
	"echo e1000 > " OVERRIDE(NIC) "\n"                                                     \
				      "echo " NIC " > " PCI_DEVICES "/" NIC "/driver/unbind\n" \
				      "echo " NIC " > /sys/bus/pci/drivers_probe\n"            \
				      "echo > " OVERRIDE(NIC) "\n"

static void restore_gives_back_to_the_driver_that_was_recorded(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	kernel_host(kernel, false);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
	assert_override(kernel, NIC, "");
	assert_string_equal(kernel->shown, RESTORE_NIC);
	assert_int_equal(journal_count(kernel), 0);
	assert_int_equal(restore(kernel, NIC), -ENOENT);
	assert_logged(kernel->fixture, "never touched");
}

/* It may answer again once its driver wakes it. */
static void a_device_that_does_not_answer_goes_back_too(void **state)
{
	struct kernel *kernel = *state;
	uint8_t ones[64];

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	memset(ones, 0xff, sizeof(ones));
	fixture_config(kernel->fixture, NIC, 0, ones, sizeof(ones));
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/uevent",
		     "PCI_CLASS=20000\nPCI_ID=8086:100E\n");
	kernel_host(kernel, false);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
	assert_int_equal(journal_count(kernel), 0);
}

static void a_dry_run_refuses_what_cannot_be_written(void **state)
{
	struct kernel *kernel = *state;

	fixture_remove(kernel->fixture, OVERRIDE(NIC));
	kernel_host(kernel, true);
	assert_int_not_equal(bind_to(kernel, NIC, NULL), 0);
	assert_logged(kernel->fixture, "Linux has it for PCI devices since 3.16");
	assert_string_equal(kernel->shown, "");
}

static unsigned char command_high(struct kernel *kernel)
{
	unsigned char byte = 0xff;
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s" PCI_DEVICES "/" NIC "/config", kernel->fixture->root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, 5), 1);
	close(fd);
	return byte;
}

/* What stops the device is a change to the host too. */
static void a_dry_run_of_restore_shows_the_same_and_writes_no_register(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	kernel_host(kernel, true);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_string_equal(kernel->shown, RESTORE_NIC);
	assert_int_equal(command_high(kernel), 0);
	kernel_host(kernel, false);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_int_equal(command_high(kernel), 4);
}

/* Binds a device, does to its registers what a driver did, and restores it. */
static uint16_t command_after(struct kernel *kernel, const char *addr, uint16_t before,
			      uint16_t status)
{
	uint8_t registers[4] = {0};

	put_le16(registers, before);
	fixture_config(kernel->fixture, addr, PCI_COMMAND, registers, sizeof(registers));
	assert_int_equal(bind_to(kernel, addr, NULL), 0);
	put_le16(registers, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put_le16(registers + 2, status);
	fixture_config(kernel->fixture, addr, PCI_COMMAND, registers, sizeof(registers));
	assert_int_equal(restore(kernel, addr), 0);
	fixture_config_read(kernel->fixture, addr, PCI_COMMAND, registers, sizeof(registers));
	return get_le16(registers);
}

static void restore_brings_back_no_driver(void **state)
{
	const uint16_t masked = PCI_COMMAND_INTX_DISABLE;
	struct kernel *kernel = *state;

	assert_int_equal(command_after(kernel, CARD, 0, 0), 0);
	assert_driver(kernel, CARD, "");
	assert_override(kernel, CARD, "");
	assert_int_equal(command_after(kernel, CARD, PCI_COMMAND_IO, 0), PCI_COMMAND_IO);
	assert_int_equal(command_after(kernel, CARD, masked, 0), masked);
	assert_int_equal(command_after(kernel, CARD, PCI_COMMAND_MASTER, 0), 0);
	assert_int_equal(command_after(kernel, CARD, 0, PCI_STATUS_INTERRUPT), masked);
	assert_int_equal(command_after(kernel, NIC, 0, 0), masked | PCI_COMMAND_MEMORY);
}

/* usrpci itself has left the device without a driver, and its first record knows of another one. */
static void a_device_that_had_a_driver_first_gets_its_register_back_too(void **state)
{
	struct kernel *kernel = *state;
	uint8_t registers[2];

	assert_int_equal(bind_to(kernel, NIC, ""), 0);
	put_le16(registers, PCI_COMMAND_IO);
	fixture_config(kernel->fixture, NIC, PCI_COMMAND, registers, sizeof(registers));
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	assert_int_equal(bind_to(kernel, NIC, ""), 0);
	fixture_config_read(kernel->fixture, NIC, PCI_COMMAND, registers, sizeof(registers));
	assert_int_equal(get_le16(registers), PCI_COMMAND_IO);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
}

static void restore_brings_back_an_override(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, OVERRIDE(NIC), "e1000\n");
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_override(kernel, NIC, "e1000");
	assert_driver(kernel, NIC, "e1000");
}

/* Whoever bound it once may have cleared the override since: the driver alone would not match. */
static void restore_brings_back_a_driver_that_does_not_match(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "pci-stub");
	add_device(kernel, TWIN, "pci-stub", 1, NULL);
	assert_int_equal(bind_to(kernel, TWIN, NULL), 0);
	assert_int_equal(restore(kernel, TWIN), 0);
	assert_driver(kernel, TWIN, "pci-stub");
	assert_override(kernel, TWIN, "");
}

static void the_first_record_outlives_later_binds(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "pci-stub");
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	assert_int_equal(bind_to(kernel, NIC, "pci_stub"), 0);
	assert_driver(kernel, NIC, "pci-stub");
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
}

static void bind_to_nothing_keeps_every_driver_away(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, NIC, ""), 0);
	assert_driver(kernel, NIC, "");
	assert_override(kernel, NIC, "none");
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
	assert_override(kernel, NIC, "");
}

static void whichever_write_fails_the_device_is_rolled_back(void **state)
{
	struct kernel *kernel = *state;
	int at;

	for (at = 1; at <= 3; at++) {
		kernel_host(kernel, false);
		kernel->fail_at = at;
		kernel->fail_error = -ENODEV;
		assert_int_equal(bind_to(kernel, NIC, NULL), -EIO);
		assert_driver(kernel, NIC, "e1000");
		assert_override(kernel, NIC, "");
		assert_int_equal(journal_count(kernel), 0);
	}
	kernel->fail_at = 0;
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
}

static void a_driver_that_refuses_leads_to_a_rollback(void **state)
{
	struct kernel *kernel = *state;

	kernel->unwilling = "uio_pci_generic";
	assert_int_equal(bind_to(kernel, NIC, NULL), -EIO);
	assert_logged(kernel->fixture, "uio_pci_generic did not take it: Invalid argument");
	assert_logged(kernel->fixture, "it was rolled back: e1000 holds it as before");
	assert_driver(kernel, NIC, "e1000");
	assert_override(kernel, NIC, "");
}

static void a_driver_that_takes_it_instead_is_noticed(void **state)
{
	struct kernel *kernel = *state;

	kernel->thief = "e1000";
	assert_int_equal(bind_to(kernel, NIC, NULL), -EIO);
	assert_logged(kernel->fixture, "e1000 took it instead of uio_pci_generic");
	assert_driver(kernel, NIC, "e1000");
}

/* The record stays when the rollback fails too, so that restore can be tried again. */
static void a_failed_rollback_keeps_the_record(void **state)
{
	struct kernel *kernel = *state;

	kernel->unwilling = "uio_pci_generic";
	kernel->thief = NULL;
	fixture_remove(kernel->fixture, PCI_DRIVERS "/e1000/" NIC);
	kernel->fail_at = 0;
	fixture_remove(kernel->fixture, PCI_DRIVERS "/e1000");
	assert_int_equal(bind_to(kernel, NIC, NULL), -EUCLEAN);
	assert_logged(kernel->fixture, "could not be rolled back");
	assert_int_equal(journal_count(kernel), 1);
	kernel_driver(kernel, "e1000");
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
}

/* Nothing that asks about the device is done then: it would wait in the kernel too. */
static void a_driver_that_does_not_answer_keeps_its_device_and_no_other(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addrs[] = {address(CARD), address(NIC)};

	kernel->deaf = NIC "/driver/unbind";
	assert_int_equal(usrpci_host_bind(kernel->host, addrs, 2, NULL), -EUCLEAN);
	assert_logged(kernel->fixture, "the kernel has not answered yet (take " NIC " from e1000)");
	assert_driver(kernel, CARD, "");
	assert_driver(kernel, NIC, "e1000");
	assert_override(kernel, NIC, "uio_pci_generic");
	assert_int_equal(journal_count(kernel), 1);

	kernel_host(kernel, false);
	assert_int_equal(restore(kernel, NIC), -EBUSY);
	assert_int_equal(kernel->changes, 0);
	assert_int_equal(bind_to(kernel, CARD, NULL), 0);

	close(kernel->held);
	kernel->deaf = NULL;
	fixture_remove(kernel->fixture, PCI_DEVICES "/" NIC "/driver");
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
	assert_override(kernel, NIC, "");
	assert_false(fixture_read(kernel->fixture, "/run/usrpci/moving/" NIC));
}

static void a_probe_that_does_not_return_is_left_to_itself_too(void **state)
{
	struct kernel *kernel = *state;

	kernel->deaf = "drivers_probe";
	assert_int_equal(bind_to(kernel, NIC, NULL), -EUCLEAN);
	assert_override(kernel, NIC, "uio_pci_generic");
	kernel->deaf = NULL;
	assert_int_equal(restore(kernel, NIC), -EBUSY);
	close(kernel->held);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
}

static void restore_of_a_device_that_is_gone_drops_its_record(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	fixture_remove(kernel->fixture, PCI_DEVICES "/" NIC);
	assert_int_equal(restore(kernel, NIC), -ENODEV);
	assert_int_equal(journal_count(kernel), 0);
}

static void a_device_that_cannot_be_looked_for_keeps_its_record(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	fixture_remove(kernel->fixture, PCI_DEVICES "/" NIC);
	fixture_link(kernel->fixture, PCI_DEVICES "/" NIC, NIC);
	assert_int_equal(restore(kernel, NIC), -ELOOP);
	assert_logged(kernel->fixture, "it cannot be found out whether it is there");
	assert_int_equal(journal_count(kernel), 1);
}

static void another_device_in_its_place_is_not_restored(void **state)
{
	struct kernel *kernel = *state;
	char *record;

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	record = fixture_read(kernel->fixture, "/run/usrpci/journal/" NIC);
	assert_non_null(record);
	memcpy(strstr(record, "100e"), "10d3", 4);
	fixture_text(kernel->fixture, "/run/usrpci/journal/" NIC, record);
	free(record);
	kernel->changes = 0;
	assert_int_equal(restore(kernel, NIC), -ENODEV);
	assert_logged(kernel->fixture, "another device is in its place");
	assert_int_equal(kernel->changes, 0);
	assert_int_equal(journal_count(kernel), 0);
}

static void a_twin_that_was_plugged_into_its_place_is_not_restored(void **state)
{
	struct kernel *kernel = *state;
	char *record;

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	record = fixture_read(kernel->fixture, "/run/usrpci/journal/" NIC);
	assert_non_null(record);
	assert_non_null(strstr(record, "identity "));
	strstr(record, "identity ")[strlen("identity ")] ^= 1;
	fixture_text(kernel->fixture, "/run/usrpci/journal/" NIC, record);
	free(record);
	kernel->changes = 0;
	assert_int_equal(restore(kernel, NIC), -ENODEV);
	assert_logged(kernel->fixture, "plugged in anew");
	assert_int_equal(kernel->changes, 0);
	assert_int_equal(bind_to(kernel, NIC, "pci-stub"), -ENOENT);
}

static void a_driver_comes_back_whose_module_is_called_otherwise(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "i801_smbus");
	fixture_link(kernel->fixture, PCI_DRIVERS "/i801_smbus/module",
		     "../../../../module/i2c_i801");
	add_device(kernel, TWIN, "i801_smbus", 1, NULL);
	assert_int_equal(bind_to(kernel, TWIN, NULL), 0);
	fixture_remove(kernel->fixture, PCI_DRIVERS "/i801_smbus");
	fixture_remove(kernel->fixture, "/sys/module/i801_smbus");
	kernel_module(kernel, "i2c_i801");
	kernel->module_has = "i801_smbus";
	assert_int_equal(restore(kernel, TWIN), 0);
	assert_driver(kernel, TWIN, "i801_smbus");
}

static void nothing_is_changed_for_a_driver_that_is_forbidden(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	fixture_remove(kernel->fixture, PCI_DRIVERS "/e1000");
	fixture_text(kernel->fixture, "/etc/modprobe.d/e1000.conf", "install e1000 /bin/false\n");
	kernel_module(kernel, "e1000");
	kernel_host(kernel, false);
	kernel->changes = 0;
	assert_int_equal(restore(kernel, NIC), -EPERM);
	assert_logged(kernel->fixture, "loading the module is forbidden on this host");
	assert_string_equal(kernel->shown, "");
	assert_int_equal(kernel->changes, 0);
	assert_driver(kernel, NIC, "uio_pci_generic");
	assert_int_equal(journal_count(kernel), 1);
}

static void the_variant_that_was_made_for_a_device_is_the_default(void **state)
{
	struct kernel *kernel = *state;

	add_group_of_two(kernel);
	assert_int_equal(bind_to(kernel, TWIN, ""), 0);
	fixture_text(kernel->fixture, "/lib/modules/6.1.0-test/modules.alias",
		     "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n"
		     "alias vfio_pci:v00008086d0000100Esv*sd*bc*sc*i* igb_vfio_pci\n"
		     "alias vfio_pci:v00008086d*sv*sd*bc*sc*i* other_vfio_pci\n");
	kernel_host(kernel, false);
	kernel_module(kernel, "igb_vfio_pci");
	assert_int_equal(bind_to(kernel, VF, NULL), 0);
	assert_driver(kernel, VF, "igb_vfio_pci");
	assert_int_equal(restore(kernel, VF), 0);
	assert_int_equal(bind_to(kernel, VF, "vfio-pci"), 0);
	assert_driver(kernel, VF, "vfio-pci");
}

/* Nothing in sysfs says for which devices a variant was made that was bound by hand. */
static void a_driver_of_vfio_that_has_the_device_stays(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "vfio-pci");
	add_device(kernel, VF, "mlx5_vfio_pci", 1, "7");
	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/7/type", "DMA\n");
	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" VF "/vfio-dev/vfio0");
	assert_int_equal(bind_to(kernel, VF, NULL), 0);
	assert_driver(kernel, VF, "mlx5_vfio_pci");
	assert_int_equal(kernel->changes, 0);
	assert_int_equal(bind_to(kernel, VF, "vfio-pci"), 0);
	assert_driver(kernel, VF, "vfio-pci");
	assert_int_equal(restore(kernel, VF), 0);
	assert_driver(kernel, VF, "mlx5_vfio_pci");
}

static void a_driver_with_a_blank_in_its_name_is_like_any_other(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, "budget_ci dvb", 1, NULL);
	assert_int_equal(bind_to(kernel, TWIN, NULL), 0);
	assert_driver(kernel, TWIN, "uio_pci_generic");
	kernel_host(kernel, false);
	assert_int_equal(restore(kernel, TWIN), 0);
	assert_driver(kernel, TWIN, "budget_ci dvb");
	assert_override(kernel, TWIN, "");
	assert_int_equal(bind_to(kernel, NIC, "budget_ci dvb"), 0);
	assert_driver(kernel, NIC, "budget_ci dvb");
	assert_override(kernel, NIC, "budget_ci dvb");
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
}

static void vfio_that_is_built_in_needs_no_modules(void **state)
{
	struct kernel *kernel = *state;

	add_group_of_two(kernel);
	assert_int_equal(bind_to(kernel, TWIN, ""), 0);
	fixture_remove(kernel->fixture, "/lib/modules");
	kernel_host(kernel, false);
	assert_int_equal(bind_to(kernel, VF, NULL), 0);
	assert_driver(kernel, VF, "vfio-pci");
}

static void a_device_that_was_on_vfio_goes_back_to_it(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "vfio-pci");
	add_device(kernel, VF, "vfio-pci", 1, "7");
	assert_int_equal(bind_to(kernel, VF, "uio_pci_generic"), 0);
	assert_int_equal(restore(kernel, VF), 0);
	assert_driver(kernel, VF, "vfio-pci");
}

static void virtual_functions_come_back_with_their_driver(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options force = {.force = true};
	struct usrpci_addr addr = address(NIC);
	char *functions;

	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/sriov_numvfs", "4\n");
	assert_int_equal(bind_to(kernel, NIC, NULL), -EBUSY);
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &force), 0);
	kernel_host(kernel, false);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
	functions = fixture_read(kernel->fixture, PCI_DEVICES "/" NIC "/sriov_numvfs");
	assert_string_equal(functions, "4");
	free(functions);
}

/* Of the group of two, one is a virtual function of the other here. */
static void take_group_with_function(struct kernel *kernel, const char *named)
{
	struct usrpci_bind_options options = {.force = true, .whole_group = true};
	struct usrpci_addr addr = address(named);

	add_group_of_two(kernel);
	fixture_text(kernel->fixture, PCI_DEVICES "/" TWIN "/sriov_numvfs", "1\n");
	fixture_link(kernel->fixture, PCI_DEVICES "/" TWIN "/virtfn0", "../" VF);
	fixture_link(kernel->fixture, PCI_DEVICES "/" VF "/physfn", "../" TWIN);
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), 0);
	assert_driver(kernel, TWIN, "vfio-pci");
	assert_int_equal(journal_count(kernel), 1);
}

static void virtual_functions_of_the_group_may_go_with_their_driver(void **state)
{
	take_group_with_function(*state, TWIN);
}

static void a_virtual_function_that_is_named_first_goes_too(void **state)
{
	take_group_with_function(*state, VF);
}

static void a_device_on_the_list_of_vfio_is_told_so(void **state)
{
	struct kernel *kernel = *state;

	add_group_of_two(kernel);
	assert_int_equal(bind_to(kernel, TWIN, ""), 0);
	fixture_text(kernel->fixture, "/sys/module/vfio_pci/parameters/disable_denylist", "N\n");
	kernel->unwilling = "vfio-pci";
	assert_int_equal(bind_to(kernel, VF, NULL), -EIO);
	assert_logged(kernel->fixture, "vfio-pci did not take it: Invalid argument");
	assert_logged(kernel->fixture, "modprobe vfio-pci disable_denylist=1");
	assert_driver(kernel, VF, "e1000");
}

/* Whoever reads how to take it by force must read what that breaks; its status says that too. */
static void a_device_that_does_not_suit_is_told_its_uses_too(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, VF, "nvme", 0, NULL);
	fixture_text(kernel->fixture, "/proc/812/comm", "fio\n");
	fixture_link(kernel->fixture, "/proc/812/fd/3", "/dev/nvme0");
	fixture_text(kernel->fixture, PCI_DEVICES "/" VF "/nvme/nvme0/dev", "240:0\n");
	assert_int_equal(bind_to(kernel, VF, NULL), -EBUSY);
	assert_logged(kernel->fixture, "it has no interrupt pin");
	assert_logged(kernel->fixture, "pid 812 (fio) has /dev/nvme0 open");
}

static void a_driver_that_lets_go_again_keeps_the_record(void **state)
{
	struct kernel *kernel = *state;

	kernel->fickle = "nvme";
	fixture_mkdir(kernel->fixture, PCI_DRIVERS "/nvme");
	assert_int_equal(bind_to(kernel, NIC, "nvme"), -EIO);
	assert_logged(kernel->fixture, "nvme took it and released it again");
	assert_driver(kernel, NIC, "e1000");
	assert_int_equal(journal_count(kernel), 0);
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	kernel->fickle = "e1000";
	assert_int_equal(restore(kernel, NIC), -EIO);
	assert_logged(kernel->fixture, "e1000 took it and released it again");
	assert_int_equal(journal_count(kernel), 1);
	kernel->fickle = NULL;
	assert_int_equal(restore(kernel, NIC), 0);
	assert_int_equal(journal_count(kernel), 0);
}

/* While a driver probes, it is shown as the device's; at boot many do. */
static void a_driver_that_gives_up_need_not_let_go(void **state)
{
	struct kernel *kernel = *state;

	kernel->gives_up = true;
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	assert_driver(kernel, NIC, "uio_pci_generic");
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
}

static void add_interface(struct kernel *kernel, const char *name, const char *flags)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), PCI_DEVICES "/" NIC "/net/%s/flags", name);
	fixture_text(kernel->fixture, path, flags);
	snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	snprintf(target, sizeof(target), "../../bus/pci/devices/" NIC "/net/%s", name);
	fixture_link(kernel->fixture, path, target);
}

static void an_interface_gets_its_name_back_and_is_taken_up(void **state)
{
	struct kernel *kernel = *state;

	add_interface(kernel, "lan0", "0x1003\n");
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	fixture_remove(kernel->fixture, "/sys/class/net/lan0");
	fixture_remove(kernel->fixture, PCI_DEVICES "/" NIC "/net/lan0/flags");
	fixture_remove(kernel->fixture, PCI_DEVICES "/" NIC "/net/lan0");
	add_interface(kernel, "eth0", "0x1002\n");
	kernel_host(kernel, false);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_non_null(strstr(kernel->shown, "ip link set eth0 name lan0\n"
					      "ip link set lan0 up\n"));
}

static void remove_interface(struct kernel *kernel, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	fixture_remove(kernel->fixture, path);
	snprintf(path, sizeof(path), PCI_DEVICES "/" NIC "/net/%s/flags", name);
	fixture_remove(kernel->fixture, path);
	*strrchr(path, '/') = '\0';
	fixture_remove(kernel->fixture, path);
}

static void an_interface_whose_name_another_one_has_is_told_with_what_it_had(void **state)
{
	struct kernel *kernel = *state;

	add_interface(kernel, "lan0", "0x1003\n");
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	remove_interface(kernel, "lan0");
	add_interface(kernel, "eth0", "0x1002\n");
	fixture_mkdir(kernel->fixture, "/sys/class/net/lan0");
	assert_int_equal(restore(kernel, NIC), 0);
	assert_logged(kernel->fixture, "another interface has that name now: it did not get back");
	assert_logged(kernel->fixture, "ip link set dev eth0 up");
}

static void a_can_interface_that_does_not_come_up_wants_a_bitrate(void **state)
{
	struct kernel *kernel = *state;

	add_interface(kernel, "can0", "0x1003\n");
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/net/can0/type", "280\n");
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	fixture_text(kernel->fixture, PCI_DEVICES "/" NIC "/net/can0/flags", "0x1002\n");
	kernel->up_error = -EINVAL;
	assert_int_not_equal(restore(kernel, NIC), 0);
	assert_logged(kernel->fixture, "cannot bring the interface up: Invalid argument");
	assert_logged(kernel->fixture,
		      "ip link set can0 type can bitrate RATE; ip link set can0 up");
}

static void add_disk(struct kernel *kernel, const char *name)
{
	char disk[96], link[48], target[96];

	snprintf(disk, sizeof(disk), PCI_DEVICES "/" NIC "/block/%s", name);
	snprintf(link, sizeof(link), "/sys/class/block/%s", name);
	snprintf(target, sizeof(target), "../../bus/pci/devices/" NIC "/block/%s", name);
	fixture_mkdir(kernel->fixture, disk);
	fixture_link(kernel->fixture, link, target);
}

/* It is told once; a disk that was pulled out must not keep the record for ever. */
static void a_disk_that_does_not_come_back_is_missed(void **state)
{
	struct kernel *kernel = *state;

	add_disk(kernel, "sda");
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	fixture_remove(kernel->fixture, "/sys/class/block/sda");
	assert_int_equal(restore(kernel, NIC), -EUCLEAN);
	assert_logged(kernel->fixture, "sda has not come back");
	assert_driver(kernel, NIC, "e1000");
	assert_int_equal(journal_count(kernel), 1);
	assert_int_equal(restore(kernel, NIC), 0);
	assert_int_equal(journal_count(kernel), 0);
}

static void a_disk_that_comes_back_under_another_name_is_told(void **state)
{
	struct kernel *kernel = *state;

	add_disk(kernel, "sda");
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	fixture_remove(kernel->fixture, "/sys/class/block/sda");
	add_disk(kernel, "sdb");
	assert_int_equal(restore(kernel, NIC), 0);
	assert_logged(kernel->fixture, "its disk has another name than before: sdb");
}

static void without_a_record_nothing_is_touched(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/run/usrpci/journal", "a file, no directory");
	assert_int_equal(bind_to(kernel, NIC, NULL), -ENOTDIR);
	assert_int_equal(kernel->changes, 0);
	fixture_remove(kernel->fixture, "/run/usrpci/journal");
	fixture_text(kernel->fixture, "/run/usrpci/journal/" NIC, "rubbish");
	assert_int_equal(bind_to(kernel, NIC, NULL), -EBADMSG);
	assert_int_equal(kernel->changes, 0);
	assert_driver(kernel, NIC, "e1000");
}

static void an_unknown_driver_changes_nothing(void **state)
{
	struct kernel *kernel = *state;

	assert_int_equal(bind_to(kernel, NIC, "nonsense"), -ENOENT);
	assert_logged(kernel->fixture, "nonsense: no such driver");
	assert_int_equal(bind_to(kernel, NIC, "../../x"), -ENOENT);
	assert_int_equal(kernel->changes, 0);
	assert_driver(kernel, NIC, "e1000");
	assert_int_equal(journal_count(kernel), 0);
}

static void a_device_without_a_pin_is_refused_for_uio(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options force = {.force = true};
	struct usrpci_addr addr = address(VF);

	add_device(kernel, VF, NULL, 0, NULL);
	assert_int_equal(bind_to(kernel, VF, NULL), -EOPNOTSUPP);
	assert_logged(kernel->fixture, "no interrupt pin");
	assert_int_equal(kernel->changes, 0);
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &force), 0);
}

static void a_locked_down_kernel_is_no_place_for_uio(void **state)
{
	struct kernel *kernel = *state;

	fixture_text(kernel->fixture, "/sys/kernel/security/lockdown",
		     "none [integrity] confidentiality\n");
	assert_int_equal(bind_to(kernel, NIC, NULL), -EPERM);
	assert_logged(kernel->fixture, "locked down (integrity)");
	assert_driver(kernel, NIC, "e1000");
}

static void a_bridge_is_refused_even_by_force(void **state)
{
	struct kernel *kernel = *state;
	struct fixture_device port = {.addr = PORT,
				      .vendor = 0x8086,
				      .device = 0x1234,
				      .class_code = 0x060400,
				      .header_type = 1,
				      .driver = "pcieport",
				      .irq_pin = 1};
	struct usrpci_bind_options force = {.force = true};
	struct usrpci_addr addr = address(PORT);

	fixture_add(kernel->fixture, &port);
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &force), -EOPNOTSUPP);
	assert_driver(kernel, PORT, "pcieport");
}

static void vfio_needs_an_iommu(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "vfio-pci");
	assert_int_equal(bind_to(kernel, NIC, "vfio_pci"), -EOPNOTSUPP);
	assert_logged(kernel->fixture, "no IOMMU translates for it");
	assert_int_equal(kernel->changes, 0);
}

static void vfio_without_an_iommu_is_taken_at_its_word(void **state)
{
	struct kernel *kernel = *state;

	kernel_driver(kernel, "vfio-pci");
	fixture_text(kernel->fixture, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
		     "Y\n");
	assert_int_equal(bind_to(kernel, NIC, "vfio-pci"), 0);
	assert_int_equal(bind_to(kernel, CARD, NULL), 0);
	assert_driver(kernel, CARD, "uio_pci_generic");
}

static void vfio_is_the_default_behind_an_iommu_and_strangers_are_named(void **state)
{
	struct kernel *kernel = *state;

	add_group_of_two(kernel);
	assert_int_equal(bind_to(kernel, VF, NULL), -EBUSY);
	assert_logged(kernel->fixture, TWIN " of the same IOMMU group 7 belongs to e1000");
	assert_int_equal(bind_to(kernel, TWIN, "uio_pci_generic"), 0);
	assert_int_equal(bind_to(kernel, VF, NULL), -EBUSY);
	assert_logged(kernel->fixture, "belongs to uio_pci_generic");
	assert_int_equal(bind_to(kernel, TWIN, ""), 0);
	assert_int_equal(bind_to(kernel, VF, NULL), 0);
	assert_driver(kernel, VF, "vfio-pci");
}

static void a_whole_group_goes_together_and_comes_back_one_by_one(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options options = {.whole_group = true};
	struct usrpci_addr addr = address(VF);

	add_group_of_two(kernel);
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), 0);
	assert_driver(kernel, VF, "vfio-pci");
	assert_driver(kernel, TWIN, "vfio-pci");
	assert_int_equal(journal_count(kernel), 2);
	assert_int_equal(restore(kernel, VF), 0);
	assert_int_equal(restore(kernel, TWIN), 0);
	assert_driver(kernel, VF, "e1000");
	assert_driver(kernel, TWIN, "e1000");
}

static void add_usb(struct kernel *kernel, const char *addr, uint32_t class_code,
		    const char *driver)
{
	struct fixture_device device = {.addr = addr,
					.vendor = 0x8086,
					.device = 0x2934,
					.class_code = class_code,
					.irq_pin = 1,
					.driver = driver,
					.iommu_group = "7"};

	fixture_add_bindable(kernel->fixture, &device);
}

/* Its ports' slow devices are driven by the functions beside it. */
static void ehci_leaves_its_driver_before_its_companions(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options options = {.whole_group = true};
	struct usrpci_addr addr = address("0000:00:1d.1");
	const char *companion, *ehci;

	kernel_driver(kernel, "vfio-pci");
	add_usb(kernel, "0000:00:1d.0", 0x0c0300, "uhci_hcd");
	add_usb(kernel, "0000:00:1d.1", 0x0c0300, "uhci_hcd");
	add_usb(kernel, "0000:00:1d.7", 0x0c0320, "ehci-pci");
	fixture_text(kernel->fixture, "/sys/kernel/iommu_groups/7/type", "DMA\n");
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), 0);
	assert_driver(kernel, "0000:00:1d.0", "vfio-pci");
	assert_driver(kernel, "0000:00:1d.7", "vfio-pci");
	ehci = strstr(kernel->shown, "echo 0000:00:1d.7 > ");
	companion = strstr(kernel->shown, "echo 0000:00:1d.1 > ");
	assert_true(ehci && ehci < companion);
	assert_true(companion < strstr(kernel->shown, "echo 0000:00:1d.0 > "));
}

static void add_isa_bridge(struct kernel *kernel)
{
	struct fixture_device bridge = {.addr = PORT,
					.vendor = 0x8086,
					.device = 0xa300,
					.class_code = 0x060100,
					.driver = "lpc_ich",
					.iommu_group = "7"};

	fixture_add(kernel->fixture, &bridge);
	fixture_text(kernel->fixture, OVERRIDE(PORT), "(null)\n");
}

/* An id that is written to new_id would capture each device of its kind, also those to come. */
static void a_kernel_that_cannot_be_told_which_driver_to_take_is_left_alone(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, "e1000", 1, NULL);
	fixture_remove(kernel->fixture, OVERRIDE(NIC));
	assert_int_not_equal(bind_to(kernel, NIC, NULL), 0);
	assert_logged(kernel->fixture, "cannot choose its driver (driver_override)");
	assert_logged(kernel->fixture, "Linux has it for PCI devices since 3.16");
	assert_null(strstr(kernel->shown, "new_id"));
	assert_driver(kernel, NIC, "e1000");
	assert_driver(kernel, TWIN, "e1000");
	assert_int_equal(journal_count(kernel), 0);
}

/* vfio cannot drive it, but its driver keeps vfio from the group. */
static void an_isa_bridge_of_the_group_is_released_and_restored(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options options = {.whole_group = true};
	struct usrpci_addr addr = address(VF);

	add_group_of_two(kernel);
	add_isa_bridge(kernel);
	assert_int_equal(bind_to(kernel, VF, NULL), -EBUSY);
	assert_logged(kernel->fixture, PORT " of the same IOMMU group 7 belongs to lpc_ich");
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), 0);
	assert_driver(kernel, VF, "vfio-pci");
	assert_driver(kernel, PORT, "");
	assert_override(kernel, PORT, "none");
	assert_int_equal(journal_count(kernel), 3);
	assert_int_equal(restore(kernel, PORT), 0);
	assert_driver(kernel, PORT, "lpc_ich");
	assert_override(kernel, PORT, "");
	assert_int_equal(bind_to(kernel, PORT, NULL), -EOPNOTSUPP);
}

static void an_isa_bridge_whose_watchdog_is_fed_is_not_released(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options options = {.whole_group = true};
	struct usrpci_addr addr = address(VF);

	add_group_of_two(kernel);
	add_isa_bridge(kernel);
	fixture_text(kernel->fixture, PCI_DEVICES "/" PORT "/iTCO_wdt/watchdog/watchdog0/dev",
		     "248:0\n");
	fixture_text(kernel->fixture, "/proc/1/comm", "init\n");
	fixture_link(kernel->fixture, "/proc/1/fd/20", "/dev/watchdog0");
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), -EBUSY);
	assert_logged(kernel->fixture, PORT ": in use: pid 1 (init) has /dev/watchdog0 open");
	assert_driver(kernel, VF, "e1000");
	assert_driver(kernel, PORT, "lpc_ich");
}

static void a_group_is_rolled_back_as_a_whole(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options options = {.whole_group = true};
	struct usrpci_addr addr = address(VF);
	int at;

	add_group_of_two(kernel);
	for (at = 1; at <= 6; at++) {
		kernel_host(kernel, false);
		kernel->fail_at = at;
		kernel->fail_error = -EIO;
		assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), -EIO);
		assert_driver(kernel, VF, "e1000");
		assert_driver(kernel, TWIN, "e1000");
		assert_int_equal(journal_count(kernel), 0);
	}
}

static void several_devices_are_taken_all_or_none(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addrs[] = {address(NIC), address(CARD), address(NIC)};
	int at;

	for (at = 1; at <= 5; at++) {
		kernel_host(kernel, false);
		kernel->fail_at = at;
		kernel->fail_error = -EIO;
		assert_int_equal(usrpci_host_bind(kernel->host, addrs, 3, NULL), -EIO);
		assert_driver(kernel, NIC, "e1000");
		assert_override(kernel, NIC, "");
		assert_driver(kernel, CARD, "");
		assert_int_equal(journal_count(kernel), 0);
	}
	kernel_host(kernel, false);
	kernel->fail_at = 0;
	assert_int_equal(usrpci_host_bind(kernel->host, addrs, 3, NULL), 0);
	assert_driver(kernel, NIC, "uio_pci_generic");
	assert_driver(kernel, CARD, "uio_pci_generic");
	assert_int_equal(kernel->changes, 5);
	assert_int_equal(journal_count(kernel), 2);
}

/* What usrpci held already goes back to where the call found it, which restore does not know. */
static void a_device_that_was_held_goes_back_to_the_driver_of_the_call(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addrs[] = {address(NIC), address(CARD)};
	struct usrpci_bind_options options = {.driver = "pci-stub"};

	kernel_driver(kernel, "pci-stub");
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	kernel_host(kernel, false);
	kernel->fail_at = 4;
	kernel->fail_error = -EIO;
	assert_int_equal(usrpci_host_bind(kernel->host, addrs, 2, &options), -EIO);
	assert_driver(kernel, NIC, "uio_pci_generic");
	assert_override(kernel, NIC, "uio_pci_generic");
	assert_int_equal(journal_count(kernel), 1);
	kernel->fail_at = 0;
	assert_int_equal(restore(kernel, NIC), 0);
	assert_driver(kernel, NIC, "e1000");
}

static void one_that_is_refused_keeps_the_others_from_being_touched(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addrs[] = {address(NIC), address(VF)};

	add_device(kernel, VF, NULL, 0, NULL);
	assert_int_equal(usrpci_host_bind(kernel->host, addrs, 2, NULL), -EOPNOTSUPP);
	assert_int_equal(kernel->changes, 0);
}

static void members_of_a_group_that_are_named_together_are_no_strangers(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addrs[] = {address(VF), address(TWIN)};

	add_group_of_two(kernel);
	assert_int_equal(usrpci_host_bind(kernel->host, addrs, 2, NULL), 0);
	assert_driver(kernel, VF, "vfio-pci");
	assert_driver(kernel, TWIN, "vfio-pci");
}

static void a_user_gets_the_group_and_the_node_is_put_back(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options options = {.user = "0", .group = "0"};
	struct usrpci_addr addr = address(VF);

	add_group_of_two(kernel);
	assert_int_equal(bind_to(kernel, TWIN, ""), 0);
	fixture_text(kernel->fixture, "/dev/vfio/7", "");
	kernel_host(kernel, true);
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), 0);
	assert_non_null(strstr(kernel->shown, "chmod 0664 /dev/vfio/7\n"));
	kernel_host(kernel, false);
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), 0);
	kernel_host(kernel, false);
	assert_int_equal(restore(kernel, VF), 0);
	assert_non_null(strstr(kernel->shown, "chmod 0644 /dev/vfio/7\n"));
}

/* Gives a user the node of a device whose group has none. */
static void give_own_node(struct kernel *kernel)
{
	struct usrpci_bind_options options = {.user = "0", .group = "0"};
	struct usrpci_addr addr = address(VF);

	add_device(kernel, VF, "vfio-pci", 1, "7");
	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" VF "/vfio-dev/vfio3");
	fixture_text(kernel->fixture, "/dev/vfio/devices/vfio3", "");
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), 0);
}

/* Such kernels have no /dev/vfio/vfio. */
static void a_user_gets_the_devices_own_node_where_groups_have_none(void **state)
{
	struct kernel *kernel = *state;

	give_own_node(kernel);
	assert_non_null(strstr(kernel->shown, "chmod 0664 /dev/vfio/devices/vfio3\n"));
}

/* Another tool took the device from vfio, and the number of its node went to another device. */
static void a_node_that_is_another_devices_by_now_is_let_alone(void **state)
{
	struct kernel *kernel = *state;

	give_own_node(kernel);
	fixture_remove(kernel->fixture, PCI_DEVICES "/" VF "/vfio-dev/vfio3");
	kernel_host(kernel, true);
	assert_int_equal(restore(kernel, VF), 0);
	assert_null(strstr(kernel->shown, "chmod"));
}

/* Only root opens it, whoever owns the file. */
static void without_an_iommu_no_user_gets_the_node(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options options = {.driver = "vfio-pci", .user = "0"};
	struct usrpci_addr addr = address(NIC);

	kernel_driver(kernel, "vfio-pci");
	fixture_text(kernel->fixture, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
		     "Y\n");
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), -EOPNOTSUPP);
	assert_logged(kernel->fixture, "CAP_SYS_RAWIO");
	assert_int_equal(kernel->changes, 0);
}

static void a_user_is_for_vfio_alone(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options options = {.user = "root"};
	struct usrpci_addr addr = address(NIC);

	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), -EINVAL);
	options.user = "no such user";
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &options), -EINVAL);
	assert_int_equal(kernel->changes, 0);
}

/* The cure of such a use is the forced bind itself. */
static void a_hint_names_force_once(void **state)
{
	struct kernel *kernel = *state;

	add_device(kernel, TWIN, "nvme", 1, NULL);
	fixture_link(kernel->fixture,
		     "/sys/devices/pci0000:00/" NIC "/pci10000:e0/" TWIN "/subsystem",
		     "../../../../../bus/pci");
	assert_int_equal(bind_to(kernel, NIC, NULL), -EBUSY);
	assert_logged(kernel->fixture, TWIN " is below it, and vanishes with its driver");
	assert_logged(kernel->fixture, "usrpci bind --force " NIC " # once nothing uses " TWIN);
	assert_null(strstr(kernel->fixture->log, "takes it nevertheless"));
}

static void a_device_in_use_is_refused_unless_forced(void **state)
{
	struct kernel *kernel = *state;
	struct net_item item = {"eth0", NET_ADDRESS, "192.0.2.1/24"};
	struct usrpci_bind_options force = {.force = true};
	struct usrpci_addr addr = address(NIC);

	fixture_mkdir(kernel->fixture, PCI_DEVICES "/" NIC "/net/eth0");
	fixture_link(kernel->fixture, "/sys/class/net/eth0",
		     "../../devices/pci0000:00/" NIC "/net/eth0");
	kernel->items = &item;
	kernel->item_count = 1;
	assert_int_equal(bind_to(kernel, NIC, NULL), -EBUSY);
	assert_logged(kernel->fixture,
		      "in use: eth0 carries 192.0.2.1/24: hint: ip address flush dev eth0");
	assert_int_equal(kernel->changes, 0);
	kernel->item_count = -EIO;
	assert_int_equal(bind_to(kernel, NIC, NULL), -EBUSY);
	assert_logged(kernel->fixture, "in use: the configuration of the network cannot be read");
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &force), 0);
}

static void a_program_on_vfio_is_not_torn_off_even_by_force(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_bind_options force = {.force = true, .driver = "uio_pci_generic"};
	struct usrpci_addr addr = address(VF);

	add_group_of_two(kernel);
	assert_int_equal(bind_to(kernel, TWIN, ""), 0);
	assert_int_equal(bind_to(kernel, VF, NULL), 0);
	fixture_link(kernel->fixture, "/proc/4711/fd/3", "/dev/vfio/7");
	fixture_text(kernel->fixture, "/proc/4711/comm", "driver\n");
	assert_int_equal(restore(kernel, VF), -EBUSY);
	assert_null(strstr(kernel->fixture->log, "--force"));
	assert_int_equal(usrpci_host_bind(kernel->host, &addr, 1, &force), -EBUSY);
	assert_logged(kernel->fixture, "pid 4711 (driver) has /dev/vfio/7 open");
	assert_driver(kernel, VF, "vfio-pci");
}

static void a_second_tool_waits_and_is_told_who_is_at_work(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_host *host = kernel->host;
	char pid[32];

	kernel->host = NULL;
	kernel_host(kernel, false);
	assert_int_equal(state_lock(host), 0);
	assert_int_equal(bind_to(kernel, NIC, NULL), -EBUSY);
	snprintf(pid, sizeof(pid), "(pid %d)", getpid());
	assert_logged(kernel->fixture, pid);
	state_unlock(host);
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	usrpci_host_close(host);
}

static void a_lent_device_comes_back_though_its_record_is_gone(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_addr addr = address(NIC);

	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	fixture_remove(kernel->fixture, "/run/usrpci/journal/" NIC);
	assert_int_equal(restore_lent(kernel->host, &addr, "e1000", false), 0);
	assert_driver(kernel, NIC, "e1000");
	assert_override(kernel, NIC, "");
	kernel->changes = 0;
	assert_int_equal(restore_lent(kernel->host, &addr, "e1000", false), 0);
	assert_int_equal(kernel->changes, 0);
}

static void *remove_and_unlock(void *data)
{
	struct kernel *kernel = data;

	usleep(10000);
	fixture_remove(kernel->fixture, "/run/usrpci");
	state_unlock(kernel->host);
	return NULL;
}

/* Two would change the host at once: the next program makes, and locks, another file. */
static void a_lock_that_was_removed_is_no_lock(void **state)
{
	struct kernel *kernel = *state, first = *kernel;
	pthread_t thread;

	kernel->host = NULL;
	kernel_host(kernel, false);
	kernel->host->lock_ms = 5000;
	assert_int_equal(state_lock(first.host), 0);
	assert_int_equal(pthread_create(&thread, NULL, remove_and_unlock, &first), 0);
	assert_int_equal(state_lock(kernel->host), 0);
	pthread_join(thread, NULL);
	assert_int_equal(bind_to(kernel, NIC, NULL), 0);
	assert_driver(kernel, NIC, "uio_pci_generic");
	free(fixture_read(kernel->fixture, "/run/usrpci/lock"));
	state_unlock(kernel->host);
	usrpci_host_close(first.host);
}

/* As one that waits for a confirmation, which closes what it does not need a little later. */
static void a_lock_is_not_kept_by_a_process_that_was_started(void **state)
{
	struct kernel *kernel = *state, first = *kernel;
	pid_t started;

	kernel->host = NULL;
	kernel_host(kernel, false);
	assert_int_equal(state_lock(first.host), 0);
	started = fork();
	if (started == 0) {
		pause();
		_exit(0);
	}
	state_unlock(first.host);
	assert_int_equal(state_lock(kernel->host), 0);
	state_unlock(kernel->host);
	kill(started, SIGKILL);
	waitpid(started, NULL, 0);
	usrpci_host_close(first.host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, kernel_teardown)

static const struct CMUnitTest tests[] = {
	TEST(bind_moves_a_device_and_keeps_the_override),
	TEST(bind_takes_a_device_without_a_driver),
	TEST(a_device_without_a_group_beside_intels_iommu_has_none),
	TEST(a_group_that_comes_with_the_driver_is_waited_for),
	TEST(a_device_whose_group_may_come_can_be_given_to_vfio),
	TEST(a_device_that_no_group_comes_for_goes_to_uio),
	TEST(a_device_that_the_iommu_has_no_place_for_stays_as_it_is),
	TEST(a_kernels_driver_shows_that_the_iommu_has_no_place),
	TEST(uio_is_warned_of_where_a_group_may_come),
	TEST(bind_twice_changes_nothing),
	TEST(a_lock_is_not_kept_by_a_process_that_was_started),
	TEST(a_dry_run_shows_the_same_and_changes_nothing),
	TEST(restore_gives_back_to_the_driver_that_was_recorded),
	TEST(a_device_that_does_not_answer_goes_back_too),
	TEST(a_dry_run_refuses_what_cannot_be_written),
	TEST(a_dry_run_of_restore_shows_the_same_and_writes_no_register),
	TEST(restore_brings_back_no_driver),
	TEST(a_device_that_had_a_driver_first_gets_its_register_back_too),
	TEST(restore_brings_back_an_override),
	TEST(restore_brings_back_a_driver_that_does_not_match),
	TEST(the_first_record_outlives_later_binds),
	TEST(bind_to_nothing_keeps_every_driver_away),
	TEST(whichever_write_fails_the_device_is_rolled_back),
	TEST(a_driver_that_refuses_leads_to_a_rollback),
	TEST(a_driver_that_takes_it_instead_is_noticed),
	TEST(a_failed_rollback_keeps_the_record),
	TEST(a_driver_that_does_not_answer_keeps_its_device_and_no_other),
	TEST(a_probe_that_does_not_return_is_left_to_itself_too),
	TEST(restore_of_a_device_that_is_gone_drops_its_record),
	TEST(a_device_that_cannot_be_looked_for_keeps_its_record),
	TEST(another_device_in_its_place_is_not_restored),
	TEST(a_twin_that_was_plugged_into_its_place_is_not_restored),
	TEST(a_driver_comes_back_whose_module_is_called_otherwise),
	TEST(nothing_is_changed_for_a_driver_that_is_forbidden),
	TEST(the_variant_that_was_made_for_a_device_is_the_default),
	TEST(a_driver_of_vfio_that_has_the_device_stays),
	TEST(a_driver_with_a_blank_in_its_name_is_like_any_other),
	TEST(vfio_that_is_built_in_needs_no_modules),
	TEST(a_device_that_was_on_vfio_goes_back_to_it),
	TEST(virtual_functions_come_back_with_their_driver),
	TEST(virtual_functions_of_the_group_may_go_with_their_driver),
	TEST(a_virtual_function_that_is_named_first_goes_too),
	TEST(a_device_on_the_list_of_vfio_is_told_so),
	TEST(a_device_that_does_not_suit_is_told_its_uses_too),
	TEST(a_driver_that_lets_go_again_keeps_the_record),
	TEST(a_driver_that_gives_up_need_not_let_go),
	TEST(an_interface_gets_its_name_back_and_is_taken_up),
	TEST(an_interface_whose_name_another_one_has_is_told_with_what_it_had),
	TEST(a_can_interface_that_does_not_come_up_wants_a_bitrate),
	TEST(a_disk_that_does_not_come_back_is_missed),
	TEST(a_disk_that_comes_back_under_another_name_is_told),
	TEST(without_a_record_nothing_is_touched),
	TEST(an_unknown_driver_changes_nothing),
	TEST(a_device_without_a_pin_is_refused_for_uio),
	TEST(a_locked_down_kernel_is_no_place_for_uio),
	TEST(a_bridge_is_refused_even_by_force),
	TEST(vfio_needs_an_iommu),
	TEST(vfio_without_an_iommu_is_taken_at_its_word),
	TEST(vfio_is_the_default_behind_an_iommu_and_strangers_are_named),
	TEST(a_whole_group_goes_together_and_comes_back_one_by_one),
	TEST(ehci_leaves_its_driver_before_its_companions),
	TEST(a_kernel_that_cannot_be_told_which_driver_to_take_is_left_alone),
	TEST(an_isa_bridge_of_the_group_is_released_and_restored),
	TEST(an_isa_bridge_whose_watchdog_is_fed_is_not_released),
	TEST(a_group_is_rolled_back_as_a_whole),
	TEST(several_devices_are_taken_all_or_none),
	TEST(a_device_that_was_held_goes_back_to_the_driver_of_the_call),
	TEST(one_that_is_refused_keeps_the_others_from_being_touched),
	TEST(members_of_a_group_that_are_named_together_are_no_strangers),
	TEST(a_user_gets_the_group_and_the_node_is_put_back),
	TEST(a_user_gets_the_devices_own_node_where_groups_have_none),
	TEST(a_node_that_is_another_devices_by_now_is_let_alone),
	TEST(without_an_iommu_no_user_gets_the_node),
	TEST(a_user_is_for_vfio_alone),
	TEST(a_hint_names_force_once),
	TEST(a_device_in_use_is_refused_unless_forced),
	TEST(a_program_on_vfio_is_not_torn_off_even_by_force),
	TEST(a_lent_device_comes_back_though_its_record_is_gone),
	TEST(a_lock_that_was_removed_is_no_lock),
	TEST(a_second_tool_waits_and_is_told_who_is_at_work),
};

int main(void)
{
	return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}
