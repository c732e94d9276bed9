// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory that is not the kernel's, given to a device: rumpns_bus_dmamap_load(), _sync() and
 * _unload() around those of librumpdev_pci (bus_dma(9)).
 *
 * On NetBSD any memory can be given. Here the buffers of applications on raw block devices, and
 * what SCSI's drivers have on their stack, are not in the DMA heap; so they are copied through it,
 * when the driver says that it has written them and that the device has.
 */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall.h"
#include "layout.h"

#define COMPONENT "librumpdev_pci.so.0"

/* What the device has done, or will do (bus_dma(9)). */
enum { POSTREAD = 0x02, PREWRITE = 0x04, POSTWRITE = 0x08 };

struct bounce {
	struct bounce *next;
	const struct bus_dmamap *map;
	uint8_t *buffer, *block;
	size_t size;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bounce *bounces;
static atomic_uint count; /* so that drivers that need none take no lock */

static struct {
	int (*load)(void *tag, struct bus_dmamap *map, void *buffer, unsigned long size,
		    void *process, int flags);
	void (*sync)(void *tag, struct bus_dmamap *map, unsigned long offset, unsigned long size,
		     int what);
	void (*unload)(void *tag, struct bus_dmamap *map);
} kernel;

/* A library that was loaded at run time has no "next" one, but the component has a name. */
static void *next_definition(const char *name)
{
	void *next = dlsym(RTLD_NEXT, name), *library = NULL;

	if (!next)
		library = dlopen(COMPONENT, RTLD_LAZY | RTLD_NOLOAD);
	if (library) {
		next = dlsym(library, name);
		dlclose(library);
	}
	if (!next)
		rump_message("%s was not found in " COMPONENT ": load this library before it",
			     name);
	return next;
}

static void find_definitions(void)
{
	kernel.unload = next_definition("rumpns_bus_dmamap_unload");
	kernel.sync = next_definition("rumpns_bus_dmamap_sync");
	kernel.load = next_definition("rumpns_bus_dmamap_load");
	if (!kernel.load || !kernel.sync || !kernel.unload)
		abort();
}

/* With the lock held. Returns where the map's bounce is linked; NULL is there if it has none. */
static struct bounce **find(const struct bus_dmamap *map)
{
	struct bounce **link = &bounces;

	while (*link && (*link)->map != map)
		link = &(*link)->next;
	return link;
}

static void end_bounce(const struct bus_dmamap *map)
{
	struct bounce **link, *found;

	if (count == 0)
		return;
	pthread_mutex_lock(&lock);
	link = find(map);
	found = *link;
	if (found) {
		*link = found->next;
		count--;
	}
	pthread_mutex_unlock(&lock);
	if (found)
		usrpci_dma_free(rump_bus()->ctx, found->block);
	free(found);
}

static int begin_bounce(struct rump_bus *bus, const struct bus_dmamap *map, void *buffer,
			unsigned long size, void **block)
{
	struct bounce *new = malloc(sizeof(*new));
	int error = new ? rump_heap_alloc(bus, size, 0, block) : -ENOMEM;

	if (error) {
		free(new);
		return error;
	}
	*new = (struct bounce){.map = map, .buffer = buffer, .block = *block, .size = size};
	pthread_mutex_lock(&lock);
	new->next = bounces;
	bounces = new;
	count++;
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Returns whether the device is done with all of it: not every driver unloads its map then. */
static bool copy_bounce(const struct bus_dmamap *map, unsigned long offset, unsigned long size,
			int what)
{
	struct bounce *bounce;
	bool done = false;

	pthread_mutex_lock(&lock);
	bounce = *find(map);
	if (bounce && offset <= bounce->size && size <= bounce->size - offset) {
		if (what & PREWRITE)
			memcpy(bounce->block + offset, bounce->buffer + offset, size);
		if (what & POSTREAD)
			memcpy(bounce->buffer + offset, bounce->block + offset, size);
		done = what & (POSTREAD | POSTWRITE) && size == bounce->size;
	}
	pthread_mutex_unlock(&lock);
	return done;
}

int rumpns_bus_dmamap_load(void *tag, struct bus_dmamap *map, void *buffer, unsigned long size,
			   void *process, int flags)
{
	struct rump_bus *bus = rump_bus();
	int error = 0;

	pthread_once(&once, find_definitions);
	end_bounce(map);
	if (bus && size > 0 && !usrpci_dma_contains(bus->ctx, buffer, size))
		error = begin_bounce(bus, map, buffer, size, &buffer);
	if (error)
		return rumpuser_component_errtrans(-error);
	error = kernel.load(tag, map, buffer, size, process, flags);
	if (error)
		end_bounce(map);
	return error;
}

void rumpns_bus_dmamap_sync(void *tag, struct bus_dmamap *map, unsigned long offset,
			    unsigned long size, int what)
{
	pthread_once(&once, find_definitions);
	kernel.sync(tag, map, offset, size, what);
	if (count > 0 && copy_bounce(map, offset, size, what))
		end_bounce(map);
}

void rumpns_bus_dmamap_unload(void *tag, struct bus_dmamap *map)
{
	pthread_once(&once, find_definitions);
	kernel.unload(tag, map);
	end_bounce(map);
}
