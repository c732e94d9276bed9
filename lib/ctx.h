/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_LIB_CTX_H
#define USRPCI_LIB_CTX_H

#include <pthread.h>

#include "base.h"

struct dma_domain;
struct fault;
struct usrpci_dev;

struct usrpci_ctx {
	struct ctx_base base;       /* first: inline functions and util/ read it */
	size_t page_size;           /* asked for by the program; 0: the library chooses */
	pthread_mutex_t lock;       /* guards devices and the creation of domain */
	struct usrpci_dev *devices; /* open ones, newest first */
	struct dma_domain *domain;  /* NULL until the first device is open */
	struct fault *fault;        /* what is injected; NULL: nothing */
};

#endif
