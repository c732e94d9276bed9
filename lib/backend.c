// SPDX-License-Identifier: BSD-2-Clause
/*
 * The backends there are, and what several of them share.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "dma/domain.h"

#define LOG_SUBJECT "backend"
#include "log.h"

const struct backend_ops *const backends[] = {
	&backend_sysfs, &backend_vfio, &backend_uio, &backend_qemu, NULL,
};

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
