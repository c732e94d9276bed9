/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What a backend provides, and the device that the generic code keeps above it.
 *
 * The generic code (device.c, config.c, bar.c, irq.c) checks arguments and bounds, does the
 * bookkeeping, and calls an op only with what the op's comment promises. Ops log their own failures
 * (with dev->name) and return negative errnos. An op that is NULL means that the backend can't do
 * it: -EOPNOTSUPP.
 */

#include <linux/pci_regs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/bar.h>
#include <usrpci/config.h>
#include <usrpci/device.h>
#include <usrpci/irq.h>

#include "ctx.h"

struct usrpci_dev {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *next; /* in ctx->devices */
	const struct backend_ops *ops;
	void *backend; /* the backend's own state, made by open, freed by close */
	struct usrpci_dev_info info;
	char name[64];      /* for messages: "0000:03:00.0", "qemu:edu" */
	const char *target; /* backend_target.name; only during open */
	bool inspect;       /* opened by usrpci_dev_inspect(); close changes nothing then */
	const struct backend_ops *traced; /* trace.c: the traced operations; NULL: no trace */
	bool gone;                        /* the device is gone, and that was logged: dev_gone() */
	unsigned int config_size;
	struct usrpci_bar_info bars[USRPCI_BARS];     /* filled by open */
	struct bar_mapping *mappings;                 /* bar.c: mappings that close must unmap */
	uint16_t irq_enabled[USRPCI_IRQ_REQUEST + 1]; /* irq.c: vectors enabled, by type */
};

/* What the program asked usrpci_dev_open() for. */
struct backend_target {
	const char *name;                   /* as the program gave it */
	const struct usrpci_dev_info *info; /* NULL for a name that is not a device of the host */
	bool inspect;                       /* usrpci_dev_inspect() */
};

struct backend_ops {
	const char *name;

	/*
	 * Returns whether this backend is the one for the target. The backends are asked in the
	 * order of the table in device.c, and the first match is used. Changes nothing.
	 */
	bool (*match)(struct usrpci_ctx *ctx, const struct backend_target *target);

	/*
	 * Opens the device. dev->ctx, name, ops, and info (for devices of the host) are set; the op
	 * sets backend, config_size, bars, and info for other devices. It attaches a DMA domain
	 * when the context has none (domain.h), and refuses with -EXDEV one that is not its own.
	 * ctx->lock is held.
	 */
	int (*open)(struct usrpci_dev *dev);

	/* Interrupts are disabled, BARs unmapped, bus mastering is off. ctx->lock is held. */
	void (*close)(struct usrpci_dev *dev);

	/* Returns enum usrpci_feature bits of the open device. */
	uint32_t (*features)(struct usrpci_dev *dev);

	/*
	 * offset + size <= config_size. Little-endian bytes. Writes are 1, 2 or 4 bytes and
	 * aligned.
	 */
	int (*config_read)(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size);
	int (*config_write)(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
			    size_t size);

	/*
	 * Maps bar->offset .. + bar->size of BAR bar->index; all members but base, direct_size and
	 * handle are set, the range lies in the BAR, decoding is on. Leaves base NULL and
	 * direct_size 0 where plain accesses are not possible.
	 */
	int (*bar_map)(struct usrpci_dev *dev, struct usrpci_bar *bar);
	void (*bar_unmap)(struct usrpci_dev *dev, struct usrpci_bar *bar);

	/*
	 * Works as bar_map, but the processor may combine stores. -EOPNOTSUPP, not logged: the host
	 * cannot do this, and bar_map is called.
	 */
	int (*bar_map_wc)(struct usrpci_dev *dev, struct usrpci_bar *bar);

	/* An access that is not direct: width 1, 2, 4 or 8, aligned, inside the window. */
	int (*bar_read)(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t *value);
	int (*bar_write)(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t value);

	/* Vectors of a type that can be enabled; 0 when it can't. */
	int (*irq_count)(struct usrpci_dev *dev, enum usrpci_irq_type type);

	/*
	 * 1 <= count <= irq_count(type); none of the type is enabled. INTx is unmasked. A positive
	 * result, not logged, is how many vectors the machine has left, and none is enabled.
	 */
	int (*irq_enable)(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count);
	int (*irq_disable)(struct usrpci_dev *dev, enum usrpci_irq_type type);

	/* vector is enabled. A descriptor to poll; the backend keeps owning it. */
	int (*irq_fd)(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);

