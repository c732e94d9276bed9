/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Driver of Intel's gigabit Ethernet controllers 82540EM, 82545EM and 82574L, behind the face of
 * <usrpci/nic.h>, whose types it has. It has one queue, one vector, no headroom and no offloads.
 *
 * Frames lie in buffers of the driver's pool and are never copied: e1000_receive() hands buffers
 * out, the program puts them back (usrpci_pool_put()) or transmits them; e1000_transmit() takes
 * buffers of the pool and puts them back when they are sent. Neither makes a system call, nor reads
 * a register; each writes one, the ring's tail, for a whole batch.
 *
 * Threads: one receives, one transmits, one does the rest; e1000_start(), e1000_stop() and
 * e1000_close() are called while no other function runs.
 */

#include <usrpci/nic.h>
#include <usrpci/usrpci.h>

#define E1000_FRAME_MAX 1518 /**< longest frame, one VLAN tag included and without its FCS */

struct e1000;
struct nic_driver;

/**
 * Takes an open device: resets it, reads its MAC address, allocates rings and buffers. The device
 * is silent until e1000_start(), and stays the caller's, who closes it after e1000_close().
 *
 * With the default numbers all DMA memory fits in one huge page of 2 MiB.
 *
 * @options	may be NULL for the defaults
 *
 * Errors: -ENOTSUP (not one of the three controllers); -EINVAL (an option is out of range);
 * -ENODEV (gone); -ETIMEDOUT (the reset does not end); -EIO (no MAC address to be found); those of
 * usrpci_bar_map() and usrpci_dma_alloc().
 */
int e1000_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options,
	       struct e1000 **nic);

/** Stops, resets and frees everything, frames in the rings included. */
void e1000_close(struct e1000 *nic);

/**
 * Switches on bus mastering, both rings and the interrupt. Does nothing when started already.
 *
 * Errors: those of usrpci_irq_enable() and usrpci_dev_set_bus_master(); -ENOMEM (the program holds
 * so many buffers that the receive ring can't be filled).
 */
int e1000_start(struct e1000 *nic);

/**
 * Stops receiving, waits until what was given to e1000_transmit() is sent (while there is a link,
 * and 100 ms at most), stops transmitting, and forbids the device to access memory. All buffers
 * but those that the program holds are in the pool again. The device can be started again.
 *
 * Errors: -ETIMEDOUT (frames were dropped); -ENODEV (gone). It is stopped in any case.
 */
int e1000_stop(struct e1000 *nic);

/** Where buffers come from. Valid until e1000_close(). */
struct usrpci_pool *e1000_pool(struct e1000 *nic);

/** The controller's name, "82540EM". */
const char *e1000_name(const struct e1000 *nic);

/** Its MAC address, 6 bytes. */
const uint8_t *e1000_mac(const struct e1000 *nic);

/** What the program waits with: the descriptor for poll(2). Errors: -EINVAL (no interrupt). */
int e1000_irq_fd(struct e1000 *nic);

/** Errors: -ENODEV (gone); link then is down. */
int e1000_link(struct e1000 *nic, struct usrpci_nic_link *link);

/** Waits for the link. Errors: -ETIMEDOUT; -ENODEV. */
int e1000_link_wait(struct e1000 *nic, unsigned int timeout_ms);

/**
 * Takes up to n received frames; never waits. The buffers are the caller's from now on. Frames with
 * errors are dropped and counted. While the pool is empty frames stay in the ring.
 *
 * Returns how many: none while stopped.
 */
unsigned int e1000_receive(struct e1000 *nic, struct usrpci_nic_frame *frames, unsigned int n);

/**
 * Puts up to n frames in the transmit ring; never waits. Buffers of frames that were taken belong
 * to the driver from now on, the others stay the caller's. A frame of a size out of range
 * is not taken, nor is any after it.
 *
 * Returns how many: less than n when the ring is full, none while stopped.
 */
unsigned int e1000_transmit(struct e1000 *nic, const struct usrpci_nic_frame *frames,
			    unsigned int n);

/**
 * Puts buffers of frames that are sent back in the pool. Returns how many frames are not sent
 * yet. e1000_transmit() calls it when the ring gets short.
 */
unsigned int e1000_transmit_reclaim(struct e1000 *nic);

/**
 * Waits for an interrupt and acknowledges it. Receive until nothing is left before waiting again.
 *
 * @timeout_ms	milliseconds; 0 only looks; negative waits without limit
 *
 * Returns enum usrpci_nic_event bits, 0 for an interrupt without a cause. Errors: -ETIMEDOUT; -EINTR;
 * -ENODEV (gone); -EINVAL (no interrupt is enabled).
 */
int e1000_wait(struct e1000 *nic, int timeout_ms);

/**
 * Adds the controller's counters, which this clears, to ours, since e1000_open(). They have 32 bits: call it at least
 * every 30 minutes (a counter of 2^32 minimal frames fills in 48 minutes).
 *
 * Errors: -ENODEV (gone); stats then is what was known before.
 */
int e1000_stats(struct e1000 *nic, struct usrpci_nic_stats *stats);

/** The driver, for usrpci_nic_open(). */
extern const struct nic_driver e1000_nic_driver;
