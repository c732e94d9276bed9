/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_NVME_H
#define USRPCI_NVME_H

/*
 * NVMe: a driver of NVM Express controllers, in a library of its own, libusrpci-nvme.
 *
 * A program opens a controller and creates queues, one for each thread that does I/O. Commands are
 * structures of the program: usrpci_nvme_submit() hands a batch of them to the controller with one
 * register write, usrpci_nvme_reap() takes those back that are complete. Neither makes a system
 * call nor reads a register. A queue is polled, or has a descriptor for poll(2) that becomes
 * readable when the controller interrupts.
 *
 * A command that is not complete at its deadline is aborted; if that does not help the controller
 * is reset, all queues are set up again, and what was under way is submitted once more. A command
 * that is late again fails with -ETIMEDOUT. When a command comes back, in whatever way, the
 * controller does not access its buffer any more.
 *
 * When the kernel wants the device back, as for an unplug (USRPCI_IRQ_REQUEST, which is enabled
 * here unless the program has done so), the controller is shut down and everything fails with
 * -ENODEV: the program closes it then.
 *
 * Threads: a queue is used by one thread at a time. All other functions may be called by any
 * thread, but usrpci_nvme_close() only while no other function runs.
 *
 * Left out: metadata and protection information, zones, fabrics, submission queues in the
 * controller's memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/device.h>
#include <usrpci/dma.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A controller. */
struct usrpci_nvme;

/** Zero in any member means its default. */
struct usrpci_nvme_options {
	unsigned int queues;     /**< most I/O queues at a time, 1..64; default 8 */
	unsigned int timeout_ms; /**< of each command, 50 and more; default 10000 */
	bool poll;               /**< use no interrupts */
	bool no_sgl;             /**< describe buffers by PRPs alone */
};

/**
 * Takes an open device: resets the controller, identifies it and enables bus mastering. The device
 * stays the caller's, who closes it after usrpci_nvme_close().
 *
 * @options	may be NULL for the defaults
 *
 * Errors: -ENOTSUP (not an NVMe controller, or none with the NVM command set and pages of at most
 * 64 KiB); -EINVAL (an option is out of range); -EPROTO (its registers contradict each other);
 * -ENODEV (gone); -ETIMEDOUT (it does not become ready); -EIO (it fails a command that it must
 * have); those of usrpci_bar_map(), usrpci_irq_enable_best() and usrpci_dma_alloc().
 */
int usrpci_nvme_open(struct usrpci_dev *dev, const struct usrpci_nvme_options *options,
		     struct usrpci_nvme **nvme);

/**
 * Deletes the queues that are left, notifies the controller of a shutdown, waits until its caches
 * are on the medium, and forbids it to access memory.
 */
void usrpci_nvme_close(struct usrpci_nvme *nvme);

/** What a controller can do, beside what all can. */
enum usrpci_nvme_feature {
	USRPCI_NVME_COMPARE = 1 << 0,
	USRPCI_NVME_DEALLOCATE = 1 << 1,
	USRPCI_NVME_WRITE_ZEROES = 1 << 2,
	USRPCI_NVME_VERIFY = 1 << 3,
	USRPCI_NVME_FORMAT = 1 << 4,
	USRPCI_NVME_SGL = 1 << 5,
	USRPCI_NVME_WRITE_CACHE = 1 << 6, /**< what is written is safe after a flush only */
};

/** What is known of a controller. */
struct usrpci_nvme_info {
	char serial[21];
	char model[41];
	char firmware[9];
	uint32_t version;      /**< of the specification: 0x010400 is 1.4.0 */
	uint32_t features;     /**< enum usrpci_nvme_feature */
	uint32_t namespaces;   /**< highest number that a namespace can have */
	uint32_t max_transfer; /**< of a command with a buffer, bytes */
	unsigned int queues;   /**< that can be created */
	unsigned int depth;    /**< greatest depth of a queue */
	unsigned int vectors;  /**< interrupts that are enabled; 0: polling only */
};

/** Valid until usrpci_nvme_close(). */
const struct usrpci_nvme_info *usrpci_nvme_info(const struct usrpci_nvme *nvme);

