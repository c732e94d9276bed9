// SPDX-License-Identifier: BSD-2-Clause
/*
 * Shares what is read of the whole host, see look.h: without that, a look at each of a thousand
 * devices reads the files of all processes and the names of all interfaces a thousand times.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "file.h"
#include "guard/look.h"
#include "state.h"

bool look_begin(struct usrpci_host *host, struct look *look)
{
	if (host->look)
		return false;
	*look = (struct look){.group = -1};
	host->look = look;
	return true;
}

void look_end(struct usrpci_host *host, struct look *look)
{
	host->look = NULL;
	open_files_free(&look->files);
	free(look->net);
	free(look->provided);
	free(look->aliases);
	for (size_t i = 0; i < ARRAY_SIZE(look->lists); i++)
		free(look->lists[i].names);
}

static int compare_devices(const void *one, const void *other)
{
	const struct usrpci_dev_info *a = one, *b = other;

	return usrpci_addr_compare(&a->addr, &b->addr);
}

const struct usrpci_dev_info *look_at(const struct usrpci_dev_info *devices, int count,
				      const struct usrpci_addr *addr)
{
	const struct usrpci_dev_info wanted = {.addr = *addr};

	return count > 0 ? bsearch(&wanted, devices, (size_t)count, sizeof(wanted), compare_devices)
			 : NULL;
}

/* Of a device that sleeps the list does not know all, because it was not woken for it. */
int look_device(struct usrpci_host *host, const struct usrpci_addr *addr,
		struct usrpci_dev_info *info)
{
	const struct usrpci_dev_info *known = NULL;
	const struct look *look = host->look;

	if (look)
		known = look_at(look->devices, look->device_count, addr);
	if (!known || known->irq < 0)
		return usrpci_dev_lookup(host->ctx, addr, info);
	*info = *known;
	return 0;
}

bool look_driver(struct usrpci_host *host, const struct usrpci_addr *addr, char driver[NAME_SIZE])
{
	const struct look *look = host->look;
	const struct usrpci_dev_info *known =
		look ? look_at(look->devices, look->device_count, addr) : NULL;

	return known && strcpy(driver, known->driver);
}

int look_net(struct usrpci_host *host, struct net_item **items)
{
	struct look *look = host->look;

	if (!look)
		return host->kernel->read_net(host, items);
	if (!look->has_net)
		look->net_count = host->kernel->read_net(host, &look->net);
	look->has_net = true;
	*items = look->net;
	return look->net_count;
}

int look_provided(struct usrpci_host *host, struct usrpci_interface **list)
{
	struct look *look = host->look;

	if (!look)
		return usrpci_host_interfaces(host, list);
	if (!look->provided)
		look->provided_count = usrpci_host_interfaces(host, &look->provided);
	*list = look->provided;
	return look->provided_count;
}

int look_names(struct usrpci_host *host, enum look_list which, char ***names)
{
	static const char *const paths[LOOK_LISTS] = {
		[LOOK_RDMA] = "/sys/class/infiniband",
		[LOOK_BLOCK] = "/sys/class/block",
		[LOOK_WATCHDOGS] = "/sys/class/watchdog",
		[LOOK_NVIDIA] = "/proc/driver/nvidia/gpus",
		[LOOK_LENT] = STATE_DIR "/lent",
		[LOOK_JOURNAL] = STATE_DIR "/journal",
		[LOOK_MOVING] = STATE_DIR "/moving",
	};
	struct look_names *list = host->look ? &host->look->lists[which] : NULL;
	int count;

	if (list && list->read) {
		*names = list->names;
		return list->count;
	}
	count = dir_list(host->ctx, names, "%s", paths[which]);
	if (list && (count >= 0 || count == -ENOENT))
		*list = (struct look_names){*names, count, true};
	return count;
}

static int compare_names(const void *name, const void *entry)
{
	return strverscmp(name, *(char *const *)entry);
}

bool look_lacks(struct usrpci_host *host, enum look_list which, const char *name)
{
	char **names;
	int count;

	if (!host->look || !host->look->devices)
		return false;
	count = look_names(host, which, &names);
	if (count < 0)
		return count == -ENOENT;
	return !bsearch(name, names, (size_t)count, sizeof(*names), compare_names);
}

void look_release(struct usrpci_host *host, void *list)
{
	if (!host->look)
		free(list);
}

int look_files(struct usrpci_host *host, struct open_files *own, const struct open_files **files)
{
	struct open_files *list = host->look ? &host->look->files : own;

	*files = list;
	return list->read ? 0 : open_files_read(host, list);
}
