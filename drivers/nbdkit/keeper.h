/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A disk whose driver is a separate process, which is started again whenever it ends. A caller that
 * waits for a request does not notice that.
 */

#include "disk.h"

struct keeper;

/*
 * Starts the driver, and waits until the disk is open. The process must have only one thread.
 * Returns 0 or a negative errno, after a message.
 */
int keeper_start(const struct disk_options *options, struct keeper **keeper);

/* Ends the driver, which tells the disk of a shutdown. */
void keeper_stop(struct keeper *keeper);

const struct disk_about *keeper_about(const struct keeper *keeper);

/* Works as disk_do(). The result is -EIO when the driver has ended too often without progress. */
void keeper_do(struct keeper *keeper, unsigned int lane, struct disk_request *request, void *data);
