// SPDX-License-Identifier: BSD-2-Clause
/*
 * Stops a device whose driver is gone, before the memory that it works on is given to somebody
 * else.
 *
 * The order matters. Interrupts first, so that nobody answers what the next steps cause. Then a
 * disk is told of a shutdown, which may take transactions. Then bus mastering, which
 * ends DMA and message interrupts. Then a wait: PCI Express devices say in the device status
 * register whether requests of theirs are unanswered (7.5.3.5); posted writes are pushed ahead of
 * the answer to a read of configuration space (2.4.1), so after one they have arrived. Then a
 * reset, which makes it forget its rings: Linux's drivers allow transactions before they reset a
 * device.
 *
 * A pause is for a device that goes from one driver of a program to the next. A disk that was
 * disabled, and a virtio device that was reset by its own register, have forgotten their rings as
 * well, so they need no reset of the function, for which the kernel takes 100 ms.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include <usrpci/config.h>
#include <usrpci/mmio.h>

#include "bytes.h"
#include "file.h"
#include "quiesce.h"

#define LOG_SUBJECT "quiesce"
#include "log.h"

#define PENDING_MS 1000

static int mask_interrupts(struct usrpci_host *host, struct usrpci_dev *dev)
{
	static const char mask[] = "mask its interrupts";
	int msi = usrpci_cap_find(dev, USRPCI_CAP_MSI);
	int msix = usrpci_cap_find(dev, USRPCI_CAP_MSIX);
	int error = apply_config(host, mask, dev, PCI_COMMAND, 0, PCI_COMMAND_INTX_DISABLE);

	if (!error && msi > 0)
		error = apply_config(host, mask, dev, (unsigned int)msi + PCI_MSI_FLAGS,
				     PCI_MSI_FLAGS_ENABLE, 0);
	if (!error && msix > 0)
		error = apply_config(host, mask, dev, (unsigned int)msix + PCI_MSIX_FLAGS,
				     PCI_MSIX_FLAGS_ENABLE, 0);
	return error;
}

/*
 * A disk. An NVMe controller is told of a shutdown on behalf of a driver that was killed: it then
 * writes what its cache holds to the medium, and does not count an unsafe shutdown when it loses
 * its power (NVM Express Base 1.4, 3.1.5, 3.1.6 and 7.6.2). A controller that was reset meanwhile,
 * as vfio does when its device is closed, is disabled and needs to be told nothing.
 */

#define NVME_CLASS    0x010802
#define SHUTDOWN_MS   5000
#define CAP           0x00
#define CAP_TO(cap)   (500 * (((cap) >> 24) + 1)) /* milliseconds */
#define CC            0x14
#define CC_EN         (UINT32_C(1) << 0)
#define CC_SHN        (UINT32_C(3) << 14)
#define CC_SHN_NORMAL (UINT32_C(1) << 14)
#define CSTS          0x1c
#define CSTS_RDY      (UINT32_C(1) << 0)
#define CSTS_CFS      (UINT32_C(1) << 1)
#define CSTS_SHST     (UINT32_C(3) << 2)
#define CSTS_COMPLETE (UINT32_C(2) << 2)
#define REGISTERS     0x20

static int shut_down(struct usrpci_bar *bar)
{
	uint32_t cc = usrpci_read32(bar, CC), csts = usrpci_read32(bar, CSTS);

	if (cc == UINT32_MAX || csts == UINT32_MAX || !(cc & CC_EN) || !(csts & CSTS_RDY))
		return 0;
	if (csts & CSTS_SHST) /* it was told before */
		return 0;
	usrpci_write32(bar, CC, (cc & ~CC_SHN) | CC_SHN_NORMAL);
	return usrpci_bar_wait32(bar, CSTS, CSTS_SHST, CSTS_COMPLETE, SHUTDOWN_MS, NULL);
}

/*
 * Disables a controller, which then has no queues (NVM Express Base 1.4, 7.3.1 and 7.3.2). Returns
 * whether it has confirmed that; one that has failed, or was just becoming ready, cannot.
 */
