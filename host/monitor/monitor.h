/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What an event of the kernel means, for a table that remembers who holds each device.
 */

#include "host.h"

struct monitor_row {
	struct usrpci_addr addr;
	char driver[NAME_SIZE];
};

struct monitor_table {
	struct monitor_row *rows;
	size_t count;
};

/* The words of an event; NULL: it lacks this one. */
struct monitor_words {
	const char *action; /* "bind" */
	const char *slot;   /* "0000:03:00.0" */
	const char *id;     /* "8086:10D3" */
	const char *driver;
};

/* Reads who holds each device now. */
int monitor_fill(struct usrpci_host *host, struct monitor_table *table);

/*
 * Makes an event of its words and remembers what it says. Returns 1; 0 when it is none of ours;
 * -ENOMEM.
 */
int monitor_event(struct monitor_table *table, const struct monitor_words *words,
		  struct usrpci_event *event);
