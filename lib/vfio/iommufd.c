// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device by way of its own node, /dev/vfio/devices/vfioN, and an address space of iommufd, for
 * kernels from 6.6 on that are configured so. One address space a context; it keeps its mappings
 * while no device is attached.
 *
 * Follows Documentation/userspace-api/iommufd.rst and Documentation/driver-api/vfio.rst. Leaves
 * out nested translation, dirty tracking and page faults: they serve virtual machines.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vfio/iommufd_abi.h"
#include "vfio/vfio.h"

#define LOG_SUBJECT "vfio"
#include "file.h"
#include "log.h"

#define VFIO_NODES "/dev/vfio/devices"
#define NODE_SIZE  32

/* The name of the device's node, "vfio0". Returns 0 or -ENOENT. */
static int node_name(struct usrpci_dev *dev, char name[NODE_SIZE])
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(dev->ctx, &names, PCI_DEVICES "/%s/vfio-dev", dev->name);
	bool found = count > 0 && strlen(names[0]) < NODE_SIZE;

	if (found)
		strcpy(name, names[0]);
	return found ? 0 : -ENOENT;
}

static bool may_open(const struct usrpci_ctx *ctx, const char *file)
{
	char path[PATH_SIZE];

	return !path_format(ctx, path, "%s", file) && !access(path, R_OK | W_OK);
}

bool vfio_iommufd_usable(struct usrpci_dev *dev)
{
	char name[NODE_SIZE], path[sizeof(VFIO_NODES) + NODE_SIZE], group[NODE_SIZE];

	if (node_name(dev, name))
		return false;
	/* A kernel without groups and containers has no other way, and a failure tells why. */
	if (!file_exists(dev->ctx, "/dev/vfio/vfio") && file_exists(dev->ctx, "/dev/iommu"))
		return true;
	/* Before 6.17 a token was taken by way of the group alone. */
	snprintf(group, sizeof(group), "/dev/vfio/%d", dev->info.iommu_group);
	if (vfio_token(dev->ctx) && may_open(dev->ctx, group))
		return false;
	snprintf(path, sizeof(path), VFIO_NODES "/%s", name);
	return may_open(dev->ctx, path) && may_open(dev->ctx, "/dev/iommu");
}

static int iommufd_open(struct vfio_iommu *iommu)
{
	struct abi_ioas_alloc alloc = {.size = sizeof(alloc)};
	int error;

	iommu->fd = file_open(iommu->ctx, O_RDWR, "/dev/iommu");
	if (iommu->fd < 0)
		return report(iommu->ctx, iommu->fd, NULL,
			      iommu->fd == -EACCES
				      ? "chmod a+rw /dev/iommu: it gives no device away"
				      : "modprobe iommufd",
			      "cannot open /dev/iommu");
	if (!ioctl(iommu->fd, ABI_IOAS_ALLOC, &alloc)) {
		iommu->ioas = alloc.ioas;
		return 0;
	}
	error = report(iommu->ctx, -errno, NULL, NULL,
		       "iommufd does not allocate an address space");
	close(iommu->fd);
	return error;
}

static void iommufd_close(struct vfio_iommu *iommu)
{
	close(iommu->fd);
}

/* A node that is bound already is -EINVAL, one whose group is open -EBUSY. */
static int report_bind(struct usrpci_dev *dev, int error, const char *name)
{
	if (vfio_group_has_strangers(dev))
		return -EBUSY;
	if (error == -EACCES)
		return vfio_report_token(dev);
	if (error == -EINVAL || error == -EBUSY || error == -EPERM)
		return report(dev->ctx, -EBUSY, dev->name,
			      "to see which: fuser -v /dev/vfio/devices/* /dev/vfio/*",
			      "/dev/vfio/devices/%s is open in another program or context", name);
	return report(dev->ctx, error, dev->name, NULL, "%s cannot be bound to iommufd", name);
}

