// SPDX-License-Identifier: BSD-2-Clause
/*
 * The domain of devices without an IOMMU: a device address is a physical address. Each huge page is
 * mapped at a base + its physical address, so neighbours in memory are neighbours in the program,
 * and gaps are real. Contexts never collide, since no page is in two of them.
 *
 * Pages come from a file for each size (pages.h), or from a broker. The kernel cannot be asked for
 * certain addresses: when a request needs neighbours, or low addresses, pages are added until it
 * can be met; dma.c gives back what was of no use. Leaves out raising the kernel's number of huge
 * pages, which is the host library's.
 *
 * Huge pages are not swapped or compacted away, but can be moved: by memory hot-remove, by a
 * request of another program. So addresses are verified in their final mapping, and again when a
 * page is given back.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lent.h"
#include "ctx.h"
#include "dma/domain.h"
#include "dma/pagemap.h"
#include "dma/pages.h"
#include "file.h"
#include "hugepage.h"
#include "kernel.h"

#define LOG_SUBJECT "dma"
#include "log.h"

#define PAGE_SIZES  2
#define LIMIT_TRIES 2048 /* how many pages are tried to find one below a limit */

struct physical {
	struct dma_domain domain;
	uint64_t base; /* of virtual addresses */
	int pagemap;   /* -1: not open */
	struct page_file files[PAGE_SIZES];
};

static struct physical *physical_of(struct dma_domain *domain)
{
	return (struct physical *)domain;
}

static struct page_file *file_of(struct physical *physical, uint64_t page_size)
{
	struct page_file *file = physical->files;

	while (file->page_size != page_size)
		file++;
	return file;
}

/* Gives a page back to the broker or the kernel, wherever it came from. */
static void release_page(struct physical *physical, const struct page_file *file, uint64_t offset)
{
	struct usrpci_ctx *ctx = physical->domain.ctx;

	if (ctx->broker)
		lent_put_page(ctx, file->page_size, offset);
	else
		pages_punch(file, offset);
}

/*
 * Has the kernel fill the file at an offset, and finds out what it took. Errors: -ENOMEM or -ENOSPC
 * (nothing to be had; not logged); others are logged.
 */
static int obtain(struct physical *physical, const struct page_file *file, uint64_t offset,
		  int node, uint64_t *pa, int *got_node)
{
	int error = pages_fill(file, offset, node);
	void *va;

	if (error)
		return error;
	/*
	 * The page map shows what is populated. A store would raise SIGBUS if a process that has
	 * the file had cut it short meanwhile.
	 */
	va = pages_map(file, NULL, offset);
	if (va == MAP_FAILED)
		return -errno;
	error = pagemap_read(physical->domain.ctx, physical->pagemap, va, pa);
	*got_node = pages_node(va);
	munmap(va, file->page_size);
	return error;
}

/* Maps a page where its address says, and sees that it is still that page. */
static int place(struct physical *physical, const struct page_file *file, uint64_t offset,
		 uint64_t pa)
{
	struct usrpci_ctx *ctx = physical->domain.ctx;
	void *want = (void *)(uintptr_t)(physical->base + pa), *va;
	uint64_t now;
	int error;

	va = pages_map(file, want, offset);
	if (va == MAP_FAILED)
		return report(ctx, -errno, NULL, NULL,
			      "cannot map the huge page with physical address 0x%" PRIx64 " at %p",
			      pa, want);
	if (va != want) {
		munmap(va, file->page_size);
		return report(ctx, -EEXIST, NULL, NULL, "the address %p is in use", want);
	}
	if (ctx->broker) /* the broker has verified it, and this process may not */
		return 0;
	error = pagemap_read(ctx, physical->pagemap, va, &now);
	if (!error && now != pa)
		error = report(ctx, -EAGAIN, NULL, NULL,
			       "a huge page moved from physical address 0x%" PRIx64 " to 0x%" PRIx64
			       " while it was mapped",
			       pa, now);
	if (error)
		munmap(va, file->page_size);
	return error;
}

/* Gets a page that the broker of a lent device holds. */
static int fill_lent(struct physical *physical, struct page_file *file, int node, uint64_t *offset,
		     uint64_t *pa, int *got_node)
{
	struct lent_page page;
	int error = lent_get_page(physical->domain.ctx, file->page_size, node, &page);

	if (error)
		return error;
	if (file->fd < 0)
		file->fd = page.fd;
	else
		close(page.fd);
	*offset = page.offset;
	*pa = page.pa;
	*got_node = page.node;
	return 0;
}

/* Gets a page of this process's own. */
static int fill_own(struct physical *physical, struct page_file *file, int node, uint64_t *offset,
		    uint64_t *pa, int *got_node)
{
	int error = pages_open(physical->domain.ctx, file);

	if (error)
		return error;
	*offset = file->end;
	error = obtain(physical, file, *offset, node, pa, got_node);
	if (error)
		pages_punch(file, *offset);
	else
		file->end += file->page_size;
	return error;
}