/** A namespace: a disk of blocks. */
struct usrpci_nvme_ns {
	uint32_t nsid;           /**< 1 and more */
	uint32_t block_size;     /**< bytes, a power of two from 512 */
	uint64_t blocks;         /**< how many there are */
	uint32_t max_blocks;     /**< of a command with a buffer */
	uint32_t optimal_blocks; /**< a good unit for writes; 0: it says none */
	uint8_t block_shift;     /**< block_size is 1 << block_shift */
	bool read_only;          /**< it is write protected now */
	bool deallocated_zeroes; /**< deallocated blocks read as zeroes */
};

/**
 * Lists the numbers of the active namespaces, in ascending order.
 *
 * @nsids	room for max entries
 *
 * Returns how many were stored. Errors: those of usrpci_nvme_admin().
 */
int usrpci_nvme_ns_list(struct usrpci_nvme *nvme, uint32_t *nsids, unsigned int max);

/**
 * Identifies a namespace.
 *
 * Errors: -ENOENT (there is none of this number, or it is not active); -EOPNOTSUPP (it is formatted
 * with metadata or protection information, or with blocks below 512 bytes or above 1 MiB); -EPROTO
 * (it contradicts itself); those of usrpci_nvme_admin().
 */
int usrpci_nvme_ns(struct usrpci_nvme *nvme, uint32_t nsid, struct usrpci_nvme_ns *ns);

/** An admin command in the caller's hands (NVM Express Base 1.4, chapter 5). */
struct usrpci_nvme_admin {
	uint8_t opcode;
	bool to_device; /**< the data goes to the controller */
	uint32_t nsid;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
	void *data;              /**< any memory: it is copied; NULL: none */
	size_t size;             /**< of data, bytes, a multiple of 4 */
	unsigned int timeout_ms; /**< default: that of the options */
	uint32_t result;         /**< Dword 0 of the completion */
	uint16_t status;         /**< usrpci_nvme_status_text() explains it; 0: success */
};

/**
 * Executes an admin command and waits for it. Commands that create or delete queues, abort or wait
 * for events are the driver's own. One that is late makes the controller be reset.
 *
 * Errors: -EINVAL (such a command, or a size that is no multiple of 4 or more than 1 MiB); -EIO
 * (the controller refused it: status says why); -ETIMEDOUT; -ENODEV (gone); -ENOMEM;
 * -ENOTRECOVERABLE (a reset did not help before).
 */
int usrpci_nvme_admin(struct usrpci_nvme *nvme, struct usrpci_nvme_admin *command);

/** Reads a log page from its start (NVM Express Base 1.4, 5.14). Errors: as usrpci_nvme_admin(). */
int usrpci_nvme_log(struct usrpci_nvme *nvme, uint8_t page, uint32_t nsid, void *data, size_t size);

/** The meaning of a status, "LBA Out of Range"; never NULL. */
const char *usrpci_nvme_status_text(uint16_t status);

/**
 * Takes an asynchronous event that the controller reported; never waits (NVM Express
 * Base 1.4, 5.2). Reading the log page that the event names lets the controller report the next one
 * of its kind.
 *
 * @event	stores type (bits 2:0), information (15:8) and log page (23:16)
 *
 * Returns 1, or 0 when there is none. Errors: as usrpci_nvme_admin().
 */
int usrpci_nvme_event(struct usrpci_nvme *nvme, uint32_t *event);

/** Counted since usrpci_nvme_open(), all queues together. */
struct usrpci_nvme_stats {
	uint64_t aborts;   /**< of commands that were late */
	uint64_t resets;   /**< of the controller */
	uint64_t spurious; /**< completions of commands that were not under way */
};

void usrpci_nvme_stats(struct usrpci_nvme *nvme, struct usrpci_nvme_stats *stats);

/*
 * Queues and I/O.
 */

struct usrpci_nvme_queue;

/** Zero in any member means its default. */
struct usrpci_nvme_queue_options {
	unsigned int depth; /**< commands under way at a time, 1..info.depth; default 128 or that */
	bool poll;          /**< no interrupt for this queue */
};

/**
 * Creates a queue.
 *
 * @options	may be NULL for the defaults
 *
 * Errors: -EINVAL (the depth); -ENOSPC (all are in use); those of usrpci_nvme_admin().
 */
int usrpci_nvme_queue_create(struct usrpci_nvme *nvme,
			     const struct usrpci_nvme_queue_options *options,
			     struct usrpci_nvme_queue **queue);

/** Deletes a queue. Commands under way are forgotten: the controller is done with their buffers. */
void usrpci_nvme_queue_destroy(struct usrpci_nvme_queue *queue);

