// SPDX-License-Identifier: BSD-2-Clause
/*
 * Is this device ready? Who drives and who uses it, how it interrupts, what the IOMMU makes of its
 * DMA, and whether this user may open it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/check.h"
#include "file.h"
#include "driver.h"
#include "group.h"
#include "modules.h"

static void check_driver(const struct usrpci_dev_info *info, const char *name,
			 struct findings *findings)
{
	char cure[64];

	snprintf(cure, sizeof(cure), "usrpci bind %s", name);
	if (driver_is_userspace(info->driver_kind))
		finding_add(findings, USRPCI_CHECK_OK, "driver", NULL, "%s is with %s", name,
			    info->driver);
	else if (is_bridge(info))
		finding_add(findings, USRPCI_CHECK_MISSING, "driver", NULL,
			    "%s is a bridge: it cannot be driven from userspace", name);
	else if (info->driver[0])
		finding_add(findings, USRPCI_CHECK_MISSING, "driver", cure, "%s is with %s", name,
			    info->driver);
	else
		finding_add(findings, USRPCI_CHECK_MISSING, "driver", cure, "%s has no driver",
			    name);
}

static void describe_cure(const struct usrpci_use *use, const char *name, char cure[200])
{
	/* Text before and behind the object of the use, or of the device where a use has no object.
	 */
	static const struct {
		const char *before, *behind;
	} cures[] = {
		[USRPCI_USE_ADDRESS] = {"ip address flush dev ", ""},
		[USRPCI_USE_ROUTE] = {"ip route flush dev ", ""},
		[USRPCI_USE_UPPER] = {"ip link set ", " nomaster"},
		[USRPCI_USE_MOUNT] = {"umount -A /dev/", ""},
		[USRPCI_USE_SWAP] = {"swapoff /dev/", ""},
		[USRPCI_USE_HOLDER] = {"stop what lsblk shows above /dev/", ""},
		[USRPCI_USE_DISPLAY] = {"usrpci bind --force ", ", if nobody looks at it"},
		[USRPCI_USE_OPEN] = {"end ", ""},
		[USRPCI_USE_GROUP] = {"usrpci bind --whole-group ", ""},
		[USRPCI_USE_BRIDGE] = {"choose another device than ", ""},
		[USRPCI_USE_FUNCTIONS] = {"echo 0 > " PCI_DEVICES "/", "/sriov_numvfs"},
		[USRPCI_USE_NAMESPACE] = {"end the container that has ", ""},
		[USRPCI_USE_SHARE] = {"choose another device than ", ""},
		[USRPCI_USE_CONSOLE] = {"boot without console=", ""},
		[USRPCI_USE_BELOW] = {"choose another device than ", ""},
	};
	const char *object = use->kind == USRPCI_USE_GROUP ? name : use->object;

	snprintf(cure, 200, "%s%s%s", cures[use->kind].before, object, cures[use->kind].behind);
}

static void check_uses(struct usrpci_host *host, const struct usrpci_dev_info *info,
		       const char *name, struct findings *findings)
{
	struct usrpci_use *uses;
	int count = usrpci_host_uses(host, &info->addr, &uses);
	char cure[200];
	int i;

	/* Where a driver for userspace has it, it is taken from nobody. */
	if (count < 0) {
		finding_add(findings,
			    driver_is_userspace(info->driver_kind) ? USRPCI_CHECK_NOTE
								   : USRPCI_CHECK_MISSING,
			    "use", "run as root", "who uses %s cannot be found out", name);
		return;
	}
	for (i = 0; i < count; i++) {
		describe_cure(&uses[i], name, cure);
		/* A driver that has it open now is at work, not in the way. */
		finding_add(findings,
			    uses[i].kind == USRPCI_USE_OPEN ? USRPCI_CHECK_NOTE
							    : USRPCI_CHECK_MISSING,
			    "use", cure, "%s", uses[i].text);
	}
	if (!count)
		finding_add(findings, USRPCI_CHECK_OK, "use", NULL, "nobody uses %s", name);
	usrpci_host_uses_free(uses);
}

