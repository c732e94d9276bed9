/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_VBLK_H
#define USRPCI_VBLK_H

/*
 * virtio-blk: a driver of virtio's disks, in a library of its own, libusrpci-vblk (Virtio 1.2,
 * 5.2).
 *
 * Commands are structures of the program: usrpci_vblk_submit() hands a batch of them to the device
 * with one register write at most, usrpci_vblk_reap() takes those back that are complete. Neither
 * makes a system call nor reads a register. When a command comes back, in whatever way, the device
 * does not access its buffer any more.
 *
 * A command that is not complete at its deadline, or a device that contradicts itself, ends the
 * device's use: it is reset, all commands come back with that error, and the program closes it; it
 * can be opened again.
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

#define USRPCI_VBLK_SECTOR 512 /**< bytes; positions and sizes are in it, whatever the block size */

/** A disk. */
struct usrpci_vblk;

/** Zero in any member means its default. */
struct usrpci_vblk_options {
	unsigned int queues;     /**< that are of use, 1..16; there may be fewer; default 1 */
	unsigned int depth;      /**< commands under way in a queue, 1..256; default 64 */
	unsigned int timeout_ms; /**< of each command, 50 and more; default 10000 */
	bool poll;               /**< use no interrupts */
	const char **why; /**< stores why the disk is refused, words that stay; may be NULL */
};

/** What is known of a disk. */
struct usrpci_vblk_info {
	uint64_t sectors;     /**< how many it has */
	uint32_t block_size;  /**< bytes, a power of two from 512: what is read and written is a
				   multiple of it */
	uint32_t max_sectors; /**< of a read or a write */
	uint32_t max_discard; /**< sectors of a discard; 0: the disk has none */
	uint32_t max_zeroes;  /**< sectors of writing zeroes; 0: the disk has none */
	bool read_only;
	bool write_cache;    /**< what is written is safe after a flush only */
	unsigned int queues; /**< that can be used */
	unsigned int depth;  /**< commands under way in each */
};

/**
 * Takes an open device: resets it, negotiates, allocates its queues and starts it. The device stays
 * the caller's, who closes it after usrpci_vblk_close().
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

/** Valid until usrpci_vblk_close(). */
const struct usrpci_vblk_info *usrpci_vblk_info(const struct usrpci_vblk *vblk);

enum usrpci_vblk_op {
	USRPCI_VBLK_READ,  /**< to the buffer */
	USRPCI_VBLK_WRITE, /**< from the buffer */
	USRPCI_VBLK_FLUSH, /**< what was written before is safe; no sectors */
	USRPCI_VBLK_DISCARD,
	USRPCI_VBLK_WRITE_ZEROES,
};

/** A command. It stays the caller's, who changes nothing in it until it is reaped. */
struct usrpci_vblk_io {
	enum usrpci_vblk_op op;
	int error;         /**< stored: 0; -EIO; -EOPNOTSUPP; or why the disk's use has ended */
	uint64_t sector;   /**< first one */
	uint32_t sectors;  /**< how many */
	usrpci_dma_t addr; /**< device address of the buffer: usrpci_dma_addr() of DMA memory, or
				what usrpci_dma_map() stored */
	void *user;        /**< the caller's own */
};

/**
 * Submits up to n commands; never waits. Those that follow one that is out of range are not taken.
 *
 * Returns how many were taken: less than n when the queue is full. Errors, when the first one is
 * not taken: -EINVAL (no such queue or command); -ERANGE (not on the disk, no whole blocks, or
 * larger than a command can be); -EOPNOTSUPP (the disk lacks the command); -EROFS; why the disk's
 * use has ended.
 */
int usrpci_vblk_submit(struct usrpci_vblk *vblk, unsigned int queue,
		       struct usrpci_vblk_io *const *ios, unsigned int n);

/**
 * Takes up to budget commands that are complete; never waits.
 *
 * Returns how many. Errors, when none is under way any more: -ETIMEDOUT, -EPROTO or -ENODEV (why
 * the disk's use has ended); -EINVAL (no such queue).
 */
int usrpci_vblk_reap(struct usrpci_vblk *vblk, unsigned int queue, struct usrpci_vblk_io **done,
		     unsigned int budget);

/**
 * Waits until a command is complete, by interrupt or by looking again and again.
 *
 * @timeout_ms	milliseconds; 0 only looks; negative waits without limit
 *
 * Errors: -ETIMEDOUT; -EINTR; -EINVAL (no such queue).
 */
int usrpci_vblk_wait(struct usrpci_vblk *vblk, unsigned int queue, int timeout_ms);

/**
 * The descriptor for poll(2), until the disk is closed. When it is readable, usrpci_vblk_wait(vblk,
 * queue, 0) takes the interrupt. Errors: -EINVAL (polled, or no such queue).
 */
int usrpci_vblk_irq_fd(struct usrpci_vblk *vblk, unsigned int queue);

/**
 * Executes one command and waits for it; no other may be under way in the queue. Returns its error;
 * -EBUSY (others are under way); those of usrpci_vblk_submit().
 */
int usrpci_vblk_run(struct usrpci_vblk *vblk, unsigned int queue, struct usrpci_vblk_io *io);

#ifdef __cplusplus
}
#endif

#endif
