/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What a driver does, as lines of text in the file that USRPCI_TRACE names ("-": standard error):
 *
 *	SECONDS DEVICE bar0 read32 0x1c 0x00000001
 *	SECONDS DEVICE bar0 write32 0x1000 0x00000003
 *	SECONDS DEVICE config read16 0x4 0x0406		also of other sizes: read 64 bytes at 0x0
 *	SECONDS DEVICE irq msix enable 9		also disable
 *	SECONDS DEVICE irq msix take 1 1		vector, how many came; or what went wrong
 *	SECONDS DEVICE irq intx unmask 0		also mask
 *	SECONDS DEVICE open uio				also close, reset
 *	SECONDS - dma alloc 0x200000 4096		device address, bytes asked for; also free
 *
 * SECONDS is of the monotonic clock, with microseconds. Each line is one write(2), so those of
 * several threads and processes do not mix. Injected failures (USRPCI_FAULT) are above: the trace
 * has what reaches the device. Without USRPCI_TRACE nothing is between a driver and its device.
 */

#include <stddef.h>
#include <stdint.h>

struct trace;
struct usrpci_dev;

/*
 * device.c: puts the trace over a device that was just opened. Does nothing where none is asked
 * for. On failure, logged, the device is as before. ctx->lock is held.
 */
int trace_wrap(struct usrpci_dev *dev);

/* dma.c: DMA memory of a context with a trace. size 0: it was freed. */
void trace_dma(struct trace *trace, uint64_t addr, size_t size);

/* ctx.c: takes NULL. */
void trace_close(struct trace *trace);
