// SPDX-License-Identifier: BSD-2-Clause
/*
 * The process of a program that devices are lent to: an ordinary user, no capability, and no way to
 * gain one (no_new_privs); it ends when the broker does. What it leaves running is the broker's to
 * end, as their subreaper.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker.h"
#include "file.h"
#include "lend/lend.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND      127
#define END_MS                5000

struct identity {
	uid_t uid;
	gid_t gid;
	char name[64];
	char home[128];
};

static bool parse_id(const char *text, unsigned long *id)
{
	char *end;

	errno = 0;
	*id = strtoul(text, &end, 10);
	return !errno && end != text && !*end && *id < (uid_t)-1;
}

/* A number needs no entry in the user database; its group is then the same number. */
static int find_identity(struct usrpci_host *host, const char *user, struct identity *identity)
{
	const struct passwd *entry = getpwnam(user);
	unsigned long id = 0;

	if (!entry && !parse_id(user, &id))
		return refuse(host->ctx, -ENOENT, user, NULL, "no such user");
	if (!entry)
		entry = getpwuid((uid_t)id);
	*identity = (struct identity){(uid_t)id, (gid_t)id, "", "/"};
	if (entry) {
		identity->uid = entry->pw_uid;
		identity->gid = entry->pw_gid;
		snprintf(identity->name, sizeof(identity->name), "%s", entry->pw_name);
		snprintf(identity->home, sizeof(identity->home), "%s", entry->pw_dir);
	}
	/* Root owns the devices' files, so without a capability it still has other ways to them. */
	if (identity->uid == 0 || identity->gid == 0)
		return refuse(
			host->ctx, -EPERM, user, "name another with -u",
			"a program that devices are lent to does not run as root, nor in its group");
	return 0;
}

static const char *default_user(void)
{
	const char *caller = getenv("SUDO_UID");

	return caller && strcmp(caller, "0") ? caller : "nobody";
}

/* An empty bounding set leaves a set-user-id program nothing, even without no_new_privs. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap) == 0; cap++)
		;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return -errno;
	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

static int become(const struct identity *identity)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	int error;

	/* vfio counts DMA memory against it; how much is lent is the broker's to limit. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (setgroups(1, &identity->gid) || setresgid(identity->gid, identity->gid, identity->gid))
		return -errno;
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap) == 0; cap++)
		;
	if (setresuid(identity->uid, identity->uid, identity->uid))
		return -errno;
	error = drop_capabilities();
	if (!error && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		error = -errno;
	return error ? error : lend_terminal_guard();
}

static void set_environment(const struct identity *identity, int socket)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", socket);
	setenv(BROKER_ENV, number, 1);
	if (identity->name[0]) {
		setenv("USER", identity->name, 1);
		setenv("LOGNAME", identity->name, 1);
	}
	setenv("HOME", identity->home, 1);
}

/*
 * A descriptor that root had open is a privilege too. This comes before the change of user, after
 * which a process may not look into its own /proc.
 */
static int close_on_exec(const struct usrpci_ctx *ctx)
{
	char **names;
	int count = dir_list(ctx, &names, "/proc/self/fd");

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		int fd = atoi(names[i]);

		if (fd > STDERR_FILENO)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	free(names);
	return 0;
}

/* The keys of root's session stay behind. A kernel may have no keys at all. */
static int join_new_session(void)
{
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS
		       ? -errno
		       : 0;
}

/* Does not return. Failures go to the broker by the pipe, which success closes. */
static void run(struct lend *lend, const struct identity *identity, pid_t broker, int socket,
		int failure)
{
	sigset_t none;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	error = close_on_exec(lend->host->ctx);
	if (!error)
		error = become(identity);
	/* After the change of user, which clears it. The broker may be gone by then. */
	if (!error && prctl(PR_SET_PDEATHSIG, SIGKILL))
		error = -errno;
	if (!error && getppid() != broker)
		_exit(STATUS_NOT_EXECUTABLE);
	if (!error)
		error = join_new_session();
	if (!error && fcntl(socket, F_SETFD, 0))
		error = -errno;
	if (!error) {
		set_environment(identity, socket);
		execvp(lend->options->argv[0], lend->options->argv);
		error = -errno;
	}
	(void)!write(failure, &error, sizeof(error));
	_exit(error == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
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

pid_t lend_child_start(struct lend *lend, int socket, int *status)
{
	const char *user = lend->options->user ? lend->options->user : default_user();
	struct identity identity;
	pid_t broker = getpid(), child;
	int failure[2], error;

	*status = 0;
	error = find_identity(lend->host, user, &identity);
	if (error)
		return error;
	if (pipe2(failure, O_CLOEXEC))
		return -errno;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fflush(NULL);
	child = fork();
	if (child == 0)
		run(lend, &identity, broker, socket, failure[1]);
	close(failure[1]);
	if (child < 0) {
		close(failure[0]);
		return -EAGAIN;
	}
	error = await_exec(failure[0]);
	close(failure[0]);
	if (error) {
		waitpid(child, NULL, 0);
		*status = error == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
		return report(lend->host->ctx, error, lend->options->argv[0], NULL,
			      "cannot be run as %s", user);
	}
	return child;
}

static void kill_children(void)
{
	char path[64], text[4096], *at = text, *end;
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "re");
	got = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	text[got] = '\0';
	if (file)
		fclose(file);
	/* A space ends each; a number without it is cut off, and somebody else's. */
	for (long pid; (pid = strtol(at, &end, 10)) > 0 && *end == ' '; at = end)
		kill((pid_t)pid, SIGKILL);
}

/* Children of those that are killed become ours, until none is left. */
void lend_child_end_all(struct lend *lend)
{
	uint64_t end = clock_ms() + END_MS;

	while (clock_ms() < end) {
		kill_children();
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
		sleep_ms(1);
	}
	lend->outlived = true;
	log_warning(lend->host->ctx, NULL, "usrpci restore --all when they have ended",
		    "processes of the program do not end: its devices are not given back");
}
