// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices bound to uio_pci_generic (Linux: Documentation/driver-api/uio-howto.rst): registers
 * through sysfs, INTx through /dev/uioN, DMA to physical addresses. The kernel offers no message
 * interrupts and no IOMMU here; vfio does.
 *
 * /dev/uioN stays open as long as the device is: its last close makes the kernel switch off bus
 * mastering, which is what stops the device when the program dies.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dma/domain.h"
#include "file.h"
#include "lent.h"
#include "sysfs.h"

#define LOG_SUBJECT "uio"
#include "log.h"

struct uio_dev {
	struct sysfs_dev sysfs; /* first: see sysfs.h */
	int fd;                 /* /dev/uioN */
	int locked;             /* holds the device's lock */
	unsigned int number;    /* N */
	uint32_t seen;          /* interrupts counted by the kernel and taken */
	pthread_mutex_t lock;   /* one writer of the command register at a time */
	uint8_t command[2];     /* as last read or written, INTx not disabled */
};

static bool uio_match(struct usrpci_ctx *ctx, const struct backend_target *target)
{
	return target->info && !target->inspect && !strcmp(target->info->driver, "uio_pci_generic");
}

static int find_number(struct usrpci_dev *dev, unsigned int *number)
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(dev->ctx, &names, PCI_DEVICES "/%s/uio", dev->name);
	bool found = count > 0 && sscanf(names[0], "uio%u", number) == 1;

	return found ? 0
		     : report(dev->ctx, count < 0 ? count : -ENODEV, dev->name, NULL,
			      "cannot find its number in " PCI_DEVICES "/%s/uio", dev->name);
}

/* The kernel switches bus mastering off whenever /dev/uioN is closed, even while others have it. */
static int lock_device(struct usrpci_dev *dev, unsigned int number)
{
	char hint[48];
	int fd = sysfs_lock(dev);

	if (fd != -EBUSY)
		return fd;
	snprintf(hint, sizeof(hint), "fuser -v /dev/uio%u shows it", number);
	return report(dev->ctx, fd, dev->name, hint, "another program has /dev/uio%u open", number);
}

static int open_uio(struct usrpci_dev *dev, unsigned int number)
{
	int fd = file_open(dev->ctx, O_RDWR, "/dev/uio%u", number);

	if (fd >= 0)
		return fd;
	return report(dev->ctx, fd, dev->name,
		      fd == -EACCES ? lent_cure(dev->ctx, "run as root") : NULL,
		      "cannot open /dev/uio%u", number);
}

static int attach_domain(struct usrpci_dev *dev)
{
	int has = dev_has_domain(dev, "physical");

	return has == 0 ? domain_physical_attach(dev->ctx) : has < 0 ? has : 0;
}

static int uio_open(struct usrpci_dev *dev)
{
	struct uio_dev *uio = calloc(1, sizeof(*uio));
	int error;

	if (!uio)
		return -ENOMEM;
	error = find_number(dev, &uio->number);
	if (error)
		goto free_uio;
	error = sysfs_attach(dev, &uio->sysfs);
	if (error)
		goto free_uio;
	uio->locked = lock_device(dev, uio->number);
	error = uio->locked;
	if (error < 0)
		goto detach;
	uio->fd = open_uio(dev, uio->number);
	error = uio->fd;
	if (error < 0)
		goto unlock;
	error = attach_domain(dev);
	if (error)
		goto close_uio;
	pthread_mutex_init(&uio->lock, NULL);
	dev->backend = uio;
	return 0;

close_uio:
	close(uio->fd);
unlock:
	close(uio->locked);
detach:
	sysfs_detach(&uio->sysfs);
free_uio:
	free(uio);
	return error;
}

static void uio_close(struct usrpci_dev *dev)
{
	struct uio_dev *uio = dev->backend;

	close(uio->fd);
	close(uio->locked);
	sysfs_detach(&uio->sysfs);
	free(uio);
}

/* uio_pci_generic also takes devices that have no interrupt. */
static bool has_interrupt(const struct usrpci_dev *dev)
{
	return dev->info.irq_pin && dev->info.irq;
}

static uint32_t uio_features(struct usrpci_dev *dev)
{
	return USRPCI_FEATURE_DMA | (has_interrupt(dev) ? USRPCI_FEATURE_INTX : 0) |
	       (sysfs_can_reset(dev) ? USRPCI_FEATURE_RESET : 0);
}

static int uio_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	return type == USRPCI_IRQ_INTX && has_interrupt(dev) ? 1 : 0;
}

/* Keeps command as it is on the device, for uio_irq_set_mask() to write without reading first. */
static int uio_config_write(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
			    size_t size)
{
	struct uio_dev *uio = dev->backend;
	const uint8_t *bytes = buffer;
	int error;

	pthread_mutex_lock(&uio->lock);
	error = sysfs_config_write(dev, offset, buffer, size);
	for (size_t i = 0; !error && i < size; i++)
		if (offset + i - PCI_COMMAND < sizeof(uio->command))
			uio->command[offset + i - PCI_COMMAND] = bytes[i];
	uio->command[1] &= (uint8_t) ~(PCI_COMMAND_INTX_DISABLE >> 8);
	pthread_mutex_unlock(&uio->lock);
	return error;
}

