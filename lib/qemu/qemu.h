/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_QEMU_QEMU_H
#define USRPCI_LIB_QEMU_QEMU_H

/*
 * One QEMU a context: the process, the machine in it, and the devices that are plugged into that.
 *
 *	process.c    starts and ends the process
 *	arguments.c  its command line
 *	monitor.c    gives it commands
 *	machine.c    what is in it: the lock, and who reads its reports
 *	slot.c       configuration space; plugs a device into a root port of its own
 *	bar.c        assigns its BARs
 *	irq.c        turns interrupts into readable descriptors: INTx, and all types
 *	msi.c        programs MSI and MSI-X
 *	request.c    tells that somebody wants the device unplugged
 *	doorbell.c   where message interrupts arrive
 *	ram.c        DMA memory: the machine's RAM
 *	backend.c    the backend's operations, on top of these
 *
 * The machine's physical addresses:
 *
 *	0x0000000000	RAM, a file shared with QEMU; DMA memory begins at 2 MiB
 *	0x0080000000	32-bit memory BARs, a window for each slot
 *	0x00b0000000	configuration space (ECAM)
 *	0x00c0000000	the doorbell that message interrupts ring
 *	0x00c8000000	the root ports' own BARs
 *	0x1000000000	64-bit memory BARs, a window for each slot
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "backend.h"
#include "dma/domain.h"
#include "qemu/qtest.h"

/* Devices that one context can have open; and one more port for the doorbell. */
#define QEMU_SLOTS    12
#define QEMU_DOORBELL QEMU_SLOTS

#define QEMU_ECAM         0xb0000000
#define QEMU_BAR32        0x80000000
#define QEMU_BAR32_WINDOW 0x04000000ULL
#define QEMU_BAR64        0x1000000000
#define QEMU_BAR64_WINDOW 0x1000000000ULL
#define QEMU_IO           0x1000 /* and of this size for each slot */
#define QEMU_DOORBELL_BAR 0xc0000000
#define QEMU_PORT_BARS    0xc8000000

/* Writing a number here fires the message vector of that number. */
#define QEMU_DOORBELL_ADDRESS (QEMU_DOORBELL_BAR + 12)

/* Message interrupts of all devices together: what QEMU's ivshmem has vectors for. */
#define QEMU_VECTORS 2048

struct qemu_dev;

/* The process as others see it: descriptors to talk to it, and to end it. */
struct qemu_process {
	pid_t pid;
	int life;      /* a pipe's end: QEMU is killed when its last copy is closed */
	int messages;  /* a file that QEMU's stdout and stderr write to */
	FILE *monitor; /* QMP */
	int qtest;
	int doorbell; /* speaks as ivshmem's server */
};

#define QEMU_NO_PROCESS \
	((struct qemu_process){.pid = -1, .life = -1, .messages = -1, .qtest = -1, .doorbell = -1})

struct qemu {
	struct dma_domain domain; /* first: a context finds its QEMU by its domain */
	struct qemu_process process;

	/* RAM; ram.c */
	int ram;
	size_t ram_size;
	uint8_t *ram_va;
	uint8_t *ram_used; /* by unit of memory */

	pthread_mutex_t watch_lock; /* guards the start and the end of the watcher */

	/* Guards everything below; qemu_lock() takes it. */
	pthread_mutex_t lock;
	struct qtest qtest;
	struct qemu_dev *slots[QEMU_SLOTS]; /* NULL: free */
	bool unplugged;                     /* a device, since the last was plugged in */
	bool gone;                          /* lost, and that was logged */

	/* Interrupts; irq.c */
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

struct qemu_dev {
	struct usrpci_dev *dev;
	struct qemu *qemu;
	unsigned int slot;
	unsigned int msi, msix; /* offsets of these capabilities; 0: none */
	unsigned int msi_vectors, msix_vectors;
	bool pulled; /* see qemu_pull() */

