/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_STATE_H
#define USRPCI_HOST_STATE_H

/*
 * usrpci's own notes, below /run/usrpci: small text files that a boot clears. A file is either
 * as it was or as it was meant to be, whenever its writer is killed.
 */

struct usrpci_host;

#define STATE_DIR "/run/usrpci"

/* Replaces or creates /run/usrpci/NAME. Logs failures. Does nothing in a dry run. */
int state_write(struct usrpci_host *host, const char *name, const char *text);

/* Removes /run/usrpci/NAME if it exists. Logs failures. Does nothing in a dry run. */
int state_remove(struct usrpci_host *host, const char *name);

/*
 * Waits until no other program changes the host: 0, or -EBUSY after the deadline, with who holds it
 * logged. May be nested. A dry run changes nothing and takes no lock.
 */
int state_lock(struct usrpci_host *host);
void state_unlock(struct usrpci_host *host);

#endif
