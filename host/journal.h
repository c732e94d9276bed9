/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The state of devices before usrpci first took them: one note for each device (state.h). */

#include "wait/provided.h"

/* A device node that was given to a user, and what it was before. */
struct journal_node {
	char path[64]; /* "" when there is none */
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

struct journal_record {
	struct usrpci_journal_entry entry;
	uint64_t identity;      /* journal_identity() of the device */
	char module[NAME_SIZE]; /* the driver's module, whose name may differ; "": unknown */
	struct provided provided[PROVIDED_MAX]; /* interfaces and disks */
	int provided_count;
	unsigned int functions; /* how many virtual functions, which go with the driver */
	bool functions_changed; /* their number was changed while its driver stayed */
	bool functions_probe;   /* ... and drivers, which took new ones, were kept from them */
	struct journal_node node;
	uint16_t command; /* the command register when the device last had no driver ... */
	bool has_command; /* ... if it had none before, and the register could be read */
};

/*
 * Finds the number that the kernel gives to a device for as long as it is plugged in: the inode of
 * its directory in sysfs. A device that was plugged into its place, or found by a rescan, has
 * another number. 0: there is no device. Returns 0, or a negative errno, logged, when it cannot be
 * found out.
 */
int journal_identity(struct usrpci_host *host, const struct usrpci_addr *addr, uint64_t *identity);

/*
 * Whether a record was made of the device that is at its address now: 1, 0, or a negative errno,
 * logged.
 */
int journal_is_of(struct usrpci_host *host, const struct journal_record *record,
		  const struct usrpci_dev_info *info);

/*
 * Reads a device's record. Errors: -ENOENT (there is none, nothing is logged); -EBADMSG (it is
 * damaged, logged).
 */
int journal_read(struct usrpci_host *host, const struct usrpci_addr *addr,
		 struct journal_record *record);
/* Whether there is a record that can be read. */
bool journal_has(struct usrpci_host *host, const struct usrpci_addr *addr);
int journal_write(struct usrpci_host *host, const struct journal_record *record);
int journal_drop(struct usrpci_host *host, const struct usrpci_addr *addr);

/* Reads "PATH UID GID MODE". Returns false for what is no such node. */
bool journal_parse_node(struct journal_node *node, const char *value);

/* Finds another device's record of a node: 0, or -ENOENT. */
int journal_find_node(struct usrpci_host *host, const struct usrpci_addr *but, const char *path,
		      struct journal_node *node);
