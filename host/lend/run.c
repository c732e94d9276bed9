// SPDX-License-Identifier: BSD-2-Clause
/*
 * Starts the program and the process that serves it, passes signals on, and waits until the program
 * has ended. This process gives the devices back, and gets no other information from the program.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "lend/lend.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define OTHERS_AT_ONCE 64
#define STREAMS        3   /* the standard ones */
#define POLL_MS        100 /* between two looks at the clock */

struct watch {
	struct lend *lend;
	int signals;
	int program; /* its process: readable when it has ended; -1: it cannot be had */
	bool ended;
	bool asked;        /* somebody has sent a signal that ends programs */
	bool lost;         /* the process that serves has not ended by itself */
	uint64_t deadline; /* on clock_ms(), when it is killed; 0: none yet */
	int wait_status;
	int error; /* instead of this status */
};

static void note_end(struct watch *watch, pid_t pid, int status)
{
	struct lend *lend = watch->lend;

	if (pid == lend->first)
		lend->first = 0;
	if (pid == lend->server) {
		lend->server = 0;
		watch->lost = status != 0;
	}
	if (pid != lend->program)
		return;
	watch->ended = true;
	watch->wait_status = status;
}

/* Returns whether there was one that has ended. */
static bool reap_one(struct watch *watch, pid_t which)
{
	int status;
	pid_t pid = waitpid(which, &status, WNOHANG);

	if (pid > 0)
		note_end(watch, pid, status);
	return pid > 0;
}

/*
 * The program can make its processes this one's children, clone(2), and these may end sooner than
 * they can be waited for: no more than a few come in between.
 */
static void reap(struct watch *watch)
{
	const pid_t known[] = {watch->lend->program, watch->lend->server, watch->lend->first};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i] > 0)
			reap_one(watch, known[i]);
	for (int i = 0; i < OTHERS_AT_ONCE && reap_one(watch, -1); i++)
		;
}

static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

static bool is_ending(int signal)
{
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
		if (ending[i] == signal)
			return true;
	}
	return false;
}

/* Signals of the terminal reach the whole foreground group, so the program has them already. */
static void pass_signal(struct watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (is_ending((int)info.ssi_signo) && !watch->asked) {
		watch->asked = true;
		if (watch->lend->options->end_ms)
			watch->deadline = clock_ms() + watch->lend->options->end_ms;
	}
	if (info.ssi_signo == SIGCHLD)
		reap(watch);
	else if (info.ssi_code <= 0 || info.ssi_signo == SIGHUP)
		kill(watch->lend->program, (int)info.ssi_signo);
}

static void list_signals(sigset_t *signals)
{
	/* The program can have the terminal stop all of its group: SIGTTIN and SIGTTOU. */
	static const int passed[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
				     SIGALRM, SIGCONT, SIGCHLD, SIGTTIN, SIGTTOU};

	sigemptyset(signals);
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		sigaddset(signals, passed[i]);
}

void lend_signals_block(sigset_t *before)
{
	sigset_t signals;

	list_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, before);
}

/* Signals that arrived meanwhile were for the program, and its exit status reports them. */
void lend_signals_restore(const sigset_t *before)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigprocmask(SIG_SETMASK, before, NULL);
}

/* Returns a signal to end the program that came before its start; 0: none came. */
static int early_signal(void)
{
	sigset_t pending;

	sigemptyset(&pending);
	sigpending(&pending);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		if (sigismember(&pending, ending[i]))
			return ending[i];
	return 0;
}

