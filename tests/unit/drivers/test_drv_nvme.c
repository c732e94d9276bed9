// SPDX-License-Identifier: BSD-2-Clause
/*
 * The NVMe driver on a model of the controller, which can be told to hang, to lie and to vanish.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "nvme_model.h"

#define FAST (&(struct usrpci_nvme_options){.timeout_ms = 80})

static struct usrpci_nvme_io make(const struct model *model, uint8_t op,
				  const struct usrpci_nvme_ns *ns, uint64_t lba, uint32_t blocks)
{
	return (struct usrpci_nvme_io){
		.op = op, .ns = ns, .lba = lba, .blocks = blocks, .addr = model->buffer.addr};
}

static int run(struct model *model, uint8_t op, const struct usrpci_nvme_ns *ns, uint64_t lba,
	       uint32_t blocks)
{
	struct usrpci_nvme_io io = make(model, op, ns, lba, blocks);

	return usrpci_nvme_run(model->queue, &io);
}

static int submit(struct model *model, struct usrpci_nvme_io *io)
{
	return usrpci_nvme_submit(model->queue, &io, 1);
}

/* Waits until a command comes back. */
static struct usrpci_nvme_io *reap_one(struct model *model)
{
	struct usrpci_nvme_io *done;
	int got;

	while ((got = usrpci_nvme_reap(model->queue, &done, 1)) == 0)
		assert_int_not_equal(usrpci_nvme_wait(model->queue, 5000), -ETIMEDOUT);
	assert_int_equal(got, 1);
	return done;
}

/* Opening */

static void says_what_the_controller_is(void **state)
{
	struct usrpci_nvme *nvme = model_open(*state, NULL);
	const struct usrpci_nvme_info *info = usrpci_nvme_info(nvme);
	uint32_t nsids[8];

	assert_string_equal(info->serial, "serial?");
	assert_string_equal(info->model, "a model");
	assert_string_equal(info->firmware, "1.0");
	assert_int_equal(info->version, 0x010400);
	assert_int_equal(info->max_transfer, 1 << 20);
	assert_int_equal(info->queues, MODEL_QUEUES);
	assert_int_equal(info->depth, 255);
	assert_int_equal(info->vectors, 1);
	assert_true(info->features & USRPCI_NVME_VERIFY);
	assert_false(info->features & (USRPCI_NVME_SGL | USRPCI_NVME_FORMAT));
	assert_int_equal(usrpci_nvme_ns_list(nvme, nsids, 8), 1);
	assert_int_equal(nsids[0], 1);
}

static int open_error(struct model *model, const struct usrpci_nvme_options *options)
{
	struct usrpci_nvme *nvme;

	if (!model->dev)
		model_plug(model, 0);
	return usrpci_nvme_open(model->dev, options, &nvme);
}

static void refuses_options_out_of_range(void **state)
{
	assert_int_equal(open_error(*state, &(struct usrpci_nvme_options){.queues = 65}), -EINVAL);
	assert_int_equal(open_error(*state, &(struct usrpci_nvme_options){.timeout_ms = 49}),
			 -EINVAL);
}

static void refuses_what_is_no_nvme_controller(void **state)
{
	struct model *model = *state;
	struct fake_model fake = {.class_code = 0x010601, .bars[0] = {.size = 4096}};
	struct usrpci_nvme *nvme;

	assert_int_equal(fake_open(model->ctx, &fake, &model->dev), 0);
	assert_int_equal(usrpci_nvme_open(model->dev, NULL, &nvme), -ENOTSUP);
}

static void refuses_registers_that_contradict(void **state)
{
	struct model *model = *state;

	model->regs[CAP / 4] = 0;
	assert_int_equal(open_error(model, NULL), -EPROTO);
	model->regs[CAP / 4] = 255;
	model->regs[CAP / 4 + 1] = 1 << 5 | 15; /* doorbells 128 KiB apart */
	assert_int_equal(open_error(model, NULL), -EPROTO);
	model->regs[CAP / 4 + 1] = 1 << 5 | 5 << 16; /* pages of 128 KiB */
	assert_int_equal(open_error(model, NULL), -ENOTSUP);
	model->regs[CAP / 4 + 1] = 0;
	assert_int_equal(open_error(model, NULL), -ENOTSUP);
}

static void gives_up_on_a_controller_that_is_never_ready(void **state)
{
	struct model *model = *state;

	model->never_ready = true;
	assert_int_equal(open_error(model, NULL), -ETIMEDOUT);
}

