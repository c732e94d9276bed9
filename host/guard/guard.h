/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_GUARD_GUARD_H
#define USRPCI_HOST_GUARD_GUARD_H

/*
 * The parts of the guard: each looks at one way to use a device and adds what it finds. They return
 * 0 or a negative errno, logged: what uses the device is then unknown.
 */

#include "host.h"

struct use_list {
	struct usrpci_use *uses;
	size_t count, size;
};

__attribute__((format(printf, 4, 5))) int use_add(struct use_list *list, enum usrpci_use_kind kind,
						  const char *object, const char *format, ...);

/* Puts the address of the function below before the text of a use that was found there. */
void use_prefix(struct usrpci_use *use, const char *name);

/* What classes know of a function: its interfaces, disks, consoles, shared files. */
int guard_classes(struct usrpci_host *host, const struct usrpci_dev_info *info,
		  struct use_list *list);

/* What hangs below a function: other functions with their uses, hidden interfaces. */
int guard_below(struct usrpci_host *host, const struct usrpci_dev_info *info,
		struct use_list *list);
int guard_network(struct usrpci_host *host, const struct usrpci_dev_info *info,
		  struct use_list *list);
int guard_disks(struct usrpci_host *host, const struct usrpci_dev_info *info,
		struct use_list *list);
int guard_open_files(struct usrpci_host *host, const struct usrpci_dev_info *info,
		     struct use_list *list);

/*
 * Whether a member of a class, an interface ("net") or a disk ("block"), hangs below a PCI device,
 * and which. The class directory's links tell, for those on virtio, SCSI or USB as well.
 */
bool class_owner(struct usrpci_host *host, const char *class_name, const char *name,
		 struct usrpci_addr *owner);

/*
 * Lists the disks and partitions of a device as programs use them: of native NVMe multipath the
 * head and its partitions, which hang on no PCI device, instead of the path. As class_members().
 */
int disk_members(struct usrpci_host *host, const struct usrpci_addr *addr,
		 char (**names)[NAME_SIZE]);

/* Whether a disk is a path of native NVMe multipath (nvme0c1n1), and its head's name (nvme0n1). */
bool multipath_head(const char *disk, char head[NAME_SIZE]);

/*
 * Lists the interfaces ("net") or disks and partitions ("block") that a device's driver provides,
 * however far below it they are. Returns the count or a negative errno (not logged); the list is
 * the caller's.
 */
int class_members(struct usrpci_host *host, const struct usrpci_addr *addr, const char *class_name,
		  char (**names)[NAME_SIZE]);

#endif
