/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One QEMU a context: the process, the machine in it, and the devices in that. Each file calls only
 * files on floors below its own:
 *
 *	backend.c                    the backend's operations: opening, registers, reset
 *	start.c                      the start and the end of all that is below
 *	irq.c                        interrupts of every type as readable descriptors
 *	watch.c                      the lock; the thread that reads reports meanwhile
 *	intx.c   msi.c   request.c   lines; messages; requests to unplug a device
 *	doorbell.c                   where messages arrive
 *	bar.c                        sizes and addresses of BARs
 *	slot.c                       configuration space; plugs a device into a root port of its own
 *	machine.c   ram.c            accesses; the machine's RAM, which is the DMA memory
 *	process.c                    the process
 *	arguments.c   monitor.c   qtest.c   its command line, its commands, its registers
 *	model.c                      what a device's name asks for
 *
 * An access to a register goes down: backend.c, between qemu_enter() and qemu_leave(), calls
 * machine.c, which calls qtest.c. A message interrupt never enters the program: QEMU writes to its
 * eventfd. Only INTx goes up again: qtest.c finds the report that a line changed between two
 * replies, intx.c notes it, and qemu_leave(), called by whoever was reading, has intx.c ask the
 * devices on that line and write to the eventfd of the one that raised it.
 *
 * The machine's physical addresses:
 *
 *	0x0000000000	RAM, a file shared with QEMU; DMA memory begins at 2 MiB
 *	0x0080000000	32-bit memory BARs, a window for each slot
 *	0x00b0000000	configuration space (ECAM)
 *	0x00c0000000	the doorbell that message interrupts ring
 *	0x00c8000000	the root ports' own BARs
 *	0x00d0000000	32-bit memory BARs of slot 0, whose device QEMU starts with
 *	0x1000000000	64-bit memory BARs, a window for each slot
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend.h"
#include "dma/domain.h"
#include "qemu/process.h"
#include "qemu/qtest.h"

/* Devices that one context can have open; and one more port for the doorbell. */
#define QEMU_SLOTS    12
#define QEMU_DOORBELL QEMU_SLOTS

#define QEMU_ECAM             0xb0000000
#define QEMU_BAR32            0x80000000
#define QEMU_BAR32_SIZE       0x04000000ULL
#define QEMU_BAR32_FIRST      0xd0000000
#define QEMU_BAR32_FIRST_SIZE 0x20000000ULL
#define QEMU_BAR64            0x1000000000
#define QEMU_BAR64_SIZE       0x1000000000ULL
#define QEMU_IO               0x1000 /* and of this size for each slot */
#define QEMU_DOORBELL_BAR     0xc0000000
#define QEMU_PORT_BARS        0xc8000000

/* Writing a number here fires the message vector of that number. */
#define QEMU_DOORBELL_ADDRESS (QEMU_DOORBELL_BAR + 12)

/* Message interrupts of all devices together: what QEMU's ivshmem has vectors for. */
#define QEMU_VECTORS 2048

struct qemu_dev;

struct qemu {
	struct dma_domain domain; /* first: a context finds its QEMU by its domain */
	struct qemu_process process;

	/* RAM; ram.c */
	int ram;
	size_t ram_size;
	uint8_t *ram_va;
	uint8_t *ram_used; /* by unit of memory */

	pthread_mutex_t watch_lock; /* guards the start and the end of the watcher */

	/* Guards everything below; qemu_enter() takes it. */
	pthread_mutex_t lock;
	struct qtest qtest;
	char *first;      /* the text of the model that QEMU was started with, in slot 0 */
	bool first_stays; /* when it is closed: it has children, or QEMU cannot unplug it */
	bool first_waits; /* it is in its slot, as after a reset, and nobody has it open */
	struct qemu_dev *slots[QEMU_SLOTS]; /* NULL: free */
	uint32_t deserted;                  /* slots whose device was closed and is still there */
	bool unplugged;                     /* a device, since the last was plugged in */
	bool gone;                          /* lost, and that was logged */

