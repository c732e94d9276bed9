/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The program's side of lent devices: "usrpci run" opens what this process may not, and keeps the
 * DMA memory. Backends know nothing of it; they open files by file_open(), which asks here.
 */

#include <stdint.h>

#include <usrpci/ctx.h>

/*
 * Connects a context to the broker when the environment names one; without one, does nothing.
 * Errors, logged: -EPROTO (the other side is not a broker of this version), -EPIPE (it is gone),
 * -ENOMEM.
 */
int lent_connect(struct usrpci_ctx *ctx);
void lent_disconnect(struct usrpci_ctx *ctx);

/*
 * Why a file of a device may not be opened: to a program that other devices are lent to, the usual
 * cure is none. Returns the cure, which may be the usual one.
 */
const char *lent_cure(const struct usrpci_ctx *ctx, const char *usual);

/*
 * Has the broker write a register of 1, 2 or 4 bytes to a lent device's configuration space, or
 * reset the device. Errors, not logged: -ENOENT (the device is not lent to this process), -EPERM
 * (the register is the kernel's while the device is lent), -EBUSY (another context has the device),
 * -EPIPE, -EPROTO, and what the kernel says.
 */
int lent_config_write(struct usrpci_ctx *ctx, const char *device, unsigned int offset,
		      const void *bytes, size_t width);
int lent_reset(struct usrpci_ctx *ctx, const char *device);

/*
 * A huge page that the broker holds: its file (the caller's to close), where in it, and where in
 * memory.
 */
struct lent_page {
	int fd;
	uint64_t offset;
	uint64_t pa;
	int node;
};

/* Errors, not logged: -ENOMEM (none is to be had), -EPIPE, -EPROTO. */
int lent_get_page(struct usrpci_ctx *ctx, uint64_t page_size, int node, struct lent_page *page);
void lent_put_page(struct usrpci_ctx *ctx, uint64_t page_size, uint64_t offset);
