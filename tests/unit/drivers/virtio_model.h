/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_VIRTIO_MODEL_H
#define USRPCI_TESTS_VIRTIO_MODEL_H

/*
 * A model of a virtio device on PCI, that can be told to hang, to lie and to vanish. It checks what
 * the driver does as a strict device would. Follows Virtio 1.2, 2.7 and 4.1, as far as drivers go.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <usrpci/usrpci.h>

#include <virtio/virtio.h>

#include "fake/fake.h"

#define MODEL_QUEUES 8
#define MODEL_ISR    0x1000 /* offsets in BAR 4; the common configuration is at 0 */
#define MODEL_CONFIG 0x2000
#define MODEL_NOTIFY 0x3000
#define MODEL_BAR    0x4000

struct model_queue {
	uint16_t size, vector, enable;
	uint64_t desc, avail, used;
	uint16_t next_avail, next_used;
	unsigned int doorbells;
};

struct model {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	uint64_t offered, taken; /* features */
	uint32_t device_select, driver_select;
	uint16_t queue_select, config_vector;
	uint8_t status, generation, isr;
	uint8_t config[64]; /* of the device */
	struct model_queue queues[MODEL_QUEUES];
	/* What the device does when a queue's doorbell rings. */
	void (*notify)(struct model *model, uint16_t queue);
	void *data; /* of the test */

	bool queues_later; /* as QEMU: further queues are there once features are negotiated */

	/* Misbehaviour. */
	bool stuck_reset, refuses_features, takes_no_vector, changes_always;
	uint16_t notify_offset; /* added to each queue's */
};

/* One buffer of a chain. */
struct model_piece {
	uint8_t *bytes;
	uint32_t size;
	bool writable;
};

/* Plugs in a device of a type, with its own id. */
void model_plug(struct model *model, unsigned int type, unsigned int msix);

/* The driver has made this many chains available that were not fetched yet. */
unsigned int model_available(struct model *model, uint16_t queue);

/* Fetches a chain: its head, or -1 when there is none. Stores its pieces and how many they are. */
int model_fetch(struct model *model, uint16_t queue, struct model_piece *pieces,
		unsigned int *count);

/* Writes a used entry, whatever it says, without telling of it. */
void model_use(struct model *model, uint16_t queue, uint32_t id, uint32_t length);

/* Moves the used index, and interrupts if the driver wants that. */
void model_tell(struct model *model, uint16_t queue);

/* The configuration has changed. */
void model_change(struct model *model);

#endif
