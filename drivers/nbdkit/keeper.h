/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A disk whose driver is a process of its own and is started again whenever it ends: whoever waits
 * for a request learns nothing of that.
 */

#include "disk.h"

struct keeper;

/*
 * Starts the driver, and waits until the disk is open. To be called by the only thread of a
 * process. Returns 0 or a negative errno, after a message.
 */
int keeper_start(const struct disk_options *options, struct keeper **keeper);

/* Ends the driver, which tells the disk of a shutdown. */
void keeper_stop(struct keeper *keeper);

const struct disk_about *keeper_about(const struct keeper *keeper);

/* As disk_do(). -EIO when the driver has ended too often without doing anything. */
void keeper_do(struct keeper *keeper, unsigned int lane, struct disk_request *request, void *data);
