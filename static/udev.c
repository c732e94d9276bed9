// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the command calls of libudev, for the static command, since no static libudev is packaged:
 * the kernel's events. There is no database of names, so devices have numbers alone.
 */

#include <errno.h>
#include <libudev.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 8192, GROUP_KERNEL = 1 };

struct udev_monitor {
	int fd;
	char subsystem[32]; /* "": all */
};

/* The strings of a message, each with its zero: "bind@/devices/...", "ACTION=bind" and so on. */
struct udev_device {
	size_t size;
	char text[MESSAGE_SIZE + 1];
};

struct udev *udev_new(void)
{
	return calloc(1, 1);
}

struct udev *udev_unref(struct udev *udev)
{
	free(udev);
	return NULL;
}

struct udev_hwdb *udev_hwdb_new(struct udev *udev)
{
	(void)udev;
	errno = ENOENT;
	return NULL;
}

struct udev_hwdb *udev_hwdb_unref(struct udev_hwdb *hwdb)
{
	return hwdb;
}

struct udev_list_entry *udev_hwdb_get_properties_list_entry(struct udev_hwdb *hwdb,
							    const char *modalias,
							    unsigned int flags)
{
	(void)hwdb, (void)modalias, (void)flags;
	return NULL;
}

struct udev_list_entry *udev_list_entry_get_next(struct udev_list_entry *entry)
{
	return entry;
}

const char *udev_list_entry_get_name(struct udev_list_entry *entry)
{
	(void)entry;
	return NULL;
}

const char *udev_list_entry_get_value(struct udev_list_entry *entry)
{
	(void)entry;
	return NULL;
}

struct udev_monitor *udev_monitor_new_from_netlink(struct udev *udev, const char *name)
{
	struct udev_monitor *monitor = calloc(1, sizeof(*monitor));

	(void)udev, (void)name;
	if (!monitor)
		return NULL;
	monitor->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			     NETLINK_KOBJECT_UEVENT);
	if (monitor->fd >= 0)
		return monitor;
	free(monitor);
	return NULL;
}

struct udev_monitor *udev_monitor_unref(struct udev_monitor *monitor)
{
	if (monitor)
		close(monitor->fd);
	free(monitor);
	return NULL;
}

int udev_monitor_set_receive_buffer_size(struct udev_monitor *monitor, int size)
{
	return setsockopt(monitor->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ? -errno
											: 0;
}

int udev_monitor_filter_add_match_subsystem_devtype(struct udev_monitor *monitor,
						    const char *subsystem, const char *devtype)
{
	(void)devtype;
	if (strlen(subsystem) >= sizeof(monitor->subsystem))
		return -EINVAL;
	strcpy(monitor->subsystem, subsystem);
	return 0;
}

int udev_monitor_enable_receiving(struct udev_monitor *monitor)
{
	struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = GROUP_KERNEL};

	return bind(monitor->fd, (struct sockaddr *)&group, sizeof(group)) ? -errno : 0;
}

int udev_monitor_get_fd(struct udev_monitor *monitor)
{
	return monitor->fd;
}

const char *udev_device_get_property_value(struct udev_device *device, const char *key)
{
	size_t length = strlen(key);

	for (const char *text = device->text; text < device->text + device->size;
	     text += strlen(text) + 1)
		if (!strncmp(text, key, length) && text[length] == '=')
			return text + length + 1;
	return NULL;
}

const char *udev_device_get_action(struct udev_device *device)
{
	return udev_device_get_property_value(device, "ACTION");
}

struct udev_device *udev_device_unref(struct udev_device *device)
{
	free(device);
	return NULL;
}

/* Anybody may send to the group; the kernel's port is 0. */
struct udev_device *udev_monitor_receive_device(struct udev_monitor *monitor)
{
	struct udev_device *device = calloc(1, sizeof(*device));
	struct sockaddr_nl from = {0};
	socklen_t length = sizeof(from);
	const char *subsystem;
	ssize_t got;

	if (!device)
		return NULL;
	got = recvfrom(monitor->fd, device->text, MESSAGE_SIZE, MSG_TRUNC, (struct sockaddr *)&from,
		       &length);
	if (got > 0 && got <= MESSAGE_SIZE && !from.nl_pid) {
		device->size = (size_t)got;
		subsystem = udev_device_get_property_value(device, "SUBSYSTEM");
		if (!monitor->subsystem[0] || (subsystem && !strcmp(subsystem, monitor->subsystem)))
			return device;
	}
	if (got >= 0)
		errno = EAGAIN;
	free(device);
	return NULL;
}
