/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A command that serves a card's interface or disk for as long as it runs. It holds a file of
 * /run/usrpci, a mark, with its pid and the name of what it serves. What the mark is called, and
 * what must not be in use at the end, the services know.
 */

#include <sys/types.h>

#include "host.h"

/* Returns the process that holds a mark, and stores what it serves. Returns 0 if there is none. */
pid_t service_find(struct usrpci_host *host, const char *mark, char name[NAME_SIZE]);

/*
 * Ends such a process, and waits until it has given the card back. object names the card in errors,
 * which are logged: -EBUSY (it does not end), -EPERM. Returns 1.
 */
int service_end(struct usrpci_host *host, const char *mark, const char *object, pid_t pid);
