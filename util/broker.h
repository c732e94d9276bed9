/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The protocol between a program that devices are lent to (lib/lent.c) and the broker, "usrpci
 * run" (host/lend/serve.c), on a UNIX socket that keeps messages whole (SOCK_SEQPACKET).
 *
 * The program inherits one socket, whose descriptor USRPCI_BROKER names. On it each context says
 * hello and is answered with a socket of its own; everything else goes over that one. One request
 * is under way at a time, and each has one reply. A file is passed with its reply. The broker drops
 * a peer that does not keep to this.
 *
 * What a program can do with a file it can still do after the loan, if it has passed the file on.
 * So it gets none that writes to configuration space or resets the device: the broker does both.
 */

#include <stddef.h>
#include <stdint.h>

#define BROKER_ENV     "USRPCI_BROKER"
#define BROKER_MAGIC   UINT32_C(0x69637072)
#define BROKER_VERSION 2

/* Bytes of a path with its zero. */
#define BROKER_PATH_SIZE 96

enum broker_op {
	BROKER_HELLO = 1, /* a socket of its own */
	BROKER_OPEN,      /* path: a file of a device that was lent; configuration space to read */
	BROKER_PAGE,      /* page_size, node: a huge page, with its file */
	BROKER_FREE,      /* page_size, offset: takes a page back */
	BROKER_CONFIG,    /* path, offset, width, value: writes to configuration space */
	BROKER_RESET,     /* path: resets the device */
};

struct broker_request {
	uint32_t magic;
	uint16_t version;
	uint16_t op;
	union {
		uint64_t page_size; /* bytes */
		uint64_t width;     /* of a register: 1, 2 or 4 bytes */
	};
	uint64_t offset; /* in the file of that page size, or in configuration space */
	int32_t node;    /* -1: any */
	uint32_t value;  /* for configuration space, its low byte first there */
	char path[BROKER_PATH_SIZE];
};

struct broker_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t has_file;
	int32_t error; /* 0 or a negative errno */
	int32_t node;  /* of the page; -1 unknown */
	uint64_t offset;
	uint64_t pa; /* physical address of the page */
};

_Static_assert(sizeof(struct broker_request) == 128, "layout of a request");
_Static_assert(sizeof(struct broker_reply) == 32, "layout of a reply");

/*
 * Sends a message of a fixed size, with a file unless fd is negative. Returns 0 or a negative
 * errno.
 */
int broker_send(int socket, const void *message, size_t size, int fd);

/*
 * Receives a message of exactly size bytes and at most one file (-1 when there is none). With NULL
 * for fd no file may come with it, and this process never has one that does: to close a file can
 * take as long as its server likes. Returns 0, -EPIPE (the peer is gone), -EPROTO (any other
 * message), or a negative errno.
 */
int broker_receive(int socket, void *message, size_t size, int *fd);
