/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Finds devices by the names that users type, and makes the names that users read. */

#include "cli.h"

bool is_emulated(const char *name);

/*
 * Finds a device of the host by any of its names. One that usrpci took has no interface or disk any
 * more, and is found by those that it had, unless another device has that name now.
 */
int find_address(struct cli *cli, const char *name, struct usrpci_addr *addr);

/* Finds it and looks it up. */
int find_device(struct cli *cli, const char *name, struct usrpci_dev_info *info);

/* The devices of the host that an operand names: one, or all of a slot or a bus. */
struct named {
	struct usrpci_dev_info one, *all; /* of a slot or bus; NULL: it is one */
	int count;
};

/* Whether a name is that of a slot. */
bool is_slot(const char *name);

/*
 * Finds them. "01:00" is a slot, with all its functions, and "01:" a bus, as lspci(8) has them.
 * Returns STATUS_DONE, or how the command ends, and then there are none.
 */
int named_find(struct cli *cli, const char *name, struct named *named);
const struct usrpci_dev_info *named_info(const struct named *named, int index);
void named_free(struct named *named);

/*
 * Returns whether the device exists, and stores its current state. Prints no message if it does
 * not.
 */
bool device_state(struct cli *cli, const struct usrpci_addr *addr, struct usrpci_dev_info *info);

/* Opens a device, or an emulated one, to look at it. */
int inspect_device(struct cli *cli, const char *name, struct usrpci_dev **dev);

/* Returns whether an earlier operand named this device, so that no device is handled twice. */
bool named_before(struct cli *cli, const struct usrpci_addr *addr);

/*
 * Returns the kernel driver that holds the device, or NULL. Nobody else must touch a held device.
 */
const char *kernel_driver(const struct usrpci_dev_info *info);

/*
 * The name of a device, "Intel Corporation 82540EM Gigabit Ethernet Controller", and of its class;
 * "" if there is none.
 */
enum { NAME_SIZE = 160 };
int device_names(struct cli *cli, const struct usrpci_dev_info *info, char name[2 * NAME_SIZE],
		 char class_name[NAME_SIZE]);

/* Writes the names of those that belong to a device, "eth0 nvme0n1", cut to size. */
void interface_names(const struct usrpci_interface *list, int count, const struct usrpci_addr *addr,
		     char separator, size_t size, char *names);

/* Writes the BARs that the device has, as "bars". */
void json_bars(struct json *json, struct usrpci_dev *dev);