static bool disable(struct usrpci_bar *bar)
{
	uint32_t cc = usrpci_read32(bar, CC), csts = usrpci_read32(bar, CSTS);

	if (cc == UINT32_MAX || csts == UINT32_MAX || csts & CSTS_CFS)
		return false;
	if (cc & CC_EN && !(csts & CSTS_RDY))
		return false;
	if (cc & CC_EN)
		usrpci_write32(bar, CC, cc & ~(CC_EN | CC_SHN));
	return !usrpci_bar_wait32(bar, CSTS, CSTS_RDY, 0, CAP_TO(usrpci_read32(bar, CAP)), NULL);
}

/* Returns whether the disk is disabled, which happens only for a pause. */
static bool tell_disk(struct usrpci_dev *dev, bool pause)
{
	struct usrpci_bar bar;
	bool disabled = false;
	int error;

	if (usrpci_dev_info(dev)->class_code != NVME_CLASS)
		return false;
	error = usrpci_bar_map_range(dev, 0, 0, REGISTERS, &bar);
	if (!error) {
		error = shut_down(&bar);
		disabled = pause && disable(&bar);
		usrpci_bar_unmap(&bar);
	}
	if (error && error != -ENODEV)
		log_warning(
			usrpci_dev_ctx(dev), usrpci_dev_name(dev), NULL,
			"the disk was not told to shut down, so data in its cache is lost if it "
			"loses power now: %s",
			strerror(-error));
	return disabled;
}

/*
 * A virtio device is reset by its status register, and has no queues then (Virtio 1.2, 2.4 and
 * 4.1.4.3). A capability says where that register is.
 */

#define VIRTIO_VENDOR   0x1af4
#define VIRTIO_RESET_MS 1000

static int find_status(struct usrpci_dev *dev, uint8_t *bar, uint32_t *offset)
{
	int cap = usrpci_cap_find(dev, USRPCI_CAP_VENDOR), error;
	uint8_t type;

	for (; cap > 0; cap = usrpci_cap_find_next(dev, USRPCI_CAP_VENDOR, (unsigned int)cap)) {
		error = usrpci_config_read8(dev, (unsigned int)cap + VIRTIO_PCI_CAP_CFG_TYPE, &type)
				?: usrpci_config_read8(dev, (unsigned int)cap + VIRTIO_PCI_CAP_BAR,
						       bar)
				?: usrpci_config_read32(
					   dev, (unsigned int)cap + VIRTIO_PCI_CAP_OFFSET, offset);
		if (error)
			return error;
		if (type == VIRTIO_PCI_CAP_COMMON_CFG)
			return 0;
	}
	return cap < 0 ? cap : -ENOENT;
}

/* Returns whether the device has confirmed its reset. */
static bool reset_virtio(struct usrpci_dev *dev)
{
	uint64_t end = clock_ms() + VIRTIO_RESET_MS;
	struct usrpci_bar bar;
	uint8_t number, status;
	uint32_t offset;

	if (usrpci_dev_info(dev)->vendor != VIRTIO_VENDOR || find_status(dev, &number, &offset) ||
	    usrpci_bar_map_range(dev, number, offset, VIRTIO_PCI_COMMON_STATUS + 1, &bar))
		return false;
	usrpci_write8(&bar, VIRTIO_PCI_COMMON_STATUS, 0);
	while ((status = usrpci_read8(&bar, VIRTIO_PCI_COMMON_STATUS)) != 0 && clock_ms() < end)
		sleep_ms(1);
	usrpci_bar_unmap(&bar);
	return status == 0;
}

static int wait_until_idle(struct usrpci_dev *dev)
{
	int express = usrpci_cap_find(dev, USRPCI_CAP_EXPRESS);
	uint64_t end = clock_ms() + PENDING_MS;
	uint16_t status = 0;
	int error;

	do {
		error = usrpci_config_read16(
			dev, express > 0 ? (unsigned int)express + PCI_EXP_DEVSTA : PCI_STATUS,
			&status);
		if (error || express <= 0 || !(status & PCI_EXP_DEVSTA_TRPND))
			return error;
		sleep_ms(1);
	} while (clock_ms() < end);
	return -ETIMEDOUT;
}

