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

/* What a server of network blocks has said of its disk. */
struct nbd_export {
	uint64_t size;       /* bytes */
	uint16_t flags;      /* NBD_FLAG_* of linux/nbd.h */
	uint32_t block_size; /* bytes, least of a request */
};

/*
 * Negotiates on a new connection, after which requests may be sent. Waits for the server until
 * signals, a descriptor, becomes readable, and for no later message longer than a few seconds.
 * Errors: -EPIPE (the server has ended); -EINTR (a signal); -ETIMEDOUT; -EPROTO (it does not keep
 * to the protocol, or refuses).
 */
int nbd_handshake(int socket, int signals, struct nbd_export *export);

/* A block device of the kernel's, whose requests go to a socket. */
struct block {
	char name[NAME_SIZE]; /* "nbd0" */
	int fd;
};

/* Takes one that is free. Errors are logged. */
int block_attach(struct usrpci_host *host, const struct nbd_export *export, int socket,
		 struct block *block);

/* Serves it until it is detached, or the connection breaks: 0, or a negative errno. */
int block_run(struct block *block);

/* Waits until the device can be used, and lets the kernel look for partitions. */
void block_settle(struct usrpci_host *host, const struct block *block);

/*
 * Writes out what the kernel has for it, and detaches it unless somebody has it mounted, or in some
 * other way for himself: -EBUSY. May be called while another thread runs it.
 */
int block_detach(struct usrpci_host *host, const struct block *block);

/* Whether one of this name is mounted or had otherwise. */
bool block_is_used(struct usrpci_host *host, const char *name);

void block_close(struct block *block);

/*
 * Ends the service of a device, if it has one, and waits until the device was given back. Returns
 * whether there was one. Errors, logged: -EBUSY (it is in use, or does not end).
 */
int serve_end(struct usrpci_host *host, const struct usrpci_addr *addr);
