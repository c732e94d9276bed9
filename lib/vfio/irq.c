// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts of vfio: an eventfd a vector, all set by one call of the kernel. Taking an interrupt
 * is one read(2) and nothing else; the kernel masks INTx by itself when it fires.
 *
 * The kernel masks INTx alone. A vector of MSI-X, and of MSI where the device can mask, is masked
 * by taking its eventfd away: the kernel then sets the vector's mask bit, and the device holds the
 * interrupt back as pending until the eventfd is there again (PCI Local Bus 3.0, 6.8.3).
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "file.h"
#include "vfio/vfio.h"

#define LOG_SUBJECT "vfio"
#include "log.h"

int vfio_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	return (int)vfio_device(dev)->irqs[type].available;
}

/*
 * Gives eventfds to count vectors from start on, or takes them away when fds is NULL. Returns what
 * the ioctl returns: 0, an error, or a positive value, which says how many vectors are left.
 */
static int set_triggers(struct usrpci_dev *dev, unsigned int type, unsigned int start,
			unsigned int count, const int *fds)
{
	size_t bytes = fds ? count * sizeof(*fds) : 0;
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + bytes);
	int result;

	if (!set)
		return -ENOMEM;
	set->argsz = (uint32_t)(sizeof(*set) + bytes);
	set->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
		     (fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	set->index = type;
	set->start = start;
	set->count = count;
	if (bytes)
		memcpy(set->data, fds, bytes);
	result = ioctl(vfio_device(dev)->fd, VFIO_DEVICE_SET_IRQS, set);
	if (result < 0)
		result = -errno;
	free(set);
	return result;
}

static void free_fds(struct vfio_vectors *vectors)
{
	while (vectors->enabled > 0)
		close(vectors->fds[--vectors->enabled]);
	free(vectors->fds);
	vectors->fds = NULL;
}

static int make_fds(struct vfio_vectors *vectors, unsigned int count)
{
	int fd, error;

	vectors->fds = calloc(count, sizeof(*vectors->fds));
	if (!vectors->fds)
		return -ENOMEM;
	while (vectors->enabled < count) {
		fd = eventfd(0, EFD_CLOEXEC);
		if (fd < 0) {
			error = -errno;
			free_fds(vectors);
			return error;
		}
		vectors->fds[vectors->enabled++] = fd;
	}
	return 0;
}

static bool is_behind_smmu(const struct usrpci_ctx *ctx)
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(ctx, &names, "/sys/class/iommu");

	return count > 0 && !strncmp(names[0], "smmu", strlen("smmu"));
}

/*
 * An SMMU confines message interrupts too. Those of the port, by which the kernel hears of errors
 * and of unplugging, are lost while its group is a program's.
 */
static void warn_of_silent_port(struct usrpci_dev *dev)
{
	char group[16];

	if (file_link_name(dev->ctx, group, sizeof(group), PCI_DEVICES "/%s/../iommu_group",
			   dev->name) ||
	    atoi(group) != dev->info.iommu_group || !is_behind_smmu(dev->ctx))
		return;
	log_warning(dev->ctx, dev->name, NULL,
		    "the port above it is in its IOMMU group: on Arm the kernel hears of no error "
		    "and no unplugging while a program has the group");
}

/* Some kernels leave a device silent about its errors until its driver wants to hear of them. */
static int report_errors(struct usrpci_dev *dev)
{
	int cap = usrpci_cap_find(dev, USRPCI_CAP_EXPRESS);

	if (cap < 0)
		return 0;
	return usrpci_config_update16(dev, (unsigned int)cap + PCI_EXP_DEVCTL, 0,
				      PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE);
}

int vfio_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	struct vfio_vectors *vectors = &vfio_device(dev)->irqs[type];
	int error = make_fds(vectors, count), result;

	if (error)
		return report(dev->ctx, error, dev->name,
			      error == -EMFILE ? "ulimit -n raises the limit" : NULL,
			      "cannot create descriptors for %u interrupts", count);
	result = set_triggers(dev, type, 0, count, vectors->fds);
	if (result == 0 && type >= USRPCI_IRQ_ERROR)
		warn_of_silent_port(dev);
	if (result == 0)
		return type == USRPCI_IRQ_ERROR ? report_errors(dev) : 0;
	free_fds(vectors);
	if (result > 0)
		return result;
	return report(dev->ctx, result, dev->name, NULL, "cannot enable %u interrupts", count);
}

int vfio_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	int error = set_triggers(dev, type, 0, 0, NULL);

	free_fds(&vfio_device(dev)->irqs[type]);
	if (error && !dev->gone)
		return report(dev->ctx, error, dev->name, NULL, "cannot disable its interrupts");
	return 0;
}

int vfio_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	return vfio_device(dev)->irqs[type].fds[vector];
}

int vfio_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	uint64_t count;

	if (read(vfio_device(dev)->irqs[type].fds[vector], &count, sizeof(count)) < 0)
		return -errno;
	return count < INT32_MAX ? (int)count : INT32_MAX;
}

static int mask_intx(struct usrpci_dev *dev, bool masked)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE |
			 (masked ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK),
		.index = VFIO_PCI_INTX_IRQ_INDEX,
		.count = 1,
	};

	if (!ioctl(vfio_device(dev)->fd, VFIO_DEVICE_SET_IRQS, &set))
		return 0;
	if (errno == ENODEV || errno == EIO)
		return dev_gone(dev);
	return report(dev->ctx, -errno, dev->name, NULL, "cannot %s INTx",
		      masked ? "mask" : "unmask");
}

static int check_maskable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	uint16_t control = 0;
	int cap;

	if (type == USRPCI_IRQ_MSIX)
		return 0;
	if (type == USRPCI_IRQ_MSI) {
		cap = usrpci_cap_find(dev, USRPCI_CAP_MSI);
		if (cap < 0 ||
		    usrpci_config_read16(dev, (unsigned int)cap + PCI_MSI_FLAGS, &control))
			return -EOPNOTSUPP;
	}
	if (control & PCI_MSI_FLAGS_MASKBIT)
		return 0;
	return report(dev->ctx, -EOPNOTSUPP, dev->name, "mask it in the device's own registers",
		      "the device cannot mask single vectors of this type");
}

int vfio_irq_set_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
		      bool masked)
{
	const int none = -1;
	int error;

	if (type == USRPCI_IRQ_INTX)
		return mask_intx(dev, masked);
	error = check_maskable(dev, type);
	if (error)
		return error;
	error = set_triggers(dev, type, vector, 1,
			     masked ? &none : &vfio_device(dev)->irqs[type].fds[vector]);
	if (error)
		return report(dev->ctx, error, dev->name, NULL, "cannot %s vector %u",
			      masked ? "mask" : "unmask", vector);
	return 0;
}