static void gives_up_on_a_controller_that_does_not_answer(void **state)
{
	struct model *model = *state;

	model->mute_admin = true;
	assert_int_equal(open_error(model, FAST), -ETIMEDOUT);
	assert_int_equal(fake_config(model->dev)[4] & 4, 0);
}

static void gives_up_on_a_device_that_is_gone(void **state)
{
	struct model *model = *state;

	model_plug(model, 0);
	fake_unplug(model->dev);
	assert_int_equal(open_error(model, NULL), -ENODEV);
}

static void leaves_nothing_behind_when_opening_fails(void **state)
{
	struct model *model = *state;
	struct usrpci_dma_stats stats;
	unsigned int calls, i = 0;
	int error;

	model_plug(model, 4);
	do {
		fake_fail(model->dev, ++i, -EIO);
		error = usrpci_nvme_open(model->dev, NULL, &model->nvme);
		if (error) {
			usrpci_dma_stats(model->ctx, &stats);
			assert_int_equal(stats.blocks, 0);
		}
		calls = i;
	} while (error && i < 50);
	assert_int_equal(error, 0);
	assert_in_range(calls, 4, 49);
}

/* Namespaces */

static void refuses_namespaces_that_it_cannot_serve(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme *nvme = model_open(model, NULL);
	struct usrpci_nvme_ns ns;

	assert_int_equal(usrpci_nvme_ns(nvme, 2, &ns), -ENOENT);
	model->ns[NS_LBAF(0)] = 8; /* bytes of metadata */
	assert_int_equal(usrpci_nvme_ns(nvme, 1, &ns), -EOPNOTSUPP);
	model->ns[NS_LBAF(0)] = 0;
	model->ns[NS_DPS] = 1;
	assert_int_equal(usrpci_nvme_ns(nvme, 1, &ns), -EOPNOTSUPP);
	model->ns[NS_DPS] = 0;
	for (unsigned int shift = 0; shift < 256; shift++) {
		model->ns[NS_LBAF(0) + 2] = (uint8_t)shift;
		assert_int_equal(usrpci_nvme_ns(nvme, 1, &ns),
				 shift < 9 || shift > 20 ? -EOPNOTSUPP : 0);
	}
	model->ns[NS_LBAF(0) + 2] = 9;
	model->ns[NS_FLBAS] = 3; /* there is one format alone */
	assert_int_equal(usrpci_nvme_ns(nvme, 1, &ns), -EPROTO);
	model->ns[NS_FLBAS] = 0;
	model->ns[NS_NSZE + 7] = 0x80; /* more bytes than can be counted */
	assert_int_equal(usrpci_nvme_ns(nvme, 1, &ns), -EPROTO);
}

static void sees_that_a_namespace_is_write_protected(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme *nvme = model_open(model, NULL);
	struct usrpci_nvme_ns ns;

	assert_int_equal(usrpci_nvme_ns(nvme, 1, &ns), 0);
	assert_false(ns.read_only);
	model->ns[NS_NSATTR] = NSATTR_READONLY;
	assert_int_equal(usrpci_nvme_ns(nvme, 1, &ns), 0);
	assert_true(ns.read_only);
}

static void refuses_a_list_of_namespaces_that_goes_back(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme *nvme = model_open(model, NULL);
	uint32_t nsids[8];

	model->nsids[1] = 7;
	model->nsids[2] = 3;
	assert_int_equal(usrpci_nvme_ns_list(nvme, nsids, 8), -EPROTO);
}

/* Admin commands */

static void reads_log_pages_of_every_size(void **state)
{
	static const size_t sizes[] = {4, 512, 4096, 4100, 8192, 8196, 1 << 20};
	struct usrpci_nvme *nvme = model_open(*state, NULL);
	static uint8_t page[1 << 20];

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(usrpci_nvme_log(nvme, 2, UINT32_MAX, page, sizes[i]), 0);
		for (size_t k = 1; k < sizes[i]; k++)
			assert_int_equal((uint8_t)(page[k] - page[k - 1]), 7);
	}
	assert_int_equal(usrpci_nvme_log(nvme, 2, 0, page, 0), -EINVAL);
	assert_int_equal(usrpci_nvme_log(nvme, 2, 0, page, 6), -EINVAL);
	assert_int_equal(usrpci_nvme_log(nvme, 2, 0, page, (1 << 20) + 4), -EINVAL);
}