	/* Which of INTx, MSI and MSI-X is enabled, when count is not 0. */
	enum usrpci_irq_type type;
	unsigned int count;
	struct qemu_vectors messages; /* those that MSI or MSI-X fire */
	struct qemu_vectors request;  /* the one of USRPCI_IRQ_REQUEST */
	int intx;                     /* eventfd; -1 */
	bool intx_masked;
};

/* For descriptors that QEMU inherits: the same one, or a copy above standard error. -1: -errno. */
int qemu_above_stdio(int fd);

/* machine.c. Starts QEMU and sets its machine up, for a context without a domain. Logs
 * failures. */
int qemu_start(struct usrpci_ctx *ctx, const char *object, struct qemu **qemu);

/* Ends it. Frees qemu and its RAM. */
void qemu_stop(struct qemu *qemu);

/* What QEMU inherits, at the same numbers. */
enum qemu_inherited {
	QEMU_FD_RAM,
	QEMU_FD_BIOS,
	QEMU_FD_QTEST,
	QEMU_FD_MONITOR,
	QEMU_FD_DOORBELL,
	QEMU_FD_LIFE,
	QEMU_FD_COUNT,
};

/*
 * arguments.c: the command line, beginning with the program's name, for descriptors by enum
 * qemu_inherited. To be freed with qemu_arguments_free(), which takes NULL. Logs failures.
 */
int qemu_arguments(struct usrpci_ctx *ctx, const char *object, const int *fds, size_t ram_size,
		   char ***list);
void qemu_arguments_free(char **list);

/* process.c. Errors of spawn are logged with the object's name. */
int qemu_process_spawn(struct usrpci_ctx *ctx, const char *object, int ram, size_t ram_size,
		       struct qemu_process *process);
void qemu_process_end(struct qemu_process *process);

/* Sends a QMP command. The reply, a line, is to be freed. Errors: as qemu_monitor(). */
int qemu_monitor_execute(FILE *monitor, const char *command, size_t length, char **reply);

/*
 * Runs a command of the human monitor. Copies what QEMU printed, one line without its end, to
 * reply:
 * "" where the command says nothing when it succeeds. Errors: -ENODEV (QEMU is gone); -ETIMEDOUT;
 * -EPROTO; -E2BIG; -EINVAL (control characters in the command).
 */
int qemu_monitor(struct qemu *qemu, const char *command, char *reply, size_t size);

/* The first line that QEMU wrote to stderr and that is no warning, "" if there is none. */
void qemu_message(const struct qemu_process *process, char *text, size_t size);

/*
 * Logs once that QEMU ended (-ENODEV), with what it said, or that it stopped answering; nobody
 * waits for its interrupts any longer. Returns error. The lock is held.
 */
int qemu_lost(struct qemu *qemu, int error);

/* Every use of qtest lies between these; unlocking delivers INTx that came in the meantime. */
void qemu_lock(struct qemu *qemu);
void qemu_unlock(struct qemu *qemu);

/* Registers. The lock is held. Errors: as qtest_read(), after qemu_lost(). */
int qemu_read(struct qemu *qemu, enum qtest_space space, uint64_t address, unsigned int width,
	      uint64_t *value);
int qemu_write(struct qemu *qemu, enum qtest_space space, uint64_t address, unsigned int width,
	       uint64_t value);

/* size <= QTEST_BLOCK. */
int qemu_read_block(struct qemu *qemu, uint64_t address, void *bytes, size_t size);

/* Configuration space of the function 0 of device on a bus. The lock is held. */
int qemu_bus_read(struct qemu *qemu, unsigned int bus, unsigned int device, unsigned int offset,
		  unsigned int width, uint32_t *value);
int qemu_bus_write(struct qemu *qemu, unsigned int bus, unsigned int device, unsigned int offset,
		   unsigned int width, uint32_t value);

int qemu_bus_read_block(struct qemu *qemu, unsigned int bus, unsigned int offset, uint8_t *bytes,
			size_t size);

/* Configuration space of a device in its slot. The lock is held. */
int qemu_register_read(struct qemu_dev *qdev, unsigned int offset, unsigned int width,
		       uint32_t *value);
int qemu_register_write(struct qemu_dev *qdev, unsigned int offset, unsigned int width,
			uint32_t value);
int qemu_register_update(struct qemu_dev *qdev, unsigned int offset, unsigned int width,
			 uint32_t clear, uint32_t set);

/* Makes configuration space accessible. The lock is held. */
int qemu_map_config(struct qemu *qemu);

/* Slots: 0 .. QEMU_SLOTS - 1 and QEMU_DOORBELL. The device is device 0 on the slot's bus. */
unsigned int qemu_slot_bus(unsigned int slot);
unsigned int qemu_slot_port(unsigned int slot); /* device number of the root port on bus 0 */

/* Plugs a device in; what has the syntax of QEMU's -device. Logs failures. The lock is held. */
int qemu_plug(struct qemu *qemu, unsigned int slot, const char *object, const char *what);
void qemu_unplug(struct qemu *qemu, unsigned int slot);

/* Where the windows of a slot for memory begin; those for ports at QEMU_IO * (slot + 1). */
uint64_t qemu_window32(unsigned int slot);
uint64_t qemu_window64(unsigned int slot);

/* Sizes and assigns the BARs of the device in a slot. Logs failures. The lock is held. */
int qemu_assign_bars(struct qemu_dev *qdev);
int qemu_write_bars(struct qemu *qemu, unsigned int slot, const struct usrpci_bar_info *bars);

/* Resets what is behind the slot's port and restores its BARs and command. The lock is held. */
int qemu_slot_reset(struct qemu *qemu, unsigned int slot);

/* Offset of a capability in the configuration space of a device; 0: none. The lock is held. */
unsigned int qemu_find_cap(struct qemu *qemu, unsigned int bus, unsigned int device, uint8_t id);

/* Interrupts: the operations of the backend of the same names. */
int qemu_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type);
int qemu_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count);
int qemu_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type);
int qemu_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);
int qemu_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);
int qemu_irq_set_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
		      bool masked);

