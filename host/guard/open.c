// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's part for open files: which process has a file of the device, or of anything below it,
 * open. Besides breaking that process, taking the device from its driver may wait for it in the
 * kernel, unkillably. Files are known by their device numbers, whatever they are called in whose
 * /dev; those of sysfs and /proc/bus/pci by their paths.
 *
 * Files on their way through a socket are not seen.
 */

#include <ctype.h>
#include <errno.h>
#include <linux/major.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file.h"
#include "guard/guard.h"
#include "guard/hold.h"
#include "guard/look.h"
#include "guard/processes.h"
#include "lend/lend.h"

/* Of /dev/watchdog: WATCHDOG_MINOR of the kernel's linux/miscdevice.h. */
#define WATCHDOG_MINOR 130

/* NVIDIA's files have the number 195, and no file "dev" below the device. */
#define NVIDIA_MAJOR 195

static int add_vfio_group(struct guard *guard, const char *prefix)
{
	char path[PATH_SIZE], name[NAME_SIZE];

	snprintf(name, sizeof(name), "%s%d", prefix, guard->info->iommu_group);
	snprintf(path, sizeof(path), "/sys/class/vfio/%s", name);
	return tree_add(&guard->tree, path, name, "vfio", 0, leaf_number(guard->host, path));
}

/* "Device Minor: 	 0" */
static int add_nvidia(struct guard *guard, size_t function)
{
	const char *line, *key = "Device Minor:";
	char text[1024], path[PATH_SIZE], name[NAME_SIZE];
	unsigned int number;

	if (look_lacks(guard->host, LOOK_NVIDIA, guard->tree.leaves[function].name))
		return 0;
	snprintf(path, sizeof(path), "/proc/driver/nvidia/gpus/%s/information",
		 guard->tree.leaves[function].name);
	if (file_read(guard->host->ctx, text, sizeof(text), "%s", path) < 0)
		return 0;
	line = strstr(text, key);
	if (!line || sscanf(line + strlen(key), "%u", &number) != 1)
		return 0;
	snprintf(name, sizeof(name), "nvidia%u", number);
	return tree_add(&guard->tree, path, name, "nvidia", function,
			makedev(NVIDIA_MAJOR, number));
}

/* Not every driver says whose its watchdog is; then it goes by the driver's name. */
static int add_watchdog(struct guard *guard, size_t function, const char *name)
{
	char identity[NAME_SIZE], path[PATH_SIZE];
	const struct leaf *leaf = &guard->tree.leaves[function];

	snprintf(path, sizeof(path), "/sys/class/watchdog/%s", name);
	if (!leaf->driver[0] || file_exists(guard->host->ctx, "%s/device", path) ||
	    file_read(guard->host->ctx, identity, sizeof(identity), "%s/identity", path) <= 0 ||
	    strcasecmp(identity, leaf->driver) != 0)
		return 0;
	return tree_add(&guard->tree, path, name, "watchdog", function,
			leaf_number(guard->host, path));
}

static int add_watchdogs(struct guard *guard, size_t functions)
{
	char **names;
	int count = look_names(guard->host, LOOK_WATCHDOGS, &names), error = 0;

	for (int i = 0; i < count; i++) {
		for (size_t leaf = 0; !error && leaf < functions; leaf++)
			if (leaf_is(&guard->tree.leaves[leaf], "pci"))
				error = add_watchdog(guard, leaf, names[i]);
	}
	look_release(guard->host, names);
	return error;
}

/* The first watchdog has a second file, which is older than the class. */
static int add_first_watchdog(struct guard *guard)
{
	for (size_t i = 0; i < guard->tree.count; i++)
		if (leaf_is(&guard->tree.leaves[i], "watchdog") &&
		    !strcmp(guard->tree.leaves[i].name, "watchdog0"))
			return tree_add(&guard->tree, "/sys/class/misc/watchdog", "watchdog",
					"misc", guard->tree.leaves[i].function,
					makedev(MISC_MAJOR, WATCHDOG_MINOR));
	return 0;
}

/* Adds the files in /dev that sysfs does not show below the device. */
static int add_files(struct guard *guard)
{
	size_t count = guard->tree.count;
	int error = 0;

	if (guard->info->driver_kind == USRPCI_DRIVER_VFIO && guard->info->iommu_group >= 0)
		error = add_vfio_group(guard, "") ?: add_vfio_group(guard, "noiommu-");
	for (size_t i = 0; !error && i < count; i++)
		if (leaf_is(&guard->tree.leaves[i], "pci"))
			error = add_nvidia(guard, i);
	return error ?: add_watchdogs(guard, count) ?: add_first_watchdog(guard);
}

/* A host that is made of files has no device numbers, but paths. */
static bool has_name(const struct leaf *leaf, const char *path)
{
	const char *directory = leaf_is(leaf, "vfio") ? "/dev/vfio/" : "/dev/";
	const char *name = strrchr(path, '/');

	return !strncmp(path, directory, strlen(directory)) && !strcmp(name + 1, leaf->name);
}

/*
 * "/sys/devices/pci0000:00/0000:03:00.0/resource0"; the bus hangs on other devices where no ACPI
 * tells of it, or where a hypervisor does. "resource" alone is a text that anybody may read.
 */
static bool is_register(const struct leaf *leaf, const char *path)
{
	char part[NAME_SIZE + 16];
	const char *file;

	snprintf(part, sizeof(part), "/%s/resource", leaf->name);
	file = strstr(path, "/devices/") ? strstr(path, part) : NULL;
	return file && isdigit((unsigned char)file[strlen(part)]);
}

