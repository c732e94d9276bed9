// SPDX-License-Identifier: BSD-2-Clause
/*
 * Is this device ready? Who drives and who uses it, what the IOMMU makes of its DMA, and whether
 * this user may open it.
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
#include "guard/guard.h"
#include "modules.h"
#include "vfio_node.h"

static void check_driver(const struct usrpci_dev_info *info, const char *name,
			 struct findings *findings)
{
	char cure[64];

	snprintf(cure, sizeof(cure), "usrpci bind %s", name);
	if (driver_is_userspace(info->driver_kind))
		finding_add(findings, USRPCI_CHECK_OK, "driver", NULL, "%s is bound to %s", name,
			    info->driver);
	else if (is_bridge(info))
		finding_add(findings, USRPCI_CHECK_MISSING, "driver", "none: choose another device",
			    "%s is a bridge: it cannot be driven from userspace", name);
	else if (info->driver[0])
		finding_add(findings, USRPCI_CHECK_MISSING, "driver", cure, "%s is bound to %s",
			    name, info->driver);
	else
		finding_add(findings, USRPCI_CHECK_MISSING, "driver", cure, "%s has no driver",
			    name);
}

/*
 * A program that has the device open as its driver is no problem: it uses the device as intended.
 */
static enum usrpci_check_state state_of_use(const struct usrpci_dev_info *info,
					    const struct usrpci_use *use)
{
	if (use->kind == USRPCI_USE_OPEN || use->kind == USRPCI_USE_UNKNOWN)
		return driver_is_userspace(info->driver_kind) ? USRPCI_CHECK_NOTE
							      : USRPCI_CHECK_MISSING;
	return USRPCI_CHECK_MISSING;
}

static void check_uses(struct usrpci_host *host, const struct usrpci_dev_info *info,
		       const char *name, struct findings *findings)
{
	struct guard_view view;

	if (guard_look(host, info, true, &view)) {
		findings->failed = true;
		return;
	}
	for (size_t i = 0; i < view.use_count; i++)
		finding_add(findings, state_of_use(info, &view.uses[i]), "use", view.uses[i].cure,
			    "%s", view.uses[i].text);
	if (!view.use_count)
		finding_add(findings, USRPCI_CHECK_OK, "use", NULL, "nobody uses %s", name);
	for (size_t i = 0; i < view.note_count; i++)
		finding_add(findings, USRPCI_CHECK_NOTE, "use", NULL, "%s", view.notes[i].text);
	usrpci_host_uses_free(view.uses);
	usrpci_host_uses_free(view.notes);
}

/*
 * Under uio a device uses physical addresses, which an IOMMU that translates would misunderstand.
 */
static void check_translation(struct usrpci_host *host, const struct usrpci_dev_info *info,
			      const char *name, struct findings *findings)
{
	char type[NAME_SIZE], cure[80], neighbour[USRPCI_ADDR_STRLEN];

	if (group_may_come(host, info))
		finding_add(findings, USRPCI_CHECK_NOTE, "iommu", NULL,
			    "whether an IOMMU translates for %s shows when a driver has it: "
			    "usrpci bind tries vfio-pci first",
			    name);
	else if (group_is_full(host, info, neighbour))
		finding_add(findings, USRPCI_CHECK_MISSING, "iommu", "none: use another slot",
			    "an IOMMU stands before %s, which the kernel cannot put there beside "
			    "%s behind the same bridge: its DMA would fault",
			    name, neighbour);
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

/* Writes the path in /dev of the first entry in a directory of the device, "uio"; "" if none. */
static void first_entry(struct usrpci_host *host, const char *name, const char *below,
			const char *directory, char node[64])
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, PCI_DEVICES "/%s/%s", name, below);

	node[0] = '\0';
	if (count > 0)
		snprintf(node, 64, "%s/%.32s", directory, names[0]);
}

static void check_consent(struct findings *findings)
{
	const char *consent = getenv("USRPCI_NOIOMMU");

	if (!consent || strcmp(consent, "1") != 0)
		finding_add(findings, USRPCI_CHECK_NOTE, "node", "export USRPCI_NOIOMMU=1",
			    "without an IOMMU the device is opened only with consent, and by "
			    "root: it reaches all memory");
}

static void check_node(struct usrpci_host *host, const struct usrpci_dev_info *info,
		       const char *name, struct findings *findings)
{
	bool is_vfio = info->driver_kind == USRPCI_DRIVER_VFIO;
	char node[64], path[PATH_SIZE], cure[96] = "run as root";

	if (is_vfio)
		vfio_node_path(host, info, node);
	else
		first_entry(host, name, "uio", "/dev", node);
	if (!node[0] || path_format(host->ctx, path, "%s", node))
		return;
	if (is_vfio && group_translates(host, info))
		snprintf(cure, sizeof(cure), "usrpci bind --user \"$USER\" %s", name);
	if (!access(path, R_OK | W_OK))
		finding_add(findings, USRPCI_CHECK_OK, "node", NULL, "%s can be opened", node);
	else if (errno == ENOENT)
		finding_add(findings, USRPCI_CHECK_MISSING, "node",
			    "mount -t devtmpfs devtmpfs /dev", "%s does not exist", node);
	else
		finding_add(findings, USRPCI_CHECK_MISSING, "node", cure,
			    "%s cannot be opened by this user", node);
	if (is_vfio && !group_translates(host, info))
		check_consent(findings);
}

/* A device that is in use, or cannot work, is refused by the command that gives it a driver. */
static void bind_last(struct findings *findings, size_t driver)
{
	static const char when[] = " # when what is missing below is mended";
	bool missing = false;
	char *cure;

	for (size_t i = driver + 1; i < findings->count; i++)
		missing |= findings->list[i].state == USRPCI_CHECK_MISSING;
	if (!missing || driver >= findings->count)
		return;
	cure = findings->list[driver].cure;
	if (!strncmp(cure, "usrpci bind ", strlen("usrpci bind ")))
		strncat(cure, when, sizeof(findings->list->cure) - strlen(cure) - 1);
}

void check_device(struct usrpci_host *host, const struct usrpci_dev_info *info,
		  struct findings *findings)
{
	size_t driver = findings->count;
	char name[USRPCI_ADDR_STRLEN];

	usrpci_addr_format(&info->addr, name);
	check_driver(info, name, findings);
	check_uses(host, info, name, findings);
	check_hardware(host, info, findings);
	bind_last(findings, driver);
	check_translation(host, info, name, findings);
	check_node(host, info, name, findings);
}
