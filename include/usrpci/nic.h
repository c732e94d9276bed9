/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_NIC_H
#define USRPCI_NIC_H

/*
 * Network cards: one face for the drivers of libusrpci-net, so that a program sends and receives
 * frames without knowing what the card is: Intel 82540EM, 82545EM and 82574L, and virtio-net.
 *
 * Frames lie in buffers of the card's pool and are never copied: usrpci_nic_receive() hands buffers
 * out, the program puts them back or transmits them; usrpci_nic_transmit() takes buffers of the
 * pool and puts them back when they are sent. Neither makes a system call, nor reads a register;
 * each writes one register at most for a whole batch.
 *
 * Threads: each queue has one thread that receives and one that transmits; one thread does the
 * rest. usrpci_nic_start(), usrpci_nic_stop() and usrpci_nic_close() are called while no other
 * function runs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define USRPCI_NIC_BUFFER_SIZE 2048 /**< of a buffer of the pool, bytes, headroom included */
#define USRPCI_NIC_FRAME_MIN   14   /**< shortest frame to transmit, bytes; the card pads it */
#define USRPCI_NIC_PIECES_MAX  40   /**< buffers that a frame has at most */

/** A network card. */
struct usrpci_nic;

enum usrpci_nic_irq {
	USRPCI_NIC_IRQ_AUTO, /**< the best that card and backend have */
	USRPCI_NIC_IRQ_NONE, /**< polling: no interrupt is enabled */
	USRPCI_NIC_IRQ_INTX,
	USRPCI_NIC_IRQ_MSI,
	USRPCI_NIC_IRQ_MSIX,
};

/** Zero in any member means its default. */
struct usrpci_nic_options {
	unsigned int rx_descriptors; /**< a power of two, 8..4096; default 256 */
	unsigned int tx_descriptors; /**< as above */
	unsigned int spare_buffers;  /**< in the pool beside one a descriptor; default 64 */
	unsigned int queues;         /**< that are of use, 1..16; there may be fewer; default 1 */
	enum usrpci_nic_irq irq;
	unsigned int irq_gap_us; /**< least time between two interrupts, 1..16000, where the card
				      can do that; default: none */
	bool promiscuous;        /**< receive frames that are addressed to others too */
	bool offload; /**< leave checksums and segmentation to the card where it can do them, see
			       usrpci_nic_info.offload */
	const char **why; /**< stores why the card is refused, words that stay; may be NULL */
};

/** A frame without its frame check sequence, or a piece of one. */
struct usrpci_nic_frame {
	void *data; /**< in a buffer of the pool; that of a first piece behind its headroom */
	uint16_t size;
	bool more; /**< the frame goes on in the next entry; with info.offload only */
};

/** What is known of a card. */
struct usrpci_nic_info {
	const char *name; /**< "82540EM", "virtio-net" */
	uint8_t mac[6];
	uint16_t mtu;           /**< what the card says, or 1500 */
	uint16_t frame_max;     /**< longest frame of one buffer to transmit, bytes */
	unsigned int queues;    /**< receive and transmit queues, one pair each */
	unsigned int headroom;  /**< bytes before a frame that are in its buffer */
	bool offload;           /**< frames carry a header, and may have several pieces */
	bool offload_checksum;  /**< the card fills in checksums */
	bool offload_segments4; /**< the card cuts TCP segments of IPv4 */
	bool offload_segments6; /**< the card cuts TCP segments of IPv6 */
};

/**
 * Takes an open device: resets it, reads its MAC address, allocates rings and buffers. The device
 * is silent until usrpci_nic_start(), and stays the caller's, who closes it after
 * usrpci_nic_close().
 *
 * With info.offload the 12 bytes before the data of a frame's first piece are a struct
 * virtio_net_hdr_v1 (<linux/virtio_net.h>; Virtio 1.2, 5.1.6), as a TAP device with IFF_VNET_HDR
 * has it: the card writes it when it receives, the program when it transmits. Without, the program
 * leaves them alone.
 *
 * @options	may be NULL for the defaults
 *
 * Errors: -ENOTSUP (no driver knows this card, or it lacks something: *options->why says what);
 * -EINVAL (an option is out of range); -EPROTO (the card contradicts itself); -ENODEV (gone);
 * -ETIMEDOUT (the reset does not end); -EIO (no MAC address to be found); those of
 * usrpci_bar_map() and usrpci_dma_alloc().
 */
int usrpci_nic_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options,
		    struct usrpci_nic **nic);

/** Stops, resets and frees everything, frames in the rings included. */
void usrpci_nic_close(struct usrpci_nic *nic);

/** Valid until usrpci_nic_close(). */
const struct usrpci_nic_info *usrpci_nic_info(const struct usrpci_nic *nic);

/**
 * Switches on bus mastering, the rings and the interrupts. Does nothing when started already.
 *
 * Errors: those of usrpci_irq_enable() and usrpci_dev_set_bus_master(); -ENOMEM (the program holds
 * so many buffers that the receive rings can't be filled); -EPROTO (the card does not take its
 * settings); -ETIMEDOUT; -ENODEV (gone).
 */
