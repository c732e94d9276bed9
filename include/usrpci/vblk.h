/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_VBLK_H
#define USRPCI_VBLK_H

/*
 * virtio-blk: a driver for virtio disks in its own library, libusrpci-vblk (Virtio 1.2, 5.2).
 *
 * Commands are structures of the program: usrpci_vblk_submit() gives a batch of them to the device
 * with at most one register write, and usrpci_vblk_reap() returns those that are complete. Neither
 * makes a system call nor reads a register. Once a command has come back, with or without an error,
 * the device no longer accesses its buffer.
 *
 * When a command is not complete at its deadline, or the device contradicts itself, the device can
 * no longer be used: it is reset, all commands come back with that error, and the program must
 * close it. It can then be opened again.
 *
 * Threads: a queue is used by one thread at a time; usrpci_vblk_close() is called while no other
 * function runs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/device.h>
#include <usrpci/dma.h>

#ifdef __cplusplus
extern "C" {
#endif

#define USRPCI_VBLK_SECTOR 512 /**< bytes; the unit of positions and sizes on every disk */

/** A disk. */
struct usrpci_vblk;

/** Zero in any member means its default. */
struct usrpci_vblk_options {
	unsigned int queues;     /**< how many to use, 1..16; there may be fewer; default 1 */
	unsigned int depth;      /**< commands under way in a queue, 1..256; default 64 */
	unsigned int timeout_ms; /**< time that each command has, at least 50; default 10000 */
	bool poll;               /**< use no interrupts */
	const char **why; /**< stores the reason of a refusal, a static string; may be NULL */
};

/** What the driver knows about a disk. */
struct usrpci_vblk_info {
	uint64_t sectors;     /**< size of the disk, in sectors */
	uint32_t block_size;  /**< bytes, a power of two from 512; each read and write is a
				   multiple of it */
	uint32_t max_sectors; /**< most sectors of one read or write */
	uint32_t max_discard; /**< most sectors of one discard; 0: the disk cannot discard */
	uint32_t max_zeroes;  /**< most sectors of one write of zeroes; 0: the disk cannot do it */
	bool read_only;
	bool write_cache;    /**< written data is safe only after a flush */
	unsigned int queues; /**< how many can be used */
	unsigned int depth;  /**< commands under way in each */
};

/**
 * Takes over an open device: resets it, negotiates features, allocates its queues and starts it.
 * The device still belongs to the caller, who closes it after usrpci_vblk_close().
 *
 * @options	may be NULL for the defaults
 *
 * Errors: -ENOTSUP (no virtio disk, or it lacks something: *options->why says what); -EINVAL (an
 * option is out of range); -EPROTO (it contradicts itself); -ENODEV (gone); -ETIMEDOUT (the reset
 * does not end); those of usrpci_bar_map(), usrpci_irq_enable() and usrpci_dma_alloc().
 */
int usrpci_vblk_open(struct usrpci_dev *dev, const struct usrpci_vblk_options *options,
		     struct usrpci_vblk **vblk);

/** Resets the device, forbids it to access memory, and frees everything. */
void usrpci_vblk_close(struct usrpci_vblk *vblk);

/** Returns what is known about the disk. The result is valid until usrpci_vblk_close(). */
const struct usrpci_vblk_info *usrpci_vblk_info(const struct usrpci_vblk *vblk);

enum usrpci_vblk_op {
	USRPCI_VBLK_READ,  /**< reads into the buffer */
	USRPCI_VBLK_WRITE, /**< writes from the buffer */
	USRPCI_VBLK_FLUSH, /**< makes earlier writes safe; has no sectors */
	USRPCI_VBLK_DISCARD,
	USRPCI_VBLK_WRITE_ZEROES,
};

/** A command. It belongs to the caller, who must not change it until it is reaped. */
struct usrpci_vblk_io {
	enum usrpci_vblk_op op;
	int error; /**< result: 0, -EIO, -EOPNOTSUPP, or the error that ended the disk's use */
	uint64_t sector;   /**< first one */
	uint32_t sectors;  /**< how many */
	usrpci_dma_t addr; /**< device address of the buffer, from usrpci_dma_addr() or
				usrpci_dma_map() */
	void *user;        /**< for the caller; the driver does not use it */
};

/**
 * Submits up to n commands; never waits. When a command is invalid, neither this command nor any
 * command after it is taken.
 *
 * Returns how many commands were taken; fewer than n when the queue is full. Errors, when the first
 * command is not taken: -EINVAL (no such queue or command); -ERANGE (not on the disk, no whole
 * blocks, or larger than a command can be); -EOPNOTSUPP (the disk lacks the command); -EROFS; the
 * error that ended the disk's use.
 */
int usrpci_vblk_submit(struct usrpci_vblk *vblk, unsigned int queue,
		       struct usrpci_vblk_io *const *ios, unsigned int n);

/**
 * Takes back up to budget commands that are complete; never waits.
 *
 * Returns how many commands it stored. Errors, when no command is under way any more: -ETIMEDOUT,
 * -EPROTO or -ENODEV (the error that ended the disk's use); -EINVAL (no such queue).
 */
int usrpci_vblk_reap(struct usrpci_vblk *vblk, unsigned int queue, struct usrpci_vblk_io **done,
		     unsigned int budget);

/**
 * Waits until a command is complete, by interrupt or by polling.
 *
 * @timeout_ms	milliseconds; 0 only looks; negative waits without limit
 *
 * Errors: -ETIMEDOUT; -EINTR; -EINVAL (no such queue).
 */
int usrpci_vblk_wait(struct usrpci_vblk *vblk, unsigned int queue, int timeout_ms);

/**
 * Returns a descriptor for poll(2), which is valid until the disk is closed. When it is readable,
 * usrpci_vblk_wait(vblk, queue, 0) takes the interrupt. Errors: -EINVAL (polled, or no such queue).
 */
int usrpci_vblk_irq_fd(struct usrpci_vblk *vblk, unsigned int queue);

/**
 * Executes one command and waits for it; no other command may be under way in the queue. Returns
 * the command's error. Errors: -EBUSY (others are under way); those of usrpci_vblk_submit().
 */
int usrpci_vblk_run(struct usrpci_vblk *vblk, unsigned int queue, struct usrpci_vblk_io *io);

#ifdef __cplusplus
}
#endif

#endif
