// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci net-driver: the program that "usrpci net" runs without privileges. Its standard input is a
 * socket with the queues of the TAP device, or the TAP device itself. With --restart, a separate
 * process moves the frames. If that process is killed, crashes or does not answer any more, another
 * one replaces it; the TAP stays meanwhile.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "program.h"
#include "pump/pump.h"
#include "pump/tap.h"

#define BEAT_MS       1000  /* between two checks that the driver is alive */
#define START_MS      5000  /* time in which a new driver must report that frames flow */
#define START_RUMP_MS 60000 /* the same for a rump kernel, which looks for its devices first */
#define CARRIER_MS    500   /* time without a driver before the carrier drops */
#define TAKEN_MS      2000  /* time in which the device of a dead driver must become free */
#define FAILURES      10 /* failures in a row, without a frame between them, that end the command */
#define KILLS         10 /* so many kills count as one failure: they are somebody else's doing */
#define RETRY_MS      5  /* between two attempts to open the device */
#define PAUSE_MS      20 /* before a start after a failure; each further one doubles it */
#define LOOK_MS       100 /* between two looks whether the card is there while there is no driver */
#define LEAVE_MS      2000 /* time in which a card that lost its driver must be gone */

#define EXIT_IN_VAIN 3 /* the status of a driver after which no other one can do better */

enum { OPTION_RUMP = OPTION_LONG, OPTION_LOOK };

static const struct option_spec net_driver_options[] = {
	{'r', "restart", NULL, "start the driver again when it dies"},
	{OPTION_RUMP, "rump", "DRIVER", "let NetBSD's driver do it"},
	{OPTION_LOOK, "look", NULL, "only look whether the driver can be run"},
	{0},
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
	ended = signal;
}

/* The device belongs to the previous driver until the broker has stopped it. */
static int open_device(struct usrpci_ctx *ctx, const char *name, struct usrpci_dev **dev)
{
	int error = -EBUSY;

	for (int ms = 0; error == -EBUSY && !ended && ms < TAKEN_MS; ms += RETRY_MS) {
		error = usrpci_dev_open(ctx, name, dev);
		if (error == -EBUSY)
			poll(NULL, 0, RETRY_MS);
	}
	return error;
}

