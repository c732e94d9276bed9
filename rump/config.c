// SPDX-License-Identifier: BSD-2-Clause
/*
 * Configuration space and BARs for the rump kernel: rumpcomp_pci_confread(), _confwrite(), _map(),
 * _iospace_init().
 *
 * BAR registers are kept here and never written to the device: NetBSD sizes each by writing ones,
 * which on a live device would move its windows away, and their addresses are the host's to give.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "hypercall.h"
#include "layout.h"

/* NetBSD reads 4 bytes at once: the type of the header is the third of those that begin here. */
#define HEADER                PCI_CACHE_LINE_SIZE
#define HEADER_MULTI_FUNCTION 0x00800000u

/* Only a kernel side that was built with port I/O asks; layout.c got its threads the permission. */
static bool ports_wanted;

static bool is_bar(int reg)
{
	return reg >= PCI_BASE_ADDRESS_0 && reg <= PCI_BASE_ADDRESS_5 + 3;
}

static bool is_upper_half(const struct rump_function *function, unsigned int index)
{
	return index > 0 && function->bar_info[index - 1].flags & USRPCI_BAR_64BIT;
}

static uint32_t bar_flags(uint32_t flags)
{
	if (flags & USRPCI_BAR_IO)
		return PCI_BASE_ADDRESS_SPACE_IO;
	return (flags & USRPCI_BAR_64BIT ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
	       (flags & USRPCI_BAR_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
}

/* What a BAR's register reads as: address bits below its size are zero, the lowest are its kind. */
static uint32_t read_bar(const struct rump_function *function, unsigned int index)
{
	const struct usrpci_bar_info *info = &function->bar_info[index];

	if (is_upper_half(function, index))
		return function->bar_value[index] & (uint32_t)(~(info[-1].size - 1) >> 32);
	if (!info->size)
		return 0;
	return (function->bar_value[index] & (uint32_t) ~(info->size - 1)) | bar_flags(info->flags);
}

static uint32_t as_seen_by_kernel(const struct rump_function *function, int reg, uint32_t value)
{
	if (reg != HEADER)
		return value;
	return function->first ? value | HEADER_MULTI_FUNCTION : value & ~HEADER_MULTI_FUNCTION;
}

static bool has_ports(const struct rump_function *function)
{
	for (unsigned int i = 0; i < USRPCI_BARS; i++)
		if (function->bar_info[i].flags & USRPCI_BAR_IO)
			return true;
	return false;
}

static void report_untaken(const struct rump_function *function)
{
	const char *name = usrpci_dev_name(function->dev);

	if (has_ports(function) && !ports_wanted)
		rump_message("%s: no driver takes it: those that use its I/O ports cannot, since "
			     "this rump kernel was built without",
			     name);
	else if (has_ports(function) && !rump_ports_allowed())
		rump_message("%s: no driver takes it without I/O ports, which USRPCI_RUMP_PORTS=0 "
			     "forbids",
			     name);
	else
		rump_message("%s: no driver of this rump kernel takes it", name);
}

/* The kernel side looks at the last slot when all drivers have had their chance. */
static void look_for_untaken(void)
{
	static atomic_bool done;

	if (atomic_exchange(&done, true))
		return;
	for (unsigned int i = 0; i < (RUMP_SLOTS - 1) * RUMP_FUNCTIONS; i++) {
		struct rump_function *function = rump_function(0, i / RUMP_FUNCTIONS,
							       i % RUMP_FUNCTIONS);

		if (function && !function->taken)
			report_untaken(function);
	}
}

int rumpcomp_pci_confread(unsigned int bus, unsigned int device, unsigned int number, int reg,
			  unsigned int *value)
{
	struct rump_function *function = rump_function(bus, device, number);
	uint32_t read = UINT32_MAX;
	int error = -ENXIO;

	/* The caller ignores errors and uses the value. */
	*value = UINT32_MAX;
	if (device == RUMP_SLOTS - 1)
		look_for_untaken();
	if (!function || reg < 0)
		return rumpuser_component_errtrans(ENXIO);
	if (is_bar(reg)) {
		*value = read_bar(function, (unsigned int)(reg - PCI_BASE_ADDRESS_0) / 4);
		return 0;
	}
	if (reg == PCI_ROM_ADDRESS) {
		*value = 0;
		return 0;
	}
	error = usrpci_config_read32(function->dev, (unsigned int)reg, &read);
	if (error)
		return rumpuser_component_errtrans(-error);
	*value = as_seen_by_kernel(function, reg, read);
	return 0;
}

/*
 * Writes two bytes only: the upper half is the status register, whose bits are cleared by writing
 * them back. Leaves out the bit that masks INTx, which belongs to the interrupt thread: a driver
 * that writes back what it read a moment ago would mask its interrupt for good.
 */
static int write_command(struct rump_function *function, uint16_t value)
{
	return usrpci_config_update16(function->dev, PCI_COMMAND,
				      (uint16_t) ~(value | PCI_COMMAND_INTX_DISABLE),
				      value & (uint16_t)~PCI_COMMAND_INTX_DISABLE);
}

int rumpcomp_pci_confwrite(unsigned int bus, unsigned int device, unsigned int number, int reg,
			   unsigned int value)
{
	struct rump_function *function = rump_function(bus, device, number);
	int error;

	if (!function || reg < 0)
		return rumpuser_component_errtrans(ENXIO);
	if (is_bar(reg)) {
		function->bar_value[(reg - PCI_BASE_ADDRESS_0) / 4] = value;
		return 0;
	}
	if (reg == PCI_ROM_ADDRESS)
		return 0;
	if (reg == PCI_COMMAND)
		error = write_command(function, (uint16_t)value);
	else
		error = usrpci_config_write32(function->dev, (unsigned int)reg, value);
	return error ? rumpuser_component_errtrans(-error) : 0;
}

static bool inside(const struct usrpci_bar_info *info, uint64_t address, uint64_t length)
{
	return info->size && !(info->flags & USRPCI_BAR_IO) && address >= info->address &&
	       length <= info->size && address - info->address <= info->size - length;
}

struct usrpci_bar *rump_bar(struct rump_function *function, unsigned int index)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct usrpci_bar *bar = &function->bars[index];
	int error = 0;

	pthread_mutex_lock(&lock);
	if (!bar->dev)
		error = usrpci_bar_map(function->dev, index, bar);
	pthread_mutex_unlock(&lock);
	return error ? NULL : bar;
}

static void *map_bar(struct rump_function *function, unsigned int index, uint64_t offset)
{
	struct usrpci_bar *bar = rump_bar(function, index);

	function->taken = true;
	if (!bar)
		return NULL;
	if (!bar->base || offset >= bar->direct_size) {
		rump_message("%s: BAR %u cannot be mapped at offset %#llx: NetBSD's drivers need "
			     "plain memory",
			     usrpci_dev_name(function->dev), index, (unsigned long long)offset);
		return NULL;
	}
	return (void *)(uintptr_t)(bar->base + offset);
}

void *rumpcomp_pci_map(unsigned long address, unsigned long length)
{
	struct rump_bus *bus = rump_bus();

	for (unsigned int i = 0; bus && i < RUMP_SLOTS * RUMP_FUNCTIONS; i++) {
		struct rump_function *function =
			&bus->slots[i / RUMP_FUNCTIONS][i % RUMP_FUNCTIONS];

		for (unsigned int b = 0; function->dev && b < USRPCI_BARS; b++)
			if (inside(&function->bar_info[b], address, length))
				return map_bar(function, b,
					       address - function->bar_info[b].address);
	}
	rump_message("no BAR covers %#lx, %lu bytes", address, length);
	return NULL;
}

int rumpcomp_pci_iospace_init(void)
{
	ports_wanted = true;
	return rump_ports_allowed() ? 0 : rumpuser_component_errtrans(EOPNOTSUPP);
}