/* Gets a page and maps it. */
static int take_page(struct physical *physical, struct page_file *file, int node,
		     struct dma_chunk *chunk)
{
	uint64_t offset = 0, pa = 0;
	int got_node = -1, error;

	if (physical->domain.ctx->broker)
		error = fill_lent(physical, file, node, &offset, &pa, &got_node);
	else
		error = fill_own(physical, file, node, &offset, &pa, &got_node);
	if (error)
		return error;
	if (node >= 0 && got_node >= 0 && got_node != node)
		error = -ENOMEM;
	if (!error)
		error = place(physical, file, offset, pa);
	if (error) {
		release_page(physical, file, offset);
		return error;
	}
	*chunk = (struct dma_chunk){(void *)(uintptr_t)(physical->base + pa), file->page_size,
				    file->page_size, got_node, offset};
	return 0;
}

static void physical_shrink(struct dma_domain *domain, const struct dma_chunk *chunk)
{
	struct physical *physical = physical_of(domain);
	uint64_t pa;

	if (!domain->ctx->broker && !pagemap_read(domain->ctx, physical->pagemap, chunk->va, &pa) &&
	    pa != (uintptr_t)chunk->va - physical->base)
		log_error(domain->ctx, NULL, NULL,
			  "a huge page moved from physical address 0x%" PRIx64 " to 0x%" PRIx64
			  " while it was in use: what devices wrote there is lost",
			  (uint64_t)(uintptr_t)chunk->va - physical->base, pa);
	munmap(chunk->va, chunk->size);
	release_page(physical, file_of(physical, chunk->page_size), chunk->cookie);
}

/* How many pages are worth looking at. */
static uint64_t tries(const struct dma_chunk_request *request, uint64_t page_size)
{
	uint64_t pages = (request->size + page_size - 1) / page_size;

	if (request->limit < UINT64_MAX && LIMIT_TRIES > pages)
		pages = LIMIT_TRIES;
	return pages > 1 ? 64 + 8 * pages : 1;
}

static int pagemap_ensure(struct physical *physical)
{
	int fd;

	if (physical->pagemap >= 0 || physical->domain.ctx->broker)
		return 0;
	fd = pagemap_open(physical->domain.ctx);
	if (fd < 0)
		return fd;
	physical->pagemap = fd;
	return 0;
}

/*
 * Adds pages of one size until the request can be met: 0. Otherwise -ENOMEM, not logged, or another
 * error, logged. Counts the pages.
 */
static int grow_by(struct physical *physical, struct page_file *file,
		   const struct dma_chunk_request *request, dma_add_fn *add, uint64_t *added)
{
	uint64_t most = tries(request, file->page_size);
	struct dma_chunk chunk;
	int error;

	error = pagemap_ensure(physical);
	if (error)
		return error;
	for (; *added < most; ++*added) {
		error = take_page(physical, file, request->node, &chunk);
		if (error == -ENOSPC || error == -EINVAL || error == -ENODEV)
			return -ENOMEM;
		if (error)
			return error;
		error = add(&physical->domain, &chunk);
		if (error < 0)
			physical_shrink(&physical->domain, &chunk);
		if (error)
			return error < 0 ? error : 0;
	}
	return -ENOMEM;
}

/* Reports what was asked for, and why there was no page or no suitable page. */
static int report_shortage(struct physical *physical, const struct dma_chunk_request *request,
			   uint64_t page_size, uint64_t added)
{
	const struct usrpci_ctx *ctx = physical->domain.ctx;
	uint64_t pages = (request->size + page_size - 1) / page_size;
	char what[96], pool[256], hint[96], node[24] = "";
	bool limited = request->limit < UINT64_MAX;

	snprintf(what, sizeof(what), "%zu bytes of DMA memory", request->size);
	if (limited)
		snprintf(what, sizeof(what), "%zu bytes of DMA memory up to 0x%" PRIx64,
			 request->size, (uint64_t)request->limit);
	if (ctx->broker)
		return report(ctx, -ENOMEM, NULL, "usrpci run --hugepages N lends more",
			      "cannot get %s: usrpci run lends no more huge pages", what);
	if (!added) {
		hugepage_describe(ctx, page_size, request->node, pool, sizeof(pool));
		if (request->node >= 0)
			snprintf(node, sizeof(node), " --node %d", request->node);
		snprintf(hint, sizeof(hint), "usrpci hugepages reserve %" PRIu64 "%s --size %s",
			 pages, node, page_size == HUGEPAGE_1G ? "1G" : "2M");
		return report(ctx, -ENOMEM, NULL, hint, "cannot get %s: %s", what, pool);
	}
	if (limited)
		return report(
			ctx, -ENOMEM, NULL,
			"low memory is used up first: reserve huge pages when the system starts",
			"cannot get %s: %" PRIu64 " huge pages could be allocated, but they lie "
			"too high or are not contiguous",
			what, added);
	return report(ctx, -ENOMEM, NULL,
		      "reserve huge pages when the system starts, or pages of 1 GiB",
		      "cannot get %s: %" PRIu64 " huge pages could be allocated, but no %" PRIu64
		      " of them are contiguous",
		      what, added, pages);
}

