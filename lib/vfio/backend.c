// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices bound to vfio-pci (Linux: Documentation/driver-api/vfio.rst): everything goes through one
 * file a device, which an unprivileged program may own, and an IOMMU confines the device's DMA to
 * what the program mapped. group.c and iommufd.c know which file that is and how memory is mapped;
 * here is what both ways share.
 *
 * vfio's no-IOMMU mode protects nothing and taints the kernel, so it is used only where the
 * environment says USRPCI_NOIOMMU=1; device addresses are then physical, as under uio.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dma/domain.h"
#include "file.h"
#include "kernel.h"
#include "sysfs.h"
#include "vfio/vfio.h"

#define LOG_SUBJECT "vfio"
#include "log.h"

static bool vfio_match(struct usrpci_ctx *ctx, const struct backend_target *target)
{
	return !target->inspect && target->info && target->info->driver_kind == USRPCI_DRIVER_VFIO;
}

static int read_region(struct usrpci_dev *dev, unsigned int index, struct vfio_region *region)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	if (ioctl(vfio_device(dev)->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		return report(dev->ctx, -errno, dev->name, NULL, "cannot examine region %u", index);
	*region = (struct vfio_region){info.offset, info.size, info.flags};
	return 0;
}

static int read_vectors(struct usrpci_dev *dev, unsigned int index, struct vfio_vectors *vectors)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};

	/* Kernels answer -EINVAL for an error interrupt of what is not PCI Express. */
	if (ioctl(vfio_device(dev)->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
		return errno == EINVAL ? 0
				       : report(dev->ctx, -errno, dev->name, NULL,
						"cannot examine its interrupts");
	vectors->flags = info.flags;
	if (info.flags & VFIO_IRQ_INFO_EVENTFD)
		vectors->available = info.count;
	return 0;
}

/* A variant of vfio-pci may offer a BAR that the device itself has not: memory of its board. */
static void take_region(struct usrpci_bar_info *bar, const struct vfio_region *region)
{
	if (!region->size)
		return;
	bar->size = region->size;
	bar->flags &= ~(uint32_t)USRPCI_BAR_UNASSIGNED;
}

static int read_device(struct usrpci_dev *dev)
{
	struct vfio_device *vfio = vfio_device(dev);
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int error;

	if (ioctl(vfio->fd, VFIO_DEVICE_GET_INFO, &info))
		return report(dev->ctx, -errno, dev->name, NULL, "vfio does not describe it");
	vfio->flags = info.flags;
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) || info.num_regions < VFIO_PCI_NUM_REGIONS)
		return report(dev->ctx, -EPROTO, dev->name, NULL,
			      "vfio does not present it as a PCI device");
	error = read_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &vfio->config);
	for (unsigned int i = 0; !error && i < USRPCI_BARS; i++)
		error = read_region(dev, VFIO_PCI_BAR0_REGION_INDEX + i, &vfio->bars[i]);
	for (unsigned int i = 0; !error && i < VFIO_PCI_NUM_IRQS && i < info.num_irqs; i++)
		error = read_vectors(dev, i, &vfio->irqs[i]);
	dev->config_size = vfio->config.size < USRPCI_CONFIG_SIZE_EXPRESS
				   ? USRPCI_CONFIG_SIZE
				   : USRPCI_CONFIG_SIZE_EXPRESS;
	if (!error)
		error = sysfs_read_bars(dev);
	for (unsigned int i = 0; !error && i < USRPCI_BARS; i++)
		take_region(&dev->bars[i], &vfio->bars[i]);
	return error;
}

/* The device has a container of its own, which holds no mappings. */
static int attach_noiommu(struct usrpci_dev *dev, struct vfio_device *vfio)
{
	struct vfio_iommu *iommu;
	int error = dev_has_domain(dev, "physical") ?: domain_physical_attach(dev->ctx);

	if (error < 0)
		return error;
	iommu = calloc(1, sizeof(*iommu));
	if (!iommu)
		return -ENOMEM;
	iommu->ops = &vfio_noiommu;
	iommu->ctx = dev->ctx;
	error = iommu->ops->open(iommu);
	if (error)
		goto free_iommu;
	error = iommu->ops->attach(iommu, dev, vfio);
	if (error)
		goto close_iommu;
	vfio->iommu = iommu;
	return 0;

close_iommu:
	iommu->ops->close(iommu);
free_iommu:
	free(iommu);
	return error;
}

static void detach(struct usrpci_dev *dev)
{
	struct vfio_iommu *iommu = vfio_device(dev)->iommu;

	if (iommu->ops != &vfio_noiommu) {
		vfio_domain_detach(dev);
		return;
	}
	iommu->ops->detach(iommu, vfio_device(dev));
	iommu->ops->close(iommu);
	free(iommu);
}

static bool noiommu_allowed(void)
{
	const char *consent = secure_getenv("USRPCI_NOIOMMU");

	return consent && !strcmp(consent, "1");
}

