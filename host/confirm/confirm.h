/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Changes that go back unless somebody confirms them in time.
 *
 * 	record.c  what is to go back: devices, huge pages, places of interfaces in the network
 * 	watch.c   the process that waits for the confirmation
 * 	undo.c    brings everything back as it was
 */

#include "journal.h"
#include "net/net.h"

/* Notes below /run/usrpci: the record, the watcher's lock, and what is said after it went back. */
#define CONFIRM_RECORD "unconfirmed"
#define CONFIRM_WATCH  "unconfirmed-watch"
#define CONFIRM_BACK   "went-back"

/* Longest record in bytes: a host with some thousand routes. */
#define CONFIRM_SIZE (1 << 20)

/* How a device was. */
struct confirm_device {
	struct usrpci_addr addr;
	uint64_t identity;        /* journal_identity() of it */
	bool was_usrpcis;         /* it had a record in the journal already */
	unsigned int functions;   /* how many virtual functions it had */
	char driver[NAME_SIZE];   /* "" for none */
	struct journal_node node; /* of its group, if it was on vfio */
	struct net_place *places; /* of its interfaces */
	size_t place_count;
};

/* Huge pages that were added. */
struct confirm_pages {
	size_t page_size, count;
	int node;
};

struct confirm_record {
	unsigned int seconds; /* how long it waits */
	uint64_t since;       /* CLOCK_BOOTTIME of the last change, in seconds */
	struct confirm_device *devices;
	size_t device_count;
	struct confirm_pages *pages;
	size_t page_count;
};

/* What a host that wants confirmation has open. */
struct confirm {
	struct confirm_record record;
	int alive; /* the watcher sees its end when this process closes it, or is killed */
};

/*
 * Starts the watcher before the first change. Does nothing where no confirmation is asked for, as
 * the notes do. Errors, logged: -EALREADY (another command's changes wait for confirmation);
 * -ENOMEM; why there is no watcher.
 */
int confirm_begin(struct usrpci_host *host);

/*
 * Notes how a device is, before its first change. Errors, logged: those of confirm_begin(); -E2BIG;
 * -ENOMEM; those of writing the record.
 */
int confirm_note(struct usrpci_host *host, const struct usrpci_addr *addr);

/*
 * Forgets a device whose change failed, if it has the driver and the number of virtual functions
 * that it had before.
 */
void confirm_forget(struct usrpci_host *host, const struct usrpci_addr *addr);

/* Notes huge pages that were added after confirm_begin(). */
int confirm_note_pages(struct usrpci_host *host, size_t count, size_t page_size, int node);

/* Begins the time to wait: the host is closed. */
void confirm_end(struct usrpci_host *host);

/*
 * Goes on where a watcher was killed: brings everything back if it is time, else starts another
 * one. Returns 0 or a negative errno, logged.
 */
int confirm_recover(struct usrpci_host *host);

/* Reads the record: 0, -ENOENT (not logged), or -EBADMSG, logged. Freed by confirm_free(). */
int confirm_read(struct usrpci_host *host, struct confirm_record *record);
int confirm_write(struct usrpci_host *host, const struct confirm_record *record);
void confirm_free(struct confirm_record *record);

/*
 * Starts the watcher, which waits until "alive" is closed (-1: at once) and then so many seconds,
 * and sees to it that everything comes back. Returns 0 or a negative errno, logged.
 */
int confirm_watch(struct usrpci_host *host, int alive, unsigned int seconds);

/*
 * Brings everything back and drops the record; what fails for another reason than a use is reported
 * and left. Returns 0, also if there is no record, or a negative errno, logged; -EBUSY while a
 * device is in use: the record is kept.
 */
int confirm_undo(struct usrpci_host *host);

/* Seconds of CLOCK_BOOTTIME, which goes on while the machine sleeps. */
uint64_t confirm_now(void);
