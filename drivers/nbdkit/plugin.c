// SPDX-License-Identifier: BSD-2-Clause
/*
 * A namespace of an NVMe controller as a network block device: a plugin of nbdkit, see
 * nbdkit-plugin(3). Each request takes one of several queues for itself and waits there, so as many
 * are under way as there are queues.
 *
 * The device is opened after nbdkit has gone to the background, because DMA memory does not pass to
 * a child, and closed before it ends, so that the disk is told of a shutdown. It is opened once
 * before, for a moment: nobody would hear of an error later. Extents are left out: few controllers
 * can say which blocks are in use.
 */

#define NBDKIT_API_VERSION 2

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <nbdkit-plugin.h>

#include <usrpci/nvme.h>
#include <usrpci/usrpci.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define QUEUES_DEFAULT 16
#define BUFFER_MAX     (256u << 10) /* bytes a command, at most */
#define ZEROES_MAX     65536        /* blocks a command */

/* A queue with the buffer of its one command. */
struct lane {
	struct usrpci_nvme_queue *queue;
	struct usrpci_dma_block buffer;
	struct lane *next; /* that is free too */
};

static struct {
	/* Parameters. */
	const char *device;
	unsigned int nsid, queues;
	int poll;

	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_nvme *nvme;
	struct usrpci_nvme_ns ns;
	struct lane *lanes;

	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct lane *free;
} plugin = {
	.nsid = 1,
	.queues = QUEUES_DEFAULT,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.freed = PTHREAD_COND_INITIALIZER,
};

static void log_by_nbdkit(void *data, const struct usrpci_log_entry *entry)
{
	const char *object = entry->object ? entry->object : entry->subject;

	(void)data;
	if (entry->level <= USRPCI_LOG_WARNING)
		nbdkit_error("%s: %s%s%s", object, entry->text, entry->hint ? "; hint: " : "",
			     entry->hint ? entry->hint : "");
	else
		nbdkit_debug("%s: %s", object, entry->text);
}

static int nvme_config(const char *key, const char *value)
{
	if (!strcmp(key, "device"))
		plugin.device = value; /* nbdkit keeps it */
	else if (!strcmp(key, "namespace"))
		return nbdkit_parse_unsigned(key, value, &plugin.nsid);
	else if (!strcmp(key, "queues"))
		return nbdkit_parse_unsigned(key, value, &plugin.queues);
	else if (!strcmp(key, "poll"))
		return (plugin.poll = nbdkit_parse_bool(value)) < 0 ? -1 : 0;
	else {
		nbdkit_error("%s: there is no such parameter", key);
		return -1;
	}
	return 0;
}

static int nvme_config_complete(void)
{
	if (plugin.device)
		return 0;
	nbdkit_error("which device? Name one: 03:00.0, or qemu:nvme,...");
	return -1;
}

static int fail(const char *what, int error)
{
	nbdkit_error("%s: %s: %s", plugin.device, what, strerror(-error));
	errno = -error;
	return -1;
}

static int add_lane(struct lane *lane)
{
	struct usrpci_nvme_queue_options options = {.depth = 1, .poll = plugin.poll};
	uint32_t most = usrpci_nvme_info(plugin.nvme)->max_transfer;
	struct usrpci_dma_request request = {
		.size = most < BUFFER_MAX ? most : BUFFER_MAX,
		.align = 4096,
	};
	int error = usrpci_dma_block_alloc(plugin.ctx, &request, &lane->buffer)
			    ?: usrpci_nvme_queue_create(plugin.nvme, &options, &lane->queue);

	if (error)
		return error;
	lane->next = plugin.free;
	plugin.free = lane;
	return 0;
}

static int add_lanes(void)
{
	unsigned int count = usrpci_nvme_info(plugin.nvme)->queues;
	int error = 0;

	plugin.lanes = calloc(count, sizeof(*plugin.lanes));
	if (!plugin.lanes)
		return -ENOMEM;
	for (unsigned int i = 0; i < count && !error; i++)
		error = add_lane(&plugin.lanes[i]);
	return error;
}

static void nvme_cleanup(void)
{
	usrpci_nvme_close(plugin.nvme);
	usrpci_dev_close(plugin.dev);
	usrpci_ctx_close(plugin.ctx);
	free(plugin.lanes);
	plugin.nvme = NULL;
	plugin.dev = NULL;
	plugin.ctx = NULL;
	plugin.lanes = NULL;
	plugin.free = NULL;
}

static int open_disk(void)
{
	struct usrpci_ctx_options options = {.log = log_by_nbdkit};
	struct usrpci_nvme_options nvme = {.queues = plugin.queues, .poll = plugin.poll};
	int error = usrpci_ctx_open(&options, &plugin.ctx)
			    ?: usrpci_dev_open(plugin.ctx, plugin.device, &plugin.dev);

	if (error)
		return fail("it cannot be opened", error);
	error = usrpci_nvme_open(plugin.dev, &nvme, &plugin.nvme);
	if (error)
		return fail("its controller cannot be used", error);
	error = usrpci_nvme_ns(plugin.nvme, plugin.nsid, &plugin.ns);
	if (error == -EOPNOTSUPP)
		return fail("its namespace has metadata, or blocks of a size that is not served",
			    error);
	if (error)
		return fail("it has no such namespace", error);
	error = add_lanes();
	return error ? fail("its queues", error) : 0;
}