int usrpci_nic_start(struct usrpci_nic *nic);

/**
 * Stops receiving, waits until what was given to usrpci_nic_transmit() is sent (100 ms at most),
 * and forbids the device to access memory. All buffers but those that the program holds are in the
 * pool again. The device can be started again.
 *
 * Errors: -ETIMEDOUT (frames were dropped); -ENODEV (gone). It is stopped in any case.
 */
int usrpci_nic_stop(struct usrpci_nic *nic);

/** Takes a buffer: where a frame's data begins. NULL when none is left. */
void *usrpci_nic_get(struct usrpci_nic *nic);

/** Puts a buffer back, by any address in it; NULL does nothing. */
void usrpci_nic_put(struct usrpci_nic *nic, void *data);

/** How many buffers are free; a snapshot while other threads work. */
size_t usrpci_nic_available(const struct usrpci_nic *nic);

/**
 * Takes up to n received frames, or pieces; never waits. The buffers are the caller's from now on.
 * Frames with errors are dropped and counted. While the pool is empty frames stay in the ring. A
 * frame whose last entry has more set goes on in the next call. When fewer than n come, the queue's
 * interrupt is armed.
 *
 * Returns how many: none while stopped.
 */
unsigned int usrpci_nic_receive(struct usrpci_nic *nic, unsigned int queue,
				struct usrpci_nic_frame *frames, unsigned int n);

/**
 * Puts up to n frames, or pieces, in the transmit ring; never waits. Buffers of frames that were
 * taken belong to the driver from now on, the others stay the caller's. A frame is taken as a
 * whole. One of a size out of range is not taken, nor is any after it.
 *
 * Returns how many entries: less than n when the ring is full, none while stopped.
 */
unsigned int usrpci_nic_transmit(struct usrpci_nic *nic, unsigned int queue,
				 const struct usrpci_nic_frame *frames, unsigned int n);

/**
 * Puts buffers of frames that are sent back in the pool. Returns how many are not sent yet.
 * usrpci_nic_transmit() calls it when the ring gets short.
 */
unsigned int usrpci_nic_reclaim(struct usrpci_nic *nic, unsigned int queue);

/** Why an interrupt came. */
enum usrpci_nic_event {
	USRPCI_NIC_RECEIVE = 1 << 0, /**< frames may have come */
	USRPCI_NIC_LINK = 1 << 1,    /**< usrpci_nic_link() says how it is; of queue 0 only */
};

/**
 * Waits for a queue's interrupt and acknowledges it. Receive until fewer than were asked for come
 * before waiting again.
 *
 * @timeout_ms	milliseconds; 0 only looks; negative waits without limit
 *
 * Returns enum usrpci_nic_event bits, 0 for an interrupt without a cause. Errors: -ETIMEDOUT;
 * -EINTR; -ENODEV (gone); -EPROTO (the card contradicts itself, or asks for a reset: close it);
 * -EINVAL (no interrupt is enabled).
 */
int usrpci_nic_wait(struct usrpci_nic *nic, unsigned int queue, int timeout_ms);

/**
 * The descriptor for poll(2), valid until the card is stopped. When it is readable,
 * usrpci_nic_wait(nic, queue, 0) takes the interrupt. Errors: -EINVAL (no interrupt).
 */
int usrpci_nic_irq_fd(struct usrpci_nic *nic, unsigned int queue);

struct usrpci_nic_link {
	bool up;
	bool full_duplex;
	unsigned int speed; /**< Mb/s; 0 while the link is down or where it is not known */
};

/** Errors: -ENODEV (gone); -EPROTO (as usrpci_nic_wait()); link then is down. */
int usrpci_nic_link(struct usrpci_nic *nic, struct usrpci_nic_link *link);

/** Waits for the link. Errors: -ETIMEDOUT; those of usrpci_nic_link(). */
int usrpci_nic_link_wait(struct usrpci_nic *nic, unsigned int timeout_ms);

/** Since usrpci_nic_open(). What a card does not count is 0. */
struct usrpci_nic_stats {
	uint64_t rx_frames; /**< received without error */
	uint64_t rx_bytes;  /**< as the card counts them: Intel's count the FCS too */
	uint64_t tx_frames;
	uint64_t tx_bytes;
	uint64_t rx_missed;     /**< there was no room in the card */
	uint64_t rx_no_buffer;  /**< waited for a descriptor; not lost yet */
	uint64_t rx_crc_errors; /**< and alignment */
	uint64_t rx_errors;     /**< of symbols and lengths */
	uint64_t rx_dropped;    /**< by the driver: erroneous or impossible descriptors */
};

/**
 * Reads the statistics. Intel's counters have 32 bits: call it at least every 30 minutes.
 *
 * Errors: -ENODEV (gone); stats then is what was known before.
 */
int usrpci_nic_stats(struct usrpci_nic *nic, struct usrpci_nic_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
