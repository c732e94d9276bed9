/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Members of a class in sysfs (interfaces, disks, NVMe controllers) and the PCI functions that they
 * hang on, by where the kernel has them in /sys/devices: the nearest directory above that is a PCI
 * function, whatever lies between (virtio, SCSI, USB).
 */

#include <usrpci/addr.h>
#include <usrpci/ctx.h>

#include <stdbool.h>

#define MEMBER_OWNERS_MAX 8

/* Whether a member hangs below a function, and which. A multipath NVMe disk does not. */
bool member_function(const struct usrpci_ctx *ctx, const char *class_name, const char *name,
		     char owner[USRPCI_ADDR_STRLEN]);

/*
 * Lists the functions that serve a member. There is more than one for the disk of a multipath NVMe
 * subsystem alone, and none for what is not a PCI device's. Returns the count, cut to
 * MEMBER_OWNERS_MAX, or a negative errno; -ENOENT when the class has no such member.
 */
int member_owners(const struct usrpci_ctx *ctx, const char *class_name, const char *name,
		  char owners[MEMBER_OWNERS_MAX][USRPCI_ADDR_STRLEN]);

/*
 * Whether a disk is a path of native NVMe multipath (nvme0c1n1), which no program can open. The
 * disk that programs use hangs on no PCI device: nvme0n1, if prefix is "nvme".
 */
bool member_is_path(const char *disk, const char *prefix, char head[32]);