static void check_interrupt(struct usrpci_host *host, const struct usrpci_dev_info *info,
			    const char *name, struct findings *findings)
{
	if (info->irq_pin)
		finding_add(findings, USRPCI_CHECK_OK, "interrupt", NULL, "%s has the pin INT%c",
			    name, 'A' + info->irq_pin - 1);
	else if (group_translates(host, info))
		finding_add(findings, USRPCI_CHECK_NOTE, "interrupt", NULL,
			    "%s has no interrupt pin: MSI through vfio-pci alone", name);
	else
		finding_add(findings, USRPCI_CHECK_MISSING, "interrupt",
			    "use an IOMMU and vfio-pci, or a driver that polls (bind --force)",
			    "%s has no interrupt pin, and uio_pci_generic knows no MSI", name);
}

/* Under uio a device is given physical addresses, which a translating IOMMU takes for its own. */
static void check_translation(struct usrpci_host *host, const struct usrpci_dev_info *info,
			      const char *name, struct findings *findings)
{
	char type[NAME_SIZE], cure[80];

	if (!group_translates(host, info))
		return;
	group_type(host, info->iommu_group, type);
	snprintf(cure, sizeof(cure), "usrpci bind --driver vfio-pci %s", name);
	if (strncmp(type, "DMA", 3) != 0 || info->driver_kind == USRPCI_DRIVER_VFIO)
		finding_add(findings, USRPCI_CHECK_OK, "iommu", NULL,
			    "%s is in IOMMU group %d%s%s%s", name, info->iommu_group,
			    type[0] ? " (" : "", type, type[0] ? ")" : "");
	else if (driver_is_userspace(info->driver_kind))
		finding_add(findings, USRPCI_CHECK_MISSING, "iommu", cure,
			    "an IOMMU translates for %s: DMA under %s would fault (DMAR)", name,
			    info->driver);
	else
		finding_add(findings, USRPCI_CHECK_OK, "iommu", NULL,
			    "an IOMMU translates for %s (group %d): vfio-pci confines it", name,
			    info->iommu_group);
}

/* The file that a driver opens; "" while there is none. */
static void device_node(struct usrpci_host *host, const struct usrpci_dev_info *info,
			const char *name, char node[64])
{
	char **names;
	int count;

	node[0] = '\0';
	if (info->driver_kind == USRPCI_DRIVER_VFIO) {
		snprintf(node, 64, "/dev/vfio/%d", info->iommu_group);
		return;
	}
	count = dir_list(host->ctx, &names, PCI_DEVICES "/%s/uio", name);
	if (count > 0)
		snprintf(node, 64, "/dev/%.32s", names[0]);
	if (count >= 0)
		free(names);
}

static void check_node(struct usrpci_host *host, const struct usrpci_dev_info *info,
		       const char *name, struct findings *findings)
{
	char node[64], path[PATH_SIZE], cure[96] = "run as root";

	device_node(host, info, name, node);
	if (!node[0] || path_format(host->ctx, path, "%s", node))
		return;
	if (info->driver_kind == USRPCI_DRIVER_VFIO)
		snprintf(cure, sizeof(cure), "usrpci bind --user \"$USER\" %s", name);
	if (!access(path, R_OK | W_OK))
		finding_add(findings, USRPCI_CHECK_OK, "node", NULL, "%s can be opened", node);
	else if (errno == ENOENT)
		finding_add(findings, USRPCI_CHECK_MISSING, "node",
			    "mount -t devtmpfs devtmpfs /dev", "%s does not exist", node);
	else
		finding_add(findings, USRPCI_CHECK_MISSING, "node", cure,
			    "%s cannot be opened by this user", node);
}

void check_device(struct usrpci_host *host, const struct usrpci_dev_info *info,
		  struct findings *findings)
{
	char name[USRPCI_ADDR_STRLEN];

	usrpci_addr_format(&info->addr, name);
	check_driver(info, name, findings);
	check_uses(host, info, name, findings);
	check_interrupt(host, info, name, findings);
	check_translation(host, info, name, findings);
	check_node(host, info, name, findings);
}
