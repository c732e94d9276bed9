// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard: who uses a device. It only looks and tells; bind.c decides. A use that it cannot see
 * is worse than one that it only suspects, so what cannot be read counts as in use (-EIO).
 *
 * Leaves out: sound, cameras and whatever else only its own users miss, and programs that mapped a
 * device's registers and closed the file.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "driver.h"
#include "group.h"
#include "guard/guard.h"

#define LOG_SUBJECT "guard"
#include "log.h"

int use_add(struct use_list *list, enum usrpci_use_kind kind, const char *object,
	    const char *format, ...)
{
	struct usrpci_use *use;
	va_list args;

	if (list->count == list->size) {
		size_t size = list->size ? 2 * list->size : 8;

		use = reallocarray(list->uses, size, sizeof(*use));
		if (!use)
			return -ENOMEM;
		list->uses = use;
		list->size = size;
	}
	use = &list->uses[list->count++];
	use->kind = kind;
	snprintf(use->object, sizeof(use->object), "%s", object);
	va_start(args, format);
	vsnprintf(use->text, sizeof(use->text), format, args);
	va_end(args);
	return 0;
}

void use_prefix(struct usrpci_use *use, const char *name)
{
	char text[sizeof(use->text)];

	snprintf(text, sizeof(text), "%s: %.*s", name, (int)(sizeof(text) - USRPCI_ADDR_STRLEN - 3),
		 use->text);
	memcpy(use->text, text, sizeof(text));
}

bool class_owner(struct usrpci_host *host, const char *class_name, const char *name,
		 struct usrpci_addr *owner)
{
	char path[PATH_SIZE], target[PATH_SIZE], *rest = target, *part;
	ssize_t length = -1;
	bool found = false;

	if (!path_format(host->ctx, path, "/sys/class/%s/%s", class_name, name))
		length = readlink(path, target, sizeof(target) - 1);
	target[length < 0 ? 0 : length] = '\0';
	/* The last function on the way: what is behind a bridge is not the bridge's. */
	while ((part = strsep(&rest, "/")))
		found |= rest && !usrpci_addr_parse(part, owner);
	return found;
}

int class_members(struct usrpci_host *host, const struct usrpci_addr *addr, const char *class_name,
		  char (**members)[NAME_SIZE])
{
	int count, found = 0;
	char **names;
	int i;

	count = dir_list(host->ctx, &names, "/sys/class/%s", class_name);
	if (count == -ENOENT)
		count = 0, names = NULL;
	if (count < 0)
		return count;
	*members = calloc((size_t)count + 1, sizeof(**members));
	for (i = 0; *members && i < count; i++) {
		struct usrpci_addr owner;

		if (class_owner(host, class_name, names[i], &owner) &&
		    !usrpci_addr_compare(&owner, addr) && strlen(names[i]) < NAME_SIZE)
			strcpy((*members)[found++], names[i]);
	}
	free(names);
	return *members ? found : -ENOMEM;
}

static int guard_bridge(struct usrpci_host *host, const struct usrpci_dev_info *info,
			struct use_list *list)
{
	char name[USRPCI_ADDR_STRLEN];

	if (!is_bridge(info))
		return 0;
	usrpci_addr_format(&info->addr, name);
	return use_add(list, USRPCI_USE_BRIDGE, name,
		       "%s is a bridge: the devices behind it need it", name);
}

static int guard_display(struct usrpci_host *host, const struct usrpci_dev_info *info,
			 struct use_list *list)
{
	char name[USRPCI_ADDR_STRLEN];
	uint64_t boot_vga = 0;

	if (info->class_code >> 16 != 0x03 || driver_is_userspace(info->driver_kind))
		return 0;
	usrpci_addr_format(&info->addr, name);
	file_read_u64(host->ctx, &boot_vga, PCI_DEVICES "/%s/boot_vga", name);
	if (boot_vga)
		return use_add(list, USRPCI_USE_DISPLAY, name, "%s shows the console", name);
	if (file_exists(host->ctx, PCI_DEVICES "/%s/graphics", name))
		return use_add(list, USRPCI_USE_DISPLAY, name, "%s has a frame buffer console",
			       name);
	return 0;
}

/* Whether a word is in a list with blanks between its words. */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);
	const char *at = list;

	while ((at = strstr(at, word))) {
		if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
			return true;
		at += length;
	}
	return false;
}

static int guard_console(struct usrpci_host *host, const struct usrpci_dev_info *info,
			 struct use_list *list)
{
	char active[256], (*lines)[NAME_SIZE];
	int count, error = 0;
	int i;

	if (file_read(host->ctx, active, sizeof(active), "/sys/class/tty/console/active") <= 0)
		return 0;
	count = class_members(host, &info->addr, "tty", &lines);
	for (i = 0; !error && i < count; i++) {
		if (has_word(active, lines[i]))
			error = use_add(list, USRPCI_USE_CONSOLE, lines[i],
					"%s is the kernel's console", lines[i]);
	}
	if (count >= 0)
		free(lines);
	return error;
}

