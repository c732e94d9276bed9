// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lists the interfaces and disks that PCI devices provide, by the names that programs use: of NVMe
 * multipath the disk, nvme0n1, and not one of its paths, nvme0c1n1.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "host.h"
#include "member.h"

/* Partitions are left out. So are multipath disks, since their paths represent them. */
static bool read_member(struct usrpci_host *host, const char *class_name, const char *name,
			struct usrpci_interface *member)
{
	char owner[USRPCI_ADDR_STRLEN], head[32];
	bool is_path = member_is_path(name, "nvme", head);

	if (strlen(name) >= sizeof(member->name) ||
	    !member_function(host->ctx, class_name, name, owner) ||
	    usrpci_addr_parse(owner, &member->addr) ||
	    (!strcmp(class_name, "block") &&
	     file_exists(host->ctx, "/sys/class/block/%s/partition", name)))
		return false;
	strcpy(member->name, is_path ? head : name);
	return true;
}

/* Appends to a list of count entries. Returns its new length, or a negative errno. */
static int append_members(struct usrpci_host *host, const char *class_name,
			  struct usrpci_interface **list, int count)
{
	struct usrpci_interface *longer;
	AUTO_FREE char **names = NULL;
	int found = dir_list(host->ctx, &names, "/sys/class/%s", class_name);

	if (found < 0)
		return found == -ENOENT ? count : found;
	longer = reallocarray(*list, (size_t)(count + found) + 1, sizeof(*longer));
	for (int i = 0; longer && i < found; i++)
		count += read_member(host, class_name, names[i], &longer[count]);
	if (!longer)
		return -ENOMEM;
	*list = longer;
	return count;
}

int usrpci_host_interfaces(struct usrpci_host *host, struct usrpci_interface **result)
{
	struct usrpci_interface *list = NULL;
	int count = append_members(host, "net", &list, 0);

	if (count >= 0)
		count = append_members(host, "block", &list, count);
	if (count < 0) {
		free(list);
		list = NULL;
	}
	*result = list;
	return count;
}
