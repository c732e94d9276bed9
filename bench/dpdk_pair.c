// SPDX-License-Identifier: BSD-2-Clause
/* A pair of network cards by DPDK, with its defaults, as dpdk-testpmd has them: see pair.h. */

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "pair.h"

static struct rte_mempool *pool;

static struct rte_mbuf *out[PAIR_BATCH], *in[PAIR_BATCH];

static void pair_prepare(void)
{
	require(!rte_pktmbuf_alloc_bulk(pool, out, PAIR_BATCH), "rte_pktmbuf_alloc_bulk");
	for (unsigned int i = 0; i < PAIR_BATCH; i++) {
		memcpy(rte_pktmbuf_mtod(out[i], void *), pair_frame, PAIR_SIZE);
		out[i]->data_len = PAIR_SIZE;
		out[i]->pkt_len = PAIR_SIZE;
	}
}

static unsigned int pair_send(void)
{
	return rte_eth_tx_burst(0, 0, out, PAIR_BATCH);
}

static void pair_end_send(unsigned int sent)
{
	if (sent < PAIR_BATCH)
		rte_pktmbuf_free_bulk(out + sent, PAIR_BATCH - sent);
}

static unsigned int pair_receive(void)
{
	return rte_eth_rx_burst(1, 0, in, PAIR_BATCH);
}

static void pair_end_receive(unsigned int received)
{
	if (received > 0)
		rte_pktmbuf_free_bulk(in, received);
}

static void start_port(uint16_t port)
{
	static const struct rte_eth_conf configuration;

	require(!rte_eth_dev_configure(port, 1, 1, &configuration), "rte_eth_dev_configure");
	require(!rte_eth_rx_queue_setup(port, 0, 256, SOCKET_ID_ANY, NULL, pool),
		"rte_eth_rx_queue_setup");
	require(!rte_eth_tx_queue_setup(port, 0, 256, SOCKET_ID_ANY, NULL),
		"rte_eth_tx_queue_setup");
	require(!rte_eth_dev_start(port), "rte_eth_dev_start");
}

static void start_eal(char *program, char **devices)
{
	static char arguments[][20] = {
		"-l", "0", "-m", "64", "--no-telemetry", "--log-level=error"};
	enum { COUNT = sizeof(arguments) / sizeof(*arguments) };
	static char allow[] = "-a";
	char *pointers[COUNT + 6] = {program};

	for (unsigned int i = 0; i < COUNT; i++)
		pointers[1 + i] = arguments[i];
	for (unsigned int i = 0; i < 2; i++) {
		pointers[COUNT + 1 + 2 * i] = allow;
		pointers[COUNT + 2 + 2 * i] = devices[i];
	}
	require(rte_eal_init(COUNT + 5, pointers) >= 0, "rte_eal_init");
}

int main(int argc, char **argv)
{
	require(argc == 4, "usage: bench_dpdk_pair count|rate DEVICE DEVICE:");
	start_eal(argv[0], argv + 2);
	require(rte_eth_dev_count_avail() == 2, "finding both devices");
	pool = rte_pktmbuf_pool_create("pair", 2047, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	require(pool != NULL, "rte_pktmbuf_pool_create");
	start_port(0);
	start_port(1);
	pair_run(argv[1]);
	rte_eth_dev_stop(0);
	rte_eth_dev_stop(1);
	rte_eal_cleanup();
	return 0;
}
