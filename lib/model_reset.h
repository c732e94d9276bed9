/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_MODEL_RESET_H
#define USRPCI_LIB_MODEL_RESET_H

struct usrpci_dev;

/* USRPCI_RESET_MODEL. -EOPNOTSUPP, not logged, for models without one here. */
int model_reset(struct usrpci_dev *dev);

#endif
