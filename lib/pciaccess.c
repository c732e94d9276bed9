// SPDX-License-Identifier: BSD-2-Clause
/*
 * Configuration space and BARs through libpciaccess, which knows several hosts, with DMA memory of
 * this library's own: "pciaccess:03:00.0". Interrupts and resets are left out, since libpciaccess
 * has none: drivers poll. Built on request (meson -Dpciaccess=enabled).
 *
 * Nothing stops the device when the program is killed. uio and vfio do, so that they are the better
 * choice wherever they exist.
 *
 * libpciaccess (0.17, pciaccess.h) keeps one state for the whole process, without a lock. It is
 * initialized here unless the program has done so, and stays; devices that are plugged in later are
 * not found.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <pciaccess.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dma/domain.h"
#include "numbers.h"
#include "sysfs.h"

#define LOG_SUBJECT "pciaccess"
#include "log.h"

#define PREFIX "pciaccess:"

struct pciaccess_dev {
	struct pci_device *device; /* libpciaccess's */
	int locked;                /* holds the device's lock; -1: it is only looked at */
	void *memory[USRPCI_BARS]; /* where BARs are mapped, each as a whole and once */
	struct pci_io_handle *ports[USRPCI_BARS];
	unsigned int users[USRPCI_BARS]; /* windows into each */
};

static bool pciaccess_match(struct usrpci_ctx *ctx, const struct backend_target *target)
{
	return !target->info && !strncmp(target->name, PREFIX, strlen(PREFIX));
}

/* Its errors are those of errno(3), positive; 0: it does not say which. */
static int report_call(struct usrpci_dev *dev, int error, const char *action)
{
	return report(dev->ctx, error ? -error : -EIO, dev->name,
		      error == EACCES || error == EPERM ? "run as root" : NULL,
		      "libpciaccess cannot %s", action);
}

static int pciaccess_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer,
				 size_t size)
{
	struct pciaccess_dev *pciaccess = dev->backend;
	pciaddr_t got = 0;
	int error = pci_device_cfg_read(pciaccess->device, buffer, offset, size, &got);

	if (!error && got == size)
		return 0;
	return error == ENOENT || error == ENODEV
		       ? dev_gone(dev)
		       : report_call(dev, error, "read configuration space");
}

static int pciaccess_config_write(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
				  size_t size)
{
	struct pciaccess_dev *pciaccess = dev->backend;
	pciaddr_t put = 0;
	int error = pci_device_cfg_write(pciaccess->device, buffer, offset, size, &put);

	if (!error && put == size)
		return 0;
	return error == ENOENT || error == ENODEV
		       ? dev_gone(dev)
		       : report_call(dev, error, "write configuration space");
}

/* What cannot be read ends the space: the host's right to it, or the device's bus. */
static unsigned int readable_size(struct pci_device *device)
{
	uint8_t byte;

	if (!pci_device_cfg_read_u8(device, &byte, USRPCI_CONFIG_SIZE_EXPRESS - 1))
		return USRPCI_CONFIG_SIZE_EXPRESS;
	if (!pci_device_cfg_read_u8(device, &byte, USRPCI_CONFIG_SIZE - 1))
		return USRPCI_CONFIG_SIZE;
	return PCI_STD_HEADER_SIZEOF;
}

static void fill_bars(struct usrpci_dev *dev, const struct pci_device *device)
{
	for (unsigned int i = 0; i < USRPCI_BARS; i++) {
		const struct pci_mem_region *region = &device->regions[i];

		dev->bars[i] = (struct usrpci_bar_info){
			.address = region->base_addr,
			.size = region->size,
			.flags = (region->is_IO ? USRPCI_BAR_IO : 0) |
				 (region->is_64 ? USRPCI_BAR_64BIT : 0) |
				 (region->is_prefetchable ? USRPCI_BAR_PREFETCH : 0),
		};
	}
}

/* libpciaccess has no function that tells whether it is initialized; only then it iterates. */
static int initialize(struct usrpci_dev *dev)
{
	struct pci_device_iterator *iterator = pci_slot_match_iterator_create(NULL);
	int error = iterator ? 0 : pci_system_init();

	pci_iterator_destroy(iterator);
	return error ? report_call(dev, error, "examine the system") : 0;
}

static int find_device(struct usrpci_dev *dev, struct pciaccess_dev *pciaccess)
{
	const struct usrpci_addr *addr = &dev->info.addr;
	int error = initialize(dev);

	if (error)
		return error;
	pciaccess->device = pci_device_find_by_slot(addr->domain, addr->bus, addr->dev, addr->fn);
	if (!pciaccess->device)
		return report(dev->ctx, -ENODEV, dev->name, NULL,
			      "libpciaccess does not know the device");
	error = pci_device_probe(pciaccess->device);
	return error ? report_call(dev, error, "examine the device") : 0;
}

/* Nobody else may drive it, neither the kernel nor another program. */
static int claim(struct usrpci_dev *dev, struct pciaccess_dev *pciaccess)
{
	enum usrpci_driver_kind kind = dev->info.driver_kind;

	pciaccess->locked = -1;
	if (dev->inspect)
		return 0;
	if (kind == USRPCI_DRIVER_KERNEL || kind == USRPCI_DRIVER_VFIO)
		return report(dev->ctx, -EBUSY, dev->name,
			      "usrpci bind --driver uio_pci_generic or pci-stub",
			      "the kernel's driver %s holds it", dev->info.driver);
	pciaccess->locked = sysfs_lock(dev);
	if (pciaccess->locked == -EBUSY)
		return report(dev->ctx, -EBUSY, dev->name, NULL, "another program drives it");
	return pciaccess->locked < 0 ? pciaccess->locked : 0;
}

