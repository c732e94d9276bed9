/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_FUZZ_NIC_H
#define USRPCI_TESTS_FUZZ_NIC_H

/*
 * The program above a network card whose device is hostile: it receives, holds, sends and gives
 * back frames as the input says. Calls must come back within their deadline, frames lie in buffers
 * of the pool, no buffer is handed out twice, and none is lost.
 */

#include <usrpci/nic.h>

#include "fuzz.h"

#define HELD_MAX 64

struct nic_program {
	struct input input;
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	unsigned int queues; /* the input chooses one if there are several */
	bool scatters;       /* a frame may be sent in parts */
	size_t least;        /* bytes of the smallest frame that may be received */
	uint64_t deadline_us;
	void (*act)(void);      /* the device does its work, or what it likes */
	void (*scribble)(void); /* it writes to its memory */
	struct usrpci_nic_frame held[HELD_MAX];
	unsigned int held_count;
	bool unplugged;
};

/*
 * Runs the program until the input's end; what the device wrote at its opening may prevent that.
 * Then closes the device, of which nothing may be left: no memory, and no bus mastering.
 */
void nic_run(struct nic_program *program, const struct usrpci_nic_options *options);

/*
 * What the device answers: of so many kinds of reads three lie, the others are honest. On its way
 * it interrupts or writes to memory, if "how" says so.
 */
uint64_t nic_answer(struct nic_program *program, uint32_t how, uint32_t kinds, void (*writes)(void),
		    uint64_t honest);

#endif
