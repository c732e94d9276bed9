/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the parts of serving share.
 *
 *	serve.c      the processes, signals, and the end
 *	handshake.c  asks the server of network blocks what it has
 *	block.c      the kernel's /dev/nbdN
 */

#include "host.h"

/* What an NBD server reports about its disk. */
struct nbd_export {
	uint64_t size;       /* bytes */
	uint16_t flags;      /* NBD_FLAG_* of linux/nbd.h */
	uint32_t block_size; /* smallest request, in bytes */
};

/*
 * Negotiates on a new connection; afterwards requests may be sent. Waits for the first message
 * until the descriptor "signals" becomes readable, and for each later one a few seconds. Errors:
 * -EPIPE (the server has ended); -EINTR (a signal); -ETIMEDOUT; -EPROTO (the server breaks the
 * protocol or refuses).
 */
int nbd_handshake(int socket, int signals, struct nbd_export *export);

/* A block device of the kernel whose requests go to a socket. */
struct block {
	char name[NAME_SIZE]; /* "nbd0" */
	int fd;
	int socket;      /* the connection, which the caller closes */
	bool has_socket; /* the kernel has it */
};

/* Takes a free block device. Errors are logged. */
int block_attach(struct usrpci_host *host, const struct nbd_export *export, int socket,
		 struct block *block);

/* Serves it until it is detached or the connection breaks. Returns 0 or a negative errno. */
int block_run(struct block *block);

/* Fails all requests that the server has not answered, once nothing serves the device. */
void block_fail(struct block *block);

/* Waits until the device can be used, and lets the kernel look for partitions. */
void block_settle(struct usrpci_host *host, const struct block *block);

/*
 * Writes the kernel's cached data to it and detaches it. -EBUSY: it is mounted or opened
 * exclusively. May be called while another thread is in block_run().
 */
int block_detach(struct usrpci_host *host, const struct block *block);

/* Detaches it even if it is in use; what was not written is lost. */
void block_cut(struct block *block);

/* Returns whether the block device of this name is mounted or opened exclusively. */
bool block_is_used(struct usrpci_host *host, const char *name);

void block_close(struct block *block);

/*
 * Ends the service of a device, if there is one, and waits until the device was given back. Returns
 * 1 if there was one, else 0. Errors, logged: -EBUSY (it is in use, or does not end).
 */
int serve_end(struct usrpci_host *host, const struct usrpci_addr *addr);
