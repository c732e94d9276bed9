// SPDX-License-Identifier: BSD-2-Clause
/*
 * A namespace of an NVMe controller, or a virtio disk, as a network block device: a plugin of
 * nbdkit, see nbdkit-plugin(3). Each request uses one of several queues alone and waits there, so
 * there can be one request for each queue. disk.c drives the disk; keeper.c does so in another
 * process.
 *
 * The device is opened after nbdkit has gone to the background, because DMA memory does not pass to
 * a child, and closed before it ends, so that the disk is told of a shutdown. It is opened once
 * before that, for a moment, because a later error would reach nobody. Extents are not supported,
 * because few controllers can report which blocks are in use.
 */

#define NBDKIT_API_VERSION 2

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <nbdkit-plugin.h>

#include "keeper.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define LANES_DEFAULT 16
#define ZEROES_MAX    65536 /* most blocks of one command */

/* What one request uses alone. */
struct lane {
	unsigned int index;
	struct lane *next; /* the next free lane */
};

static struct {
	/* Parameters. */
	struct disk_options options;
	bool restart;

	/* One of these two is used; about describes it. */
	struct disk *disk;
	struct keeper *keeper;
	const struct disk_about *about;

	struct lane *lanes;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct lane *free;
} plugin = {
	.options = {.nsid = 1, .lanes = LANES_DEFAULT},
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.freed = PTHREAD_COND_INITIALIZER,
};

static int read_bool(const char *value, bool *flag)
{
	int got = nbdkit_parse_bool(value);

	*flag = got > 0;
	return got < 0 ? -1 : 0;
}

static int nvme_config(const char *key, const char *value)
{
	if (!strcmp(key, "device"))
		plugin.options.device = value; /* nbdkit keeps it */
	else if (!strcmp(key, "rump"))
		plugin.options.rump = value;
	else if (!strcmp(key, "namespace"))
		return nbdkit_parse_unsigned(key, value, &plugin.options.nsid);
	else if (!strcmp(key, "queues"))
		return nbdkit_parse_unsigned(key, value, &plugin.options.lanes);
	else if (!strcmp(key, "poll"))
		return read_bool(value, &plugin.options.poll);
	else if (!strcmp(key, "restart"))
		return read_bool(value, &plugin.restart);
	else {
		nbdkit_error("%s: there is no such parameter", key);
		return -1;
	}
	return 0;
}

static int nvme_config_complete(void)
{
	if (!plugin.options.device) {
		nbdkit_error("no device is named; hint: device=03:00.0, or device=qemu:nvme,...");
		return -1;
	}
	if (plugin.options.lanes >= 1 && plugin.options.lanes <= DISK_LANES_MAX)
		return 0;
	nbdkit_error("queues=%u: it must be 1 to %d", plugin.options.lanes, DISK_LANES_MAX);
	return -1;
}

static int nvme_get_ready(void)
{
	struct disk *disk = NULL;
	int error;

	/* A rump kernel lives for as long as its process. */
	if (plugin.options.rump)
		return 0;
	error = disk_prepare(&plugin.options, &disk) ?: disk_open(disk);

	disk_close(disk);
	return error ? -1 : 0;
}

static int start(void)
{
	int error;

	if (!plugin.restart) {
		error = disk_prepare(&plugin.options, &plugin.disk) ?: disk_open(plugin.disk);
		if (!error)
			plugin.about = disk_about(plugin.disk);
		return error;
	}
	error = keeper_start(&plugin.options, &plugin.keeper);
	if (!error)
		plugin.about = keeper_about(plugin.keeper);
	return error;
}

static int nvme_after_fork(void)
{
	if (start())
		return -1;
	plugin.lanes = calloc(plugin.about->lanes, sizeof(*plugin.lanes));
	if (!plugin.lanes) {
		nbdkit_error("out of memory");
		return -1;
	}
	for (unsigned int i = 0; i < plugin.about->lanes; i++) {
		plugin.lanes[i] = (struct lane){.index = i, .next = plugin.free};
		plugin.free = &plugin.lanes[i];
	}
	return 0;
}

