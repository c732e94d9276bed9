// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices: opening them through a backend, bus mastering, reset, and closing, which stops a device
 * before its memory goes.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "dma/domain.h"
#include "fault/fault.h"
#include "trace/trace.h"

#define LOG_SUBJECT "device"
#include "log.h"

/* In the order of preference. */
static const struct backend_ops *const backends[] = {
	&backend_sysfs,
	&backend_vfio,
	&backend_uio,
	&backend_qemu,
#ifdef USRPCI_PCIACCESS
	&backend_pciaccess,
#endif
	NULL,
};

static const struct backend_ops *find_backend(struct usrpci_ctx *ctx,
					      const struct backend_target *target)
{
	for (size_t i = 0; backends[i]; i++)
		if (backends[i]->match(ctx, target))
			return backends[i];
	return NULL;
}

/* Explains why no backend takes this device of the host. */
static int explain_no_backend(struct usrpci_ctx *ctx, const struct usrpci_dev_info *info)
{
	char name[USRPCI_ADDR_STRLEN], hint[64];

	usrpci_addr_format(&info->addr, name);
	snprintf(hint, sizeof(hint), "usrpci bind %s", name);
	if (!*info->driver)
		return report(ctx, -ENXIO, name, hint,
			      "it has no driver that gives it to userspace");
	if (info->driver_kind != USRPCI_DRIVER_KERNEL)
		return report(ctx, -EBUSY, name, hint,
			      "this library does not drive devices of the driver %s", info->driver);
	return report(ctx, -EBUSY, name, hint, "the kernel's driver %s holds it", info->driver);
}

int dev_gone(struct usrpci_dev *dev)
{
	char hint[192];

	if (__atomic_exchange_n(&dev->gone, true, __ATOMIC_RELAXED))
		return -ENODEV;
	if (!dev->info.silent)
		return refuse(dev->ctx, -ENODEV, dev->name, NULL, "the device is gone");
	snprintf(hint, sizeof(hint),
		 "echo on > /sys/bus/pci/devices/%s/power/control; if that is not enough, write 1 "
		 "to its file remove and then to /sys/bus/pci/rescan",
		 dev->name);
	return refuse(dev->ctx, -ENODEV, dev->name, hint,
		      "it does not answer: it is powered off (D3cold), or has fallen off the bus");
}

int dev_has_domain(struct usrpci_dev *dev, const char *name)
{
	const struct dma_domain *domain = dev->ctx->domain;

	if (!domain)
		return 0;
	if (!strcmp(domain->ops->name, name))
		return 1;
	return report(dev->ctx, -EXDEV, dev->name, "open it in a context of its own",
		      "the context's DMA memory is %s, this device's would be %s",
		      domain->ops->name, name);
}

static void fill_target(struct usrpci_dev *dev, const struct backend_target *target)
{
	dev->target = target->name;
	dev->inspect = target->inspect;
	if (target->info) {
		dev->info = *target->info;
		usrpci_addr_format(&dev->info.addr, dev->name);
		return;
	}
	dev->info.iommu_group = -1;
	dev->info.numa_node = -1;
	snprintf(dev->name, sizeof(dev->name), "%.*s", (int)strcspn(target->name, ", \t\n"),
		 target->name);
}

int dev_create(struct usrpci_ctx *ctx, const struct backend_ops *ops,
	       const struct backend_target *target, struct usrpci_dev **result)
{
	struct usrpci_dev *dev = calloc(1, sizeof(*dev));
	int error;

	if (!dev)
		return -ENOMEM;
	dev->ctx = ctx;
	dev->ops = ops;
	fill_target(dev, target);
	pthread_mutex_lock(&ctx->lock);
	error = ops->open(dev);
	if (!error) {
		error = trace_wrap(dev) ?: fault_wrap(dev);
		if (error)
			dev->ops->close(dev);
	}
	if (!error) {
		dev->next = ctx->devices;
		ctx->devices = dev;
	}
	pthread_mutex_unlock(&ctx->lock);
	dev->target = NULL;
	if (error) {
		free(dev);
		return error;
	}
	log_debug(ctx, dev->name, "opened through %s", ops->name);
	*result = dev;
	return 0;
}

