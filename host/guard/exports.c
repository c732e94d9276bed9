// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's part for disks that the kernel itself gives on, without a mount, a holder or an open
 * file: NVMe over fabrics (nvmet), SCSI targets (LIO). See the kernel's
 * drivers/nvme/target/configfs.c and Documentation/target/.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	return guard_target(guard, "nvmet", NVMET, guard_subsystem)
		       ?: guard_target(guard, "target_core_mod", LIO, guard_backstore);
}
