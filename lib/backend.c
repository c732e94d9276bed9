// SPDX-License-Identifier: BSD-2-Clause
/*
 * The backends there are, and what several of them share.
 */

#include <errno.h>
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
	if (!__atomic_exchange_n(&dev->gone, true, __ATOMIC_RELAXED))
		log_error(dev->ctx, dev->name, NULL, "the device is gone");
	return -ENODEV;
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
