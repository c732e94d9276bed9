/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Deadlines on the monotonic clock: a wait for a device ends, whatever the device does.
 */

#include <stdint.h>
#include <time.h>

/* Microseconds on the monotonic clock at which a wait has to end. */
typedef uint64_t deadline_t;

static inline uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline deadline_t deadline_in_ms(unsigned int ms)
{
	return now_us() + (uint64_t)ms * 1000;
}

/* Returns how many milliseconds are left, rounded up, for poll(2) and similar calls; 0: none. */
static inline int deadline_left_ms(deadline_t deadline)
{
	uint64_t now = now_us();

	return now >= deadline ? 0 : (int)((deadline - now + 999) / 1000);
}

static inline void nap_us(unsigned int us)
{
	struct timespec pause = {.tv_nsec = (long)us * 1000};

	nanosleep(&pause, NULL);
}
