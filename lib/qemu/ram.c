// SPDX-License-Identifier: BSD-2-Clause
/*
 * The DMA domain under QEMU: the machine's RAM, one file in memory that QEMU and the program both
 * map. A device address is an offset in it. The whole range of addresses is reserved at the start,
 * so the constant between virtual and device addresses never changes; pages exist once they are
 * touched, and what the heap does not hold cannot be accessed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

/*
 * The heap gets and gives back multiples of this. The first unit is not used: it contains address 0
 * and holes for old hardware.
 */
#define UNIT ((size_t)2 << 20)

/* The RAM lies below the 32-bit BARs, which lie below 4 GiB. */
#define RAM_DEFAULT 1024 /* MiB */
#define RAM_MIN     16
#define RAM_MAX     2048

static struct qemu *qemu_of(struct dma_domain *domain)
{
	return (struct qemu *)domain;
}

/* Reads the size of the machine's RAM from USRPCI_QEMU_RAM, which is in MiB. */
static int ram_size(struct usrpci_ctx *ctx, const char *object, size_t *size)
{
	const char *text = secure_getenv("USRPCI_QEMU_RAM");
	unsigned int number = RAM_DEFAULT;
	char rest;

	if (text && *text && sscanf(text, "%u%c", &number, &rest) != 1)
		number = 0;
	if (number < RAM_MIN || number > RAM_MAX || number % 2)
		return report(ctx, -EINVAL, object, NULL,
			      "USRPCI_QEMU_RAM=%s is not an even number of MiB from %d to %d", text,
			      RAM_MIN, RAM_MAX);
	*size = (size_t)number << 20;
	return 0;
}

int qemu_ram_create(struct qemu *qemu, const char *object)
{
	struct usrpci_ctx *ctx = qemu->domain.ctx;
	int error = ram_size(ctx, object, &qemu->ram_size);

	if (error)
		return error;
	qemu->ram_used = calloc(qemu->ram_size / UNIT, 1);
	if (!qemu->ram_used)
		return -ENOMEM;
	qemu->ram_used[0] = 1;
	qemu->ram = qemu_above_stdio(memfd_create("usrpci-ram", MFD_CLOEXEC));
	if (qemu->ram < 0 || ftruncate(qemu->ram, (off_t)qemu->ram_size))
		return report(ctx, -errno, object, NULL, "cannot make a file of %zu MiB in memory",
			      qemu->ram_size >> 20);
	qemu->ram_va = mmap(NULL, qemu->ram_size, PROT_NONE, MAP_SHARED | MAP_NORESERVE, qemu->ram,
			    0);
	if (qemu->ram_va != MAP_FAILED)
		return 0;
	qemu->ram_va = NULL;
	return report(ctx, -errno, object, NULL, "cannot map %zu MiB", qemu->ram_size >> 20);
}

void qemu_ram_free(struct qemu *qemu)
{
	if (qemu->ram_va)
		munmap(qemu->ram_va, qemu->ram_size);
	if (qemu->ram >= 0)
		close(qemu->ram);
	free(qemu->ram_used);
}

static bool fits(const struct qemu *qemu, const struct dma_chunk_request *request, uint64_t start,
		 size_t units)
{
	uint64_t last = start + request->size - 1;

	if ((request->align && start % request->align) || last > request->limit)
		return false;
	if (request->boundary >= UNIT && start / request->boundary != last / request->boundary)
		return false;
	for (size_t i = 0; i < units; i++)
		if (qemu->ram_used[start / UNIT + i])
			return false;
	return true;
}

/* Finds the highest place that fits, so that low memory stays free for devices with a limit. */
static int find_units(const struct qemu *qemu, const struct dma_chunk_request *request,
		      size_t units, uint64_t *start)
{
	size_t total = qemu->ram_size / UNIT;

	for (size_t end = total; end >= units && units > 0; end--) {
		*start = (end - units) * UNIT;
		if (fits(qemu, request, *start, units))
			return 0;
	}
	return report(qemu->domain.ctx, -ENOMEM, "DMA memory",
		      "USRPCI_QEMU_RAM sets how much there is, in MiB",
		      "%zu bytes below 0x%llx are not free in the %zu MiB of QEMU's machine",
		      request->size, (unsigned long long)request->limit, qemu->ram_size >> 20);
}

static void mark(struct qemu *qemu, uint64_t start, size_t size, uint8_t used)
{
	for (size_t i = 0; i < size / UNIT; i++)
		qemu->ram_used[start / UNIT + i] = used;
}

static void release(struct qemu *qemu, uint64_t start, size_t size)
{
	mprotect(qemu->ram_va + start, size, PROT_NONE);
	fallocate(qemu->ram, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start, (off_t)size);
	mark(qemu, start, size, 0);
}

int qemu_ram_grow(struct dma_domain *domain, const struct dma_chunk_request *request,
		  dma_add_fn *add)
{
	struct qemu *qemu = qemu_of(domain);
	size_t units = (request->size + UNIT - 1) / UNIT;
	struct dma_chunk chunk = {.size = units * UNIT, .page_size = UNIT, .node = -1};
	uint64_t start;
	int error = find_units(qemu, request, units, &start);

	if (error)
		return error;
	chunk.va = qemu->ram_va + start;
	chunk.cookie = start;
	if (mprotect(chunk.va, chunk.size, PROT_READ | PROT_WRITE))
		return report(domain->ctx, -errno, "DMA memory", NULL, "cannot map %zu bytes",
			      chunk.size);
	mark(qemu, start, chunk.size, 1);
	error = add(domain, &chunk);
	if (error >= 0)
		return 0;
	release(qemu, start, chunk.size);
	return error;
}

void qemu_ram_shrink(struct dma_domain *domain, const struct dma_chunk *chunk)
{
	release(qemu_of(domain), chunk->cookie, chunk->size);
}
