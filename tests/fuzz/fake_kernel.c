// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a driver asks of the kernel while it runs, inside the fuzzer: the monotonic clock, waiting,
 * event and timer descriptors, random bytes, and pages. Time passes at once, so a device which
 * never answers costs microseconds. Whoever waits without limit is found by this too: it would wait
 * for ever.
 */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define STEP_MAX_US 50000
#define EVENT_FIRST (1 << 20) /* no descriptor of the system has such a number */
#define EVENTS      64
#define FUZZ_PAGE   4096

static uint64_t now_us = 1000000;
static unsigned int waits;  /* since the device was last told something */
static unsigned int storms; /* waits that ended at once, one after the other */

/* An event's descriptor, or one that waits for several of them. */
static struct event {
	bool open;
	uint64_t count;
	uint64_t expires;  /* a timer: when it does; 0: it does not run */
	uint64_t members;  /* a bit for each event that this waits for */
	uint64_t edges;    /* of these, those by whose edges it is woken */
	uint64_t news;     /* edges that nobody was told of */
	epoll_data_t data; /* what the one that waits for it is told */
} events[EVENTS];

uint64_t fake_time_us(void)
{
	return now_us;
}

void fake_time_begin(void)
{
	waits = 0;
}

static void pass_more(uint64_t step_us, unsigned int growth)
{
	step_us <<= growth < 16 ? growth : 16;
	now_us += step_us < STEP_MAX_US ? step_us : STEP_MAX_US;
}

/* The more often somebody waited in vain, the longer it takes: few waits make a second. */
static void pass(uint64_t step_us)
{
	pass_more(step_us, waits++ / 2);
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

/* So that a run can be repeated. */
ssize_t getrandom(void *buffer, size_t size, unsigned int flags)
{
	memset(buffer, 0x5a, size);
	return (ssize_t)size;
}

int sched_yield(void)
{
	pass(1);
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
		storms = i ? storms : 0;
		events[i] = (struct event){.open = true, .count = count};
		return EVENT_FIRST + i;
	}
	errno = EMFILE;
	return -1;
}

int epoll_create1(int flags)
{
	return eventfd(0, 0);
}

int epoll_ctl(int fd, int operation, int member, struct epoll_event *event)
{
	uint64_t bit = UINT64_C(1) << (member - EVENT_FIRST);

	HOLDS(operation == EPOLL_CTL_ADD && (event->events & ~EPOLLET) == EPOLLIN);
	event_of(member)->data = event->data;
	event_of(fd)->members |= bit;
	if (event->events & EPOLLET)
		event_of(fd)->edges |= bit;
	return 0;
}

/* Returns which event wakes who waits for this one; NULL: none does. */
static struct event *ready(struct event *event)
{
	uint64_t woken = event->members & (event->news | ~event->edges);

	for (int i = 0; i < EVENTS; i++)
		if (woken >> i & 1 && events[i].count)
			return &events[i];
	return event->count ? event : NULL;
}

int eventfd_write(int fd, eventfd_t value)
{
	event_of(fd)->count += value;
	for (int i = 0; i < EVENTS; i++)
		events[i].news |= events[i].edges & UINT64_C(1) << (fd - EVENT_FIRST);
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
	for (int i = 0; i < EVENTS; i++)
		events[i].members &= ~(UINT64_C(1) << (fd - EVENT_FIRST));
	return 0;
}

/* So many descriptors can be read, or time passes. */
static int waited(int count, int timeout_ms)
{
	HOLDS(count != 0 || timeout_ms >= 0);
	if (count) {
		pass_more(100, storms++ / 2); /* so that a storm of interrupts ends soon */
	} else {
		now_us += (uint64_t)timeout_ms * 1000;
		storms = 0;
	}
	return count;
}

int timerfd_create(int clock, int flags)
{
	return eventfd(0, 0);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *time, struct itimerspec *old)
{
	struct event *timer = event_of(fd);

	timer->count = 0;
	timer->expires = now_us + (uint64_t)time->it_value.tv_sec * 1000000 +
			 (uint64_t)time->it_value.tv_nsec / 1000;
	return 0;
}

static void expire(void)
{
	for (int i = 0; i < EVENTS; i++) {
		if (!events[i].open || !events[i].expires || events[i].expires > now_us)
			continue;
		events[i].expires = 0;
		eventfd_write(EVENT_FIRST + i, 1);
	}
}

/* Returns when the first timer that this waits for expires; UINT64_MAX: none runs. */
static uint64_t next_timer(const struct event *event)
{
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < EVENTS; i++)
		if (event->members >> i & 1 && events[i].expires && events[i].expires < next)
			next = events[i].expires;
	return next;
}

int epoll_wait(int fd, struct epoll_event *result, int room, int timeout_ms)
{
	uint64_t next = next_timer(event_of(fd));
	struct event *event;

	expire();
	event = ready(event_of(fd));
	if (!event && next != UINT64_MAX &&
	    (timeout_ms < 0 || next <= now_us + (uint64_t)timeout_ms * 1000)) {
		now_us = next;
		expire();
		event = ready(event_of(fd));
	}
	if (event) {
		*result = (struct epoll_event){EPOLLIN, event->data};
		event_of(fd)->news &= ~(UINT64_C(1) << (event - events));
	}
	return waited(event != NULL, timeout_ms);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int readable = 0;

	expire();
	for (nfds_t i = 0; i < count; i++) {
		fds[i].revents = fds[i].fd >= 0 && ready(event_of(fds[i].fd)) ? POLLIN : 0;
		readable += fds[i].revents != 0;
	}
	return waited(readable, timeout_ms);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

/*
 * Of the calls that have no function in the C library, membarrier(2) alone is played: there is no
 * other thread.
 */
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	return number == SYS_membarrier ? 0 : __real_syscall(number, a, b, c, d, e, f);
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