static int report_no_ram(const struct usrpci_ctx *ctx, const struct dma_chunk_request *request,
			 uint64_t lowest)
{
	return report(ctx, -ENOMEM, NULL,
		      "vfio-pci: an IOMMU gives memory low device addresses wherever it lies",
		      "cannot get %zu bytes of DMA memory up to 0x%" PRIx64
		      ": the machine has no memory below 0x%" PRIx64,
		      request->size, (uint64_t)request->limit, lowest);
}

/* Returns whether the kernel has any free large pages, since a try would make a file for them. */
static bool large_are_free(const struct physical *physical)
{
	struct hugepage_pool pool;

	return physical->files[1].page_size &&
	       !hugepage_pool(physical->domain.ctx, physical->files[1].page_size, -1, &pool) &&
	       pool.free > 0;
}

static int physical_grow(struct dma_domain *domain, const struct dma_chunk_request *request,
			 dma_add_fn *add)
{
	struct physical *physical = physical_of(domain);
	struct page_file *small = &physical->files[0], *large = &physical->files[1];
	bool large_first = request->size > small->page_size && large_are_free(physical);
	uint64_t added = 0, added_large = 0, lowest;
	int error = -ENOMEM;

	lowest = request->limit < UINT64_MAX ? kernel_lowest_ram(domain->ctx) : 0;
	if (request->limit < lowest)
		return report_no_ram(domain->ctx, request, lowest);
	if (large_first)
		error = grow_by(physical, large, request, add, &added_large);
	if (error == -ENOMEM)
		error = grow_by(physical, small, request, add, &added);
	if (error == -ENOMEM && !large_first && large_are_free(physical))
		error = grow_by(physical, large, request, add, &added_large);
	if (error == -ENOMEM)
		return report_shortage(physical, request, small->page_size, added + added_large);
	return error;
}

static int physical_file(struct dma_domain *domain, const struct dma_chunk *chunk, int *fd,
			 uint64_t *offset)
{
	*fd = file_of(physical_of(domain), chunk->page_size)->fd;
	*offset = chunk->cookie;
	return 0;
}

/*
 * The kernel stores the zeros: where the file is too short now it says EFAULT, and nobody is
 * killed.
 */
static int clear_page(void *va, size_t size)
{
	AUTO_CLOSE int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? -1 : read(fd, va, size);

	return count < 0 ? -errno : (size_t)count == size ? 0 : -EFAULT;
}

static int physical_renew(struct dma_domain *domain, const struct dma_chunk *chunk, void *va)
{
	struct physical *physical = physical_of(domain);
	uint64_t pa = (uint64_t)(uintptr_t)va - physical->base, now;
	int error = clear_page(va, chunk->page_size);

	if (!error)
		error = pagemap_read(domain->ctx, physical->pagemap, va, &now);
	return error ? error : now == pa ? 0 : -ESTALE;
}

static void physical_destroy(struct dma_domain *domain)
{
	struct physical *physical = physical_of(domain);

	for (unsigned int i = 0; i < PAGE_SIZES; i++)
		pages_close(physical->domain.ctx, &physical->files[i]);
	if (physical->pagemap >= 0)
		close(physical->pagemap);
	free(physical);
}

/* No map: without an IOMMU, memory of the program may be moved or swapped below a device. */
static const struct dma_domain_ops physical_ops = {
	.name = "physical",
	.grow = physical_grow,
	.shrink = physical_shrink,
	.file = physical_file,
	.renew = physical_renew,
	.destroy = physical_destroy,
};

int domain_physical_attach(struct usrpci_ctx *ctx)
{
	struct physical *physical;
	int error;

	if (ctx->domain && ctx->domain->ops == &physical_ops)
		return 0;
	if (ctx->domain)
		return report(
			ctx, -EXDEV, NULL, NULL,
			"the context's devices are behind an IOMMU or emulated (%s): open this "
			"one in a context of its own",
			ctx->domain->ops->name);
	physical = calloc(1, sizeof(*physical));
	if (!physical)
		return -ENOMEM;
	physical->domain.ops = &physical_ops;
	physical->domain.ctx = ctx;
	physical->base = pages_base();
	physical->pagemap = physical->files[0].fd = physical->files[1].fd = -1;
	physical->files[0].page_size = ctx->page_size ? ctx->page_size : HUGEPAGE_2M;
	physical->files[1].page_size = ctx->page_size ? 0 : HUGEPAGE_1G;
	error = dma_attach(ctx, &physical->domain, physical->base);
	if (error)
		physical_destroy(&physical->domain);
	return error;
}

int domain_physical_open(struct usrpci_ctx *ctx)
{
	return pagemap_ensure(physical_of(ctx->domain));
}