static int attach_domain(struct usrpci_dev *dev)
{
	int has = dev->inspect ? 1 : dev_has_domain(dev, "physical");

	return has == 0 ? domain_physical_attach(dev->ctx) : has < 0 ? has : 0;
}

static int look_up(struct usrpci_dev *dev)
{
	struct usrpci_addr addr;
	int error;

	if (ctx_base(dev->ctx)->root[0])
		return report(dev->ctx, -EOPNOTSUPP, dev->name, NULL,
			      "libpciaccess knows the devices of the running system alone");
	error = usrpci_dev_find(dev->ctx, dev->target + strlen(PREFIX), &addr)
			?: usrpci_dev_lookup(dev->ctx, &addr, &dev->info);
	if (!error)
		usrpci_addr_format(&addr, dev->name);
	return error;
}

static int pciaccess_open(struct usrpci_dev *dev)
{
	struct pciaccess_dev *pciaccess = calloc(1, sizeof(*pciaccess));
	int error;

	if (!pciaccess)
		return -ENOMEM;
	error = look_up(dev) ?: claim(dev, pciaccess);
	if (error)
		goto free_pciaccess;
	error = find_device(dev, pciaccess) ?: attach_domain(dev);
	if (error)
		goto unlock;
	dev->config_size = readable_size(pciaccess->device);
	fill_bars(dev, pciaccess->device);
	dev->backend = pciaccess;
	return 0;

unlock:
	if (pciaccess->locked >= 0)
		close(pciaccess->locked);
free_pciaccess:
	free(pciaccess);
	return error;
}

static void pciaccess_close(struct usrpci_dev *dev)
{
	struct pciaccess_dev *pciaccess = dev->backend;

	if (pciaccess->locked >= 0)
		close(pciaccess->locked);
	free(pciaccess);
}

static uint32_t pciaccess_features(struct usrpci_dev *dev)
{
	return dev->inspect ? 0 : USRPCI_FEATURE_DMA;
}

static int map_whole(struct usrpci_dev *dev, unsigned int index)
{
	struct pciaccess_dev *pciaccess = dev->backend;
	const struct usrpci_bar_info *info = &dev->bars[index];
	int error;

	if (info->flags & USRPCI_BAR_IO) {
		errno = 0;
		pciaccess->ports[index] = pci_device_open_io(pciaccess->device, info->address,
							     info->size);
		return pciaccess->ports[index] ? 0 : report_call(dev, errno, "open I/O ports");
	}
	error = pci_device_map_range(pciaccess->device, info->address, info->size,
				     PCI_DEV_MAP_FLAG_WRITABLE, &pciaccess->memory[index]);
	return error ? report_call(dev, error, "map a BAR") : 0;
}

static void unmap_whole(struct usrpci_dev *dev, unsigned int index)
{
	struct pciaccess_dev *pciaccess = dev->backend;

	if (pciaccess->ports[index])
		pci_device_close_io(pciaccess->device, pciaccess->ports[index]);
	else
		pci_device_unmap_range(pciaccess->device, pciaccess->memory[index],
				       dev->bars[index].size);
	pciaccess->ports[index] = NULL;
	pciaccess->memory[index] = NULL;
}

/* A BAR that is smaller than a page lies somewhere in the page that libpciaccess maps. */
static int pciaccess_bar_map(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	struct pciaccess_dev *pciaccess = dev->backend;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int error = pciaccess->users[bar->index] ? 0 : map_whole(dev, bar->index);

	if (error)
		return error;
	pciaccess->users[bar->index]++;
	if (bar->flags & USRPCI_BAR_IO)
		return 0;
	bar->base = (volatile uint8_t *)pciaccess->memory[bar->index] +
		    dev->bars[bar->index].address % page + bar->offset;
	bar->direct_size = align_down(bar->size, 8);
	return 0;
}

static void pciaccess_bar_unmap(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	struct pciaccess_dev *pciaccess = dev->backend;

	if (--pciaccess->users[bar->index] == 0)
		unmap_whole(dev, bar->index);
}

static int pciaccess_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width,
			      uint64_t *value)
{
	struct pciaccess_dev *pciaccess = bar->dev->backend;
	struct pci_io_handle *ports = pciaccess->ports[bar->index];
	uint32_t at = (uint32_t)(bar->offset + offset);

	if (bar->base)
		*value = mmio_load(bar->base + offset, width);
	else
		*value = width == 1   ? pci_io_read8(ports, at)
			 : width == 2 ? pci_io_read16(ports, at)
				      : pci_io_read32(ports, at);
	return 0;
}

static int pciaccess_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width,
			       uint64_t value)
{
	struct pciaccess_dev *pciaccess = bar->dev->backend;
	struct pci_io_handle *ports = pciaccess->ports[bar->index];
	uint32_t at = (uint32_t)(bar->offset + offset);

	if (bar->base)
		mmio_store(bar->base + offset, width, value);
	else if (width == 1)
		pci_io_write8(ports, at, (uint8_t)value);
	else if (width == 2)
		pci_io_write16(ports, at, (uint16_t)value);
	else
		pci_io_write32(ports, at, (uint32_t)value);
	return 0;
}

const struct backend_ops backend_pciaccess = {
	.name = "pciaccess",
	.match = pciaccess_match,
	.open = pciaccess_open,
	.close = pciaccess_close,
	.features = pciaccess_features,
	.config_read = pciaccess_config_read,
	.config_write = pciaccess_config_write,
	.bar_map = pciaccess_bar_map,
	.bar_unmap = pciaccess_bar_unmap,
	.bar_read = pciaccess_bar_read,
	.bar_write = pciaccess_bar_write,
};
