/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <pthread.h>

#include "base.h"

struct broker;
struct dma_domain;
struct fault;
struct trace;
struct usrpci_dev;

struct usrpci_ctx {
	struct ctx_base base;       /* first: inline functions and util/ read it */
	size_t page_size;           /* asked for by the program; 0: the library chooses */
	char *dma_directory;        /* NULL: DMA memory has no name */
	char *vf_token;             /* NULL: that of the environment, if there is one */
	pthread_mutex_t lock;       /* guards devices and the creation of domain */
	struct usrpci_dev *devices; /* open ones, newest first */
	struct broker *broker;      /* NULL unless devices were lent to this process */
	struct dma_domain *domain;  /* NULL until the first device is open */
	struct fault *fault;        /* what is injected; NULL: nothing */
	struct trace *trace;        /* what is written down; NULL: nothing */
};
