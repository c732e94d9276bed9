// SPDX-License-Identifier: BSD-2-Clause
/*
 * Measures what a frame of 64 bytes (60 and the FCS) costs when libusrpci-net sends it in batches
 * of 32, as dpdk-testpmd --forward-mode=txonly does: it takes buffers, copies the header into them,
 * transmits them, and gets them back when they are sent. In the end the card must have counted
 * every frame.
 *
 * usage: bench_txonly NAME DEVICE
 *
 * NAME is what the figure is called.
 */

#include <string.h>

#include <usrpci/nic.h>
#include <usrpci/usrpci.h>

#include "measure.h"

#define BATCH   32
#define SIZE    60
#define SECONDS 1

static const uint8_t header[SIZE] = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, /* to */
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, /* from */
	0x88, 0xb5,                         /* a type for experiments, IEEE 802 */
};

static void send_batch(struct usrpci_nic *nic)
{
	struct usrpci_nic_frame frames[BATCH];
	unsigned int sent = 0;

	for (unsigned int i = 0; i < BATCH; i++) {
		void *data;

		while (!(data = usrpci_nic_get(nic)))
			usrpci_nic_reclaim(nic, 0);
		memcpy(data, header, SIZE);
		frames[i] = (struct usrpci_nic_frame){.data = data, .size = SIZE};
	}
	while (sent < BATCH)
		sent += usrpci_nic_transmit(nic, 0, frames + sent, BATCH - sent);
}

static void send_for_a_while(struct usrpci_nic *nic, const char *name)
{
	struct usrpci_nic_stats before, after;
	double start, end;
	unsigned int frames = 0;

	require(!usrpci_nic_stats(nic, &before), "usrpci_nic_stats");
	start = nanoseconds();
	do {
		for (unsigned int i = 0; i < 64; i++, frames += BATCH)
			send_batch(nic);
		end = nanoseconds();
	} while (end - start < SECONDS * 1e9);
	require(!usrpci_nic_stop(nic), "usrpci_nic_stop");
	require(!usrpci_nic_stats(nic, &after), "usrpci_nic_stats");
	require(after.tx_frames - before.tx_frames == frames, "sending every frame");
	printf("%s %.1f\n", name, (end - start) / frames);
}

int main(int argc, char **argv)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	const struct usrpci_nic_options polling = {.irq = USRPCI_NIC_IRQ_NONE};
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_nic *nic;

	require(argc == 3, "usage: bench_txonly NAME DEVICE:");
	require(!usrpci_ctx_open(&options, &ctx), "usrpci_ctx_open");
	require(!usrpci_dev_open(ctx, argv[2], &dev), "usrpci_dev_open");
	require(!usrpci_nic_open(dev, &polling, &nic), "usrpci_nic_open");
	require(!usrpci_nic_start(nic), "usrpci_nic_start");
	require(!usrpci_nic_link_wait(nic, 5000), "usrpci_nic_link_wait");
	send_for_a_while(nic, argv[1]);
	usrpci_nic_close(nic);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return 0;
}
