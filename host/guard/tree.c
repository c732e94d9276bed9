// SPDX-License-Identifier: BSD-2-Clause
/*
 * Walks the directory of a function in sysfs, see tree.h. Follows the kernel's
 * Documentation/admin-guide/sysfs-rules.rst: a directory with the link "subsystem" is a device,
 * one with the file "dev" has a file in /dev.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "array.h"
#include "file.h"
#include "group.h"
#include "guard/tree.h"
#include "member.h"
#include "unread.h"

/*
 * USB devices behind hubs are the deepest; a forged /sys (--root) could be deeper than the stack.
 */
#define DEPTH_MAX 24

struct walk {
	struct usrpci_host *host;
	struct tree *tree;
	bool stays; /* does not go on to other functions */
};

/*
 * What is in a directory, of which one look tells it all: each file that is asked for and is not
 * there would cost as much.
 */
struct content {
	struct dirent **entries; /* those that may hold devices, and those of the fields below */
	int count;
	bool is_class, has_number, has_driver, has_functions, has_uppers;
};

static int walk_directory(const struct walk *walk, const char *path, size_t function,
			  unsigned int depth);

const char *tree_function(const struct tree *tree, const struct leaf *leaf)
{
	return tree->leaves[leaf->function].name;
}

bool leaf_is(const struct leaf *leaf, const char *class_name)
{
	return !strcmp(leaf->class_name, class_name);
}

int tree_add(struct tree *tree, const char *path, const char *name, const char *class_name,
	     size_t function, dev_t number)
{
	struct leaf *leaf = array_grow(tree->leaves, tree->count, 1, sizeof(*leaf));

	if (!leaf)
		return -ENOMEM;
	tree->leaves = leaf;
	leaf = &tree->leaves[tree->count++];
	*leaf = (struct leaf){.function = function, .number = number};
	snprintf(leaf->path, sizeof(leaf->path), "%s", path);
	snprintf(leaf->name, sizeof(leaf->name), "%s", name);
	snprintf(leaf->class_name, sizeof(leaf->class_name), "%s", class_name);
	return 0;
}

dev_t leaf_number(struct usrpci_host *host, const char *path)
{
	unsigned int major_number, minor_number;
	char text[NAME_SIZE];

	if (file_read(host->ctx, text, sizeof(text), "%s/dev", path) < 0 ||
	    sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return 0;
	return makedev(major_number, minor_number);
}

static int add_device(const struct walk *walk, const char *path, const char *name,
		      const char *class_name, size_t function, const struct content *content)
{
	int error = tree_add(walk->tree, path, name, class_name, function,
			     content->has_number ? leaf_number(walk->host, path) : 0);
	struct leaf *leaf = error ? NULL : &walk->tree->leaves[walk->tree->count - 1];

	if (error)
		return error;
	leaf->has_functions = content->has_functions;
	leaf->has_uppers = content->has_uppers;
	if (content->has_driver &&
	    file_link_name(walk->host->ctx, leaf->driver, sizeof(leaf->driver), "%s/driver", path))
		leaf->driver[0] = '\0';
	return 0;
}

/*
 * Programs use the head of a multipath disk and its partitions, and its character device, which
 * hang on no PCI device; the path to it does.
 */
static int walk_head(const struct walk *walk, const char *name, size_t function, unsigned int depth)
{
	char head[NAME_SIZE], path[PATH_SIZE];
	int error = 0;

	if (member_is_path(name, "nvme", head)) {
		snprintf(path, sizeof(path), "/sys/class/block/%s", head);
		error = walk_directory(walk, path, function, depth + 1);
	}
	if (!error && member_is_path(name, "ng", head)) {
		snprintf(path, sizeof(path), "/sys/class/nvme-generic/%s", head);
		error = walk_directory(walk, path, function, depth + 1);
	}
	return error == -ENOENT ? 0 : error;
}

static void content_free(struct content *content)
{
	for (int i = 0; i < content->count; i++)
		free(content->entries[i]);
	free(content->entries);
}

/* The field that tells of an entry of this name; NULL for all others. */
static bool *field_of(struct content *content, const char *name)
{
	if (!strcmp(name, "subsystem"))
		return &content->is_class;
	if (!strcmp(name, "dev"))
		return &content->has_number;
	if (!strcmp(name, "driver"))
		return &content->has_driver;
	if (!strcmp(name, "sriov_numvfs"))
		return &content->has_functions;
	return strncmp(name, "upper_", strlen("upper_")) ? NULL : &content->has_uppers;
}

/* Power management, queues and statistics have many directories and no devices. */
static bool may_hold_devices(const struct dirent *entry)
{
	static const char *const others[] = {"power", "queue", "queues", "mq", "statistics"};

	if ((entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) || entry->d_name[0] == '.')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (!strcmp(entry->d_name, others[i]))
			return false;
	return true;
}

static int is_content(const struct dirent *entry)
{
	struct content content;

	return field_of(&content, entry->d_name) || may_hold_devices(entry);
}

/* The caller frees it also after an error, when it is empty. */
static int content_read(const struct walk *walk, const char *path, struct content *content)
{
	char real[PATH_SIZE];
	int error = path_format(walk->host->ctx, real, "%s", path), count;
	bool *field;

	*content = (struct content){0};
	if (error)
		return error;
	count = scandir(real, &content->entries, is_content, versionsort);
	if (count < 0)
		return note_unread(walk->host->ctx, real, -errno);
	content->count = count;
	for (int i = 0; i < count; i++) {
		field = field_of(content, content->entries[i]->d_name);
		if (field)
			*field = true;
	}
	return 0;
}

static int walk_below(const struct walk *walk, const char *path, struct content *content,
		      size_t function, unsigned int depth)
{
	char below[PATH_SIZE];
	int error = 0;

	for (int i = 0; !error && i < content->count; i++) {
		const char *name = content->entries[i]->d_name;

		if (field_of(content, name))
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, name) >= (int)sizeof(below))
			return -ENAMETOOLONG;
		error = walk_directory(walk, below, function, depth + 1);
		/*
		 * A directory that is gone by now holds nothing. Some file systems do not report
		 * types.
		 */
		if (error == -ENOENT || error == -ENOTDIR)
			error = 0;
	}
	return error;
}

