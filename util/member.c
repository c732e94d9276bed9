// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds out which PCI functions a member of a class hangs on, see member.h. Follows
 * Documentation/admin-guide/sysfs-rules.rst and, for disks with several paths, the kernel's
 * drivers/nvme/host/multipath.c.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "member.h"
#include "unread.h"

#define SUBSYSTEM "/nvme-subsystem/"

/* "0000:03:00.0" */
static bool is_function(const char *name)
{
	unsigned int domain, bus, device, function;
	int end = 0;

	return strlen(name) < USRPCI_ADDR_STRLEN &&
	       sscanf(name, "%x:%x:%x.%x%n", &domain, &bus, &device, &function, &end) == 4 &&
	       !name[end];
}

static int read_link(const struct usrpci_ctx *ctx, const char *link, char target[PATH_SIZE])
{
	char path[PATH_SIZE];
	int error = path_format(ctx, path, "%s", link);
	ssize_t length = error ? -1 : readlink(path, target, PATH_SIZE - 1);

	if (length < 0)
		return error ?: note_unread(ctx, path, -errno);
	target[length] = '\0';
	return 0;
}

/* The nearest function above what a link leads to. What is behind a bridge is not the bridge's. */
static bool nearest_function(const char *target, char owner[USRPCI_ADDR_STRLEN])
{
	char copy[PATH_SIZE], *rest = copy, *part;
	bool found = false;

	snprintf(copy, sizeof(copy), "%s", target);
	while ((part = strsep(&rest, "/"))) {
		if (!is_function(part))
			continue;
		strcpy(owner, part);
		found = true;
	}
	return found;
}

static bool is_controller(const char *name)
{
	unsigned int instance;
	int end = 0;

	return sscanf(name, "nvme%u%n", &instance, &end) == 1 && !name[end];
}

/* A subsystem's directory links to its controllers, of which each is a way to all of its disks. */
static int subsystem_owners(const struct usrpci_ctx *ctx, const char *target,
			    char owners[MEMBER_OWNERS_MAX][USRPCI_ADDR_STRLEN])
{
	const char *subsystem = strstr(target, SUBSYSTEM);
	AUTO_FREE char **names = NULL;
	char link[PATH_SIZE], path[PATH_SIZE];
	int count, found = 0;

	if (!subsystem)
		return 0;
	subsystem += strlen(SUBSYSTEM);
	count = dir_list(ctx, &names, "/sys/devices/virtual" SUBSYSTEM "%.*s",
			 (int)strcspn(subsystem, "/"), subsystem);
	for (int i = 0; i < count && found < MEMBER_OWNERS_MAX; i++) {
		snprintf(link, sizeof(link), "/sys/devices/virtual" SUBSYSTEM "%.*s/%s",
			 (int)strcspn(subsystem, "/"), subsystem, names[i]);
		found += is_controller(names[i]) && !read_link(ctx, link, path) &&
			 nearest_function(path, owners[found]);
	}
	return count < 0 ? count : found;
}

bool member_function(const struct usrpci_ctx *ctx, const char *class_name, const char *name,
		     char owner[USRPCI_ADDR_STRLEN])
{
	char link[PATH_SIZE], target[PATH_SIZE];

	snprintf(link, sizeof(link), "/sys/class/%s/%s", class_name, name);
	return !read_link(ctx, link, target) && nearest_function(target, owner);
}

/* The paths to a disk, or to the disk of a partition, hang on the functions that serve it. */
static int path_owners(const struct usrpci_ctx *ctx, const char *name,
		       char owners[MEMBER_OWNERS_MAX][USRPCI_ADDR_STRLEN])
{
	unsigned int subsystem, namespace;
	AUTO_FREE char **names = NULL;
	char disk[32], head[32];
	int count, found = 0;

	if (sscanf(name, "nvme%un%u", &subsystem, &namespace) != 2)
		return 0;
	snprintf(disk, sizeof(disk), "nvme%un%u", subsystem, namespace);
	count = dir_list(ctx, &names, "/sys/class/block");
	for (int i = 0; i < count && found < MEMBER_OWNERS_MAX; i++)
		found += member_is_path(names[i], "nvme", head) && !strcmp(head, disk) &&
			 member_function(ctx, "block", names[i], owners[found]);
	return count < 0 ? count : found;
}

int member_owners(const struct usrpci_ctx *ctx, const char *class_name, const char *name,
		  char owners[MEMBER_OWNERS_MAX][USRPCI_ADDR_STRLEN])
{
	char link[PATH_SIZE], target[PATH_SIZE];
	int error;

	snprintf(link, sizeof(link), "/sys/class/%s/%s", class_name, name);
	error = read_link(ctx, link, target);
	if (error)
		return error == -EINVAL ? 0 : error;
	if (nearest_function(target, owners[0]))
		return 1;
	return subsystem_owners(ctx, target, owners) ?: path_owners(ctx, name, owners);
}

bool member_is_path(const char *disk, const char *prefix, char head[32])
{
	unsigned int subsystem, controller, namespace;
	int end = 0;

	if (sscanf(disk, "nvme%uc%un%u%n", &subsystem, &controller, &namespace, &end) != 3 ||
	    disk[end])
		return false;
	snprintf(head, 32, "%s%un%u", prefix, subsystem, namespace);
	return true;
}
