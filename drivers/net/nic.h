/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What a driver of network cards implements. The comments in <usrpci/nic.h> say what each operation
 * does.
 */

#include <usrpci/nic.h>
#include <usrpci/usrpci.h>

/* Returns the buffer that contains data. All buffers are aligned to their size. */
static inline void *nic_buffer(const void *data)
{
	return (void *)((uintptr_t)data & ~(uintptr_t)(USRPCI_NIC_BUFFER_SIZE - 1));
}

#define NIC_QUEUES_MAX 16

/* Whether a ring can have n descriptors. */
static inline bool nic_is_ring_size(unsigned int n)
{
	return n >= 8 && n <= 4096 && !(n & (n - 1));
}

/*
 * Stores options with the defaults filled in; options may be NULL. Returns -EINVAL when one is out
 * of the range that <usrpci/nic.h> names.
 */
int nic_options(const struct usrpci_nic_options *options, struct usrpci_nic_options *result);

struct nic_driver {
	/* Returns whether the driver is for this device. */
	bool (*matches)(const struct usrpci_dev_info *info);
	/*
	 * Looks at a device of another driver: 0, -ENOTSUP with the reason, or those of
	 * usrpci_config_read8(). NULL: it takes all that match.
	 */
	int (*look)(struct usrpci_dev *dev, const char **why);
	unsigned int mtu_max; /* 0: any, in pieces */
	/*
	 * Stores in *self what the other operations get, in *info what is known about the card, and
	 * in *pool the pool of buffers, which have USRPCI_NIC_BUFFER_SIZE bytes and that alignment.
	 */
	int (*open)(struct usrpci_dev *dev, const struct usrpci_nic_options *options, void **self,
		    struct usrpci_nic_info *info, struct usrpci_pool **pool);
	void (*close)(void *self);
	int (*start)(void *self);
	int (*stop)(void *self);
	unsigned int (*receive)(void *self, unsigned int queue, struct usrpci_nic_frame *frames,
				unsigned int n);
	unsigned int (*transmit)(void *self, unsigned int queue,
				 const struct usrpci_nic_frame *frames, unsigned int n);
	unsigned int (*reclaim)(void *self, unsigned int queue);
	int (*wait)(void *self, unsigned int queue, int timeout_ms);
	int (*irq_fd)(void *self, unsigned int queue);
	int (*link)(void *self, struct usrpci_nic_link *link);
	int (*stats)(void *self, struct usrpci_nic_stats *stats);
};
