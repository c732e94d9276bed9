/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_FAKE_FAKE_H
#define USRPCI_TESTS_FAKE_FAKE_H

/*
 * Devices in memory, for unit tests: a test writes a model of its device, opens it as a device of a
 * context, and plays the hardware: fires interrupts, moves memory, unplugs it, lets calls fail. Not
 * part of the shared library.
 */

#include <usrpci/usrpci.h>

struct fake_bar {
	size_t size; /* bytes; 0: none */
	uint32_t flags;
	/* NULL: memory without behaviour, which drivers reach directly. */
	uint64_t (*read)(void *data, size_t offset, unsigned int width);
	void (*write)(void *data, size_t offset, unsigned int width, uint64_t value);
};

/* Zero in any member but the ids means none, or what is usual. */
struct fake_model {
	uint16_t vendor;
	uint16_t device;
	uint32_t class_code;
	uint8_t irq_pin;
	unsigned int config_size; /* 0: 256 */
	unsigned int msi;         /* vectors; the capability is not made */
	unsigned int msix;
	unsigned int vectors_left; /* that the machine has; 0: enough */
	struct fake_bar bars[USRPCI_BARS];
	size_t dma_size;           /* bytes of DMA memory that can be had; 0: 1 GiB */
	uint16_t command_fixed;    /* bits of the command register that do not change */
	void (*reset)(void *data); /* NULL: the device has no function reset */
	void *data;                /* handed to the functions above */
};

/* Opens a device called "fake:VVVV:DDDD"; the model is copied. Errors: -ENOMEM; -EXDEV. */
int fake_open(struct usrpci_ctx *ctx, const struct fake_model *model, struct usrpci_dev **dev);

/* The device's configuration space, config_size bytes, writable past all masks. */
uint8_t *fake_config(struct usrpci_dev *dev);

/* The memory of a BAR without behaviour. */
uint8_t *fake_bar_memory(struct usrpci_dev *dev, unsigned int index);

/* Raises or lowers the INTx line. A line that is still up when it is unmasked fires again. */
void fake_intx(struct usrpci_dev *dev, bool up);

/* Sends a message interrupt: lost unless the vector is enabled and bus mastering is on. */
void fake_msi(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);

/*
 * The device's DMA: memory at a device address, or NULL when the device may not reach all of it
 * (bus mastering is off, no DMA memory there); such attempts are counted.
 */
void *fake_dma(struct usrpci_dev *dev, usrpci_dma_t addr, size_t size);
unsigned int fake_dma_faults(struct usrpci_dev *dev);

/* From now on everything reads as ones and no interrupt comes. */
void fake_unplug(struct usrpci_dev *dev);

/*
 * Lets the backend's count-th call from now fail (1: the next), once; accesses to BARs do not
 * count. Returns how many calls the device had before, which tells a test how far to count.
 */
unsigned int fake_fail(struct usrpci_dev *dev, unsigned int count, int error);

#endif
