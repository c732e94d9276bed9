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

#define USRPCI_NIC_BUFFER_SIZE 2048 /**< size of a buffer in bytes, headroom included */
#define USRPCI_NIC_FRAME_MIN   14   /**< shortest frame to transmit, in bytes; the card pads it */
#define USRPCI_NIC_PIECES_MAX  40   /**< most buffers that one frame can have */

/** A network card. */
struct usrpci_nic;

enum usrpci_nic_irq {
	USRPCI_NIC_IRQ_AUTO, /**< the best type that card and backend have */
	USRPCI_NIC_IRQ_NONE, /**< polling: no interrupt is enabled */
	USRPCI_NIC_IRQ_INTX,
	USRPCI_NIC_IRQ_MSI,
	USRPCI_NIC_IRQ_MSIX,
};

/** Zero in any member means its default. */
struct usrpci_nic_options {
	unsigned int rx_descriptors; /**< a power of two, 8..4096; default 256 */
	unsigned int tx_descriptors; /**< as above */
	unsigned int spare_buffers;  /**< in the pool besides one for each descriptor; default 64 */
	unsigned int queues;         /**< how many to use, 1..16; there may be fewer; default 1 */
	enum usrpci_nic_irq irq;
	unsigned int irq_gap_us; /**< shortest time between interrupts, 1..16000, if the card can
				      limit it; default: no limit */
	bool promiscuous;        /**< receive frames that are addressed to others too */
	bool offload;            /**< let the card do checksums and segmentation, if it can; see
			       usrpci_nic_info.offload */
	const char **why; /**< stores the reason of a refusal, a static string; may be NULL */
};

/** A frame without its frame check sequence, or a piece of one. */
struct usrpci_nic_frame {
	void *data; /**< lies in a buffer of the pool; a first piece lies behind the headroom */
	uint16_t size;
	bool more; /**< the next entry continues the frame; only with info.offload */
};

/** What the driver knows about a card. */
struct usrpci_nic_info {
	const char *name; /**< "82540EM", "virtio-net" */
	uint8_t mac[6];
	uint16_t mtu;           /**< what the card reports, or 1500 */
	uint16_t frame_max;     /**< longest frame to transmit in one buffer, in bytes */
	unsigned int queues;    /**< receive and transmit queues, one pair each */
	unsigned int headroom;  /**< bytes in the buffer before the frame's data */
	bool offload;           /**< frames carry a header, and may have several pieces */
	bool offload_checksum;  /**< the card fills in checksums */
	bool offload_segments4; /**< the card cuts TCP segments of IPv4 */
	bool offload_segments6; /**< the card cuts TCP segments of IPv6 */
};

/**
 * Takes over an open device: resets it, reads its MAC address, and allocates rings and buffers. The
 * device sends and receives nothing before usrpci_nic_start(). It still belongs to the caller, who
 * closes it after usrpci_nic_close().
 *
 * With info.offload, the 12 bytes before the data of a frame's first piece are a struct
 * virtio_net_hdr_v1 (<linux/virtio_net.h>; Virtio 1.2, 5.1.6), as on a TAP device with
 * IFF_VNET_HDR. The card writes it when it receives; the program writes it when it transmits.
 * Without info.offload, the program does not touch these bytes.
 *
 * @options	may be NULL for the defaults
 *
 * Errors: -ENOTSUP (no driver knows this card, or it lacks something: *options->why says what);
 * -EINVAL (an option is out of range); -EPROTO (the card contradicts itself); -ENODEV (gone);
 * -ETIMEDOUT (the reset does not end); -EIO (no MAC address to be found); those of usrpci_bar_map()
 * and usrpci_dma_alloc().
 */
int usrpci_nic_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options,
		    struct usrpci_nic **nic);

/**
 * Looks whether usrpci_nic_open() would take a card, and touches nothing: another driver may have
 * it, and usrpci_dev_inspect() is enough.
 *
 * @mtu_max	stores the longest MTU whose frames can be transmitted; 0: any, in several pieces
 * @why		stores the reason of a refusal, a static string
 *
 * Errors: -ENOTSUP (no driver knows this card, or it lacks something); those of
 * usrpci_config_read8().
 */
int usrpci_nic_look(struct usrpci_dev *dev, unsigned int *mtu_max, const char **why);

/** Stops and resets the card, and frees everything, including the frames in the rings. */
void usrpci_nic_close(struct usrpci_nic *nic);

/** Returns what is known about the card. The result is valid until usrpci_nic_close(). */
const struct usrpci_nic_info *usrpci_nic_info(const struct usrpci_nic *nic);

/**
 * Switches on bus mastering, the rings and the interrupts. Does nothing if the card is already
 * started.
 *
 * Errors: those of usrpci_irq_enable() and usrpci_dev_set_bus_master(); -ENOMEM (the program holds
 * so many buffers that the receive rings can't be filled); -EPROTO (the card does not take its
 * settings); -ETIMEDOUT; -ENODEV (gone).
 */
int usrpci_nic_start(struct usrpci_nic *nic);

