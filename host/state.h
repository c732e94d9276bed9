/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * usrpci's own notes, below /run/usrpci: small text files that a boot clears. A file is either
 * as it was or as it was meant to be, whenever its writer is killed.
 */

#include <stdbool.h>
#include <stddef.h>

struct usrpci_host;

#define STATE_DIR "/run/usrpci"

/* Creates a directory that every user can read, if it does not exist. Returns a negative errno. */
int state_make_directory(const char *path);

/* Replaces or creates /run/usrpci/NAME. Logs failures. Does nothing in a dry run. */
int state_write(struct usrpci_host *host, const char *name, const char *text);

/*
 * Hands out what a record says, lines of "key value" behind the first one, which is "magic"; "text"
 * is changed. Returns false if take() does, or when the last line, "end", is missing: it was cut.
 */
bool state_parse(char *text, const char *magic,
		 bool (*take)(void *data, const char *key, const char *value), void *data);

/* Removes /run/usrpci/NAME if it exists. Logs failures. Does nothing in a dry run. */
int state_remove(struct usrpci_host *host, const char *name);

/* Whether there is /run/usrpci/NAME: 1, 0, or a negative errno, logged. */
int state_exists(struct usrpci_host *host, const char *name);

/*
 * Whether a writer was killed, or writes just now, as state_exists(). Whoever has the lock next
 * removes its new file.
 */
int state_is_unfinished(struct usrpci_host *host);

/*
 * Waits until no other program changes the host: 0, or -EBUSY after the deadline, with who holds it
 * logged. May be nested. A dry run changes nothing and takes no lock.
 */
int state_lock(struct usrpci_host *host);
void state_unlock(struct usrpci_host *host);

/*
 * Creates and locks /run/usrpci/NAME: 0, with a descriptor in *fd, or a negative errno, logged. The
 * file stays locked for as long as any process has the descriptor. In a dry run *fd is -1.
 */
int state_hold(struct usrpci_host *host, const char *name, int *fd);

/* Ends that: removes the file, or leaves it with a text that says what goes on; closes fd. */
void state_let_go(struct usrpci_host *host, const char *name, int fd, const char *text);

/* -EUCLEAN, once, if a file could not be removed there, so that no change ends as a success. */
int state_left(struct usrpci_host *host);

/*
 * Whether a process holds /run/usrpci/NAME, and then its text. A file that nobody holds, because
 * its process was killed or has ended since, is removed, except in a dry run.
 */
bool state_is_held(struct usrpci_host *host, const char *name, char *text, size_t size);

/* Whether any file was ever held since the boot, as state_exists(). */
int state_was_held(struct usrpci_host *host);

/*
 * Removes all such files whose process has ended without doing so. With the lock held.
 */
void state_forget_held(struct usrpci_host *host);
