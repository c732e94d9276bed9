// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads or writes a disk through a NetBSD driver on a PCI device of this host (ld(4) on virtio), by
 * its raw device, in pieces of 64 KiB, in pages that are not neighbours. What is written is
 * pattern.h's data, and what is read is compared with it.
 *
 *	USRPCI_RUMP_PORTS=1 disk read /dev/rld0d BYTES
 *	USRPCI_RUMP_PORTS=1 disk write /dev/rld0d BYTES
 *	USRPCI_RUMP_PORTS=1 disk serve unix:///run/disk.sock
 *	RUMP_SERVER=unix:///run/disk.sock disk_client read /dev/rld0d BYTES
 *
 * disk_client is this file, linked with librumpclient alone and -DREMOTE.
 */

#define _GNU_SOURCE
#include <err.h>
#include <stdbool.h>
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

/* Pages that are neighbours nowhere but here: each is moved to where another one would be. */
static uint8_t *scattered_buffer(void)
{
	const int access = PROT_READ | PROT_WRITE, kind = MAP_PRIVATE | MAP_ANONYMOUS;
	uint8_t *from = mmap(NULL, PIECE, access, kind, -1, 0);
	uint8_t *buffer = mmap(NULL, PIECE, access, kind, -1, 0);

	if (from == MAP_FAILED || buffer == MAP_FAILED)
		err(1, "mmap");
	madvise(from, PIECE, MADV_NOHUGEPAGE);
	memset(from, 0xa5, PIECE);
	for (unsigned int i = 0; i < PIECE / PAGE; i++)
		if (mremap(from + i * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   buffer + i * 7 % (PIECE / PAGE) * PAGE) == MAP_FAILED)
			err(1, "mremap");
	return buffer;
}

static bool write_piece(int fd, uint8_t *buffer, size_t at)
{
	memcpy(buffer, pattern_at(at), PIECE);
	return rump_sys_pwrite(fd, buffer, PIECE, (off_t)at) == PIECE;
}

static bool read_piece(int fd, uint8_t *buffer, size_t at)
{
	memset(buffer, 0xa5, PIECE);
	return rump_sys_pread(fd, buffer, PIECE, (off_t)at) == PIECE;
}

static int transfer(const char *device, bool writing, size_t bytes)
{
	uint8_t *buffer = scattered_buffer();
	unsigned int pieces = 0, bad = 0;
	int fd = rump_sys_open(device, RUMP_O_RDWR);

	if (fd < 0)
		err(1, "%s", device);
	for (size_t at = 0; at < bytes; at += PIECE, pieces++) {
		if (!(writing ? write_piece : read_piece)(fd, buffer, at))
			err(1, "%s: at %zu", device, at);
		if (!pattern_matches(at, buffer, PIECE))
			bad++;
	}
	rump_sys_close(fd);
	printf("%u pieces %s, %u bad\n", pieces, writing ? "written" : "read", bad);
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
	const char *what = argc > 2 ? argv[1] : "";
	bool writing = !strcmp(what, "write");

	if (!writing && strcmp(what, "read") && strcmp(what, "serve")) {
		fprintf(stderr, "usage: %s read|write DEVICE BYTES | serve URL\n", argv[0]);
		return 2;
	}
	start();
#ifndef REMOTE
	if (!strcmp(what, "serve"))
		serve(argv[2]);
#endif
	return transfer(argv[2], writing, argc > 3 ? strtoul(argv[3], NULL, 0) : PIECE);
}
