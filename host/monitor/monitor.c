// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reports devices that come, go and change their driver, from the kernel's netlink messages
 * (uevents). They do not say which driver has released a device, so that is remembered here.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "host.h"
#include "libraries.h"
#include "monitor/monitor.h"

#define LOG_SUBJECT "monitor"
#include "log.h"

/* This holds hundreds of events, for a card that goes away with all its virtual functions. */
enum { RECEIVE_BYTES = 1 << 20 };

struct usrpci_monitor {
	struct usrpci_host *host;
	struct library_udev *lib;
	struct udev *udev;
	struct udev_monitor *source;
	struct monitor_table table;
};

static struct monitor_row *find_row(struct monitor_table *table, const struct usrpci_addr *addr)
{
	for (size_t i = 0; i < table->count; i++)
		if (!usrpci_addr_compare(&table->rows[i].addr, addr))
			return &table->rows[i];
	return NULL;
}

static struct monitor_row *add_row(struct monitor_table *table, const struct usrpci_addr *addr)
{
	struct monitor_row *row = find_row(table, addr), *longer;

	if (row)
		return row;
	longer = array_grow(table->rows, table->count, 1, sizeof(*longer));
	if (!longer)
		return NULL;
	table->rows = longer;
	row = &longer[table->count++];
	*row = (struct monitor_row){.addr = *addr};
	return row;
}

static void drop_row(struct monitor_table *table, const struct usrpci_addr *addr)
{
	struct monitor_row *row = find_row(table, addr);

	if (row)
		*row = table->rows[--table->count];
}

static bool parse_action(const char *action, enum usrpci_event_kind *kind)
{
	static const struct {
		const char *action;
		enum usrpci_event_kind kind;
	} actions[] = {
		{"add", USRPCI_EVENT_ADDED},
		{"remove", USRPCI_EVENT_REMOVED},
		{"bind", USRPCI_EVENT_BOUND},
		{"unbind", USRPCI_EVENT_UNBOUND},
	};

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		*kind = actions[i].kind;
		if (!strcmp(action, actions[i].action))
			return true;
	}
	return false;
}

static bool parse_ids(const char *text, struct usrpci_event *event)
{
	unsigned int vendor, device;

	if (sscanf(text, "%4x:%4x", &vendor, &device) != 2)
		return false;
	event->vendor = (uint16_t)vendor;
	event->device = (uint16_t)device;
	return true;
}

int monitor_event(struct monitor_table *table, const struct monitor_words *words,
		  struct usrpci_event *event)
{
	const char *driver = words->driver ? words->driver : "";
	struct monitor_row *row;

	*event = (struct usrpci_event){0};
	if (!words->action || !words->slot || !words->id || strlen(driver) >= NAME_SIZE ||
	    !parse_action(words->action, &event->kind) ||
	    usrpci_addr_parse(words->slot, &event->addr) || !parse_ids(words->id, event))
		return 0;
	if (event->kind == USRPCI_EVENT_BOUND)
		strcpy(event->driver, driver);
	row = find_row(table, &event->addr);
	if (row)
		strcpy(event->was, row->driver);
	if (event->kind == USRPCI_EVENT_REMOVED) {
		drop_row(table, &event->addr);
		return 1;
	}
	row = add_row(table, &event->addr);
	if (!row)
		return -ENOMEM;
	strcpy(row->driver, event->driver);
	return 1;
}

int monitor_fill(struct usrpci_host *host, struct monitor_table *table)
{
	struct usrpci_dev_info *infos;
	int count = usrpci_dev_list(host->ctx, &infos), error = 0;

	if (count < 0)
		return count;
	table->count = 0;
	for (int i = 0; !error && i < count; i++) {
		struct monitor_row *row = add_row(table, &infos[i].addr);

		if (row)
			strcpy(row->driver, infos[i].driver);
		else
			error = -ENOMEM;
	}
	usrpci_dev_list_free(infos);
	return error;
}

