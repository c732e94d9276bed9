// SPDX-License-Identifier: BSD-2-Clause
/* See component.h. */

#include "component.h"
#include "hypercall.h"

struct component *component(void)
{
	static struct component only;

	return &only;
}

int rumpns_bus_dmamap_load(void *tag, struct bus_dmamap *map, void *buffer, unsigned long size,
			   void *process, int flags)
{
	(void)tag;
	(void)map;
	(void)process;
	(void)flags;
	component()->buffer = buffer;
	component()->size = size;
	component()->loads++;
	return component()->error;
}

void rumpns_bus_dmamap_sync(void *tag, struct bus_dmamap *map, unsigned long offset,
			    unsigned long size, int what)
{
	(void)tag;
	(void)map;
	(void)offset;
	(void)size;
	(void)what;
	component()->syncs++;
}

void rumpns_bus_dmamap_unload(void *tag, struct bus_dmamap *map)
{
	(void)tag;
	(void)map;
	component()->unloads++;
}
