// SPDX-License-Identifier: BSD-2-Clause
/*
 * The NVMe driver on QEMU's controller, with five namespaces: of blocks of 512 bytes and of 4 KiB,
 * read-only, with metadata, and on a disk that fails. What it writes is compared with the files
 * behind them.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <usrpci/nvme.h>

#include "qemu_fixture.h"

#define DISK_SIZE (8u << 20)
#define STEP      (64u << 10)

/* As the namespaces are numbered; 0 and 2 are none. */
enum { SMALL = 1, LARGE = 3, READ_ONLY, METADATA, FAILING };

struct bench {
	struct fixture *fixture;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_nvme *nvme;
	struct usrpci_nvme_queue *queue;
	struct usrpci_dma_block buffer;
};

static const char format[] =
	"qemu:nvme,serial=x -drive if=none,id=d1,format=raw,discard=unmap,file=%1$s/d1 "
	"-drive if=none,id=d3,format=raw,file=%1$s/d3 "
	"-drive if=none,id=d4,format=raw,readonly=on,file=%1$s/d4 "
	"-drive if=none,id=d5,format=raw,file=%1$s/d5 "
	"-drive if=none,id=d6,driver=blkdebug,image.driver=file,image.filename=%1$s/d6,"
	"inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.errno=5,"
	"inject-error.0.sector=8 -device nvme-ns,bus=slot0,nsid=1,drive=d1 "
	"-device nvme-ns,bus=slot0,nsid=3,drive=d3,logical_block_size=4096,physical_block_size=4096 "
	"-device nvme-ns,bus=slot0,nsid=4,drive=d4 -device nvme-ns,bus=slot0,nsid=5,drive=d5,ms=8 "
	"-device nvme-ns,bus=slot0,nsid=6,drive=d6";

static void make_disk(const char *root, unsigned int nsid)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/d%u", root, nsid);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	close(fd);
}

static int setup(void **state)
{
	static struct bench bench;
	char name[2048];

	memset(&bench, 0, sizeof(bench));
	if (fixture_setup(state))
		return -1;
	bench.fixture = *state;
	*state = &bench;
	for (unsigned int nsid = SMALL; nsid <= FAILING; nsid++)
		make_disk(bench.fixture->root, nsid);
	snprintf(name, sizeof(name), format, bench.fixture->root);
	bench.ctx = fixture_ctx(bench.fixture);
	return usrpci_dev_open(bench.ctx, name, &bench.dev);
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	void *fixture = bench->fixture;

	usrpci_nvme_close(bench->nvme);
	usrpci_dma_block_free(bench->ctx, &bench->buffer);
	usrpci_dev_close(bench->dev);
	usrpci_ctx_close(bench->ctx);
	return fixture_teardown(&fixture);
}

static void start(struct bench *bench, const struct usrpci_nvme_options *options)
{
	struct usrpci_dma_request request = {.size = 1 << 20, .align = 4096};

	assert_int_equal(usrpci_nvme_open(bench->dev, options, &bench->nvme), 0);
	assert_int_equal(usrpci_nvme_queue_create(bench->nvme, NULL, &bench->queue), 0);
	assert_int_equal(usrpci_dma_block_alloc(bench->ctx, &request, &bench->buffer), 0);
}

static struct usrpci_nvme_ns get_ns(struct bench *bench, uint32_t nsid)
{
	struct usrpci_nvme_ns ns;

	assert_int_equal(usrpci_nvme_ns(bench->nvme, nsid, &ns), 0);
	return ns;
}

static int run(struct bench *bench, uint8_t op, const struct usrpci_nvme_ns *ns, size_t offset,
	       size_t size)
{
	struct usrpci_nvme_io io = {
		.op = op,
		.ns = ns,
		.lba = offset / ns->block_size,
		.blocks = (uint32_t)(size / ns->block_size),
		.addr = bench->buffer.addr,
	};

	return usrpci_nvme_run(bench->queue, &io);
}

static void fill(uint8_t *bytes, size_t size, uint64_t offset, unsigned int salt)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)((offset + i) * 31 + (offset + i) / 509 + salt);
}

