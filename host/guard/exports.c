// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's part for disks that the kernel itself gives on, without a mount, a holder or an open
 * file: loop devices, NVMe over fabrics (nvmet), SCSI targets (LIO). See the kernel's
 * drivers/nvme/target/configfs.c and Documentation/target/.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "file.h"
#include "guard/guard.h"

#define CONFIGFS "/sys/kernel/config"
#define NVMET    CONFIGFS "/nvmet/subsystems"
#define LIO      CONFIGFS "/target/core"

/* Adds a use for the disk that a path leads to, if it is one of the device's. */
static int add_path(struct guard *guard, const char *path, const char *what, const char *cure)
{
	const struct tree *tree = &guard->tree;
	int error = 0;

	for (size_t i = 0; !error && i < tree->count; i++) {
		const struct leaf *leaf = &tree->leaves[i];

		if ((leaf_is(leaf, "block") || leaf_is(leaf, "nvme")) &&
		    is_disk_path(guard->host, leaf, path))
			error = use_add(guard, leaf, USRPCI_USE_EXPORT, leaf->name,
					"%s is exported by %s", leaf->name, what)
					?: use_cure(guard, "%s", cure);
	}
	return error;
}

/* As add_path(), of a file with a path in it. */
static int add_export(struct guard *guard, const char *file, const char *what, const char *cure)
{
	char path[PATH_SIZE];

	if (file_read(guard->host->ctx, path, sizeof(path), "%s", file) <= 0)
		return 0;
	return add_path(guard, path, what, cure);
}

/* The numbers of the kernel's huge_encode_dev(). */
static dev_t decode_number(uint64_t number)
{
	return makedev(number >> 8 & 0xfff, (number & 0xff) | (number >> 12 & 0xfff00));
}

static int add_number(struct guard *guard, dev_t number, const char *what, const char *cure)
{
	int error = 0;

	for (size_t i = 0; !error && number && i < guard->tree.count; i++) {
		const struct leaf *leaf = &guard->tree.leaves[i];

		if (leaf_is(leaf, "block") && leaf->number == number)
			error = use_add(guard, leaf, USRPCI_USE_EXPORT, leaf->name,
					"%s is exported by %s", leaf->name, what)
					?: use_cure(guard, "%s", cure);
	}
	return error;
}

/*
 * Whether a loop device's file may be a disk's that this program cannot look up: it was deleted, or
 * stands in the /dev of a container.
 */
static bool may_be_disk(struct usrpci_host *host, const char *path)
{
	return strstr(path, " (deleted)") ||
	       (strstr(path, "/dev/") && !file_exists(host->ctx, "%s", path));
}

/* Where the device cannot be asked, there is the path, as some other program knows it. */
static int guard_backing_path(struct guard *guard, const char *name, const char *cure)
{
	const struct tree *tree = &guard->tree;
	char path[PATH_SIZE];
	int before = (int)guard->count, error;

	if (file_read(guard->host->ctx, path, sizeof(path), "/sys/class/block/%s/loop/backing_file",
		      name) <= 0)
		return 0;
	error = add_path(guard, path, name, cure);
	if (error || (int)guard->count > before || !may_be_disk(guard->host, path))
		return error;
	for (size_t i = 0; i < tree->count; i++)
		if (leaf_is(&tree->leaves[i], "block"))
			return use_unknown(guard, 0, cure, "it cannot be seen which disk %s has",
					   name);
	return 0;
}

/* The path is that of the program that opened the file, if there at all; the number is true. */
static int guard_loop(struct guard *guard, const char *name, const char *unused)
{
	char cure[2 * NAME_SIZE + 64];
	struct loop_info64 info;
	bool asked = false;

	if (strncmp(name, "loop", 4) != 0 ||
	    !file_exists(guard->host->ctx, "/sys/class/block/%s/loop", name))
		return 0;
	/* Of a loop device in use, losetup -d succeeds and waits for its last user. */
	snprintf(cure, sizeof(cure), "losetup -d /dev/%s # once lsblk /dev/%s shows nothing on it",
		 name, name);
	if (host_is_live(guard->host)) {
		AUTO_CLOSE int fd = file_open(guard->host->ctx, O_RDONLY | O_NONBLOCK, "/dev/%s",
					      name);

		asked = fd >= 0 && !ioctl(fd, LOOP_GET_STATUS64, &info);
	}
	return asked ? add_number(guard, decode_number(info.lo_rdevice), name, cure)
		     : guard_backing_path(guard, name, cure);
}

