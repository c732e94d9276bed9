// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio-blk driver on a model of the device that hangs, lies and vanishes, and on QEMU's,
 * whose file is compared with what was written.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <usrpci/vblk.h>

#include "fixture.h"
#include "virtio_model.h"

#define SECTORS 8192
#define DISK    (SECTORS * (size_t)USRPCI_VBLK_SECTOR)

struct bench {
	struct model model;
	struct fixture *fixture;
	struct usrpci_vblk *vblk;
	struct usrpci_dma_block buffer;
	const char *why;
	uint8_t disk[DISK];
	bool mute;      /* commands get no answer */
	uint8_t status; /* of the next command */
	uint32_t lie;   /* added to the used id */
	unsigned int flushes, discards;
};

static void execute(struct bench *bench, const struct model_piece *pieces, unsigned int count)
{
	const struct virtio_blk_outhdr *header = (const void *)pieces[0].bytes;
	size_t offset = usrpci_le64(header->sector) * USRPCI_VBLK_SECTOR;

	assert_int_equal(pieces[0].size, sizeof(*header));
	assert_true(pieces[count - 1].writable && pieces[count - 1].size == 1);
	switch (usrpci_le32(header->type)) {
	case VIRTIO_BLK_T_IN:
		assert_true(count == 3 && pieces[1].writable);
		assert_true(offset + pieces[1].size <= DISK);
		memcpy(pieces[1].bytes, bench->disk + offset, pieces[1].size);
		break;
	case VIRTIO_BLK_T_OUT:
		assert_true(count == 3 && !pieces[1].writable);
		assert_true(offset + pieces[1].size <= DISK);
		memcpy(bench->disk + offset, pieces[1].bytes, pieces[1].size);
		break;
	case VIRTIO_BLK_T_FLUSH:
		assert_int_equal(count, 2);
		bench->flushes++;
		break;
	case VIRTIO_BLK_T_DISCARD:
		assert_true(count == 3 && pieces[1].size == 16);
		bench->discards++;
		break;
	}
	pieces[count - 1].bytes[0] = bench->status;
	bench->status = 0;
}

static void notify(struct model *model, uint16_t queue)
{
	struct bench *bench = model->data;
	struct model_piece pieces[256];
	unsigned int count;
	int head;

	while (!bench->mute && (head = model_fetch(model, queue, pieces, &count)) >= 0) {
		execute(bench, pieces, count);
		model_use(model, queue, (uint32_t)head + bench->lie, 1);
		model_tell(model, queue);
	}
}

static int setup(void **state)
{
	static struct bench bench;
	uint64_t sectors = usrpci_le64(SECTORS);
	uint32_t most = usrpci_le32(1024);

	memset(&bench, 0, sizeof(bench));
	if (fixture_setup(state))
		return -1;
	bench.fixture = *state;
	*state = &bench;
	bench.model.data = &bench;
	bench.model.notify = notify;
	bench.model.offered = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) |
			      VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
	memcpy(bench.model.config, &sectors, sizeof(sectors));
	memcpy(bench.model.config + offsetof(struct virtio_blk_config, max_discard_sectors), &most,
	       sizeof(most));
	bench.model.ctx = fixture_ctx(bench.fixture);
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	void *fixture = bench->fixture;

	usrpci_vblk_close(bench->vblk);
	usrpci_dma_block_free(bench->model.ctx, &bench->buffer);
	usrpci_dev_close(bench->model.dev);
	usrpci_ctx_close(bench->model.ctx);
	return fixture_teardown(&fixture);
}

static int open_disk(struct bench *bench, struct usrpci_vblk_options options)
{
	int error;

	if (!bench->model.dev)
		model_plug(&bench->model, VIRTIO_TYPE_BLK, 8);
	options.why = &bench->why;
	error = usrpci_vblk_open(bench->model.dev, &options, &bench->vblk);
	if (error)
		bench->vblk = NULL;
	return error;
}

static const struct usrpci_vblk_options by_default;

static void start(struct bench *bench, struct usrpci_vblk_options options)
{
	struct usrpci_dma_request request = {.size = 1 << 20, .align = 4096, .zero = true};

	assert_int_equal(open_disk(bench, options), 0);
	if (!bench->buffer.va)
		assert_int_equal(usrpci_dma_block_alloc(bench->model.ctx, &request, &bench->buffer),
				 0);
}

static int run(struct bench *bench, enum usrpci_vblk_op op, uint64_t sector, uint32_t sectors)
{
	struct usrpci_vblk_io io = {
		.op = op, .sector = sector, .sectors = sectors, .addr = bench->buffer.addr};

	return usrpci_vblk_run(bench->vblk, 0, &io);
}

