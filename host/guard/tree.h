/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What hangs below a function in sysfs: other functions (behind a VMD controller, or whatever else
 * is a bus of its own), interfaces, disks with their partitions, lines, files in /dev.
 */

#include <sys/types.h>

#include "file.h"
#include "host.h"

struct leaf {
	size_t function;            /* which leaf is the function that it belongs to */
	char name[NAME_SIZE];       /* "nvme0n1p2"; "" for the interface of another namespace */
	char class_name[NAME_SIZE]; /* or bus: "block", "net", "tty", "virtio"; "pci": a function */
	char driver[NAME_SIZE];     /* of a function or a device of another bus; "" for none */
	char path[PATH_SIZE];       /* "/sys/bus/pci/devices/0000:03:00.0/nvme/nvme0" */
	dev_t number;               /* of its file in /dev; 0: it has none */
	bool has_functions;         /* it may have virtual functions */
	bool has_uppers;            /* an interface is above it */
};

struct tree {
	struct leaf *leaves; /* the first is the function itself */
	size_t count;
};

/*
 * Walks the directory of a function. What is behind a bridge is not the bridge's. Returns 0 or a
 * negative errno, not logged; what was found until then is in the tree. The leaves are the
 * caller's.
 */
int tree_read(struct usrpci_host *host, const struct usrpci_dev_info *info, struct tree *tree);

/* Adds a leaf that sysfs does not show below the function. Returns 0 or -ENOMEM. */
int tree_add(struct tree *tree, const char *path, const char *name, const char *class_name,
	     size_t function, dev_t number);

/* The address of the function that a leaf belongs to. */
const char *tree_function(const struct tree *tree, const struct leaf *leaf);

/* The number of the file in /dev that belongs to a directory in sysfs; 0: it has none. */
dev_t leaf_number(struct usrpci_host *host, const char *path);

bool leaf_is(const struct leaf *leaf, const char *class_name);
