/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Driver of virtio-net devices, behind the face of <usrpci/nic.h>: Virtio 1.2, 5.1.
 */

struct nic_driver;

/** The driver, for usrpci_nic_open(). */
extern const struct nic_driver virtio_nic_driver;
