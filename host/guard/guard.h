/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The parts of the guard: each looks at one way to use a device and adds what it finds. Parts
 * return 0 or -ENOMEM. What a part cannot find out is a use too, of kind USRPCI_USE_UNKNOWN.
 */

#include <stdarg.h>

#include "guard/tree.h"
#include "host.h"

struct guard {
	struct usrpci_host *host;
	const struct usrpci_dev_info *info; /* of the function that is asked about */
	struct tree tree;                   /* of it and all below it */
	struct usrpci_use *uses;
	size_t count;
	bool is_listened_to; /* somebody takes frames of all interfaces */
	bool has_root;       /* the root file system is on a disk of it */
};

/*
 * Adds a use of a leaf of the tree; the address of the function below goes before the text. The
 * cure is the usual one of the kind (cure.c).
 */
__attribute__((format(printf, 5, 6))) int use_add(struct guard *guard, const struct leaf *leaf,
						  enum usrpci_use_kind kind, const char *object,
						  const char *format, ...);

/*
 * Replaces the cure of the use that was added last, unless it does not fit or cannot be printed: it
 * would be another command. Returns 0.
 */
__attribute__((format(printf, 2, 3))) int use_cure(struct guard *guard, const char *format, ...);

/* Adds that a part of the use cannot be found out, and why. error is a negative errno, or 0. */
__attribute__((format(printf, 4, 5))) int use_unknown(struct guard *guard, int error,
						      const char *cure, const char *format, ...);

/* Writes what ends a use of this kind: a command where there is one. */
void cure_usual(enum usrpci_use_kind kind, const char *object, char *cure, size_t size);

/* In sysfs a "!" stands for the "/" of /dev/cciss/c0d0: writes the files' names in a cure. */
void cure_name_files(char *cure);

/* Whether bind's force takes a device from a use of this kind. */
bool cure_is_force(enum usrpci_use_kind kind);

int guard_network(struct guard *guard);
int guard_disks(struct guard *guard);
int guard_exports(struct guard *guard);
int guard_kernel(struct guard *guard);
int guard_console(struct guard *guard);
int guard_open_files(struct guard *guard);

/* Adds what is worth knowing and no reason to leave the device alone: as uses, for the check. */
int guard_notes(struct guard *guard);

struct guard_view {
	struct usrpci_use *uses, *notes;
	size_t use_count, note_count;
};

/*
 * Looks at a device with all parts, and for notes too where they are wanted. The lists are the
 * caller's to free. Returns 0 or a negative errno, and then there are none.
 */
int guard_look(struct usrpci_host *host, const struct usrpci_dev_info *info, bool with_notes,
	       struct guard_view *view);

/*
 * Replaces the cure of the use that was added last, a disk that the kernel refuses to open
 * exclusively, by what ends that. Returns 0.
 */
int cure_held(struct guard *guard);

/*
 * Adds to the cure of the use that was added last, a mount of this disk, which program has files on
 * it and must end first. Returns 0.
 */
int cure_busy(struct guard *guard, const struct leaf *disk);

/* Whether a path of a disk's file, as the kernel or a program knows it, leads to this disk. */
bool is_disk_path(struct usrpci_host *host, const struct leaf *disk, const char *path);