/* The kernel takes no token for a device that needs none, and before 6.17 for no device. */
static int bind_to(struct vfio_iommu *iommu, struct usrpci_dev *dev, int device)
{
	struct abi_device_bind bind = {.argsz = sizeof(bind), .iommufd = iommu->fd};
	uint8_t uuid[16];
	int given = vfio_token_bytes(dev->ctx, uuid);

	if (given < 0)
		return given;
	bind.token = given ? (uintptr_t)uuid : 0;
	bind.flags = given ? ABI_BIND_TOKEN : 0;
	if (!ioctl(device, ABI_DEVICE_BIND, &bind))
		return 0;
	if (!given || errno != EINVAL)
		return -errno;
	bind = (struct abi_device_bind){.argsz = sizeof(bind), .iommufd = iommu->fd};
	return ioctl(device, ABI_DEVICE_BIND, &bind) ? -errno : 0;
}

static int iommufd_attach(struct vfio_iommu *iommu, struct usrpci_dev *dev,
			  struct vfio_device *vfio)
{
	struct abi_device_attach attach = {.argsz = sizeof(attach), .ioas = iommu->ioas};
	char name[NODE_SIZE] = "";
	int error;

	iommu->renewed = false;
	error = node_name(dev, name);
	if (!error)
		error = vfio->fd = file_open(dev->ctx, O_RDWR, "/dev/vfio/devices/%s", name);
	if (error < 0)
		return report(dev->ctx, error, dev->name,
			      "devices of one context are all opened by iommufd or all by group",
			      "cannot open its node /dev/vfio/devices/%s", name);
	error = bind_to(iommu, dev, vfio->fd);
	if (error)
		error = report_bind(dev, error, name);
	else if (ioctl(vfio->fd, ABI_DEVICE_ATTACH, &attach))
		error = report(dev->ctx, -errno, dev->name,
			       errno == EPERM
				       ? VFIO_UNSAFE_HINT("iommufd")
				       : "open it in a context of its own if its IOMMU differs",
			       "cannot join the context's address space");
	else
		return 0;
	close(vfio->fd);
	return error;
}

static void iommufd_detach(struct vfio_iommu *iommu, struct vfio_device *vfio)
{
	close(vfio->fd);
}

static int iommufd_limits(struct vfio_iommu *iommu, struct iova_range ranges[VFIO_RANGES],
			  size_t *mappings)
{
	struct abi_ioas_ranges query = {
		.size = sizeof(query),
		.ioas = iommu->ioas,
		.count = VFIO_RANGES,
		.array = (uintptr_t)ranges,
	};

	/* -EMSGSIZE: there are more; as many as fit were written. */
	if (ioctl(iommu->fd, ABI_IOAS_RANGES, &query) && errno != EMSGSIZE)
		return report(iommu->ctx, -errno, NULL, NULL,
			      "iommufd does not say which addresses the IOMMU can map");
	*mappings = VFIO_NO_LIMIT;
	return query.count < VFIO_RANGES ? query.count : VFIO_RANGES;
}

static int iommufd_map(struct vfio_iommu *iommu, void *va, size_t size, uint64_t iova)
{
	struct abi_ioas_map map = {
		.size = sizeof(map),
		.flags = ABI_MAP_FIXED | ABI_MAP_WRITE | ABI_MAP_READ,
		.ioas = iommu->ioas,
		.va = (uintptr_t)va,
		.length = size,
		.iova = iova,
	};

	return ioctl(iommu->fd, ABI_IOAS_MAP, &map) ? -errno : 0;
}

static int iommufd_unmap(struct vfio_iommu *iommu, uint64_t iova, size_t size)
{
	struct abi_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas = iommu->ioas,
		.iova = iova,
		.length = size,
	};

	return ioctl(iommu->fd, ABI_IOAS_UNMAP, &unmap) ? -errno : 0;
}

const struct vfio_iommu_ops vfio_iommufd = {
	.name = "iommufd",
	.open = iommufd_open,
	.close = iommufd_close,
	.attach = iommufd_attach,
	.detach = iommufd_detach,
	.limits = iommufd_limits,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
};

_Static_assert(sizeof(struct iova_range) == 16, "the kernel writes ranges as pairs of 64 bits");
