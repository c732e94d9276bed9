/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A device through its files in sysfs: configuration space and BARs. Shared by the backends sysfs
 * and uio; both keep a struct sysfs_dev first in what dev->backend points to.
 */

#include "backend.h"

struct sysfs_dev {
	int config;          /* descriptor of the config file */
	int io[USRPCI_BARS]; /* of resourceN for I/O BARs that are mapped, -1 otherwise */
	unsigned int io_users[USRPCI_BARS];
};

/* Opens the config file and fills dev->config_size and dev->bars. */
int sysfs_attach(struct usrpci_dev *dev, struct sysfs_dev *sysfs);
void sysfs_detach(struct sysfs_dev *sysfs);

/*
 * Refuses the second of two programs that drive a device. Returns a descriptor that holds the
 * lock; -EBUSY, not logged, when another program does; or another error, logged.
 */
int sysfs_lock(struct usrpci_dev *dev);

/* Fills dev->bars alone; no privileges are needed. */
int sysfs_read_bars(struct usrpci_dev *dev);

/* The operations of backend.h. */
int sysfs_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size);
int sysfs_config_write(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
		       size_t size);
int sysfs_bar_map(struct usrpci_dev *dev, struct usrpci_bar *bar);
int sysfs_bar_map_wc(struct usrpci_dev *dev, struct usrpci_bar *bar);
void sysfs_bar_unmap(struct usrpci_dev *dev, struct usrpci_bar *bar);
int sysfs_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t *value);
int sysfs_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t value);
int sysfs_reset(struct usrpci_dev *dev, enum usrpci_reset kind);
bool sysfs_can_reset(struct usrpci_dev *dev);
