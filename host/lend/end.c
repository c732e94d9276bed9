// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ends the processes of a program that devices are lent to. The kernel kills them when the first of
 * their namespace ends. A process of the same user outside of it may trace one of them: that one
 * is then kept before its end, until it is killed once more, or after it, when it has nothing of a
 * device any more (ptrace(2)).
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "lend/lend.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define END_MS  30000
#define LOOK_MS 300 /* most end sooner, and looking takes time from those that are to end */

struct look {
	struct lend *lend;
	bool any; /* a process has not ended */
};

/* Closes the descriptor of a namespace. True when it is that of the program, or one below it. */
static bool is_within(int fd, ino_t space)
{
	struct stat status;
	bool within = false;

	while (fd >= 0 && !within) {
		int above;

		within = !fstat(fd, &status) && status.st_ino == space;
		above = within ? -1 : ioctl(fd, NS_GET_PARENT);
		close(fd);
		fd = above;
	}
	return within;
}

/* A thread that is gone has ended as well. */
static bool thread_has_ended(const struct usrpci_ctx *ctx, const char *pid, const char *thread)
{
	char text[512];
	const char *at;

	if (file_read(ctx, text, sizeof(text), "/proc/%s/task/%s/stat", pid, thread) < 0)
		return true;
	at = strrchr(text, ')');
	return at && at[1] && strchr("ZX", at[2]);
}

static bool has_ended(const struct usrpci_ctx *ctx, const char *pid)
{
	AUTO_FREE char **threads = NULL;
	int count = dir_list(ctx, &threads, "/proc/%s/task", pid);
	bool ended = count != -ENOMEM;

	for (int i = 0; ended && i < count; i++)
		ended = thread_has_ended(ctx, pid, threads[i]);
	return ended;
}

static int end_process(void *data, const char *pid)
{
	struct look *look = data;
	struct lend *lend = look->lend;
	AUTO_CLOSE int process = -1;

	if (atoi(pid) == lend->first)
		return 0;
	process = file_open(lend->host->ctx, O_RDONLY | O_DIRECTORY, "/proc/%s", pid);
	if (process < 0 ||
	    !is_within(openat(process, "ns/pid", O_RDONLY | O_CLOEXEC), lend->space) ||
	    has_ended(lend->host->ctx, pid))
		return 0;
	look->any = true;
	syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
	return 0;
}

/* Kills those once more that have not ended. True when there are none. */
static bool all_have_ended(struct lend *lend)
{
	struct look look = {.lend = lend};
	int error = host_each_process(lend->host, end_process, &look);

	return !error && !look.any && !lend->server;
}

/* The first process ends when all others have, and the program is this process's to wait for. */
static bool wait_for_all(struct lend *lend)
{
	uint64_t now = clock_ms(), end = now + END_MS, look = now + LOOK_MS;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 || errno != ECHILD) {
		if (pid > 0 && pid == lend->server)
			lend->server = 0;
		now = clock_ms();
		if (now >= end)
			return false;
		if (pid > 0) /* the program can make its processes this one's children, clone(2) */
			continue;
		if (now >= look && all_have_ended(lend))
			return true;
		if (now >= look)
			look = clock_ms() + LOOK_MS;
		sleep_ms(1);
	}
	return true;
}

void lend_come_first(struct lend *lend)
{
	const struct sched_param above = {sched_get_priority_max(SCHED_FIFO)};

	if (lend->policy < 0) {
		lend->policy = sched_getscheduler(0);
		sched_getparam(0, &lend->priority);
	}
	sched_setscheduler(0, SCHED_FIFO, &above);
	if (lend->first > 0)
		sched_setscheduler(lend->first, SCHED_FIFO, &above);
}

void lend_end_all(struct lend *lend)
{
	lend_come_first(lend);
	if (lend->server > 0)
		kill(lend->server, SIGKILL);
	if (lend->first > 0)
		kill(lend->first, SIGKILL);
	lend->outlived = !wait_for_all(lend);
	sched_setscheduler(0, lend->policy, &lend->priority);
	lend->policy = -1;
	if (lend->lives >= 0)
		close(lend->lives);
	lend->lives = -1;
	lend->first = lend->server = 0;
	if (lend->outlived)
		log_warning(lend->host->ctx, NULL, "usrpci restore --all when they have ended",
			    "processes of the program do not end: its devices are not given back");
}
