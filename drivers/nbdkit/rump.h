/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A disk behind a driver of NetBSD's, in a rump kernel in this process, see <usrpci/rump.h>. Any
 * number of threads may have a request each.
 */

#include "disk.h"

struct rump_disk;

/*
 * Starts the rump kernel, opens the disk and stores what a client may know. Returns 0 or a negative
 * errno; *why says what -ENOTSUP means, and standard error why the kernel does not start.
 */
int rump_disk_open(const struct disk_options *options, struct disk_about *about,
		   struct rump_disk **disk, const char **why);

/* Flushes the disk. The kernel stays for as long as the process. */
void rump_disk_close(struct rump_disk *disk);

/* Works as disk_do(). */
void rump_disk_do(struct rump_disk *disk, struct disk_request *request, void *data);