/* Finds the MSI and MSI-X capabilities of a device. The caller holds the lock. */
int qemu_msi_find(struct qemu_dev *qdev);

/* Enables the type and the count that the device has noted. The caller holds the lock. */
int qemu_msi_enable(struct qemu_dev *qdev);

/* Forgets what was enabled, as a reset of the device does. The caller holds the lock. */
void qemu_msi_disable(struct qemu_dev *qdev);
int qemu_msi_mask(struct qemu_dev *qdev, unsigned int vector, bool masked);
int qemu_msi_restore(struct qemu_dev *qdev);

/* The request to unplug a device. The lock is held. */
int qemu_request_enable(struct qemu_dev *qdev);
void qemu_request_disable(struct qemu_dev *qdev);

/* Delivers INTx of the lines that are raised. The lock is held. */
void qemu_deliver_intx(struct qemu *qemu);

/* Wakes everybody who waits for an interrupt. The lock is held. */
void qemu_wake_all(struct qemu *qemu);

/*
 * Reserves count vectors of the doorbell from a multiple of align on, and makes their eventfds.
 * They are silent. Logs failures. The lock is held.
 */
int qemu_reserve_vectors(struct qemu_dev *qdev, unsigned int count, unsigned int align,
			 struct qemu_vectors *vectors);
void qemu_release_vectors(struct qemu_dev *qdev, struct qemu_vectors *vectors);
void qemu_doorbell_free(struct qemu *qemu);

/* Keeps the watcher running for one more, one less device. */
int qemu_watch(struct qemu *qemu);
void qemu_unwatch(struct qemu *qemu);

/* For tests: takes the device out of its slot under the driver's hands. */
void qemu_pull(struct usrpci_dev *dev);

extern const struct dma_domain_ops domain_qemu;

/* Makes and frees the RAM. */
int qemu_ram_create(struct qemu *qemu, const char *object);
void qemu_ram_free(struct qemu *qemu);

#endif
