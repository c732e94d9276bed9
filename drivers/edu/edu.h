/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Driver of QEMU's educational device (1234:11e8), to be read first of all drivers: registers,
 * interrupts and DMA in both directions on one page.
 */

#include <usrpci/usrpci.h>

struct edu_options {
	bool poll;          /**< use no interrupts; else MSI, or INTx where MSI can't be had */
	usrpci_dma_t limit; /**< the device's dma_mask property; default: 0x0fffffff, its default */
};

struct edu;

/**
 * Takes over an open device: maps its registers, and enables its interrupt and bus mastering. The
 * device still belongs to the caller, who closes it after edu_close().
 *
 * @options	may be NULL for the defaults
 *
 * Errors: -ENOTSUP (not an edu device); -EIO (it does not answer as one); -ENODEV (gone); -ENOMEM;
 * those of usrpci_bar_map() and usrpci_irq_enable().
 */
int edu_open(struct usrpci_dev *dev, const struct edu_options *options, struct edu **edu);

/** Lets a running transfer end, then forbids the device to access memory. */
void edu_close(struct edu *edu);

/** Computes n! modulo 2^32. Errors: -ETIMEDOUT; -ENODEV. */
int edu_factorial(struct edu *edu, uint32_t n, uint32_t *result);

/** Raises an interrupt with these causes, any bits but 0. Errors: -EINVAL. */
int edu_raise(struct edu *edu, uint32_t causes);

/**
 * Waits for an interrupt and acknowledges it. Errors: -ETIMEDOUT; -EINTR; -ENODEV; -EOPNOTSUPP
 * (opened with poll, or the backend has no interrupts).
 *
 * Returns 0; the causes are stored.
 */
int edu_wait(struct edu *edu, int timeout_ms, uint32_t *causes);

/**
 * Allocates DMA memory that the device can reach; usrpci_dma_free() gives it back.
 *
 * Errors: those of usrpci_dma_alloc(). Under uio -ENOMEM is likely: physical memory below 256 MiB
 * is rarely free. QEMU's property dma_mask widens the device's reach: -device
 * edu,dma_mask=0xffffffff, and the same number as limit in the options here.
 */
int edu_alloc(struct edu *edu, size_t size, void **block);

/**
 * Copies between memory from edu_alloc() and the device's buffer, of which the bytes 0..4094 can be
 * reached: QEMU 7.2 takes the last one for out of bounds and ends the whole machine.
 *
 * Errors: -ERANGE (outside the buffer); -EFAULT (not DMA memory, or beyond the device's reach: it
 * would access some other address); -ETIMEDOUT; -ENODEV.
 */
int edu_write(struct edu *edu, size_t offset, const void *block, size_t size);
int edu_read(struct edu *edu, size_t offset, void *block, size_t size);
