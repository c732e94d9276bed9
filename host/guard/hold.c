// SPDX-License-Identifier: BSD-2-Clause
/*
 * Holds a device that is taken from its driver, see hold.h. Nobody can mount a partition, or swap
 * to it, while the whole disk is open exclusively: the kernel's bd_may_claim(). That does not keep
 * a driver from letting go of it. For interfaces there is no such thing, but what comes to them can
 * be told with certainty, also when it was too late.
 */

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "guard/guard.h"
#include "guard/hold.h"
#include "guard/loop.h"
#include "guard/netlink.h"
#include "shell.h"

int hold_keep(struct hold *hold, int fd)
{
	int *disks = array_grow(hold->disks, hold->disk_count, 1, sizeof(*disks));

	if (!disks) {
		close(fd);
		return -ENOMEM;
	}
	hold->disks = disks;
	disks[hold->disk_count++] = fd;
	return 0;
}

bool hold_has(const struct hold *hold, dev_t number)
{
	struct stat status;

	for (size_t i = 0; i < hold->disk_count; i++)
		if (!fstat(hold->disks[i], &status) && status.st_rdev == number)
			return true;
	return false;
}

int hold_name(struct hold *hold, const struct leaf *disk)
{
	struct hold_name *names;

	for (size_t i = 0; i < hold->name_count; i++)
		if (hold->names[i].number == disk->number)
			return 0;
	names = array_grow(hold->names, hold->name_count, 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	hold->names = names;
	names = &names[hold->name_count++];
	names->number = disk->number;
	snprintf(names->name, sizeof(names->name), "%s", disk->name);
	return 0;
}

static const char *name_of(const struct hold *hold, const struct loop *loop)
{
	for (size_t i = 0; i < hold->name_count; i++)
		if (loop->number && hold->names[i].number == loop->number)
			return hold->names[i].name;
	return NULL;
}

bool hold_loops(struct usrpci_host *host, const struct hold *hold, char text[HOLD_TEXT],
		char cure[HOLD_TEXT])
{
	struct loop *loops = NULL;
	int count = hold->name_count ? loops_read(host, &loops) : 0;
	bool found = count < 0;

	snprintf(text, HOLD_TEXT, "it is unknown which loop devices have its disks");
	snprintf(cure, HOLD_TEXT, "run it again");
	for (int i = 0; !found && i < count; i++) {
		const char *disk = name_of(hold, &loops[i]), *loop = loops[i].name;

		if (!disk)
			continue;
		found = true;
		snprintf(text, HOLD_TEXT, "%.30s is exported by %.30s", disk, loop);
		snprintf(cure, HOLD_TEXT, "losetup -d /dev/%.24s; losetup /dev/%.24s /dev/%.24s",
			 loop, loop, disk);
		cure_name_files(cure);
	}
	free(loops);
	return found;
}

int hold_listen(struct usrpci_host *host, struct hold *hold, const struct leaf *leaf)
{
	struct net_name *interfaces;
	uint64_t index;
	int error = file_read_u64(host->ctx, &index, "%s/ifindex", leaf->path);

	for (size_t i = 0; !error && i < hold->interface_count; i++)
		if (hold->interfaces[i].index == index)
			return 0;
	if (!error && !hold->events)
		hold->events = netlink_listen();
	if (error || !hold->events)
		return error ?: -errno;
	interfaces = array_grow(hold->interfaces, hold->interface_count, 1, sizeof(*interfaces));
	if (!interfaces)
		return -ENOMEM;
	hold->interfaces = interfaces;
	interfaces[hold->interface_count].index = (unsigned int)index;
	snprintf(interfaces[hold->interface_count++].name, IF_NAMESIZE, "%.15s", leaf->name);
	return 0;
}

static bool is_held(const struct hold *hold, const struct net_item *item)
{
	for (size_t i = 0; i < hold->interface_count; i++)
		if (!strcmp(hold->interfaces[i].name, item->interface))
			return true;
	return false;
}

static void describe(const struct net_item *item, char text[HOLD_TEXT], char cure[HOLD_TEXT])
{
	const char *name = item->interface;
	char word[INTERFACE_WORD];

	shell_word(name, word, sizeof(word));
	switch (item->kind) {
	case NET_ADDRESS:
		snprintf(text, HOLD_TEXT, "%s carries %s", name, item->text);
		snprintf(cure, HOLD_TEXT, "ip address add %s dev %s", item->text, word);
		break;
	case NET_ROUTE:
		snprintf(text, HOLD_TEXT, "%s carries the route to %s", name, item->text);
		snprintf(cure, HOLD_TEXT, "ip route add %s dev %s", item->text, word);
		break;
	case NET_ELSEWHERE:
		snprintf(text, HOLD_TEXT, "%s is in another network namespace", name);
		snprintf(cure, HOLD_TEXT, "ip link set %s netns NAME # where it was given to",
			 word);
		break;
	default:
		snprintf(text, HOLD_TEXT, "%s is part of %s", name, item->text);
		snprintf(cure, HOLD_TEXT, "make %s a part of %s again", name, item->text);
	}
}

bool hold_news(struct hold *hold, char text[HOLD_TEXT], char cure[HOLD_TEXT])
{
	struct net_list list = {.known = hold->interfaces, .known_count = hold->interface_count};
	int error = hold->events ? netlink_read_events(hold->events, &list) : 0;

	snprintf(text, HOLD_TEXT, "what comes to its interface cannot be heard");
	snprintf(cure, HOLD_TEXT, "run it again");
	for (size_t i = 0; !error && i < list.count; i++) {
		if (!is_held(hold, &list.items[i]))
			continue;
		describe(&list.items[i], text, cure);
		error = 1;
	}
	free(list.items);
	if (error < 0) {
		snprintf(text, HOLD_TEXT, "what came to %s cannot be heard (%s)",
			 hold->interfaces[0].name, strerror(-error));
		snprintf(cure, HOLD_TEXT, "give %s what it has to have", hold->interfaces[0].name);
	}
	return error != 0;
}

void hold_end_disks(struct hold *hold)
{
	while (hold->disk_count > 0)
		close(hold->disks[--hold->disk_count]);
}

void hold_end(struct hold *hold)
{
	hold_end_disks(hold);
	free(hold->disks);
	free(hold->names);
	free(hold->interfaces);
	if (hold->events)
		mnl_socket_close(hold->events);
	*hold = (struct hold){0};
}
