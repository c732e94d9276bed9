// SPDX-License-Identifier: BSD-2-Clause
/*
 * BARs through the regions of a vfio device. The addresses of a whole window are reserved, and the
 * parts that may be mapped are put in their places, so that every offset has one address. The rest
 * goes through read and write of the device's file: I/O ports, what the kernel leaves out of its
 * sparse list, and the pages of the MSI-X table, which is the kernel's to write: a stray store of
 * the driver there would send interrupts anywhere.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "file.h"
#include "numbers.h"
#include "vfio/vfio.h"

#define LOG_SUBJECT "vfio"
#include "log.h"

#define AREAS_MAX 64

/* Bytes first..end - 1 of the BAR. */
struct area {
	uint64_t first;
	uint64_t end;
};

/* What is mapped of a window: the handle of a struct usrpci_bar. */
struct window {
	char *map; /* whole pages */
	struct area pages;
	size_t count;
	struct area areas[AREAS_MAX]; /* mapped, inside pages */
};

static uint64_t page_down(uint64_t offset)
{
	return align_down(offset, (uint64_t)sysconf(_SC_PAGESIZE));
}

static uint64_t page_up(uint64_t offset)
{
	return align_up(offset, (uint64_t)sysconf(_SC_PAGESIZE));
}

/* The kernel's list of what may be mapped. Returns the count; -ENOENT: it has no list. */
static int list_sparse(const struct vfio_region_info *info, struct area areas[AREAS_MAX])
{
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_region_sparse_mmap_area area;
	uint32_t caps = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;
	uint32_t at = vfio_find_cap(info, info->argsz, caps, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
				    &sparse, sizeof(sparse));
	int count = 0;

	if (!at)
		return -ENOENT;
	at += sizeof(sparse);
	while (sparse.nr_areas-- && count < AREAS_MAX && sizeof(area) <= info->argsz - at) {
		memcpy(&area, (const char *)info + at, sizeof(area));
		areas[count++] = (struct area){area.offset, area.offset + area.size};
		at += sizeof(area);
	}
	return count;
}

/* The areas that the kernel lets be mapped; where it has no list that is the whole region. */
static int list_areas(struct usrpci_dev *dev, unsigned int index, struct area areas[AREAS_MAX])
{
	struct vfio_region_info *info = vfio_read_region_info(dev, index);
	int count;

	if (!info)
		return report(dev->ctx, -EIO, dev->name, NULL, "cannot examine BAR %u", index);
	count = list_sparse(info, areas);
	if (count < 0) {
		areas[0] = (struct area){0, page_up(info->size)};
		count = 1;
	}
	free(info);
	return count;
}

/* The pages of a BAR that hold the MSI-X table (PCI Local Bus 3.0, 6.8.2); none: empty. */
static struct area find_table(struct usrpci_dev *dev, unsigned int index)
{
	int cap = usrpci_cap_find(dev, USRPCI_CAP_MSIX);
	unsigned int at = (unsigned int)cap;
	uint16_t control;
	uint32_t table;

	if (cap < 0 || usrpci_config_read16(dev, at + PCI_MSIX_FLAGS, &control) ||
	    usrpci_config_read32(dev, at + PCI_MSIX_TABLE, &table) ||
	    (table & PCI_MSIX_TABLE_BIR) != index)
		return (struct area){0, 0};
	table &= PCI_MSIX_TABLE_OFFSET;
	return (struct area){page_down(table), page_up(table + ((control & PCI_MSIX_FLAGS_QSIZE) +
								1u) * PCI_MSIX_ENTRY_SIZE)};
}

/* Puts pages of the region in their place. */
static int map_area(struct usrpci_dev *dev, unsigned int index, struct window *window,
		    struct area area)
{
	const struct vfio_device *vfio = vfio_device(dev);
	void *place;

	if (area.first < window->pages.first)
		area.first = window->pages.first;
	if (area.end > window->pages.end)
		area.end = window->pages.end;
	if (area.first >= area.end || window->count == AREAS_MAX)
		return 0;
	place = window->map + (area.first - window->pages.first);
	if (mmap(place, area.end - area.first, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 vfio->fd, (off_t)(vfio->bars[index].offset + area.first)) == MAP_FAILED)
		return report(dev->ctx, -errno, dev->name, NULL, "cannot map BAR %u", index);
	window->areas[window->count++] = area;
	return 0;
}

