/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_NVME_MODEL_H
#define USRPCI_TESTS_NVME_MODEL_H

/*
 * A model of an NVMe controller with a disk in memory, that can be told to hang, to lie and to
 * vanish. It checks what the driver does as a strict controller would.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <usrpci/nvme.h>
#include <usrpci/usrpci.h>

#include <nvme/nvme_reg.h>

#include "fake/fake.h"

#define MODEL_BLOCKS 4096
#define MODEL_BLOCK  512
#define MODEL_QUEUES 8
#define MODEL_BAR    0x2000

struct model_queue {
	uint64_t sq, cq; /* device addresses */
	unsigned int sq_entries, cq_entries;
	unsigned int head, tail, cq_tail, phase;
	unsigned int vector;
	bool irq, used;
};

struct model {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_nvme *nvme;
	struct usrpci_nvme_queue *queue;
	struct usrpci_dma_block buffer;
	uint32_t regs[0x40 / 4];
	struct model_queue queues[MODEL_QUEUES + 1]; /* 0: admin */
	uint8_t disk[MODEL_BLOCKS * MODEL_BLOCK];
	uint8_t identify[4096]; /* of the controller */
	uint8_t ns[4096];
	uint32_t nsids[8];
	uint16_t event_cid;
	bool event_asked;

	unsigned int reads, sq_doorbells, commands, resets, aborts, shutdowns;
	struct nvme_command last; /* of an I/O queue */

	/* Misbehaviour. */
	bool never_ready, stuck_ready; /* CSTS.RDY does not come, does not go */
	bool mute_admin;               /* admin commands get no answer */
	unsigned int hang;             /* so many I/O commands get no answer */
	bool hang_for_good;            /* not after an abort either */
	bool fatal_on_io;              /* CSTS.CFS instead of an answer, once */
	bool always_fatal;             /* and each time */
	uint16_t fail_io;              /* status of the next I/O command */
	uint16_t fail_opcode;          /* admin opcode + 1 that fails */
	uint16_t outside_opcode;       /* admin opcode + 1 at which somebody else resets it */
	unsigned int outside_resets;   /* how often that happens */
	bool hidden_sgl;
	uint16_t hung_cid[64], hung_qid[64];
	unsigned int hung;
};

/* For cmocka. */
int model_setup(void **state);
int model_teardown(void **state);

void model_plug(struct model *model, unsigned int msix);
struct usrpci_nvme *model_open(struct model *model, const struct usrpci_nvme_options *options);

/* Opened, with a queue, a buffer of 1 MiB, and the namespace. */
void model_start(struct model *model, const struct usrpci_nvme_options *options, unsigned int depth,
		 struct usrpci_nvme_ns *ns);

/* Writes a completion as the device would, whatever it says. */
void model_complete(struct model *model, unsigned int qid, uint16_t cid, uint16_t status,
		    uint32_t result);

/* Answers commands that hung. */
void model_answer_hung(struct model *model, uint16_t status);

#endif
