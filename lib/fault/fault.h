/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Faults that are injected above any backend: what a driver must survive happens when a test wants
 * it, not once a year. A plan is a list, separated by commas, from USRPCI_FAULT or from a test:
 *
 *	ones=N		from the N-th access to registers or configuration space on, the devices are
 *			gone: everything reads as ones, writes do nothing
 *	irq-lost=N	the N-th interrupt does not arrive; N+: nor does any after it
 *	irq-double=N	the N-th interrupt arrives once more, a millisecond later; N+: and those
 *			after it
 *	dma-late[=MS]	what devices write to DMA memory is seen MS to 2 MS milliseconds later,
 *			after the interrupt that announces it; default 5
 *	dma-torn[=MS]	of it every second word of 32 bits is seen later, so what belongs together
 *			comes in two parts
 *	alloc=N		the N-th usrpci_dma_alloc() has no memory, those of pools included; N+: nor
 *			have those after it
 *
 * N counts from 1, over all devices of a context, from the opening of its first.
 */

#include <pthread.h>
#include <stdbool.h>

#include "backend.h"

struct dma_domain;
struct fault;
struct pollfd;

/* Replaces the plan of a context that has no device open; NULL or "": none. Errors: -EINVAL. */
int fault_set(struct usrpci_ctx *ctx, const char *plan);

/*
 * device.c: puts the faults over a device that its backend has just opened. Does nothing for a
 * context without a plan. On failure, logged, the device is as before. ctx->lock is held.
 */
int fault_wrap(struct usrpci_dev *dev);

/* dma.c: counts an allocation; whether it is to fail, which is logged. */
bool fault_alloc(struct usrpci_ctx *ctx);

/* ctx.c: frees the plan, after the domain. */
void fault_free(struct fault *fault);

/* irq.c: one type of interrupt of one device. The caller sets the first members. */
struct fault_relay {
	struct usrpci_dev *dev;
	const struct backend_ops *inner;
	enum usrpci_irq_type type;
	unsigned int count;                 /* vectors, enabled */
	unsigned int (*copies)(void *data); /* how often the next interrupt arrives: 0, 1, 2 */
	void *data;

	int *fds; /* eventfds: one a vector, for the driver, and one more that stops the relay */
	unsigned int made;
	struct pollfd *pollers;
	pthread_t thread;
	bool gone; /* the backend said -ENODEV */
};

/* Logs failures. */
int fault_relay_start(struct fault_relay *relay);
void fault_relay_stop(struct fault_relay *relay);

/* As backend_ops.irq_take(). */
int fault_relay_take(struct fault_relay *relay, unsigned int vector);

/* dma.c */

struct fault_memory;

/*
 * Puts copies between the driver and the memory of a domain that has no chunks yet: the driver sees
 * what the device writes ms milliseconds later, and torn if that is asked. Logs failures.
 */
int fault_memory_wrap(struct dma_domain *domain, unsigned int ms, bool torn,
		      struct fault_memory **memory);

/* Shows the device what the driver has written: before each access to a register. */
void fault_memory_push(struct fault_memory *memory);

void fault_memory_free(struct fault_memory *memory);
