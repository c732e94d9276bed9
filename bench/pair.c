// SPDX-License-Identifier: BSD-2-Clause
/* A pair of network cards by libusrpci-net: see pair.h. */

#include <usrpci/nic.h>
#include <usrpci/usrpci.h>

#include "pair.h"

static struct usrpci_nic *nics[2];

static struct usrpci_nic_frame out[PAIR_BATCH], in[PAIR_BATCH];
static unsigned int out_count;

static void pair_prepare(void)
{
	for (out_count = 0; out_count < PAIR_BATCH; out_count++) {
		void *data = usrpci_nic_get(nics[0]);

		if (!data)
			return;
		memcpy(data, pair_frame, PAIR_SIZE);
		out[out_count] = (struct usrpci_nic_frame){.data = data, .size = PAIR_SIZE};
	}
}

static unsigned int pair_send(void)
{
	return usrpci_nic_transmit(nics[0], 0, out, out_count);
}

static void pair_end_send(unsigned int sent)
{
	for (; sent < out_count; sent++)
		usrpci_nic_put(nics[0], out[sent].data);
}

static unsigned int pair_receive(void)
{
	return usrpci_nic_receive(nics[1], 0, in, PAIR_BATCH);
}

static void pair_end_receive(unsigned int received)
{
	for (unsigned int i = 0; i < received; i++)
		usrpci_nic_put(nics[1], in[i].data);
}

int main(int argc, char **argv)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	const struct usrpci_nic_options polling = {.irq = USRPCI_NIC_IRQ_NONE};
	struct usrpci_dev *devs[2];
	struct usrpci_ctx *ctx;

	require(argc == 4, "usage: bench_pair count|rate DEVICE DEVICE:");
	require(!usrpci_ctx_open(&options, &ctx), "usrpci_ctx_open");
	for (unsigned int i = 0; i < 2; i++) {
		require(!usrpci_dev_open(ctx, argv[2 + i], &devs[i]), "usrpci_dev_open");
		require(!usrpci_nic_open(devs[i], &polling, &nics[i]), "usrpci_nic_open");
		require(!usrpci_nic_start(nics[i]), "usrpci_nic_start");
		require(!usrpci_nic_link_wait(nics[i], 5000), "usrpci_nic_link_wait");
	}
	pair_run(argv[1]);
	for (unsigned int i = 0; i < 2; i++) {
		usrpci_nic_close(nics[i]);
		usrpci_dev_close(devs[i]);
	}
	usrpci_ctx_close(ctx);
	return 0;
}