/*
 * Two bytes are written: in the status half a written 1 clears a bit, and QEMU's devices look at
 * INTx again only when the low byte is among those written, without which an interrupt that came
 * while masked is lost.
 */
static int uio_irq_set_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
			    bool masked)
{
	struct uio_dev *uio = dev->backend;
	uint8_t command[2];
	int error;

	pthread_mutex_lock(&uio->lock);
	memcpy(command, uio->command, sizeof(command));
	if (masked)
		command[1] |= PCI_COMMAND_INTX_DISABLE >> 8;
	error = sysfs_config_write(dev, PCI_COMMAND, command, sizeof(command));
	pthread_mutex_unlock(&uio->lock);
	return error;
}

/*
 * Returns whether the device is still there, because uio also returns EIO when it has no interrupt.
 */
static bool answers(struct usrpci_dev *dev)
{
	uint16_t vendor;

	return !sysfs_config_read(dev, PCI_VENDOR_ID, &vendor, sizeof(vendor)) && vendor != 0xffff;
}

/*
 * read(2) of the descriptor blocks until the kernel's count differs from the one last read. -EIO,
 * not logged: the device is gone or about to go, or it never had an interrupt.
 */
static int read_count(struct usrpci_dev *dev, uint32_t *count)
{
	struct uio_dev *uio = dev->backend;
	ssize_t got = read(uio->fd, count, sizeof(*count));

	if (got == sizeof(*count))
		return 0;
	if (got < 0 && errno == EINTR)
		return -EINTR;
	if (got >= 0)
		return dev_gone(dev);
	if (errno == EIO)
		return -EIO;
	return report(dev->ctx, -errno, dev->name, NULL, "cannot read /dev/uio%u", uio->number);
}

/* Forgets what came before the interrupt was enabled. It is masked meanwhile. */
static int forget_earlier(struct usrpci_dev *dev)
{
	struct uio_dev *uio = dev->backend;
	struct pollfd poller = {.fd = uio->fd, .events = POLLIN};
	uint64_t event = 0;
	int error;

	if (poll(&poller, 1, 0) > 0) {
		error = read_count(dev, &uio->seen);
		if (error != -EIO)
			return error;
		return answers(dev) ? report(dev->ctx, -EOPNOTSUPP, dev->name, NULL,
					     "the kernel delivers no interrupts of the device")
				    : dev_gone(dev);
	}
	error = file_read_u64(dev->ctx, &event, "/sys/class/uio/uio%u/event", uio->number);
	if (error)
		return report(dev->ctx, error, dev->name, NULL,
			      "cannot read /sys/class/uio/uio%u/event", uio->number);
	uio->seen = (uint32_t)event;
	return 0;
}

static int read_command(struct usrpci_dev *dev)
{
	struct uio_dev *uio = dev->backend;
	int error;

	pthread_mutex_lock(&uio->lock);
	error = usrpci_config_read(dev, PCI_COMMAND, uio->command, sizeof(uio->command));
	uio->command[1] &= (uint8_t) ~(PCI_COMMAND_INTX_DISABLE >> 8);
	pthread_mutex_unlock(&uio->lock);
	return error;
}

static int uio_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	return read_command(dev) ?:
	       uio_irq_set_mask(dev, type, 0, true) ?:
	       forget_earlier(dev) ?:
	       uio_irq_set_mask(dev, type, 0, false);
}

static int uio_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	return dev->gone ? 0 : uio_irq_set_mask(dev, type, 0, true);
}

static int uio_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	const struct uio_dev *uio = dev->backend;

	return uio->fd;
}

static int uio_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	struct uio_dev *uio = dev->backend;
	uint32_t count, news;
	int error = read_count(dev, &count);

	if (error)
		return error == -EIO ? dev_gone(dev) : error;
	news = count - uio->seen;
	uio->seen = count;
	return (int)(news & INT32_MAX);
}

const struct backend_ops backend_uio = {
	.name = "uio",
	.match = uio_match,
	.open = uio_open,
	.close = uio_close,
	.features = uio_features,
	.config_read = sysfs_config_read,
	.config_write = uio_config_write,
	.bar_map = sysfs_bar_map,
	.bar_map_wc = sysfs_bar_map_wc,
	.bar_unmap = sysfs_bar_unmap,
	.bar_read = sysfs_bar_read,
	.bar_write = sysfs_bar_write,
	.irq_count = uio_irq_count,
	.irq_enable = uio_irq_enable,
	.irq_disable = uio_irq_disable,
	.irq_fd = uio_irq_fd,
	.irq_take = uio_irq_take,
	.irq_set_mask = uio_irq_set_mask,
	.reset = sysfs_reset,
};
