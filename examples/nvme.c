// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk behind an NVMe controller, as a file: copies it to standard output, writes standard input
 * to it, or measures random reads.
 *
 * usage: nvme [-n NSID] [-d DEPTH] [-t SECONDS] [-p] DEVICE info|read|write|bench
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <usrpci/nvme.h>
#include <usrpci/usrpci.h>

#define DEPTH_MAX 256
#define PART      65536 /* bytes a command of a copy */
#define BENCH     4096

struct disk {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_nvme *nvme;
	struct usrpci_nvme_queue *queue;
	struct usrpci_nvme_ns ns;
	struct usrpci_dma_block buffers; /* one of PART bytes a command */
	struct usrpci_nvme_io ios[DEPTH_MAX];
	unsigned int nsid, depth, seconds;
	bool poll;
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "nvme: %s: %s\n", what, strerror(-error));
	return error;
}

static int open_disk(struct disk *disk, const char *name)
{
	struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	struct usrpci_nvme_options nvme = {.poll = disk->poll};
	int error = usrpci_ctx_open(&options, &disk->ctx);

	if (!error)
		error = usrpci_dev_open(disk->ctx, name, &disk->dev);
	if (!error)
		error = usrpci_nvme_open(disk->dev, &nvme, &disk->nvme);
	if (!error)
		error = usrpci_nvme_ns(disk->nvme, disk->nsid, &disk->ns);
	return error ? fail(name, error) : 0;
}

static int start_queue(struct disk *disk)
{
	struct usrpci_nvme_queue_options options = {.depth = disk->depth};
	struct usrpci_dma_request request = {.size = (size_t)PART * disk->depth, .align = 4096};
	int error = usrpci_nvme_queue_create(disk->nvme, &options, &disk->queue);

	if (!error)
		error = usrpci_dma_block_alloc(disk->ctx, &request, &disk->buffers);
	for (unsigned int i = 0; i < disk->depth; i++) {
		disk->ios[i].ns = &disk->ns;
		disk->ios[i].addr = disk->buffers.addr + (usrpci_dma_t)i * PART;
	}
	return error ? fail("its queue", error) : 0;
}

static void close_disk(struct disk *disk)
{
	usrpci_nvme_close(disk->nvme);
	usrpci_dma_block_free(disk->ctx, &disk->buffers);
	usrpci_dev_close(disk->dev);
	usrpci_ctx_close(disk->ctx);
}

static int print_info(struct disk *disk)
{
	const struct usrpci_nvme_info *info = usrpci_nvme_info(disk->nvme);

	printf("%s, serial %s, firmware %s, backend %s, %u interrupts\n", info->model, info->serial,
	       info->firmware, usrpci_dev_backend(disk->dev), info->vectors);
	printf("namespace %u: %" PRIu64 " blocks of %u bytes\n", disk->ns.nsid, disk->ns.blocks,
	       disk->ns.block_size);
	return 0;
}

static int explain(const struct usrpci_nvme_io *io)
{
	fprintf(stderr, "nvme: block %" PRIu64 ": %s (%s)\n", io->lba, strerror(-io->error),
		usrpci_nvme_status_text(io->status));
	return io->error;
}

/* Waits until count commands are complete. */
static int finish(struct disk *disk, unsigned int count)
{
	struct usrpci_nvme_io *done[DEPTH_MAX];
	int error = 0, got;

	while (count > 0) {
		got = usrpci_nvme_reap(disk->queue, done, count);
		for (int i = 0; i < got; i++)
			if (done[i]->error)
				error = explain(done[i]);
		if (got < 0)
			return fail("reaping", got);
		count -= (unsigned int)got;
		if (got == 0)
			usrpci_nvme_wait(disk->queue, -1);
	}
	return error;
}

/* Makes commands for size bytes from an offset. Returns how many. */
static unsigned int prepare(struct disk *disk, uint8_t op, uint64_t offset, size_t size,
			    struct usrpci_nvme_io **list)
{
	unsigned int n = 0;
	size_t part;

	for (; size > 0; size -= part, offset += part, n++) {
		part = size < PART ? size : PART;
		disk->ios[n].op = op;
		disk->ios[n].lba = offset >> disk->ns.block_shift;
		disk->ios[n].blocks = (uint32_t)(part >> disk->ns.block_shift);
		list[n] = &disk->ios[n];
	}
	return n;
}

static int transfer(struct disk *disk, uint8_t op, uint64_t offset, size_t size)
{
	struct usrpci_nvme_io *list[DEPTH_MAX];
	unsigned int n = prepare(disk, op, offset, size, list);
	int got = usrpci_nvme_submit(disk->queue, list, n);

	if (got != (int)n)
		return fail("submitting", got < 0 ? got : -EAGAIN);
	return finish(disk, n);
}

