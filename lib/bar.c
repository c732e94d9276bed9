// SPDX-License-Identifier: BSD-2-Clause
/*
 * BARs: bounds, decoding, and what is mapped, so that closing a device unmaps it. Fast accesses are
 * inline in <usrpci/mmio.h> and do not call these functions.
 */

#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <usrpci/mmio.h>

#include "backend.h"
#include "bytes.h"

#define LOG_SUBJECT "bar"
#include "log.h"

#define NAP_NS 50000 /* the time between two reads of a register that is waited for */

struct bar_mapping {
	struct bar_mapping *next;
	struct usrpci_bar bar;
};

int usrpci_bar_info(struct usrpci_dev *dev, unsigned int index, struct usrpci_bar_info *info)
{
	if (index >= USRPCI_BARS)
		return -EINVAL;
	if (!dev->bars[index].size && !(dev->bars[index].flags & USRPCI_BAR_UNASSIGNED))
		return -ENOENT;
	*info = dev->bars[index];
	return 0;
}

static int check_map(struct usrpci_dev *dev, unsigned int index, struct usrpci_bar_info *info)
{
	int error = usrpci_bar_info(dev, index, info);

	if (error)
		return report(dev->ctx, error, dev->name, "usrpci show lists the BARs",
			      "BAR %u does not exist", index);
	if (info->flags & USRPCI_BAR_UNASSIGNED)
		return report(dev->ctx, -ENXIO, dev->name,
			      "enable \"Above 4G decoding\" in the firmware, or boot with "
			      "pci=realloc",
			      "firmware and kernel gave BAR %u no address", index);
	if (!dev->ops->bar_map)
		return report(dev->ctx, -EOPNOTSUPP, dev->name, NULL, "%s gives no access to BARs",
			      dev->ops->name);
	return 0;
}

static int check_range(struct usrpci_dev *dev, unsigned int index,
		       const struct usrpci_bar_info *info, uint64_t offset, size_t size)
{
	if (size > 0 && offset < info->size && size <= info->size - offset)
		return 0;
	return report(dev->ctx, -ERANGE, dev->name, NULL,
		      "%zu bytes at 0x%" PRIx64 " are outside the %" PRIu64 " bytes of BAR %u",
		      size, offset, info->size, index);
}