/*
 * The files that a virtual machine shares with its host. A mount of them may hide below an overlay,
 * so that they can be mounted is enough.
 */
static int guard_shares(struct usrpci_host *host, const struct usrpci_dev_info *info,
			struct use_list *list)
{
	char **names, name[USRPCI_ADDR_STRLEN], driver[NAME_SIZE], tag[64];
	int count, error = 0;
	int i;

	usrpci_addr_format(&info->addr, name);
	count = dir_list(host->ctx, &names, PCI_DEVICES "/%s", name);
	for (i = 0; !error && i < count; i++) {
		if (strncmp(names[i], "virtio", 6) != 0 ||
		    file_link_name(host->ctx, driver, sizeof(driver), PCI_DEVICES "/%s/%s/driver",
				   name, names[i]) ||
		    (strcmp(driver, "9pnet_virtio") != 0 && strcmp(driver, "virtiofs") != 0))
			continue;
		if (file_read(host->ctx, tag, sizeof(tag), PCI_DEVICES "/%s/%s/mount_tag", name,
			      names[i]) < 0)
			strcpy(tag, driver);
		error = use_add(list, USRPCI_USE_SHARE, name,
				"%s carries the file system \"%s\" of the virtual machine's host",
				name, tag);
	}
	if (count >= 0)
		free(names);
	return error;
}

/* A physical function that goes takes its virtual functions along. */
static int guard_functions(struct usrpci_host *host, const struct usrpci_dev_info *info,
			   struct use_list *list)
{
	char name[USRPCI_ADDR_STRLEN];
	uint64_t count = 0;

	usrpci_addr_format(&info->addr, name);
	if (file_read_u64(host->ctx, &count, PCI_DEVICES "/%s/sriov_numvfs", name) || !count)
		return 0;
	return use_add(list, USRPCI_USE_FUNCTIONS, name,
		       "%s has %u virtual functions, which vanish with its driver", name,
		       (unsigned int)count);
}

static int guard_group(struct usrpci_host *host, const struct usrpci_dev_info *info,
		       struct use_list *list)
{
	struct usrpci_dev_info *members;
	char name[USRPCI_ADDR_STRLEN];
	int count, error = 0;
	int i;

	if (!group_translates(host, info))
		return 0;
	count = group_endpoints(host, info, &members);
	for (i = 0; !error && i < count; i++) {
		const struct usrpci_dev_info *member = &members[i];

		if (!usrpci_addr_compare(&member->addr, &info->addr) ||
		    member->driver_kind != USRPCI_DRIVER_KERNEL)
			continue;
		usrpci_addr_format(&member->addr, name);
		error = use_add(list, USRPCI_USE_GROUP, name,
				"%s of the same IOMMU group %d belongs to %s", name,
				info->iommu_group, member->driver);
	}
	if (count < 0)
		return report(host->ctx, count, NULL, NULL, "cannot read IOMMU group %d",
			      info->iommu_group);
	free(members);
	return error;
}

typedef int guard_part(struct usrpci_host *host, const struct usrpci_dev_info *info,
		       struct use_list *list);

static int ask_parts(guard_part *const *parts, struct usrpci_host *host,
		     const struct usrpci_dev_info *info, struct use_list *list)
{
	int error = 0;

	for (; !error && *parts; parts++)
		error = (*parts)(host, info, list);
	return error;
}

int guard_classes(struct usrpci_host *host, const struct usrpci_dev_info *info,
		  struct use_list *list)
{
	static guard_part *const parts[] = {guard_network, guard_disks,   guard_shares,
					    guard_display, guard_console, guard_open_files,
					    NULL};

	return ask_parts(parts, host, info, list);
}

static int find_uses(struct usrpci_host *host, const struct usrpci_dev_info *info,
		     struct use_list *list)
{
	static guard_part *const parts[] = {guard_bridge,    guard_classes, guard_below,
					    guard_functions, guard_group,   NULL};

	return ask_parts(parts, host, info, list);
}

int usrpci_host_uses(struct usrpci_host *host, const struct usrpci_addr *addr,
		     struct usrpci_use **uses)
{
	struct usrpci_dev_info info;
	struct use_list list = {0};
	char name[USRPCI_ADDR_STRLEN];
	int error = usrpci_dev_lookup(host->ctx, addr, &info);

	if (error)
		return error;
	error = find_uses(host, &info, &list);
	if (!error) {
		*uses = list.uses;
		return (int)list.count;
	}
	free(list.uses);
	if (error == -ENOMEM)
		return error;
	log_error(host->ctx, usrpci_addr_format(addr, name), "--force takes it nevertheless",
		  "what uses it cannot be found out: it must be assumed to be in use");
	return -EIO;
}

void usrpci_host_uses_free(struct usrpci_use *uses)
{
	free(uses);
}
