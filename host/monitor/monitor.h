/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Translates events of the kernel, with a table that remembers which driver holds each device. */

#include "host.h"

struct monitor_row {
	struct usrpci_addr addr;
	char driver[NAME_SIZE];
};

struct monitor_table {
	struct monitor_row *rows;
	size_t count;
};

/* The words of an event; NULL: the event does not have this word. */
struct monitor_words {
	const char *action; /* "bind" */
	const char *slot;   /* "0000:03:00.0" */
	const char *id;     /* "8086:10D3" */
	const char *driver;
};

/* Fills the table with the current driver of each device. */
int monitor_fill(struct usrpci_host *host, struct monitor_table *table);

/*
 * Makes an event from its words and updates the table. Returns 1, 0 when the event does not matter
 * here, or -ENOMEM.
 */
int monitor_event(struct monitor_table *table, const struct monitor_words *words,
		  struct usrpci_event *event);