static int enable_decoding(struct usrpci_dev *dev, uint32_t flags)
{
	return usrpci_config_update16(dev, PCI_COMMAND, 0,
				      flags & USRPCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
}

static int map_window(struct usrpci_dev *dev, struct usrpci_bar *bar, uint32_t wishes)
{
	int error = -EOPNOTSUPP;

	if (wishes & USRPCI_BAR_WC && dev->ops->bar_map_wc)
		error = dev->ops->bar_map_wc(dev, bar);
	if (!error)
		bar->flags |= USRPCI_BAR_WC;
	return error == -EOPNOTSUPP ? dev->ops->bar_map(dev, bar) : error;
}

static int map(struct usrpci_dev *dev, struct usrpci_bar *bar, uint32_t wishes)
{
	struct bar_mapping *mapping = malloc(sizeof(*mapping));
	int error;

	if (!mapping)
		return -ENOMEM;
	error = enable_decoding(dev, bar->flags) ?: map_window(dev, bar, wishes);
	if (error) {
		free(mapping);
		return error;
	}
	mapping->bar = *bar;
	mapping->next = dev->mappings;
	dev->mappings = mapping;
	return 0;
}

int usrpci_bar_map_flags(struct usrpci_dev *dev, unsigned int index, uint64_t offset, size_t size,
			 uint32_t flags, struct usrpci_bar *result)
{
	struct usrpci_bar bar = {.dev = dev, .index = index, .offset = offset, .size = size};
	struct usrpci_bar_info info;
	int error = flags & ~(uint32_t)USRPCI_BAR_WC ? -EINVAL : check_map(dev, index, &info);

	error = error ?: check_range(dev, index, &info, offset, size);
	if (error)
		return error;
	bar.flags = info.flags;
	error = map(dev, &bar, flags);
	if (!error)
		*result = bar;
	return error;
}

int usrpci_bar_map_range(struct usrpci_dev *dev, unsigned int index, uint64_t offset, size_t size,
			 struct usrpci_bar *bar)
{
	return usrpci_bar_map_flags(dev, index, offset, size, 0, bar);
}

int usrpci_bar_map(struct usrpci_dev *dev, unsigned int index, struct usrpci_bar *bar)
{
	struct usrpci_bar_info info;

	return check_map(dev, index, &info) ?: usrpci_bar_map_range(dev, index, 0, info.size, bar);
}

/* Mappings that are equal in these members are the same for the backend. */
static bool same(const struct usrpci_bar *a, const struct usrpci_bar *b)
{
	return a->index == b->index && a->offset == b->offset && a->size == b->size &&
	       a->base == b->base && a->handle == b->handle;
}

static void unmap(struct usrpci_dev *dev, struct bar_mapping **link)
{
	struct bar_mapping *mapping = *link;

	*link = mapping->next;
	if (dev->ops->bar_unmap)
		dev->ops->bar_unmap(dev, &mapping->bar);
	free(mapping);
}

void usrpci_bar_unmap(struct usrpci_bar *bar)
{
	struct bar_mapping **link;

	if (!bar || !bar->dev)
		return;
	link = &bar->dev->mappings;
	while (*link && !same(&(*link)->bar, bar))
		link = &(*link)->next;
	if (*link)
		unmap(bar->dev, link);
	*bar = (struct usrpci_bar){0};
}

void dev_unmap_bars(struct usrpci_dev *dev)
{
	while (dev->mappings)
		unmap(dev, &dev->mappings);
}

uint64_t mmio_load(const volatile uint8_t *address, unsigned int width)
{
	struct usrpci_bar bar = {.base = (volatile uint8_t *)address, .direct_size = 8};

	switch (width) {
	case 1:
		return usrpci_read8(&bar, 0);
	case 2:
		return usrpci_read16(&bar, 0);
	case 4:
		return usrpci_read32(&bar, 0);
	default:
		return usrpci_read64(&bar, 0);
	}
}

void mmio_store(volatile uint8_t *address, unsigned int width, uint64_t value)
{
	struct usrpci_bar bar = {.base = address, .direct_size = 8};

	switch (width) {
	case 1:
		usrpci_write8(&bar, 0, (uint8_t)value);
		break;
	case 2:
		usrpci_write16(&bar, 0, (uint16_t)value);
		break;
	case 4:
		usrpci_write32(&bar, 0, (uint32_t)value);
		break;
	default:
		usrpci_write64(&bar, 0, value);
	}
}

static int check_access(const struct usrpci_bar *bar, size_t offset, unsigned int width)
{
	unsigned int widest = bar->flags & USRPCI_BAR_IO ? 4 : 8;

	if (!bar->dev || width == 0 || width > widest || (width & (width - 1)))
		return -EINVAL;
	if ((offset | (bar->offset + offset)) & (width - 1))
		return -EINVAL;
	if (offset >= bar->size || width > bar->size - offset)
		return -ERANGE;
	return 0;
}

static uint64_t ones(unsigned int width)
{
	return width < 8 ? (UINT64_C(1) << (8 * width)) - 1 : UINT64_MAX;
}

/* The offset and width were checked. */
static int read_any(const struct backend_ops *ops, struct usrpci_bar *bar, size_t offset,
		    unsigned int width, uint64_t *value)
{
	if (offset >= bar->direct_size)
		return ops->bar_read(bar, offset, width, value);
	*value = mmio_load(bar->base + offset, width);
	return 0;
}

static int write_any(const struct backend_ops *ops, struct usrpci_bar *bar, size_t offset,
		     unsigned int width, uint64_t value)
{
	if (offset >= bar->direct_size)
		return ops->bar_write(bar, offset, width, value);
	mmio_store(bar->base + offset, width, value);
	return 0;
}

int bar_wrap_map(const struct backend_ops *inner, struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	struct usrpci_bar *window = malloc(sizeof(*window));
	int error;

	if (!window)
		return -ENOMEM;
	*window = *bar;
	error = inner->bar_map(dev, window);
	if (error)
		free(window);
	else
		bar->handle = window;
	return error;
}

void bar_wrap_unmap(const struct backend_ops *inner, struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	if (inner->bar_unmap)
		inner->bar_unmap(dev, bar->handle);
	free(bar->handle);
}

int bar_wrap_read(const struct backend_ops *inner, struct usrpci_bar *bar, size_t offset,
		  unsigned int width, uint64_t *value)
{
	return read_any(inner, bar->handle, offset, width, value);
}

int bar_wrap_write(const struct backend_ops *inner, struct usrpci_bar *bar, size_t offset,
		   unsigned int width, uint64_t value)
{
	return write_any(inner, bar->handle, offset, width, value);
}

static int report_access(const struct usrpci_bar *bar, int error, size_t offset, unsigned int width)
{
	if (!bar->dev)
		return error;
	return report(bar->dev->ctx, error, bar->dev->name, NULL,
		      "access of %u bytes at 0x%zx of BAR %u, window of %zu bytes at 0x%" PRIx64,
		      width, offset, bar->index, bar->size, bar->offset);
}

int usrpci_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t *value)
{
	uint16_t vendor;
	int error = check_access(bar, offset, width);

	if (error)
		return report_access(bar, error, offset, width);
	error = read_any(bar->dev->ops, bar, offset, width, value);
	if (error || *value != ones(width))
		return error;
	/* Fails with -ENODEV when configuration space is all ones too. */
	return usrpci_config_read16(bar->dev, PCI_VENDOR_ID, &vendor);
}

