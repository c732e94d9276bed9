// SPDX-License-Identifier: BSD-2-Clause
/*
 * The reference drivers under every fault that can be injected: each call returns, an error or
 * success, in bounded time, and nothing is left afterwards. Where a fault can be survived it is.
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <e1000/e1000.h>
#include <edu/edu.h>
#include <usrpci/nvme.h>

#include "fault/fault.h"
#include "net.h"
#include "qemu_fixture.h"

/* Of one run of a driver: its own deadlines add up to a quarter of it. */
#define LIMIT_MS 60000

#define SIZE   1000
#define PINGS  3
#define GAP_MS 300 /* to wait for a reply; then it is asked again */
#define TRIES  20

struct rig {
	struct fixture *fixture;
	struct usrpci_ctx *ctx; /* whose QEMU serves all runs */
	const char *device;
	int (*run)(struct usrpci_dev *dev);
};

/* What the devices of this machine are given: a network, and a disk. */
static void set_arguments(const struct fixture *fixture)
{
	char path[80], arguments[200];
	int fd;

	snprintf(path, sizeof(path), "%s/disk", fixture->root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	snprintf(arguments, sizeof(arguments),
		 "-netdev user,id=n0,restrict=on -blockdev driver=file,node-name=d0,filename=%s",
		 path);
	setenv("USRPCI_QEMU_ARGS", arguments, 1);
}

static struct rig open_rig(void **state, const char *device, int (*run)(struct usrpci_dev *dev))
{
	struct rig rig = {*state, fixture_ctx(*state), device, run};
	struct usrpci_dev *dev;

	set_arguments(rig.fixture);
	assert_int_equal(usrpci_dev_open(rig.ctx, "qemu:edu", &dev), 0);
	unsetenv("USRPCI_QEMU_ARGS");
	usrpci_dev_close(dev);
	return rig;
}

static unsigned int elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned int)((now.tv_sec - since->tv_sec) * 1000 +
			      (now.tv_nsec - since->tv_nsec) / 1000000);
}

