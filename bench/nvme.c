// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads of 4 KiB by the NVMe driver.
 *
 * usage: bench_nvme DEVICE poll|irq DEPTH READS [hot]
 *
 * Prints nanoseconds a read, for fio's figures to be beside them; with "hot" those of submitting
 * and reaping alone, without the waiting in between, and per batch of DEPTH. Where the machine
 * counts an instruction as a nanosecond (QEMU's -icount shift=0), these are instructions.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <usrpci/nvme.h>
#include <usrpci/usrpci.h>

#define DEPTH_MAX 64
#define SIZE      4096

struct bench {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_nvme *nvme;
	struct usrpci_nvme_queue *queue;
	struct usrpci_nvme_ns ns;
	struct usrpci_dma_block buffers;
	struct usrpci_nvme_io ios[DEPTH_MAX];
	struct usrpci_nvme_io *list[DEPTH_MAX];
	uint64_t seed, hot; /* hot: nanoseconds in the driver's calls */
	unsigned int depth;
	bool poll, only_hot;
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* The clock of the processor: reading it takes next to nothing. */
static uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return now();
#endif
}

static int open_disk(struct bench *bench, const char *name)
{
	struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	struct usrpci_nvme_options nvme = {.queues = 1, .poll = bench->poll};
	struct usrpci_nvme_queue_options queue = {.depth = DEPTH_MAX};
	struct usrpci_dma_request request = {.size = (size_t)DEPTH_MAX * SIZE, .align = SIZE};

	return usrpci_ctx_open(&options, &bench->ctx)
		       ?: usrpci_dev_open(bench->ctx, name, &bench->dev)
		       ?: usrpci_nvme_open(bench->dev, &nvme, &bench->nvme)
		       ?: usrpci_nvme_ns(bench->nvme, 1, &bench->ns)
		       ?: usrpci_nvme_queue_create(bench->nvme, &queue, &bench->queue)
		       ?: usrpci_dma_block_alloc(bench->ctx, &request, &bench->buffers);
}

static void prepare(struct bench *bench)
{
	for (unsigned int i = 0; i < DEPTH_MAX; i++) {
		bench->ios[i] = (struct usrpci_nvme_io){
			.op = USRPCI_NVME_OP_READ,
			.ns = &bench->ns,
			.blocks = SIZE >> bench->ns.block_shift,
			.addr = bench->buffers.addr + (usrpci_dma_t)i * SIZE,
		};
		bench->list[i] = &bench->ios[i];
	}
}

static void submit(struct bench *bench, unsigned int n)
{
	uint32_t blocks = bench->ios[0].blocks;
	uint64_t begin;

	for (unsigned int i = 0; i < n; i++) {
		bench->seed = bench->seed * 6364136223846793005u + 1442695040888963407u;
		bench->list[i]->lba = (bench->seed >> 33) % (bench->ns.blocks / blocks) * blocks;
	}
	begin = ticks();
	if (usrpci_nvme_submit(bench->queue, bench->list, n) != (int)n)
		exit(1);
	bench->hot += ticks() - begin;
}

/* Waits for at least one, for all of them when only the calls count. */
static unsigned int reap(struct bench *bench, unsigned int budget)
{
	unsigned int n = 0;

	while (n == 0 || (bench->only_hot && n < budget)) {
		uint64_t begin = ticks();
		int got = usrpci_nvme_reap(bench->queue, bench->list + n, budget - n);

		if (got < 0)
			exit(1);
		if (got > 0)
			bench->hot += ticks() - begin;
		else
			usrpci_nvme_wait(bench->queue, -1);
		n += (unsigned int)got;
	}
	return n;
}

/* In batches where only the calls count: all are complete before the first is reaped. */
static void settle(const struct bench *bench)
{
	const struct timespec pause = {0, 2000000};

	if (bench->only_hot)
		nanosleep(&pause, NULL);
}

static double measure(struct bench *bench, unsigned int reads)
{
	unsigned int n = bench->depth, done = 0, under_way = 0;
	uint64_t begin = now();

	while (done < reads) {
		submit(bench, n);
		under_way += n;
		settle(bench);
		n = reap(bench, bench->depth);
		under_way -= n;
		done += n;
	}
	while (under_way > 0)
		under_way -= reap(bench, under_way);
	return (double)(bench->only_hot ? bench->hot : now() - begin) / done;
}

int main(int argc, char **argv)
{
	struct bench bench = {.seed = 1};
	int error;

	if (argc < 5)
		return 2;
	bench.poll = !strcmp(argv[2], "poll");
	bench.depth = (unsigned int)atoi(argv[3]);
	bench.only_hot = argc > 5;
	if (bench.depth == 0 || bench.depth > DEPTH_MAX)
		return 2;
	error = open_disk(&bench, argv[1]);
	if (error) {
		fprintf(stderr, "bench_nvme: %s: %s\n", argv[1], strerror(-error));
		return 1;
	}
	prepare(&bench);
	printf("%.1f\n", measure(&bench, (unsigned int)atoi(argv[4])));
	usrpci_nvme_close(bench.nvme);
	usrpci_dma_block_free(bench.ctx, &bench.buffers);
	usrpci_dev_close(bench.dev);
	usrpci_ctx_close(bench.ctx);
	return 0;
}
