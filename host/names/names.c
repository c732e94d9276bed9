// SPDX-License-Identifier: BSD-2-Clause
/*
 * Names of vendors, devices and classes from udev's hardware database, a mapped index: microseconds
 * a name, where parsing pci.ids takes milliseconds. Where the database is missing (it comes with
 * the package udev) there are no names. It is the running machine's, whatever the context's root.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "names/hwdb.h"

#define LOG_SUBJECT "names"
#include "log.h"

/* Many virtual functions have the same ids: a large host has few kinds of devices. */
#define KINDS 512

struct names {
	char alias[80]; /* "": not used yet */
	char vendor[128], device[192], class_name[96];
};

/* What is wrong with the database is told once; then there is none. */
static int open_database(struct usrpci_host *host)
{
	int error;

	if (host->hwdb)
		return 0;
	host->hwdb = calloc(1, sizeof(*host->hwdb));
	if (!host->hwdb)
		return -ENOMEM;
	error = hwdb_open(host->hwdb);
	return error ? report(host->ctx, error, NULL, "rebuild it: systemd-hwdb update",
			      "cannot read udev's hardware database")
		     : 0;
}

static void copy_value(char *to, size_t size, const char *value)
{
	if (to)
		snprintf(to, size, "%s", value);
}

/* Keeps what is in the text when the database has nothing at that pattern. */
__attribute__((format(printf, 5, 6))) static void
look_up(const struct hwdb *hwdb, char *text, size_t size, const char *key, const char *format, ...)
{
	char pattern[80];
	const char *value;
	va_list args;

	va_start(args, format);
	vsnprintf(pattern, sizeof(pattern), format, args);
	va_end(args);
	value = hwdb_value(hwdb, pattern, key);
	if (value)
		snprintf(text, size, "%s", value);
}

/* Patterns as in 20-pci-vendor-model.hwdb and 20-pci-classes.hwdb; the narrower one prevails. */
static void find_names(const struct hwdb *hwdb, const struct usrpci_dev_info *info,
		       struct names *names)
{
	static const char model[] = "ID_MODEL_FROM_DATABASE";
	unsigned int class_code = info->class_code >> 16 & 0xff;
	unsigned int subclass = info->class_code >> 8 & 0xff;

	look_up(hwdb, names->vendor, sizeof(names->vendor), "ID_VENDOR_FROM_DATABASE", "pci:v%08X*",
		info->vendor);
	look_up(hwdb, names->device, sizeof(names->device), model, "pci:v%08Xd%08X*", info->vendor,
		info->device);
	look_up(hwdb, names->device, sizeof(names->device), model, "pci:v%08Xd%08Xsv%08Xsd%08X*",
		info->vendor, info->device, info->subsystem_vendor, info->subsystem_device);
	look_up(hwdb, names->class_name, sizeof(names->class_name), "ID_PCI_CLASS_FROM_DATABASE",
		"pci:v*d*sv*sd*bc%02X*", class_code);
	look_up(hwdb, names->class_name, sizeof(names->class_name), "ID_PCI_SUBCLASS_FROM_DATABASE",
		"pci:v*d*sv*sd*bc%02Xsc%02X*", class_code, subclass);
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
	int error = open_database(host);

	if (!error && !known)
		error = -ENOMEM;
	copy_value(vendor, size, "");
	copy_value(device, size, "");
	copy_value(class_name, size, "");
	if (error)
		return error;
	snprintf(fresh.alias, sizeof(fresh.alias), "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X",
		 info->vendor, info->device, info->subsystem_vendor, info->subsystem_device,
		 info->class_code >> 16 & 0xff, info->class_code >> 8 & 0xff,
		 info->class_code & 0xff);
	if (strcmp(fresh.alias, known->alias) != 0) {
		find_names(host->hwdb, info, &fresh);
		*known = fresh;
	}
	copy_value(vendor, size, known->vendor);
	copy_value(device, size, known->device);
	copy_value(class_name, size, known->class_name);
	return 0;
}