/* What the namespace's file has at an offset; after a flush, as QEMU may write back late. */
static void assert_file(struct bench *bench, const struct usrpci_nvme_ns *ns, size_t offset,
			const uint8_t *bytes, size_t size)
{
	static uint8_t found[1 << 20];
	char path[80];
	int fd;

	assert_int_equal(run(bench, USRPCI_NVME_OP_FLUSH, ns, 0, 0), 0);
	snprintf(path, sizeof(path), "%s/d%u", bench->fixture->root, ns->nsid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, found, size, (off_t)offset), size);
	close(fd);
	assert_memory_equal(found, bytes, size);
}

static void lists_namespaces_with_their_blocks(void **state)
{
	struct bench *bench = *state;
	uint32_t nsids[8];
	struct usrpci_nvme_ns ns;

	start(bench, NULL);
	assert_int_equal(usrpci_nvme_ns_list(bench->nvme, nsids, 8), 5);
	assert_int_equal(nsids[1], LARGE);
	assert_int_equal(get_ns(bench, SMALL).block_size, 512);
	assert_int_equal(get_ns(bench, LARGE).block_size, 4096);
	assert_int_equal(get_ns(bench, LARGE).blocks, DISK_SIZE / 4096);
	assert_int_equal(usrpci_nvme_ns(bench->nvme, METADATA, &ns), -EOPNOTSUPP);
	assert_int_equal(usrpci_nvme_ns(bench->nvme, 2, &ns), -ENOENT);
	assert_int_equal(usrpci_nvme_ns(bench->nvme, UINT32_MAX - 1, &ns), -ENOENT);
	assert_int_equal(usrpci_nvme_ns_list(bench->nvme, nsids, 2), 2);
}

/* Sizes from a block to the longest transfer, at offsets that no page begins at. */
static void round_trip(struct bench *bench, const struct usrpci_nvme_ns *ns)
{
	size_t most = usrpci_nvme_info(bench->nvme)->max_transfer, offset = 0;
	static uint8_t expected[1 << 20];

	for (size_t size = ns->block_size; size <= most; size = size * 2 + ns->block_size) {
		fill(expected, size, offset, ns->nsid);
		memcpy(bench->buffer.va, expected, size);
		assert_int_equal(run(bench, USRPCI_NVME_OP_WRITE, ns, offset, size), 0);
		assert_int_equal(run(bench, USRPCI_NVME_OP_COMPARE, ns, offset, size), 0);
		memset(bench->buffer.va, 0, size);
		assert_int_equal(run(bench, USRPCI_NVME_OP_COMPARE, ns, offset, size), -EILSEQ);
		assert_int_equal(run(bench, USRPCI_NVME_OP_READ, ns, offset, size), 0);
		assert_memory_equal(bench->buffer.va, expected, size);
		assert_file(bench, ns, offset, expected, size);
		offset += size;
	}
}

static void both(struct bench *bench, const struct usrpci_nvme_options *options)
{
	struct usrpci_nvme_ns ns;

	start(bench, options);
	ns = get_ns(bench, SMALL);
	round_trip(bench, &ns);
	ns = get_ns(bench, LARGE);
	round_trip(bench, &ns);
}

static void moves_data_by_sgl_and_interrupt(void **state)
{
	both(*state, NULL);
}

static void moves_data_by_prp_and_polling(void **state)
{
	both(*state, &(struct usrpci_nvme_options){.poll = true, .no_sgl = true});
}

static void shares_one_interrupt_among_queues(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nvme_ns ns;

	/* The model has 65 vectors: as many queues, the admin queue included. */
	start(bench, &(struct usrpci_nvme_options){.queues = 64});
	assert_int_equal(usrpci_nvme_info(bench->nvme)->queues, 64);
	ns = get_ns(bench, SMALL);
	round_trip(bench, &ns);
}