static bool ends_with(const char *path, const char *end)
{
	size_t length = strlen(path), size = strlen(end);

	return length >= size && !strcmp(path + length - size, end);
}

/*
 * "/proc/bus/pci/03/00.0", and "/proc/bus/pci/0001:03/00.0" in other domains than 0: whoever has
 * this file open may map the BARs by it (drivers/pci/proc.c of the kernel).
 */
static bool is_of_proc(const struct leaf *leaf, const char *path)
{
	struct usrpci_addr addr;
	char domain[16] = "", end[64];

	if (usrpci_addr_parse(leaf->name, &addr))
		return false;
	if (addr.domain)
		snprintf(domain, sizeof(domain), "%04x:", addr.domain);
	snprintf(end, sizeof(end), "/bus/pci/%s%02x/%02x.%x", domain, addr.bus, addr.dev, addr.fn);
	return ends_with(path, end);
}

static bool is_file_of(const struct guard *guard, const struct leaf *leaf,
		       const struct open_file *file)
{
	if (leaf_is(leaf, "pci") && (is_register(leaf, file->path) || is_of_proc(leaf, file->path)))
		return true;
	if (!host_is_live(guard->host))
		return has_name(leaf, file->path);
	return leaf->number && leaf->number == file->number &&
	       file->type == (leaf_is(leaf, "block") ? S_IFBLK : S_IFCHR);
}

static int add_process(struct guard *guard, const struct leaf *leaf, const struct open_file *file)
{
	char command[NAME_SIZE], object[64];
	const char *pid = file->pid;
	int error;

	host_process_name(guard->host, pid, command, sizeof(command));
	snprintf(object, sizeof(object), "pid %s (%s)", pid, command);
	error = use_add(guard, leaf, USRPCI_USE_OPEN, object, "%s has %s open", object, file->path);
	if (!error && leaf_is(leaf, "nvidia"))
		return use_cure(guard, "kill %s # NVIDIA: systemctl stop nvidia-persistenced", pid);
	return error ?: use_cure(guard, "kill %s # or end %s as it is meant to be", pid, command);
}

/* This program has the disks open that it holds for as long as it takes the device. */
static bool is_held(const struct guard *guard, const struct open_file *file)
{
	return guard->host->hold && file->type == S_IFBLK && atoi(file->pid) == getpid() &&
	       hold_has(guard->host->hold, file->number);
}

/* One file a process is enough to name it. */
static int add_processes(struct guard *guard, const struct open_files *files)
{
	const char *named = "";
	int error = 0;

	for (size_t i = 0; !error && i < files->count; i++) {
		const struct open_file *file = &files->list[i];

		if (is_held(guard, file))
			continue;
		for (size_t leaf = 0; leaf < guard->tree.count && strcmp(named, file->pid) != 0;
		     leaf++) {
			if (!is_file_of(guard, &guard->tree.leaves[leaf], file))
				continue;
			error = add_process(guard, &guard->tree.leaves[leaf], file);
			named = file->pid;
		}
	}
	return error;
}

/* A process of which some files cannot be seen, "" if there is none. */
static int add_hidden(struct guard *guard, const char *pid, const char *how)
{
	char cure[64];

	if (!pid[0])
		return 0;
	snprintf(cure, sizeof(cure), "end the process %s", pid);
	return use_unknown(guard, 0, cure, "the files that pid %s has %s cannot be seen", pid, how);
}

static int judge_files(struct guard *guard, const struct open_files *files)
{
	int error;

	if (files->error)
		return use_unknown(guard, files->error, "mount -t proc proc /proc",
				   "/proc is not mounted: open files cannot be seen");
	error = add_processes(guard, files) ?:
		add_hidden(guard, files->ring, "registered with an io_uring") ?:
		add_hidden(guard, files->maps, "mapped");
	if (!error && files->blindness)
		return use_unknown(guard, 0, files->blindness,
				   "the files that other programs have open cannot be seen");
	return error;
}

static int add_loan(struct guard *guard, const struct usrpci_lent *lent)
{
	char object[64];

	snprintf(object, sizeof(object), "pid %d (%.40s)", lent->program, lent->command);
	if (!lent->abandoned)
		return use_add(guard, NULL, USRPCI_USE_LENT, object, "it is lent to %s (broker %d)",
			       lent->command, lent->broker);
	return use_add(guard, NULL, USRPCI_USE_LENT, object,
		       "a run that has ended had it, and it is not cleaned up yet")
		       ?: use_cure(guard, "usrpci restore --all");
}

/*
 * The broker of a loan has the device open, and perhaps the program; ending the broker would strand
 * the device. Returns whether it is lent, or a negative errno.
 */
static int guard_loan(struct guard *guard)
{
	struct usrpci_lent lent;
	int found = guard->host->lends ? 0 : lend_note_find(guard->host, &guard->info->addr, &lent);

	if (found < 0)
		return use_unknown(guard, found, "remove its note in /run/usrpci/lent",
				   "it cannot be found out whether it is lent")
			       ?: 1;
	return found ? add_loan(guard, &lent) ?: 1 : 0;
}

int guard_open_files(struct guard *guard)
{
	const struct open_files *files;
	struct open_files own = {0};
	int error = guard_loan(guard);

	if (error)
		return error < 0 ? error : 0;
	error = add_files(guard) ?:
		look_files(guard->host, &own, &files) ?: judge_files(guard, files);
	open_files_free(&own);
	return error;
}
