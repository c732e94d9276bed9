// SPDX-License-Identifier: BSD-2-Clause
/*
 * Measures what a frame of 64 bytes (60 and the FCS) costs when the e1000 driver sends it in
 * batches of 32, as dpdk-testpmd --forward-mode=txonly does: it takes buffers from the pool, copies
 * the header into them, transmits them, and gives them back when they are sent. In the end the card
 * must have counted every frame.
 *
 * usage: bench_e1000_txonly DEVICE
 */

#include <string.h>

#include <e1000/e1000.h>

#include "measure.h"

#define BATCH   32
#define SIZE    60
#define SECONDS 1

static const uint8_t header[SIZE] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, /* to */
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, /* from */
	0x88, 0xb5,                         /* a type for experiments, IEEE 802 */
};

static void send_batch(struct e1000 *nic)
{
	struct usrpci_nic_frame frames[BATCH];
	void *buffers[BATCH];
	unsigned int sent = 0;

	while (!usrpci_pool_get_bulk(e1000_pool(nic), buffers, BATCH))
		e1000_transmit_reclaim(nic);
	for (unsigned int i = 0; i < BATCH; i++) {
		memcpy(buffers[i], header, SIZE);
		frames[i] = (struct usrpci_nic_frame){.data = buffers[i], .size = SIZE};
	}
	while (sent < BATCH)
		sent += e1000_transmit(nic, frames + sent, BATCH - sent);
}

static void send_for_a_while(struct e1000 *nic)
{
	struct usrpci_nic_stats before, after;
	double start, end;
	unsigned int frames = 0;

	require(!e1000_stats(nic, &before), "e1000_stats");
	start = nanoseconds();
	do {
		for (unsigned int i = 0; i < 64; i++, frames += BATCH)
			send_batch(nic);
		end = nanoseconds();
	} while (end - start < SECONDS * 1e9);
	require(!e1000_stop(nic), "e1000_stop");
	require(!e1000_stats(nic, &after), "e1000_stats");
	require(after.tx_frames - before.tx_frames == frames, "sending every frame");
	printf("e1000_txonly %.1f\n", (end - start) / frames);
}

int main(int argc, char **argv)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	const struct usrpci_nic_options polling = {.irq = USRPCI_NIC_IRQ_NONE};
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct e1000 *nic;

	require(argc == 2, "usage: bench_e1000_txonly DEVICE:");
	require(!usrpci_ctx_open(&options, &ctx), "usrpci_ctx_open");
	require(!usrpci_dev_open(ctx, argv[1], &dev), "usrpci_dev_open");
	require(!e1000_open(dev, &polling, &nic), "e1000_open");
	require(!e1000_start(nic), "e1000_start");
	require(!e1000_link_wait(nic, 5000), "e1000_link_wait");
	send_for_a_while(nic);
	e1000_close(nic);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return 0;
}
