/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A virtio disk as disk.c needs it: its lanes are the device's queues, and requests are those of
 * NVMe, of which it does what it can.
 */

#include <usrpci/vblk.h>

#include "disk.h"

struct virtio_disk;

bool virtio_disk_matches(const struct usrpci_dev_info *info);

/*
 * Opens the disk and stores what a client may know. Returns 0 or a negative errno; *why says what
 * -ENOTSUP means.
 */
int virtio_disk_open(struct usrpci_ctx *ctx, struct usrpci_dev *dev,
		     const struct disk_options *options, struct disk_about *about,
		     struct virtio_disk **disk, const char **why);
void virtio_disk_close(struct virtio_disk *disk);

/* Works as disk_do(). */
void virtio_disk_do(struct virtio_disk *disk, unsigned int lane, struct disk_request *request,
		    void *data);
