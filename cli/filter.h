/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Options that choose devices by class, id and driver. */

#include "cli.h"

#define FILTER_OPTIONS                                                                    \
	{'c', "class", "CLASS",                                                           \
	 "only devices of this class: network, storage, ... or hexadecimal"},             \
		{'i', "id", "VENDOR[:DEVICE]", "only devices with this id, hexadecimal"}, \
	{                                                                                 \
		'd', "driver", "DRIVER",                                                  \
			"only devices that DRIVER holds; none: that no driver holds"      \
	}

/* All zero: every device fits. */
struct filter {
	char class_prefix[7];
	uint16_t vendor, device;
	bool by_vendor, by_device;
	const char *driver; /* NULL: any */
};

/* Returns whether an option is one of them. A wrong argument is reported, and ends the command. */
bool filter_option(struct cli *cli, int key, struct filter *filter);

bool filter_is_set(const struct filter *filter);
bool filter_fits(const struct filter *filter, const struct usrpci_dev_info *info);

/*
 * Lists the devices that fit, for which the caller calls usrpci_dev_list_free(). Returns how many
 * there are, or a negative errno.
 */
int filter_list(struct cli *cli, const struct filter *filter, struct usrpci_dev_info **infos);

/* The names of classes, for did_you_mean() and completion. */
const char *filter_class(const void *data, size_t index);
