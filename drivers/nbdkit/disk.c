// SPDX-License-Identifier: BSD-2-Clause
/*
 * The disk: a controller, one namespace of it, and lanes. A lane has a queue for one command, and
 * DMA memory for its data. A virtio disk is virtio.c's.
 */

#define NBDKIT_API_VERSION 2

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nbdkit-plugin.h>

#include "rump.h"
#include "virtio.h"

#define NVME_CLASS 0x010802
#define BUFFER_MAX (256u << 10) /* bytes a command, at most */

/* DMA memory that is enough for a lane, with its queue, and for the controller. */
#define LANE_MEMORY (BUFFER_MAX + BUFFER_MAX / 2)
#define BASE_MEMORY (2u << 20)

struct lane {
	struct usrpci_nvme_queue *queue;
	struct usrpci_dma_block buffer;
};

struct disk {
	const struct disk_options *options;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_nvme *nvme;
	struct virtio_disk *virtio; /* instead of a controller and lanes */
	struct rump_disk *rump;     /* instead of all of them */
	struct lane *lanes;
	struct disk_about about;
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

static int fail(const struct disk *disk, const char *what, int error)
{
	nbdkit_error("%s: %s: %s", disk->about.name, what, strerror(-error));
	return error;
}

static int no_such_namespace(const struct disk *disk)
{
	nbdkit_error(
		"%s: it has no such namespace: %u; hint: \"usrpci nvme ADDR id\" lists those of "
		"a controller",
		disk->about.name, disk->options->nsid);
	return -ENOENT;
}

static int no_disk(const struct disk *disk, const struct usrpci_dev_info *info)
{
	nbdkit_error("%s: it is neither an NVMe nor a virtio disk (class %06x)", disk->about.name,
		     info->class_code);
	return -ENOTSUP;
}

/*
 * A lane is opened with its first request, so the very first request does not wait for all queues.
 */
static int open_lane(struct disk *disk, struct lane *lane)
{
	struct usrpci_nvme_queue_options options = {.depth = 1};
	struct usrpci_dma_request request = {.size = disk->about.buffer, .align = 4096};
	int error = 0;

	if (!lane->buffer.va)
		error = usrpci_dma_block_alloc(disk->ctx, &request, &lane->buffer);
	return error ?: usrpci_nvme_queue_create(disk->nvme, &options, &lane->queue);
}

static int alloc_lanes(struct disk *disk)
{
	const struct usrpci_nvme_info *info = usrpci_nvme_info(disk->nvme);

	disk->about.features = info->features;
	disk->about.buffer = info->max_transfer < BUFFER_MAX ? info->max_transfer : BUFFER_MAX;
	disk->about.lanes = info->queues;
	disk->lanes = calloc(info->queues, sizeof(*disk->lanes));
	return disk->lanes ? 0 : -ENOMEM;
}

static int start_virtio(struct disk *disk)
{
	const struct disk_options *options = disk->options;
	const char *why = NULL;
	int error;

	if (options->nsid != 1)
		return no_such_namespace(disk);
	error = virtio_disk_open(disk->ctx, disk->dev, options, &disk->about, &disk->virtio, &why);
	if (error == -ENOTSUP)
		return fail(disk, why, error);
	return error ? fail(disk, "its driver cannot use it", error) : 0;
}

static int find_namespace(struct disk *disk)
{
	int error = usrpci_nvme_ns(disk->nvme, disk->options->nsid, &disk->about.ns);

	if (error == -EOPNOTSUPP)
		return fail(disk,
			    "its namespace has metadata, or blocks of a size that is not served",
			    error);
	if (error == -ENOENT)
		return no_such_namespace(disk);
	return error ? fail(disk, "its namespace cannot be identified", error) : 0;
}

static int start_nvme(struct disk *disk)
{
	const struct disk_options *options = disk->options;
	struct usrpci_nvme_options nvme = {.queues = options->lanes, .poll = options->poll};
	int error = usrpci_nvme_open(disk->dev, &nvme, &disk->nvme);

	if (error)
		return fail(disk, "its controller cannot be used", error);
	error = find_namespace(disk);
	if (error)
		return error;
	error = alloc_lanes(disk);
	return error ? fail(disk, "its queues cannot be created", error) : 0;
}

/* The rump kernel opens the device itself. */
static int start_rump(struct disk *disk)
{
	const struct disk_options *options = disk->options;
	const char *why = "NetBSD's driver cannot be used";
	int error;

	snprintf(disk->about.name, sizeof(disk->about.name), "%s", options->device);
	if (options->nsid != 1)
		return no_such_namespace(disk);
	error = rump_disk_open(options, &disk->about, &disk->rump, &why);
	return error ? fail(disk, why, error) : 0;
}

int disk_open(struct disk *disk)
{
	const struct usrpci_dev_info *info;
	int error = 0;

	if (disk->options->rump)
		return start_rump(disk);
	if (!disk->dev)
		error = usrpci_dev_open(disk->ctx, disk->options->device, &disk->dev);
	if (error)
		return error; /* the library has said why */
	info = usrpci_dev_info(disk->dev);
	snprintf(disk->about.name, sizeof(disk->about.name), "%s", usrpci_dev_name(disk->dev));
	if (virtio_disk_matches(info))
		return start_virtio(disk);
	return info->class_code == NVME_CLASS ? start_nvme(disk) : no_disk(disk, info);
}

int disk_prepare(const struct disk_options *options, struct disk **result)
{
	struct usrpci_ctx_options ctx = {.log = log_by_nbdkit};
	struct disk *disk = calloc(1, sizeof(*disk));
	int error = disk ? usrpci_ctx_open(&ctx, &disk->ctx) : -ENOMEM;

	if (error) {
		nbdkit_error("%s: it cannot be opened: %s", options->device, strerror(-error));
		free(disk);
		return error;
	}
	disk->options = options;
	*result = disk;
	return 0;
}

/* Returns 1 when it is a disk of vfio's, 0 for any other device, or a negative errno. */
static int is_of_vfio(const struct disk *disk)
{
	const char *name = disk->options->device;
	struct usrpci_dev_info info;
	struct usrpci_addr addr;
	int error;

	if (disk->options->rump || !strncmp(name, "qemu:", 5))
		return 0;
	error = usrpci_dev_find(disk->ctx, name, &addr)
			?: usrpci_dev_lookup(disk->ctx, &addr, &info);
	if (error)
		return error;
	return info.driver_kind == USRPCI_DRIVER_VFIO &&
	       (info.class_code == NVME_CLASS || virtio_disk_matches(&info));
}

/*
 * The memory is there before the first fork, so all processes have the same, and none maps any that
 * stays mapped when it dies. A process that dies can leave INTx masked, but not message interrupts.
 */
int disk_hold(const struct disk_options *options, struct disk **result)
{
	size_t memory = (size_t)options->lanes * LANE_MEMORY + BASE_MEMORY;
	struct disk *disk = NULL;
	int held = disk_prepare(options, &disk);

	*result = NULL;
	if (held)
		return held;
	held = is_of_vfio(disk);
	if (held > 0) {
		int error = usrpci_dev_open(disk->ctx, options->device, &disk->dev);

		held = error ?: usrpci_irq_count(disk->dev, USRPCI_IRQ_MSIX) > 0;
	}
	if (held > 0)
		held = usrpci_dma_reserve(disk->ctx, memory) ?: 1;
	if (held > 0)
		*result = disk;
	else
		disk_close(disk);
	return held < 0 ? held : 0;
}

void disk_close(struct disk *disk)
{
	if (!disk)
		return;
	rump_disk_close(disk->rump);
	virtio_disk_close(disk->virtio);
	usrpci_nvme_close(disk->nvme);
	usrpci_dev_close(disk->dev);
	usrpci_ctx_close(disk->ctx);
	free(disk->lanes);
	free(disk);
}

const struct disk_about *disk_about(const struct disk *disk)
{
	return &disk->about;
}

static void do_nvme(struct disk *disk, unsigned int index, struct disk_request *request, void *data)
{
	struct lane *lane = &disk->lanes[index];
	size_t size = (size_t)request->blocks << disk->about.ns.block_shift;
	struct usrpci_nvme_io io = {
		.op = request->op,
		.flags = request->flags,
		.ns = &disk->about.ns,
		.lba = request->lba,
		.blocks = request->blocks,
	};

	request->status = 0;
	request->error = lane->queue ? 0 : open_lane(disk, lane);
	if (request->error)
		return;
	io.addr = lane->buffer.addr;
	if (io.op == USRPCI_NVME_OP_WRITE)
		memcpy(lane->buffer.va, data, size);
	request->error = usrpci_nvme_run(lane->queue, &io);
	request->status = io.status;
	if (io.op == USRPCI_NVME_OP_READ && !request->error)
		memcpy(data, lane->buffer.va, size);
}

void disk_do(struct disk *disk, unsigned int index, struct disk_request *request, void *data)
{
	if (disk->rump)
		rump_disk_do(disk->rump, request, data);
	else if (disk->virtio)
		virtio_disk_do(disk->virtio, index, request, data);
	else
		do_nvme(disk, index, request, data);
}