static void keeps_the_drivers_own_commands_to_itself(void **state)
{
	static const uint8_t own[] = {0, 1, 4, 5, 8, 12};
	struct usrpci_nvme *nvme = model_open(*state, NULL);
	struct usrpci_nvme_admin admin = {.opcode = ADMIN_SET_FEATURES, .cdw10 = FEATURE_QUEUES};

	assert_int_equal(usrpci_nvme_admin(nvme, &admin), -EINVAL);
	for (unsigned int i = 0; i < sizeof(own); i++) {
		admin.opcode = own[i];
		assert_int_equal(usrpci_nvme_admin(nvme, &admin), -EINVAL);
	}
}

static void says_why_an_admin_command_failed(void **state)
{
	struct usrpci_nvme *nvme = model_open(*state, NULL);
	struct usrpci_nvme_admin admin = {.opcode = 0x99};

	assert_int_equal(usrpci_nvme_admin(nvme, &admin), -EIO);
	assert_string_equal(usrpci_nvme_status_text(admin.status), "Invalid Command Opcode");
}

static void hands_events_over_and_asks_for_more(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme *nvme = model_open(model, NULL);
	uint32_t event;

	assert_int_equal(usrpci_nvme_event(nvme, &event), 0);
	for (uint32_t i = 0; i < 40; i++) {
		assert_true(model->event_asked);
		model->event_asked = false;
		model_complete(model, 0, model->event_cid, 0, 0x20000 | i << 8 | 1);
		assert_int_equal(usrpci_nvme_event(nvme, &event), 1);
		assert_int_equal(event, 0x20000 | i << 8 | 1);
	}
	assert_int_equal(usrpci_nvme_event(nvme, &event), 0);
}

/* I/O */

static void moves_data_of_every_size_and_alignment(void **state)
{
	static const uint32_t blocks[] = {1, 7, 8, 9, 16, 17, 24, 100, 2047};
	struct model *model = *state;
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme_io io;
	static uint8_t copy[1 << 20];

	model_start(model, NULL, 0, &ns);
	for (unsigned int i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		for (uint64_t offset = 0; offset < 512; offset += 260) {
			size_t size = (size_t)blocks[i] * MODEL_BLOCK;

			memcpy(copy, model->disk + (size_t)13 * MODEL_BLOCK, size);
			io = make(model, USRPCI_NVME_OP_READ, &ns, 13, blocks[i]);
			io.addr += offset;
			assert_int_equal(usrpci_nvme_run(model->queue, &io), 0);
			assert_memory_equal((uint8_t *)model->buffer.va + offset, copy, size);
			io.op = USRPCI_NVME_OP_COMPARE;
			assert_int_equal(usrpci_nvme_run(model->queue, &io), 0);
			io.op = USRPCI_NVME_OP_WRITE;
			io.lba = 2048;
			assert_int_equal(usrpci_nvme_run(model->queue, &io), 0);
			assert_memory_equal(model->disk + (size_t)2048 * MODEL_BLOCK, copy, size);
		}
	}
}

static void describes_large_buffers_by_sgl_where_it_can(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_ns ns;

	model->identify[ID_SGLS] = 1;
	model_start(model, NULL, 0, &ns);
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 16), 0);
	assert_false(model->last.cdw0 & PSDT_SGL);
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 17), 0);
	assert_true(model->last.cdw0 & PSDT_SGL);
	assert_memory_equal(model->buffer.va, model->disk, 17 * MODEL_BLOCK);
}

static void has_all_commands_without_data(void **state)
{
	struct model *model = *state;
	static const uint8_t zeroes[8 * MODEL_BLOCK];
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme_io io;

	model_start(model, NULL, 0, &ns);
	assert_int_equal(run(model, USRPCI_NVME_OP_FLUSH, &ns, 0, 0), 0);
	assert_int_equal(model->last.cdw12, 0);
	assert_int_equal(run(model, USRPCI_NVME_OP_VERIFY, &ns, 0, MODEL_BLOCKS), 0);
	io = make(model, USRPCI_NVME_OP_WRITE_ZEROES, &ns, 8, 8);
	io.flags = USRPCI_NVME_TRIM | USRPCI_NVME_FUA;
	assert_int_equal(usrpci_nvme_run(model->queue, &io), 0);
	assert_int_equal(model->last.cdw12, 7 | RW_FUA | ZEROES_DEAC);
	assert_memory_equal(model->disk + 8 * MODEL_BLOCK, zeroes, sizeof(zeroes));
	assert_int_equal(run(model, USRPCI_NVME_OP_DEALLOCATE, &ns, 16, 8), 0);
	assert_memory_equal(model->disk + 16 * MODEL_BLOCK, zeroes, sizeof(zeroes));
}