/* The files come with one message. */
static int take_queues(struct pump_options *pump)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(pump->taps))];
	} control = {0};
	char count;
	struct iovec data = {&count, 1};
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(STDIN_FILENO, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *files;

	if (got < 0 && errno == ENOTSOCK) {
		pump->taps[0] = STDIN_FILENO;
		pump->count = 1;
		return 0;
	}
	if (got < 0)
		return -errno;
	files = CMSG_FIRSTHDR(&message);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !files ||
	    files->cmsg_level != SOL_SOCKET || files->cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	pump->count = (unsigned int)((files->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(pump->taps, CMSG_DATA(files), pump->count * sizeof(int));
	return pump->count > 0 ? 0 : -EPROTO;
}

/* The descriptors are inherited by their numbers. Returns only when it fails. */
static int run_rump_kernel(const char *driver, const char *name, const struct pump_options *pump)
{
	char numbers[PUMP_QUEUES_MAX + 1][12], path[PROGRAM_PATH];
	const char *argv[PUMP_QUEUES_MAX + 6] = {path, driver, name};

	for (unsigned int i = 0; i <= pump->count; i++) {
		int file = i == 0 ? pump->beat : pump->taps[i - 1];

		snprintf(numbers[i], sizeof(numbers[i]), "%d", file);
		argv[i == 0 ? 3 : 4 + i] = numbers[i];
		if (file >= 0)
			fcntl(file, F_SETFD, 0);
	}
	argv[4] = pump->goes_on ? "1" : "0";
	if (!program_of_ours("usrpci-rump-net", path))
		execv(path, (char *const *)argv);
	failed(path, NULL, "cannot be started: %s", strerror(errno));
	return -ESHUTDOWN;
}

static int drive(const char *name, const char *rump, const struct pump_options *pump)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	struct sigaction action = {.sa_handler = end};
	struct usrpci_dev *dev = NULL;
	struct usrpci_ctx *ctx;
	int error;

	if (rump)
		return run_rump_kernel(rump, name, pump);
	prctl(PR_SET_NAME, "usrpci-driver");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	error = usrpci_ctx_open(pump->beat < 0 ? &options : NULL, &ctx);
	if (error)
		return error;
	error = open_device(ctx, name, &dev);
	if (!error)
		error = pump_run(dev, pump);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return error;
}

struct watch {
	const char *name;
	const char *rump; /* NetBSD's driver; NULL: one of ours */
	struct pump_options pump;
	int signals;
	pid_t driver;
	int beat;
	bool flows, asked, dark;
	bool moved;         /* this driver has reported a frame */
	bool hung;          /* this process has killed it */
	unsigned int kills; /* each failure counts as KILLS */
	uint64_t ended_ms;  /* when the last driver had ended; 0: this is the first one */
};

static int start_driver(struct watch *watch)
{
	int pair[2], error;
	sigset_t none;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	watch->driver = fork();
	if (watch->driver == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		close(pair[0]);
		watch->pump.beat = pair[1];
		watch->pump.goes_on = watch->ended_ms > 0;
		error = drive(watch->name, watch->rump, &watch->pump);
		if (error == -ESHUTDOWN || error == -EMSGSIZE)
			exit(EXIT_IN_VAIN);
		exit(error ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	close(pair[1]);
	watch->beat = pair[0];
	watch->flows = watch->asked = watch->moved = watch->hung = false;
	return watch->driver < 0 ? -EAGAIN : 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void take_beat(struct watch *watch)
{
	char byte;

	if (read(watch->beat, &byte, 1) != 1)
		return;
	if (byte == PUMP_FRAME) {
		watch->moved = true;
		return;
	}
	if (!watch->flows && watch->ended_ms)
		fprintf(stderr, "usrpci: %s: frames flow again after %u ms\n", watch->name,
			(unsigned int)(now_ms() - watch->ended_ms));
	watch->asked = false;
	watch->flows = true;
	watch->dark = false;
}

/* A driver that has not answered the last question hangs. */
static void ask(struct watch *watch)
{
	if (watch->asked || !watch->flows || write(watch->beat, "", 1) != 1) {
		watch->hung = true;
		kill(watch->driver, SIGKILL);
	}
	watch->asked = true;
}

static void darken(struct watch *watch)
{
	if (!watch->dark)
		tap_set_carrier(watch->pump.taps[0], 0);
	watch->dark = true;
}

/* Returns whether the driver has ended, and stores how in *status. */
static bool has_ended(struct watch *watch, int *status)
{
	struct signalfd_siginfo info;

	if (read(watch->signals, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo != SIGCHLD) {
		ended = (int)info.ssi_signo;
		kill(watch->driver, SIGTERM);
		return false;
	}
	return waitpid(watch->driver, status, WNOHANG) == watch->driver;
}

/* Watches one driver until it has ended. */
static int watch_driver(struct watch *watch)
{
	int status = 0;

	for (;;) {
		struct pollfd polls[] = {
			{.fd = watch->signals, .events = POLLIN},
			{.fd = watch->beat, .events = POLLIN},
		};
		int start = watch->rump ? START_RUMP_MS : START_MS;
		int wait = watch->flows ? BEAT_MS : watch->dark ? start : CARRIER_MS;
		int ready = poll(polls, 2, wait);

		if (ready > 0 && polls[0].revents && has_ended(watch, &status))
			return status;
		if (ready > 0 && polls[1].revents & POLLIN)
			take_beat(watch);
		else if (polls[1].revents & POLLHUP)
			poll(polls, 1, BEAT_MS); /* the driver is about to end */
		if (ready == 0 && !watch->flows && !watch->dark)
			darken(watch);
		else if (ready == 0)
			ask(watch);
	}
}

/* Returns whether the card's folder in sysfs lacks a file. A card that QEMU plays has no folder. */
static bool lacks(const char *name, const char *file)
{
	char path[64];

	return strncmp(name, "qemu:", 5) != 0 &&
	       snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s%s", name, file) <
		       (int)sizeof(path) &&
	       access(path, F_OK) && errno == ENOENT;
}

static bool is_gone(const char *name)
{
	if (!lacks(name, ""))
		return false;
	fprintf(stderr, "usrpci: %s: the card is gone\n", name);
	return true;
}

/*
 * A card that is pulled out loses its driver first, by which ours ends, and is gone a moment later.
 * Returns whether it is.
 */
static bool leaves(const char *name)
{
	uint64_t end = now_ms() + LEAVE_MS;

	while (!is_gone(name)) {
		if (!lacks(name, "/driver") || now_ms() >= end)
			return false;
		poll(NULL, 0, 1);
	}
	return true;
}

/* Waits before the next start. A signal or the end of the card ends that at once. */
static bool wait_for_start(struct watch *watch, unsigned int failures)
{
	uint64_t now = now_ms(), end = now;
	struct pollfd polled = {.fd = watch->signals, .events = POLLIN};
	struct signalfd_siginfo info;

	if (failures > 1)
		end += (uint64_t)PAUSE_MS << failures;
	for (; now < end; now = now_ms()) {
		poll(&polled, 1, end - now < LOOK_MS ? (int)(end - now) : LOOK_MS);
		if (read(watch->signals, &info, sizeof(info)) == sizeof(info) &&
		    info.ssi_signo != SIGCHLD)
			ended = (int)info.ssi_signo;
		if (ended || is_gone(watch->name))
			return false;
	}
	return true;
}

/* The next driver comes the later, the more have failed. */
static unsigned int count_failure(struct watch *watch, int status)
{
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !watch->hung;

	watch->kills = watch->moved ? 0 : watch->kills + (killed ? 1 : KILLS);
	return watch->kills / KILLS;
}

/*
 * Returns whether to start another driver: not after an orderly end, where it would be in vain, or
 * after too many failures, or where there is no card.
 */
static bool follows(struct watch *watch, int status)
{
	unsigned int failures;

	if (ended || (WIFEXITED(status) &&
		      (WEXITSTATUS(status) == EXIT_SUCCESS || WEXITSTATUS(status) == EXIT_IN_VAIN)))
		return false;
	if (leaves(watch->name))
		return false;
	if (watch->flows)
		watch->ended_ms = now_ms();
	failures = count_failure(watch, status);
	if (failures >= FAILURES) {
		fprintf(stderr, "usrpci: %s: the driver failed %d times in a row\n", watch->name,
			FAILURES);
		return false;
	}
	fprintf(stderr, "usrpci: %s: the driver %s %d: the next one follows\n", watch->name,
		WIFSIGNALED(status) ? "was ended by signal" : "ended with status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return wait_for_start(watch, failures);
}

static int watch_drivers(const char *name, const char *rump, const struct pump_options *pump)
{
	struct watch watch = {.name = name, .rump = rump, .pump = *pump};
	sigset_t signals;
	int status = 0, error;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	watch.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (watch.signals < 0)
		return -errno;
	do {
		error = start_driver(&watch);
		if (!error)
			status = watch_driver(&watch);
		close(watch.beat);
	} while (!error && follows(&watch, status));
	if (error || ended)
		return error;
	return status ? -EIO : 0;
}

/* To be run at all is enough for a driver of ours. A rump kernel has to be found first. */
static int look(const char *rump)
{
	char path[PROGRAM_PATH];
	int error;

	if (!rump)
		return STATUS_DONE;
	error = program_of_ours("usrpci-rump-net", path);
	if (!error) {
		execl(path, path, "--look", rump, NULL);
		error = errno;
	}
	failed(path, NULL, "cannot be started: %s", strerror(error));
	return STATUS_FAILED;
}

static int cmd_net_driver(struct cli *cli)
{
	struct pump_options pump = {.beat = -1, .end = &ended};
	const char *rump = NULL;
	bool restart = false, looks = false;
	int error, key;

	while ((key = option_next(cli))) {
		restart |= key == 'r';
		looks |= key == OPTION_LOOK;
		if (key == OPTION_RUMP)
			rump = optarg;
	}
	if (cli->stopped || cli->argc != 1)
		return STATUS_USAGE;
	if (looks)
		return look(rump);
	error = take_queues(&pump);
	if (!error)
		error = restart ? watch_drivers(cli->argv[0], rump, &pump)
				: drive(cli->argv[0], rump, &pump);
	if (error)
		failed(cli->argv[0], NULL, "the driver ends: %s", strerror(-error));
	return error ? STATUS_FAILED : STATUS_DONE;
}

const struct command command_net_driver = {
	.name = "net-driver",
	.options = net_driver_options,
	.run = cmd_net_driver,
};
