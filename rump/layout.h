/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The one bus that a rump kernel looks at, and the devices that it finds there.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <usrpci/usrpci.h>

#define RUMP_SLOTS     32
#define RUMP_FUNCTIONS 8

/* One function of the rump kernel's bus. */
struct rump_function {
	struct usrpci_dev *dev; /* NULL: nothing here */
	bool first;             /* function 0 of several: shows the multi-function bit */
	struct usrpci_bar_info bar_info[USRPCI_BARS];
	struct usrpci_bar bars[USRPCI_BARS]; /* mapped on first use */
	uint32_t bar_value[USRPCI_BARS];     /* as the kernel last wrote them; see config.c */
	struct rump_interrupt *interrupt;    /* interrupt.c */
	bool taken;                          /* a driver mapped a BAR or its interrupt */
};

struct rump_bus {
	struct usrpci_ctx *ctx;
	struct rump_function slots[RUMP_SLOTS][RUMP_FUNCTIONS];
	unsigned int functions;
	bool ports;  /* see rump_ports_allowed() */
	pid_t owner; /* the process whose devices these are */
};

/*
 * Opens the devices that USRPCI_RUMP names, or all that belong to a userspace driver, and lays them
 * out: in the order of the names (of the addresses when none are named), each device one slot from
 * 0 on, the functions of a multi-function device in one slot, numbered from 0 without gaps.
 *
 * Returns the bus, opened by the first call and the same ever after; NULL when there is no device
 * (why was printed).
 */
struct rump_bus *rump_bus(void);

/* Whether the rump kernel's threads may execute port instructions. */
bool rump_ports_allowed(void);

/* ports.c: has them executed for the process, on its own devices' BARs. Returns whether it can. */
bool rump_ports_emulate(void);

/* config.c: a BAR, mapped by the first call; NULL when it cannot be. */
struct usrpci_bar *rump_bar(struct rump_function *function, unsigned int index);

/* The function at an address of the rump kernel's bus, NULL when there is none. */
struct rump_function *rump_function(unsigned int bus, unsigned int device, unsigned int function);

/*
 * memory.c: allocates from the bus's DMA heap, below 4 GiB as long as it can. Returns 0 or a
 * negative errno.
 */
int rump_heap_alloc(struct rump_bus *bus, size_t size, size_t align, void **block);

/* Whether a shortage of memory was reported already: the kernel asks for it again and again. */
bool rump_memory_is_short(void);

/*
 * A rump kernel's console is its process's standard output; what goes wrong here is the user's to
 * read.
 */
#define rump_message(format, ...) fprintf(stderr, "usrpci-rump: " format "\n", ##__VA_ARGS__)