	/* Interrupts */
	uint32_t lines;            /* of the I/O APIC: which are raised */
	bool lines_changed;        /* since INTx was last delivered */
	bool intercepted;          /* lines are reported */
	unsigned int users;        /* devices with interrupts enabled; the watcher runs for them */
	pthread_t watcher;         /* reads reports while no command is under way */
	int watch_epoll;           /* what it waits for */
	int watch_stop;            /* eventfd */
	bool doorbell_ready;       /* the doorbell is plugged in */
	int vectors[QEMU_VECTORS]; /* eventfd of each message vector made so far */
	unsigned int vectors_made;
	uint8_t vectors_used[QEMU_VECTORS];
};

/* Vectors of the doorbell that belong to a device. */
struct qemu_vectors {
	unsigned int first, count;
};

/* A device of the machine. It is called qdev, and the program's view of it dev. */
struct qemu_dev {
	struct usrpci_dev *dev;
	struct qemu *qemu;
	unsigned int slot;
	unsigned int msi, msix; /* offsets of these capabilities; 0: none */
	unsigned int msi_vectors, msix_vectors;
	bool pulled;    /* see qemu_pull() */
	bool requested; /* USRPCI_IRQ_REQUEST was enabled once: somebody may wait for its end */

	/* Which of INTx, MSI and MSI-X is enabled, when count is not 0. */
	enum usrpci_irq_type type;
	unsigned int count;
	struct qemu_vectors messages; /* those that MSI or MSI-X fire */
	struct qemu_vectors request;  /* the one of USRPCI_IRQ_REQUEST */
	int intx;                     /* eventfd; -1 */
	bool intx_masked;
};

/* start.c */

/* Starts QEMU with the model in slot 0, for a context without a domain. Logs failures. */
int qemu_start(const struct qemu_model *model, struct qemu **qemu);

/* Ends it. Frees qemu and its RAM. */
void qemu_stop(struct qemu *qemu);

extern const struct dma_domain_ops domain_qemu;

/* ram.c */

/* Makes the RAM. Logs failures. */
int qemu_ram_create(struct qemu *qemu, const char *object);
void qemu_ram_free(struct qemu *qemu);

/* The operations of the domain of the same names. */
int qemu_ram_grow(struct dma_domain *domain, const struct dma_chunk_request *request,
		  dma_add_fn *add);
void qemu_ram_shrink(struct dma_domain *domain, const struct dma_chunk *chunk);

/* watch.c */

/*
 * Every use of the machine lies between these two. qemu_enter() takes the lock. qemu_leave() gives
 * it back after it has delivered the INTx that came meanwhile, for which it asks the devices.
 */
void qemu_enter(struct qemu *qemu);
void qemu_leave(struct qemu *qemu);

/* Keeps the watcher running for one more device; qemu_unwatch() ends that. */
int qemu_watch(struct qemu *qemu);
void qemu_unwatch(struct qemu *qemu);

/* From here on the caller of each function is between qemu_enter() and qemu_leave(). */

/* machine.c */

/*
 * Logs once that QEMU ended (-ENODEV), with what it said, or that it stopped answering, and wakes
 * everybody who waits for an interrupt. The message is about object. Returns error.
 */
int qemu_lost(struct qemu *qemu, const char *object, int error);

/* Registers. Errors: as qtest_read(), after qemu_lost(). */
int qemu_read(struct qemu *qemu, enum qtest_space space, uint64_t address, unsigned int width,
	      uint64_t *value);
int qemu_write(struct qemu *qemu, enum qtest_space space, uint64_t address, unsigned int width,
	       uint64_t value);

/* size <= QTEST_BLOCK. */
int qemu_read_block(struct qemu *qemu, uint64_t address, void *bytes, size_t size);

/* slot.c */

/* The device in a slot is device 0 on a bus of its own, behind a root port on bus 0. */
static inline unsigned int qemu_slot_bus(unsigned int slot)
{
	return slot + 1;
}

/* Returns the device number of the slot's root port. */
static inline unsigned int qemu_slot_port(unsigned int slot)
{
	return slot + 1;
}

/* Makes configuration space accessible. */
int qemu_map_config(struct qemu *qemu);

/* Configuration space of function 0 of any device on any bus, the root ports included. */
int qemu_bus_read(struct qemu *qemu, unsigned int bus, unsigned int device, unsigned int offset,
		  unsigned int width, uint32_t *value);
