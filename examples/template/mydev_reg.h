/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MYDEV_REG_H
#define MYDEV_REG_H

/* Registers of BAR 0. Replace them by your device's, with the names of its data sheet. */

#define MYDEV_VENDOR 0x1234
#define MYDEV_DEVICE 0x11e8

#define REG_ID              0x00 /* low byte MYDEV_ID */
#define REG_IRQ_STATUS      0x24
#define REG_IRQ_ACKNOWLEDGE 0x64
#define REG_DMA_SOURCE      0x80 /* 64 bits, as the next two */
#define REG_DMA_DESTINATION 0x88
#define REG_DMA_COUNT       0x90
#define REG_DMA_COMMAND     0x98

#define MYDEV_ID      0xed
#define DMA_START     1 /* falls when the transfer has ended */
#define DMA_TO_MEMORY 2
#define DMA_IRQ       4

#define BUFFER      0x40000    /* the device's own memory, as DMA sees it */
#define BUFFER_SIZE 4095       /* bytes that can be reached */
#define DMA_LIMIT   0x0fffffff /* highest address that the device can reach */

#endif
