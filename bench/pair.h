/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Two network cards on one wire: one thread sends on the first and receives on the second.
 *
 * usage: PROGRAM count|rate DEVICE DEVICE
 *
 * "count" prints how many instructions of the driver a frame costs, for a machine whose TSC counts
 * instructions (QEMU's -icount shift=0). "rate" prints how long a frame takes when as many as
 * possible are sent.
 */

#include <string.h>
#include <unistd.h>

#include "measure.h"

#define PAIR_BATCH 32
#define PAIR_SIZE  60

/*
 * What a program implements: it takes buffers and fills them, gives those that the first card does
 * not take back, and gives back those that the second one received. The two calls of the driver
 * between them are counted; they return how many frames, PAIR_BATCH at most.
 */
static void pair_prepare(void);
static unsigned int pair_send(void);
static void pair_end_send(unsigned int sent);
static unsigned int pair_receive(void);
static void pair_end_receive(unsigned int received);

static const uint8_t pair_frame[PAIR_SIZE] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* to all */
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, /* from */
	0x88, 0xb5,                         /* a type for experiments, IEEE 802 */
};

#define PAIR_NAP_US 3000 /* until the device has moved a batch */
#define PAIR_ROUNDS 16   /* batches that fill the rings twice, so that all work is counted */
#define PAIR_GROUPS 12   /* the one with the fewest instructions counts */

static unsigned int pair_measure(unsigned int (*call)(void), uint64_t *instructions)
{
	uint64_t before = __builtin_ia32_rdtsc();
	unsigned int done = call();

	*instructions += __builtin_ia32_rdtsc() - before;
	return done;
}

static unsigned int pair_send_batch(uint64_t *instructions)
{
	unsigned int sent;

	pair_prepare();
	sent = pair_measure(pair_send, instructions);
	pair_end_send(sent);
	return sent;
}

static unsigned int pair_receive_batch(uint64_t *instructions)
{
	unsigned int received = pair_measure(pair_receive, instructions);

	pair_end_receive(received);
	return received;
}

static void pair_drain(void)
{
	uint64_t ignored = 0;

	do
		usleep(PAIR_NAP_US);
	while (pair_receive_batch(&ignored) > 0);
}

/* Leaves a group out in which a batch did not pass as a whole. */
static void pair_count(void)
{
	uint64_t least[2] = {UINT64_MAX, UINT64_MAX};

	for (unsigned int group = 0; group < PAIR_GROUPS; group++) {
		unsigned int frames = 0;
		uint64_t now[2] = {0};

		for (unsigned int i = 0; i < PAIR_ROUNDS; i++) {
			frames += pair_send_batch(&now[0]);
			usleep(PAIR_NAP_US);
			frames += pair_receive_batch(&now[1]);
		}
		pair_drain();
		for (unsigned int i = 0; i < 2 && frames == 2 * PAIR_ROUNDS * PAIR_BATCH; i++)
			least[i] = now[i] < least[i] ? now[i] : least[i];
	}
	require(least[0] != UINT64_MAX, "passing whole batches");
	printf("virtio_send_instructions %.2f\n", (double)least[0] / PAIR_ROUNDS / PAIR_BATCH);
	printf("virtio_receive_instructions %.2f\n", (double)least[1] / PAIR_ROUNDS / PAIR_BATCH);
}

static void pair_rate(void)
{
	double start = nanoseconds(), end;
	unsigned int frames = 0;
	uint64_t ignored = 0;

	do {
		for (unsigned int i = 0; i < 64; i++) {
			pair_send_batch(&ignored);
			frames += pair_receive_batch(&ignored);
		}
		end = nanoseconds();
	} while (end - start < 1e9);
	require(frames > 0, "receiving");
	printf("virtio_pair %.1f\n", (end - start) / frames);
}

static void pair_run(const char *mode)
{
	pair_drain();
	if (!strcmp(mode, "count"))
		pair_count();
	for (unsigned int i = 0; i < 5 && !strcmp(mode, "rate"); i++)
		pair_rate();
}
