/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "host.h"

#define MM_POOLS  "/sys/kernel/mm/hugepages" /* the pools of the whole machine */
#define POOL_PATH 224

/* A change of a pool's size that may not have ended yet. */
struct resizing {
	const struct usrpci_hugepages *pool; /* NULL: none */
	size_t before, after;
};

/* All pools of the host: one for each page size and node. */
struct pools {
	struct usrpci_hugepages *list;
	int count;
	struct resizing resizing;
};

/* Writes the path of a pool's directory: 0, or a negative errno, logged. */
int pool_path(struct usrpci_host *host, const struct usrpci_hugepages *pool, char path[POOL_PATH]);

/* Reads the current counts of a pool. */
int pool_read(struct usrpci_host *host, struct usrpci_hugepages *pool);

/*
 * Updates "ours" after a change from before to after pages, of which the kernel may have made a
 * part.
 */
void pool_count_as_ours(struct usrpci_hugepages *pool, size_t before, size_t after);

/* Reads all pools and how much of each is ours. The caller frees the list, also after an error. */
int pools_read(struct usrpci_host *host, struct pools *pools);

/* Whether there is a note, as state_exists(): without one, no page is ours. */
int pools_have_note(struct usrpci_host *host);

/* Writes the note: which pages are ours, and which pool is being resized. */
int pools_write_note(struct usrpci_host *host, const struct pools *pools);