static int nvme_get_ready(void)
{
	int error = open_disk();

	nvme_cleanup();
	return error;
}

static int nvme_after_fork(void)
{
	return open_disk();
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

/* Runs one command; says what is wrong with it. */
static int run(struct lane *lane, struct usrpci_nvme_io *io)
{
	int error;

	io->ns = &plugin.ns;
	io->addr = lane->buffer.addr;
	io->status = 0;
	error = usrpci_nvme_run(lane->queue, io);
	if (!error)
		return 0;
	nbdkit_error("%s: block %" PRIu64 ": %s%s%s", plugin.device, io->lba, strerror(-error),
		     io->status ? ": " : "", io->status ? usrpci_nvme_status_text(io->status) : "");
	nbdkit_set_error(-error);
	return -1;
}

static bool is_aligned(uint32_t count, uint64_t offset)
{
	if (((count | offset) & (plugin.ns.block_size - 1)) == 0)
		return true;
	nbdkit_error("%s: %u bytes at %" PRIu64 " are no whole blocks of %u bytes; hint: "
		     "--filter=blocksize makes them some",
		     plugin.device, count, offset, plugin.ns.block_size);
	nbdkit_set_error(EINVAL);
	return false;
}

/* Reads or writes through the lane's buffer, in parts. */
static int transfer(uint8_t op, uint8_t flags, uint8_t *to, const uint8_t *from, uint32_t count,
		    uint64_t offset)
{
	struct usrpci_nvme_io io = {.op = op, .flags = flags};
	struct lane *lane;
	uint32_t part;
	int error = 0;

	if (!is_aligned(count, offset))
		return -1;
	lane = take_lane();
	for (uint32_t done = 0; done < count && !error; done += part) {
		part = count - done < lane->buffer.size ? count - done
							: (uint32_t)lane->buffer.size;
		if (from)
			memcpy(lane->buffer.va, from + done, part);
		io.lba = (offset + done) >> plugin.ns.block_shift;
		io.blocks = part >> plugin.ns.block_shift;
		error = run(lane, &io);
		if (to && !error)
			memcpy(to + done, lane->buffer.va, part);
	}
	put_lane(lane);
	return error;
}

static int nvme_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags)
{
	return transfer(USRPCI_NVME_OP_READ, 0, buffer, NULL, count, offset);
}

static uint8_t fua(uint32_t flags)
{
	return flags & NBDKIT_FLAG_FUA ? USRPCI_NVME_FUA : 0;
}

static int nvme_pwrite(void *handle, const void *buffer, uint32_t count, uint64_t offset,
		       uint32_t flags)
{
	return transfer(USRPCI_NVME_OP_WRITE, fua(flags), NULL, buffer, count, offset);
}

/* A command of blocks without data, most of them at a time. */
static int apply(uint8_t op, uint8_t flags, uint64_t lba, uint64_t blocks, uint32_t most)
{
	struct usrpci_nvme_io io = {.op = op, .flags = flags, .lba = lba};
	struct lane *lane = take_lane();
	int error = 0;

	for (; blocks > 0 && !error; blocks -= io.blocks, io.lba += io.blocks) {
		io.blocks = blocks < most ? (uint32_t)blocks : most;
		error = run(lane, &io);
	}
	put_lane(lane);
	return error;
}

static int nvme_flush(void *handle, uint32_t flags)
{
	struct usrpci_nvme_io io = {.op = USRPCI_NVME_OP_FLUSH};
	struct lane *lane = take_lane();
	int error = run(lane, &io);

	put_lane(lane);
	return error;
}

/* It is a wish: blocks that are there in part alone keep what they have. */
static int nvme_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint32_t size = plugin.ns.block_size;
	uint64_t first = (offset + size - 1) >> plugin.ns.block_shift;
	uint64_t end = (offset + count) >> plugin.ns.block_shift;
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
	return apply(USRPCI_NVME_OP_WRITE_ZEROES, how, offset >> plugin.ns.block_shift,
		     count >> plugin.ns.block_shift, ZEROES_MAX);
}

static bool has(enum usrpci_nvme_feature feature)
{
	return usrpci_nvme_info(plugin.nvme)->features & feature;
}

static void *nvme_open(int readonly)
{
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t nvme_get_size(void *handle)
{
	return (int64_t)(plugin.ns.blocks << plugin.ns.block_shift);
}

static int nvme_can_write(void *handle)
{
	return !plugin.ns.read_only;
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
	uint64_t optimal = (uint64_t)plugin.ns.optimal_blocks << plugin.ns.block_shift;

	*minimum = plugin.ns.block_size;
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
	.config_help = "[device=]<DEVICE>  (required) 03:00.0, or qemu:nvme,...\n"
		       "namespace=<N>      which namespace; default 1\n"
		       "queues=<N>         requests under way at a time, 1..64; default 16\n"
		       "poll=<BOOL>        do not wait for interrupts; default off",
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

/* The macro defines it, and declares it nowhere. */
struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(description)
