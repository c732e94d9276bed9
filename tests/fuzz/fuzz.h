/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_FUZZ_H
#define USRPCI_TESTS_FUZZ_H

/*
 * A fuzzer's input as a stream of numbers, zeros when it has come to its end; and what a fuzzer
 * says that found something.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <usrpci/ctx.h>

struct input {
	const uint8_t *bytes;
	size_t size;
};

/* Takes 1 to 4 bytes. */
static inline uint32_t take(struct input *input, size_t size)
{
	uint32_t value = 0;

	if (size > input->size)
		size = input->size;
	memcpy(&value, input->bytes, size);
	input->bytes += size;
	input->size -= size;
	return value;
}

#define HOLDS(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

static struct usrpci_ctx *fuzz_only_ctx;

static inline void fuzz_close_ctx(void)
{
	usrpci_ctx_close(fuzz_only_ctx);
}

/* A context for all inputs: its making and its end cost more than most of them. */
static inline struct usrpci_ctx *fuzz_ctx(void)
{
	if (!fuzz_only_ctx) {
		HOLDS(usrpci_ctx_open(NULL, &fuzz_only_ctx) == 0);
		HOLDS(atexit(fuzz_close_ctx) == 0);
	}
	return fuzz_only_ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* fake_time.c: microseconds that passed by sleeping, waiting and looking at the clock. */
uint64_t fake_time_us(void);

#endif
