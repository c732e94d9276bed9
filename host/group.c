// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads IOMMU groups from sysfs: see the kernel's Documentation/driver-api/vfio.rst and
 * Documentation/ABI/testing/sysfs-kernel-iommu_groups.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "file.h"
#include "group.h"
#include "guard/look.h"
#include "kernel.h"

/* Whether there is a bus behind it. A device that is powered off has 0x7f for its header type. */
static bool is_port(const struct usrpci_dev_info *info)
{
	return info->header_type == PCI_HEADER_TYPE_BRIDGE ||
	       info->header_type == PCI_HEADER_TYPE_CARDBUS;
}

bool is_bridge(const struct usrpci_dev_info *info)
{
	return is_port(info) || info->class_code >> 8 == 0x0600 || info->class_code >> 8 == 0x0601;
}

void group_type(struct usrpci_host *host, int group, char type[NAME_SIZE])
{
	if (file_read(host->ctx, type, NAME_SIZE, "/sys/kernel/iommu_groups/%d/type", group) < 0)
		type[0] = '\0';
}

bool group_noiommu(struct usrpci_host *host)
{
	char mode[8];

	return file_read(host->ctx, mode, sizeof(mode),
			 "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") > 0 &&
	       mode[0] == 'Y';
}

bool group_translates(struct usrpci_host *host, const struct usrpci_dev_info *info)
{
	struct look *look = host->look, own = {.group = -1};

	if (info->iommu_group < 0)
		return false;
	/* A group that does not translate is one that vfio has made for a device of its own. */
	if (info->driver_kind == USRPCI_DRIVER_KERNEL)
		return true;
	look = look ? look : &own;
	if (look->group != info->iommu_group) {
		look->group = info->iommu_group;
		look->translates = !group_is_noiommu(host->ctx, info->iommu_group);
	}
	return look->translates;
}

/* Intel's and AMD's IOMMUs have given every device its group when the machine has booted. */
static bool groups_come_late(const char *iommu)
{
	return strncmp(iommu, "dmar", strlen("dmar")) != 0 &&
	       strncmp(iommu, "ivhd", strlen("ivhd")) != 0;
}

bool group_may_come(struct usrpci_host *host, const struct usrpci_dev_info *info)
{
	char **names;
	int count, late = 0;

	if (info->iommu_group >= 0 || info->driver[0])
		return false;
	count = dir_list(host->ctx, &names, "/sys/class/iommu");
	for (int i = 0; i < count; i++)
		late += groups_come_late(names[i]);
	free(names);
	return late > 0;
}

/* Of many devices that are looked at, each knows its group. */
static int find_endpoints(struct usrpci_host *host, int group, struct usrpci_dev_info **members)
{
	const struct look *look = host->look;
	struct usrpci_dev_info *list = NULL, *longer;
	int found = 0;

	for (int i = 0; i < look->device_count; i++) {
		const struct usrpci_dev_info *device = &look->devices[i];

		if (device->iommu_group != group || is_port(device))
			continue;
		longer = array_grow(list, (size_t)found, 1, sizeof(*list));
		if (!longer) {
			free(list);
			return -ENOMEM;
		}
		list = longer;
		list[found++] = *device;
	}
	*members = list;
	return found;
}

int group_endpoints(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    struct usrpci_dev_info **members)
{
	struct usrpci_addr addr;
	AUTO_FREE char **names = NULL;
	int count, found = 0;

	if (host->look && host->look->devices)
		return find_endpoints(host, info->iommu_group, members);
	count = dir_list(host->ctx, &names, "/sys/kernel/iommu_groups/%d/devices",
			 info->iommu_group);
	if (count < 0)
		return count;
	*members = calloc((size_t)count + 1, sizeof(**members));
	for (int i = 0; *members && i < count; i++)
		if (!usrpci_addr_parse(names[i], &addr) &&
		    !look_device(host, &addr, &(*members)[found]) && !is_port(&(*members)[found]))
			found++;
	return *members ? found : -ENOMEM;
}

/* Behind a bridge from PCIe to PCI, the functions of a bus have one identifier. */
static void name_neighbour(struct usrpci_host *host, const struct usrpci_dev_info *info, int group,
			   char name[USRPCI_ADDR_STRLEN])
{
	struct usrpci_dev_info above = {.iommu_group = group};
	AUTO_FREE struct usrpci_dev_info *members = NULL;
	int count = group_endpoints(host, &above, &members);

	strcpy(name, "others");
	for (int i = 0; i < count; i++)
		if (members[i].addr.domain == info->addr.domain &&
		    members[i].addr.bus == info->addr.bus)
			usrpci_addr_format(&members[i].addr, name);
}

bool group_is_full(struct usrpci_host *host, const struct usrpci_dev_info *info,
		   char neighbour[USRPCI_ADDR_STRLEN])
{
	char name[USRPCI_ADDR_STRLEN], group[NAME_SIZE];

	usrpci_addr_format(&info->addr, name);
	if (info->iommu_group >= 0 ||
	    file_link_name(host->ctx, group, sizeof(group), PCI_DEVICES "/%s/../iommu_group", name))
		return false;
	if (group_is_noiommu(host->ctx, atoi(group)))
		return false;
	name_neighbour(host, info, atoi(group), neighbour);
	return true;
}