static int map_areas(struct usrpci_dev *dev, unsigned int index, struct window *window)
{
	struct area areas[AREAS_MAX], table = find_table(dev, index);
	int count = list_areas(dev, index, areas), error = 0;

	if (count < 0)
		return count;
	for (int i = 0; !error && i < count; i++) {
		struct area below = areas[i], above = areas[i];

		if (table.first == table.end) {
			error = map_area(dev, index, window, areas[i]);
			continue;
		}
		if (below.end > table.first)
			below.end = table.first;
		if (above.first < table.end)
			above.first = table.end;
		error = map_area(dev, index, window, below) ?: map_area(dev, index, window, above);
	}
	return error;
}

/* Whether first..end is mapped without a gap; if not, end is lowered to where the gap begins. */
static uint64_t mapped_until(const struct window *window, uint64_t first, uint64_t end)
{
	uint64_t reached = first;

	for (size_t i = 0; i < window->count && reached < end;) {
		if (window->areas[i].first <= reached && reached < window->areas[i].end) {
			reached = window->areas[i].end;
			i = 0;
		} else {
			i++;
		}
	}
	return reached < end ? reached : end;
}

static void free_window(struct window *window)
{
	munmap(window->map, window->pages.end - window->pages.first);
	free(window);
}

int vfio_bar_map(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	const struct vfio_region *region = &vfio_device(dev)->bars[bar->index];
	struct window *window;
	int error;

	if ((bar->flags & USRPCI_BAR_IO) || !(region->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	window = calloc(1, sizeof(*window));
	if (!window)
		return -ENOMEM;
	window->pages = (struct area){page_down(bar->offset), page_up(bar->offset + bar->size)};
	window->map = mmap(NULL, window->pages.end - window->pages.first, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (window->map == MAP_FAILED) {
		free(window);
		return -ENOMEM;
	}
	error = map_areas(dev, bar->index, window);
	if (error) {
		free_window(window);
		return error;
	}
	bar->handle = window;
	bar->base = (volatile uint8_t *)window->map + (bar->offset - window->pages.first);
	bar->direct_size = mapped_until(window, bar->offset, bar->offset + bar->size) - bar->offset;
	bar->direct_size &= ~(size_t)7;
	return 0;
}

void vfio_bar_unmap(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	if (bar->handle)
		free_window(bar->handle);
}

static bool is_mapped(const struct usrpci_bar *bar, size_t offset, unsigned int width)
{
	uint64_t first = bar->offset + offset;

	return bar->handle && mapped_until(bar->handle, first, first + width) == first + width;
}

static int report_access(const struct usrpci_bar *bar, int error, const char *action, size_t offset)
{
	struct usrpci_dev *dev = bar->dev;

	if (error == -ENODEV || error == -EIO)
		return dev_gone(dev);
	return report(dev->ctx, error, dev->name, NULL, "cannot %s BAR %u at 0x%zx", action,
		      bar->index, (size_t)bar->offset + offset);
}

int vfio_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t *value)
{
	const struct vfio_device *vfio = vfio_device(bar->dev);
	uint64_t position = vfio->bars[bar->index].offset + bar->offset + offset;
	uint8_t bytes[8] = {0};
	int error;

	if (is_mapped(bar, offset, width)) {
		*value = mmio_load(bar->base + offset, width);
		return 0;
	}
	error = pread_exact(vfio->fd, bytes, width, (off_t)position);
	if (error)
		return report_access(bar, error, "read", offset);
	*value = get_le64(bytes);
	return 0;
}

int vfio_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t value)
{
	const struct vfio_device *vfio = vfio_device(bar->dev);
	uint64_t position = vfio->bars[bar->index].offset + bar->offset + offset;
	uint8_t bytes[8];
	int error;

	if (is_mapped(bar, offset, width)) {
		mmio_store(bar->base + offset, width, value);
		return 0;
	}
	put_le64(bytes, value);
	error = pwrite_exact(vfio->fd, bytes, width, (off_t)position);
	return error ? report_access(bar, error, "write", offset) : 0;
}
