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

/*
 * Asks for a description that begins with its size: for the size first, then for all of it.
 * question, of so many bytes, is its fixed part.
 */
static void *read_info(int fd, unsigned long request, void *question, uint32_t bytes)
{
	uint32_t size, *info;

	if (ioctl(fd, request, question))
		return NULL;
	memcpy(&size, question, sizeof(size));
	info = size >= bytes && size <= INFO_MAX ? calloc(1, size) : NULL;
	if (!info)
		return NULL;
	memcpy(info, question, bytes);
	if (!ioctl(fd, request, info) && info[0] <= size)
		return info;
	free(info);
	return NULL;
}

struct vfio_iommu_type1_info *vfio_read_iommu_info(const struct vfio_iommu *iommu)
{
	struct vfio_iommu_type1_info question = {.argsz = sizeof(question)};

	return read_info(iommu->fd, VFIO_IOMMU_GET_INFO, &question, sizeof(question));
}

struct vfio_region_info *vfio_read_region_info(struct usrpci_dev *dev, unsigned int index)
{
	struct vfio_region_info question = {.argsz = sizeof(question), .index = index};

	return read_info(vfio_device(dev)->fd, VFIO_DEVICE_GET_REGION_INFO, &question,
			 sizeof(question));
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
