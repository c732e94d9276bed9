// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device by way of its IOMMU group and a container, as every kernel with vfio has it: the type 1
 * IOMMU, whose container is shared by all groups of a context, and no-IOMMU, whose devices have a
 * container each because it holds nothing.
 *
 * Follows Documentation/driver-api/vfio.rst. The kernel forgets a container's mappings with its
 * last group, and lets a group be opened once; so a group is shared by the devices in it and
 * closed with the last of them.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vfio/vfio.h"

#define LOG_SUBJECT "vfio"
#include "file.h"
#include "lent.h"
#include "log.h"

#define CLASS_ISA_BRIDGE 0x0601

/* A driver of slots that are hot-plugged, by which the kernel has the group for itself. */
static bool is_held_bridge(const struct usrpci_dev_info *info)
{
	return info->header_type == PCI_HEADER_TYPE_BRIDGE && !strcmp(info->driver, "shpchp");
}

/* Whether vfio hands out no group with this device in it. Other bridges of PCI don't count. */
static bool is_stranger(const struct usrpci_dev_info *info, int group)
{
	if (info->iommu_group != group)
		return false;
	return is_held_bridge(info) || (info->header_type == PCI_HEADER_TYPE_NORMAL &&
					(info->driver_kind == USRPCI_DRIVER_KERNEL ||
					 info->driver_kind == USRPCI_DRIVER_UIO));
}

struct strangers {
	char text[256]; /* "0000:00:1f.0 (lpc_ich), ..." */
	size_t used;
	char hint[160];
};

static void add_stranger(struct strangers *strangers, const struct usrpci_dev_info *info)
{
	size_t room = sizeof(strangers->text) - strangers->used;
	char addr[USRPCI_ADDR_STRLEN];

	usrpci_addr_format(&info->addr, addr);
	if (room > 1)
		strangers->used += (size_t)snprintf(strangers->text + strangers->used, room,
						    "%s%s (%s)", strangers->used ? ", " : "", addr,
						    info->driver);
	/* Bridges are never bound to vfio-pci, as the machine needs what is behind them. */
	if (info->class_code >> 8 == CLASS_ISA_BRIDGE || is_held_bridge(info))
		snprintf(strangers->hint, sizeof(strangers->hint),
			 "echo %s > /sys/bus/pci/drivers/%s/unbind, then usrpci bind --whole-group",
			 addr, info->driver);
}

bool vfio_group_has_strangers(struct usrpci_dev *dev)
{
	struct strangers strangers = {
		.hint = "bind them to vfio-pci too (usrpci bind --whole-group), or to no driver",
	};
	struct usrpci_dev_info *list;
	int count = usrpci_dev_list(dev->ctx, &list);

	for (int i = 0; i < count; i++)
		if (is_stranger(&list[i], dev->info.iommu_group))
			add_stranger(&strangers, &list[i]);
	usrpci_dev_list_free(list);
	if (!strangers.used)
		return false;
	log_error(dev->ctx, dev->name, strangers.hint,
		  "IOMMU group %d is shared with devices of other drivers: %s",
		  dev->info.iommu_group, strangers.text);
	return true;
}

static int report_not_viable(struct usrpci_dev *dev, int number)
{
	if (vfio_group_has_strangers(dev))
		return -EBUSY;
	return report(dev->ctx, -EBUSY, dev->name, NULL,
		      "IOMMU group %d is in use, and the kernel does not say by whom", number);
}

static int report_open(struct usrpci_dev *dev, int error, const char *path)
{
	char hint[PATH_SIZE + 64] = "";

	if (error == -EBUSY)
		snprintf(hint, sizeof(hint), "to see which: fuser -v %s", path);
	else if (error == -EACCES)
		snprintf(hint, sizeof(hint), "usrpci bind %s --user NAME gives it to a user",
			 dev->name);
	else if (error == -ENOENT)
		snprintf(hint, sizeof(hint), "usrpci bind %s --driver vfio-pci", dev->name);
	return report(dev->ctx, error, dev->name,
		      error == -EACCES ? lent_cure(dev->ctx, hint)
		      : hint[0]        ? hint
				       : NULL,
		      error == -EBUSY ? "%s is open in another program or context"
				      : "cannot open %s",
		      path);
}

static int open_group(struct vfio_iommu *iommu, struct usrpci_dev *dev, int number)
{
	const char *prefix = iommu->ops == &vfio_noiommu ? "noiommu-" : "";
	char path[PATH_SIZE];
	int fd;

	fd = path_format(dev->ctx, path, "/dev/vfio/%s%d", prefix, number);
	if (!fd)
		fd = file_open(dev->ctx, O_RDWR, "/dev/vfio/%s%d", prefix, number);
	return fd < 0 ? report_open(dev, fd, path) : fd;
}

/* The first group makes the container an IOMMU's. */
static int enter_container(struct vfio_iommu *iommu, struct usrpci_dev *dev, int number, int fd)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	int type = iommu->ops == &vfio_noiommu ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU;
	int error;

	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status))
		return report(dev->ctx, -errno, dev->name, NULL, "cannot examine group %d", number);
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return report_not_viable(dev, number);
	if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &iommu->fd)) {
		error = -errno;
		if (error == -EBUSY || error == -EPERM)
			return report_not_viable(dev, number);
		return report(
			dev->ctx, error, dev->name,
			"open it in a context of its own if its IOMMU differs from the others'",
			"group %d cannot join the context's container", number);
	}
	if (!iommu->groups && ioctl(iommu->fd, VFIO_SET_IOMMU, type)) {
		error = -errno;
		return report(dev->ctx, error, dev->name,
			      error == -EPERM ? VFIO_UNSAFE_HINT("vfio_iommu_type1") : NULL,
			      "cannot set up the %s IOMMU for group %d", iommu->ops->name, number);
	}
	return 0;
}

