/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MYDEV_H
#define MYDEV_H

/* A driver, as an example of its shape. Functions return 0 or a negative errno. */

#include <usrpci/usrpci.h>

struct mydev;

/**
 * Takes an open device, which stays the caller's and is closed after mydev_close().
 *
 * Errors: -ENOTSUP (another device); -ENODEV (gone); -ENOMEM; those of usrpci_bar_map(),
 * usrpci_dma_alloc() and usrpci_irq_enable_best().
 */
int mydev_open(struct usrpci_dev *dev, struct mydev **result);

/** NULL does nothing. */
void mydev_close(struct mydev *mydev);

/** Copies to the device and back. Errors: -ERANGE (too large); -ETIMEDOUT; -ENODEV. */
int mydev_write(struct mydev *mydev, const void *data, size_t size);
int mydev_read(struct mydev *mydev, void *data, size_t size);

#endif
