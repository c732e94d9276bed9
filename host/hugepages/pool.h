/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "host.h"

#define MM_POOLS  "/sys/kernel/mm/hugepages" /* the whole machine's */
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

/* The directory of a pool. */
void pool_path(struct usrpci_host *host, const struct usrpci_hugepages *pool, char path[POOL_PATH]);

/* Its counts as they are now. */
int pool_read(struct usrpci_host *host, struct usrpci_hugepages *pool);

/* What it has gained or lost by being resized from before to after, all of it or a part. */
void pool_count_as_ours(struct usrpci_hugepages *pool, size_t before, size_t after);

/* All pools, and what of them is ours. The list is the caller's to free, after an error too. */
int pools_read(struct usrpci_host *host, struct pools *pools);

/* Notes what is ours, and which pool is being resized. */
int pools_write_note(struct usrpci_host *host, const struct pools *pools);