static void nvme_cleanup(void)
{
	disk_close(plugin.disk);
	keeper_stop(plugin.keeper);
	free(plugin.lanes);
	plugin.disk = NULL;
	plugin.keeper = NULL;
	plugin.lanes = NULL;
}

static struct lane *take_lane(void)
{
	struct lane *lane;

	pthread_mutex_lock(&plugin.lock);
	while (!plugin.free)
		pthread_cond_wait(&plugin.freed, &plugin.lock);
	lane = plugin.free;
	plugin.free = lane->next;
	pthread_mutex_unlock(&plugin.lock);
	return lane;
}

static void put_lane(struct lane *lane)
{
	pthread_mutex_lock(&plugin.lock);
	lane->next = plugin.free;
	plugin.free = lane;
	pthread_cond_signal(&plugin.freed);
	pthread_mutex_unlock(&plugin.lock);
}

/* Does one request, and reports its error. */
static int run(const struct lane *lane, struct disk_request *request, void *data)
{
	uint16_t status;

	if (plugin.keeper)
		keeper_do(plugin.keeper, lane->index, request, data);
	else
		disk_do(plugin.disk, lane->index, request, data);
	if (!request->error)
		return 0;
	status = request->status;
	nbdkit_error("%s: block %" PRIu64 ": %s%s%s", plugin.about->name, request->lba,
		     strerror(-request->error), status ? ": " : "",
		     status ? usrpci_nvme_status_text(status) : "");
	nbdkit_set_error(-request->error);
	return -1;
}

static bool is_aligned(uint32_t count, uint64_t offset)
{
	if (((count | offset) & (plugin.about->ns.block_size - 1)) == 0)
		return true;
	nbdkit_error("%s: %u bytes at %" PRIu64 " are not whole blocks of %u bytes; hint: "
		     "use --filter=blocksize",
		     plugin.about->name, count, offset, plugin.about->ns.block_size);
	nbdkit_set_error(EINVAL);
	return false;
}

/* Reads or writes, in parts. */
static int transfer(uint8_t op, uint8_t flags, uint8_t *data, uint32_t count, uint64_t offset)
{
	struct disk_request request = {.op = op, .flags = flags};
	struct lane *lane;
	uint32_t part;
	int error = 0;

	if (!is_aligned(count, offset))
		return -1;
	lane = take_lane();
	for (uint32_t done = 0; done < count && !error; done += part) {
		part = count - done < plugin.about->buffer ? count - done : plugin.about->buffer;
		request.lba = (offset + done) >> plugin.about->ns.block_shift;
		request.blocks = part >> plugin.about->ns.block_shift;
		error = run(lane, &request, data + done);
	}
	put_lane(lane);
	return error;
}

static int nvme_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
	return transfer(USRPCI_NVME_OP_READ, 0, buffer, count, offset);
}

static uint8_t fua(uint32_t flags)
{
	return flags & NBDKIT_FLAG_FUA ? USRPCI_NVME_FUA : 0;
}

static int nvme_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
		       uint32_t flags)
{
	/* A write only reads the buffer. */
	return transfer(USRPCI_NVME_OP_WRITE, fua(flags), (uint8_t *)buffer, count, offset);
}

/* Does a command without data for a range of blocks, at most "most" blocks at a time. */
static int apply(uint8_t op, uint8_t flags, uint64_t lba, uint64_t blocks, uint32_t most)
{
	struct disk_request io = {.op = op, .flags = flags, .lba = lba};
	struct lane *lane = take_lane();
	int error = 0;

	for (; blocks > 0 && !error; blocks -= io.blocks, io.lba += io.blocks) {
		io.blocks = blocks < most ? (uint32_t)blocks : most;
		error = run(lane, &io, NULL);
	}
	put_lane(lane);
	return error;
}

static int nvme_flush(void *handle, uint32_t flags)
{
	struct disk_request io = {.op = USRPCI_NVME_OP_FLUSH};
	struct lane *lane = take_lane();
	int error = run(lane, &io, NULL);

	put_lane(lane);
	return error;
}

