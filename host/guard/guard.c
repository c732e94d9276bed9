// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard: who uses a device. It only looks and tells; bind.c decides. Whatever uses something
 * below a function uses the function. A use that the guard cannot see is worse than one that it
 * only suspects, so what cannot be found out counts as a use, too.
 *
 * It does not see files of a device that are on their way from one program to another through a
 * socket: the kernel shows them nowhere.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "file.h"
#include "driver.h"
#include "group.h"
#include "guard/guard.h"
#include "guard/look.h"
#include "unread.h"

static int add(struct guard *guard, const struct leaf *leaf, const struct usrpci_use *use)
{
	bool below = leaf && leaf->function;
	struct usrpci_use *uses = array_grow(guard->uses, guard->count, 1, sizeof(*uses));

	if (!uses)
		return -ENOMEM;
	guard->uses = uses;
	guard->uses[guard->count] = *use;
	if (below)
		snprintf(guard->uses[guard->count].text, sizeof(use->text), "%s: %.*s",
			 tree_function(&guard->tree, leaf),
			 (int)(sizeof(use->text) - USRPCI_ADDR_STRLEN - 3), use->text);
	guard->count++;
	return 0;
}

int use_add(struct guard *guard, const struct leaf *leaf, enum usrpci_use_kind kind,
	    const char *object, const char *format, ...)
{
	struct usrpci_use use = {.kind = kind};
	va_list args;

	snprintf(use.object, sizeof(use.object), "%s", object);
	make_printable(use.object);
	cure_usual(kind, use.object, use.cure, sizeof(use.cure));
	va_start(args, format);
	vsnprintf(use.text, sizeof(use.text), format, args);
	va_end(args);
	make_printable(use.text);
	return add(guard, leaf, &use);
}

int use_cure(struct guard *guard, const char *format, ...)
{
	struct usrpci_use *use = &guard->uses[guard->count - 1];
	char cure[sizeof(use->cure)];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(cure, sizeof(cure), format, args);
	va_end(args);
	if (length >= (int)sizeof(cure) || !is_printable(cure))
		return 0;
	cure_name_files(cure);
	strcpy(use->cure, cure);
	return 0;
}

int use_unknown(struct guard *guard, int error, const char *cure, const char *format, ...)
{
	struct usrpci_use use = {.kind = USRPCI_USE_UNKNOWN};
	size_t length;
	va_list args;

	if (error == -ENOMEM)
		return error;
	usrpci_addr_format(&guard->info->addr, use.object);
	snprintf(use.cure, sizeof(use.cure), "%s", cure);
	va_start(args, format);
	vsnprintf(use.text, sizeof(use.text), format, args);
	va_end(args);
	make_printable(use.text);
	length = strlen(use.text);
	if (error)
		snprintf(use.text + length, sizeof(use.text) - length, ": %s", strerror(-error));
	return add(guard, NULL, &use);
}

static int guard_bridge(struct guard *guard)
{
	const char *name = guard->tree.leaves[0].name;

	if (!is_bridge(guard->info))
		return 0;
	return use_add(guard, NULL, USRPCI_USE_BRIDGE, name,
		       "%s is a bridge: the devices behind it need it", name);
}

/* A physical function that goes takes its virtual functions along. */
static int guard_functions(struct guard *guard, const struct leaf *function)
{
	uint64_t count = 0;

	if (!function->has_functions ||
	    file_read_u64(guard->host->ctx, &count, "%s/sriov_numvfs", function->path) || !count)
		return 0;
	return use_add(guard, function, USRPCI_USE_FUNCTIONS, function->name,
		       "%s has %u virtual function%s with its driver", function->name,
		       (unsigned int)count, count == 1 ? ", which vanishes" : "s, which vanish");
}

static int guard_below(struct guard *guard)
{
	const struct tree *tree = &guard->tree;
	int error = 0;

	for (size_t i = 0; !error && i < tree->count; i++) {
		const struct leaf *leaf = &tree->leaves[i];

		if (!leaf_is(leaf, "pci"))
			continue;
		if (i)
			error = use_add(guard, NULL, USRPCI_USE_BELOW, leaf->name,
					"%s is below it, and vanishes with its driver", leaf->name)
					?: use_cure(guard,
						    "usrpci bind --force %s # once nothing uses %s",
						    tree->leaves[0].name, leaf->name);
		if (!error)
			error = guard_functions(guard, leaf);
	}
	return error;
}

