/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What all measured programs share: the clock, and many short batches, of which the shortest
 * counts, so that moments in which the machine does something else do not count. Each program
 * prints lines "KEY NANOSECONDS", which bench/run collects.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MEASURE_NS 80e6 /* spent on one figure, so that some batches have the processor alone */

/* The workload of the row "random": live blocks of these sizes, bytes. */
#define RANDOM_LIVE 2000
#define RANDOM_MIN  64
#define RANDOM_MAX  8192

#define TRANSLATIONS 1024 /* pointers to be translated */
#define POOL_BUFFERS 4095
#define POOL_SIZE    2048
#define POOL_BULK    32

static inline double nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The same numbers for everybody (G. Marsaglia, "Xorshift RNGs", 2003). */
static inline uint32_t draw(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static inline size_t draw_size(uint32_t *seed)
{
	return RANDOM_MIN + draw(seed) % (RANDOM_MAX - RANDOM_MIN + 1);
}

/* Runs batches of n rounds, each of some operations, and prints what one operation takes. */
static inline void measure(const char *key, void (*batch)(void *data, unsigned int n), void *data,
			   unsigned int n, unsigned int operations)
{
	double begin = nanoseconds(), shortest = 0, start;

	batch(data, n);
	do {
		double took;

		start = nanoseconds();
		batch(data, n);
		took = nanoseconds() - start;
		shortest = shortest == 0 || took < shortest ? took : shortest;
	} while (start - begin < MEASURE_NS);
	printf("%s %.4f\n", key, shortest / n / operations);
}

static inline void require(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench: %s failed\n", what);
	exit(1);
}

/* Keeps the compiler from removing a value that nothing uses. */
#define consume(value) __asm__ volatile("" : : "r"(value))
