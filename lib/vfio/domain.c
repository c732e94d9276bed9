// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMA memory over an IOMMU. The context reserves a window of virtual addresses once; device
 * address 0 stands for its start, so device address = virtual address - a constant, and only those
 * addresses of the window get memory that the IOMMU can map. The heap's chunks take the lowest
 * addresses; memory of the program, mapped on request, takes addresses from 4 GiB down to 2 GiB
 * and then from the top, so that 32-bit devices reach both.
 *
 * Memory is pinned by being mapped, so ordinary pages serve where there are no huge ones. Leaves
 * out mappings that only one direction may use.
 *
 * What the IOMMU can map is known only once a device is attached, so the window is reserved then,
 * and never moves again; a further device can only narrow it.
 */

#include <errno.h>
#include <linux/capability.h>
#include <linux/mempolicy.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"
#include "numbers.h"
#include "vfio/domain.h"

#define LOG_SUBJECT "dma"
#include "log.h"

#define CHUNK_MIN     VFIO_CHUNK_MIN
#define CALLER_LOWEST (UINT64_C(2) << 30)
#define CALLER_BELOW  (UINT64_C(4) << 30)
#define WINDOW_MAX    (UINT64_C(64) << 30)
#define WINDOW_MIN    (UINT64_C(64) << 20)

/* RLIMIT_MEMLOCK in bytes; RLIM_INFINITY too where it does not hold. */
static rlim_t memlock_of(const struct vfio_domain *domain)
{
	struct rlimit limit;

	if (domain->privileged || getrlimit(RLIMIT_MEMLOCK, &limit))
		return RLIM_INFINITY;
	return limit.rlim_cur;
}

/* Logs that the kernel refused to pin memory for no reason but the limit; returns -ENOMEM. */
static int report_memlock(struct vfio_domain *domain, size_t size)
{
	size_t need = domain->pinned + size;
	rlim_t limit = memlock_of(domain);
	char hint[256];

	if (need <= limit) /* others of the process or the user have pinned the rest */
		need = limit + size;
	snprintf(hint, sizeof(hint),
		 "prlimit --pid %d --memlock=%zu:%zu; or LimitMEMLOCK=%zu in its systemd unit; or "
		 "\"* - memlock %zu\" in /etc/security/limits.conf and a new login",
		 getpid(), need, need, need, need / 1024);
	return report(
		domain->base.ctx, -ENOMEM, NULL,
		domain->base.ctx->broker ? "usrpci run --memlock MIB raises it" : hint,
		"%zu more bytes cannot be pinned: %zu bytes are pinned, and RLIMIT_MEMLOCK is %llu",
		size, domain->pinned, (unsigned long long)limit);
}

/*
 * Whether one more mapping of this size is allowed; otherwise logs -ENOSPC or -ENOMEM, how much is
 * missing and what raises the limit. Type 1 counts pinned pages against the process, iommufd
 * against the user; here only those of the context are counted, and where others' make the
 * difference the kernel's refusal is explained.
 */
static int check_limits(struct vfio_domain *domain, size_t size)
{
	rlim_t limit = memlock_of(domain);

	if (domain->count >= domain->limit)
		return report(
			domain->base.ctx, -ENOSPC, NULL,
			"fewer and larger mappings; or, as root before the device is opened: "
			"echo NUMBER > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
			"all %zu mappings of the container are in use", domain->limit);
	if (limit == RLIM_INFINITY || (size <= limit && domain->pinned <= limit - size))
		return 0;
	return report_memlock(domain, size);
}

/* Ranges that overlap compare equal, so a search finds whatever is in the way. */
static int compare_mappings(const void *a, const void *b)
{
	const struct mapping *left = a, *right = b;

	if (left->va + left->size <= right->va)
		return -1;
	return left->va >= right->va + right->size;
}

static struct mapping *find_mapping(struct vfio_domain *domain, void *va, size_t size)
{
	const struct mapping key = {.va = va, .size = size};
	struct mapping **node = tfind(&key, &domain->mappings, compare_mappings);

	return node ? *node : NULL;
}

static void link_mapping(struct vfio_domain *domain, struct mapping *mapping)
{
	mapping->next = domain->first;
	mapping->link = &domain->first;
	if (mapping->next)
		mapping->next->link = &mapping->next;
	domain->first = mapping;
	domain->count++;
}

