/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Registers of QEMU's educational device (QEMU, docs/specs/edu.txt). BAR 0, offsets in bytes; those
 * below 0x80 take accesses of 4 bytes only, the others of 4 and 8.
 */

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8

#define EDU_ID        0x00 /* major and minor version, then EDU_ID_MAGIC */
#define EDU_ID_MAGIC  0x00ed
#define EDU_LIVENESS  0x04 /* reads as the complement of what was written */
#define EDU_FACTORIAL 0x08 /* write n, read n! modulo 2^32 */

#define EDU_STATUS           0x20
#define EDU_STATUS_COMPUTING 0x01
#define EDU_STATUS_IRQ       0x80 /* raise EDU_IRQ_FACTORIAL when the factorial is there */

#define EDU_IRQ_STATUS    0x24 /* causes; the line stays raised while one is set */
#define EDU_IRQ_RAISE     0x60 /* sets causes */
#define EDU_IRQ_ACK       0x64 /* clears causes */
#define EDU_IRQ_FACTORIAL 0x001
#define EDU_IRQ_DMA       0x100

#define EDU_DMA_SOURCE      0x80 /* of 64 bits, as the next two */
#define EDU_DMA_DESTINATION 0x88
#define EDU_DMA_COUNT       0x90 /* bytes */
#define EDU_DMA_COMMAND     0x98
#define EDU_DMA_START       0x1 /* reads as 1 while the transfer runs */
#define EDU_DMA_TO_MEMORY   0x2 /* from the device's buffer; else to it */
#define EDU_DMA_IRQ         0x4 /* raise EDU_IRQ_DMA at the end */

/* The device's own memory, named by these addresses in the two address registers. */
#define EDU_BUFFER      0x40000
#define EDU_BUFFER_SIZE 4096

#define EDU_DMA_LIMIT 0x0fffffff /* the device drops higher address bits: 28 bits by default */
