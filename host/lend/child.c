// SPDX-License-Identifier: BSD-2-Clause
/*
 * The processes of a program that devices are lent to: an ordinary user, no capability, and no way
 * to gain one (no_new_privs). They are in a namespace of their own (pid_namespaces(7)), so that
 * they see and can name nobody else, and so that the kernel ends them at once, however many they
 * are: when the namespace's first process ends, which does so when the broker has ended.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker.h"
#include "lend/lend.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND      127
#define MEMLOCK_SHARE         4    /* of memory, unless another limit is asked for */
#define PROCESSES_MAX         2048 /* to end one takes the kernel up to a millisecond */

static int become(const struct lend_user *user)
{
	int error;

	if (setgroups(1, &user->gid) || setresgid(user->gid, user->gid, user->gid))
		return -errno;
	lend_capabilities_bound(0);
	if (setresuid(user->uid, user->uid, user->uid))
		return -errno;
	error = lend_capabilities_keep(0);
	if (!error && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		error = -errno;
	return error ?: lend_filter_program();
}

/* Without a socket there is no broker. */
static void set_environment(const struct lend_user *user, int socket)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", socket);
	if (socket < 0)
		unsetenv(BROKER_ENV);
	else
		setenv(BROKER_ENV, number, 1);
	setenv("USER", user->name, 1);
	setenv("LOGNAME", user->name, 1);
	setenv("HOME", user->home, 1);
}

/* A descriptor that root had open is a privilege too. */
static int close_on_exec(unsigned int first)
{
	return close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) ? -errno : 0;
}

/*
 * The keys of root's session stay behind. The new session is counted as root's, so that it needs
 * none of the keys that the user may have. A kernel may have no keys at all.
 */
static int join_new_session(void)
{
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS
		       ? -errno
		       : 0;
}

/* vfio counts what it pins against this limit, for each process. */
static int limit_memory(const struct lend *lend)
{
	struct rlimit limit = {lend->options->memlock, lend->options->memlock};
	struct sysinfo info;

	if (!limit.rlim_max) {
		if (sysinfo(&info))
			return -errno;
		limit.rlim_cur = limit.rlim_max = (rlim_t)info.totalram * info.mem_unit /
						  MEMLOCK_SHARE;
	}
	return setrlimit(RLIMIT_MEMLOCK, &limit) ? -errno : 0;
}

static int limit(int resource, rlim_t most)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return -errno;
	if (limit.rlim_max <= most)
		return 0;
	limit.rlim_max = most;
	limit.rlim_cur = limit.rlim_cur < most ? limit.rlim_cur : most;
	return setrlimit(resource, &limit) ? -errno : 0;
}

/* None of its processes may come before those that end it. */
static int limit_priority(void)
{
	return limit(RLIMIT_RTPRIO, (rlim_t)sched_get_priority_max(SCHED_FIFO) - 1);
}

/* What processes share by keys goes with the program too. A kernel may have nothing of it. */
static int share_nothing(void)
{
	return unshare(CLONE_NEWIPC) && errno != EINVAL ? -errno : 0;
}

/* What is mounted here shows what the program has of a namespace, and goes with it. */
static int mount_own(const char *type, const char *path)
{
	return mount(type, path, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ? -errno : 0;
}

/* Its own processes and message queues. A host may have no place for queues. */
static int hide_others(void)
{
	int error;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		return -errno;
	error = mount_own("mqueue", "/dev/mqueue");
	if (error && error != -ENOENT && error != -ENODEV)
		return error;
	return mount_own("proc", "/proc");
}

static int prepare(const struct lend *lend)
{
	return close_on_exec(STDERR_FILENO + 1) ?:
	       limit_memory(lend) ?:
	       limit_priority() ?:
	       limit(RLIMIT_NPROC, PROCESSES_MAX) ?:
	       share_nothing() ?:
	       hide_others() ?:
	       (lend->nodes ? lend_nodes_make(lend) : 0) ?:
	       join_new_session() ?:
	       become(&lend->user);
}

/* Does not return. Failures go to the broker by the pipe, which success closes. */
static void run(struct lend *lend, int socket, int failure)
{
	sigset_t none;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	error = lend_unspare(lend) ?: lend_unspare_files(lend->host) ?: prepare(lend);
	if (!error && socket >= 0 && fcntl(socket, F_SETFD, 0))
		error = -errno;
	if (!error && lend->connection >= 0 &&
	    (dup2(lend->connection, STDIN_FILENO) < 0 || dup2(lend->connection, STDOUT_FILENO) < 0))
		error = -errno;
	if (!error && lend->options->input > 0 && dup2(lend->options->input, STDIN_FILENO) < 0)
		error = -errno;
	if (!error) {
		set_environment(&lend->user, socket);
		execvp(lend->options->argv[0], lend->options->argv);
		error = -errno;
	}
	(void)!write(failure, &error, sizeof(error));
	_exit(error == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

/*
 * The first process of the namespace. It takes no signal but SIGKILL from outside, and has nothing
 * but the end of a pipe, whose other end goes with the broker. Does not return.
 */
static void run_first(int broker_lives)
{
	char none;

	prctl(PR_SET_NAME, "usrpci-first");
	signal(SIGCHLD, SIG_IGN);
	if (dup2(broker_lives, STDIN_FILENO) < 0 || close_range(STDOUT_FILENO, ~0U, 0))
		_exit(1);
	while (read(STDIN_FILENO, &none, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static int await_exec(int failure)
{
	int error = 0;
	ssize_t got;

	do
		got = read(failure, &error, sizeof(error));
	while (got < 0 && errno == EINTR);
	return got == sizeof(error) ? error : 0;
}

static int start_first(struct lend *lend)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC))
		return -errno;
	lend->first = fork();
	if (lend->first == 0) {
		close(pair[1]);
		run_first(pair[0]);
	}
	close(pair[0]);
	/* It is open for as long as this process lives. */
	lend->lives = pair[1];
	return lend->first < 0 ? -EAGAIN : 0;
}

static pid_t start_program(struct lend *lend, int socket, int *status)
{
	int failure[2], error;
	pid_t child;

	if (pipe2(failure, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child == 0) {
		close(failure[0]);
		run(lend, socket, failure[1]);
	}
	close(failure[1]);
	error = child < 0 ? -EAGAIN : await_exec(failure[0]);
	close(failure[0]);
	if (!error)
		return child;
	if (child < 0)
		return error;
	waitpid(child, NULL, 0);
	*status = error == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
	return report(lend->host->ctx, error, lend->options->argv[0], NULL, "cannot be run as %s",
		      lend->user.name);
}

int lend_child_try(struct lend *lend)
{
	int status;
	pid_t child;

	fflush(NULL);
	child = start_program(lend, -1, &status);
	if (child < 0)
		return child;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
}

/* What this process starts later is to be in its own namespace again. */
pid_t lend_child_start(struct lend *lend, int socket, int *status)
{
	struct stat space;
	int own, error;
	pid_t program;

	*status = 0;
	own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (own < 0 || unshare(CLONE_NEWPID)) {
		error = report(lend->host->ctx, -errno, NULL, NULL,
			       "cannot make a process namespace for the program");
		if (own >= 0)
			close(own);
		return error;
	}
	lend->space = stat("/proc/self/ns/pid_for_children", &space) ? 0 : space.st_ino;
	fflush(NULL);
	program = start_first(lend);
	if (!program)
		program = start_program(lend, socket, status);
	if (setns(own, CLONE_NEWPID) && program > 0)
		log_warning(lend->host->ctx, NULL, NULL, "cannot leave the program's namespace: %s",
			    strerror(errno));
	close(own);
	return program;
}
