/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The interface between a NetBSD rump kernel and its host, as far as PCI and memory go: what the
 * kernel side (librumpdev_pci, librump) calls here, and what librump provides for it. Binary
 * interface of librumpdev_pci.so.0 and librumpuser.so.0; errors are NetBSD's numbers.
 */

#include <stddef.h>

/* Called by the kernel side's PCI component. bus, device and function are those of layout.c. */
int rumpcomp_pci_confread(unsigned int bus, unsigned int device, unsigned int function, int reg,
			  unsigned int *value);
int rumpcomp_pci_confwrite(unsigned int bus, unsigned int device, unsigned int function, int reg,
			   unsigned int value);
void *rumpcomp_pci_map(unsigned long address, unsigned long length);
int rumpcomp_pci_iospace_init(void);

int rumpcomp_pci_irq_map(unsigned int bus, unsigned int device, unsigned int function, int line,
			 unsigned int cookie);
void *rumpcomp_pci_irq_establish(unsigned int cookie, int (*handler)(void *), void *arg);

struct rumpcomp_pci_dmaseg {
	unsigned long ds_pa;       /* device address */
	unsigned long ds_len;      /* bytes */
	unsigned long ds_vacookie; /* what dmalloc gave, plus the segment's offset */
};

int rumpcomp_pci_dmalloc(size_t size, size_t align, unsigned long *address, unsigned long *cookie);
void rumpcomp_pci_dmafree(unsigned long cookie, size_t size);
int rumpcomp_pci_dmamem_map(struct rumpcomp_pci_dmaseg *segments, size_t count, size_t length,
			    void **va);
unsigned long rumpcomp_pci_virt_to_mach(void *va);

/* Called by librump; these take the place of librumpuser's. */
int rumpuser_malloc(size_t size, int align, void **memory);
void rumpuser_free(void *memory, size_t size);
#define RUMPUSER_PANIC (-1)
_Noreturn void rumpuser_exit(int status);

/* Called by the kernel's drivers; these wrap librumpdev_pci's. */
struct bus_dmamap;
int rumpns_bus_dmamap_load(void *tag, struct bus_dmamap *map, void *buffer, unsigned long size,
			   void *process, int flags);
void rumpns_bus_dmamap_sync(void *tag, struct bus_dmamap *map, unsigned long offset,
			    unsigned long size, int what);
void rumpns_bus_dmamap_unload(void *tag, struct bus_dmamap *map);

/*
 * Provided by librumpuser: a host thread becomes a kernel thread, gets and gives up the rump
 * processor.
 */
void rumpuser_component_kthread(void);
void rumpuser_component_schedule(void *cookie);
void *rumpuser_component_unschedule(void);
int rumpuser_component_errtrans(int host_errno);

/* Provided by librump: the lock of all that has no lock of its own. */
void rumpns__kernel_lock(int count);
void rumpns__kernel_unlock(int count, int *counted);