static void refuses_commands_that_are_out_of_range(void **state)
{
	static const struct {
		int error;
		uint64_t lba;
		uint32_t blocks, addr;
		uint8_t op, flags;
	} bad[] = {
		{-EINVAL, 0, 0, 0, USRPCI_NVME_OP_READ, 0},
		{-EINVAL, 0, 1, 2, USRPCI_NVME_OP_READ, 0},
		{-EINVAL, 0, 1, 0, 0x42, 0},
		{-EINVAL, 0, 1, 0, USRPCI_NVME_OP_READ, USRPCI_NVME_TRIM},
		{-EINVAL, 0, 0, 0, USRPCI_NVME_OP_FLUSH, USRPCI_NVME_FUA},
		{-ERANGE, MODEL_BLOCKS, 1, 0, USRPCI_NVME_OP_READ, 0},
		{-ERANGE, MODEL_BLOCKS - 1, 2, 0, USRPCI_NVME_OP_WRITE, 0},
		{-ERANGE, UINT64_MAX, 1, 0, USRPCI_NVME_OP_VERIFY, 0},
		{-ERANGE, 1, UINT32_MAX, 0, USRPCI_NVME_OP_DEALLOCATE, 0},
		{-ERANGE, 0, 2049, 0, USRPCI_NVME_OP_READ, 0},
	};
	struct model *model = *state;
	struct usrpci_nvme_ns ns;

	model_start(model, NULL, 0, &ns);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct usrpci_nvme_io io = make(model, bad[i].op, &ns, bad[i].lba, bad[i].blocks);

		io.addr += bad[i].addr;
		io.flags = bad[i].flags;
		assert_int_equal(submit(model, &io), bad[i].error);
	}
	assert_int_equal(model->commands, 0);
}

static void refuses_commands_that_the_controller_lacks(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_ns ns;

	memset(model->identify + ID_ONCS, 0, 2);
	model_start(model, NULL, 0, &ns);
	assert_int_equal(run(model, USRPCI_NVME_OP_COMPARE, &ns, 0, 1), -EOPNOTSUPP);
	assert_int_equal(run(model, USRPCI_NVME_OP_VERIFY, &ns, 0, 1), -EOPNOTSUPP);
	assert_int_equal(run(model, USRPCI_NVME_OP_WRITE_ZEROES, &ns, 0, 1), -EOPNOTSUPP);
	assert_int_equal(run(model, USRPCI_NVME_OP_DEALLOCATE, &ns, 0, 1), -EOPNOTSUPP);
}

static void explains_errors(void **state)
{
	static const struct {
		uint16_t status;
		int error;
	} cases[] = {
		{STATUS_UNRECOVERED_READ, -EBADMSG},
		{STATUS_WRITE_PROTECTED, -EROFS},
		{STATUS_CAPACITY, -ENOSPC},
		{STATUS_COMPARE_FAILURE | 1 << 14, -EILSEQ}, /* do not retry */
		{6, -EIO},
		{0x7ff, -EIO},
	};
	struct model *model = *state;
	struct usrpci_nvme_ns ns;

	model_start(model, NULL, 0, &ns);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct usrpci_nvme_io io = make(model, USRPCI_NVME_OP_READ, &ns, 0, 1);

		model->fail_io = cases[i].status;
		assert_int_equal(usrpci_nvme_run(model->queue, &io), cases[i].error);
		assert_int_equal(io.status, cases[i].status);
		assert_non_null(usrpci_nvme_status_text(io.status));
	}
}

