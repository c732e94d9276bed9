/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What bind, run and restore share: options that say how to take devices, the devices that the
 * operands name, and the list of old and new drivers of each device.
 */

#include "cli.h"

enum { OPTION_WHOLE_GROUP = OPTION_LONG + 64 };

/* Rows of a command's table of options. */
#define MOVE_OPTIONS                                                                          \
	{'d', "driver", "DRIVER", "default: vfio-pci behind an IOMMU, else uio_pci_generic"}, \
		{'f', "force", NULL, "take a device although it is in use"},                  \
	{                                                                                     \
		OPTION_WHOLE_GROUP, "whole-group", NULL,                                      \
			"take the endpoints of its IOMMU group along"                         \
	}

/* Reads one of these options, with its argument in optarg. Returns false for another option. */
bool move_option(int key, struct usrpci_bind_options *options);

/* Devices and their state before the command changed it. */
struct moves {
	struct usrpci_dev_info *was;
	struct usrpci_addr *addrs;
	int count;
};

/*
 * Finds the devices that the operands name, each once, before the first one is touched. Returns an
 * enum status and reports failures. The lists are freed by moves_free(), also after a failure.
 */
int moves_find(struct cli *cli, struct moves *moves);
int moves_add(struct moves *moves, const struct usrpci_dev_info *was);
void moves_free(struct moves *moves);

/* Prints who held the devices and who holds them now, unless it was a dry run. */
int moves_print(struct cli *cli, const struct moves *moves);
