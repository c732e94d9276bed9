// SPDX-License-Identifier: BSD-2-Clause
/*
 * What processes have mapped, see maps.h. Who changes what it has mapped may have to write to a
 * file first (mmap(2) with MAP_FIXED), and on a file system of its user's (FUSE) that ends when the
 * user likes. Until then the kernel lets nobody look, and only a signal that kills ends the wait.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "host.h"
#include "leased.h"
#include "unread.h"
#include "wait/maps.h"

#define LATE_S     5
#define SIZE_FIRST 16384

/* Of a request that is late, whoever comes second frees all. */
struct maps_reader {
	pthread_t thread;
	pid_t owner; /* a process that it has started has no such thread */
	sem_t asked, answered;
	atomic_bool first;    /* one of the two is done with the request */
	char path[PATH_SIZE]; /* "": the thread is to end */
	char *text;
	int error;
};

static int open_maps(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == EWOULDBLOCK && !strncmp(path, "/proc/", 6))
		return leased_open(path);
	return fd < 0 ? -errno : fd;
}

static int read_text(const char *path, char **text)
{
	AUTO_CLOSE int fd = open_maps(path);
	size_t size = SIZE_FIRST, length = 0;
	char *bytes = NULL, *grown;
	ssize_t got = 1;

	if (fd < 0)
		return fd;
	for (; got > 0; length += (size_t)got) {
		grown = bytes && length + 1 < size ? bytes : realloc(bytes, size *= 2);
		if (!grown) {
			free(bytes);
			return -ENOMEM;
		}
		bytes = grown;
		got = read(fd, bytes + length, size - 1 - length);
		if (got < 0) {
			free(bytes);
			return -errno;
		}
	}
	bytes[length] = '\0';
	*text = bytes;
	return 0;
}

static void free_reader(struct maps_reader *reader)
{
	sem_destroy(&reader->asked);
	sem_destroy(&reader->answered);
	free(reader->text);
	free(reader);
}

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore))
		;
}

static void *read_requests(void *data)
{
	struct maps_reader *reader = data;

	for (;;) {
		wait_for(&reader->asked);
		if (!reader->path[0])
			return NULL;
		reader->error = read_text(reader->path, &reader->text);
		if (atomic_exchange(&reader->first, true)) {
			free_reader(reader);
			return NULL;
		}
		sem_post(&reader->answered);
	}
}

/* No signal for this process is its own. */
static int start(struct maps_reader *reader)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&reader->thread, NULL, read_requests, reader);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static int get_reader(struct usrpci_host *host)
{
	struct maps_reader *reader;
	int error;

	if (host->maps && host->maps->owner == getpid())
		return 0;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	sem_init(&reader->asked, 0, 0);
	sem_init(&reader->answered, 0, 0);
	reader->owner = getpid();
	error = start(reader);
	if (error)
		free_reader(reader);
	else
		host->maps = reader;
	return error;
}

static bool answers(struct maps_reader *reader)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += LATE_S;
	while (sem_clockwait(&reader->answered, CLOCK_MONOTONIC, &end))
		if (errno != EINTR)
			return false;
	return true;
}

static int ask(struct usrpci_host *host, struct maps_reader *reader, char **text)
{
	atomic_store(&reader->first, false);
	sem_post(&reader->asked);
	if (!answers(reader)) {
		if (!atomic_exchange(&reader->first, true)) {
			pthread_detach(reader->thread);
			host->maps = NULL;
			return -ETIMEDOUT;
		}
		wait_for(&reader->answered);
	}
	*text = reader->text;
	reader->text = NULL;
	return reader->error;
}

int maps_read(struct usrpci_host *host, const char *task, char **text)
{
	int error = get_reader(host);

	*text = NULL;
	error = error ?: path_format(host->ctx, host->maps->path, "/proc/%s/maps", task);
	return note_unread(host->ctx, "/proc", error ?: ask(host, host->maps, text));
}

void maps_end(struct usrpci_host *host)
{
	struct maps_reader *reader = host->maps;

	host->maps = NULL;
	if (!reader || reader->owner != getpid())
		return;
	reader->path[0] = '\0';
	sem_post(&reader->asked);
	pthread_join(reader->thread, NULL);
	free_reader(reader);
}
