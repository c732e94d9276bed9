// SPDX-License-Identifier: BSD-2-Clause
/*
 * Names of vendors, devices and classes from udev's hardware database, a mapped index: microseconds
 * a name, where parsing pci.ids takes milliseconds. Where the database is missing (it comes with
 * the package udev) there are no names. It is the running machine's, whatever the context's root.
 */

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "libraries.h"

#define LOG_SUBJECT "names"
#include "log.h"

/* Many virtual functions have the same ids: a large host has few kinds of devices. */
#define KINDS 512

struct names {
	char alias[80]; /* "": not used yet */
	char vendor[128], device[192], class_name[96];
};

/* Returns 0 also where there is no database. */
static int open_hwdb(struct usrpci_host *host)
{
	if (host->hwdb_tried)
		return 0;
	if (!host->lib_udev)
		host->lib_udev = library_load_udev();
	if (!host->lib_udev)
		return report(host->ctx, -ELIBACC, "libudev.so.1", "apt install libudev1",
			      "cannot load it");
	if (!host->udev)
		host->udev = host->lib_udev->udev_new();
	if (!host->udev)
		return -ENOMEM;
	errno = 0;
	host->hwdb = host->lib_udev->udev_hwdb_new(host->udev);
	if (!host->hwdb && errno && errno != ENOENT)
		return report(host->ctx, -errno, NULL, NULL,
			      "cannot read udev's hardware database");
	host->hwdb_tried = true;
	return 0;
}

static void copy_value(char *to, size_t size, const char *value)
{
	if (to)
		snprintf(to, size, "%s", value);
}

static void copy_names(const struct library_udev *lib, struct udev_list_entry *entry,
		       struct names *names)
{
	for (; entry; entry = lib->udev_list_entry_get_next(entry)) {
		const char *key = lib->udev_list_entry_get_name(entry);
		const char *value = lib->udev_list_entry_get_value(entry);

		if (!strcmp(key, "ID_VENDOR_FROM_DATABASE"))
			copy_value(names->vendor, sizeof(names->vendor), value);
		else if (!strcmp(key, "ID_MODEL_FROM_DATABASE"))
			copy_value(names->device, sizeof(names->device), value);
		else if (!strcmp(key, "ID_PCI_SUBCLASS_FROM_DATABASE") ||
			 (!strcmp(key, "ID_PCI_CLASS_FROM_DATABASE") && !names->class_name[0]))
			copy_value(names->class_name, sizeof(names->class_name), value);
	}
}

/*
 * A lookup that runs out of memory finds nothing, as for a device without a name. So a lookup that
 * found nothing is repeated once.
 *
 * Under UTF-8 the database's pattern matching costs three times as much: fnmatch(3) converts.
 */
static struct udev_list_entry *find_properties(const struct usrpci_host *host, const char *alias)
{
	const struct library_udev *lib = host->lib_udev;
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	locale_t locale = plain ? uselocale(plain) : (locale_t)0;
	struct udev_list_entry *properties = lib->udev_hwdb_get_properties_list_entry(host->hwdb,
										      alias, 0);

	if (!properties)
		properties = lib->udev_hwdb_get_properties_list_entry(host->hwdb, alias, 0);
	if (plain) {
		uselocale(locale);
		freelocale(plain);
	}
	return properties;
}

static struct names *place_of(struct usrpci_host *host, const struct usrpci_dev_info *info)
{
	unsigned int kind = info->vendor + info->device + 7U * info->subsystem_device +
			    (info->class_code >> 8);

	if (!host->names)
		host->names = calloc(KINDS, sizeof(*host->names));
	return host->names ? &host->names[kind % KINDS] : NULL;
}

int usrpci_host_names(struct usrpci_host *host, const struct usrpci_dev_info *info, size_t size,
		      char *vendor, char *device, char *class_name)
{
	struct names fresh = {0}, *known = place_of(host, info);
	int error = open_hwdb(host);

	if (!error && !known)
		error = -ENOMEM;
	copy_value(vendor, size, "");
	copy_value(device, size, "");
	copy_value(class_name, size, "");
	if (error || !host->hwdb)
		return error;
	snprintf(fresh.alias, sizeof(fresh.alias), "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X",
		 info->vendor, info->device, info->subsystem_vendor, info->subsystem_device,
		 info->class_code >> 16 & 0xff, info->class_code >> 8 & 0xff,
		 info->class_code & 0xff);
	if (strcmp(fresh.alias, known->alias) != 0) {
		copy_names(host->lib_udev, find_properties(host, fresh.alias), &fresh);
		*known = fresh;
	}
	copy_value(vendor, size, known->vendor);
	copy_value(device, size, known->device);
	copy_value(class_name, size, known->class_name);
	return 0;
}
