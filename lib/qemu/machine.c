// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine: its start and end, the lock around its one qtest connection, and the watcher, a
 * thread that reads what QEMU reports while no command is under way. The watcher exists while a
 * device has interrupts enabled; it also tells those who wait for one that QEMU is gone.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

#define QTEST_TIMEOUT 20 /* seconds */

static void watch_socket(struct qemu *qemu, bool on)
{
	struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.fd = qemu->process.qtest};

	if (qemu->users > 0)
		epoll_ctl(qemu->watch_epoll, EPOLL_CTL_MOD, qemu->process.qtest, &event);
}

/* Replies are for the thread that waits for them: the watcher looks away meanwhile. */
void qemu_lock(struct qemu *qemu)
{
	pthread_mutex_lock(&qemu->lock);
	watch_socket(qemu, false);
}

void qemu_unlock(struct qemu *qemu)
{
	qemu_deliver_intx(qemu);
	watch_socket(qemu, true);
	pthread_mutex_unlock(&qemu->lock);
}

int qemu_lost(struct qemu *qemu, int error)
{
	static const char hint[] = "close the context and open a new one";
	char text[256];

	if (qemu->gone)
		return error;
	__atomic_store_n(&qemu->gone, true, __ATOMIC_RELEASE);
	qemu_message(&qemu->process, text, sizeof(text));
	if (error == -ENODEV)
		log_error(qemu->domain.ctx, "qemu", hint, "QEMU ended%s%s: its devices are gone",
			  *text ? ", saying: " : "", text);
	else
		report(qemu->domain.ctx, error, "qemu", hint, "QEMU does not answer");
	qemu_wake_all(qemu);
	return error;
}

static int check(struct qemu *qemu, int error)
{
	return error ? qemu_lost(qemu, error) : 0;
}

int qemu_read(struct qemu *qemu, enum qtest_space space, uint64_t address, unsigned int width,
	      uint64_t *value)
{
	return check(qemu, qtest_read(&qemu->qtest, space, address, width, value));
}

int qemu_write(struct qemu *qemu, enum qtest_space space, uint64_t address, unsigned int width,
	       uint64_t value)
{
	return check(qemu, qtest_write(&qemu->qtest, space, address, width, value));
}

int qemu_read_block(struct qemu *qemu, uint64_t address, void *bytes, size_t size)
{
	return check(qemu, qtest_read_block(&qemu->qtest, address, bytes, size));
}

static void *watch(void *data)
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
		qemu_lock(qemu);
		error = check(qemu, qtest_dispatch(&qemu->qtest));
		qemu_unlock(qemu);
	}
	return NULL;
}

static int add_watch(struct qemu *qemu, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(qemu->watch_epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Signals are for the program's own threads. */
static int start_watcher(struct qemu *qemu)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = -pthread_create(&qemu->watcher, NULL, watch, qemu);
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

void qemu_stop(struct qemu *qemu)
{
	qemu_process_end(&qemu->process);
	qemu_doorbell_free(qemu);
	qemu_ram_free(qemu);
	pthread_mutex_destroy(&qemu->lock);
	pthread_mutex_destroy(&qemu->watch_lock);
	free(qemu);
}

static int boot(struct qemu *qemu, const char *object)
{
	struct usrpci_ctx *ctx = qemu->domain.ctx;
	int error = qemu_ram_create(qemu, object);

	if (!error)
		error = qemu_process_spawn(ctx, object, qemu->ram, qemu->ram_size, &qemu->process);
	if (error)
		return error;
	error = qtest_init(&qemu->qtest, qemu->process.qtest, QTEST_TIMEOUT);
	return error ? error : qemu_map_config(qemu);
}

int qemu_start(struct usrpci_ctx *ctx, const char *object, struct qemu **result)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));
	int error;

	if (!qemu)
		return -ENOMEM;
	qemu->domain = (struct dma_domain){.ops = &domain_qemu, .ctx = ctx};
	qemu->ram = -1;
	qemu->process = QEMU_NO_PROCESS;
	pthread_mutex_init(&qemu->lock, NULL);
	pthread_mutex_init(&qemu->watch_lock, NULL);
	error = boot(qemu, object);
	if (error) {
		qemu_stop(qemu);
		return error;
	}
	*result = qemu;
	return 0;
}
