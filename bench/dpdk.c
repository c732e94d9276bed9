// SPDX-License-Identifier: BSD-2-Clause
/*
 * Measures the same of DPDK: with physical addresses, memory that no other process shares, no
 * devices, and its malloc and mempool with the usual cache of 256 buffers a thread.
 */

#include <string.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "measure.h"

struct bench {
	struct rte_mempool *pool;
	void *blocks[RANDOM_LIVE];
	uint32_t seed;
};

static void alloc_free(void *data, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		void *block = rte_malloc(NULL, 4096, 4096);

		require(block != NULL, "rte_malloc");
		rte_free(block);
	}
}

static void random_blocks(void *data, unsigned int n)
{
	struct bench *bench = data;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int which = draw(&bench->seed) % RANDOM_LIVE;

		rte_free(bench->blocks[which]);
		bench->blocks[which] = rte_malloc(NULL, draw_size(&bench->seed), 64);
		require(bench->blocks[which] != NULL, "rte_malloc");
	}
}

static void translate(void *data, unsigned int n)
{
	struct bench *bench = data;

	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < TRANSLATIONS; j++)
			consume(rte_malloc_virt2iova(bench->blocks[j]));
}

static void pool_single(void *data, unsigned int n)
{
	struct rte_mempool *pool = ((struct bench *)data)->pool;
	void *buffer;

	for (unsigned int i = 0; i < n; i++) {
		require(rte_mempool_get(pool, &buffer) == 0, "rte_mempool_get");
		rte_mempool_put(pool, buffer);
	}
}

static void pool_bulk(void *data, unsigned int n)
{
	struct rte_mempool *pool = ((struct bench *)data)->pool;
	void *buffers[POOL_BULK];

	for (unsigned int i = 0; i < n; i++) {
		require(rte_mempool_get_bulk(pool, buffers, POOL_BULK) == 0,
			"rte_mempool_get_bulk");
		rte_mempool_put_bulk(pool, buffers, POOL_BULK);
	}
}

static void get_ready(void)
{
	static char arguments[][20] = {
		"bench",
		"-l",
		"0",
		"--in-memory",
		"--no-pci",
		"--no-telemetry",
		"--iova-mode=pa",
		"--log-level=error",
	};
	enum { COUNT = sizeof(arguments) / sizeof(*arguments) };
	char *pointers[COUNT + 1] = {NULL};
	double start = nanoseconds();
	void *block;

	for (unsigned int i = 0; i < COUNT; i++)
		pointers[i] = arguments[i];
	require(rte_eal_init(COUNT, pointers) >= 0, "rte_eal_init");
	block = rte_malloc(NULL, 4096, 0);
	require(block != NULL, "rte_malloc");
	memset(block, 1, 4096);
	printf("ready %.0f\n", nanoseconds() - start);
	rte_free(block);
}

int main(void)
{
	struct bench bench = {.seed = 1};

	get_ready();
	measure("alloc_free", alloc_free, &bench, 200, 1);
	for (unsigned int i = 0; i < RANDOM_LIVE; i++) {
		bench.blocks[i] = rte_malloc(NULL, draw_size(&bench.seed), 64);
		require(bench.blocks[i] != NULL, "rte_malloc");
	}
	measure("random", random_blocks, &bench, 500, 2);
	measure("translate", translate, &bench, 1, TRANSLATIONS);
	bench.pool = rte_mempool_create("bench", POOL_BUFFERS, POOL_SIZE, 256, 0, NULL, NULL, NULL,
					NULL, SOCKET_ID_ANY, 0);
	require(bench.pool != NULL, "rte_mempool_create");
	measure("pool_single", pool_single, &bench, 1000, 1);
	measure("pool_bulk", pool_bulk, &bench, 100, POOL_BULK);
	rte_mempool_free(bench.pool);
	rte_eal_cleanup();
	return 0;
}