/* Trim is a hint: blocks that are covered only in part keep their data. */
static int nvme_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint32_t size = plugin.about->ns.block_size;
	uint64_t first = (offset + size - 1) >> plugin.about->ns.block_shift;
	uint64_t end = (offset + count) >> plugin.about->ns.block_shift;
	int error = 0;

	if (end > first)
		error = apply(USRPCI_NVME_OP_DEALLOCATE, 0, first, end - first, UINT32_MAX);
	if (!error && flags & NBDKIT_FLAG_FUA)
		error = nvme_flush(handle, 0);
	return error;
}

static int nvme_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint8_t how = fua(flags);

	if (flags & NBDKIT_FLAG_MAY_TRIM)
		how |= USRPCI_NVME_TRIM;
	if (!is_aligned(count, offset))
		return -1;
	return apply(USRPCI_NVME_OP_WRITE_ZEROES, how, offset >> plugin.about->ns.block_shift,
		     count >> plugin.about->ns.block_shift, ZEROES_MAX);
}

static bool has(enum usrpci_nvme_feature feature)
{
	return plugin.about->features & feature;
}

static void *nvme_open(int readonly)
{
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t nvme_get_size(void *handle)
{
	return (int64_t)(plugin.about->ns.blocks << plugin.about->ns.block_shift);
}

static int nvme_can_write(void *handle)
{
	return !plugin.about->ns.read_only;
}

static int nvme_yes(void *handle)
{
	return 1;
}

static int nvme_no(void *handle)
{
	return 0;
}

static int nvme_can_trim(void *handle)
{
	return has(USRPCI_NVME_DEALLOCATE);
}

static int nvme_can_zero(void *handle)
{
	return has(USRPCI_NVME_WRITE_ZEROES);
}

static int nvme_can_fast_zero(void *handle)
{
	return has(USRPCI_NVME_WRITE_ZEROES);
}

static int nvme_can_fua(void *handle)
{
	return NBDKIT_FUA_NATIVE;
}

static int nvme_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	uint64_t optimal = (uint64_t)plugin.about->ns.optimal_blocks
			   << plugin.about->ns.block_shift;

	*minimum = plugin.about->ns.block_size;
	*preferred = *minimum > 4096 ? *minimum : 4096;
	if (optimal > *preferred && optimal <= 32 << 20 && !(optimal & (optimal - 1)))
		*preferred = (uint32_t)optimal;
	*maximum = UINT32_MAX;
	return 0;
}

static struct nbdkit_plugin description = {
	.name = "usrpci-nvme",
	.longname = "usrpci NVMe plugin",
	.version = USRPCI_VERSION,
	.description = "an NVMe disk that usrpci drives from userspace",
	.config = nvme_config,
	.config_complete = nvme_config_complete,
	.config_help =
		"[device=]<DEVICE>  (required) 03:00.0, or qemu:nvme,...; also a virtio disk\n"
		"rump=<DRIVER>      let NetBSD's driver do it, in the rump kernel at RUMP_PREFIX\n"
		"namespace=<N>      which namespace; default 1\n"
		"queues=<N>         requests under way at a time, 1..64; default 16\n"
		"poll=<BOOL>        do not wait for interrupts; default off\n"
		"restart=<BOOL>     start the driver again, as a process of its own, when it\n"
		"                   ends; default off",
	.magic_config_key = "device",
	.get_ready = nvme_get_ready,
	.after_fork = nvme_after_fork,
	.cleanup = nvme_cleanup,
	.open = nvme_open,
	.get_size = nvme_get_size,
	.can_write = nvme_can_write,
	.can_flush = nvme_yes,
	.is_rotational = nvme_no,
	.can_trim = nvme_can_trim,
	.can_zero = nvme_can_zero,
	.can_fast_zero = nvme_can_fast_zero,
	.can_fua = nvme_can_fua,
	.can_multi_conn = nvme_yes,
	.block_size = nvme_block_size,
	.pread = nvme_pread,
	.pwrite = nvme_pwrite,
	.flush = nvme_flush,
	.trim = nvme_trim,
	.zero = nvme_zero,
};

/* The macro defines this function but does not declare it. */
struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(description)