static void rings_once_for_a_batch_and_reads_no_register(void **state)
{
	struct usrpci_nvme_io ios[32], *list[32], *done[32];
	struct model *model = *state;
	struct usrpci_nvme_ns ns;
	unsigned int reads;

	model_start(model, NULL, 32, &ns);
	for (unsigned int i = 0; i < 32; i++) {
		ios[i] = make(model, USRPCI_NVME_OP_READ, &ns, i * 8, 8);
		ios[i].addr += (usrpci_dma_t)i * 4096;
		list[i] = &ios[i];
	}
	reads = model->reads;
	for (unsigned int round = 0; round < 5; round++) {
		assert_int_equal(usrpci_nvme_submit(model->queue, list, 32), 32);
		assert_int_equal(model->sq_doorbells, round + 1);
		assert_int_equal(usrpci_nvme_queue_used(model->queue), 32);
		assert_int_equal(usrpci_nvme_submit(model->queue, list, 1), 0); /* it is full */
		assert_int_equal(usrpci_nvme_reap(model->queue, done, 20), 20);
		assert_int_equal(usrpci_nvme_reap(model->queue, done, 20), 12);
		assert_int_equal(usrpci_nvme_reap(model->queue, done, 20), 0);
	}
	assert_int_equal(model->reads, reads);
	assert_memory_equal(model->buffer.va, model->disk, 32 * 4096);
}

static void takes_what_is_before_a_bad_command(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme_io good, bad, *list[] = {&good, &bad, &good};

	model_start(model, NULL, 0, &ns);
	good = make(model, USRPCI_NVME_OP_READ, &ns, 0, 1);
	bad = make(model, USRPCI_NVME_OP_READ, &ns, MODEL_BLOCKS, 1);
	assert_int_equal(usrpci_nvme_submit(model->queue, list, 3), 1);
	assert_int_equal(usrpci_nvme_submit(model->queue, list + 1, 2), -ERANGE);
	assert_ptr_equal(reap_one(model), &good);
}

/* Interrupts */

static void wakes(struct model *model, unsigned int msix)
{
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme_io io;
	struct pollfd poller = {.events = POLLIN};

	model_plug(model, msix);
	model_start(model, NULL, 0, &ns);
	poller.fd = usrpci_nvme_queue_fd(model->queue);
	assert_true(poller.fd >= 0);
	usrpci_nvme_wait(model->queue, 0); /* those of the admin queue */
	for (unsigned int i = 0; i < 20; i++) {
		io = make(model, USRPCI_NVME_OP_READ, &ns, i, 1);
		usrpci_nvme_wait(model->queue, 0);
		assert_int_equal(poll(&poller, 1, 0), 0);
		assert_int_equal(usrpci_nvme_wait(model->queue, 0), -ETIMEDOUT);
		assert_int_equal(submit(model, &io), 1);
		assert_int_equal(poll(&poller, 1, 1000), 1);
		assert_int_equal(usrpci_nvme_wait(model->queue, 0), 0);
		assert_ptr_equal(reap_one(model), &io);
	}
}

static void wakes_by_intx(void **state)
{
	wakes(*state, 0);
}

static void wakes_by_a_vector_of_its_own(void **state)
{
	wakes(*state, 9);
}

static void wakes_by_a_vector_that_is_shared(void **state)
{
	wakes(*state, 2);
}

/* One queue takes the interrupt that was for another one. */
static void no_queue_keeps_the_interrupt_of_another(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_queue *other;
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme_io io;
	struct pollfd poller = {.events = POLLIN};

	model_start(model, NULL, 0, &ns);
	assert_int_equal(usrpci_nvme_queue_create(model->nvme, NULL, &other), 0);
	for (unsigned int i = 0; i < 5; i++) {
		io = make(model, USRPCI_NVME_OP_READ, &ns, i, 1);
		assert_int_equal(submit(model, &io), 1);
		assert_int_equal(usrpci_nvme_wait(other, 10), -ETIMEDOUT);
		poller.fd = usrpci_nvme_queue_fd(model->queue);
		assert_int_equal(poll(&poller, 1, 1000), 1);
		assert_ptr_equal(reap_one(model), &io);
	}
}

static void a_queue_that_is_alone_does_not_read_its_interrupt(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme_io io;

	model_start(model, NULL, 0, &ns);
	io = make(model, USRPCI_NVME_OP_READ, &ns, 0, 1);
	assert_int_equal(submit(model, &io), 1);
	assert_ptr_equal(reap_one(model), &io);
	assert_int_equal(usrpci_nvme_wait(model->queue, 0),
			 -ETIMEDOUT); /* it takes the interrupt */
	assert_true(usrpci_irq_wait(model->dev, USRPCI_IRQ_INTX, 0, 0) > 0);
}

static void polls_where_it_is_told_to(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_ns ns;

	model_start(model, &(struct usrpci_nvme_options){.poll = true}, 0, &ns);
	assert_int_equal(usrpci_nvme_info(model->nvme)->vectors, 0);
	assert_int_equal(usrpci_nvme_queue_fd(model->queue), -EINVAL);
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 8), 0);
}