static size_t window(const struct disk *disk, uint64_t offset)
{
	uint64_t left = (disk->ns.blocks << disk->ns.block_shift) - offset;
	size_t most = (size_t)PART * disk->depth;

	return left < most ? (size_t)left : most;
}

static int copy_out(struct disk *disk)
{
	uint64_t offset = 0;
	size_t size;
	int error = 0;

	for (; !error && (size = window(disk, offset)) > 0; offset += size) {
		error = transfer(disk, USRPCI_NVME_OP_READ, offset, size);
		if (!error && fwrite(disk->buffers.va, 1, size, stdout) != size)
			error = fail("standard output", -EIO);
	}
	return error;
}

/* The end of the last block, where the input does not reach, becomes zeroes. */
static int copy_in(struct disk *disk)
{
	struct usrpci_nvme_io flush = {.op = USRPCI_NVME_OP_FLUSH, .ns = &disk->ns};
	uint64_t offset = 0;
	size_t size, got, rest;
	int error = 0;

	while (!error && (size = window(disk, offset)) > 0) {
		got = fread(disk->buffers.va, 1, size, stdin);
		if (got == 0)
			break;
		rest = -got & (disk->ns.block_size - 1);
		memset((uint8_t *)disk->buffers.va + got, 0, rest);
		error = transfer(disk, USRPCI_NVME_OP_WRITE, offset, got + rest);
		offset += got + rest;
	}
	return error ? error : usrpci_nvme_run(disk->queue, &flush);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Reads of BENCH bytes, each from another place; depth of them are always under way. */
static int measure(struct disk *disk)
{
	uint32_t blocks = BENCH >> disk->ns.block_shift ? BENCH >> disk->ns.block_shift : 1;
	struct usrpci_nvme_io *list[DEPTH_MAX];
	double begin = now(), end = begin + disk->seconds;
	uint64_t seed = 1, count = 0;
	int n = (int)disk->depth;

	for (int i = 0; i < n; i++)
		list[i] = &disk->ios[i];
	while (n > 0 && (count % 1024 >= disk->depth || now() < end)) {
		for (int i = 0; i < n; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			list[i]->op = USRPCI_NVME_OP_READ;
			list[i]->lba = (seed >> 33) % (disk->ns.blocks / blocks) * blocks;
			list[i]->blocks = blocks;
		}
		n = usrpci_nvme_submit(disk->queue, list, (unsigned int)n);
		while (n >= 0 && (n = usrpci_nvme_reap(disk->queue, list, disk->depth)) == 0)
			if (!disk->poll)
				usrpci_nvme_wait(disk->queue, -1);
		count += n > 0 ? (unsigned int)n : 0;
	}
	if (n < 0)
		return fail("measuring", n);
	printf("%" PRIu64 " reads, %.0f a second\n", count, (double)count / (now() - begin));
	return finish(disk, usrpci_nvme_queue_used(disk->queue));
}

static int run(struct disk *disk, const char *name, const char *verb)
{
	static const struct {
		const char *verb;
		int (*run)(struct disk *disk);
	} verbs[] = {
		{"info", print_info}, {"read", copy_out}, {"write", copy_in}, {"bench", measure}};
	int error = -EINVAL;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].verb, verb))
			continue;
		error = open_disk(disk, name);
		if (!error)
			error = start_queue(disk);
		if (!error)
			error = verbs[i].run(disk);
		close_disk(disk);
		return error ? 1 : 0;
	}
	fprintf(stderr, "nvme: %s: no such verb\n", verb);
	return 2;
}

static bool parse(struct disk *disk, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "n:d:t:p")) >= 0) {
		if (option == 'n')
			disk->nsid = (unsigned int)strtoul(optarg, NULL, 0);
		else if (option == 'd')
			disk->depth = (unsigned int)strtoul(optarg, NULL, 0);
		else if (option == 't')
			disk->seconds = (unsigned int)strtoul(optarg, NULL, 0);
		else if (option == 'p')
			disk->poll = true;
		else
			return false;
	}
	return argc - optind == 2 && disk->depth >= 1 && disk->depth <= DEPTH_MAX;
}

int main(int argc, char **argv)
{
	static struct disk disk = {.nsid = 1, .depth = 32, .seconds = 3};

	if (!parse(&disk, argc, argv)) {
		fprintf(stderr, "usage: nvme [-n NSID] [-d 1..256] [-t SECONDS] [-p] DEVICE "
				"info|read|write|bench\n");
		return 2;
	}
	return run(&disk, argv[optind], argv[optind + 1]);
}
