/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_DMA_PHYSICAL_H
#define USRPCI_LIB_DMA_PHYSICAL_H

#include <usrpci/ctx.h>

/*
 * Gives a context the domain in which device addresses are physical addresses, unless it has it
 * already. Takes no huge page yet. ctx->lock is held. Errors, logged: -EXDEV (the context has
 * another domain), -ENOMEM.
 */
int domain_physical_attach(struct usrpci_ctx *ctx);

#endif
