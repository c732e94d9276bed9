// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds the device that a file means. All properties must agree, because an address can belong to
 * another device after a card was moved.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "declare/declare.h"
#include "file.h"
#include "guard/look.h"
#include "journal.h"
#include "state.h"

#define LOG_SUBJECT "declare"
#include "log.h"

/* The devices of the host and what they provide. This is read once. */
struct host_view {
	struct usrpci_host *host;
	const struct usrpci_declare_options *options;
	const struct usrpci_dev_info *infos;
	int count;
	struct usrpci_interface *provided;
	int provided_count;
};

/*
 * A device on a driver for userspace shows neither a MAC address nor a serial number, so the one
 * that it was found by is remembered while it is plugged in: the note is of no other device.
 */
static void note_name(char name[64], const struct usrpci_addr *addr)
{
	char text[USRPCI_ADDR_STRLEN];

	snprintf(name, 64, "declared/%s", usrpci_addr_format(addr, text));
}

static bool read_note(const struct host_view *view, const struct usrpci_dev_info *info,
		      char text[256])
{
	uint64_t identity, noted;
	char name[64];

	note_name(name, &info->addr);
	return file_read(view->host->ctx, text, 255, STATE_DIR "/%s", name) > 0 &&
	       sscanf(text, "identity %" SCNu64, &noted) == 1 &&
	       !journal_identity(view->host, &info->addr, &identity) && identity == noted;
}

static bool is_remembered(const struct host_view *view, const struct usrpci_dev_info *info,
			  const char *key, const char *value)
{
	char text[256], wanted[96];

	snprintf(wanted, sizeof(wanted), "%s %s\n", key, value);
	return read_note(view, info, text) && strstr(strcat(text, "\n"), wanted);
}

static void remember(const struct host_view *view, const struct declared_device *device,
		     const struct usrpci_dev_info *info)
{
	char name[64], text[256];
	uint64_t identity;

	if (info->driver_kind != USRPCI_DRIVER_KERNEL || (!device->mac[0] && !device->serial[0]) ||
	    journal_identity(view->host, &info->addr, &identity))
		return;
	note_name(name, &info->addr);
	snprintf(text, sizeof(text), "identity %" PRIu64 "\nmac %s\nserial %s\n", identity,
		 device->mac, device->serial);
	state_write(view->host, name, text);
}

/* NVMe's serial numbers are filled up with spaces. */
static bool is_text(char *text, const char *value)
{
	size_t length = strlen(text);

	while (length && text[length - 1] == ' ')
		text[--length] = '\0';
	return !strcmp(text, value);
}

/* Returns whether an interface or disk of the device has this value in a file of sysfs. */
static bool provides(const struct host_view *view, const struct usrpci_dev_info *info,
		     const char *class_name, const char *file, const char *value)
{
	char text[96];

	for (int i = 0; i < view->provided_count; i++)
		if (!usrpci_addr_compare(&view->provided[i].addr, &info->addr) &&
		    file_read(view->host->ctx, text, sizeof(text), "/sys/class/%s/%s/%s",
			      class_name, view->provided[i].name, file) >= 0 &&
		    is_text(text, value))
			return true;
	return false;
}

static bool has_mac(const struct host_view *view, const struct declared_device *device,
		    const struct usrpci_dev_info *info)
{
	return provides(view, info, "net", "address", device->mac) ||
	       is_remembered(view, info, "mac", device->mac);
}

static bool has_serial(const struct host_view *view, const struct declared_device *device,
		       const struct usrpci_dev_info *info)
{
	return provides(view, info, "block", "device/serial", device->serial) ||
	       provides(view, info, "block", "serial", device->serial) ||
	       is_remembered(view, info, "serial", device->serial);
}

/* Returns the name of the property that does not agree, or NULL. */
static const char *disagrees(const struct host_view *view, const struct declared_device *device,
			     const struct usrpci_dev_info *info)
{
	if (device->has_id && (device->vendor != info->vendor || device->device != info->device))
		return "its vendor and device id";
	if (device->mac[0] && !has_mac(view, device, info))
		return "its MAC address";
	if (device->serial[0] && !has_serial(view, device, info))
		return "its serial number";
	return NULL;
}

static bool counts(const struct host_view *view, const struct usrpci_dev_info *info)
{
	const struct usrpci_addr *only = view->options->only;

	return !only || !usrpci_addr_compare(only, &info->addr);
}

/* What "restore" has given back since then stays so. */
static bool was_found(const struct host_view *view, const struct usrpci_dev_info *info)
{
	char text[256];

	return view->options->once && read_note(view, info, text);
}

static int not_the_one(const struct host_view *view, const struct declared_device *device,
		       const struct usrpci_dev_info *info, const char *what)
{
	char name[USRPCI_ADDR_STRLEN];

	if (!counts(view, info))
		return 0;
	return refuse(view->host->ctx, -ENODEV, usrpci_addr_format(&info->addr, name), NULL,
		      "another device than %s:%u means, so it is left alone: %s differs",
		      device->place.file, device->place.line, what);
}

