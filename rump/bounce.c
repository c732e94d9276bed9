// SPDX-License-Identifier: BSD-2-Clause
/*
 * Buffers of applications on raw block devices: rumpns_vmapbuf() and rumpns_vunmapbuf() around
 * librump's.
 *
 * physio() calls them before and after each transfer. librump's own copy the memory of remote
 * clients; that of local ones, which is any memory of this process, they hand to the driver as it
 * is. It is copied through the heap here.
 */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall.h"
#include "layout.h"

/*
 * Where NetBSD's struct buf has b_flags, b_data and b_saveaddr, on 64-bit machines. librump's
 * vmapbuf() proves it each time: it copies b_data to b_saveaddr.
 */
enum {
	BUF_FLAGS = 40,
	BUF_DATA = 64,
	BUF_SAVEADDR = 96,
};

#define B_READ 0x00100000u

struct bounce {
	struct bounce *next;
	struct buf *bp;
	void *block;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bounce *bounces;

static void *get_pointer(const struct buf *bp, size_t offset)
{
	void *value;

	memcpy(&value, (const char *)bp + offset, sizeof(value));
	return value;
}

static void set_data(struct buf *bp, void *data)
{
	memcpy((char *)bp + BUF_DATA, &data, sizeof(data));
}

static bool is_read(const struct buf *bp)
{
	uint32_t flags;

	memcpy(&flags, (const char *)bp + BUF_FLAGS, sizeof(flags));
	return flags & B_READ;
}

/* A library that was loaded at run time has no "next" one, but those of the kernel have names. */
static void *kernel_definition(const char *name)
{
	static const char *const libraries[] = {"librump.so.0", "librumpvfs.so.0"};
	void *found = NULL;

	for (unsigned int i = 0; i < 2 && !found; i++) {
		void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);

		if (!library)
			continue;
		found = dlsym(library, name);
		dlclose(library);
	}
	return found;
}

static void *next_definition(const char *name)
{
	void *next = dlsym(RTLD_NEXT, name);

	if (!next)
		next = kernel_definition(name);
	if (!next)
		rump_message(
			"%s was not found behind this library: load this library before librump",
			name);
	return next;
}

static int next_vmapbuf(struct buf *bp, unsigned long length)
{
	int (*next)(struct buf *, unsigned long) = next_definition("rumpns_vmapbuf");

	return next ? next(bp, length) : rumpuser_component_errtrans(ENXIO);
}

static void next_vunmapbuf(struct buf *bp, unsigned long length)
{
	void (*next)(struct buf *, unsigned long) = next_definition("rumpns_vunmapbuf");

	if (next)
		next(bp, length);
}

static int bounce_add(struct rump_bus *bus, struct buf *bp, unsigned long length)
{
	struct bounce *new = malloc(sizeof(*new));
	int error = new ? rump_heap_alloc(bus, length, 0, &new->block) : -ENOMEM;

	if (error) {
		free(new);
		return error;
	}
	if (!is_read(bp))
		memcpy(new->block, get_pointer(bp, BUF_DATA), length);
	set_data(bp, new->block);
	new->bp = bp;
	pthread_mutex_lock(&lock);
	new->next = bounces;
	bounces = new;
	pthread_mutex_unlock(&lock);
	return 0;
}

static struct bounce *bounce_remove(const struct buf *bp)
{
	struct bounce **link, *found;

	pthread_mutex_lock(&lock);
	for (link = &bounces; *link && (*link)->bp != bp;)
		link = &(*link)->next;
	found = *link;
	if (found)
		*link = found->next;
	pthread_mutex_unlock(&lock);
	return found;
}

int rumpns_vmapbuf(struct buf *bp, unsigned long length)
{
	struct rump_bus *bus = rump_bus();
	void *data = get_pointer(bp, BUF_DATA);
	int error = next_vmapbuf(bp, length);

	if (error || !bus)
		return error;
	if (get_pointer(bp, BUF_SAVEADDR) != data) {
		rump_message("this rump kernel's struct buf has another layout than the known one");
		error = -EOPNOTSUPP;
	} else if (!usrpci_dma_contains(bus->ctx, get_pointer(bp, BUF_DATA), length)) {
		error = bounce_add(bus, bp, length);
	}
	if (!error)
		return 0;
	next_vunmapbuf(bp, length);
	return rumpuser_component_errtrans(-error);
}

void rumpns_vunmapbuf(struct buf *bp, unsigned long length)
{
	struct bounce *bounce = bounce_remove(bp);

	if (bounce) {
		if (is_read(bp))
			memcpy(get_pointer(bp, BUF_SAVEADDR), bounce->block, length);
		usrpci_dma_free(rump_bus()->ctx, bounce->block);
		free(bounce);
	}
	next_vunmapbuf(bp, length);
}
