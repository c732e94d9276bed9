// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts for the rump kernel: rumpcomp_pci_irq_map() and _irq_establish().
 *
 * One host thread a device waits for INTx, becomes a kernel thread, and calls the handlers that the
 * drivers established. The interrupt stays masked until all of them are done, as a level-triggered
 * line demands. There is no way back: NetBSD's rump kernel cannot take an interrupt handler away.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <usrpci/rump.h>

#include "hypercall.h"
#include "layout.h"

/* One driver's wish for a device's interrupts. Never freed. */
struct rump_handler {
	struct rump_handler *next_cookie;    /* all of them */
	_Atomic(struct rump_handler *) next; /* established ones of the same device */
	struct rump_function *function;
	unsigned int cookie;
	int (*handler)(void *);
	void *arg;
};

struct rump_interrupt {
	struct rump_function *function;
	_Atomic(struct rump_handler *) handlers;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rump_handler *cookies;
static void (*_Atomic after_interrupt)(void);
static void (*_Atomic when_gone)(void);

int rumpcomp_pci_irq_map(unsigned int bus, unsigned int device, unsigned int number, int line,
			 unsigned int cookie)
{
	struct rump_function *function = rump_function(bus, device, number);
	struct rump_handler *new;

	(void)line;
	if (!function || usrpci_irq_count(function->dev, USRPCI_IRQ_INTX) < 1)
		return rumpuser_component_errtrans(ENXIO);
	function->taken = true;
	new = calloc(1, sizeof(*new));
	if (!new)
		return rumpuser_component_errtrans(ENOMEM);
	new->function = function;
	new->cookie = cookie;
	pthread_mutex_lock(&lock);
	new->next_cookie = cookies;
	cookies = new;
	pthread_mutex_unlock(&lock);
	return 0;
}

void usrpci_rump_after_interrupt(void (*call)(void))
{
	after_interrupt = call;
}

void usrpci_rump_when_gone(void (*call)(void))
{
	when_gone = call;
}

/* Returns whether somebody was told. */
static bool tell_gone(void)
{
	void (*told)(void) = when_gone;

	if (told)
		told();
	return told;
}

/*
 * NetBSD's interrupts take the kernel's lock for a handler, and librumpdev_pci leaves that to its
 * host. A SCSI command that was done before who sent it slept would else be waited for for ever.
 */
static void call_handlers(struct rump_interrupt *interrupt)
{
	void (*then)(void);

	rumpuser_component_schedule(NULL);
	rumpns__kernel_lock(1);
	for (struct rump_handler *one = interrupt->handlers; one; one = one->next)
		one->handler(one->arg);
	rumpns__kernel_unlock(1, NULL);
	then = after_interrupt;
	if (then)
		then();
	rumpuser_component_unschedule();
}

/*
 * A thread that wakes up takes the processor from the one that runs: here from one that is in the
 * rump kernel, for whose virtual processor this thread then has to wait. As a batch thread it comes
 * when that one sleeps or its time is up, or at once where a processor is idle. Real-time
 * priorities, which threads inherit, are the user's wish and stay.
 */
static void do_not_preempt(void)
{
	struct sched_param parameters;
	int policy;

	if (!pthread_getschedparam(pthread_self(), &policy, &parameters) && policy == SCHED_OTHER)
		pthread_setschedparam(pthread_self(), SCHED_BATCH, &parameters);
}

static void *interrupt_thread(void *arg)
{
	struct rump_interrupt *interrupt = arg;
	struct usrpci_dev *dev = interrupt->function->dev;
	int got;

	do_not_preempt();
	rumpuser_component_kthread();
	do {
		got = usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, -1);
		if (got > 0) {
			call_handlers(interrupt);
			got = usrpci_irq_unmask(dev, USRPCI_IRQ_INTX, 0);
		}
	} while (got >= 0 || got == -EINTR);
	if (!tell_gone())
		rump_message("%s: interrupts end: %s", usrpci_dev_name(dev), strerror(-got));
	return NULL;
}

/* Whoever unplugs or unbinds the device waits for this process: NetBSD's drivers cannot let go. */
static void *request_thread(void *arg)
{
	struct usrpci_dev *dev = arg;

	if (usrpci_irq_wait(dev, USRPCI_IRQ_REQUEST, 0, -1) > 0 && !tell_gone())
		rump_message(
			"%s: the host wants the device back, and waits until this program ends",
			usrpci_dev_name(dev));
	return NULL;
}

/* Signals are the program's: none may be delivered to a thread that it does not know. */
static int start_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	sigset_t all, before;
	int error;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV); /* ports.c */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		pthread_detach(thread);
	return -error;
}

static void watch_requests(struct usrpci_dev *dev)
{
	if (usrpci_irq_count(dev, USRPCI_IRQ_REQUEST) > 0 &&
	    !usrpci_irq_enable(dev, USRPCI_IRQ_REQUEST, 1))
		start_thread(request_thread, dev);
}

/* Called with the lock held. */
static int start_interrupt(struct rump_function *function, struct rump_handler *first)
{
	struct rump_interrupt *new = calloc(1, sizeof(*new));
	int error;

	if (!new)
		return -ENOMEM;
	new->function = function;
	new->handlers = first;
	error = usrpci_irq_enable(function->dev, USRPCI_IRQ_INTX, 1);
	if (error)
		goto free_interrupt;
	error = start_thread(interrupt_thread, new);
	if (error)
		goto disable_interrupt;
	function->interrupt = new;
	watch_requests(function->dev);
	return 0;

disable_interrupt:
	usrpci_irq_disable(function->dev, USRPCI_IRQ_INTX);
free_interrupt:
	free(new);
	return error;
}

static int establish(struct rump_handler *one)
{
	struct rump_interrupt *interrupt = one->function->interrupt;

	if (!interrupt)
		return start_interrupt(one->function, one);
	one->next = interrupt->handlers;
	interrupt->handlers = one;
	return 0;
}

void *rumpcomp_pci_irq_establish(unsigned int cookie, int (*handler)(void *), void *arg)
{
	struct rump_handler *one;
	int error = -ENOENT;

	pthread_mutex_lock(&lock);
	for (one = cookies; one && one->cookie != cookie;)
		one = one->next_cookie;
	/* pci_intr_map() hides that rumpcomp_pci_irq_map() failed, so unknown cookies do come. */
	if (one && !one->handler) {
		one->handler = handler;
		one->arg = arg;
		error = establish(one);
		if (error)
			one->handler = NULL;
	}
	pthread_mutex_unlock(&lock);
	if (error)
		rump_message("interrupt %u cannot be established: %s", cookie, strerror(-error));
	return error ? NULL : one;
}
