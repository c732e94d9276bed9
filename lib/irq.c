// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts: which vectors are enabled, and waiting for them. The backend decides how they arrive.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "backend.h"

#define LOG_SUBJECT "irq"
#include "log.h"

#define IRQ_TYPES (USRPCI_IRQ_REQUEST + 1)

static const char *const type_names[IRQ_TYPES] = {"INTx", "MSI", "MSI-X", "error", "request"};

static bool known(enum usrpci_irq_type type)
{
	return (unsigned int)type < IRQ_TYPES;
}

int usrpci_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	return known(type) && dev->ops->irq_count ? dev->ops->irq_count(dev, type) : 0;
}

/* Whether the device itself has such interrupts, whatever the backend can do. */
static bool device_has(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	switch (type) {
	case USRPCI_IRQ_INTX:
		return dev->info.irq_pin != 0;
	case USRPCI_IRQ_MSI:
		return usrpci_cap_find(dev, USRPCI_CAP_MSI) > 0;
	case USRPCI_IRQ_MSIX:
		return usrpci_cap_find(dev, USRPCI_CAP_MSIX) > 0;
	default:
		return usrpci_ext_cap_find(dev, USRPCI_EXT_CAP_AER) > 0;
	}
}

static int explain_unsupported(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	bool uio = !strcmp(dev->ops->name, "uio");
	char hint[128];

	if (type == USRPCI_IRQ_INTX && dev->info.irq_pin == 0)
		return report(dev->ctx, -EOPNOTSUPP, dev->name,
			      uio ? "use MSI or MSI-X, with vfio-pci" : "use MSI or MSI-X",
			      "the device has no interrupt pin, so no INTx");
	if (type == USRPCI_IRQ_INTX && dev->info.irq == 0)
		return report(dev->ctx, -EOPNOTSUPP, dev->name,
			      uio ? "use MSI or MSI-X, with vfio-pci" : "use MSI or MSI-X",
			      "the device has an interrupt pin, but the kernel has no interrupt "
			      "for it");
	if (!device_has(dev, type))
		return report(dev->ctx, -EOPNOTSUPP, dev->name, NULL,
			      "the device has no %s interrupt", type_names[type]);
	snprintf(hint, sizeof(hint), "vfio-pci does: usrpci bind %s --driver vfio-pci", dev->name);
	return report(dev->ctx, -EOPNOTSUPP, dev->name, uio ? hint : NULL,
		      "%s gives no %s interrupts", dev->ops->name, type_names[type]);
}

static bool exclusive(enum usrpci_irq_type type)
{
	return type <= USRPCI_IRQ_MSIX;
}

static int check_free(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	for (unsigned int other = 0; other < IRQ_TYPES; other++)
		if (dev->irq_enabled[other] &&
		    (other == type || (exclusive(other) && exclusive(type))))
			return report(dev->ctx, -EBUSY, dev->name, "disable it first",
				      "cannot enable %s while %s is enabled", type_names[type],
				      type_names[other]);
	return 0;
}

/* Returns what irq_enable() of the backend returns. */
static int enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	int available, error;

	if (!known(type))
		return -EINVAL;
	available = usrpci_irq_count(dev, type);
	if (available <= 0)
		return explain_unsupported(dev, type);
	if (count == 0 || count > (unsigned int)available)
		return report(dev->ctx, -EINVAL, dev->name, NULL,
			      "%u vectors of %s were asked for, and it has 1 to %d", count,
			      type_names[type], available);
	error = check_free(dev, type) ?: dev->ops->irq_enable(dev, type, count);
	if (!error)
		dev->irq_enabled[type] = (uint16_t)count;
	return error;
}

static int report_left(struct usrpci_dev *dev, unsigned int count, int result)
{
	if (result <= 0)
		return result;
	return report(dev->ctx, -ENOSPC, dev->name, "ask for fewer",
		      "%u vectors were asked for, and the machine has %d left", count, result);
}

int usrpci_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	return report_left(dev, count, enable(dev, type, count));
}

int usrpci_irq_enable_best(struct usrpci_dev *dev, unsigned int count, enum usrpci_irq_type *type)
{
	static const enum usrpci_irq_type preferred[] = {USRPCI_IRQ_MSIX, USRPCI_IRQ_MSI};
	enum usrpci_irq_type best = USRPCI_IRQ_INTX;
	int available, error;

	for (unsigned int i = 0; i < 2 && best == USRPCI_IRQ_INTX; i++)
		if (usrpci_irq_count(dev, preferred[i]) > 0)
			best = preferred[i];
	available = usrpci_irq_count(dev, best);
	if (available > 0 && count > (unsigned int)available)
		count = (unsigned int)available;
	error = enable(dev, best, count);
	if (error > 0 && (unsigned int)error < count) {
		count = (unsigned int)error;
		error = enable(dev, best, count);
	}
	if (error)
		return report_left(dev, count, error);
	*type = best;
	return (int)count;
}

int usrpci_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	if (!known(type))
		return -EINVAL;
	if (dev->irq_enabled[type] == 0)
		return 0;
	dev->irq_enabled[type] = 0;
	return dev->ops->irq_disable(dev, type);
}

void dev_disable_irqs(struct usrpci_dev *dev)
{
	for (unsigned int type = 0; type < IRQ_TYPES; type++)
		usrpci_irq_disable(dev, type);
}

static bool enabled(const struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	return known(type) && vector < dev->irq_enabled[type];
}

int usrpci_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	return enabled(dev, type, vector) ? dev->ops->irq_fd(dev, type, vector) : -EINVAL;
}

static int wait_readable(int fd, int timeout_ms)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	int ready = poll(&poller, 1, timeout_ms);

	if (ready < 0)
		return -errno;
	return ready ? 0 : -ETIMEDOUT;
}

int usrpci_irq_wait(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
		    int timeout_ms)
{
	int fd = usrpci_irq_fd(dev, type, vector), error;

	if (fd < 0)
		return fd;
	if (timeout_ms >= 0) {
		error = wait_readable(fd, timeout_ms);
		if (error)
			return error;
	}
	return dev->ops->irq_take(dev, type, vector);
}

static int set_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
		    bool masked)
{
	if (!enabled(dev, type, vector))
		return -EINVAL;
	if (!dev->ops->irq_set_mask)
		return -EOPNOTSUPP;
	return dev->ops->irq_set_mask(dev, type, vector, masked);
}

int usrpci_irq_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	return set_mask(dev, type, vector, true);
}

int usrpci_irq_done(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	if (!enabled(dev, type, vector))
		return -EINVAL;
	return type == USRPCI_IRQ_INTX ? set_mask(dev, type, vector, false) : 0;
}

int usrpci_irq_unmask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	return set_mask(dev, type, vector, false);
}
