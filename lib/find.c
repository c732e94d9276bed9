// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which device a name means: an address, an interface, a disk, or a vendor and device id.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <usrpci/device.h>

#include "array.h"
#include "backend.h"
#include "file.h"
#include "member.h"

#define LOG_SUBJECT "find"
#include "log.h"

static int find_address(struct usrpci_ctx *ctx, const char *name, struct usrpci_addr *addr)
{
	char full[USRPCI_ADDR_STRLEN];

	if (!file_exists(ctx, PCI_DEVICES "/%s", usrpci_addr_format(addr, full)))
		return report(ctx, -ENODEV, full, "usrpci list shows the devices",
			      "no device has the address %s", name);
	return 0;
}

/* "8086:100e", nothing after it. */
static bool parse_ids(const char *name, unsigned int *vendor, unsigned int *device)
{
	int end = 0;

	if (strspn(name, "0123456789abcdefABCDEF:") != strlen(name))
		return false;
	return sscanf(name, "%4x:%4x%n", vendor, device, &end) == 2 && !name[end];
}

/* Writes the addresses of the devices with these ids, " 0000:03:00.0 ...", cut to size. */
static int list_matches(const struct usrpci_dev_info *devices, int count, unsigned int vendor,
			unsigned int device, char *text, size_t size, struct usrpci_addr *first)
{
	char name[USRPCI_ADDR_STRLEN];
	size_t length = 0;
	int matches = 0;

	for (int i = 0; i < count; i++) {
		if (devices[i].vendor != vendor || devices[i].device != device)
			continue;
		if (matches++ == 0)
			*first = devices[i].addr;
		usrpci_addr_format(&devices[i].addr, name);
		if (length + strlen(name) + 2 <= size)
			length += (size_t)snprintf(text + length, size - length, " %s", name);
	}
	return matches;
}

static int find_ids(struct usrpci_ctx *ctx, const char *name, unsigned int vendor,
		    unsigned int device, struct usrpci_addr *addr)
{
	struct usrpci_dev_info *devices;
	struct usrpci_addr first;
	char candidates[256] = "";
	int count = dev_list_whole(ctx, &devices);
	int matches;

	if (count < 0)
		return count;
	matches = list_matches(devices, count, vendor, device, candidates, sizeof(candidates),
			       &first);
	usrpci_dev_list_free(devices);
	if (matches == 0)
		return report(ctx, -ENODEV, name, "usrpci list shows the devices",
			      "no device has these ids");
	if (matches > 1)
		return refuse(ctx, -ENOTUNIQ, name, "give the address",
			      "%d devices have these ids:%s", matches, candidates);
	*addr = first;
	return 0;
}

/* Writes the functions that serve a name, "0000:05:00.0, 0000:06:00.0". */
static void join_owners(char owners[][USRPCI_ADDR_STRLEN], int count, char *text, size_t size)
{
	size_t length = 0;

	for (int i = 0; i < count && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "",
					   owners[i]);
}

static int find_in_class(struct usrpci_ctx *ctx, const char *class, const char *name,
			 struct usrpci_addr *addr)
{
	char owners[MEMBER_OWNERS_MAX][USRPCI_ADDR_STRLEN], all[256];
	int count = member_owners(ctx, class, name, owners);

	if (count == 1 && !usrpci_addr_parse(owners[0], addr))
		return 0;
	if (count < 0)
		return count;
	if (!count)
		return report(ctx, -ENOTSUP, name, NULL, "it does not belong to a PCI device");
	join_owners(owners, count, all, sizeof(all));
	return refuse(ctx, -ENOTUNIQ, name, "give the address of one of them",
		      "it has %d paths: %s", count, all);
}

static bool plain_name(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static int find_by_class(struct usrpci_ctx *ctx, const char *name, struct usrpci_addr *addr)
{
	static const char *const classes[] = {"net", "block", "nvme"};
	int error;

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		error = find_in_class(ctx, classes[i], name, addr);
		if (error != -ENOENT)
			return error;
	}
	return report(ctx, -ENODEV, name, "usrpci list shows the devices",
		      "no device, interface or disk has this name");
}

/* "/sys/bus/pci/devices/0000:03:00.0", and udev's "pci-0000:03:00.0", are pasted as they stand. */
static int parse_address(const char *name, struct usrpci_addr *addr)
{
	char last[USRPCI_ADDR_STRLEN + 1];
	const char *start;
	size_t length = strlen(name);

	if (!strncmp(name, "pci-", strlen("pci-")))
		return usrpci_addr_parse(name + strlen("pci-"), addr);
	if (strncmp(name, "/sys/", strlen("/sys/")) != 0)
		return usrpci_addr_parse(name, addr);
	while (length > 1 && name[length - 1] == '/')
		length--;
	start = (const char *)memrchr(name, '/', length) + 1;
	snprintf(last, sizeof(last), "%.*s", (int)(name + length - start), start);
	return usrpci_addr_parse(last, addr);
}

int usrpci_dev_find(struct usrpci_ctx *ctx, const char *name, struct usrpci_addr *result)
{
	struct usrpci_addr addr = {0};
	unsigned int vendor, device;
	int error;

	if (parse_address(name, &addr) == 0)
		error = find_address(ctx, name, &addr);
	else if (parse_ids(name, &vendor, &device))
		error = find_ids(ctx, name, vendor, device, &addr);
	else if (plain_name(strncmp(name, "/dev/", 5) ? name : name + 5) && !strchr(name, ':'))
		error = find_by_class(ctx, strncmp(name, "/dev/", 5) ? name : name + 5, &addr);
	else
		error = report(ctx, -EINVAL, name,
			       "an address (03:00.0), an interface, a disk or vendor:device",
			       "not a name of a device");
	if (!error)
		*result = addr;
	return error;
}
