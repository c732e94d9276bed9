/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

struct usrpci_host;

/*
 * Reads what a process, "PID", or a thread of it, "PID/task/TID", has mapped, as the lines of its
 * file maps. A process can keep the kernel from looking at its memory for as long as it likes, so
 * that another thread of this one reads, which is left to itself when it takes too long. Returns 0
 * and the text, which is the caller's to free, or a negative errno, not logged: -ETIMEDOUT then.
 */
int maps_read(struct usrpci_host *host, const char *task, char **text);

/* Ends the thread that reads, unless it was left to itself. */
void maps_end(struct usrpci_host *host);
