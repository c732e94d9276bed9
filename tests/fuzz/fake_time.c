// SPDX-License-Identifier: BSD-2-Clause
/*
 * Time that passes at once: the monotonic clock, nanosleep(2) and poll(2) of a fuzzer, so that a
 * device which never answers costs microseconds. Whoever waits without limit is found by this too:
 * it would wait for ever.
 */

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

static uint64_t now_us = 1000000;

uint64_t fake_time_us(void)
{
	return now_us;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	if (clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, time);
	now_us++;
	time->tv_sec = (time_t)(now_us / 1000000);
	time->tv_nsec = (long)(now_us % 1000000) * 1000;
	return 0;
}

int nanosleep(const struct timespec *pause, struct timespec *left)
{
	now_us += (uint64_t)pause->tv_sec * 1000000 + (uint64_t)pause->tv_nsec / 1000;
	return 0;
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct timespec none = {0};
	long ready = syscall(SYS_ppoll, fds, count, &none, NULL, (size_t)_NSIG / 8);

	HOLDS(ready != 0 || timeout_ms >= 0);
	now_us += 100; /* so that a storm of interrupts ends some time */
	if (ready == 0)
		now_us += (uint64_t)timeout_ms * 1000;
	return (int)ready;
}