static void unlink_mapping(struct vfio_domain *domain, struct mapping *mapping)
{
	*mapping->link = mapping->next;
	if (mapping->next)
		mapping->next->link = mapping->link;
	domain->count--;
}

/* Maps memory at a device address and remembers it. The limits were checked before. */
static int add_mapping(struct vfio_domain *domain, void *va, size_t size, uint64_t iova)
{
	struct mapping *mapping = malloc(sizeof(*mapping));
	int error;

	if (!mapping)
		return -ENOMEM;
	*mapping = (struct mapping){.va = va, .size = size, .iova = iova};
	error = domain->iommu.ops->map(&domain->iommu, va, size, iova);
	if (!error && !tsearch(mapping, &domain->mappings, compare_mappings)) {
		domain->iommu.ops->unmap(&domain->iommu, iova, size);
		error = -ENOMEM;
	}
	if (error) {
		free(mapping);
		return error;
	}
	link_mapping(domain, mapping);
	domain->pinned += size;
	return 0;
}

static int remove_mapping(struct vfio_domain *domain, struct mapping *mapping)
{
	int error = domain->iommu.ops->unmap(&domain->iommu, mapping->iova, mapping->size);

	if (error)
		return report(domain->base.ctx, error, NULL, NULL, "cannot unmap %zu bytes at %p",
			      mapping->size, (void *)mapping->va);
	tdelete(mapping, &domain->mappings, compare_mappings);
	iova_give(&domain->space, mapping->iova, mapping->size);
	domain->pinned -= mapping->size;
	unlink_mapping(domain, mapping);
	free(mapping);
	return 0;
}

/*
 * Turns pages into a reservation without memory. If that fails, the memory stays allocated but
 * unused, and the range of addresses stays reserved.
 */
