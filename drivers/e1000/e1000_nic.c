// SPDX-License-Identifier: BSD-2-Clause
/* Connects the driver to the interface of <usrpci/nic.h>: one queue, one vector, no headroom. */

#include <linux/if_ether.h>
#include <string.h>

#include <net/nic.h>

#include "e1000_private.h"

static int nic_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options, void **self,
		    struct usrpci_nic_info *info, struct usrpci_pool **pool)
{
	struct e1000 *nic;
	int error = e1000_open(dev, options, &nic);

	if (error)
		return error;
	*info = (struct usrpci_nic_info){
		.name = e1000_name(nic),
		.mtu = 1500,
		.frame_max = E1000_FRAME_MAX,
		.queues = 1,
	};
	memcpy(info->mac, e1000_mac(nic), sizeof(info->mac));
	*pool = e1000_pool(nic);
	*self = nic;
	return 0;
}

static void nic_close(void *self)
{
	e1000_close(self);
}

static int nic_start(void *self)
{
	return e1000_start(self);
}

static int nic_stop(void *self)
{
	return e1000_stop(self);
}

static unsigned int nic_receive(void *self, unsigned int queue, struct usrpci_nic_frame *frames,
				unsigned int n)
{
	return e1000_receive(self, frames, n);
}

static unsigned int nic_transmit(void *self, unsigned int queue,
				 const struct usrpci_nic_frame *frames, unsigned int n)
{
	return e1000_transmit(self, frames, n);
}

static unsigned int nic_reclaim(void *self, unsigned int queue)
{
	return e1000_transmit_reclaim(self);
}

static int nic_wait(void *self, unsigned int queue, int timeout_ms)
{
	return e1000_wait(self, timeout_ms);
}

static int nic_irq_fd(void *self, unsigned int queue)
{
	return e1000_irq_fd(self);
}

static int nic_link(void *self, struct usrpci_nic_link *link)
{
	return e1000_link(self, link);
}

static int nic_stats(void *self, struct usrpci_nic_stats *stats)
{
	return e1000_stats(self, stats);
}

const struct nic_driver e1000_nic_driver = {
	.matches = e1000_matches,
	.mtu_max = E1000_FRAME_MAX - ETH_HLEN,
	.open = nic_open,
	.close = nic_close,
	.start = nic_start,
	.stop = nic_stop,
	.receive = nic_receive,
	.transmit = nic_transmit,
	.reclaim = nic_reclaim,
	.wait = nic_wait,
	.irq_fd = nic_irq_fd,
	.link = nic_link,
	.stats = nic_stats,
};
