/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_QUIRKS_H
#define USRPCI_LIB_QUIRKS_H

#include <stdbool.h>

struct usrpci_dev;
struct usrpci_dev_info;

/* Whether the model is one of those that are reset by their own registers. */
bool model_has_reset(const struct usrpci_dev_info *info);

/* Resets the device by its own registers. Call it only where model_has_reset() is true. */
int model_reset(struct usrpci_dev *dev);

#endif