static int open_signals(void)
{
	sigset_t signals;
	int fd;

	list_signals(&signals);
	fd = signalfd(-1, &signals, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Does what takes a capability, and then gives up all that it can. */
static int prepare_server(struct lend *lend)
{
	int error = lend_memory_use(lend);

	for (size_t i = 0; !error && i < lend->count; i++)
		if (!lend->devices[i].vfio)
			error = lend_config_open(lend->host, &lend->devices[i]);
	return error ?: lend_capabilities_drop(lend);
}

/*
 * Runs the process that serves. It ends with this process, whatever the program does, and closes
 * the descriptors that show others that the broker lives. Does not return.
 */
static void run_server(struct lend *lend, pid_t broker, int hello)
{
	int error, unconfined;

	prctl(PR_SET_NAME, "usrpci-serve");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != broker)
		_exit(1);
	close(lend->lives);
	close(lend->registered);
	error = prepare_server(lend);
	if (error) {
		report(lend->host->ctx, error, NULL, NULL, "the program cannot be served");
		_exit(1);
	}
	unconfined = lend_confine_server(lend);
	if (unconfined)
		log_warning(lend->host->ctx, NULL, NULL,
			    "the process that answers the program can open all files: %s",
			    strerror(-unconfined));
	error = lend_filter_server();
	if (error)
		log_warning(lend->host->ctx, NULL, NULL,
			    "the broker answers without a filter of system calls: %s",
			    strerror(-error));
	lend_serve(lend, hello);
	_exit(0);
}

static int start_server(struct lend *lend, int hello)
{
	pid_t broker = getpid();

	fflush(NULL);
	lend->server = fork();
	if (lend->server == 0)
		run_server(lend, broker, hello);
	return lend->server > 0 ? 0
				: report(lend->host->ctx, -errno, NULL, NULL,
					 "cannot start the process that answers the program");
}

/* The program is started first, because it needs time before it sends its first request. */
static int start(struct lend *lend)
{
	int pair[2], status = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	lend->program = lend_child_start(lend, pair[1], &status);
	close(pair[1]);
	/*
	 * The program's end is closed here, so that the other end notices when the program has
	 * closed it.
	 */
	if (lend->connection >= 0)
		close(lend->connection);
	if (lend->program < 0)
		status = status ? status : lend->program;
	else
		status = start_server(lend, pair[0]);
	close(pair[0]);
	return status;
}

/* The status of a process that has ended and that somebody traces, who alone can wait for it. */
static int status_of_traced(const struct lend *lend, int *status)
{
	char text[1024];
	const char *last = NULL;
	ssize_t got = file_read(lend->host->ctx, text, sizeof(text), "/proc/%d/stat",
				lend->program);

	if (got > 0)
		last = strrchr(text, ' ');
	if (!last)
		return report(lend->host->ctx, got < 0 ? (int)got : -EIO, NULL, NULL,
			      "it cannot be read how the program ended, which a process traces");
	*status = atoi(last);
	return 0;
}

static void wait_for_news(struct watch *watch)
{
	struct pollfd fds[] = {{watch->signals, POLLIN, 0}, {watch->program, POLLIN, 0}};

	if (poll(fds, ARRAY_SIZE(fds), watch->deadline ? POLL_MS : -1) < 0)
		return;
	if (fds[0].revents)
		pass_signal(watch);
	else
		reap(watch);
	if (!fds[1].revents || watch->ended)
		return;
	watch->ended = true;
	watch->error = status_of_traced(watch->lend, &watch->wait_status);
}

static bool is_overdue(const struct watch *watch)
{
	return !watch->ended && watch->deadline && clock_ms() >= watch->deadline;
}

static int watch_program(struct watch *watch)
{
	watch->program = (int)syscall(SYS_pidfd_open, watch->lend->program, 0);
	while (!watch->ended && !watch->lost && !is_overdue(watch))
		wait_for_news(watch);
	if (watch->program >= 0)
		close(watch->program);
	if (is_overdue(watch)) {
		log_warning(watch->lend->host->ctx, NULL, NULL,
			    "the program has not ended %u ms after the signal: it is killed",
			    watch->lend->options->end_ms);
		return 0;
	}
	if (!watch->ended)
		return refuse(watch->lend->host->ctx, -EPIPE, NULL, NULL,
			      "the process that answers the program was killed, so the program "
			      "is ended");
	if (watch->error)
		return watch->error;
	watch->lend->crashed = WIFSIGNALED(watch->wait_status) && !watch->asked;
	if (watch->deadline && WIFSIGNALED(watch->wait_status) &&
	    is_ending(WTERMSIG(watch->wait_status)))
		return 0;
	return WIFSIGNALED(watch->wait_status) ? 128 + WTERMSIG(watch->wait_status)
					       : WEXITSTATUS(watch->wait_status);
}

struct stream {
	int flags;   /* or -1 */
	pid_t group; /* the foreground of a terminal, or -1 */
	struct termios settings;
	bool has_settings;
	int exclusive, discipline;
	int lines; /* a modem's; -1: there are none */
};

static void read_streams(struct stream *streams)
{
	for (int fd = 0; fd < STREAMS; fd++) {
		streams[fd] = (struct stream){fcntl(fd, F_GETFL), tcgetpgrp(fd)};
		streams[fd].has_settings = !tcgetattr(fd, &streams[fd].settings) &&
					   !ioctl(fd, TIOCGEXCL, &streams[fd].exclusive) &&
					   !ioctl(fd, TIOCGETD, &streams[fd].discipline);
		if (ioctl(fd, TIOCMGET, &streams[fd].lines))
			streams[fd].lines = -1;
	}
}

/* Nobody could read from a terminal whose foreground has ended with the program. */
static void put_foreground_back(int fd, pid_t group)
{
	pid_t now = tcgetpgrp(fd);

	if (group > 0 && now > 0 && kill(-now, 0) && errno == ESRCH)
		tcsetpgrp(fd, group);
}

/*
 * In the background the terminal is another program's. The program cannot lock it, hold its line
 * down or change its discipline, but a process that it has passed the terminal on to can.
 */
static void put_settings_back(int fd, const struct stream *stream)
{
	if (!stream->has_settings || tcgetpgrp(fd) != getpgrp())
		return;
	if (!stream->exclusive)
		ioctl(fd, TIOCNXCL);
	ioctl(fd, TIOCCBRK);
	if (stream->lines >= 0)
		ioctl(fd, TIOCMSET, &stream->lines);
	ioctl(fd, TIOCSETD, &stream->discipline);
	tcsetattr(fd, TCSANOW, &stream->settings);
}

/*
 * Who called usrpci has the same open files as the program, which may have made them non-blocking.
 * What is written to the terminal it may have stopped, which no key would undo.
 */
static void put_streams_back(const struct stream *streams)
{
	for (int fd = 0; fd < STREAMS; fd++) {
		if (streams[fd].flags >= 0)
			fcntl(fd, F_SETFL, streams[fd].flags);
		tcflow(fd, TCOON);
		put_foreground_back(fd, streams[fd].group);
		put_settings_back(fd, &streams[fd]);
	}
}

int lend_run(struct lend *lend)
{
	struct watch watch = {.lend = lend};
	struct stream streams[STREAMS];
	int status = early_signal();

	lend->crashed = false;
	if (status)
		return lend->options->end_ms ? 0 : 128 + status;
	read_streams(streams);
	watch.signals = open_signals();
	status = watch.signals < 0 ? watch.signals : start(lend);
	if (!status) {
		/*
		 * The notes already have what recovery needs; a failure only hides the program from
		 * usrpci ps.
		 */
		lend_notes_write(lend);
		lend_come_first(lend);
		status = watch_program(&watch);
	}
	lend_end_all(lend);
	put_streams_back(streams);
	if (watch.signals >= 0)
		close(watch.signals);
	return status;
}
