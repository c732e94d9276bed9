// SPDX-License-Identifier: BSD-2-Clause
/*
 * A relay between a backend's interrupts and the driver. A thread takes each interrupt and passes
 * it on to a descriptor of its own, as often as the plan says. So a program that polls descriptors
 * does not see the interrupts that are lost, whatever it polls with.
 */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "fault/fault.h"

#define LOG_SUBJECT "fault"
#include "log.h"

#define AGAIN_MS 1 /* between an interrupt and its copy */

static void pass_on(struct fault_relay *relay, unsigned int vector)
{
	const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000};

	for (unsigned int copies = relay->copies(relay->data); copies > 0; copies--) {
		eventfd_write(relay->fds[vector], 1);
		if (copies > 1)
			nanosleep(&pause, NULL);
	}
}

static void take(struct fault_relay *relay, unsigned int vector)
{
	int count = relay->inner->irq_take(relay->dev, relay->type, vector);

	for (; count > 0; count--)
		pass_on(relay, vector);
	if (count != -ENODEV)
		return;
	__atomic_store_n(&relay->gone, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < relay->count; i++)
		eventfd_write(relay->fds[i], 1);
}

static void *fault_irq_run(void *data)
{
	struct fault_relay *relay = data;
	struct pollfd *stop = &relay->pollers[relay->count];

	while (!relay->gone && (poll(relay->pollers, relay->count + 1, -1) > 0 || errno == EINTR) &&
	       !stop->revents)
		for (unsigned int i = 0; i < relay->count; i++)
			if (relay->pollers[i].revents)
				take(relay, i);
	return NULL;
}

static void close_relay(struct fault_relay *relay)
{
	for (unsigned int i = 0; relay->fds && i < relay->made; i++)
		close(relay->fds[i]);
	free(relay->fds);
	free(relay->pollers);
	relay->fds = NULL;
	relay->pollers = NULL;
}

/* Makes a descriptor for each vector, and one that stops the relay. */
static int open_relay(struct fault_relay *relay)
{
	relay->fds = malloc((relay->count + 1) * sizeof(*relay->fds));
	relay->pollers = calloc(relay->count + 1, sizeof(*relay->pollers));
	if (!relay->fds || !relay->pollers)
		return -ENOMEM;
	for (unsigned int i = 0; i <= relay->count; i++) {
		relay->fds[i] = eventfd(0, EFD_CLOEXEC);
		if (relay->fds[i] < 0)
			return -errno;
		relay->made++;
		relay->pollers[i].events = POLLIN;
		relay->pollers[i].fd = i == relay->count
					       ? relay->fds[i]
					       : relay->inner->irq_fd(relay->dev, relay->type, i);
	}
	return 0;
}

int fault_relay_start(struct fault_relay *relay)
{
	int error = open_relay(relay)
			    ?: -pthread_create(&relay->thread, NULL, fault_irq_run, relay);

	if (!error)
		return 0;
	close_relay(relay);
	return report(relay->dev->ctx, error, relay->dev->name, NULL,
		      "cannot stand between its interrupts and the driver");
}

void fault_relay_stop(struct fault_relay *relay)
{
	eventfd_write(relay->fds[relay->count], 1);
	pthread_join(relay->thread, NULL);
	close_relay(relay);
}

int fault_relay_take(struct fault_relay *relay, unsigned int vector)
{
	eventfd_t count;

	if (eventfd_read(relay->fds[vector], &count))
		return -errno;
	if (__atomic_load_n(&relay->gone, __ATOMIC_ACQUIRE))
		return -ENODEV;
	return count > INT_MAX ? INT_MAX : (int)count;
}
