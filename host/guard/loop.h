/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Loop devices, which hold a disk without a trace at the disk itself. */

#include "guard/guard.h"

struct loop {
	char name[NAME_SIZE];
	bool asked;           /* the device told the number, which is true */
	bool told;            /* it is a use already, by the file system that its file is on */
	dev_t number;         /* of the disk that is its file; 0: none is */
	dev_t file_system;    /* that its file is on */
	char path[PATH_SIZE]; /* of its file, as some other program knows it; "": not known */
};

/* Reads all that have a file. Returns the count or a negative errno; the caller frees the list. */
int loops_read(struct usrpci_host *host, struct loop **loops);

bool loop_is_on(const struct guard *guard, const struct loop *loop, const struct leaf *disk);

/* Adds a use for a loop device of which it cannot be seen whether it is on one of the disks. */
int guard_unseen_loop(struct guard *guard, const struct loop *loop);

/* Replaces the cure of the use that was added last by what ends a loop device. Returns 0. */
int cure_loop(struct guard *guard, const struct loop *loop);