int usrpci_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t value)
{
	int error = check_access(bar, offset, width);

	if (error)
		return report_access(bar, error, offset, width);
	return write_any(bar->dev->ops, bar, offset, width, value);
}

/* The width of the widest access that is aligned at an offset and within what is left. */
static unsigned int width_at(const struct usrpci_bar *bar, size_t offset, size_t left)
{
	unsigned int widest = bar->flags & USRPCI_BAR_IO ? 4 : 8;
	unsigned int aligned = ((unsigned int)(offset | (bar->offset + offset)) & 7) | widest;
	unsigned int width = aligned & -aligned;

	while (width > left)
		width /= 2;
	return width;
}

static int check_copy(const struct usrpci_bar *bar, size_t offset, size_t size)
{
	if (!bar->dev)
		return -EINVAL;
	if (offset <= bar->size && size <= bar->size - offset)
		return 0;
	return report(bar->dev->ctx, -ERANGE, bar->dev->name, NULL,
		      "copy of %zu bytes at 0x%zx of BAR %u, window of %zu bytes", size, offset,
		      bar->index, bar->size);
}

int usrpci_bar_copy_to(struct usrpci_bar *bar, size_t offset, const void *from, size_t size)
{
	const uint8_t *bytes = from;
	int error = check_copy(bar, offset, size);
	unsigned int width;

	for (size_t done = 0; !error && done < size; done += width) {
		uint64_t value = 0;

		width = width_at(bar, offset + done, size - done);
		memcpy(&value, bytes + done, width);
		error = write_any(bar->dev->ops, bar, offset + done, width, usrpci_le64(value));
	}
	return error;
}

int usrpci_bar_copy_from(struct usrpci_bar *bar, size_t offset, void *to, size_t size)
{
	uint8_t *bytes = to;
	int error = check_copy(bar, offset, size);
	unsigned int width;
	uint16_t vendor;

	for (size_t done = 0; !error && done < size; done += width) {
		uint64_t value;

		width = width_at(bar, offset + done, size - done);
		error = read_any(bar->dev->ops, bar, offset + done, width, &value);
		value = usrpci_le64(value);
		if (!error)
			memcpy(bytes + done, &value, width);
	}
	if (error || !size || !all_ones(bytes, size))
		return error;
	return usrpci_config_read16(bar->dev, PCI_VENDOR_ID, &vendor);
}

uint64_t usrpci_mmio_read_slow(struct usrpci_bar *bar, size_t offset, unsigned int width)
{
	uint64_t value = 0;
	int error = check_access(bar, offset, width);

	if (error)
		report_access(bar, error, offset, width);
	else
		error = read_any(bar->dev->ops, bar, offset, width, &value);
	return error ? ones(width) : value;
}

void usrpci_mmio_write_slow(struct usrpci_bar *bar, size_t offset, unsigned int width,
			    uint64_t value)
{
	int error = check_access(bar, offset, width);

	if (error)
		report_access(bar, error, offset, width);
	else
		write_any(bar->dev->ops, bar, offset, width, value);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int usrpci_bar_wait32(struct usrpci_bar *bar, size_t offset, uint32_t mask, uint32_t value,
		      unsigned int timeout_ms, uint32_t *last)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	uint64_t deadline = now_us() + (uint64_t)timeout_ms * 1000;
	uint32_t got;
	bool late;

	for (;;) {
		late = now_us() >= deadline;
		got = usrpci_read32(bar, offset);
		if (last)
			*last = got;
		if (got == UINT32_MAX)
			return -ENODEV;
		if ((got & mask) == (value & mask))
			return 0;
		if (late)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
	}
}