int qemu_bus_write(struct qemu *qemu, unsigned int bus, unsigned int device, unsigned int offset,
		   unsigned int width, uint32_t value);
int qemu_bus_read_block(struct qemu *qemu, unsigned int bus, unsigned int offset, uint8_t *bytes,
			size_t size);

/* Configuration registers of the device in its slot. */
int qemu_register_read(struct qemu_dev *qdev, unsigned int offset, unsigned int width,
		       uint32_t *value);
int qemu_register_write(struct qemu_dev *qdev, unsigned int offset, unsigned int width,
			uint32_t value);
int qemu_register_update(struct qemu_dev *qdev, unsigned int offset, unsigned int width,
			 uint32_t clear, uint32_t set);

/* Returns the offset of a capability in configuration space; 0: there is none. */
unsigned int qemu_find_cap(struct qemu *qemu, unsigned int bus, unsigned int device, uint8_t id);

/* Plugs a device in; what has the syntax of QEMU's -device. Logs failures. */
int qemu_plug(struct qemu *qemu, unsigned int slot, const char *object, const char *what);
void qemu_unplug(struct qemu *qemu, unsigned int slot);

/* Whether QEMU can take the device out while the machine runs. */
bool qemu_can_unplug(struct qemu *qemu, unsigned int slot);

/* Opens the windows of a slot that has a device, and switches it on. */
int qemu_slot_on(struct qemu *qemu, unsigned int slot);

/* Resets the bus behind the slot's port. */
int qemu_slot_reset(struct qemu *qemu, unsigned int slot);

struct qemu_window {
	uint64_t start, size;
};

/* The windows of a slot for memory; those for ports begin at QEMU_IO * (slot + 1). */
struct qemu_window qemu_window32(unsigned int slot);
struct qemu_window qemu_window64(unsigned int slot);

/* bar.c */

/* Sizes and assigns the BARs of the device in its slot. Logs failures. */
int qemu_assign_bars(struct qemu_dev *qdev);

/* Writes their addresses, as they were assigned, to the device. */
int qemu_write_bars(struct qemu_dev *qdev);

/* doorbell.c */

/*
 * Reserves count vectors of the doorbell from a multiple of align on, and makes their eventfds,
 * which are silent. Logs failures.
 */
int qemu_reserve_vectors(struct qemu_dev *qdev, unsigned int count, unsigned int align,
			 struct qemu_vectors *vectors);
void qemu_release_vectors(struct qemu_dev *qdev, struct qemu_vectors *vectors);

/* Without the lock, when QEMU has ended. */
void qemu_doorbell_free(struct qemu *qemu);

/* msi.c */

/* Finds the MSI and MSI-X capabilities of a device. */
int qemu_msi_find(struct qemu_dev *qdev);

/* Enables the type and the count that the device has noted. Logs failures. */
int qemu_msi_enable(struct qemu_dev *qdev);
void qemu_msi_disable(struct qemu_dev *qdev);
int qemu_msi_mask(struct qemu_dev *qdev, unsigned int vector, bool masked);

/* Programs again, after a reset of the device, what was enabled before. */
int qemu_msi_restore(struct qemu_dev *qdev);

/* request.c: the request to unplug a device. */
int qemu_request_enable(struct qemu_dev *qdev);
void qemu_request_disable(struct qemu_dev *qdev);

/* intx.c. Failures to enable are logged. */
int qemu_intx_enable(struct qemu_dev *qdev);
void qemu_intx_disable(struct qemu_dev *qdev);
int qemu_intx_mask(struct qemu_dev *qdev, bool masked);

/* Writes to the eventfds of the devices that hold a raised line, and masks them. */
void qemu_intx_deliver(struct qemu *qemu);

/* irq.c, without the lock: the operations of the backend of the same names. */
int qemu_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type);
int qemu_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count);
int qemu_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type);
int qemu_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);
int qemu_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);
int qemu_irq_set_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
		      bool masked);

/* backend.c, for tests: takes the device out of its slot under the driver's hands. */
void qemu_pull(struct usrpci_dev *dev);
