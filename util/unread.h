/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Facts of the host that stayed hidden. Much of /sys and /proc may be missing, and who reads it
 * goes on without; a file that could not be read for another reason must not pass for a missing
 * one. Whatever reads the host tells of its failures here, and the context remembers those.
 */

#include <usrpci/ctx.h>

/*
 * Takes a negative errno of opening, reading or listing what is at a path, which the context's root
 * already stands before, and returns it. Counts it when it says nothing of the file: the device
 * that the file is on, or memory, or descriptors failed.
 */
int note_unread(const struct usrpci_ctx *ctx, const char *path, int error);

/* How many there were since the context was opened. */
unsigned int unread_count(const struct usrpci_ctx *ctx);