static int reset(struct usrpci_host *host, struct usrpci_dev *dev)
{
	int error;

	if (!(usrpci_dev_features(dev) & USRPCI_FEATURE_RESET)) {
		log_info(host->ctx, usrpci_dev_name(dev),
			 "it has no reset: its next driver finds it as it was left");
		return 0;
	}
	error = apply_reset(host, "reset it", dev);
	if (error && error != -ENODEV)
		report(host->ctx, error, usrpci_dev_name(dev), NULL,
		       "its reset failed: its next driver finds it as it was left");
	return error == -ENODEV ? error : 0;
}

static int try_to_stop(struct usrpci_host *host, struct usrpci_dev *dev, bool pause)
{
	int error = mask_interrupts(host, dev), idle = 0;
	bool disabled = false;

	if (!error && !host->options.dry_run)
		disabled = tell_disk(dev, pause) || (pause && reset_virtio(dev));
	if (!error)
		error = apply_config(host, "end its transactions", dev, PCI_COMMAND,
				     PCI_COMMAND_MASTER, 0);
	if (error)
		return error;
	if (!host->options.dry_run)
		idle = wait_until_idle(dev);
	if (idle == -ENODEV)
		return idle;
	return disabled && !idle ? 0 : reset(host, dev) ?: idle;
}

/*
 * A device that is gone needs nothing more, whatever failed while it went. One of which a file
 * could not be read once looks like it: it is looked at again.
 */
static int unless_gone(struct usrpci_host *host, const char *name, int error)
{
	uint8_t vendor[2];
	AUTO_CLOSE int config = -1;
	int now;

	if (!error)
		return 0;
	config = file_open_regular(host->ctx, O_RDONLY, PCI_DEVICES "/%s/config", name);
	now = config < 0 ? config : pread_exact(config, vendor, sizeof(vendor), PCI_VENDOR_ID);
	if (now == -ENOENT || now == -ENODEV || (!now && get_le16(vendor) == UINT16_MAX))
		return 0;
	return error == -ENODEV ? -EIO : error;
}

static int stop(struct usrpci_host *host, struct usrpci_dev *dev, bool pause)
{
	int error = unless_gone(host, usrpci_dev_name(dev), try_to_stop(host, dev, pause));

	if (!error)
		return 0;
	return report(host->ctx, error, usrpci_dev_name(dev), NULL, "it does not stop");
}

int quiesce_open(struct usrpci_host *host, struct usrpci_dev *dev)
{
	return stop(host, dev, false);
}

int quiesce_pause(struct usrpci_host *host, struct usrpci_dev *dev)
{
	return stop(host, dev, true);
}

int quiesce(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char name[USRPCI_ADDR_STRLEN];
	struct usrpci_dev *dev;
	int error = usrpci_dev_inspect(host->ctx, usrpci_addr_format(addr, name), &dev);

	if (error)
		return unless_gone(host, name, error);
	error = quiesce_open(host, dev);
	usrpci_dev_close(dev);
	return error;
}

int quiesce_put_command(struct usrpci_host *host, const struct usrpci_addr *addr, uint16_t command)
{
	char name[USRPCI_ADDR_STRLEN];
	struct usrpci_dev *dev;
	uint16_t status = 0;
	int error = usrpci_dev_inspect(host->ctx, usrpci_addr_format(addr, name), &dev);

	if (error)
		return unless_gone(host, name, error);
	error = usrpci_config_read16(dev, PCI_STATUS, &status);
	if (status & PCI_STATUS_INTERRUPT)
		command |= PCI_COMMAND_INTX_DISABLE;
	command &= (uint16_t)~PCI_COMMAND_MASTER;
	if (!error)
		error = apply_config(host, "leave it as it was without a driver", dev, PCI_COMMAND,
				     (uint16_t)~command, command);
	usrpci_dev_close(dev);
	return unless_gone(host, name, error);
}
