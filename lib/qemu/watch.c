// SPDX-License-Identifier: BSD-2-Clause
/*
 * The lock around the one qtest connection, and the watcher: a thread that reads QEMU's reports
 * while no command is under way. It exists while a device has interrupts enabled, and also wakes
 * those who wait for an interrupt when QEMU is gone.
 */

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "qemu/qemu.h"

static void watch_socket(struct qemu *qemu, bool on)
{
	struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.fd = qemu->process.qtest};

	if (qemu->users > 0)
		epoll_ctl(qemu->watch_epoll, EPOLL_CTL_MOD, qemu->process.qtest, &event);
}

/* While a thread is inside, replies are for that thread and the watcher ignores the socket. */
void qemu_enter(struct qemu *qemu)
{
	pthread_mutex_lock(&qemu->lock);
	watch_socket(qemu, false);
}

void qemu_leave(struct qemu *qemu)
{
	qemu_intx_deliver(qemu);
	watch_socket(qemu, true);
	pthread_mutex_unlock(&qemu->lock);
}

static void *qemu_watch_run(void *data)
{
	struct qemu *qemu = data;
	struct epoll_event event;
	int count, error = 0;

	while (!error) {
		count = epoll_wait(qemu->watch_epoll, &event, 1, -1);
		if (count < 1)
			continue;
		if (event.data.fd == qemu->watch_stop)
			break;
		qemu_enter(qemu);
		error = qtest_dispatch(&qemu->qtest);
		if (error)
			qemu_lost(qemu, "qemu", error);
		qemu_leave(qemu);
	}
	return NULL;
}

static int add_watch(struct qemu *qemu, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(qemu->watch_epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* The watcher blocks all signals: they are for the program's own threads. */
static int start_watcher(struct qemu *qemu)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = -pthread_create(&qemu->watcher, NULL, qemu_watch_run, qemu);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

static void close_watch(struct qemu *qemu)
{
	if (qemu->watch_epoll >= 0)
		close(qemu->watch_epoll);
	if (qemu->watch_stop >= 0)
		close(qemu->watch_stop);
}

static int open_watch(struct qemu *qemu)
{
	int error;

	qemu->watch_epoll = epoll_create1(EPOLL_CLOEXEC);
	qemu->watch_stop = eventfd(0, EFD_CLOEXEC);
	if (qemu->watch_epoll < 0 || qemu->watch_stop < 0)
		error = -errno;
	else
		error = add_watch(qemu, qemu->watch_stop);
	if (!error)
		error = add_watch(qemu, qemu->process.qtest);
	if (!error)
		error = start_watcher(qemu);
	if (error)
		close_watch(qemu);
	return error;
}

int qemu_watch(struct qemu *qemu)
{
	int error = 0;

	pthread_mutex_lock(&qemu->watch_lock);
	if (qemu->users == 0)
		error = open_watch(qemu);
	if (!error) {
		pthread_mutex_lock(&qemu->lock);
		qemu->users++;
		pthread_mutex_unlock(&qemu->lock);
	}
	pthread_mutex_unlock(&qemu->watch_lock);
	return error;
}

void qemu_unwatch(struct qemu *qemu)
{
	pthread_mutex_lock(&qemu->watch_lock);
	pthread_mutex_lock(&qemu->lock);
	qemu->users--;
	pthread_mutex_unlock(&qemu->lock);
	if (qemu->users == 0) {
		eventfd_write(qemu->watch_stop, 1);
		pthread_join(qemu->watcher, NULL);
		close_watch(qemu);
	}
	pthread_mutex_unlock(&qemu->watch_lock);
}
