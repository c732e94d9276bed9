// SPDX-License-Identifier: BSD-2-Clause
/*
 * A virtio disk behind the plugin. A command of virtio has no FUA, so such a write is followed by a
 * flush; what is trimmed need not read as zeroes.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio.h"

#define VENDOR       0x1af4
#define TRANSITIONAL 0x1001 /* PCI device ids of block devices: Virtio 1.2, 4.1.2 */
#define MODERN       0x1042
#define BUFFER_MAX   (256u << 10)

struct virtio_disk {
	struct usrpci_ctx *ctx;
	struct usrpci_vblk *vblk;
	const struct usrpci_vblk_info *info;
	unsigned int block_sectors;
	uint8_t block_shift;
	struct usrpci_dma_block *buffers; /* one for each queue */
};

bool virtio_disk_matches(const struct usrpci_dev_info *info)
{
	return info->vendor == VENDOR && (info->device == TRANSITIONAL || info->device == MODERN);
}

static int alloc_buffers(struct virtio_disk *disk, uint32_t size)
{
	struct usrpci_dma_request request = {.size = size, .align = 4096};
	int error = 0;

	disk->buffers = calloc(disk->info->queues, sizeof(*disk->buffers));
	if (!disk->buffers)
		return -ENOMEM;
	for (unsigned int i = 0; i < disk->info->queues && !error; i++)
		error = usrpci_dma_block_alloc(disk->ctx, &request, &disk->buffers[i]);
	return error;
}

static void describe(struct virtio_disk *disk, struct disk_about *about)
{
	const struct usrpci_vblk_info *info = disk->info;
	uint64_t most = (uint64_t)info->max_sectors * USRPCI_VBLK_SECTOR;

	disk->block_sectors = info->block_size / USRPCI_VBLK_SECTOR;
	disk->block_shift = (uint8_t)__builtin_ctz(info->block_size);
	about->ns.nsid = 1;
	about->ns.block_size = info->block_size;
	about->ns.block_shift = disk->block_shift;
	about->ns.blocks = info->sectors / disk->block_sectors;
	about->ns.read_only = info->read_only;
	about->features = (info->max_discard ? USRPCI_NVME_DEALLOCATE : 0) |
			  (info->max_zeroes ? USRPCI_NVME_WRITE_ZEROES : 0);
	about->buffer = (uint32_t)(most < BUFFER_MAX ? most : BUFFER_MAX) & ~(info->block_size - 1);
	about->lanes = info->queues;
}

int virtio_disk_open(struct usrpci_ctx *ctx, struct usrpci_dev *dev,
		     const struct disk_options *options, struct disk_about *about,
		     struct virtio_disk **result, const char **why)
{
	unsigned int queues = options->lanes < 16 ? options->lanes : 16;
	struct usrpci_vblk_options vblk = {.queues = queues, .poll = options->poll, .why = why};
	struct virtio_disk *disk = calloc(1, sizeof(*disk));
	int error = disk ? usrpci_vblk_open(dev, &vblk, &disk->vblk) : -ENOMEM;

	if (!error) {
		disk->ctx = ctx;
		disk->info = usrpci_vblk_info(disk->vblk);
		describe(disk, about);
		error = about->buffer > 0 ? alloc_buffers(disk, about->buffer) : -EPROTO;
	}
	if (error)
		virtio_disk_close(disk);
	else
		*result = disk;
	return error;
}

void virtio_disk_close(struct virtio_disk *disk)
{
	if (!disk)
		return;
	for (unsigned int i = 0; disk->buffers && i < disk->info->queues; i++)
		usrpci_dma_block_free(disk->ctx, &disk->buffers[i]);
	usrpci_vblk_close(disk->vblk);
	free(disk->buffers);
	free(disk);
}

static int flush(struct virtio_disk *disk, unsigned int lane)
{
	struct usrpci_vblk_io io = {.op = USRPCI_VBLK_FLUSH};

	return disk->info->write_cache ? usrpci_vblk_run(disk->vblk, lane, &io) : 0;
}

static int move(struct virtio_disk *disk, unsigned int lane, struct usrpci_vblk_io *io, void *data)
{
	struct usrpci_dma_block *buffer = &disk->buffers[lane];
	size_t size = (size_t)io->sectors * USRPCI_VBLK_SECTOR;
	int error;

	io->addr = buffer->addr;
	if (io->op == USRPCI_VBLK_WRITE)
		memcpy(buffer->va, data, size);
	error = usrpci_vblk_run(disk->vblk, lane, io);
	if (io->op == USRPCI_VBLK_READ && !error)
		memcpy(data, buffer->va, size);
	return error;
}

/* Does a command without data for a range of sectors, at most "most" of them at a time. */
static int sweep(struct virtio_disk *disk, unsigned int lane, enum usrpci_vblk_op op,
		 uint64_t sector, uint64_t sectors, uint32_t most)
{
	struct usrpci_vblk_io io = {.op = op, .sector = sector};
	int error = 0;

	most -= most % disk->block_sectors;
	if (most == 0)
		return -EOPNOTSUPP;
	for (; sectors > 0 && !error; sectors -= io.sectors, io.sector += io.sectors) {
		io.sectors = sectors < most ? (uint32_t)sectors : most;
		error = usrpci_vblk_run(disk->vblk, lane, &io);
	}
	return error;
}

void virtio_disk_do(struct virtio_disk *disk, unsigned int lane, struct disk_request *request,
		    void *data)
{
	uint64_t sector = request->lba * disk->block_sectors;
	uint64_t sectors = (uint64_t)request->blocks * disk->block_sectors;
	struct usrpci_vblk_io io = {.sector = sector, .sectors = (uint32_t)sectors};

	request->status = 0;
	if (request->op == USRPCI_NVME_OP_FLUSH) {
		request->error = flush(disk, lane);
	} else if (request->op == USRPCI_NVME_OP_DEALLOCATE) {
		request->error = sweep(disk, lane, USRPCI_VBLK_DISCARD, sector, sectors,
				       disk->info->max_discard);
	} else if (request->op == USRPCI_NVME_OP_WRITE_ZEROES) {
		request->error = sweep(disk, lane, USRPCI_VBLK_WRITE_ZEROES, sector, sectors,
				       disk->info->max_zeroes);
	} else {
		io.op = request->op == USRPCI_NVME_OP_WRITE ? USRPCI_VBLK_WRITE : USRPCI_VBLK_READ;
		request->error = move(disk, lane, &io, data);
	}
	if (!request->error && request->flags & USRPCI_NVME_FUA)
		request->error = flush(disk, lane);
}
