/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the running kernel allows, and what it allows this process. */

#include <stdbool.h>

#include <usrpci/ctx.h>

/* Bytes of the name of a lockdown mode with its zero. */
#define LOCKDOWN_SIZE 32

/* Writes the mode of the kernel's lockdown; "none" also where the kernel has none. Returns mode. */
const char *kernel_lockdown(const struct usrpci_ctx *ctx, char mode[LOCKDOWN_SIZE]);

bool kernel_is_locked_down(const struct usrpci_ctx *ctx);

/* Whether an IOMMU group is one of vfio's no-IOMMU mode: no IOMMU confines its device. */
bool group_is_noiommu(const struct usrpci_ctx *ctx, int group);

/*
 * The lowest physical address of memory: 0 where there is some from the start or where the kernel
 * does not say, as to those who are not root.
 */
uint64_t kernel_lowest_ram(const struct usrpci_ctx *ctx);

/* Whether this process has a capability (CAP_..., capabilities(7)) in effect. */
bool has_capability(const struct usrpci_ctx *ctx, unsigned int capability);
