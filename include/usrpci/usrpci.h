/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_USRPCI_H
#define USRPCI_USRPCI_H

/*
 * Everything a driver needs. Programs that prepare a host include <usrpci/host.h> beside it.
 */

#include <usrpci/addr.h>
#include <usrpci/bar.h>
#include <usrpci/config.h>
#include <usrpci/ctx.h>
#include <usrpci/device.h>
#include <usrpci/dma.h>
#include <usrpci/irq.h>
#include <usrpci/mmio.h>

#endif
