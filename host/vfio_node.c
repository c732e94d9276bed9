// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lends a vfio group's node to a user, and takes it back. Leaves out /dev/vfio/vfio, which is
 * everybody's, and what udev rules may say about the node after that.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "group.h"
#include "vfio_node.h"

#define LOG_SUBJECT "node"
#include "log.h"

#define DEVICE_NODES "/dev/vfio/devices/"

static int node_stat(struct usrpci_host *host, const char *path, struct journal_node *node)
{
	char full[PATH_SIZE];
	struct stat status;
	int error = path_format(host->ctx, full, "%s", path);

	if (!error && stat(full, &status))
		error = -errno;
	if (error)
		return error;
	*node = (struct journal_node){
		.uid = status.st_uid, .gid = status.st_gid, .mode = status.st_mode & 07777};
	snprintf(node->path, sizeof(node->path), "%s", path);
	return 0;
}

static bool is_open(struct usrpci_host *host, const char *directory, int group)
{
	AUTO_CLOSE int fd = file_open(host->ctx, O_RDONLY, "%s%d", directory, group);

	return fd == -EBUSY;
}

bool vfio_node_is_open(struct usrpci_host *host, int group)
{
	return is_open(host, "/dev/vfio/", group) || is_open(host, "/dev/vfio/noiommu-", group);
}

int vfio_node_is_free(struct usrpci_host *host, const struct usrpci_dev_info *info)
{
	uint64_t end = clock_ms() + host->settle_ms;
	char name[USRPCI_ADDR_STRLEN];

	while (vfio_node_is_open(host, info->iommu_group)) {
		if (clock_ms() >= end)
			return refuse(
				host->ctx, -EBUSY, usrpci_addr_format(&info->addr, name),
				"end the program that drives it, and those that it has handed "
				"a descriptor",
				"in use: a program has its group %d open through vfio",
				info->iommu_group);
		sleep_ms(20);
	}
	return 0;
}

void vfio_node_path(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    char path[NODE_SIZE])
{
	char name[USRPCI_ADDR_STRLEN], own[NODE_SIZE];
	AUTO_FREE char **names = NULL;
	int count;

	snprintf(path, NODE_SIZE, "/dev/vfio/%s%d", group_translates(host, info) ? "" : "noiommu-",
		 info->iommu_group);
	if (file_exists(host->ctx, "%s", path))
		return;
	count = dir_list(host->ctx, &names, PCI_DEVICES "/%s/vfio-dev",
			 usrpci_addr_format(&info->addr, name));
	if (count <= 0)
		return;
	snprintf(own, sizeof(own), DEVICE_NODES "%.32s", names[0]);
	if (file_exists(host->ctx, "%s", own))
		strcpy(path, own);
}

/* The kernel makes the node when the group's first device comes to vfio; a dry run believes it. */
static int node_wait(struct usrpci_host *host, const struct usrpci_dev_info *info,
		     struct journal_node *node)
{
	uint64_t end = clock_ms() + host->settle_ms;
	char path[NODE_SIZE];
	int error;

	vfio_node_path(host, info, path);
	while ((error = node_stat(host, path, node)) == -ENOENT && !host->options.dry_run &&
	       clock_ms() < end) {
		sleep_ms(5);
		vfio_node_path(host, info, path);
	}
	if (error != -ENOENT || !host->options.dry_run)
		return error ? report(host->ctx, error, path, NULL, "the group has no node") : 0;
	*node = (struct journal_node){.mode = 0600};
	strcpy(node->path, path);
	return 0;
}

/* What the node was, as another device of its group has it recorded, or as it was found. */
static int node_record(struct usrpci_host *host, const struct usrpci_addr *addr,
		       const struct journal_node *found)
{
	struct journal_record record;
	int error = journal_read(host, addr, &record);

	if (error || record.node.path[0])
		return error;
	if (journal_find_node(host, addr, found->path, &record.node))
		record.node = *found;
	return journal_write(host, &record);
}

static int set_node(struct usrpci_host *host, const char *why, const struct journal_node *now,
		    const struct journal_node *wanted)
{
	int error = 0;

	if (now->uid != wanted->uid || now->gid != wanted->gid)
		error = apply_owner(host, why, now->path,
				    now->uid == wanted->uid ? (uid_t)-1 : wanted->uid,
				    now->gid == wanted->gid ? (gid_t)-1 : wanted->gid);
	if (!error && now->mode != wanted->mode)
		error = apply_mode(host, why, now->path, wanted->mode);
	if (error)
		return report(host->ctx, error, now->path, NULL, "cannot change who may open it");
	return 0;
}

int vfio_node_give(struct usrpci_host *host, const struct usrpci_dev_info *info, uid_t uid,
		   gid_t gid)
{
	struct journal_node found, wanted;
	int error = node_wait(host, info, &found);

	if (!error && !host->options.dry_run)
		error = node_record(host, &info->addr, &found);
	if (error)
		return error;
	wanted = found;
	if (uid != (uid_t)-1)
		wanted.uid = uid;
	if (gid != (gid_t)-1) {
		wanted.gid = gid;
		wanted.mode |= 0060;
	}
	return set_node(host, "let a user open the group", &found, &wanted);
}

void vfio_node_read(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    struct journal_node *node)
{
	char path[NODE_SIZE];

	vfio_node_path(host, info, path);
	if (node_stat(host, path, node))
		node->path[0] = '\0';
}

int vfio_node_set(struct usrpci_host *host, const struct journal_node *was)
{
	struct journal_node now;

	if (node_stat(host, was->path, &now))
		return 0;
	return set_node(host, "give the group's node back", &now, was);
}

/* A device that has lost its node leaves the node's number to another one. */
static bool is_own(struct usrpci_host *host, const struct usrpci_dev_info *info, const char *path)
{
	const char *number = path + strcspn(path, "0123456789");
	char name[USRPCI_ADDR_STRLEN];

	if (!strncmp(path, DEVICE_NODES, strlen(DEVICE_NODES)))
		return file_exists(host->ctx, PCI_DEVICES "/%s/vfio-dev/%s",
				   usrpci_addr_format(&info->addr, name),
				   path + strlen(DEVICE_NODES));
	return info->iommu_group >= 0 && atoi(number) == info->iommu_group;
}

int vfio_node_return(struct usrpci_host *host, const struct usrpci_dev_info *info,
		     const struct journal_record *record)
{
	struct journal_node other;

	if (!record->node.path[0] || !is_own(host, info, record->node.path) ||
	    !journal_find_node(host, &info->addr, record->node.path, &other))
		return 0;
	return vfio_node_set(host, &record->node);
}
