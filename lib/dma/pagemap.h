/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdint.h>

#include <usrpci/ctx.h>

/* Opens the process's own page map: a descriptor or a negative errno, logged. */
int pagemap_open(const struct usrpci_ctx *ctx);

/*
 * Reads the physical address that a mapped, present page has. Errors, logged: -EPERM (the kernel
 * hides frame numbers), -ENOENT (nothing is mapped there now), -EIO.
 */
int pagemap_read(const struct usrpci_ctx *ctx, int fd, const void *va, uint64_t *pa);
