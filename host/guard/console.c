// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's part for consoles: displays, the frame buffer that the firmware left on a BAR, and
 * the lines that the kernel writes its messages to.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <usrpci/bar.h>

#include "array.h"
#include "driver.h"
#include "file.h"
#include "guard/guard.h"

#define IOMEM_SIZE 65536

struct range {
	uint64_t start, end;
};

static int guard_display(struct guard *guard, const struct leaf *function,
			 const struct usrpci_dev_info *info)
{
	uint64_t boot_vga = 0;

	if (driver_is_userspace(info->driver_kind))
		return 0;
	file_read_u64(guard->host->ctx, &boot_vga, "%s/boot_vga", function->path);
	if (!boot_vga && !file_exists(guard->host->ctx, "%s/graphics", function->path))
		return 0;
	return use_add(guard, function, USRPCI_USE_DISPLAY, function->name, "%s %s", function->name,
		       boot_vga ? "shows the console" : "has a frame buffer console");
}

/* "  e0000000-e07fffff : BOOTFB"; addresses are zeros for others than root. */
static bool is_boot_frame_buffer(const char *line, struct range *range)
{
	static const char *const names[] = {"BOOTFB", "efifb", "vesafb", "simplefb",
					    "simple-framebuffer"};
	char name[NAME_SIZE];

	if (sscanf(line, " %" SCNx64 "-%" SCNx64 " : %31s", &range->start, &range->end, name) != 3)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return range->end != 0;
	return false;
}

static bool is_on_bar(struct guard *guard, const struct leaf *function, const struct range *range)
{
	char text[2048], *rest = text, *line;
	struct range bar;

	if (file_read(guard->host->ctx, text, sizeof(text), "%s/resource", function->path) < 0)
		return false;
	for (int i = 0; i < USRPCI_BARS && (line = strsep(&rest, "\n")); i++)
		if (sscanf(line, "%" SCNx64 " %" SCNx64, &bar.start, &bar.end) == 2 &&
		    bar.start <= range->start && range->end <= bar.end)
			return true;
	return false;
}

/* The kernel keeps others from a BAR with such a frame buffer, vfio as well. */
static int guard_boot_display(struct guard *guard, const struct leaf *function)
{
	char text[IOMEM_SIZE], *rest = text, *line;
	struct range range;

	if (file_read(guard->host->ctx, text, sizeof(text), "/proc/iomem") < 0)
		return 0;
	while ((line = strsep(&rest, "\n"))) {
		if (!is_boot_frame_buffer(line, &range) || !is_on_bar(guard, function, &range))
			continue;
		return use_add(guard, function, USRPCI_USE_DISPLAY, function->name,
			       "the frame buffer of the firmware is on a BAR of %s", function->name)
			       ?: use_cure(
					  guard,
					  "add initcall_blacklist=sysfb_init to the kernel's command "
					  "line and reboot");
	}
	return 0;
}

static int guard_displays(struct guard *guard, const struct leaf *function)
{
	struct usrpci_dev_info info = *guard->info;
	struct usrpci_addr addr;

	if (usrpci_addr_parse(function->name, &addr) ||
	    (usrpci_addr_compare(&addr, &info.addr) != 0 &&
	     usrpci_dev_lookup(guard->host->ctx, &addr, &info)) ||
	    info.class_code >> 16 != 0x03)
		return 0;
	return guard_display(guard, function, &info) ?: guard_boot_display(guard, function);
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

/* The lines of virtio hang on no device in sysfs: any of them may be of this one. */
static bool is_console(const struct leaf *leaf, const char *active)
{
	if (leaf_is(leaf, "tty"))
		return has_word(active, leaf->name);
	return leaf_is(leaf, "virtio") && !strcmp(leaf->driver, "virtio_console") &&
	       (!strncmp(active, "hvc", 3) || strstr(active, " hvc"));
}

static int guard_line(struct guard *guard, const struct leaf *leaf)
{
	const char *name = leaf_is(leaf, "tty") ? leaf->name : "hvc0";
	char active[256];

	if (!leaf_is(leaf, "tty") && !leaf_is(leaf, "virtio"))
		return 0;
	if (file_read(guard->host->ctx, active, sizeof(active), "/sys/class/tty/console/active") <
	    0)
		active[0] = '\0';
	if (!is_console(leaf, active))
		return 0;
	return use_add(guard, leaf, USRPCI_USE_CONSOLE, name, "%s is the kernel's console", name);
}

int guard_console(struct guard *guard)
{
	int error = 0;

	for (size_t i = 0; !error && i < guard->tree.count; i++) {
		const struct leaf *leaf = &guard->tree.leaves[i];

		error = leaf_is(leaf, "pci") ? guard_displays(guard, leaf)
					     : guard_line(guard, leaf);
	}
	return error;
}
