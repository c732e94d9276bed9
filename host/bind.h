/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_BIND_H
#define USRPCI_HOST_BIND_H

#include <sys/types.h>

#include "target.h"

/* Sets the id of a user or group, by its name or number. Returns whether there is such a one. */
bool bind_find_user(const char *name, uid_t *uid);
bool bind_find_group(const char *name, gid_t *gid);

/* Records what the device was before usrpci's first touch, unless that is recorded already. */
int bind_record(struct usrpci_host *host, struct target *target);

/*
 * Refuses, with a message, what usrpci_host_bind() of a device would refuse before it moves it, and
 * loads the driver. What moves away with an interface (host->moved) is no use. Needs the lock.
 */
int bind_look(struct usrpci_host *host, const struct usrpci_addr *addr,
	      const struct usrpci_bind_options *options);

#endif