/** What a command does; the values are the opcodes of the NVM command set. */
enum usrpci_nvme_op {
	USRPCI_NVME_OP_FLUSH = 0x00,        /**< what was written before is safe; no blocks */
	USRPCI_NVME_OP_WRITE = 0x01,        /**< from the buffer */
	USRPCI_NVME_OP_READ = 0x02,         /**< to the buffer */
	USRPCI_NVME_OP_COMPARE = 0x05,      /**< with the buffer: -EILSEQ if it differs */
	USRPCI_NVME_OP_WRITE_ZEROES = 0x08, /**< up to 65536 blocks */
	USRPCI_NVME_OP_DEALLOCATE = 0x09,   /**< the blocks' contents are not needed any more */
	USRPCI_NVME_OP_VERIFY = 0x0c,       /**< the blocks can be read; up to 65536 */
};

enum usrpci_nvme_flag {
	USRPCI_NVME_FUA = 1 << 0,  /**< it is complete when it is safe */
	USRPCI_NVME_TRIM = 1 << 1, /**< write zeroes: the blocks may be deallocated */
};

/**
 * An I/O command. It stays the caller's, who changes nothing in it, its namespace and its buffer,
 * from its submission until it is reaped.
 */
struct usrpci_nvme_io {
	uint8_t op;      /**< enum usrpci_nvme_op */
	uint8_t flags;   /**< enum usrpci_nvme_flag */
	uint16_t status; /**< stored: the controller's status; 0: success */
	int error;       /**< stored: 0 or a negative errno, see usrpci_nvme_reap() */
	const struct usrpci_nvme_ns *ns; /**< from usrpci_nvme_ns() */
	uint64_t lba;                    /**< first block */
	uint32_t blocks;
	usrpci_dma_t addr; /**< device address of the buffer, a multiple of 4: usrpci_dma_addr() of
				DMA memory, or what usrpci_dma_map() stored */
	void *user;        /**< the caller's own */
};

/**
 * Submits up to n commands with one register write; never waits. Those that follow one that is out
 * of range are not taken.
 *
 * Returns how many were taken: less than n when the queue is full. Errors, when the first one is
 * not taken: -EINVAL (no such command or flag, no blocks, a buffer that is not aligned); -ERANGE
 * (not in the namespace, or more blocks than a command can have); -EOPNOTSUPP (the controller lacks
 * the command); -ENODEV (gone); -ENOTRECOVERABLE (a reset did not help).
 */
int usrpci_nvme_submit(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io *const *ios,
		       unsigned int n);

/**
 * Takes up to budget commands that are complete; never waits, unless the controller has to be
 * recovered. Their error is 0 or: -EIO (status says why); -EILSEQ (compare: it differs); -EBADMSG
 * (the medium lost the data); -EROFS (write protected); -ENOSPC (the capacity is exceeded);
 * -ETIMEDOUT; -ENODEV (gone); -ENOTRECOVERABLE (a reset did not help).
 *
 * Returns how many. Errors, when none is left under way: -ENODEV (gone); -ENOTRECOVERABLE.
 */
int usrpci_nvme_reap(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io **done,
		     unsigned int budget);

/**
 * Waits until a command is complete, by interrupt or by looking again and again.
 *
 * After poll(2) says that the descriptor is readable, usrpci_nvme_wait(queue, 0) takes the
 * interrupt; then reap until fewer than the budget come, which arms it again. Wait with a limit
 * while commands are under way: deadlines are looked at in here and while reaping.
 *
 * @timeout_ms	milliseconds; 0 only looks; negative waits without limit
 *
 * Errors: -ETIMEDOUT; -EINTR; -ENODEV or -ENOTRECOVERABLE (reap what is left).
 */
int usrpci_nvme_wait(struct usrpci_nvme_queue *queue, int timeout_ms);

/** The descriptor for poll(2), until the queue is destroyed. Errors: -EINVAL (it is polled). */
int usrpci_nvme_queue_fd(const struct usrpci_nvme_queue *queue);

/** How many commands are under way. */
unsigned int usrpci_nvme_queue_used(const struct usrpci_nvme_queue *queue);

/**
 * Executes one command and waits for it; no other may be under way in the queue.
 *
 * Returns its error. Errors: also -EBUSY (others are under way); those of usrpci_nvme_submit().
 */
int usrpci_nvme_run(struct usrpci_nvme_queue *queue, struct usrpci_nvme_io *io);

#ifdef __cplusplus
}
#endif

#endif
