// SPDX-License-Identifier: BSD-2-Clause
/* The options of network cards: their defaults, and the limits that all drivers share. */

#include <errno.h>
#include <string.h>

#include "nic.h"

int nic_options(const struct usrpci_nic_options *options, struct usrpci_nic_options *result)
{
	memset(result, 0, sizeof(*result));
	if (options)
		*result = *options;
	if (!result->rx_descriptors)
		result->rx_descriptors = 256;
	if (!result->tx_descriptors)
		result->tx_descriptors = 256;
	if (!result->spare_buffers)
		result->spare_buffers = 64;
	if (!result->queues)
		result->queues = 1;
	if (!nic_is_ring_size(result->rx_descriptors) || !nic_is_ring_size(result->tx_descriptors))
		return -EINVAL;
	if (result->queues > NIC_QUEUES_MAX || result->spare_buffers > 1 << 20 ||
	    result->irq_gap_us > 16000 || result->irq > USRPCI_NIC_IRQ_MSIX)
		return -EINVAL;
	return 0;
}
