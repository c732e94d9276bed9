// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a driver asks of the kernel while it runs, inside the fuzzer: the monotonic clock, waiting,
 * event descriptors, and pages. Time passes at once, so a device which never answers costs
 * microseconds. Whoever waits without limit is found by this too: it would wait for ever.
 */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define STEP_MAX_US 50000
#define EVENT_FIRST (1 << 20) /* no descriptor of the system has such a number */
#define EVENTS      32
#define FUZZ_PAGE   4096

static uint64_t now_us = 1000000;
static unsigned int waits; /* since the device was last told something */

static struct event {
	bool open;
	uint64_t count;
} events[EVENTS];

uint64_t fake_time_us(void)
{
	return now_us;
}

void fake_time_begin(void)
{
	waits = 0;
}

/* The more often somebody waited in vain, the longer it takes: few waits make a second. */
static void pass(uint64_t step_us)
{
	unsigned int growth = waits++ / 4;

	step_us <<= growth < 16 ? growth : 16;
	now_us += step_us < STEP_MAX_US ? step_us : STEP_MAX_US;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	if (clock != CLOCK_MONOTONIC)
		return timespec_get(time, TIME_UTC) == TIME_UTC ? 0 : -1;
	now_us++;
	time->tv_sec = (time_t)(now_us / 1000000);
	time->tv_nsec = (long)(now_us % 1000000) * 1000;
	return 0;
}

int nanosleep(const struct timespec *pause, struct timespec *left)
{
	pass((uint64_t)pause->tv_sec * 1000000 + (uint64_t)pause->tv_nsec / 1000);
	return 0;
}

static struct event *event_of(int fd)
{
	struct event *event = fd >= EVENT_FIRST ? &events[fd - EVENT_FIRST] : NULL;

	HOLDS(!event || (fd < EVENT_FIRST + EVENTS && event->open));
	return event;
}

int eventfd(unsigned int count, int flags)
{
	for (int i = 0; i < EVENTS; i++) {
		if (events[i].open)
			continue;
		events[i] = (struct event){true, count};
		return EVENT_FIRST + i;
	}
	errno = EMFILE;
	return -1;
}

int eventfd_write(int fd, eventfd_t value)
{
	event_of(fd)->count += value;
	return 0;
}

int eventfd_read(int fd, eventfd_t *value)
{
	struct event *event = event_of(fd);

	*value = event->count;
	event->count = 0;
	if (*value)
		return 0;
	errno = EAGAIN;
	return -1;
}

int close(int fd)
{
	struct event *event = event_of(fd);

	if (!event)
		return (int)syscall(SYS_close, fd);
	event->open = false;
	return 0;
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int ready = 0;

	for (nfds_t i = 0; i < count; i++) {
		struct event *event = fds[i].fd < 0 ? NULL : event_of(fds[i].fd);

		fds[i].revents = event && event->count ? POLLIN : 0;
		ready += fds[i].revents != 0;
	}
	HOLDS(ready != 0 || timeout_ms >= 0);
	if (ready)
		pass(100); /* so that a storm of interrupts ends some time */
	else
		now_us += (uint64_t)timeout_ms * 1000;
	return ready;
}

/*
 * A page that was given back, for the next who asks for one: the kernel takes longer to make one.
 */
static void *spare_page;

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	void *page = spare_page;

	if (!page || address || size != FUZZ_PAGE || flags != (MAP_PRIVATE | MAP_ANONYMOUS))
		return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
	spare_page = NULL;
	return memset(page, 0, FUZZ_PAGE);
}

int munmap(void *address, size_t size)
{
	if (size != FUZZ_PAGE || spare_page)
		return (int)syscall(SYS_munmap, address, size);
	spare_page = address;
	return 0;
}

/* The advice is to take memory away that is not needed: it would soon be wanted again. */
int madvise(void *address, size_t size, int advice)
{
	return 0;
}
