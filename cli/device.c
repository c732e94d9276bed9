// SPDX-License-Identifier: BSD-2-Clause
/* Finds devices by the names that users type, and makes the names that users read. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

bool is_emulated(const char *name)
{
	return !strncmp(name, "qemu:", strlen("qemu:"));
}

static bool had_name(struct cli *cli, const char *name, struct usrpci_addr *addr)
{
	return !open_host(cli) && !usrpci_host_journal_find(cli->host, name, addr);
}

int find_address(struct cli *cli, const char *name, struct usrpci_addr *addr)
{
	int errors = cli->errors, error = open_context(cli);

	if (error)
		return error;
	hold_messages();
	error = usrpci_dev_find(cli->ctx, name, addr);
	/* A TAP device in the place of a card's interface belongs to no device by itself. */
	if ((error == -ENODEV || error == -ENOTSUP) && had_name(cli, name, addr)) {
		forget_held_messages();
		cli->errors = errors;
		return 0;
	}
	print_held_messages();
	return error;
}

int find_device(struct cli *cli, const char *name, struct usrpci_dev_info *info)
{
	struct usrpci_addr addr;

	return find_address(cli, name, &addr) ?: usrpci_dev_lookup(cli->ctx, &addr, info);
}

bool device_state(struct cli *cli, const struct usrpci_addr *addr, struct usrpci_dev_info *info)
{
	int errors = cli->errors, error;

	hold_messages();
	error = usrpci_dev_lookup(cli->ctx, addr, info);
	if (error == -ENODEV) {
		forget_held_messages();
		cli->errors = errors;
	}
	print_held_messages();
	return !error;
}

int inspect_device(struct cli *cli, const char *name, struct usrpci_dev **dev)
{
	char full[USRPCI_ADDR_STRLEN];
	struct usrpci_addr addr;
	int error = open_context(cli);

	/* An address, ids and an emulated device have a colon, and names have none. */
	if (error || strchr(name, ':'))
		return error ?: usrpci_dev_inspect(cli->ctx, name, dev);
	return find_address(cli, name, &addr)
		       ?: usrpci_dev_inspect(cli->ctx, usrpci_addr_format(&addr, full), dev);
}

const char *kernel_driver(const struct usrpci_dev_info *info)
{
	return info->driver_kind == USRPCI_DRIVER_KERNEL ? info->driver : NULL;
}

int device_names(struct cli *cli, const struct usrpci_dev_info *info, char name[2 * NAME_SIZE],
		 char class_name[NAME_SIZE])
{
	int error;
	char vendor[NAME_SIZE], device[NAME_SIZE];

	name[0] = '\0';
	class_name[0] = '\0';
	if (open_host(cli))
		return -EIO;
	error = usrpci_host_names(cli->host, info, NAME_SIZE, vendor, device, class_name);
	snprintf(name, 2 * NAME_SIZE, "%s%s%s", vendor, *vendor && *device ? " " : "", device);
	return error;
}

void interface_names(const struct usrpci_interface *list, int count, const struct usrpci_addr *addr,
		     char separator, size_t size, char *names)
{
	size_t at = 0;

	names[0] = '\0';
	for (int i = 0; i < count && at < size; i++)
		if (!usrpci_addr_compare(&list[i].addr, addr))
			at += (size_t)snprintf(names + at, size - at, "%.*s%s", at > 0, &separator,
					       list[i].name);
}

bool named_before(struct cli *cli, const struct usrpci_addr *addr)
{
	struct usrpci_addr *named;

	for (size_t i = 0; i < cli->named_count; i++)
		if (!usrpci_addr_compare(&cli->named[i], addr))
			return true;
	named = reallocarray(cli->named, cli->named_count + 1, sizeof(*named));
	if (named) {
		cli->named = named;
		named[cli->named_count++] = *addr;
	}
	return false;
}

void json_bars(struct json *json, struct usrpci_dev *dev)
{
	struct usrpci_bar_info info;

	json_open(json, "bars", '[');
	for (unsigned int i = 0; i < USRPCI_BARS; i++) {
		if (usrpci_bar_info(dev, i, &info))
			continue;
		json_open(json, NULL, '{');
		json_number(json, "bar", i);
		json_text(json, "kind", info.flags & USRPCI_BAR_IO ? "io" : "memory");
		json_hex(json, "address", info.address, 1);
		json_number(json, "size", info.size);
		json_bool(json, "64bit", info.flags & USRPCI_BAR_64BIT);
		json_bool(json, "prefetchable", info.flags & USRPCI_BAR_PREFETCH);
		json_close(json, '}');
	}
	json_close(json, ']');
}

/* A place that names several functions: a slot, "01:00", or a bus, "01:". */
struct place {
	unsigned int domain, bus, slot;
	bool whole_bus;
};

static bool is_end(const char *name, int length)
{
	return length > 0 &&
	       (!name[length] || !strcmp(name + length, "*") || !strcmp(name + length, ".*"));
}

static bool parse_place(const char *name, struct place *place)
{
	int length = 0;

	*place = (struct place){0};
	if (sscanf(name, "%8x:%2x:%2x%n", &place->domain, &place->bus, &place->slot, &length) ==
		    3 &&
	    is_end(name, length))
		return true;
	*place = (struct place){0};
	length = 0;
	if (sscanf(name, "%2x:%2x%n", &place->bus, &place->slot, &length) == 2 &&
	    is_end(name, length))
		return true;
	*place = (struct place){.whole_bus = true};
	length = 0;
	sscanf(name, "%2x:%n", &place->bus, &length);
	return is_end(name, length);
}

static bool is_at(const struct usrpci_addr *addr, const struct place *place)
{
	return addr->domain == place->domain && addr->bus == place->bus &&
	       (place->whole_bus || addr->dev == place->slot);
}

static int find_at(struct cli *cli, const char *name, const struct place *place,
		   struct named *named)
{
	int count = usrpci_dev_list(cli->ctx, &named->all);

	for (int i = 0; i < count; i++)
		if (is_at(&named->all[i].addr, place))
			named->all[named->count++] = named->all[i];
	if (count < 0)
		return status_of(count);
	return named->count ? STATUS_DONE
			    : failed(name, "usrpci list shows the devices", "no device is there");
}

bool is_slot(const char *name)
{
	struct place place;

	return !is_emulated(name) && parse_place(name, &place) && !place.whole_bus;
}

int named_find(struct cli *cli, const char *name, struct named *named)
{
	struct place place;
	int error;

	*named = (struct named){0};
	if (!is_emulated(name) && parse_place(name, &place))
		return find_at(cli, name, &place, named);
	error = find_device(cli, name, &named->one);
	named->count = !error;
	return status_of(error);
}

const struct usrpci_dev_info *named_info(const struct named *named, int index)
{
	return named->all ? &named->all[index] : &named->one;
}

void named_free(struct named *named)
{
	usrpci_dev_list_free(named->all);
}
