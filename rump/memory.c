// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory for the rump kernel: DMA hypercalls, and rumpuser_malloc() and rumpuser_free() in
 * librumpuser's place.
 *
 * NetBSD's drivers hand any kernel memory to a device, merge neighbouring pages by their virtual
 * addresses, and never say when the device is done with them. So all of the kernel's memory comes
 * from the DMA heap, where every byte has a fixed device address and neighbours are neighbours for
 * the device too.
 *
 * Other memory that is given to a device by its address is copied (bounce.c). That of a packet or
 * of a list of buffers is not: such an address is refused.
 */

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypercall.h"
#include "layout.h"

#define LIMIT_32BIT 0xffffffffu

static atomic_bool malloc_is_ours;
static atomic_bool low_memory_short;
static atomic_bool failure_shown;

/*
 * Drivers don't say what their devices can address, so memory is below 4 GiB for as long as there
 * is some.
 */
int rump_heap_alloc(struct rump_bus *bus, size_t size, size_t align, void **block)
{
	struct usrpci_dma_request request = {.size = size, .align = align, .limit = LIMIT_32BIT};
	int error = -ENOMEM;

	if (!atomic_load_explicit(&low_memory_short, memory_order_relaxed))
		error = usrpci_dma_alloc(bus->ctx, &request, block);
	if (error == -ENOMEM) {
		request.limit = 0;
		error = usrpci_dma_alloc(bus->ctx, &request, block);
		if (!error && !atomic_exchange(&low_memory_short, true))
			rump_message("no DMA memory below 4 GiB is left: devices that address 32 "
				     "bits only will fail");
	}
	return error;
}

bool rump_memory_is_short(void)
{
	return atomic_load_explicit(&failure_shown, memory_order_relaxed);
}

int rumpuser_malloc(size_t size, int align, void **memory)
{
	struct rump_bus *bus = rump_bus();
	int error;

	/* The caller looks at the pointer, not at the result, when it may not wait. */
	*memory = NULL;
	if (!bus)
		error = -posix_memalign(memory, align > 16 ? (size_t)align : 16, size);
	else
		error = rump_heap_alloc(bus, size, (size_t)align, memory);
	if (!error) {
		atomic_store_explicit(&malloc_is_ours, true, memory_order_relaxed);
		return 0;
	}
	/* No memory was ever allocated: the kernel would dereference NULL. */
	if (!atomic_load_explicit(&malloc_is_ours, memory_order_relaxed)) {
		rump_message("the kernel cannot start without memory: it needs two huge pages at "
			     "least (usrpci hugepages reserve N --size 2M)");
		exit(1);
	}
	if (!atomic_exchange(&failure_shown, true))
		rump_message(
			"out of memory: the kernel waits until some is freed; give it more huge "
			"pages (usrpci hugepages reserve N --size 2M) or a lower RUMP_MEMLIMIT");
	return rumpuser_component_errtrans(-error);
}

void rumpuser_free(void *memory, size_t size)
{
	struct rump_bus *bus = rump_bus();

	(void)size;
	if (bus)
		usrpci_dma_free(bus->ctx, memory);
	else
		free(memory);
}

/*
 * librumpuser's own rumpuser_malloc() in use means that kernel memory is not DMA memory; nothing
 * that the drivers would do is safe then.
 */
static bool memory_is_safe(void)
{
	if (atomic_load_explicit(&malloc_is_ours, memory_order_relaxed))
		return true;
	if (!atomic_exchange(&failure_shown, true))
		rump_message("the rump kernel was started with librumpuser's memory: load "
			     "libusrpci-rump.so before librump (link it first, or LD_PRELOAD it)");
	return false;
}

int rumpcomp_pci_dmalloc(size_t size, size_t align, unsigned long *address, unsigned long *cookie)
{
	struct rump_bus *bus = rump_bus();
	void *block;
	int error;

	if (!bus || !memory_is_safe())
		return rumpuser_component_errtrans(ENXIO);
	error = rump_heap_alloc(bus, size, align, &block);
	if (error)
		return rumpuser_component_errtrans(-error);
	*address = usrpci_dma_addr(bus->ctx, block);
	*cookie = (unsigned long)block;
	return 0;
}

void rumpcomp_pci_dmafree(unsigned long cookie, size_t size)
{
	(void)size;
	usrpci_dma_free(rump_bus()->ctx, (void *)cookie);
}

/* All segments are parts of one block, in order, so the block itself is the mapping. */
int rumpcomp_pci_dmamem_map(struct rumpcomp_pci_dmaseg *segments, size_t count, size_t length,
			    void **va)
{
	unsigned long next = count ? segments[0].ds_vacookie : 0;

	(void)length;
	if (!count)
		return rumpuser_component_errtrans(EINVAL);
	for (size_t i = 0; i < count; i++) {
		if (segments[i].ds_vacookie != next)
			return rumpuser_component_errtrans(EOPNOTSUPP);
		next += segments[i].ds_len;
	}
	*va = (void *)segments[0].ds_vacookie;
	return 0;
}

/*
 * Who called rumpcomp_pci_virt_to_mach(): bus_dma(9), then the driver; as "file(function+offset)".
 */
static __attribute__((noinline)) void print_callers(void)
{
	void *frames[12];
	int count = backtrace(frames, 12);

	backtrace_symbols_fd(frames + 2, count > 2 ? count - 2 : 0, STDERR_FILENO);
}

unsigned long rumpcomp_pci_virt_to_mach(void *va)
{
	struct rump_bus *bus = rump_bus();

	if (bus && usrpci_dma_contains(bus->ctx, va, 1))
		return usrpci_dma_addr(bus->ctx, va);
	/* No answer stands for failure, and a wrong one would let the device write to it. */
	rump_message("a driver gives its device %p, which is not kernel memory (a stack, or an "
		     "application's buffer): stopping. It was called by:",
		     va);
	print_callers();
	abort();
}