static int open_host_device(struct usrpci_ctx *ctx, const struct backend_target *asked,
			    struct usrpci_dev **dev)
{
	struct backend_target target = *asked;
	const struct backend_ops *ops;
	struct usrpci_dev_info info;
	struct usrpci_addr addr;
	int error = usrpci_dev_find(ctx, asked->name, &addr)
			    ?: usrpci_dev_lookup(ctx, &addr, &info);

	if (error)
		return error;
	target.info = &info;
	ops = find_backend(ctx, &target);
	return ops ? dev_create(ctx, ops, &target, dev) : explain_no_backend(ctx, &info);
}

static int open_target(struct usrpci_ctx *ctx, const struct backend_target *target,
		       struct usrpci_dev **dev)
{
	const struct backend_ops *ops = find_backend(ctx, target);

	return ops ? dev_create(ctx, ops, target, dev) : open_host_device(ctx, target, dev);
}

int usrpci_dev_open(struct usrpci_ctx *ctx, const char *name, struct usrpci_dev **dev)
{
	return open_target(ctx, &(struct backend_target){.name = name}, dev);
}

int usrpci_dev_inspect(struct usrpci_ctx *ctx, const char *name, struct usrpci_dev **dev)
{
	return open_target(ctx, &(struct backend_target){.name = name, .inspect = true}, dev);
}

static void forget(struct usrpci_dev *dev)
{
	struct usrpci_dev **link = &dev->ctx->devices;

	while (*link && *link != dev)
		link = &(*link)->next;
	if (*link)
		*link = dev->next;
}

void usrpci_dev_close(struct usrpci_dev *dev)
{
	struct usrpci_ctx *ctx;

	if (!dev)
		return;
	ctx = dev->ctx;
	dev_disable_irqs(dev);
	if (!dev->inspect && !dev->gone)
		usrpci_config_update16(dev, PCI_COMMAND, PCI_COMMAND_MASTER, 0);
	dev_unmap_bars(dev);
	pthread_mutex_lock(&ctx->lock);
	forget(dev);
	dev->ops->close(dev);
	pthread_mutex_unlock(&ctx->lock);
	free(dev);
}

const struct usrpci_dev_info *usrpci_dev_info(const struct usrpci_dev *dev)
{
	return &dev->info;
}

const char *usrpci_dev_name(const struct usrpci_dev *dev)
{
	return dev->name;
}

const char *usrpci_dev_backend(const struct usrpci_dev *dev)
{
	return dev->ops->name;
}

struct usrpci_ctx *usrpci_dev_ctx(const struct usrpci_dev *dev)
{
	return dev->ctx;
}

uint32_t usrpci_dev_features(const struct usrpci_dev *dev)
{
	uint32_t bits = dev->ops->features((struct usrpci_dev *)dev);

	return quirk_has_reset(&dev->info) ? bits | USRPCI_FEATURE_RESET : bits;
}

int usrpci_dev_set_bus_master(struct usrpci_dev *dev, bool on)
{
	uint16_t wanted = on ? PCI_COMMAND_MASTER : 0, command;
	int error = usrpci_config_update16(dev, PCI_COMMAND, PCI_COMMAND_MASTER, wanted)
			    ?: usrpci_config_read16(dev, PCI_COMMAND, &command);

	if (error)
		return error;
	if ((command & PCI_COMMAND_MASTER) != wanted)
		return report(dev->ctx, -EIO, dev->name, NULL,
			      "bus mastering stays %s: command register 0x%04x", on ? "off" : "on",
			      command);
	return 0;
}

int usrpci_dev_reset(struct usrpci_dev *dev, enum usrpci_reset kind)
{
	uint32_t feature = kind == USRPCI_RESET_BUS ? USRPCI_FEATURE_HOT_RESET
						    : USRPCI_FEATURE_RESET;
	bool by_pci, by_model;
	int error = 0;

	if (kind != USRPCI_RESET_FUNCTION && kind != USRPCI_RESET_BUS)
		return -EINVAL;
	by_pci = dev->ops->reset && dev->ops->features(dev) & feature;
	by_model = kind == USRPCI_RESET_FUNCTION && quirk_has_reset(&dev->info);
	if (!by_pci && !by_model)
		return report(dev->ctx, -EOPNOTSUPP, dev->name, NULL, "no %s reset through %s",
			      kind == USRPCI_RESET_BUS ? "bus" : "function", dev->ops->name);
	if (by_pci)
		error = dev->ops->reset(dev, kind);
	return error || !by_model ? error : quirk_reset(dev);
}