static void has_as_many_queues_as_it_says(void **state)
{
	struct usrpci_nvme *nvme = model_open(*state, NULL);
	struct usrpci_nvme_queue *queues[MODEL_QUEUES], *more;

	for (unsigned int i = 0; i < MODEL_QUEUES; i++)
		assert_int_equal(usrpci_nvme_queue_create(nvme, NULL, &queues[i]), 0);
	assert_int_equal(usrpci_nvme_queue_create(nvme, NULL, &more), -ENOSPC);
	usrpci_nvme_queue_destroy(queues[3]);
	assert_int_equal(usrpci_nvme_queue_create(nvme, NULL, &more), 0);
	assert_int_equal(usrpci_nvme_queue_create(
				 nvme, &(struct usrpci_nvme_queue_options){.depth = 256}, &more),
			 -EINVAL);
}

/* Trouble */

static void aborts_a_command_that_is_late(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_stats stats;
	struct usrpci_nvme_ns ns;

	model_start(model, FAST, 0, &ns);
	model->hang = 1;
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 1), -ETIMEDOUT);
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 1), 0);
	usrpci_nvme_stats(model->nvme, &stats);
	assert_int_equal(stats.aborts, 1);
	assert_int_equal(stats.resets, 0);
}

static void repeats_commands_after_a_reset(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_io ios[8], *list[8];
	struct usrpci_nvme_stats stats;
	struct usrpci_nvme_ns ns;

	model_start(model, FAST, 0, &ns);
	for (unsigned int i = 0; i < 8; i++) {
		ios[i] = make(model, USRPCI_NVME_OP_READ, &ns, i * 8, 8);
		ios[i].addr += (usrpci_dma_t)i * 4096;
		list[i] = &ios[i];
	}
	model->hang_for_good = true;
	assert_int_equal(usrpci_nvme_submit(model->queue, list, 8), 8);
	do {
		assert_int_equal(usrpci_nvme_wait(model->queue, 20), -ETIMEDOUT);
		model->hang_for_good = model->aborts == 0;
	} while (model->hang_for_good);
	model->hung = 0; /* and no answer ever */
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(reap_one(model)->error, 0);
	assert_memory_equal(model->buffer.va, model->disk, 8 * 4096);
	usrpci_nvme_stats(model->nvme, &stats);
	assert_int_equal(stats.resets, 1);
}

static void fails_a_command_that_is_late_again_after_a_reset(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_stats stats;
	struct usrpci_nvme_ns ns;

	model_start(model, FAST, 0, &ns);
	model->hang_for_good = true;
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 1), -ETIMEDOUT);
	model->hang_for_good = false;
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 1), 0);
	usrpci_nvme_stats(model->nvme, &stats);
	assert_int_equal(stats.resets, 2);
}

static void resets_a_controller_with_a_fatal_error(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_ns ns;

	model_start(model, FAST, 0, &ns);
	model->fatal_on_io = true;
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 8), 0);
	assert_memory_equal(model->buffer.va, model->disk, 4096);
}

static void gives_up_a_command_that_is_fatal_each_time(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_ns ns;

	model_start(model, FAST, 0, &ns);
	model->always_fatal = true;
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 8), -ETIMEDOUT);
	model->always_fatal = false;
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 8), 0);
}

static void ends_when_a_reset_does_not_help(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_queue *queue;
	struct usrpci_nvme_ns ns;
	uint32_t event;

	model_start(model, FAST, 0, &ns);
	model->fatal_on_io = true;
	model->never_ready = true;
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 8), -ENOTRECOVERABLE);
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 8), -ENOTRECOVERABLE);
	assert_int_equal(usrpci_nvme_ns(model->nvme, 1, &ns), -ENOTRECOVERABLE);
	assert_int_equal(usrpci_nvme_event(model->nvme, &event), -ENOTRECOVERABLE);
	assert_int_equal(usrpci_nvme_queue_create(model->nvme, NULL, &queue), -ENOTRECOVERABLE);
	assert_int_equal(fake_config(model->dev)[4] & 4, 0); /* bus mastering */
}

