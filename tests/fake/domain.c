// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMA memory of fake devices: ordinary memory whose device addresses begin at 2 MiB. It is had page
 * by page, so that a test can let it run out anywhere. What was given back faults when it is used.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma/domain.h"
#include "fake/domain.h"

#define FIRST_ADDRESS 0x200000ul
#define SPACE         (1ul << 30)

struct fake_domain {
	struct dma_domain domain; /* first */
	uint8_t *space;
	size_t page; /* of the system, bytes */
	size_t used; /* bytes of space given out */
	size_t size; /* bytes that can be */
};

static size_t round_up(size_t value, size_t to)
{
	return (value + to - 1) & ~(to - 1);
}

static int fake_domain_grow(struct dma_domain *domain, const struct dma_chunk_request *request,
			    dma_add_fn *add)
{
	struct fake_domain *own = (struct fake_domain *)domain;
	size_t size = round_up(request->size, own->page);
	size_t align = request->align > own->page ? request->align : own->page;
	size_t start;

	if (size > own->page && request->boundary > align)
		align = request->boundary;
	start = round_up(FIRST_ADDRESS + own->used, align) - FIRST_ADDRESS;
	if (start + size > own->size || FIRST_ADDRESS + start + size - 1 > request->limit)
		return -ENOMEM;
	if (mprotect(own->space + start, size, PROT_READ | PROT_WRITE))
		return -errno;
	own->used = start + size;
	return add(domain, &(struct dma_chunk){.va = own->space + start,
					       .size = size,
					       .page_size = own->page,
					       .node = -1});
}

static void fake_domain_shrink(struct dma_domain *domain, const struct dma_chunk *chunk)
{
	struct fake_domain *own = (struct fake_domain *)domain;

	madvise(chunk->va, chunk->size, MADV_DONTNEED);
	mprotect(chunk->va, chunk->size, PROT_NONE);
	if ((uint8_t *)chunk->va + chunk->size == own->space + own->used)
		own->used -= chunk->size;
}

static void fake_domain_destroy(struct dma_domain *domain)
{
	struct fake_domain *own = (struct fake_domain *)domain;

	munmap(own->space, SPACE);
	free(own);
}

static const struct dma_domain_ops domain_fake = {
	.name = "fake",
	.grow = fake_domain_grow,
	.shrink = fake_domain_shrink,
	.destroy = fake_domain_destroy,
};

int domain_fake_attach(struct usrpci_dev *dev, size_t size)
{
	int error = dev_has_domain(dev, domain_fake.name);
	struct fake_domain *own;

	if (error)
		return error < 0 ? error : 0;
	own = calloc(1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	own->domain.ops = &domain_fake;
	own->domain.ctx = dev->ctx;
	own->page = (size_t)sysconf(_SC_PAGESIZE);
	own->size = size ? size : SPACE;
	own->space = mmap(NULL, SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			  0);
	if (own->space == MAP_FAILED) {
		free(own);
		return -ENOMEM;
	}
	error = dma_attach(dev->ctx, &own->domain, (uintptr_t)own->space - FIRST_ADDRESS);
	if (error)
		fake_domain_destroy(&own->domain);
	return error;
}
