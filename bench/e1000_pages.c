// SPDX-License-Identifier: BSD-2-Clause
/*
 * Counts the huge pages that the e1000 driver holds with 256 + 256 descriptors.
 *
 * usage: bench_e1000_pages DEVICE
 */

#include <e1000/e1000.h>

#include "measure.h"

int main(int argc, char **argv)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	const struct usrpci_nic_options descriptors = {.rx_descriptors = 256,
						       .tx_descriptors = 256};
	struct usrpci_dma_stats stats;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct e1000 *nic;

	require(argc == 2, "usage: bench_e1000_pages DEVICE:");
	require(!usrpci_ctx_open(&options, &ctx), "usrpci_ctx_open");
	require(!usrpci_dev_open(ctx, argv[1], &dev), "usrpci_dev_open");
	require(!e1000_open(dev, &descriptors, &nic), "e1000_open");
	require(!e1000_start(nic), "e1000_start");
	usrpci_dma_stats(ctx, &stats);
	printf("e1000_pages %zu\n", stats.pages);
	e1000_close(nic);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return 0;
}
