// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's part for what hangs below a function without being a class's member there: other PCI
 * functions (behind a VMD controller, or whatever else is a bus of its own), and interfaces that
 * are in another network namespace. One walk of the function's directory in sysfs finds both.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "group.h"
#include "guard/guard.h"

#define LOG_SUBJECT "guard"
#include "log.h"

/* USB devices behind hubs are the deepest; a forged /sys (--root) could be deeper than the stack.
 */
#define DEPTH_MAX 24

struct walk {
	struct usrpci_host *host;
	struct use_list *list;
	char name[USRPCI_ADDR_STRLEN]; /* of the function */
};

static int walk_directory(const struct walk *walk, int parent, const char *name,
			  unsigned int depth);

static int guard_function(const struct walk *walk, const char *name, const struct usrpci_addr *addr)
{
	struct usrpci_dev_info info;
	size_t first = walk->list->count;
	int error;

	error = use_add(walk->list, USRPCI_USE_BELOW, walk->name,
			"%s is below it, and vanishes with its driver", name);
	if (!error)
		error = usrpci_dev_lookup(walk->host->ctx, addr, &info);
	if (!error)
		error = guard_classes(walk->host, &info, walk->list);
	for (size_t i = first + 1; i < walk->list->count; i++)
		use_prefix(&walk->list->uses[i], name);
	return error;
}

/* Whether an interface in a directory "net" is one of this network namespace. */
static bool shows_interface(const struct walk *walk, int directory)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	bool found = false;

	if (!entries) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	while (!found && (entry = readdir(entries)))
		found = entry->d_name[0] != '.' &&
			file_exists(walk->host->ctx, "/sys/class/net/%s", entry->d_name);
	closedir(entries);
	return found;
}

/*
 * The kernel hides the interfaces of other network namespaces, a container's for one; what it
 * cannot hide is the directory that they stood in.
 */
static int look_at(const struct walk *walk, int directory, const char *name)
{
	struct usrpci_addr addr;

	if (!usrpci_addr_parse(name, &addr))
		return guard_function(walk, name, &addr);
	if (strcmp(name, "net") || shows_interface(walk, directory))
		return 0;
	return use_add(walk->list, USRPCI_USE_NAMESPACE, walk->name,
		       "%s has an interface in another network namespace", walk->name);
}

static int walk_entries(const struct walk *walk, DIR *directory, unsigned int depth)
{
	struct dirent *entry;
	int error = 0;

	while (!error && (entry = readdir(directory))) {
		if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
		    entry->d_name[0] != '.')
			error = walk_directory(walk, dirfd(directory), entry->d_name, depth);
	}
	return error;
}

/* A directory that is gone by now holds nothing. File systems that do not tell types list others.
 */
static int walk_directory(const struct walk *walk, int parent, const char *name, unsigned int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), error;
	DIR *directory;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
	directory = fdopendir(fd);
	if (!directory) {
		close(fd);
		return -ENOMEM;
	}
	error = look_at(walk, fd, name);
	if (!error && depth == DEPTH_MAX)
		error = -ELOOP;
	if (!error)
		error = walk_entries(walk, directory, depth + 1);
	closedir(directory);
	return error;
}

static DIR *open_function(struct usrpci_host *host, const char *name)
{
	int fd = file_open(host->ctx, O_RDONLY | O_DIRECTORY, PCI_DEVICES "/%s", name);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !directory)
		close(fd);
	return directory;
}

int guard_below(struct usrpci_host *host, const struct usrpci_dev_info *info, struct use_list *list)
{
	struct walk walk = {.host = host, .list = list};
	DIR *directory;
	int error;

	/* What is behind a bridge is not the bridge's, which is refused for itself. */
	if (is_bridge(info))
		return 0;
	directory = open_function(host, usrpci_addr_format(&info->addr, walk.name));
	if (!directory)
		return report(host->ctx, -EIO, walk.name, NULL, "cannot read what is below it");
	error = walk_entries(&walk, directory, 0);
	closedir(directory);
	return error ? report(host->ctx, error, walk.name, NULL, "cannot read what is below it")
		     : 0;
}
