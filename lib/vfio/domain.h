/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The vfio domain of a context.
 */

#include <pthread.h>

#include "vfio/vfio.h"

/* Memory that the devices can reach: a chunk of the heap, or the program's own. */
struct mapping {
	char *va;
	size_t size;
	uint64_t iova;
	struct mapping *next, **link; /* of all; what points to this one */
};

struct vfio_domain {
	struct dma_domain base;
	struct vfio_iommu iommu;
	pthread_mutex_t lock; /* all below: opening a device and growing the heap meet here */
	struct iova_space space;
	char *window; /* device address 0; there is memory only where there are chunks */
	size_t window_size;
	void *mappings; /* tsearch(3), by virtual address */
	struct mapping *first;
	size_t count;    /* of mappings */
	size_t limit;    /* of count */
	size_t pinned;   /* bytes */
	size_t page;     /* ordinary page, bytes */
	bool privileged; /* CAP_IPC_LOCK: the limit of locked memory does not hold */
};

/* Least memory that is mapped at once for the heap: a huge page of x86. */
#define VFIO_CHUNK_MIN (UINT64_C(2) << 20)

extern const struct dma_domain_ops vfio_domain_ops;
