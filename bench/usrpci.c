// SPDX-License-Identifier: BSD-2-Clause
/*
 * Measures libusrpci in a program that has a second thread, so that locks are real.
 *
 * usage: bench_usrpci ROOT DEVICE [ready]
 *
 * ROOT is where the context looks for the device: "/", or a tree of files with a device in it.
 * "ready" measures only the time from nothing to usable DMA memory.
 */

#include <pthread.h>
#include <string.h>

#include <usrpci/usrpci.h>

#include "measure.h"

struct bench {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_pool *pool;
	void *blocks[RANDOM_LIVE];
	uint32_t seed;
};

static void alloc_free(void *data, unsigned int n)
{
	const struct usrpci_dma_request request = {.size = 4096, .align = 4096};
	struct bench *bench = data;
	void *block;

	for (unsigned int i = 0; i < n; i++) {
		require(!usrpci_dma_alloc(bench->ctx, &request, &block), "usrpci_dma_alloc");
		usrpci_dma_free(bench->ctx, block);
	}
}

static void random_blocks(void *data, unsigned int n)
{
	struct usrpci_dma_request request = {0};
	struct bench *bench = data;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int which = draw(&bench->seed) % RANDOM_LIVE;

		usrpci_dma_free(bench->ctx, bench->blocks[which]);
		request.size = draw_size(&bench->seed);
		require(!usrpci_dma_alloc(bench->ctx, &request, &bench->blocks[which]),
			"usrpci_dma_alloc");
	}
}

static void translate(void *data, unsigned int n)
{
	struct bench *bench = data;

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < TRANSLATIONS; j++)
			consume(usrpci_dma_addr(bench->ctx, bench->blocks[j]));
}

static void pool_single(void *data, unsigned int n)
{
	struct usrpci_pool *pool = ((struct bench *)data)->pool;

	for (unsigned int i = 0; i < n; i++)
		usrpci_pool_put(pool, usrpci_pool_get(pool));
}

static void pool_bulk(void *data, unsigned int n)
{
	struct usrpci_pool *pool = ((struct bench *)data)->pool;
	void *buffers[POOL_BULK];

	for (unsigned int i = 0; i < n; i++) {
		require(usrpci_pool_get_bulk(pool, buffers, POOL_BULK) == POOL_BULK,
			"usrpci_pool_get_bulk");
		usrpci_pool_put_bulk(pool, buffers, POOL_BULK);
	}
}

static void get_ready(struct bench *bench, const char *root, const char *device)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr, .root = root};
	const struct usrpci_dma_request request = {.size = 4096};
	double start = nanoseconds();

	require(!usrpci_ctx_open(&options, &bench->ctx), "usrpci_ctx_open");
	require(!usrpci_dev_open(bench->ctx, device, &bench->dev), "usrpci_dev_open");
	require(!usrpci_dma_alloc(bench->ctx, &request, &bench->blocks[0]), "usrpci_dma_alloc");
	memset(bench->blocks[0], 1, request.size);
	printf("ready %.0f\n", nanoseconds() - start);
	usrpci_dma_free(bench->ctx, bench->blocks[0]);
}

static void *wait_for_end(void *data)
{
	pthread_mutex_lock(data);
	return NULL;
}

static void measure_all(struct bench *bench)
{
	const struct usrpci_pool_options options = {.size = POOL_SIZE, .count = POOL_BUFFERS};
	struct usrpci_dma_request request = {0};

	measure("alloc_free", alloc_free, bench, 1000, 1);
	for (unsigned int i = 0; i < RANDOM_LIVE; i++) {
		request.size = draw_size(&bench->seed);
		require(!usrpci_dma_alloc(bench->ctx, &request, &bench->blocks[i]),
			"usrpci_dma_alloc");
	}
	measure("random", random_blocks, bench, 1000, 2);
	measure("translate", translate, bench, 10, TRANSLATIONS);
	require(!usrpci_pool_create(bench->ctx, &options, &bench->pool), "usrpci_pool_create");
	measure("pool_single", pool_single, bench, 1000, 1);
	measure("pool_bulk", pool_bulk, bench, 100, POOL_BULK);
	usrpci_pool_destroy(bench->pool);
}

int main(int argc, char **argv)
{
	struct bench bench = {.seed = 1};
	pthread_mutex_t end = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;

	require(argc >= 3, "usage: bench_usrpci ROOT DEVICE [ready]:");
	pthread_mutex_lock(&end);
	require(!pthread_create(&thread, NULL, wait_for_end, &end), "pthread_create");
	get_ready(&bench, argv[1], argv[2]);
	if (argc == 3)
		measure_all(&bench);
	usrpci_dev_close(bench.dev);
	usrpci_ctx_close(bench.ctx);
	pthread_mutex_unlock(&end);
	pthread_join(thread, NULL);
	return 0;
}