static void write_and_read(struct bench *bench)
{
	uint8_t *bytes = bench->buffer.va;

	for (uint32_t sectors = 1; sectors <= 2048; sectors *= 2) {
		for (size_t i = 0; i < sectors * (size_t)512; i++)
			bytes[i] = (uint8_t)(i * 31 + i / 509 + sectors);
		assert_int_equal(run(bench, USRPCI_VBLK_WRITE, sectors, sectors), 0);
		memset(bytes, 0, sectors * (size_t)512);
		assert_int_equal(run(bench, USRPCI_VBLK_READ, sectors, sectors), 0);
		for (size_t i = 0; i < sectors * (size_t)512; i++)
			assert_int_equal(bytes[i], (uint8_t)(i * 31 + i / 509 + sectors));
	}
}

static void what_is_written_is_read(void **state)
{
	struct bench *bench = *state;

	start(bench, by_default);
	assert_int_equal(usrpci_vblk_info(bench->vblk)->sectors, SECTORS);
	write_and_read(bench);
	assert_int_equal(run(bench, USRPCI_VBLK_FLUSH, 0, 0), 0);
	assert_int_equal(bench->flushes, 1);
	assert_int_equal(run(bench, USRPCI_VBLK_DISCARD, 8, 1024), 0);
	assert_int_equal(bench->discards, 1);
}

static void what_cannot_be_is_not_submitted(void **state)
{
	struct bench *bench = *state;
	struct usrpci_vblk_io io = {0}, *ios = &io;

	start(bench, by_default);
	assert_int_equal(run(bench, USRPCI_VBLK_READ, SECTORS, 1), -ERANGE);
	assert_int_equal(run(bench, USRPCI_VBLK_READ, UINT64_MAX, 1), -ERANGE);
	assert_int_equal(run(bench, USRPCI_VBLK_READ, 0, 0), -ERANGE);
	assert_int_equal(run(bench, USRPCI_VBLK_DISCARD, 0, 1025), -ERANGE);
	assert_int_equal(run(bench, USRPCI_VBLK_WRITE_ZEROES, 0, 8), -EOPNOTSUPP);
	assert_int_equal(run(bench, (enum usrpci_vblk_op)9, 0, 8), -EINVAL);
	assert_int_equal(usrpci_vblk_submit(bench->vblk, 1, &ios, 1), -EINVAL);
	assert_int_equal(usrpci_vblk_wait(bench->vblk, 1, 0), -EINVAL);
}

static void a_read_only_disk_is_not_written(void **state)
{
	struct bench *bench = *state;

	bench->model.offered |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
	start(bench, by_default);
	assert_int_equal(run(bench, USRPCI_VBLK_WRITE, 0, 1), -EROFS);
	assert_int_equal(run(bench, USRPCI_VBLK_READ, 0, 1), 0);
}

static void a_full_queue_takes_no_more_and_empties(void **state)
{
	struct usrpci_vblk_io ios[40], *list[40], *done[40];
	struct bench *bench = *state;

	start(bench, (struct usrpci_vblk_options){.depth = 32});
	for (unsigned int i = 0; i < 40; i++) {
		ios[i] = (struct usrpci_vblk_io){.op = USRPCI_VBLK_READ,
						 .sector = i,
						 .sectors = 1,
						 .addr = bench->buffer.addr + i * 512};
		list[i] = &ios[i];
	}
	bench->mute = true;
	assert_int_equal(usrpci_vblk_submit(bench->vblk, 0, list, 40), 32);
	assert_int_equal(usrpci_vblk_reap(bench->vblk, 0, done, 40), 0);
	assert_int_equal(usrpci_vblk_wait(bench->vblk, 0, 1), -ETIMEDOUT);
	bench->mute = false;
	notify(&bench->model, 0);
	assert_int_equal(usrpci_vblk_wait(bench->vblk, 0, 1000), 0);
	assert_int_equal(usrpci_vblk_reap(bench->vblk, 0, done, 40), 32);
	assert_int_equal(usrpci_vblk_submit(bench->vblk, 0, list + 32, 8), 8);
}

static void the_devices_word_is_the_commands_error(void **state)
{
	static const struct {
		uint8_t status;
		int error;
	} words[] = {{1, -EIO}, {2, -EOPNOTSUPP}, {3, -EPROTO}, {0xff, -EPROTO}};
	struct bench *bench = *state;

	start(bench, by_default);
	for (unsigned int i = 0; i < 4; i++) {
		bench->status = words[i].status;
		assert_int_equal(run(bench, USRPCI_VBLK_READ, 0, 1), words[i].error);
	}
	assert_int_equal(run(bench, USRPCI_VBLK_READ, 0, 1), 0);
}

static void a_command_that_is_not_under_way_ends_the_use(void **state)
{
	static const uint32_t lies[] = {1, 3, 300, UINT32_MAX};
	struct bench *bench = *state;

	for (unsigned int i = 0; i < 4; i++) {
		start(bench, by_default);
		bench->lie = lies[i];
		assert_int_equal(run(bench, USRPCI_VBLK_READ, 0, 1), -EPROTO);
		assert_int_equal(bench->model.status, 0); /* it was reset */
		assert_int_equal(run(bench, USRPCI_VBLK_READ, 0, 1), -EPROTO);
		usrpci_vblk_close(bench->vblk);
		bench->lie = 0;
	}
	start(bench, by_default);
	assert_int_equal(run(bench, USRPCI_VBLK_READ, 0, 1), 0);
}

