/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A client of QEMU's qtest protocol: one line a command, one line a reply, and between them, at any
 * time, lines that say that an interrupt line changed. A connection is used by one thread at a
 * time; the caller has the lock. Nothing here logs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that qtest_read_block() moves at most. */
#define QTEST_BLOCK 1024

enum qtest_space {
	QTEST_MEMORY,
	QTEST_IO,
};

struct qtest {
	int fd; /* a connected stream socket, owned by the caller */
	void (*irq)(void *data, unsigned int line, bool raised);
	void *irq_data;
	int error;   /* what ended the conversation: every later command returns it */
	size_t used; /* bytes in buffer that do not make a whole line yet */
	char buffer[2 * QTEST_BLOCK + 64];
};

/* Replies that take longer end the conversation with -ETIMEDOUT. */
int qtest_init(struct qtest *qtest, int fd, unsigned int timeout_seconds);

/*
 * Accesses of 1, 2 or 4 bytes, in memory 8 too. Errors: -ENODEV (QEMU is gone); -ETIMEDOUT; -EPROTO
 * (QEMU refused the command or answered something else).
 */
int qtest_read(struct qtest *qtest, enum qtest_space space, uint64_t address, unsigned int width,
	       uint64_t *value);
int qtest_write(struct qtest *qtest, enum qtest_space space, uint64_t address, unsigned int width,
		uint64_t value);

/* Reads size bytes of memory, as they lie there. size <= QTEST_BLOCK. Errors: as qtest_read(). */
int qtest_read_block(struct qtest *qtest, uint64_t address, void *bytes, size_t size);

/* Interrupt lines into the I/O APIC are from now on reported to irq(), not to the processor. */
int qtest_intercept_ioapic(struct qtest *qtest);

/* Handles reports of interrupt lines that wait in the socket. Errors: -ENODEV; -EPROTO. */
int qtest_dispatch(struct qtest *qtest);