/* Below an interface are the disks that it reaches by Fibre Channel over Ethernet. */
static int add_interface(const struct walk *walk, const char *path, const char *name,
			 size_t function, unsigned int depth)
{
	struct content content;
	int unread = content_read(walk, path, &content);
	int error = add_device(walk, path, name, "net", function, &content) ?:
		unread ?:
		walk_below(walk, path, &content, function, depth + 1);

	content_free(&content);
	return error;
}

/*
 * The kernel counts a link for each directory below, those that it hides included, and two more;
 * other file systems count at most those.
 */
static bool hides_directories(struct usrpci_host *host, const char *path, int shown)
{
	struct stat status;
	char real[PATH_SIZE];

	return !path_format(host->ctx, real, "%s", path) && !stat(real, &status) &&
	       status.st_nlink > (nlink_t)shown + 2;
}

/*
 * The kernel hides the interfaces of other network namespaces, a container's for one; what it
 * cannot hide is the directory that they stood in, and how many are in it.
 */
static int add_interfaces(const struct walk *walk, const char *path, size_t function,
			  unsigned int depth)
{
	AUTO_FREE char **names = NULL;
	char member[PATH_SIZE];
	int count = dir_list(walk->host->ctx, &names, "%s", path), error = 0, shown = 0;

	if (count < 0)
		return count;
	for (int i = 0; !error && i < count; i++) {
		snprintf(member, sizeof(member), "%.400s/%s", path, names[i]);
		if (!file_exists(walk->host->ctx, "/sys/class/net/%s", names[i]))
			continue;
		error = add_interface(walk, member, names[i], function, depth);
		shown++;
	}
	if (!error && (!shown || hides_directories(walk->host, path, shown)))
		error = add_device(walk, path, "", "net", function, &(struct content){0});
	return error;
}

/* A description of a host may have no "subsystem", but a link in the class or the file "dev". */
static bool find_class(struct usrpci_host *host, const char *path, const char *name,
		       const struct content *content, char class_name[NAME_SIZE])
{
	static const char *const classes[] = {"block", "tty"};

	if (content->is_class &&
	    !file_link_name(host->ctx, class_name, NAME_SIZE, "%s/subsystem", path))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		strcpy(class_name, classes[i]);
		if (file_exists(host->ctx, "/sys/class/%s/%s", class_name, name))
			return true;
	}
	strcpy(class_name, "unknown");
	return content->has_number;
}

/* Adds what a directory is. Returns -ENOTDIR when the walk must not go on below it. */
static int look_at(const struct walk *walk, const char *path, const struct content *content,
		   size_t *function, unsigned int depth)
{
	const char *name = strrchr(path, '/') + 1;
	char class_name[NAME_SIZE], head[NAME_SIZE];
	struct usrpci_addr addr;

	if (!usrpci_addr_parse(name, &addr)) {
		if (walk->stays && walk->tree->count)
			return -ENOTDIR;
		*function = walk->tree->count;
		return add_device(walk, path, name, "pci", *function, content);
	}
	if (!find_class(walk->host, path, name, content, class_name))
		return 0;
	if (!strcmp(class_name, "block") && member_is_path(name, "nvme", head))
		return walk_head(walk, name, *function, depth) ?: -ENOTDIR;
	return add_device(walk, path, name, class_name, *function, content);
}

static int walk_directory(const struct walk *walk, const char *path, size_t function,
			  unsigned int depth)
{
	struct content content;
	int unread, error;

	if (!strcmp(strrchr(path, '/'), "/net"))
		return add_interfaces(walk, path, function, depth);
	unread = content_read(walk, path, &content);
	error = look_at(walk, path, &content, &function, depth) ?: unread;
	if (!error)
		error = depth == DEPTH_MAX ? -ELOOP
					   : walk_below(walk, path, &content, function, depth);
	content_free(&content);
	return error;
}

int tree_read(struct usrpci_host *host, const struct usrpci_dev_info *info, struct tree *tree)
{
	struct walk walk = {.host = host, .tree = tree, .stays = is_bridge(info)};
	char name[USRPCI_ADDR_STRLEN], path[PATH_SIZE];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s", usrpci_addr_format(&info->addr, name));
	return walk_directory(&walk, path, 0, 0);
}
