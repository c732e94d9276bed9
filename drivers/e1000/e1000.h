/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Driver of Intel's gigabit Ethernet controllers 82540EM, 82545EM and 82574L. It uses the types of
 * <usrpci/nic.h> and is also available through that interface. It has one queue, one vector, no
 * headroom and no offloads.
 *
 * Frames lie in buffers of the driver's pool and are never copied: e1000_receive() hands out
 * buffers, and the program puts them back (usrpci_pool_put()) or transmits them; e1000_transmit()
 * takes buffers of the pool and puts them back when they are sent. Neither makes a system call, nor
 * reads a register; each writes one, the ring's tail, for a whole batch.
 *
 * Threads: one receives, one transmits, one does the rest; e1000_start(), e1000_stop() and
 * e1000_close() are called while no other function runs.
 */

#include <usrpci/nic.h>
#include <usrpci/usrpci.h>

#define E1000_FRAME_MAX 1518 /**< longest frame, with one VLAN tag and without the FCS */

struct e1000;
struct nic_driver;

/**
 * Takes over an open device: resets it, reads its MAC address, and allocates rings and buffers. The
 * device sends and receives nothing before e1000_start(). It still belongs to the caller, who
 * closes it after e1000_close().
 *
 * With the default numbers all DMA memory fits in one huge page of 2 MiB.
 *
 * @options	may be NULL for the defaults
 *
 * Errors: -ENOTSUP (not one of the three controllers); -EINVAL (an option is out of range); -ENODEV
 * (gone); -ETIMEDOUT (the reset does not end); -EIO (no MAC address to be found); those of
 * usrpci_bar_map() and usrpci_dma_alloc().
 */
int e1000_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options,
	       struct e1000 **nic);

/** Stops and resets the controller, and frees everything, including the frames in the rings. */
void e1000_close(struct e1000 *nic);

/**
 * Switches on bus mastering, both rings and the interrupt. Does nothing if the controller is
 * already started.
 *
 * Errors: those of usrpci_irq_enable() and usrpci_dev_set_bus_master(); -ENOMEM (the program holds
 * so many buffers that the receive ring can't be filled).
 */
int e1000_start(struct e1000 *nic);

/**
 * Stops receiving, waits until what was given to e1000_transmit() is sent (while there is a link,
 * and 100 ms at most), stops transmitting, and forbids the device to access memory. Afterwards, all
 * buffers except those that the program holds are in the pool again. The controller can be started
 * again.
 *
 * Errors: -ETIMEDOUT (frames were dropped); -ENODEV (gone). It is stopped in any case.
 */
int e1000_stop(struct e1000 *nic);

/** Returns the pool that buffers come from. The result is valid until e1000_close(). */
struct usrpci_pool *e1000_pool(struct e1000 *nic);

/** Returns the controller's name, for example "82540EM". */
const char *e1000_name(const struct e1000 *nic);

/** Returns the controller's MAC address, 6 bytes. */
const uint8_t *e1000_mac(const struct e1000 *nic);

/** Returns the descriptor for poll(2), to wait for an interrupt. Errors: -EINVAL (no interrupt). */
int e1000_irq_fd(struct e1000 *nic);

/**
 * Reads the state of the link. Errors: -ENODEV (gone). After an error, *link says that the link is
 * down.
 */
int e1000_link(struct e1000 *nic, struct usrpci_nic_link *link);

/** Waits until the link is up. Errors: -ETIMEDOUT; -ENODEV. */
int e1000_link_wait(struct e1000 *nic, unsigned int timeout_ms);

/**
 * Takes up to n received frames; never waits. Their buffers then belong to the caller. Frames with
 * errors are dropped and counted. While the pool is empty, frames stay in the ring.
 *
 * Returns how many frames it stored; 0 while the controller is stopped.
 */
unsigned int e1000_receive(struct e1000 *nic, struct usrpci_nic_frame *frames, unsigned int n);

/**
 * Puts up to n frames in the transmit ring; never waits. Buffers of frames that were taken then
 * belong to the driver; the others still belong to the caller. If the size of a frame is out of
 * range, neither this frame nor any frame after it is taken.
 *
 * Returns how many frames it took; fewer than n when the ring is full, and 0 while the controller
 * is stopped.
 */
unsigned int e1000_transmit(struct e1000 *nic, const struct usrpci_nic_frame *frames,
			    unsigned int n);

/**
 * Puts the buffers of sent frames back in the pool. Returns how many frames are not sent yet.
 * e1000_transmit() calls it when the ring is nearly full.
 */
unsigned int e1000_transmit_reclaim(struct e1000 *nic);

/**
 * Waits for an interrupt and acknowledges it. Before the program waits again, it must receive until
 * nothing is left.
 *
 * @timeout_ms	milliseconds; 0 only looks; negative waits without limit
 *
 * Returns enum usrpci_nic_event bits, 0 for an interrupt without a cause. Errors: -ETIMEDOUT;
 * -EINTR; -ENODEV (gone); -EINVAL (no interrupt is enabled).
 */
int e1000_wait(struct e1000 *nic, int timeout_ms);

/**
 * Reads the statistics since e1000_open(): adds the controller's counters to the driver's own and
 * clears the controller's. Those have 32 bits, so call this at least every 30 minutes (2^32 frames
 * of the smallest size take 48 minutes).
 *
 * Errors: -ENODEV (gone). After an error, *stats has the last values that were read.
 */
int e1000_stats(struct e1000 *nic, struct usrpci_nic_stats *stats);

/** The driver, for usrpci_nic_open(). */
extern const struct nic_driver e1000_nic_driver;