static void hands_everything_back_when_it_is_pulled_out(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_io ios[4], *list[4], *done;
	struct usrpci_nvme_ns ns;

	model_start(model, FAST, 0, &ns);
	for (unsigned int i = 0; i < 4; i++) {
		ios[i] = make(model, USRPCI_NVME_OP_READ, &ns, 0, 1);
		list[i] = &ios[i];
	}
	model->hang = 4;
	assert_int_equal(usrpci_nvme_submit(model->queue, list, 4), 4);
	fake_unplug(model->dev);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(reap_one(model)->error, -ENODEV);
	assert_int_equal(usrpci_nvme_reap(model->queue, &done, 1), -ENODEV);
	assert_int_equal(usrpci_nvme_submit(model->queue, list, 1), -ENODEV);
	assert_int_equal(usrpci_nvme_wait(model->queue, 10), -ENODEV);
}

static void every_queue_is_set_up_again_after_a_reset(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_queue *other;
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme_io io, *list[] = {&io}, *done;

	model_start(model, FAST, 0, &ns);
	assert_int_equal(usrpci_nvme_queue_create(model->nvme, NULL, &other), 0);
	io = make(model, USRPCI_NVME_OP_READ, &ns, 3, 1);
	model->hang = 1;
	assert_int_equal(usrpci_nvme_submit(other, list, 1), 1);
	model->fatal_on_io = true;
	assert_int_equal(run(model, USRPCI_NVME_OP_WRITE, &ns, 8, 1), 0);
	assert_int_equal(usrpci_nvme_wait(other, 1000), 0);
	assert_int_equal(usrpci_nvme_reap(other, &done, 1), 1);
	assert_int_equal(io.error, 0);
	assert_memory_equal(model->buffer.va, model->disk + 3 * MODEL_BLOCK, MODEL_BLOCK);
}

/* Which happens to each half of a queue, a few times; it is not a reason to fail. */
/* Also one that has a vector of its own, which no device raises then. */
static void a_queue_that_sleeps_is_woken_by_a_reset(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_queue *other;
	struct usrpci_nvme_ns ns;
	struct pollfd poller = {.events = POLLIN};

	model_plug(model, 9);
	model_start(model, FAST, 0, &ns);
	assert_int_equal(usrpci_nvme_queue_create(model->nvme, NULL, &other), 0);
	poller.fd = usrpci_nvme_queue_fd(other);
	usrpci_nvme_wait(other, 0);
	assert_int_equal(poll(&poller, 1, 0), 0);
	model->fatal_on_io = true;
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 8), 0);
	assert_int_equal(poll(&poller, 1, 0), 1);
	assert_int_equal(usrpci_nvme_wait(other, 0), -ETIMEDOUT);
	assert_int_equal(poll(&poller, 1, 0), 0);
}

static void a_queue_is_created_although_somebody_resets_the_controller(void **state)
{
	static const uint8_t opcodes[] = {ADMIN_CREATE_CQ, ADMIN_CREATE_SQ};
	struct model *model = *state;
	struct usrpci_nvme_queue *other;
	struct usrpci_nvme_ns ns;

	model_start(model, FAST, 0, &ns);
	for (unsigned int i = 0; i < 2; i++) {
		model->outside_opcode = opcodes[i] + 1;
		model->outside_resets = 2;
		assert_int_equal(usrpci_nvme_queue_create(model->nvme, NULL, &other), 0);
		assert_int_equal(model->outside_resets, 0);
		usrpci_nvme_queue_destroy(other);
		assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 8), 0);
	}
}

static void a_controller_that_is_reset_for_ever_has_no_queue(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_queue *other;
	struct usrpci_nvme_ns ns;

	model_start(model, FAST, 0, &ns);
	model->outside_opcode = ADMIN_CREATE_SQ + 1;
	model->outside_resets = 1000;
	assert_true(usrpci_nvme_queue_create(model->nvme, NULL, &other) < 0);
	assert_int_equal(run(model, USRPCI_NVME_OP_READ, &ns, 0, 8), -ENOTRECOVERABLE);
	assert_true(model->outside_resets > 980);
}

static void drops_completions_of_commands_that_are_not_under_way(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_stats stats;
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme_io io, *done[8];
	uint16_t cid;

	model_start(model, NULL, 4, &ns);
	io = make(model, USRPCI_NVME_OP_READ, &ns, 0, 1);
	assert_int_equal(submit(model, &io), 1);
	cid = (uint16_t)(model->last.cdw0 >> 16);
	model_complete(model, 1, cid, 0, 0); /* twice */
	assert_int_equal(usrpci_nvme_reap(model->queue, done, 8), 1);
	model_complete(model, 1, cid, 0, 0);                 /* late */
	model_complete(model, 1, 900, 0, 0);                 /* of no slot */
	model_complete(model, 1, (uint16_t)(cid + 1), 0, 0); /* of one that was never used */
	assert_int_equal(usrpci_nvme_reap(model->queue, done, 8), 0);
	assert_int_equal(submit(model, &io), 1);
	assert_ptr_equal(reap_one(model), &io);
	usrpci_nvme_stats(model->nvme, &stats);
	assert_int_equal(stats.spurious, 4);
}