static void zeroes_and_deallocates(void **state)
{
	static const uint8_t zeroes[2 * STEP];
	struct bench *bench = *state;
	struct usrpci_nvme_ns ns;

	start(bench, NULL);
	ns = get_ns(bench, SMALL);
	for (uint8_t op = USRPCI_NVME_OP_WRITE_ZEROES; op <= USRPCI_NVME_OP_DEALLOCATE; op++) {
		fill(bench->buffer.va, 2 * STEP, 0, 5);
		assert_int_equal(run(bench, USRPCI_NVME_OP_WRITE, &ns, 0, 2 * STEP), 0);
		assert_int_equal(run(bench, op, &ns, 0, 2 * STEP), 0);
		assert_int_equal(run(bench, USRPCI_NVME_OP_READ, &ns, 0, 2 * STEP), 0);
		assert_memory_equal(bench->buffer.va, zeroes, 2 * STEP);
	}
}

static void refuses_to_write_to_a_disk_that_is_read_only(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nvme_ns ns;

	start(bench, NULL);
	ns = get_ns(bench, READ_ONLY);
	assert_int_equal(run(bench, USRPCI_NVME_OP_READ, &ns, 0, STEP), 0);
	assert_true(run(bench, USRPCI_NVME_OP_WRITE, &ns, 0, STEP) < 0);
	assert_int_equal(run(bench, USRPCI_NVME_OP_READ, &ns, 0, STEP), 0);
}

static void reports_a_block_that_cannot_be_read(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nvme_ns ns;

	start(bench, NULL);
	ns = get_ns(bench, FAILING);
	assert_int_equal(run(bench, USRPCI_NVME_OP_READ, &ns, 0, 512), 0);
	assert_int_equal(run(bench, USRPCI_NVME_OP_READ, &ns, 8 * (size_t)512, 512), -EBADMSG);
	assert_int_equal(run(bench, USRPCI_NVME_OP_READ, &ns, 9 * (size_t)512, 512), 0);
}

/* A thread's part: its own queue, its own blocks, many commands under way. */
struct worker {
	struct bench *bench;
	struct usrpci_nvme_ns ns;
	pthread_t thread;
	unsigned int number;
	unsigned int wrong;
};

#define WORKERS 3
#define DEPTH   32
#define ROUNDS  20

static void prepare(struct worker *worker, struct usrpci_nvme_io *ios, struct usrpci_nvme_io **list,
		    uint8_t op, struct usrpci_dma_block *block)
{
	for (unsigned int i = 0; i < DEPTH; i++) {
		ios[i] = (struct usrpci_nvme_io){
			.op = op,
			.ns = &worker->ns,
			.lba = ((uint64_t)worker->number * DEPTH + i) * 8,
			.blocks = 8,
			.addr = block->addr + (usrpci_dma_t)i * 4096,
		};
		list[i] = &ios[i];
	}
}

static unsigned int run_all(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io **list)
{
	struct usrpci_nvme_io *done[DEPTH];
	unsigned int left = DEPTH, wrong = 0;
	int got;

	wrong += usrpci_nvme_submit(queue, list, DEPTH) != DEPTH;
	while (left > 0 && !wrong) {
		got = usrpci_nvme_reap(queue, done, DEPTH);
		for (int i = 0; i < got; i++)
			wrong += done[i]->error != 0;
		left -= got > 0 ? (unsigned int)got : 0;
		if (got <= 0)
			wrong += usrpci_nvme_wait(queue, 20000) != 0;
	}
	return wrong;
}