static void drop_pages(struct vfio_domain *domain, void *va, size_t size)
{
	if (mmap(va, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		log_warning(domain->base.ctx, NULL, NULL, "%zu bytes at %p are not given back: %s",
			    size, va, strerror(errno));
}

static int bind_to_node(void *va, size_t size, int node)
{
	unsigned long nodes[16] = {0};
	const unsigned int bits = 8 * sizeof(*nodes);

	if (node < 0)
		return 0;
	if ((size_t)node >= 8 * sizeof(nodes))
		return -EINVAL;
	nodes[node / bits] = 1ul << (node % bits);
	return syscall(SYS_mbind, va, size, MPOL_BIND, nodes, 8 * sizeof(nodes) + 1, 0) ? -errno
											: 0;
}

/* Shared, so that a fork leaves the device and the parent with the same pages. */
static int get_pages(const struct dma_chunk *chunk, bool huge)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;

	if (huge)
		flags |= MAP_HUGETLB | __builtin_ctzl(chunk->page_size) << MAP_HUGE_SHIFT;
	if (mmap(chunk->va, chunk->size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
		return -errno;
	return bind_to_node(chunk->va, chunk->size, chunk->node);
}

/* Where a chunk goes so that a block as requested can begin at its start. */
static int place_chunk(struct vfio_domain *domain, const struct dma_chunk_request *request,
		       struct dma_chunk *chunk)
{
	struct iova_request place = {
		.size = chunk->size,
		.align = chunk->page_size > CHUNK_MIN ? chunk->page_size : CHUNK_MIN,
		.first = CHUNK_MIN,
	};
	uint64_t reach = request->limit - (request->size - 1), iova;
	int error;

	if (request->limit < request->size - 1 || chunk->size > domain->window_size)
		return -ENOSPC;
	place.last = domain->window_size - chunk->size;
	if (place.last > reach)
		place.last = reach;
	if (place.align < request->align)
		place.align = request->align;
	/* Aligned to its size, a block crosses no boundary that is not below its size. */
	while (request->boundary && place.align < request->size)
		place.align *= 2;
	error = iova_take_low(&domain->space, &place, &iova);
	if (error)
		return error;
	chunk->va = domain->window + iova;
	chunk->cookie = iova;
	return 0;
}

static int grow_by(struct vfio_domain *domain, const struct dma_chunk_request *request,
		   size_t page_size, bool huge, dma_add_fn *add)
{
	struct dma_chunk chunk = {.page_size = page_size, .node = request->node};
	int error;

	chunk.size = align_up(request->size, huge && page_size > CHUNK_MIN ? page_size : CHUNK_MIN);
	error = place_chunk(domain, request, &chunk);
	if (error)
		return error;
	error = get_pages(&chunk, huge) ?: add_mapping(domain, chunk.va, chunk.size, chunk.cookie);
	if (error) {
		drop_pages(domain, chunk.va, chunk.size);
		iova_give(&domain->space, chunk.cookie, chunk.size);
		return error;
	}
	error = add(&domain->base, &chunk);
	if (error >= 0)
		return 0;
	remove_mapping(domain, find_mapping(domain, chunk.va, chunk.size));
	drop_pages(domain, chunk.va, chunk.size);
	return error;
}

/* Why neither huge nor ordinary pages met a request. */
static int report_refusal(struct vfio_domain *domain, size_t size, usrpci_dma_t limit, int error)
{
	if (error == -ENOSPC)
		return report(domain->base.ctx, -ENOMEM, NULL, NULL,
			      "there are no %zu free device addresses up to %#llx", size,
			      (unsigned long long)limit);
	if (error == -ENOMEM && memlock_of(domain) != RLIM_INFINITY)
		return report_memlock(domain, size);
	return report(domain->base.ctx, error, NULL,
		      error == -EFAULT ? "all of it must be memory that can be read and written"
				       : NULL,
		      "%zu bytes cannot be mapped", size);
}

static int vfio_domain_grow(struct dma_domain *base, const struct dma_chunk_request *request,
			    dma_add_fn *add)
{
	struct vfio_domain *domain = (struct vfio_domain *)base;
	size_t huge_size = base->ctx->page_size ? base->ctx->page_size : CHUNK_MIN;
	int error;

	pthread_mutex_lock(&domain->lock);
	error = check_limits(domain, align_up(request->size, CHUNK_MIN));
	if (error)
		goto unlock;
	error = grow_by(domain, request, huge_size, true, add);
	if (error)
		error = grow_by(domain, request, domain->page, false, add);
	if (error)
		error = report_refusal(domain, request->size, request->limit, error);
unlock:
	pthread_mutex_unlock(&domain->lock);
	return error;
}

static void vfio_domain_shrink(struct dma_domain *base, const struct dma_chunk *chunk)
{
	struct vfio_domain *domain = (struct vfio_domain *)base;
	struct mapping *mapping;

	pthread_mutex_lock(&domain->lock);
	mapping = find_mapping(domain, chunk->va, chunk->size);
	/* What the kernel will not unmap stays reachable, so it must not become other memory. */
	if (mapping && !remove_mapping(domain, mapping))
		drop_pages(domain, chunk->va, chunk->size);
	pthread_mutex_unlock(&domain->lock);
}

static int take_caller_address(struct vfio_domain *domain, size_t size, size_t align,
			       uint64_t *iova)
{
	struct iova_request place = {
		.size = size,
		.align = align,
		.first = CALLER_LOWEST,
		.last = CALLER_BELOW - size,
	};
	int error = -ENOSPC;

	if (size <= CALLER_BELOW - CALLER_LOWEST)
		error = iova_take_high(&domain->space, &place, iova);
	if (error != -ENOSPC)
		return error;
	place.first = CHUNK_MIN;
	place.last = UINT64_MAX;
	return iova_take_high(&domain->space, &place, iova);
}

static int map_caller(struct vfio_domain *domain, char *va, size_t size, usrpci_dma_t *addr)
{
	/* The IOMMU uses large pages where both addresses allow it. */
	bool large = !((uintptr_t)va & (CHUNK_MIN - 1)) && size >= CHUNK_MIN;
	uint64_t iova;
	int error;

	if (find_mapping(domain, va, size))
		return report(domain->base.ctx, -EEXIST, NULL, NULL,
			      "some of the %zu bytes at %p are mapped already", size, (void *)va);
	error = check_limits(domain, size);
	if (error)
		return error;
	error = take_caller_address(domain, size, large ? CHUNK_MIN : domain->page, &iova);
	if (error)
		return report_refusal(domain, size, UINT64_MAX, error);
	error = add_mapping(domain, va, size, iova);
	if (error) {
		iova_give(&domain->space, iova, size);
		return report_refusal(domain, size, UINT64_MAX, error);
	}
	*addr = iova;
	return 0;
}

static int vfio_domain_map(struct dma_domain *base, void *va, size_t size, usrpci_dma_t *addr)
{
	struct vfio_domain *domain = (struct vfio_domain *)base;
	int error;

	pthread_mutex_lock(&domain->lock);
	error = map_caller(domain, va, size, addr);
	pthread_mutex_unlock(&domain->lock);
	return error;
}

static bool in_window(const struct vfio_domain *domain, const char *va)
{
	return va >= domain->window && va < domain->window + domain->window_size;
}

static int vfio_domain_unmap(struct dma_domain *base, void *va, size_t size)
{
	struct vfio_domain *domain = (struct vfio_domain *)base;
	struct mapping *mapping;
	int error;

	pthread_mutex_lock(&domain->lock);
	mapping = find_mapping(domain, va, size);
	if (mapping && mapping->va == va && mapping->size == size && !in_window(domain, va))
		error = remove_mapping(domain, mapping);
	else
		error = report(base->ctx, -EINVAL, NULL, NULL,
			       "%zu bytes at %p are not what was mapped", size, va);
	pthread_mutex_unlock(&domain->lock);
	return error;
}

static void vfio_domain_destroy(struct dma_domain *base)
{
	struct vfio_domain *domain = (struct vfio_domain *)base;

	domain->iommu.ops->close(&domain->iommu);
	if (domain->window)
		munmap(domain->window, domain->window_size);
	tdestroy(domain->mappings, free);
	iova_close(&domain->space);
	pthread_mutex_destroy(&domain->lock);
	free(domain);
}

const struct dma_domain_ops vfio_domain_ops = {
	.name = "vfio",
	.grow = vfio_domain_grow,
	.shrink = vfio_domain_shrink,
	.map = vfio_domain_map,
	.unmap = vfio_domain_unmap,
	.destroy = vfio_domain_destroy,
};

/* Devices join the domain of their context: the first one makes it. */

/*
 * Aligned to the page size, so that virtual and device addresses of a page agree in their low bits.
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
			      "cannot reserve address space for DMA memory");
	size *= 2; /* the loop halved it once more */
	start = (char *)align_up((uintptr_t)va, align);
	if (start > va)
		munmap(va, start - va);
	munmap(start + size, va + align - start);
	domain->window = start;
	domain->window_size = size;
	return 0;
}

/* Tells an IOMMU that is new what the domain has. */
static int replay(struct vfio_domain *domain)
{
	struct vfio_iommu *iommu = &domain->iommu;
	int error = 0;

	for (struct mapping *mapping = domain->first; mapping && !error; mapping = mapping->next)
		error = iommu->ops->map(iommu, mapping->va, mapping->size, mapping->iova);
	return error;
}

/* Learns what the IOMMU of a new device allows, and maps for it what the others have. */
static int settle(struct vfio_domain *domain)
{
	struct iova_range ranges[VFIO_RANGES];
	int count, error;

	count = domain->iommu.ops->limits(&domain->iommu, ranges, &domain->limit);
	if (count < 0)
		return count;
	if (domain->limit != VFIO_NO_LIMIT && !domain->iommu.renewed)
		domain->limit += domain->count;
	if (domain->window)
		error = iova_keep(&domain->space, ranges, count);
	else if (!(error = iova_open(&domain->space, ranges, count)))
		error = reserve_window(domain, ranges[count - 1].last);
	if (!error && domain->iommu.renewed)
		error = replay(domain);
	if (error)
		return report(domain->base.ctx, error, NULL, NULL,
			      "the DMA memory that exists cannot be mapped for this device too");
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
	domain->privileged = has_capability(ctx, CAP_IPC_LOCK);
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
	vfio_domain_destroy(&domain->base);
	return error;
}

void vfio_domain_detach(struct usrpci_dev *dev)
{
	struct vfio_domain *domain = (struct vfio_domain *)dev->ctx->domain;

	pthread_mutex_lock(&domain->lock);
	domain->iommu.ops->detach(&domain->iommu, vfio_device(dev));
	pthread_mutex_unlock(&domain->lock);
}
