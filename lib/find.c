// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which device a name means: an address, an interface, a disk, or a vendor and device id.
 *
 * Interfaces and disks are found by where the kernel hangs them in /sys/devices: the nearest
 * directory above that is a PCI function is the device, whatever lies between (virtio, SCSI, NVMe).
 */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <usrpci/device.h>

#include "enumerate.h"
#include "file.h"

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
	int count = usrpci_dev_list(ctx, &devices);
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

/* The nearest PCI function on the way up from a real path, which is cut. */
static int nearest_function(const struct usrpci_ctx *ctx, char *path, struct usrpci_addr *addr)
{
	char *slash;

	while ((slash = strrchr(path, '/'))) {
		if (usrpci_addr_parse(slash + 1, addr) == 0 &&
		    file_exists(ctx, PCI_DEVICES "/%s", slash + 1))
			return 0;
		*slash = '\0';
	}
	return -ENOTSUP;
}

/*
 * The disk of a multipath NVMe subsystem hangs below no device; the subsystem's directory links to
 * its controllers. Several: the disk is not one device's.
 */
static int sole_controller(const struct usrpci_ctx *ctx, char path[PATH_MAX],
			   struct usrpci_addr *addr)
{
	char *subsystem = strstr(path, "/nvme-subsystem/"), *end, link[PATH_MAX];
	int controllers = 0, instance, length;
	struct dirent *entry;
	DIR *dir;

	end = subsystem ? strchr(subsystem + strlen("/nvme-subsystem/"), '/') : NULL;
	if (!end)
		return -ENOTSUP;
	*end = '\0';
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		length = 0;
		if (sscanf(entry->d_name, "nvme%d%n", &instance, &length) != 1 ||
		    entry->d_name[length])
			continue;
		controllers++;
		snprintf(link, sizeof(link), "%.2000s/%s", path, entry->d_name);
	}
	closedir(dir);
	if (controllers != 1 || !realpath(link, path))
		return -ENOTSUP;
	return nearest_function(ctx, path, addr);
}

static int find_in_class(struct usrpci_ctx *ctx, const char *class, const char *name,
			 struct usrpci_addr *addr)
{
	char link[PATH_SIZE], path[PATH_MAX], up[PATH_MAX];
	int error = path_format(ctx, link, "/sys/class/%s/%s", class, name);

	if (error)
		return error;
	if (!realpath(link, path))
		return -errno;
	strcpy(up, path);
	error = nearest_function(ctx, up, addr);
	if (error)
		error = sole_controller(ctx, path, addr);
	if (error)
		return report(ctx, error, name, NULL, "%s is not a PCI device's", path);
	return 0;
}

static bool plain_name(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static int find_by_class(struct usrpci_ctx *ctx, const char *name, struct usrpci_addr *addr)
{
	static const char *const classes[] = {"net", "block", "nvme"};
	int error;

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
		error = find_in_class(ctx, classes[i], name, addr);
		if (error != -ENOENT)
			return error;
	}
	return report(ctx, -ENODEV, name, "usrpci list shows the devices",
		      "no device, interface or disk has this name");
}

int usrpci_dev_find(struct usrpci_ctx *ctx, const char *name, struct usrpci_addr *result)
{
	struct usrpci_addr addr = {0};
	unsigned int vendor, device;
	int error;

	if (usrpci_addr_parse(name, &addr) == 0)
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