/*
 * vfio leaves a group alone whose functions have other drivers, whether anybody uses them or not.
 */
static bool is_stranger(const struct guard *guard, const struct usrpci_dev_info *member)
{
	if (member->driver_kind == USRPCI_DRIVER_UIO)
		return guard->info->driver_kind != USRPCI_DRIVER_UIO;
	return member->driver_kind == USRPCI_DRIVER_KERNEL &&
	       usrpci_addr_compare(&member->addr, &guard->info->addr) != 0;
}

/* The cure takes the whole group, of which this is a part. */
static int add_stranger(struct guard *guard, const struct usrpci_dev_info *member)
{
	char name[USRPCI_ADDR_STRLEN];
	int error;

	usrpci_addr_format(&member->addr, name);
	error = use_add(guard, NULL, USRPCI_USE_GROUP, name,
			"%s of the same IOMMU group %d belongs to %s", name,
			guard->info->iommu_group, member->driver);
	if (!error)
		cure_usual(USRPCI_USE_GROUP, guard->tree.leaves[0].name,
			   guard->uses[guard->count - 1].cure, sizeof(guard->uses->cure));
	return error;
}

static int guard_group(struct guard *guard)
{
	struct usrpci_dev_info *members;
	int count, error = 0;

	/* A bridge is never taken, with its group or alone. */
	if (is_bridge(guard->info) || !group_translates(guard->host, guard->info))
		return 0;
	count = group_endpoints(guard->host, guard->info, &members);
	if (count < 0)
		return use_unknown(guard, count, "run on the host itself",
				   "IOMMU group %d cannot be read", guard->info->iommu_group);
	for (int i = 0; !error && i < count; i++)
		if (is_stranger(guard, &members[i]))
			error = add_stranger(guard, &members[i]);
	free(members);
	return error;
}

/* A device with the root file system cannot be had, whatever else of it can be ended. */
static void cure_root(struct guard *guard)
{
	for (size_t i = 0; guard->has_root && i < guard->count; i++)
		snprintf(guard->uses[i].cure, sizeof(guard->uses[i].cure), "%s",
			 "choose another device: the root file system is on this one");
}

static int look(struct guard *guard)
{
	static int (*const parts[])(struct guard *) = {
		guard_bridge, guard_below,   guard_network,    guard_disks,
		guard_kernel, guard_console, guard_open_files, guard_group,
	};
	int error = tree_read(guard->host, guard->info, &guard->tree);

	if (guard->tree.count == 0)
		return error ?: -ENODEV;
	if (error)
		error = use_unknown(guard, error, "run on the host itself",
				    "the devices below it cannot be read");
	for (size_t i = 0; !error && i < ARRAY_SIZE(parts); i++)
		error = parts[i](guard);
	cure_root(guard);
	return error;
}

/* A file that could not be read might have shown a use, even if a part of the guard went on. */
static int look_at_all(struct guard *guard)
{
	unsigned int before = unread_count(guard->host->ctx);
	int error = look(guard);

	if (error || unread_count(guard->host->ctx) == before)
		return error;
	return use_unknown(guard, 0, "run it again",
			   "files that might show a use of it cannot be read");
}

int guard_look(struct usrpci_host *host, const struct usrpci_dev_info *info, bool with_notes,
	       struct guard_view *view)
{
	struct guard guard = {.host = host, .info = info}, notes;
	struct look look;
	bool begun = look_begin(host, &look);
	int error = look_at_all(&guard);

	if (begun)
		look_end(host, &look);
	notes = (struct guard){.host = host,
			       .info = info,
			       .tree = guard.tree,
			       .is_listened_to = guard.is_listened_to};
	if (!error && with_notes)
		error = guard_notes(&notes);
	free(guard.tree.leaves);
	if (error) {
		free(guard.uses);
		free(notes.uses);
		return error;
	}
	*view = (struct guard_view){guard.uses, notes.uses, guard.count, notes.count};
	return 0;
}

int usrpci_host_uses(struct usrpci_host *host, const struct usrpci_addr *addr,
		     struct usrpci_use **uses)
{
	struct usrpci_dev_info info;
	struct guard_view view;
	int error = usrpci_dev_lookup(host->ctx, addr, &info);

	*uses = NULL;
	if (!error)
		error = guard_look(host, &info, false, &view);
	if (error)
		return error;
	*uses = view.uses;
	return (int)view.use_count;
}

void usrpci_host_uses_free(struct usrpci_use *uses)
{
	free(uses);
}
