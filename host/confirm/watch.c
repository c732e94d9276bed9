// SPDX-License-Identifier: BSD-2-Clause
/*
 * The process that waits for the confirmation. It must come to its end whatever becomes of the
 * command, its shell, its terminal and the network: it is a session of its own, hears no signal
 * that a session's end sends, has its memory locked, because the root may lie behind the device,
 * and has no file open but those it needs. It reports to syslog(3).
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "array.h"
#include "base.h"
#include "confirm/confirm.h"
#include "state.h"

#define LOG_SUBJECT "confirm"
#include "log.h"

/* A command that is alive but makes no change for so long is not waited for. */
#define COMMAND_MOST_S 120

/* How often it looks whether there still is a record. */
#define PAUSE_MS 200

/* A device in use is tried again each second, and after a minute of that each minute. */
#define FAST_TRIES 60

static void log_to_system(void *data, const struct usrpci_log_entry *entry)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_DEBUG};

	(void)data;
	syslog(priorities[entry->level], "%s: %s", entry->object ? entry->object : entry->subject,
	       entry->text);
}

static void forget_terminal(void)
{
	int null = open("/dev/null", O_RDONLY);

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (null < 0)
			close(fd);
		else if (null != fd)
			dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

/* A program may have closed its standard files, and another file got such a number. */
static int above_standard(int fd)
{
	return fd > STDERR_FILENO ? fd : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static void close_others(int one, int other)
{
	int low = one < other ? one : other, high = one < other ? other : one;
	unsigned int next = STDERR_FILENO + 1;

	if (low > (int)next)
		close_range(next, (unsigned int)low - 1, 0);
	if (low >= (int)next)
		next = (unsigned int)low + 1;
	if (high > (int)next)
		close_range(next, (unsigned int)high - 1, 0);
	close_range((unsigned int)high + 1, ~0U, 0);
}

static void stand_alone(struct usrpci_host *host, int alive, int lock)
{
	static const int deaf_to[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP};
	struct ctx_base *base = ctx_base(host->ctx);

	for (size_t i = 0; i < ARRAY_SIZE(deaf_to); i++)
		signal(deaf_to[i], SIG_IGN);
	prctl(PR_SET_NAME, "usrpci-confirm");
	(void)!chdir("/");
	forget_terminal();
	close_others(alive, lock);
	mlockall(MCL_CURRENT);
	base->log = log_to_system;
	host->options.change = NULL;
	host->options.confirm_s = 0;
	host->waits_for_lock = true;
	host->confirm = NULL;
	host->lock_fd = -1;
	host->lock_depth = 0;
}

static bool is_pending(struct usrpci_host *host)
{
	return state_exists(host, CONFIRM_RECORD);
}

static bool has_changed_lately(struct usrpci_host *host)
{
	struct confirm_record record;
	bool lately = !confirm_read(host, &record) && confirm_now() < record.since + COMMAND_MOST_S;

	confirm_free(&record);
	return lately;
}

static void wait_for_command(struct usrpci_host *host, int alive)
{
	struct pollfd poller = {.fd = alive, .events = POLLIN};
	int ready = alive < 0;

	while (!ready || (ready < 0 && errno == EINTR)) {
		ready = poll(&poller, 1, COMMAND_MOST_S * 1000);
		if (ready == 0 && !has_changed_lately(host))
			return;
	}
}

static void wait_while_pending(struct usrpci_host *host, unsigned int seconds)
{
	uint64_t end = confirm_now() + seconds;

	while (is_pending(host) && confirm_now() < end)
		sleep_ms(PAUSE_MS);
}

static _Noreturn void watch(struct usrpci_host *host, int alive, unsigned int seconds)
{
	wait_for_command(host, alive);
	wait_while_pending(host, seconds);
	for (int tries = 0; is_pending(host) && confirm_undo(host) == -EBUSY; tries++)
		wait_while_pending(host, tries < FAST_TRIES ? 1 : 60);
	state_remove(host, CONFIRM_WATCH);
	_exit(0);
}

/* Nobody waits for a grandchild, which is not the command's. */
static _Noreturn void start(struct usrpci_host *host, int alive, int lock, unsigned int seconds)
{
	pid_t pid;

	if (setsid() < 0)
		_exit(errno);
	pid = fork();
	if (pid)
		_exit(pid < 0 ? errno : 0);
	lock = above_standard(lock);
	alive = alive < 0 ? alive : above_standard(alive);
	stand_alone(host, alive, lock);
	watch(host, alive, seconds);
}

int confirm_watch(struct usrpci_host *host, int alive, unsigned int seconds)
{
	int lock, status = 0, error = state_hold(host, CONFIRM_WATCH, &lock);
	pid_t pid;

	if (error)
		return error;
	pid = fork();
	if (pid == 0)
		start(host, alive, lock, seconds);
	close(lock);
	if (pid < 0)
		error = -errno;
	else if (waitpid(pid, &status, 0) == pid)
		error = WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
	return error ? report(host->ctx, error, NULL, NULL,
			      "cannot start the process that waits for the confirmation")
		     : 0;
}