static int begin_listening(struct usrpci_monitor *monitor)
{
	int error;

	monitor->lib = library_load_udev();
	if (!monitor->lib)
		return -ELIBACC;
	monitor->udev = monitor->lib->udev_new();
	if (!monitor->udev)
		return -ENOMEM;
	monitor->source = monitor->lib->udev_monitor_new_from_netlink(monitor->udev, "kernel");
	if (!monitor->source)
		return errno ? -errno : -ENOMEM;
	/* Only root may exceed the usual limit; others lose events sooner. */
	monitor->lib->udev_monitor_set_receive_buffer_size(monitor->source, RECEIVE_BYTES);
	error = monitor->lib->udev_monitor_filter_add_match_subsystem_devtype(monitor->source,
									      "pci", NULL);
	return error < 0 ? error : monitor->lib->udev_monitor_enable_receiving(monitor->source);
}

int usrpci_host_monitor_open(struct usrpci_host *host, struct usrpci_monitor **result)
{
	struct usrpci_monitor *monitor;
	int error;

	*result = NULL;
	if (!host_is_live(host))
		return refuse(host->ctx, -EOPNOTSUPP, NULL, NULL,
			      "a host made of files has no events");
	monitor = calloc(1, sizeof(*monitor));
	if (!monitor)
		return -ENOMEM;
	monitor->host = host;
	error = begin_listening(monitor);
	/* A change during the listing also arrives as an event. */
	if (!error)
		error = monitor_fill(host, &monitor->table);
	if (!error) {
		*result = monitor;
		return 0;
	}
	usrpci_host_monitor_close(monitor);
	return report(host->ctx, error, NULL, NULL, "cannot listen to the kernel's events");
}

int usrpci_host_monitor_fd(const struct usrpci_monitor *monitor)
{
	return monitor->lib->udev_monitor_get_fd(monitor->source);
}

/* After events were lost, the table is read again. */
static int lost(struct usrpci_monitor *monitor, struct usrpci_event *event)
{
	int error = monitor_fill(monitor->host, &monitor->table);

	*event = (struct usrpci_event){.kind = USRPCI_EVENT_LOST};
	return error ? error : 1;
}

static int receive(struct usrpci_monitor *monitor, struct usrpci_event *event)
{
	struct udev_device *device;
	int result;

	errno = 0;
	device = monitor->lib->udev_monitor_receive_device(monitor->source);
	if (!device)
		return errno == ENOBUFS ? lost(monitor, event) : 0;
	result = monitor_event(
		&monitor->table,
		&(struct monitor_words){
			.action = monitor->lib->udev_device_get_action(device),
			.slot = monitor->lib->udev_device_get_property_value(device,
									     "PCI_SLOT_NAME"),
			.id = monitor->lib->udev_device_get_property_value(device, "PCI_ID"),
			.driver = monitor->lib->udev_device_get_property_value(device, "DRIVER"),
		},
		event);
	monitor->lib->udev_device_unref(device);
	return result;
}

int usrpci_host_monitor_next(struct usrpci_monitor *monitor, int timeout_ms,
			     struct usrpci_event *event)
{
	struct pollfd source = {.fd = usrpci_host_monitor_fd(monitor), .events = POLLIN};
	uint64_t end = clock_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
	int ready, result = 0;

	do {
		uint64_t now = clock_ms();
		int left = timeout_ms < 0 ? -1 : now < end ? (int)(end - now) : 0;

		ready = poll(&source, 1, left);
		if (ready < 0)
			return -errno;
		result = ready ? receive(monitor, event) : 0;
	} while (ready && !result);
	return result;
}

void usrpci_host_monitor_close(struct usrpci_monitor *monitor)
{
	if (!monitor)
		return;
	if (monitor->lib) {
		monitor->lib->udev_monitor_unref(monitor->source);
		monitor->lib->udev_unref(monitor->udev);
	}
	free(monitor->lib);
	free(monitor->table.rows);
	free(monitor);
}
