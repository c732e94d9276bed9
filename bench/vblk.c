// SPDX-License-Identifier: BSD-2-Clause
/*
 * Counts the instructions that a read of 4 KiB costs the virtio-blk driver, 32 at a time, in a
 * machine whose TSC counts instructions (QEMU's -icount shift=0).
 *
 * usage: bench_vblk DEVICE
 */

#include <unistd.h>

#include <usrpci/usrpci.h>
#include <usrpci/vblk.h>

#include "measure.h"

#define DEPTH   32
#define BYTES   4096
#define SECTORS (BYTES / USRPCI_VBLK_SECTOR)
#define NAP_US  5000 /* until the device has read a batch */
#define ROUNDS  30   /* the one with the fewest instructions counts */

/* Returns 0 when the batch was not complete at once. */
static uint64_t read_batch(struct usrpci_vblk *vblk, struct usrpci_vblk_io **ios)
{
	struct usrpci_vblk_io *done[DEPTH];
	uint64_t start = __builtin_ia32_rdtsc(), instructions;
	int got;

	require(usrpci_vblk_submit(vblk, 0, ios, DEPTH) == DEPTH, "usrpci_vblk_submit");
	instructions = __builtin_ia32_rdtsc() - start;
	usleep(NAP_US);
	start = __builtin_ia32_rdtsc();
	got = usrpci_vblk_reap(vblk, 0, done, DEPTH);
	instructions += __builtin_ia32_rdtsc() - start;
	if (got == DEPTH)
		return instructions;
	while (got < DEPTH) {
		int more = usrpci_vblk_reap(vblk, 0, done, DEPTH);

		require(more >= 0, "usrpci_vblk_reap");
		got += more;
		usleep(NAP_US);
	}
	return 0;
}

static void count(struct usrpci_vblk *vblk, struct usrpci_dma_block *block)
{
	struct usrpci_vblk_io list[DEPTH], *ios[DEPTH];
	uint64_t least = UINT64_MAX;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t now;

		for (unsigned int i = 0; i < DEPTH; i++) {
			ios[i] = &list[i];
			list[i] = (struct usrpci_vblk_io){.op = USRPCI_VBLK_READ,
							  .sector = i * SECTORS,
							  .sectors = SECTORS,
							  .addr = block->addr + i * BYTES};
		}
		now = read_batch(vblk, ios);
		least = now && now < least ? now : least;
	}
	require(least != UINT64_MAX, "reading whole batches");
	printf("vblk_read_instructions %.2f\n", (double)least / DEPTH);
}

int main(int argc, char **argv)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	const struct usrpci_vblk_options polling = {.depth = DEPTH, .poll = true};
	struct usrpci_dma_request request = {.size = DEPTH * BYTES, .align = BYTES};
	struct usrpci_dma_block block;
	struct usrpci_vblk *vblk;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;

	require(argc == 2, "usage: bench_vblk DEVICE:");
	require(!usrpci_ctx_open(&options, &ctx), "usrpci_ctx_open");
	require(!usrpci_dev_open(ctx, argv[1], &dev), "usrpci_dev_open");
	require(!usrpci_vblk_open(dev, &polling, &vblk), "usrpci_vblk_open");
	require(!usrpci_dma_block_alloc(ctx, &request, &block), "usrpci_dma_block_alloc");
	count(vblk, &block);
	usrpci_dma_block_free(ctx, &block);
	usrpci_vblk_close(vblk);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return 0;
}
