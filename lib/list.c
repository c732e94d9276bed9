// SPDX-License-Identifier: BSD-2-Clause
/*
 * The list of the host's devices, from what enumerate.c reads of each, and what a standard header
 * says (PCI Local Bus 3.0, 6.1).
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>

#include <usrpci/device.h>

#include "array.h"
#include "backend.h"
#include "bytes.h"
#include "file.h"

void dev_decode_header(const uint8_t *header, struct usrpci_dev_info *info)
{
	info->silent = all_ones(header, PCI_STD_HEADER_SIZEOF);
	if (info->silent) {
		info->vendor = info->device = 0xffff;
		info->class_code = 0xffffff;
		return;
	}
	info->vendor = get_le16(header + PCI_VENDOR_ID);
	info->device = get_le16(header + PCI_DEVICE_ID);
	info->revision = header[PCI_REVISION_ID];
	info->class_code = get_le32(header + PCI_REVISION_ID) >> 8;
	info->header_type = header[PCI_HEADER_TYPE] & 0x7f;
	info->irq_pin = header[PCI_INTERRUPT_PIN] <= 4 ? header[PCI_INTERRUPT_PIN] : 0;
	info->irq = info->irq_pin ? -1 : 0;
	if (info->header_type == PCI_HEADER_TYPE_NORMAL) {
		info->subsystem_vendor = get_le16(header + PCI_SUBSYSTEM_VENDOR_ID);
		info->subsystem_device = get_le16(header + PCI_SUBSYSTEM_ID);
	}
}

int usrpci_dev_lookup(struct usrpci_ctx *ctx, const struct usrpci_addr *addr,
		      struct usrpci_dev_info *info)
{
	char name[USRPCI_ADDR_STRLEN];
	int error = dev_read_info(ctx, addr, true, info);

	return error ? dev_report_lookup(ctx, error, usrpci_addr_format(addr, name)) : 0;
}

/* A device may be unplugged while the list is made. */
static bool is_gone(int error)
{
	return error == -ENOENT || error == -ENODEV;
}

/*
 * Reads the devices one after the other; one that cannot be read must not hide the others. Returns
 * how many were read; first_error stays 0 unless one was not.
 */
static size_t read_each(const struct usrpci_ctx *ctx, const struct usrpci_addr *addrs, int count,
			struct usrpci_dev_info *devices, int *first_error)
{
	char name[USRPCI_ADDR_STRLEN];
	size_t done = 0;

	for (int i = 0; i < count; i++) {
		int error = dev_read_info(ctx, &addrs[i], false, &devices[done]);

		done += !error;
		if (!error || is_gone(error))
			continue;
		dev_report_lookup(ctx, error, usrpci_addr_format(&addrs[i], name));
		*first_error = *first_error ? *first_error : error;
	}
	return done;
}

static int by_address(const void *a, const void *b)
{
	const struct usrpci_dev_info *first = a, *second = b;

	return usrpci_addr_compare(&first->addr, &second->addr);
}

/* An incomplete list is returned, unless it lacks all devices or "whole" is set. */
static int list_devices(struct usrpci_ctx *ctx, bool whole, struct usrpci_dev_info **result)
{
	AUTO_FREE struct usrpci_addr *addrs = NULL;
	int count = dev_list_addresses(ctx, &addrs), error = 0;
	struct usrpci_dev_info *devices;
	size_t done;

	*result = NULL;
	if (count <= 0)
		return count;
	devices = calloc((size_t)count, sizeof(*devices));
	if (!devices)
		return -ENOMEM;
	done = read_each(ctx, addrs, count, devices, &error);
	if (!done || (error && whole)) {
		free(devices);
		return error;
	}
	qsort(devices, done, sizeof(*devices), by_address);
	*result = devices;
	return (int)done;
}

int usrpci_dev_list(struct usrpci_ctx *ctx, struct usrpci_dev_info **result)
{
	return list_devices(ctx, false, result);
}

int dev_list_whole(struct usrpci_ctx *ctx, struct usrpci_dev_info **result)
{
	return list_devices(ctx, true, result);
}

void usrpci_dev_list_free(struct usrpci_dev_info *list)
{
	free(list);
}
