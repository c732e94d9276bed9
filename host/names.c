// SPDX-License-Identifier: BSD-2-Clause
/*
 * Names of vendors, devices and classes from udev's hardware database, a mapped index: microseconds
 * a name, where parsing pci.ids takes milliseconds. Where the database is missing (it comes with
 * the package udev) there are no names. It is the running machine's, whatever the context's root.
 */

#include <errno.h>
#include <libudev.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "guard.h"
#include "host.h"

static struct udev_hwdb *open_hwdb(struct usrpci_host *host)
{
	if (!host->hwdb_tried) {
		host->hwdb_tried = true;
		host->udev = udev_new();
		host->hwdb = host->udev ? udev_hwdb_new(host->udev) : NULL;
	}
	return host->hwdb;
}

static void copy_value(char *to, size_t size, const char *value)
{
	if (to)
		snprintf(to, size, "%s", value);
}

static void copy_names(struct udev_list_entry *properties, size_t size, char *vendor, char *device,
		       char *class_name)
{
	struct udev_list_entry *entry;

	udev_list_entry_foreach(entry, properties)
	{
		const char *key = udev_list_entry_get_name(entry);
		const char *value = udev_list_entry_get_value(entry);

		if (!strcmp(key, "ID_VENDOR_FROM_DATABASE"))
			copy_value(vendor, size, value);
		else if (!strcmp(key, "ID_MODEL_FROM_DATABASE"))
			copy_value(device, size, value);
		else if (!strcmp(key, "ID_PCI_SUBCLASS_FROM_DATABASE") ||
			 (!strcmp(key, "ID_PCI_CLASS_FROM_DATABASE") && class_name &&
			  !class_name[0]))
			copy_value(class_name, size, value);
	}
}

void usrpci_host_names(struct usrpci_host *host, const struct usrpci_dev_info *info, size_t size,
		       char *vendor, char *device, char *class_name)
{
	struct udev_hwdb *hwdb = open_hwdb(host);
	locale_t plain, locale;
	char alias[80];

	copy_value(vendor, size, "");
	copy_value(device, size, "");
	copy_value(class_name, size, "");
	if (!hwdb)
		return;
	snprintf(alias, sizeof(alias), "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", info->vendor,
		 info->device, info->subsystem_vendor, info->subsystem_device,
		 info->class_code >> 16 & 0xff, info->class_code >> 8 & 0xff,
		 info->class_code & 0xff);
	/* Under UTF-8 the database's pattern matching costs three times as much: fnmatch(3)
	 * converts. */
	plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	locale = plain ? uselocale(plain) : (locale_t)0;
	copy_names(udev_hwdb_get_properties_list_entry(hwdb, alias, 0), size, vendor, device,
		   class_name);
	if (!plain)
		return;
	uselocale(locale);
	freelocale(plain);
}

static int append_members(struct usrpci_host *host, const struct usrpci_addr *addr,
			  const char *class_name, size_t size, char *names)
{
	char(*members)[NAME_SIZE];
	int count = class_members(host, addr, class_name, &members);
	int i, whole = 0;

	for (i = 0; i < count; i++) {
		size_t at = strlen(names);

		if (file_exists(host->ctx, "/sys/class/%s/%s/partition", class_name, members[i]))
			continue;
		whole++;
		snprintf(names + at, size - at, "%s%s", at ? " " : "", members[i]);
	}
	if (count >= 0)
		free(members);
	return count < 0 ? count : whole;
}

int usrpci_host_interfaces(struct usrpci_host *host, const struct usrpci_addr *addr, size_t size,
			   char *names)
{
	char device[USRPCI_ADDR_STRLEN];
	int interfaces, disks;

	if (!size)
		return -EINVAL;
	names[0] = '\0';
	/* Most devices of a large machine have no driver, and so need no search. */
	if (!file_exists(host->ctx, PCI_DEVICES "/%s/driver", usrpci_addr_format(addr, device)))
		return 0;
	interfaces = append_members(host, addr, "net", size, names);
	disks = interfaces < 0 ? interfaces : append_members(host, addr, "block", size, names);
	return disks < 0 ? disks : interfaces + disks;
}
