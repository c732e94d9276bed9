/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "host.h"

typedef int mounts_visit_fn(void *data, const char *place);

/*
 * Calls visit with each place where a process, which may be "self", has the file of a namespace
 * mounted that is of this kind, "net" or "mnt", until visit returns another number than 0. Returns
 * that.
 */
int mounts_each_namespace(struct usrpci_host *host, const char *pid, const char *kind,
			  mounts_visit_fn *visit, void *data);