static void resets_a_controller_that_does_not_delete_a_queue(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_ns ns;
	unsigned int resets;

	model_start(model, FAST, 0, &ns);
	resets = model->resets;
	model->fail_opcode = ADMIN_DELETE_SQ + 1;
	usrpci_nvme_queue_destroy(model->queue);
	assert_int_equal(model->resets, resets + 1);
}

static void a_mute_controller_fails_admin_commands_and_is_reset(void **state)
{
	struct model *model = *state;
	struct usrpci_nvme_ns ns;
	struct usrpci_nvme *nvme = model_open(model, FAST);

	model->mute_admin = true;
	assert_int_equal(usrpci_nvme_ns(nvme, 1, &ns), -ETIMEDOUT);
	model->mute_admin = false;
	assert_int_equal(usrpci_nvme_ns(nvme, 1, &ns), -ENOTRECOVERABLE);
}

static void notifies_of_a_shutdown_when_it_is_closed(void **state)
{
	struct model *model = *state;

	model_open(model, NULL);
	usrpci_nvme_close(model->nvme);
	model->nvme = NULL;
	assert_int_equal(model->shutdowns, 1);
	assert_int_equal(fake_config(model->dev)[4] & 4, 0); /* bus mastering */
	model_open(model, NULL);                             /* and works again */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, model_setup, model_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(says_what_the_controller_is),
		TEST(refuses_options_out_of_range),
		TEST(refuses_what_is_no_nvme_controller),
		TEST(refuses_registers_that_contradict),
		TEST(gives_up_on_a_controller_that_is_never_ready),
		TEST(gives_up_on_a_controller_that_does_not_answer),
		TEST(gives_up_on_a_device_that_is_gone),
		TEST(leaves_nothing_behind_when_opening_fails),
		TEST(refuses_namespaces_that_it_cannot_serve),
		TEST(sees_that_a_namespace_is_write_protected),
		TEST(refuses_a_list_of_namespaces_that_goes_back),
		TEST(reads_log_pages_of_every_size),
		TEST(keeps_the_drivers_own_commands_to_itself),
		TEST(says_why_an_admin_command_failed),
		TEST(hands_events_over_and_asks_for_more),
		TEST(moves_data_of_every_size_and_alignment),
		TEST(describes_large_buffers_by_sgl_where_it_can),
		TEST(has_all_commands_without_data),
		TEST(refuses_commands_that_are_out_of_range),
		TEST(refuses_commands_that_the_controller_lacks),
		TEST(explains_errors),
		TEST(rings_once_for_a_batch_and_reads_no_register),
		TEST(takes_what_is_before_a_bad_command),
		TEST(wakes_by_intx),
		TEST(wakes_by_a_vector_of_its_own),
		TEST(wakes_by_a_vector_that_is_shared),
		TEST(no_queue_keeps_the_interrupt_of_another),
		TEST(a_queue_that_is_alone_does_not_read_its_interrupt),
		TEST(polls_where_it_is_told_to),
		TEST(has_as_many_queues_as_it_says),
		TEST(aborts_a_command_that_is_late),
		TEST(repeats_commands_after_a_reset),
		TEST(fails_a_command_that_is_late_again_after_a_reset),
		TEST(resets_a_controller_with_a_fatal_error),
		TEST(gives_up_a_command_that_is_fatal_each_time),
		TEST(ends_when_a_reset_does_not_help),
		TEST(hands_everything_back_when_it_is_pulled_out),
		TEST(every_queue_is_set_up_again_after_a_reset),
		TEST(a_queue_that_sleeps_is_woken_by_a_reset),
		TEST(a_queue_is_created_although_somebody_resets_the_controller),
		TEST(a_controller_that_is_reset_for_ever_has_no_queue),
		TEST(drops_completions_of_commands_that_are_not_under_way),
		TEST(resets_a_controller_that_does_not_delete_a_queue),
		TEST(a_mute_controller_fails_admin_commands_and_is_reset),
		TEST(notifies_of_a_shutdown_when_it_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