/**
 * Stops receiving, waits until what was given to usrpci_nic_transmit() is sent (100 ms at most),
 * and forbids the device to access memory. Afterwards, all buffers except those that the program
 * holds are in the pool again. The card can be started again.
 *
 * Errors: -ETIMEDOUT (frames were dropped); -ENODEV (gone). The card is stopped in any case.
 */
int usrpci_nic_stop(struct usrpci_nic *nic);

/**
 * Takes a buffer from the pool. Returns where a frame's data begins in it; NULL: the pool is empty.
 */
void *usrpci_nic_get(struct usrpci_nic *nic);

/** Puts the buffer that contains the address data back in the pool; NULL does nothing. */
void usrpci_nic_put(struct usrpci_nic *nic, void *data);

/**
 * Returns how many buffers are free. The number may be outdated when other threads use the pool.
 */
size_t usrpci_nic_available(const struct usrpci_nic *nic);

/**
 * Takes up to n received frames, or pieces of frames; never waits. Their buffers then belong to the
 * caller. Frames with errors are dropped and counted. While the pool is empty, frames stay in the
 * ring. If the last entry has more set, the next call continues that frame. When the call returns
 * fewer than n entries, it also arms the queue's interrupt.
 *
 * Returns how many entries it stored; 0 while the card is stopped.
 */
unsigned int usrpci_nic_receive(struct usrpci_nic *nic, unsigned int queue,
				struct usrpci_nic_frame *frames, unsigned int n);

/**
 * Puts up to n frames, or pieces of frames, in the transmit ring; never waits. Buffers of frames
 * that were taken then belong to the driver; the others still belong to the caller. A frame is
 * taken as a whole or not at all. If the size of a frame is out of range, neither this frame nor
 * any frame after it is taken.
 *
 * Returns how many entries it took; fewer than n when the ring is full, and 0 while the card is
 * stopped.
 */
unsigned int usrpci_nic_transmit(struct usrpci_nic *nic, unsigned int queue,
				 const struct usrpci_nic_frame *frames, unsigned int n);

/**
 * Puts the buffers of sent frames back in the pool. Returns how many buffers are not sent yet.
 * usrpci_nic_transmit() calls it when the ring is nearly full.
 */
unsigned int usrpci_nic_reclaim(struct usrpci_nic *nic, unsigned int queue);

/** Why an interrupt came. */
enum usrpci_nic_event {
	USRPCI_NIC_RECEIVE = 1 << 0, /**< frames may have come */
	USRPCI_NIC_LINK = 1 << 1,    /**< the link may have changed; only queue 0 reports it */
};

/**
 * Waits for a queue's interrupt and acknowledges it. Before the program waits again, it must
 * receive until a call returns fewer entries than it asked for.
 *
 * @timeout_ms	milliseconds; 0 only looks; negative waits without limit
 *
 * Returns enum usrpci_nic_event bits, 0 for an interrupt without a cause. Errors: -ETIMEDOUT;
 * -EINTR; -ENODEV (gone); -EPROTO (the card contradicts itself, or asks for a reset: close it);
 * -EINVAL (no interrupt is enabled).
 */
int usrpci_nic_wait(struct usrpci_nic *nic, unsigned int queue, int timeout_ms);

/**
 * Returns a descriptor for poll(2), which is valid until the card is stopped. When it is readable,
 * usrpci_nic_wait(nic, queue, 0) takes the interrupt. Errors: -EINVAL (no interrupt).
 */
int usrpci_nic_irq_fd(struct usrpci_nic *nic, unsigned int queue);

struct usrpci_nic_link {
	bool up;
	bool full_duplex;
	unsigned int speed; /**< Mb/s; 0 while the link is down, and when the speed is not known */
};

/**
 * Reads the state of the link. Errors: -ENODEV (gone); -EPROTO (as usrpci_nic_wait()). After an
 * error, *link says that the link is down.
 */
int usrpci_nic_link(struct usrpci_nic *nic, struct usrpci_nic_link *link);

/** Waits until the link is up. Errors: -ETIMEDOUT; those of usrpci_nic_link(). */
int usrpci_nic_link_wait(struct usrpci_nic *nic, unsigned int timeout_ms);

/** Counters since usrpci_nic_open(). A counter that the card does not have is 0. */
struct usrpci_nic_stats {
	uint64_t rx_frames; /**< received without error */
	uint64_t rx_bytes;  /**< as the card counts them; Intel's cards also count the FCS */
	uint64_t tx_frames;
	uint64_t tx_bytes;
	uint64_t rx_missed;     /**< frames that were lost because the card had no room */
	uint64_t rx_no_buffer;  /**< frames that waited for a descriptor and are not lost yet */
	uint64_t rx_crc_errors; /**< errors of the checksum or of the alignment */
	uint64_t rx_errors;     /**< errors of symbols or of lengths */
	uint64_t rx_dropped;    /**< frames that the driver dropped: errors or wrong descriptors */
};

/**
 * Reads the statistics. Intel's counters have 32 bits, so call this at least every 30 minutes.
 *
 * Errors: -ENODEV (gone). After an error, *stats has the last values that were read.
 */
int usrpci_nic_stats(struct usrpci_nic *nic, struct usrpci_nic_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