static void *work(void *data)
{
	struct usrpci_dma_request request = {.size = DEPTH * 4096, .align = 4096};
	static uint8_t expected[WORKERS][DEPTH * 4096];
	struct usrpci_nvme_io ios[DEPTH], *list[DEPTH];
	struct worker *worker = data;
	struct usrpci_nvme_queue *queue = NULL;
	struct usrpci_dma_block block;
	uint8_t *own = expected[worker->number];

	worker->wrong += usrpci_dma_block_alloc(worker->bench->ctx, &request, &block) != 0;
	worker->wrong += usrpci_nvme_queue_create(worker->bench->nvme, NULL, &queue) != 0;
	for (unsigned int round = 0; round < ROUNDS && !worker->wrong; round++) {
		fill(own, sizeof(expected[0]), round * 77, worker->number);
		memcpy(block.va, own, sizeof(expected[0]));
		prepare(worker, ios, list, USRPCI_NVME_OP_WRITE, &block);
		worker->wrong += run_all(queue, list);
		memset(block.va, 0, sizeof(expected[0]));
		prepare(worker, ios, list, USRPCI_NVME_OP_READ, &block);
		worker->wrong += run_all(queue, list);
		worker->wrong += memcmp(block.va, own, sizeof(expected[0])) != 0;
	}
	usrpci_nvme_queue_destroy(queue);
	usrpci_dma_block_free(worker->bench->ctx, &block);
	return NULL;
}

static void three_threads_have_a_queue_each(void **state)
{
	struct worker workers[WORKERS];
	struct bench *bench = *state;

	start(bench, NULL);
	for (unsigned int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){bench, get_ns(bench, SMALL), .number = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
}

static void reads_logs_and_formats(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nvme_admin admin = {.opcode = 0x80, .nsid = SMALL, .cdw10 = 4};
	uint8_t smart[512];

	start(bench, NULL);
	assert_int_equal(usrpci_nvme_log(bench->nvme, 2, UINT32_MAX, smart, sizeof(smart)), 0);
	assert_int_equal(smart[1] | smart[2] << 8, 0x143); /* kelvins */
	assert_int_equal(usrpci_nvme_admin(bench->nvme, &admin), 0);
	assert_int_equal(get_ns(bench, SMALL).block_size, 4096);
	admin.cdw10 = 15;
	assert_int_equal(usrpci_nvme_admin(bench->nvme, &admin), -EIO);
	assert_string_equal(usrpci_nvme_status_text(admin.status), "Invalid Format");
}

static void says_that_a_command_is_out_of_range(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme_io io = {.op = USRPCI_NVME_OP_READ, .ns = &ns, .blocks = 1};

	start(bench, NULL);
	ns = get_ns(bench, SMALL);
	ns.blocks += 1000; /* as after a format that made it smaller */
	io.lba = ns.blocks - 1;
	io.addr = bench->buffer.addr;
	assert_int_equal(usrpci_nvme_run(bench->queue, &io), -EIO);
	assert_string_equal(usrpci_nvme_status_text(io.status), "LBA Out of Range");
}

static void ends_when_the_controller_is_pulled_out(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nvme_ns ns;

	start(bench, NULL);
	ns = get_ns(bench, SMALL);
	qemu_pull(bench->dev);
	assert_int_equal(run(bench, USRPCI_NVME_OP_READ, &ns, 0, STEP), -ENODEV);
}

static void opens_again_what_was_left_running(void **state)
{
	struct bench *bench = *state;
	struct usrpci_nvme *left;
	struct usrpci_nvme_ns ns;

	assert_int_equal(usrpci_nvme_open(bench->dev, NULL, &left), 0);
	assert_int_equal(usrpci_irq_disable(bench->dev, USRPCI_IRQ_MSIX), 0);
	start(bench, NULL);
	ns = get_ns(bench, LARGE);
	round_trip(bench, &ns);
	usrpci_nvme_close(bench->nvme);
	bench->nvme = NULL;
	usrpci_nvme_close(left);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_namespaces_with_their_blocks),
		TEST(moves_data_by_sgl_and_interrupt),
		TEST(moves_data_by_prp_and_polling),
		TEST(shares_one_interrupt_among_queues),
		TEST(zeroes_and_deallocates),
		TEST(refuses_to_write_to_a_disk_that_is_read_only),
		TEST(reports_a_block_that_cannot_be_read),
		TEST(three_threads_have_a_queue_each),
		TEST(reads_logs_and_formats),
		TEST(says_that_a_command_is_out_of_range),
		TEST(ends_when_the_controller_is_pulled_out),
		TEST(opens_again_what_was_left_running),
	};

	return run_tests_on_qemu(tests);
}
