// SPDX-License-Identifier: BSD-2-Clause
/*
 * The check's part for what a device's hardware and the machine's firmware provide: whether it
 * answers at all, its interrupt, and addresses for its BARs (PCI Local Bus 3.0, 6.2.5.1).
 */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <usrpci/bar.h>

#include "bytes.h"
#include "check/check.h"
#include "driver.h"
#include "file.h"
#include "group.h"

/* The flags of the kernel's linux/ioport.h, as the file "resource" shows them. */
#define RESOURCE_MEMORY     UINT64_C(0x00000200)
#define RESOURCE_UNASSIGNED UINT64_C(0x20000000)

struct hardware {
	struct usrpci_host *host;
	const struct usrpci_dev_info *info;
	struct findings *findings;
	char name[USRPCI_ADDR_STRLEN];
	uint8_t config[PCI_STD_HEADER_SIZEOF];
};

static bool read_config(struct hardware *hardware)
{
	AUTO_CLOSE int fd = file_open(hardware->host->ctx, O_RDONLY, PCI_DEVICES "/%s/config",
				      hardware->name);

	return fd >= 0 && !pread_exact(fd, hardware->config, sizeof(hardware->config), 0);
}

static void check_answer(const struct hardware *hardware)
{
	char state[NAME_SIZE], cure[200];

	if (file_read(hardware->host->ctx, state, sizeof(state), PCI_DEVICES "/%s/power_state",
		      hardware->name) <= 0)
		strcpy(state, "D3cold");
	snprintf(cure, sizeof(cure),
		 "echo on > " PCI_DEVICES "/%s/power/control # or echo 1 > " PCI_DEVICES
		 "/%s/remove; echo 1 > /sys/bus/pci/rescan",
		 hardware->name, hardware->name);
	finding_add(hardware->findings, USRPCI_CHECK_MISSING, "power", cure,
		    "%s does not answer: powered off (%s) or fallen off the bus", hardware->name,
		    state);
}

static void check_interrupt(const struct hardware *hardware)
{
	const struct usrpci_dev_info *info = hardware->info;
	char what[64] = "no interrupt pin";

	if (info->irq_pin && info->irq) {
		finding_add(hardware->findings, USRPCI_CHECK_OK, "interrupt", NULL,
			    "%s has the pin INT%c", hardware->name, 'A' + info->irq_pin - 1);
		return;
	}
	if (info->irq_pin)
		snprintf(what, sizeof(what),
			 "the pin INT%c, but the kernel has no interrupt for it (irq 0)",
			 'A' + info->irq_pin - 1);
	if (group_translates(hardware->host, info))
		finding_add(hardware->findings, USRPCI_CHECK_NOTE, "interrupt", NULL,
			    "%s has %s: its interrupts are MSI, which only vfio-pci delivers",
			    hardware->name, what);
	else
		finding_add(hardware->findings,
			    driver_is_userspace(info->driver_kind) ? USRPCI_CHECK_NOTE
								   : USRPCI_CHECK_MISSING,
			    "interrupt",
			    "use an IOMMU and vfio-pci, or a driver that polls (bind --force)",
			    "%s has %s, and uio_pci_generic knows no MSI", hardware->name, what);
}

/*
 * Returns whether a memory BAR exists but has an address neither in its register nor in the kernel.
 */
static bool lacks_address(const struct hardware *hardware, int bar, const char *resource)
{
	const uint8_t *at = hardware->config + PCI_BASE_ADDRESS_0 + 4 * bar;
	uint32_t bits = get_le32(at);
	uint64_t start = 0, end = 0, flags = 0;
	bool is_memory;

	sscanf(resource, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &end, &flags);
	is_memory = flags ? flags & RESOURCE_MEMORY : bits && !(bits & PCI_BASE_ADDRESS_SPACE_IO);
	if (!is_memory)
		return false;
	return flags & RESOURCE_UNASSIGNED ||
	       (!start && !(bits & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK));
}

static bool is_wide(const struct hardware *hardware, int bar)
{
	uint32_t bits = get_le32(hardware->config + PCI_BASE_ADDRESS_0 + 4 * bar);

	return !(bits & PCI_BASE_ADDRESS_SPACE_IO) &&
	       (bits & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
}

static void check_bars(const struct hardware *hardware)
{
	char text[2048], *rest = text, *line;

	if (hardware->info->header_type != PCI_HEADER_TYPE_NORMAL ||
	    file_read(hardware->host->ctx, text, sizeof(text), PCI_DEVICES "/%s/resource",
		      hardware->name) < 0)
		return;
	for (int bar = 0; bar < USRPCI_BARS && (line = strsep(&rest, "\n")); bar++) {
		if (lacks_address(hardware, bar, line))
			finding_add(hardware->findings, USRPCI_CHECK_MISSING, "bar",
				    "enable \"Above 4G decoding\" in the firmware, or add "
				    "pci=realloc to the kernel's command line, and reboot",
				    "BAR %d of %s (memory%s) has no address", bar, hardware->name,
				    is_wide(hardware, bar) ? ", 64-bit" : "");
		/* The upper half of a 64-bit address is not a BAR. */
		if (is_wide(hardware, bar) && ++bar < USRPCI_BARS)
			strsep(&rest, "\n");
	}
}

void check_hardware(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    struct findings *findings)
{
	struct hardware hardware = {.host = host, .info = info, .findings = findings};

	usrpci_addr_format(&info->addr, hardware.name);
	if (info->silent) {
		check_answer(&hardware);
		return;
	}
	if (!is_bridge(info))
		check_interrupt(&hardware);
	if (read_config(&hardware))
		check_bars(&hardware);
}
