// SPDX-License-Identifier: BSD-2-Clause
/*
 * Resets: of the function, and of the bus or slot, which takes other functions along. For the
 * latter the kernel demands proof that all of them are the caller's: the groups that the context
 * holds, or with iommufd its devices.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "vfio/vfio.h"

#define LOG_SUBJECT "vfio"
#include "log.h"

/* Of <linux/vfio.h> since 6.6: ids of devices instead of groups, and whether all are ours. */
#define RESET_BY_DEVICE (1u << 0)
#define RESET_OWNED     (1u << 1)
#define NOT_OWNED       UINT32_MAX

/* Functions on a bus that a reset can take along. */
#define FUNCTIONS_MAX 256

bool vfio_reset_bus_possible(struct usrpci_dev *dev)
{
	struct vfio_pci_hot_reset_info info = {.argsz = sizeof(info)};

	return !ioctl(vfio_device(dev)->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info) ||
	       errno == ENOSPC;
}

static int read_affected(struct usrpci_dev *dev, struct vfio_pci_hot_reset_info **result)
{
	size_t size = sizeof(**result) + FUNCTIONS_MAX * sizeof((*result)->devices[0]);
	struct vfio_pci_hot_reset_info *info = calloc(1, size);
	int error;

	if (!info)
		return -ENOMEM;
	info->argsz = (uint32_t)size;
	if (ioctl(vfio_device(dev)->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info)) {
		error = errno == ENODEV ? -EOPNOTSUPP : -errno;
		free(info);
		return report(dev->ctx, error, dev->name, NULL,
			      "it is unknown which other functions a bus reset resets");
	}
	*result = info;
	return 0;
}

static bool is_ours(const struct vfio_iommu *iommu, const struct vfio_pci_hot_reset_info *info,
		    const struct vfio_pci_dependent_device *device)
{
	const struct vfio_group *group;

	if (info->flags & RESET_BY_DEVICE)
		return device->group_id != NOT_OWNED;
	for (group = iommu->groups; group; group = group->next)
		if ((uint32_t)group->number == device->group_id)
			return true;
	return false;
}

/* The kernel tells 16 bits of a domain, and such a reset stays within one. */
static uint32_t domain_of(const struct usrpci_dev *dev, uint16_t segment)
{
	uint32_t domain = dev->info.addr.domain;

	return (uint16_t)domain == segment ? domain : segment;
}

/* Logs every function that the reset takes along; refuses when one of them is not ours. */
static int check_owned(struct usrpci_dev *dev, const struct vfio_pci_hot_reset_info *info)
{
	struct vfio_iommu *iommu = vfio_device(dev)->iommu;
	char strangers[256] = "", name[USRPCI_ADDR_STRLEN];
	size_t used = 0;

	for (uint32_t i = 0; i < info->count && i < FUNCTIONS_MAX; i++) {
		const struct vfio_pci_dependent_device *device = &info->devices[i];
		struct usrpci_addr addr = {domain_of(dev, device->segment), device->bus,
					   device->devfn >> 3, device->devfn & 7};

		usrpci_addr_format(&addr, name);
		log_info(dev->ctx, dev->name, "the bus reset also resets %s", name);
		if (!is_ours(iommu, info, device) && used < sizeof(strangers))
			used += (size_t)snprintf(strangers + used, sizeof(strangers) - used, "%s%s",
						 used ? ", " : "", name);
	}
	if (!used)
		return 0;
	return report(dev->ctx, -EPERM, dev->name,
		      "bind them to vfio-pci and open them in the same context",
		      "the bus reset would also reset functions that the program does not have: %s",
		      strangers);
}

static int reset_bus(struct usrpci_dev *dev)
{
	const struct vfio_device *vfio = vfio_device(dev);
	struct vfio_pci_hot_reset_info *info = NULL;
	struct vfio_pci_hot_reset *reset;
	struct vfio_group *group;
	size_t groups = 0;
	int error = read_affected(dev, &info);

	if (error)
		return error;
	error = check_owned(dev, info);
	free(info);
	if (error)
		return error;
	for (group = vfio->iommu->groups; group; group = group->next)
		groups++;
	reset = calloc(1, sizeof(*reset) + groups * sizeof(reset->group_fds[0]));
	if (!reset)
		return -ENOMEM;
	reset->argsz = (uint32_t)(sizeof(*reset) + groups * sizeof(reset->group_fds[0]));
	for (group = vfio->iommu->groups; group; group = group->next)
		reset->group_fds[reset->count++] = group->fd;
	if (ioctl(vfio->fd, VFIO_DEVICE_PCI_HOT_RESET, reset))
		error = report(dev->ctx, -errno, dev->name,
			       "every function that the bus reset resets must be bound to vfio-pci",
			       "the bus reset failed");
	free(reset);
	return error;
}

int vfio_reset(struct usrpci_dev *dev, enum usrpci_reset kind)
{
	if (kind == USRPCI_RESET_BUS)
		return reset_bus(dev);
	if (!ioctl(vfio_device(dev)->fd, VFIO_DEVICE_RESET))
		return 0;
	return report(dev->ctx, -errno, dev->name, NULL, "the function reset failed");
}