/* What the driver says of a device with these faults. */
static int run(struct rig *rig, const char *plan)
{
	struct usrpci_dma_stats stats;
	struct timespec start;
	struct usrpci_dev *dev;
	int result;

	rig->fixture->log[0] = '\0';
	assert_int_equal(fault_set(rig->ctx, plan), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(usrpci_dev_open(rig->ctx, rig->device, &dev), 0);
	result = rig->run(dev);
	usrpci_dev_close(dev);
	if (elapsed_ms(&start) > LIMIT_MS)
		fail_msg("%s took %u ms", plan, elapsed_ms(&start));
	usrpci_dma_stats(rig->ctx, &stats);
	if (stats.blocks)
		fail_msg("%s: %zu blocks of DMA memory are left", plan, stats.blocks);
	return result;
}

static int run_at(struct rig *rig, const char *fault, unsigned int number, const char *onwards)
{
	char plan[64];

	snprintf(plan, sizeof(plan), "%s=%u%s", fault, number, onwards);
	return run(rig, plan);
}

/* Everything that the driver of edu can do. -EBADMSG: all went well but for the data. */
static int copy_there_and_back(struct edu *edu, uint8_t *block)
{
	int error = edu_write(edu, 0, block, SIZE);

	if (!error)
		error = edu_read(edu, 0, block + 2048, SIZE);
	if (!error && memcmp(block, block + 2048, SIZE) != 0)
		error = -EBADMSG;
	return error;
}

static int interrupt(struct edu *edu)
{
	uint32_t causes;
	int error = edu_raise(edu, 2);

	return error ? error : edu_wait(edu, 500, &causes);
}

static int use_edu(struct edu *edu, struct usrpci_ctx *ctx, bool poll)
{
	uint32_t result = 0;
	void *block = NULL;
	int error = edu_factorial(edu, 5, &result);

	if (!error && result != 120)
		error = -EBADMSG;
	if (!error && !poll)
		error = interrupt(edu);
	if (!error)
		error = edu_alloc(edu, 4096, &block);
	if (!error) {
		for (unsigned int i = 0; i < SIZE; i++)
			((uint8_t *)block)[i] = (uint8_t)(i * 5 + 1);
		error = copy_there_and_back(edu, block);
	}
	usrpci_dma_free(ctx, block);
	return error;
}

static int run_edu_with(struct usrpci_dev *dev, bool poll)
{
	struct edu_options options = {.poll = poll};
	struct edu *edu;
	int error = edu_open(dev, &options, &edu);

	if (error)
		return error;
	error = use_edu(edu, usrpci_dev_ctx(dev), poll);
	edu_close(edu);
	return error;
}

static int run_edu(struct usrpci_dev *dev)
{
	return run_edu_with(dev, false);
}

static int run_edu_polling(struct usrpci_dev *dev)
{
	return run_edu_with(dev, true);
}

struct ping {
	struct e1000 *nic;
	struct net_host own, peer;
	enum net_kind seen;
};

static void look(struct ping *ping, const struct usrpci_nic_frame *frame)
{
	struct net_host peer = {0};
	uint16_t id, sequence;
	enum net_kind kind = net_parse(frame->data, frame->size, &ping->own, &peer, &id, &sequence);

	if (kind == NET_ARP_REPLY)
		ping->peer = peer;
	if (kind == NET_ARP_REPLY || kind == NET_ECHO_REPLY)
		ping->seen = kind;
	usrpci_pool_put(e1000_pool(ping->nic), frame->data);
}

static int send_request(struct ping *ping, enum net_kind reply)
{
	struct usrpci_nic_frame frame = {.data = usrpci_pool_get(e1000_pool(ping->nic))};

	if (!frame.data)
		return -ENOBUFS;
	if (reply == NET_ARP_REPLY)
		frame.size = (uint16_t)net_arp_request(frame.data, &ping->own, ping->peer.ip);
	else
		frame.size = (uint16_t)net_echo_request(frame.data, &ping->own, &ping->peer, 1, 1,
							56);
	if (e1000_transmit(ping->nic, &frame, 1) == 1)
		return 0;
	usrpci_pool_put(e1000_pool(ping->nic), frame.data);
	return -ENOBUFS;
}

/* An interrupt that does not come is no reason not to look, nor is one that announces nothing. */
static int ask(struct ping *ping, enum net_kind reply)
{
	struct usrpci_nic_frame frames[8];
	struct usrpci_nic_link link;
	int error = send_request(ping, reply);

	ping->seen = NET_OTHER;
	for (unsigned int i = 0; i < 3 && !error && ping->seen != reply; i++) {
		error = e1000_wait(ping->nic, GAP_MS / 3);
		error = error > 0 || error == -ETIMEDOUT ? 0 : error;
		for (unsigned int n = e1000_receive(ping->nic, frames, 8); n > 0;)
			look(ping, &frames[--n]);
	}
	if (!error)
		error = e1000_link(ping->nic, &link);
	return error ? error : ping->seen == reply ? 0 : -EAGAIN;
}

static int ask_until_answered(struct ping *ping, enum net_kind reply)
{
	int error = -EAGAIN;

	for (unsigned int i = 0; i < TRIES && error == -EAGAIN; i++)
		error = ask(ping, reply);
	return error;
}

static int use_e1000(struct ping *ping)
{
	struct usrpci_nic_stats stats;
	int error = e1000_start(ping->nic);

	if (!error)
		error = e1000_link_wait(ping->nic, 3000);
	if (!error)
		error = ask_until_answered(ping, NET_ARP_REPLY);
	for (unsigned int i = 0; i < PINGS && !error; i++)
		error = ask_until_answered(ping, NET_ECHO_REPLY);
	if (!error)
		error = e1000_stats(ping->nic, &stats);
	return error;
}

static int run_e1000(struct usrpci_dev *dev)
{
	struct ping ping = {.own.ip = htonl(0x0a00020f), .peer.ip = htonl(0x0a000202)};
	int error = e1000_open(dev, NULL, &ping.nic);

	if (error)
		return error;
	memcpy(ping.own.mac, e1000_mac(ping.nic), sizeof(ping.own.mac));
	error = use_e1000(&ping);
	e1000_close(ping.nic);
	return error;
}

#define PART  (64u << 10) /* more than two pages, so there is a list of them */
#define PARTS 4

/* Moves parts whose buffers are in another order than the blocks of the disk. */
static int move_parts(struct usrpci_nvme_queue *queue, const struct usrpci_nvme_ns *ns, uint8_t op,
		      usrpci_dma_t buffer)
{
	struct usrpci_nvme_io ios[PARTS], *list[PARTS], *done[PARTS];
	int error = 0, got;

	for (unsigned int i = 0; i < PARTS; i++) {
		list[i] = &ios[i];
		ios[i] = (struct usrpci_nvme_io){
			.op = op,
			.ns = ns,
			.lba = i * (PART / ns->block_size),
			.blocks = PART / ns->block_size,
			.addr = buffer + (i * 3 + 1) % PARTS * (usrpci_dma_t)PART,
		};
	}
	got = usrpci_nvme_submit(queue, list, PARTS);
	if (got < 0)
		return got;
	while (usrpci_nvme_queue_used(queue) > 0) {
		got = usrpci_nvme_reap(queue, done, PARTS);
		for (int i = 0; i < got; i++)
			error = done[i]->error ? done[i]->error : error;
		if (got == 0)
			got = usrpci_nvme_wait(queue, 5000);
		if (got < 0)
			return got;
	}
	return error;
}

static int use_nvme(struct usrpci_nvme *nvme, const struct usrpci_dma_block *block)
{
	struct usrpci_nvme_io flush = {.op = USRPCI_NVME_OP_FLUSH};
	struct usrpci_nvme_queue *queue;
	struct usrpci_nvme_ns ns;
	uint32_t *words = block->va;
	int error = usrpci_nvme_ns(nvme, 1, &ns) ?: usrpci_nvme_queue_create(nvme, NULL, &queue);

	if (error)
		return error;
	for (unsigned int i = 0; i < PARTS * PART / sizeof(*words); i++)
		words[i] = i * 2654435761u;
	flush.ns = &ns;
	error = move_parts(queue, &ns, USRPCI_NVME_OP_WRITE, block->addr)
			?: usrpci_nvme_run(queue, &flush);
	if (error)
		return error;
	memset(block->va, 0, block->size);
	error = move_parts(queue, &ns, USRPCI_NVME_OP_READ, block->addr);
	for (unsigned int i = 0; !error && i < PARTS * PART / sizeof(*words); i++)
		if (words[i] != i * 2654435761u)
			error = -EBADMSG;
	return error;
}

static int run_nvme_with(struct usrpci_dev *dev, bool poll)
{
	struct usrpci_nvme_options options = {.timeout_ms = 500, .poll = poll};
	struct usrpci_dma_request request = {.size = (size_t)PARTS * PART, .align = 4096};
	struct usrpci_ctx *ctx = usrpci_dev_ctx(dev);
	struct usrpci_dma_block block = {0};
	struct usrpci_nvme *nvme;
	int error = usrpci_nvme_open(dev, &options, &nvme);

	if (error)
		return error;
	error = usrpci_dma_block_alloc(ctx, &request, &block) ?: use_nvme(nvme, &block);
	usrpci_nvme_close(nvme);
	usrpci_dma_block_free(ctx, &block);
	return error;
}

static int run_nvme(struct usrpci_dev *dev)
{
	return run_nvme_with(dev, false);
}

static int run_nvme_polling(struct usrpci_dev *dev)
{
	return run_nvme_with(dev, true);
}

/* -EIO: it stopped answering as the device it is while the driver looked whether it is one. */
static void assert_error_of_absence(const struct rig *rig, unsigned int n, int result)
{
	if (result != -ENODEV && result != -ETIMEDOUT && result != -EIO)
		fail_msg("gone from access %u on: %d\n%s", n, result, rig->fixture->log);
}

/* A device that goes away sooner or later: every access at first, then ever fewer. */
static void vanish(struct rig *rig)
{
	int result = -ENODEV;

	for (unsigned int n = 1; n < 3000 && result; n += 1 + n / 4) {
		result = run_at(rig, "ones", n, "");
		if (result)
			assert_error_of_absence(rig, n, result);
	}
	/* It went that late that nobody asked any more. */
	assert_int_equal(result, 0);
}

static void run_out_of_memory(struct rig *rig)
{
	unsigned int n = 1;

	for (; run_at(rig, "alloc", n, "") == -ENOMEM; n++)
		assert_true(n < 50);
	assert_true(n > 1);
	assert_int_equal(run_at(rig, "alloc", n, ""), 0);
}

static void edu_survives_a_device_that_vanishes(void **state)
{
	struct rig rig = open_rig(state, "qemu:edu", run_edu);

	vanish(&rig);
	usrpci_ctx_close(rig.ctx);
}

static void edu_survives_a_device_that_vanishes_while_it_polls(void **state)
{
	struct rig rig = open_rig(state, "qemu:edu", run_edu_polling);

	vanish(&rig);
	usrpci_ctx_close(rig.ctx);
}

static void edu_survives_interrupts_that_are_lost_or_doubled(void **state)
{
	struct rig rig = open_rig(state, "qemu:edu", run_edu);
	int result;

	for (unsigned int n = 1; n <= 4; n++) {
		/* Where it can look itself whether the operation has ended, it does. */
		result = run_at(&rig, "irq-lost", n, "");
		assert_true(result == 0 || result == -ETIMEDOUT);
		assert_int_equal(run_at(&rig, "irq-double", n, ""), 0);
	}
	result = run(&rig, "irq-lost=1+");
	assert_true(result == 0 || result == -ETIMEDOUT);
	assert_int_equal(run(&rig, "irq-double=1+"), 0);
	usrpci_ctx_close(rig.ctx);
}

static void edu_runs_out_of_memory(void **state)
{
	struct rig rig = open_rig(state, "qemu:edu", run_edu);

	run_out_of_memory(&rig);
	usrpci_ctx_close(rig.ctx);
}

static void e1000_survives_a_device_that_vanishes(void **state)
{
	struct rig rig = open_rig(state, "qemu:e1000e,netdev=n0", run_e1000);

	vanish(&rig);
	usrpci_ctx_close(rig.ctx);
}

static void e1000_survives_interrupts_that_are_lost_or_doubled(void **state)
{
	struct rig rig = open_rig(state, "qemu:e1000e,netdev=n0", run_e1000);

	assert_int_equal(run(&rig, "irq-lost=1"), 0);
	assert_int_equal(run(&rig, "irq-lost=2"), 0);
	assert_int_equal(run(&rig, "irq-lost=3+"), 0);
	assert_int_equal(run(&rig, "irq-double=1+"), 0);
	usrpci_ctx_close(rig.ctx);
}

static void e1000_runs_out_of_memory(void **state)
{
	struct rig rig = open_rig(state, "qemu:e1000e,netdev=n0", run_e1000);

	run_out_of_memory(&rig);
	usrpci_ctx_close(rig.ctx);
}

#define NVME "qemu:nvme,serial=1,drive=d0"

static void nvme_survives_a_device_that_vanishes(void **state)
{
	struct rig rig = open_rig(state, NVME, run_nvme);

	vanish(&rig);
	rig.run = run_nvme_polling;
	vanish(&rig);
	usrpci_ctx_close(rig.ctx);
}

static void nvme_survives_interrupts_that_are_lost_or_doubled(void **state)
{
	struct rig rig = open_rig(state, NVME, run_nvme);

	assert_int_equal(run(&rig, "irq-lost=1"), 0);
	assert_int_equal(run(&rig, "irq-lost=1+"), 0);
	assert_int_equal(run(&rig, "irq-double=1+"), 0);
	usrpci_ctx_close(rig.ctx);
}

static void nvme_runs_out_of_memory(void **state)
{
	struct rig rig = open_rig(state, NVME, run_nvme);

	run_out_of_memory(&rig);
	usrpci_ctx_close(rig.ctx);
}

/* Memory is made late when a context's domain is new: these have a machine for each plan. */
static int run_alone(void **state, const char *device, int (*driver)(struct usrpci_dev *dev),
		     const char *plan)
{
	struct rig rig = {*state, fixture_ctx(*state), device, driver};
	int result;

	set_arguments(rig.fixture);
	result = run(&rig, plan);
	unsetenv("USRPCI_QEMU_ARGS");
	usrpci_ctx_close(rig.ctx);
	return result;
}

/* Data that is late cannot be told from data that is wrong: who uses it has to. */
static void edu_survives_memory_that_is_late_or_torn(void **state)
{
	int result = run_alone(state, "qemu:edu", run_edu, "dma-late=100");

	assert_true(result == 0 || result == -EBADMSG);
	result = run_alone(state, "qemu:edu", run_edu, "dma-torn=100");
	assert_true(result == 0 || result == -EBADMSG);
}

static void e1000_survives_memory_that_is_late_or_torn(void **state)
{
	assert_int_equal(run_alone(state, "qemu:e1000e,netdev=n0", run_e1000, "dma-late=10"), 0);
	run_alone(state, "qemu:e1000e,netdev=n0", run_e1000, "dma-torn=10");
	run_alone(state, "qemu:e1000,netdev=n0", run_e1000, "dma-torn=50");
}

static void nvme_survives_memory_that_is_late_or_torn(void **state)
{
	assert_int_equal(run_alone(state, NVME, run_nvme, "dma-late=10"), 0);
	run_alone(state, NVME, run_nvme, "dma-torn=10");
	run_alone(state, NVME, run_nvme_polling, "dma-torn=10");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(edu_survives_a_device_that_vanishes),
		CASE(edu_survives_a_device_that_vanishes_while_it_polls),
		CASE(edu_survives_interrupts_that_are_lost_or_doubled),
		CASE(edu_runs_out_of_memory),
		CASE(edu_survives_memory_that_is_late_or_torn),
		CASE(e1000_survives_a_device_that_vanishes),
		CASE(e1000_survives_interrupts_that_are_lost_or_doubled),
		CASE(e1000_runs_out_of_memory),
		CASE(e1000_survives_memory_that_is_late_or_torn),
		CASE(nvme_survives_a_device_that_vanishes),
		CASE(nvme_survives_interrupts_that_are_lost_or_doubled),
		CASE(nvme_runs_out_of_memory),
		CASE(nvme_survives_memory_that_is_late_or_torn),
	};

	return run_tests_on_qemu(tests);
}