	/*
	 * Takes the interrupts of a vector, blocking until there is one: one read(2). Returns how
	 * many, -EINTR, or -ENODEV. The generic code polls irq_fd first when the wait has a limit.
	 */
	int (*irq_take)(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);

	int (*irq_set_mask)(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
			    bool masked);

	int (*reset)(struct usrpci_dev *dev, enum usrpci_reset kind);
};

/*
 * Opens a device with a backend of the caller's choice: usrpci_dev_open() after it has found the
 * right one, and unit tests with the fake. Errors: -ENOMEM; what the backend's open says.
 */
int dev_create(struct usrpci_ctx *ctx, const struct backend_ops *ops,
	       const struct backend_target *target, struct usrpci_dev **dev);

/* Returns -ENODEV; logs that the device is gone, once a device. Any thread. */
int dev_gone(struct usrpci_dev *dev);

/*
 * For open: whether the context has a DMA domain of this name. Returns 1, 0 when it has none yet,
 * or -EXDEV, logged, when it has another.
 */
int dev_has_domain(struct usrpci_dev *dev, const char *name);

/* bar.c: unmaps what the program left mapped. irq.c: disables what it left enabled. */
void dev_unmap_bars(struct usrpci_dev *dev);
void dev_disable_irqs(struct usrpci_dev *dev);

/* Works as usrpci_dev_list(), but fails when one device cannot be read, so that none is missed. */
int dev_list_whole(struct usrpci_ctx *ctx, struct usrpci_dev_info **list);

/*
 * enumerate.c: what the host knows of its devices.
 *
 * dev_list_addresses() lists them in any order. Returns how many, or a negative errno, logged; the
 * list is the caller's to free, after an error too.
 */
int dev_list_addresses(const struct usrpci_ctx *ctx, struct usrpci_addr **list);

/*
 * Reads all that is known about a device without touching it. A device that sleeps is only read
 * itself if it may be woken (wakes). Errors, not logged: -ENOENT or -ENODEV (there is none, or not
 * any more); -EBADMSG (it is there, but has no header to read); others.
 */
int dev_read_info(const struct usrpci_ctx *ctx, const struct usrpci_addr *addr, bool wakes,
		  struct usrpci_dev_info *info);

/* Logs such an error and returns it. */
int dev_report_lookup(const struct usrpci_ctx *ctx, int error, const char *name);

/* Reads the standard header of a device. Returns 0 or a negative errno, not logged. */
int dev_read_header(const struct usrpci_ctx *ctx, const char *name,
		    uint8_t header[PCI_STD_HEADER_SIZEOF]);

/*
 * Fills what a function's standard header (64 bytes) says: ids, class, header type and pin. Where
 * all of it reads ones, silent is set, and so are all bits of the ids and the class. The number of
 * the interrupt stays unknown.
 */
void dev_decode_header(const uint8_t *header, struct usrpci_dev_info *info);

/* quirks.c: whether the model is one of those that are reset by their own registers. */
bool quirk_has_reset(const struct usrpci_dev_info *info);

/* Resets the device by its own registers. Call it only where quirk_has_reset() is true. */
int quirk_reset(struct usrpci_dev *dev);

/*
 * For a backend that wraps another one, whose operations are "inner". bar_wrap_map() maps a window
 * through "inner" and keeps it. The driver's window has no direct part, so each access calls the
 * wrapping operations, which pass it on with the last two functions.
 */
int bar_wrap_map(const struct backend_ops *inner, struct usrpci_dev *dev, struct usrpci_bar *bar);
void bar_wrap_unmap(const struct backend_ops *inner, struct usrpci_dev *dev,
		    struct usrpci_bar *bar);
int bar_wrap_read(const struct backend_ops *inner, struct usrpci_bar *bar, size_t offset,
		  unsigned int width, uint64_t *value);
int bar_wrap_write(const struct backend_ops *inner, struct usrpci_bar *bar, size_t offset,
		   unsigned int width, uint64_t value);

/* A plain access to mapped memory, for what the inline accessors do not cover: width 1, 2, 4, 8. */
uint64_t mmio_load(const volatile uint8_t *address, unsigned int width);
void mmio_store(volatile uint8_t *address, unsigned int width, uint64_t value);

extern const struct backend_ops backend_sysfs; /* usrpci_dev_inspect(): no interrupts, no DMA */
extern const struct backend_ops backend_uio;
extern const struct backend_ops backend_qemu;
extern const struct backend_ops backend_vfio;
extern const struct backend_ops backend_pciaccess; /* where it was asked for */