static void a_command_that_is_late_ends_the_use(void **state)
{
	struct bench *bench = *state;

	start(bench, (struct usrpci_vblk_options){.timeout_ms = 50});
	bench->mute = true;
	assert_int_equal(run(bench, USRPCI_VBLK_READ, 0, 1), -ETIMEDOUT);
	assert_int_equal(bench->model.status, 0);
}

static void a_disk_that_is_gone_is_reported(void **state)
{
	struct bench *bench = *state;

	start(bench, (struct usrpci_vblk_options){.timeout_ms = 50});
	fake_unplug(bench->model.dev);
	assert_int_equal(run(bench, USRPCI_VBLK_READ, 0, 1), -ENODEV);
	usrpci_vblk_close(bench->vblk);
	assert_int_equal(open_disk(bench, by_default), -ENODEV);
}

static void a_disk_that_contradicts_itself_is_refused(void **state)
{
	struct bench *bench = *state;

	bench->model.offered |= VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE);
	assert_int_equal(open_disk(bench, by_default), -EPROTO);
	assert_null(bench->why);
	bench->model.config[offsetof(struct virtio_blk_config, blk_size) + 1] = 2;
	assert_int_equal(open_disk(bench, by_default), 0);
	usrpci_vblk_close(bench->vblk);
	bench->model.offered |= VIRTIO_BIT(VIRTIO_BLK_F_SIZE_MAX);
	assert_int_equal(open_disk(bench, by_default), -EPROTO);
	bench->model.offered &= ~VIRTIO_BIT(VIRTIO_F_VERSION_1);
	assert_int_equal(open_disk(bench, by_default), -ENOTSUP);
	assert_non_null(strstr(bench->why, "VIRTIO_F_VERSION_1"));
	assert_int_equal(open_disk(bench, (struct usrpci_vblk_options){.queues = 17}), -EINVAL);
}

static void on_qemu(struct bench *bench, const char *properties, struct usrpci_vblk_options options)
{
	char name[512], path[128];
	uint8_t found[512];
	int fd;

	snprintf(path, sizeof(path), "%s/disk", bench->fixture->root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK), 0);
	snprintf(name, sizeof(name),
		 "qemu:virtio-blk-pci,drive=d0%s -drive "
		 "if=none,id=d0,format=raw,discard=unmap,file=%s",
		 properties, path);
	assert_int_equal(usrpci_dev_open(bench->model.ctx, name, &bench->model.dev), 0);
	start(bench, options);
	write_and_read(bench);
	assert_int_equal(run(bench, USRPCI_VBLK_FLUSH, 0, 0), 0);
	assert_int_equal(pread(fd, found, 512, 2048 * 512), 512);
	assert_memory_equal(found, bench->buffer.va, 512);
	assert_int_equal(run(bench, USRPCI_VBLK_WRITE_ZEROES, 2048, 8), 0);
	assert_int_equal(run(bench, USRPCI_VBLK_DISCARD, 4096, 1024), 0);
	assert_int_equal(run(bench, USRPCI_VBLK_READ, 2048, 1), 0);
	assert_int_equal(*(uint8_t *)bench->buffer.va, 0);
	close(fd);
}

static void qemus_disk_works_by_interrupt(void **state)
{
	on_qemu(*state, "", by_default);
}

static void qemus_disk_works_by_polling_without_event_indices(void **state)
{
	on_qemu(*state, ",event_idx=off,vectors=0", (struct usrpci_vblk_options){.poll = true});
}

static void qemus_disk_works_by_intx_with_several_queues(void **state)
{
	on_qemu(*state, ",packed=on,num-queues=4,vectors=0",
		(struct usrpci_vblk_options){.queues = 4, .depth = 256});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read),
		TEST(what_cannot_be_is_not_submitted),
		TEST(a_read_only_disk_is_not_written),
		TEST(a_full_queue_takes_no_more_and_empties),
		TEST(the_devices_word_is_the_commands_error),
		TEST(a_command_that_is_not_under_way_ends_the_use),
		TEST(a_command_that_is_late_ends_the_use),
		TEST(a_disk_that_is_gone_is_reported),
		TEST(a_disk_that_contradicts_itself_is_refused),
		TEST(qemus_disk_works_by_interrupt),
		TEST(qemus_disk_works_by_polling_without_event_indices),
		TEST(qemus_disk_works_by_intx_with_several_queues),
	};
	size_t count = sizeof(tests) / sizeof(tests[0]);

	if (is_qemu_missing())
		count -= 3;
	return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
}