static int add_group(struct vfio_iommu *iommu, struct usrpci_dev *dev, int number,
		     struct vfio_group **result)
{
	struct vfio_group *group = calloc(1, sizeof(*group));
	int error;

	if (!group)
		return -ENOMEM;
	group->number = number;
	group->fd = open_group(iommu, dev, number);
	if (group->fd < 0) {
		error = group->fd;
		goto free_group;
	}
	error = enter_container(iommu, dev, number, group->fd);
	if (error)
		goto close_group;
	iommu->renewed = !iommu->groups;
	group->next = iommu->groups;
	iommu->groups = group;
	*result = group;
	return 0;

close_group:
	close(group->fd);
free_group:
	free(group);
	return error;
}

static void put_group(struct vfio_iommu *iommu, struct vfio_group *group)
{
	struct vfio_group **link = &iommu->groups;

	if (group->users > 0)
		return;
	while (*link != group)
		link = &(*link)->next;
	*link = group->next;
	close(group->fd);
	free(group);
}

static int group_attach(struct vfio_iommu *iommu, struct usrpci_dev *dev, struct vfio_device *vfio)
{
	struct vfio_group *group = iommu->groups;
	int error;

	iommu->renewed = false;
	while (group && group->number != dev->info.iommu_group)
		group = group->next;
	if (!group) {
		error = add_group(iommu, dev, dev->info.iommu_group, &group);
		if (error)
			return error;
	}
	vfio->fd = vfio_open_of_group(dev, group->fd);
	if (vfio->fd < 0) {
		put_group(iommu, group);
		return vfio->fd;
	}
	group->users++;
	vfio->group = group;
	return 0;
}

static void group_detach(struct vfio_iommu *iommu, struct vfio_device *vfio)
{
	close(vfio->fd);
	vfio->group->users--;
	put_group(iommu, vfio->group);
}

static int container_open(struct vfio_iommu *iommu)
{
	int error, version, type;

	iommu->fd = file_open(iommu->ctx, O_RDWR, "/dev/vfio/vfio");
	if (iommu->fd < 0)
		return report(iommu->ctx, iommu->fd, NULL, "modprobe vfio-pci",
			      "cannot open /dev/vfio/vfio");
	type = iommu->ops == &vfio_noiommu ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU;
	version = ioctl(iommu->fd, VFIO_GET_API_VERSION);
	if (version == VFIO_API_VERSION && ioctl(iommu->fd, VFIO_CHECK_EXTENSION, type) > 0)
		return 0;
	error = report(iommu->ctx, -EOPNOTSUPP, NULL,
		       type == VFIO_TYPE1v2_IOMMU ? "modprobe vfio_iommu_type1" : NULL,
		       "the kernel's vfio (version %d) has no %s IOMMU", version, iommu->ops->name);
	close(iommu->fd);
	return error;
}

static void container_close(struct vfio_iommu *iommu)
{
	close(iommu->fd);
}

static int copy_ranges(const struct vfio_iommu_type1_info *info, uint32_t caps,
		       struct iova_range ranges[VFIO_RANGES])
{
	struct vfio_iommu_type1_info_cap_iova_range usable;
	uint32_t at = vfio_find_cap(info, info->argsz, caps, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
				    &usable, sizeof(usable));
	uint32_t count = at ? usable.nr_iovas : 0;

	if (count > VFIO_RANGES)
		count = VFIO_RANGES;
	at += sizeof(usable);
	if (count > (info->argsz - at) / sizeof(*ranges))
		return 0;
	memcpy(ranges, (const char *)info + at, count * sizeof(*ranges));
	return (int)count;
}

static int type1_limits(struct vfio_iommu *iommu, struct iova_range ranges[VFIO_RANGES],
			size_t *mappings)
{
	struct vfio_iommu_type1_info *info = vfio_read_iommu_info(iommu);
	struct vfio_iommu_type1_info_dma_avail avail;
	uint32_t caps;
	int count;

	if (!info)
		return report(iommu->ctx, -EIO, NULL, NULL,
			      "the container does not describe itself");
	caps = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;
	count = copy_ranges(info, caps, ranges);
	*mappings = VFIO_NO_LIMIT;
	if (vfio_find_cap(info, info->argsz, caps, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, &avail,
			  sizeof(avail)))
		*mappings = avail.avail;
	free(info);
	if (count > 0)
		return count;
	return report(iommu->ctx, -EOPNOTSUPP, NULL, "vfio needs Linux 5.4 or later",
		      "the kernel does not say which addresses the IOMMU can map");
}

static int type1_map(struct vfio_iommu *iommu, void *va, size_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	/* Without a group there is no IOMMU; the next one to be attached is told everything. */
	if (!iommu->groups)
		return 0;
	return ioctl(iommu->fd, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

static int type1_unmap(struct vfio_iommu *iommu, uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	if (!iommu->groups)
		return 0;
	return ioctl(iommu->fd, VFIO_IOMMU_UNMAP_DMA, &unmap) ? -errno : 0;
}

const struct vfio_iommu_ops vfio_type1 = {
	.name = "type 1",
	.open = container_open,
	.close = container_close,
	.attach = group_attach,
	.detach = group_detach,
	.limits = type1_limits,
	.map = type1_map,
	.unmap = type1_unmap,
};

const struct vfio_iommu_ops vfio_noiommu = {
	.name = "no-IOMMU",
	.open = container_open,
	.close = container_close,
	.attach = group_attach,
	.detach = group_detach,
};

_Static_assert(sizeof(struct iova_range) == sizeof(struct vfio_iova_range), "ranges are copied");
