/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_DOMAIN_PHYSICAL_H
#define USRPCI_LIB_DOMAIN_PHYSICAL_H

#include "ctx.h"

/*
 * Gives the context a DMA domain whose device addresses are physical addresses. For backends
 * without an IOMMU, with ctx->lock held, when the context has no domain. Reserves no memory and
 * needs no privileges: both come with the first allocation. Returns 0 or a negative errno, logged.
 */
int domain_physical_attach(struct usrpci_ctx *ctx);

#endif
