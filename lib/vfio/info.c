// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel's descriptions that end in a chain of capabilities: their size is asked first. Offsets
 * are checked, so that a chain that makes no sense is one that ends.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vfio/vfio.h"

/* A page holds a hundred address ranges; more than this is not a kernel's answer. */
#define INFO_MAX 65536

struct vfio_iommu_type1_info *vfio_read_iommu_info(const struct vfio_iommu *iommu)
{
	struct vfio_iommu_type1_info probe = {.argsz = sizeof(probe)}, *info;

	if (ioctl(iommu->fd, VFIO_IOMMU_GET_INFO, &probe) || probe.argsz > INFO_MAX ||
	    probe.argsz < sizeof(probe))
		return NULL;
	info = calloc(1, probe.argsz);
	if (!info)
		return NULL;
	info->argsz = probe.argsz;
	if (!ioctl(iommu->fd, VFIO_IOMMU_GET_INFO, info) && info->argsz <= probe.argsz)
		return info;
	free(info);
	return NULL;
}

struct vfio_region_info *vfio_read_region_info(struct usrpci_dev *dev, unsigned int index)
{
	struct vfio_region_info probe = {.argsz = sizeof(probe), .index = index}, *info;
	int fd = vfio_device(dev)->fd;

	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &probe) || probe.argsz > INFO_MAX ||
	    probe.argsz < sizeof(probe))
		return NULL;
	info = calloc(1, probe.argsz);
	if (!info)
		return NULL;
	info->argsz = probe.argsz;
	info->index = index;
	if (!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info) && info->argsz <= probe.argsz)
		return info;
	free(info);
	return NULL;
}

uint32_t vfio_find_cap(const void *info, uint32_t info_size, uint32_t first, uint16_t id, void *cap,
		       uint32_t size)
{
	struct vfio_info_cap_header header;
	uint32_t at = first, last = 0;

	while (at > last && at <= info_size && sizeof(header) <= info_size - at) {
		memcpy(&header, (const char *)info + at, sizeof(header));
		if (header.id == id) {
			if (size > info_size - at)
				return 0;
			memcpy(cap, (const char *)info + at, size);
			return at;
		}
		last = at; /* offsets only grow, so the chain ends */
		at = header.next;
	}
	return 0;
}
