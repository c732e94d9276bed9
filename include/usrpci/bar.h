/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_BAR_H
#define USRPCI_BAR_H

/*
 * BARs: a device's windows of registers and memory (PCI Local Bus 3.0, 6.2.5).
 */

#include <stddef.h>
#include <stdint.h>

#include <usrpci/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define USRPCI_BARS 6

enum usrpci_bar_flag {
	USRPCI_BAR_IO = 1 << 0,         /**< I/O ports, not memory */
	USRPCI_BAR_64BIT = 1 << 1,      /**< takes the next BAR's register too */
	USRPCI_BAR_PREFETCH = 1 << 2,   /**< reads have no side effects */
	USRPCI_BAR_UNASSIGNED = 1 << 3, /**< it has no address, so it cannot be mapped */
	USRPCI_BAR_WC = 1 << 4,         /**< of a mapping: stores are combined, see below */
};

struct usrpci_bar_info {
	uint64_t address; /**< where the processor reaches it; 0 when none is assigned */
	uint64_t size;    /**< bytes; 0: unknown, of an unassigned BAR */
	uint32_t flags;   /**< enum usrpci_bar_flag */
};

/**
 * Describes a BAR. Firmware and kernel may have given it no address, so that it cannot be mapped;
 * the kernel then often forgets its size too.
 *
 * Errors: -EINVAL (index is not 0..5); -ENOENT (the device has no such BAR).
 */
int usrpci_bar_info(struct usrpci_dev *dev, unsigned int index, struct usrpci_bar_info *info);

/**
 * A mapped BAR, or a part of one. The accessors of <usrpci/mmio.h> take it; they read its members,
 * and nobody writes to them.
 *
 * Offsets below direct_size are reached by plain loads and stores at base; all others (I/O ports,
 * emulated devices, pages that the kernel withholds) by calls of the backend.
 */
struct usrpci_bar {
	volatile uint8_t *base; /**< NULL when nothing is mapped */
	size_t direct_size;     /**< multiple of 8 */
	size_t size;            /**< of the window, bytes */
	uint64_t offset;        /**< of the window in the BAR, bytes */
	struct usrpci_dev *dev;
	void *handle; /**< the backend's own */
	unsigned int index;
	uint32_t flags; /**< enum usrpci_bar_flag */
};

/**
 * Maps a whole BAR. The caller owns bar; it is valid until usrpci_bar_unmap() or the device is
 * closed. Memory decoding (or I/O decoding) is switched on when it was off.
 *
 * Errors: those of usrpci_bar_info(); -ENXIO (it has no address); -EACCES or -EPERM (rights,
 * kernel lockdown); -ENOMEM.
 */
int usrpci_bar_map(struct usrpci_dev *dev, unsigned int index, struct usrpci_bar *bar);

/** Maps size bytes from offset, of any alignment. Errors: also -ERANGE (outside the BAR). */
int usrpci_bar_map_range(struct usrpci_dev *dev, unsigned int index, uint64_t offset, size_t size,
			 struct usrpci_bar *bar);

/**
 * Works as usrpci_bar_map_range(), with wishes about the mapping.
 *
 * @flags	0, or USRPCI_BAR_WC: the processor may combine and delay stores (write-combining),
 *		which is faster for frames and buffers in a device's memory, and wrong for registers
 *
 * A wish is not a condition: bar->flags has USRPCI_BAR_WC only where the host grants it. Linux does
 * so for prefetchable memory under uio_pci_generic, on processors that can; vfio never does. Stores
 * to such a window reach the device in any order, and at the latest with usrpci_wc_flush().
 *
 * Errors: also -EINVAL (other flags).
 */
int usrpci_bar_map_flags(struct usrpci_dev *dev, unsigned int index, uint64_t offset, size_t size,
			 uint32_t flags, struct usrpci_bar *bar);

/** Unmaps; does nothing for a bar that is all zeros or was unmapped before. */
void usrpci_bar_unmap(struct usrpci_bar *bar);

/**
 * Checked access, for offsets that come from outside the program.
 *
 * @width	1, 2, 4 or 8 bytes
 *
 * Errors: -EINVAL (width, alignment); -ERANGE (outside the window); -ENODEV (the device is gone:
 * all ones were read, and its command and status registers read so too); what the backend says.
 */
int usrpci_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t *value);
int usrpci_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t value);

/**
 * Copies bytes to the memory behind a BAR, or from it, as they lie, by aligned accesses of at most
 * 8 bytes (4 where it is of I/O ports). memcpy(3) and memset(3) on the memory itself end the
 * program by SIGBUS on arm64, where they use unaligned accesses and clear whole cache lines. Not
 * for registers: which widths are used is the library's choice.
 *
 * Errors: -EINVAL (nothing is mapped); -ERANGE (outside the window; nothing is copied); -ENODEV
 * (all ones were read, as in usrpci_bar_read()); what the backend says.
 */
int usrpci_bar_copy_to(struct usrpci_bar *bar, size_t offset, const void *from, size_t size);
int usrpci_bar_copy_from(struct usrpci_bar *bar, size_t offset, void *to, size_t size);

/**
 * Waits until the bits of mask in a register of 32 bits equal those of value. Reads the register at
 * once, then about every 50 microseconds, and once more after the deadline.
 *
 * @offset	bytes from the start of the BAR, as for usrpci_read32()
 * @timeout_ms	milliseconds; 0 only looks
 * @last	stores what was read last, after an error too; may be NULL
 *
 * Errors: -ETIMEDOUT; -ENODEV (it read as all ones, as a device that is gone does).
 */
int usrpci_bar_wait32(struct usrpci_bar *bar, size_t offset, uint32_t mask, uint32_t value,
		      unsigned int timeout_ms, uint32_t *last);

#ifdef __cplusplus
}
#endif

#endif