static int guard_nvmet(struct guard *guard, const char *name, const char *directory)
{
	char file[PATH_SIZE], what[96], cure[PATH_SIZE], enabled[8];

	if (file_read(guard->host->ctx, enabled, sizeof(enabled), "%s/%s/enable", directory,
		      name) <= 0 ||
	    enabled[0] == '0')
		return 0;
	snprintf(file, sizeof(file), "%.240s/%.200s/device_path", directory, name);
	snprintf(what, sizeof(what), "nvmet, namespace %.60s", name);
	snprintf(cure, sizeof(cure), "echo 0 > %.240s/%.200s/enable", directory, name);
	return add_export(guard, file, what, cure);
}

/* The path that a program gave on, or that of fileio: "TCM FILEIO ID: 0  File: /dev/sda  Size: ...". */
static int guard_lio(struct guard *guard, const char *name, const char *directory)
{
	char file[PATH_SIZE], what[96], cure[PATH_SIZE], info[1024], path[256];
	const char *at = NULL;
	int error;

	snprintf(file, sizeof(file), "%.240s/%.200s/udev_path", directory, name);
	snprintf(what, sizeof(what), "the SCSI target %.60s", name);
	snprintf(cure, sizeof(cure), "targetcli: delete the backstore %.200s", name);
	error = add_export(guard, file, what, cure);
	if (!error &&
	    file_read(guard->host->ctx, info, sizeof(info), "%s/%s/info", directory, name) > 0)
		at = strstr(info, " File: ");
	if (!at || sscanf(at, " File: %255s", path) != 1)
		return error;
	return add_path(guard, path, what, cure);
}

/* Asks for each entry of a directory. A directory that is not there has none. */
static int each_entry(struct guard *guard, const char *directory,
		      int (*ask)(struct guard *guard, const char *name, const char *directory))
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(guard->host->ctx, &names, "%s", directory), error = 0;

	if (count < 0)
		return count == -ENOENT || count == -ENOTDIR
			       ? 0
			       : use_unknown(guard, count, "run as root", "%s cannot be read",
					     directory);
	for (int i = 0; !error && i < count; i++)
		error = ask(guard, names[i], directory);
	return error;
}

static int guard_subsystem(struct guard *guard, const char *name, const char *directory)
{
	char subsystem[PATH_SIZE], namespaces[PATH_SIZE];

	snprintf(subsystem, sizeof(subsystem), "%.200s/%.200s", directory, name);
	snprintf(namespaces, sizeof(namespaces), "%.400s/namespaces", subsystem);
	return guard_nvmet(guard, "passthru", subsystem)
		       ?: each_entry(guard, namespaces, guard_nvmet);
}

static int guard_backstore(struct guard *guard, const char *name, const char *directory)
{
	char below[PATH_SIZE];

	snprintf(below, sizeof(below), "%.240s/%.200s", directory, name);
	return each_entry(guard, below, guard_lio);
}

/* The configuration of a target that is loaded is in configfs alone, which may not be mounted. */
static int guard_target(struct guard *guard, const char *module, const char *directory,
			int (*ask)(struct guard *guard, const char *name, const char *directory))
{
	if (file_exists(guard->host->ctx, "/sys/module/%s", module) &&
	    !file_exists(guard->host->ctx, "%s", directory))
		return use_unknown(guard, 0, "mount -t configfs none " CONFIGFS,
				   "it is unknown what the kernel's %s exports", module);
	return each_entry(guard, directory, ask);
}

int guard_exports(struct guard *guard)
{
	return each_entry(guard, "/sys/class/block", guard_loop) ?:
	       guard_target(guard, "nvmet", NVMET, guard_subsystem) ?:
	       guard_target(guard, "target_core_mod", LIO, guard_backstore);
}
