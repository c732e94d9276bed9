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

/* Of a function that checks and is no subject: nothing is watched in it, which would cost time. */
#define UNCOVERED __attribute__((no_sanitize("coverage", "address", "undefined")))

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

/* A directory that stands for a host of which nothing is read from there. */
static inline const char *fuzz_root(void)
{
	const char *directory = getenv("TMPDIR");

	return directory ? directory : "/tmp";
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* fake_kernel.c: microseconds that passed by sleeping, waiting and looking at the clock. */
uint64_t fake_time_us(void);

/* The device was told something new: what waits for it asks often again. */
void fake_time_begin(void);

/*
 * fake_files.c: what reading below the context's root finds. Paths, bytes and targets are the
 * caller's and stay.
 */
void fake_file(const char *path, const void *bytes, size_t size);
void fake_link(const char *path, const char *target);

/* Configuration space of some network card. */
void fake_header(const char *path);

/* Takes the input's next part, which ends with a byte that text does not have. */
static inline struct input take_part(struct input *input)
{
	const uint8_t *end = memchr(input->bytes, 0xfe, input->size);
	struct input part = {input->bytes, end ? (size_t)(end - input->bytes) : input->size};

	input->bytes += part.size + (end != NULL);
	input->size -= part.size + (end != NULL);
	return part;
}

static inline void take_file(struct input *input, const char *path)
{
	struct input part = take_part(input);

	fake_file(path, part.bytes, part.size);
}

#endif