/* Of many devices, the one at the address is found at once. */
static const struct usrpci_dev_info *candidates(const struct host_view *view,
						const struct declared_device *device, int *count)
{
	const struct usrpci_dev_info *info;

	*count = view->count;
	if (!device->has_addr)
		return view->infos;
	info = look_at(view->infos, view->count, &device->addr);
	*count = info != NULL;
	return info;
}

static int find_one(const struct host_view *view, struct declared_device *device)
{
	const struct usrpci_dev_info *found = NULL, *infos;
	bool meant = false;
	char object[160];
	int matches = 0, count;

	if (device->found || device->refused)
		return 0;
	device->refused = true;
	snprintf(object, sizeof(object), "%s:%u", device->place.file, device->place.line);
	infos = candidates(view, device, &count);
	for (int i = 0; i < count; i++) {
		const struct usrpci_dev_info *info = &infos[i];
		const char *what = disagrees(view, device, info);

		if (what && device->has_addr)
			return not_the_one(view, device, info, what);
		if (!what) {
			found = info;
			meant |= counts(view, info);
			matches++;
		}
	}
	if (matches > 1 && !meant)
		return 0;
	if (matches > 1)
		return refuse(view->host->ctx, -ENODEV, object,
			      "add another condition, Address= for example",
			      "%d devices are as this says: all are left alone", matches);
	device->found = matches && !was_found(view, found);
	device->refused = false;
	if (!matches) {
		if (view->options->only)
			return 0;
		log_info(view->host->ctx, object, "this device is not there");
		return 0;
	}
	device->addr = found->addr;
	if (device->found && counts(view, found))
		remember(view, device, found);
	return 0;
}

/* Whether a device is declared by what it provides. */
static bool names_any(const struct declaration *declaration)
{
	for (size_t i = 0; i < declaration->device_count; i++)
		if (declaration->devices[i].mac[0] || declaration->devices[i].serial[0])
			return true;
	return false;
}

int declare_find(struct usrpci_host *host, struct declaration *declaration,
		 const struct usrpci_declare_options *options)
{
	struct host_view view = {.host = host, .options = options};
	int error = 0;

	usrpci_dev_list_free(declaration->there);
	declaration->there_count = usrpci_dev_list(host->ctx, &declaration->there);
	if (declaration->there_count < 0)
		return declaration->there_count;
	view.infos = declaration->there;
	view.count = declaration->there_count;
	if (names_any(declaration))
		view.provided_count = usrpci_host_interfaces(host, &view.provided);
	for (size_t i = 0; i < declaration->device_count; i++)
		error = find_one(&view, &declaration->devices[i]) ?: error;
	free(view.provided);
	return error;
}

static bool differ(const struct declared_device *one, const struct declared_device *other)
{
	return (one->has_driver && other->has_driver && strcmp(one->driver, other->driver) != 0) ||
	       (one->has_vfs && other->has_vfs && one->vfs != other->vfs) ||
	       (one->user[0] && other->user[0] && strcmp(one->user, other->user) != 0) ||
	       (one->group[0] && other->group[0] && strcmp(one->group, other->group) != 0);
}

static bool means_the_same(const struct declared_device *one, const struct declared_device *other)
{
	return !usrpci_addr_compare(&one->addr, &other->addr);
}

/* Of one device, the one that was read first comes first. */
static int compare_found(const void *one, const void *other)
{
	const struct declared_device *const *a = one, *const *b = other;

	return usrpci_addr_compare(&(*a)->addr, &(*b)->addr) ?: (*a > *b) - (*a < *b);
}

/* Stores those that were found, in the order of their addresses. Returns how many. */
static size_t sort_found(const struct declaration *declaration,
			 const struct declared_device **order)
{
	size_t count = 0;

	for (size_t i = 0; i < declaration->device_count; i++)
		if (declaration->devices[i].found)
			order[count++] = &declaration->devices[i];
	qsort(order, count, sizeof(*order), compare_found);
	return count;
}

int declare_check(struct usrpci_host *host, const struct declaration *declaration)
{
	size_t count = declaration->device_count;
	const struct declared_device *one, *other;
	AUTO_FREE const struct declared_device **order = calloc(count + 1, sizeof(*order));
	char object[160];

	if (!order)
		return -ENOMEM;
	count = sort_found(declaration, order);
	for (size_t i = 0; i < count; i++)
		for (size_t k = i; k > 0 && means_the_same(order[i], order[k - 1]); k--) {
			one = order[i];
			other = order[k - 1];
			if (!differ(one, other))
				continue;
			snprintf(object, sizeof(object), "%s:%u", one->place.file, one->place.line);
			return refuse(host->ctx, -EBADMSG, object, NULL,
				      "wants the same device otherwise than %s:%u",
				      other->place.file, other->place.line);
		}
	return 0;
}
