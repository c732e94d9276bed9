// SPDX-License-Identifier: BSD-2-Clause
/*
 * Keeps a device writing to memory until it is killed: edu (QEMU docs/specs/edu.txt) copies its
 * buffer over a block of DMA memory, again and again. Creates /tmp/lend_drive once it does.
 */

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <usrpci/usrpci.h>

#include "edu/edu_reg.h"

enum { BYTES = 4000 };

static int drive(struct usrpci_ctx *ctx, struct usrpci_dev *dev)
{
	const struct usrpci_dma_request request = {.size = 1 << 20, .align = 4096};
	struct usrpci_bar bar;
	void *block;

	if (usrpci_bar_map(dev, 0, &bar) || usrpci_dma_alloc(ctx, &request, &block) ||
	    usrpci_dev_set_bus_master(dev, true))
		return 1;
	for (unsigned long i = 0;; i++) {
		usrpci_write64(&bar, EDU_DMA_SOURCE, EDU_BUFFER);
		usrpci_write64(&bar, EDU_DMA_DESTINATION,
			       usrpci_dma_addr(ctx, block) + i % 200 * 4096);
		usrpci_write64(&bar, EDU_DMA_COUNT, BYTES);
		usrpci_write64(&bar, EDU_DMA_COMMAND, EDU_DMA_TO_MEMORY | EDU_DMA_START);
		while (usrpci_read64(&bar, EDU_DMA_COMMAND) & EDU_DMA_START)
			usleep(100);
		if (i == 0)
			close(open("/tmp/lend_drive", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	}
}

int main(int argc, char **argv)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;

	if (argc != 2) {
		fprintf(stderr, "usage: %s DEVICE\n", argv[0]);
		return 2;
	}
	if (usrpci_ctx_open(&options, &ctx))
		return 1;
	return usrpci_dev_open(ctx, argv[1], &dev) ? 1 : drive(ctx, dev);
}
