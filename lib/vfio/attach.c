// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices join the DMA domain of their context: the first one makes it. What the IOMMU can map is
 * known only once a device is attached, so the window of addresses is reserved then, and never
 * moves again; a further device can only narrow it.
 */

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numbers.h"
#include "vfio/domain.h"

#define LOG_SUBJECT "vfio"
#include "log.h"

#define WINDOW_MAX (UINT64_C(64) << 30)
#define WINDOW_MIN (UINT64_C(64) << 20)

/* Aligned to the page size, so that virtual and device addresses of a page agree in their low bits.
 */
static int reserve_window(struct vfio_domain *domain, uint64_t top)
{
	size_t align = domain->base.ctx->page_size > VFIO_CHUNK_MIN ? domain->base.ctx->page_size
								    : VFIO_CHUNK_MIN;
	size_t size = WINDOW_MAX;
	char *va = MAP_FAILED, *start;

	while (size > top && size > WINDOW_MIN)
		size /= 2;
	for (; size >= WINDOW_MIN && va == MAP_FAILED; size /= 2)
		va = mmap(NULL, size + align, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (va == MAP_FAILED)
		return report(domain->base.ctx, -ENOMEM, NULL, "ulimit -v unlimited",
			      "no address space for DMA memory");
	size *= 2; /* the loop halved it once more */
	start = (char *)align_up((uintptr_t)va, align);
	if (start > va)
		munmap(va, start - va);
	munmap(start + size, va + align - start);
	domain->window = start;
	domain->window_size = size;
	return 0;
}

struct replay {
	struct vfio_domain *domain;
	int error;
};

static void replay_one(const void *node, VISIT which, void *data)
{
	const struct mapping *mapping = *(struct mapping *const *)node;
	struct replay *replay = data;
	struct vfio_iommu *iommu = &replay->domain->iommu;

	if (which != postorder && which != leaf)
		return;
	if (!replay->error)
		replay->error = iommu->ops->map(iommu, mapping->va, mapping->size, mapping->iova);
}

/* What the IOMMU of a device that was just attached allows, and what it must know. */
static int settle(struct vfio_domain *domain)
{
	struct replay replay = {.domain = domain};
	struct iova_range ranges[VFIO_RANGES];
	int count;

	count = domain->iommu.ops->limits(&domain->iommu, ranges, &domain->limit);
	if (count < 0)
		return count;
	if (domain->limit != VFIO_NO_LIMIT && !domain->iommu.renewed)
		domain->limit += domain->count;
	if (domain->window)
		replay.error = iova_keep(&domain->space, ranges, count);
	else if (!(replay.error = iova_open(&domain->space, ranges, count)))
		replay.error = reserve_window(domain, ranges[count - 1].last);
	if (!replay.error && domain->iommu.renewed)
		twalk_r(domain->mappings, replay_one, &replay);
	if (replay.error)
		return report(domain->base.ctx, replay.error, NULL, NULL,
			      "memory that is there cannot be mapped for another device");
	return 0;
}

static int attach(struct vfio_domain *domain, struct usrpci_dev *dev, struct vfio_device *vfio)
{
	int error;

	pthread_mutex_lock(&domain->lock);
	error = domain->iommu.ops->attach(&domain->iommu, dev, vfio);
	if (!error) {
		vfio->iommu = &domain->iommu;
		error = settle(domain);
		if (error)
			domain->iommu.ops->detach(&domain->iommu, vfio);
	}
	pthread_mutex_unlock(&domain->lock);
	return error;
}

void vfio_domain_close(struct vfio_domain *domain)
{
	domain->iommu.ops->close(&domain->iommu);
	if (domain->window)
		munmap(domain->window, domain->window_size);
	tdestroy(domain->mappings, free);
	iova_close(&domain->space);
	pthread_mutex_destroy(&domain->lock);
	free(domain);
}

static int open_domain(struct usrpci_ctx *ctx, const struct vfio_iommu_ops *way,
		       struct vfio_domain **result)
{
	struct vfio_domain *domain = calloc(1, sizeof(*domain));
	int error;

	if (!domain)
		return -ENOMEM;
	domain->base.ops = &vfio_domain_ops;
	domain->base.ctx = ctx;
	domain->iommu.ops = way;
	domain->iommu.ctx = ctx;
	domain->page = sysconf(_SC_PAGESIZE);
	error = way->open(&domain->iommu);
	if (error) {
		free(domain);
		return error;
	}
	pthread_mutex_init(&domain->lock, NULL);
	vfio_limits_read(domain);
	*result = domain;
	return 0;
}

int vfio_domain_attach(struct usrpci_dev *dev, struct vfio_device *vfio)
{
	struct usrpci_ctx *ctx = dev->ctx;
	struct vfio_domain *domain = (struct vfio_domain *)ctx->domain;
	int error;

	if (domain)
		return attach(domain, dev, vfio);
	error = open_domain(ctx, vfio_iommufd_usable(dev) ? &vfio_iommufd : &vfio_type1, &domain);
	if (error)
		return error;
	error = attach(domain, dev, vfio);
	if (error)
		goto close_domain;
	error = dma_attach(ctx, &domain->base, (uintptr_t)domain->window);
	if (error)
		goto detach;
	return 0;

detach:
	domain->iommu.ops->detach(&domain->iommu, vfio);
close_domain:
	vfio_domain_close(domain);
	return error;
}

void vfio_domain_detach(struct usrpci_dev *dev)
{
	struct vfio_domain *domain = (struct vfio_domain *)dev->ctx->domain;

	pthread_mutex_lock(&domain->lock);
	domain->iommu.ops->detach(&domain->iommu, vfio_device(dev));
	pthread_mutex_unlock(&domain->lock);
}
