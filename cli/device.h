/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Devices by the names that people give, and the names that people read.
 */

#include "cli.h"

bool is_emulated(const char *name);

/* Looks up a device of the host by any of its names. */
int find_device(struct cli *cli, const char *name, struct usrpci_dev_info *info);

/* Whether the device exists, and its state now; says nothing when it does not. */
bool device_state(struct cli *cli, const struct usrpci_addr *addr, struct usrpci_dev_info *info);

/* Opens a device, emulated ones included, to look at it. */
int inspect_device(struct cli *cli, const char *name, struct usrpci_dev **dev);

/* Whether an earlier operand named this device already: no device is worked on twice. */
bool named_before(struct cli *cli, const struct usrpci_addr *addr);

/* The kernel driver that has the device, which nobody else must touch then; NULL: there is none. */
const char *kernel_driver(const struct usrpci_dev_info *info);

/*
 * A device's name, "Intel Corporation 82540EM Gigabit Ethernet Controller", and its class's; ""
 * where there is none.
 */
enum { NAME_SIZE = 160 };
int device_names(struct cli *cli, const struct usrpci_dev_info *info, char name[2 * NAME_SIZE],
		 char class_name[NAME_SIZE]);

/* Writes the names of those that belong to a device, "eth0 nvme0n1", cut to size. */
void interface_names(const struct usrpci_interface *list, int count, const struct usrpci_addr *addr,
		     char separator, size_t size, char *names);

/* Writes the BARs that the device has, as "bars". */
void json_bars(struct json *json, struct usrpci_dev *dev);
