// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads a disk through a NetBSD driver on a PCI device of this host (ld(4) on virtio), by its raw
 * device, in pieces of 64 KiB, into pages that are not neighbours, and compares each piece with
 * pattern.h's data.
 *
 *	USRPCI_RUMP_PORTS=1 disk local /dev/rld0d BYTES
 *	USRPCI_RUMP_PORTS=1 disk serve unix:///run/disk.sock
 *	RUMP_SERVER=unix:///run/disk.sock disk_client remote /dev/rld0d BYTES
 *
 * disk_client is this file, linked with librumpclient alone and -DREMOTE.
 */

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rump/rump.h>
#include <rump/rump_syscalls.h>

#include "pattern.h"
#ifdef REMOTE
#include <rump/rumpclient.h>
#else
#include "serve.h"
#endif

#define PIECE (64 << 10)
#define PAGE  4096

/* Pages in use, touched in an order of their own: the host gives them from wherever it likes. */
static uint8_t *scattered_buffer(void)
{
	uint8_t *buffer = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

	if (buffer == MAP_FAILED)
		err(1, "mmap");
	madvise(buffer, PIECE, MADV_NOHUGEPAGE);
	for (unsigned int i = 0; i < PIECE / PAGE; i++)
		memset(buffer + (i * 7 % (PIECE / PAGE)) * PAGE, 0xa5, PAGE);
	return buffer;
}

static int read_and_compare(const char *device, size_t bytes)
{
	uint8_t *buffer = scattered_buffer();
	unsigned int pieces = 0, bad = 0;
	int fd = rump_sys_open(device, 0);

	if (fd < 0)
		err(1, "%s", device);
	for (size_t at = 0; at < bytes; at += PIECE, pieces++) {
		memset(buffer, 0xa5, PIECE);
		if (rump_sys_pread(fd, buffer, PIECE, (off_t)at) != PIECE)
			err(1, "%s: read at %zu", device, at);
		if (!pattern_matches(at, buffer, PIECE))
			bad++;
	}
	rump_sys_close(fd);
	printf("%u pieces read, %u bad\n", pieces, bad);
	return bad ? 1 : 0;
}

#ifdef REMOTE
static void start(void)
{
	if (rumpclient_init())
		err(1, "%s", getenv("RUMP_SERVER"));
}
#else
static void start(void)
{
	if (rump_init())
		errx(1, "the rump kernel does not start");
}
#endif

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s local|remote DEVICE BYTES | serve URL\n", argv[0]);
		return 2;
	}
	start();
#ifndef REMOTE
	if (!strcmp(argv[1], "serve"))
		serve(argv[2]);
#endif
	return read_and_compare(argv[2], argc > 3 ? strtoul(argv[3], NULL, 0) : PIECE);
}
