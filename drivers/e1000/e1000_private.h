/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The controller as e1000.c (control) and e1000_ring.c (data) share it. The device can write only
 * to desc and the buffers. What the driver bases its decisions on is kept elsewhere.
 */

#include "e1000.h"
#include "e1000_reg.h"

/* What differs between the controllers. */
struct e1000_model {
	const char *name;
	uint16_t device;
	uint8_t eerd_address_shift;
	uint8_t eerd_done_bit;
	usrpci_dma_t dma_limit;
	bool express; /* the 82574L */
};

/* One thread alone writes this, for each packet, so it has its own cache line. */
struct e1000_rx_ring {
	struct usrpci_dma_block block;
	volatile struct e1000_rx_desc *desc; /* in block */
	void **buffers;                      /* buffers[i] is what desc[i] was given */
	unsigned int mask;                   /* descriptors - 1 */
	unsigned int next;                   /* the descriptor that is checked next */
	bool in_frame;                       /* the last descriptor was not the end of its frame */
	uint64_t dropped;                    /* e1000_stats() of another thread reads it */
} __attribute__((aligned(64)));

struct e1000_tx_ring {
	struct usrpci_dma_block block;
	volatile struct e1000_tx_desc *desc;
	void **buffers;
	uint16_t *report; /* report[i]: which descriptor tells that the group from i is sent */
	unsigned int mask;
	unsigned int next;  /* the descriptor that is filled next */
	unsigned int clean; /* the first descriptor that is not known to be sent */
} __attribute__((aligned(64)));

struct e1000 {
	struct usrpci_dev *dev;
	struct usrpci_ctx *ctx;
	struct usrpci_bar bar;
	struct usrpci_pool *pool;
	struct e1000_rx_ring rx;
	struct e1000_tx_ring tx;

	const struct e1000_model *model;
	struct usrpci_nic_options options;
	enum usrpci_irq_type irq;
	bool has_irq;
	bool started;
	uint8_t mac[6];
	struct usrpci_nic_stats stats;
};

static inline uint32_t reg_read(struct e1000 *nic, size_t reg)
{
	return usrpci_read32(&nic->bar, reg);
}

static inline void reg_write(struct e1000 *nic, size_t reg, uint32_t value)
{
	usrpci_write32(&nic->bar, reg, value);
}

bool e1000_matches(const struct usrpci_dev_info *info);

/* e1000_ring.c */

int e1000_rings_alloc(struct e1000 *nic);
void e1000_rings_free(struct e1000 *nic);

/* Fills the receive ring and tells the controller about both rings, which must be disabled. */
int e1000_rings_start(struct e1000 *nic);

/* Puts all buffers back in the pool; the controller must not access memory any more. */
void e1000_rings_empty(struct e1000 *nic);