/* The kernel would let the group's owner open a device twice, and the two would fight. */
static bool is_open(const struct usrpci_dev *dev)
{
	const struct usrpci_dev *other = dev->ctx->devices;

	while (other && (other->inspect || strcmp(other->name, dev->name)))
		other = other->next;
	return other;
}

static int attach(struct usrpci_dev *dev, struct vfio_device *vfio)
{
	int error;

	if (is_open(dev))
		return report(dev->ctx, -EBUSY, dev->name, NULL,
			      "it is open in this context already");
	if (!group_is_noiommu(dev->ctx, dev->info.iommu_group)) {
		error = dev_has_domain(dev, "vfio");
		return error < 0 ? error : vfio_domain_attach(dev, vfio);
	}
	if (!noiommu_allowed())
		return report(dev->ctx, -EPERM, dev->name,
			      "USRPCI_NOIOMMU=1 in the environment accepts that",
			      "no IOMMU confines it: it could overwrite any memory");
	return attach_noiommu(dev, vfio);
}

static int vfio_open(struct usrpci_dev *dev)
{
	struct vfio_device *vfio = calloc(1, sizeof(*vfio));
	int error;

	if (!vfio)
		return -ENOMEM;
	dev->backend = vfio;
	error = attach(dev, vfio);
	if (error)
		goto free_vfio;
	error = read_device(dev);
	if (error)
		goto detach;
	log_debug(dev->ctx, dev->name, "IOMMU group %d by %s", dev->info.iommu_group,
		  vfio->iommu->ops->name);
	return 0;

detach:
	detach(dev);
free_vfio:
	free(vfio);
	return error;
}

static void vfio_close(struct usrpci_dev *dev)
{
	detach(dev);
	free(dev->backend);
}

static uint32_t vfio_features(struct usrpci_dev *dev)
{
	const struct vfio_device *vfio = vfio_device(dev);
	uint32_t bits = USRPCI_FEATURE_DMA;

	if (vfio->irqs[VFIO_PCI_INTX_IRQ_INDEX].available)
		bits |= USRPCI_FEATURE_INTX;
	if (vfio->irqs[VFIO_PCI_MSI_IRQ_INDEX].available)
		bits |= USRPCI_FEATURE_MSI;
	if (vfio->irqs[VFIO_PCI_MSIX_IRQ_INDEX].available)
		bits |= USRPCI_FEATURE_MSIX;
	if (vfio->iommu->ops != &vfio_noiommu)
		bits |= USRPCI_FEATURE_PROTECTED;
	if (vfio->flags & VFIO_DEVICE_FLAGS_RESET)
		bits |= USRPCI_FEATURE_RESET;
	if (vfio_reset_bus_possible(dev))
		bits |= USRPCI_FEATURE_HOT_RESET;
	return bits;
}

static int report_access(struct usrpci_dev *dev, int error, const char *action, unsigned int offset)
{
	if (error == -ENODEV || error == -EIO)
		return dev_gone(dev);
	return report(dev->ctx, error, dev->name, NULL, "cannot %s configuration space at 0x%x",
		      action, offset);
}

static int vfio_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size)
{
	const struct vfio_device *vfio = vfio_device(dev);
	int error = pread_exact(vfio->fd, buffer, size, (off_t)(vfio->config.offset + offset));

	return error ? report_access(dev, error, "read", offset) : 0;
}

static int vfio_config_write(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
			     size_t size)
{
	const struct vfio_device *vfio = vfio_device(dev);
	int error = pwrite_exact(vfio->fd, buffer, size, (off_t)(vfio->config.offset + offset));

	return error ? report_access(dev, error, "write", offset) : 0;
}

const struct backend_ops backend_vfio = {
	.name = "vfio",
	.match = vfio_match,
	.open = vfio_open,
	.close = vfio_close,
	.features = vfio_features,
	.config_read = vfio_config_read,
	.config_write = vfio_config_write,
	.bar_map = vfio_bar_map,
	.bar_unmap = vfio_bar_unmap,
	.bar_read = vfio_bar_read,
	.bar_write = vfio_bar_write,
	.irq_count = vfio_irq_count,
	.irq_enable = vfio_irq_enable,
	.irq_disable = vfio_irq_disable,
	.irq_fd = vfio_irq_fd,
	.irq_take = vfio_irq_take,
	.irq_set_mask = vfio_irq_set_mask,
	.reset = vfio_reset,
};

/* irq.c passes its types on to the kernel as they are. */
_Static_assert(USRPCI_IRQ_INTX == (int)VFIO_PCI_INTX_IRQ_INDEX &&
		       USRPCI_IRQ_MSI == (int)VFIO_PCI_MSI_IRQ_INDEX &&
		       USRPCI_IRQ_MSIX == (int)VFIO_PCI_MSIX_IRQ_INDEX &&
		       USRPCI_IRQ_ERROR == (int)VFIO_PCI_ERR_IRQ_INDEX &&
		       USRPCI_IRQ_REQUEST == (int)VFIO_PCI_REQ_IRQ_INDEX,
	       "the types are numbered as vfio numbers them");
