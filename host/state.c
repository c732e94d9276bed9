// SPDX-License-Identifier: BSD-2-Clause
/*
 * Notes below /run/usrpci: whole files, replaced by rename(2), and the lock that lets one program
 * at a time change the host. No fsync: a boot clears /run, and only a crash of the machine could
 * lose what is in the page cache.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "host.h"
#include "state.h"

#define LOG_SUBJECT "state"
#include "log.h"

#define HOLD_MS 200

static const char *cure(int error)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
		return "make room on /run";
	case -EROFS:
		return "mount -o remount,rw /run";
	case -EMFILE:
		return "ulimit -n raises the limit";
	case -EACCES:
	case -EPERM:
		return "run as root";
	default:
		return NULL;
	}
}

/* Who calls usrpci may have a umask: what every user is to read, every user can read. */
int state_make_directory(const char *path)
{
	if (!mkdir(path, 0755))
		return chmod(path, 0755) ? -errno : 0;
	return errno == EEXIST ? 0 : -errno;
}

/* Creates the directories that lead to a file below /run/usrpci. path has the root before it. */
static int make_parents(char *path)
{
	char *slash = strstr(path, STATE_DIR "/");
	int error = 0;

	while (!error && slash && (slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		error = state_make_directory(path);
		*slash = '/';
	}
	return error;
}

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t put = 0;

	while (left > 0 && (put = write(fd, text, left)) >= 0) {
		text += put;
		left -= (size_t)put;
	}
	return put < 0 ? -errno : 0;
}

static int write_new(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int error;

	if (fd < 0)
		return -errno;
	error = fchmod(fd, 0644) ? -errno : write_all(fd, text);
	if (close(fd) && !error)
		error = -errno;
	return error;
}

/*
 * The new file has one place for all notes, so that what a writer that is killed leaves is known to
 * whoever has the lock next.
 */
static int replace(struct usrpci_host *host, char *path, const char *text)
{
	char fresh[PATH_SIZE];
	int error = path_format(host->ctx, fresh, STATE_DIR "/new") ?: make_parents(path);

	if (error)
		return error;
	error = write_new(fresh, text);
	if (!error && rename(fresh, path))
		error = -errno;
	if (error)
		unlink(fresh);
	return error;
}

int state_write(struct usrpci_host *host, const char *name, const char *text)
{
	char path[PATH_SIZE];
	int error;

	if (host->options.dry_run)
		return 0;
	error = state_lock(host);
	if (error)
		return error;
	error = path_format(host->ctx, path, STATE_DIR "/%s", name) ?: replace(host, path, text);
	state_unlock(host);
	if (error)
		return report(host->ctx, error, name, cure(error), "cannot write %s/%s", STATE_DIR,
			      name);
	return 0;
}

bool state_parse(char *text, const char *magic,
		 bool (*take)(void *data, const char *key, const char *value), void *data)
{
	char *rest = text, *line = strsep(&rest, "\n"), *value;

	if (strcmp(line, magic) != 0)
		return false;
	while ((line = strsep(&rest, "\n"))) {
		if (!strcmp(line, "end"))
			return true;
		value = line + strcspn(line, " ");
		if (*value)
			*value++ = '\0';
		if (!take(data, line, value))
			return false;
	}
	return false;
}

int state_remove(struct usrpci_host *host, const char *name)
{
	char path[PATH_SIZE];
	int error;

	if (host->options.dry_run)
		return 0;
	error = path_format(host->ctx, path, STATE_DIR "/%s", name);
	if (!error && unlink(path) && errno != ENOENT)
		error = -errno;
	if (error)
		return report(host->ctx, error, name, cure(error), "cannot remove %s/%s", STATE_DIR,
			      name);
	return 0;
}

static int open_lock(struct usrpci_host *host)
{
	char path[PATH_SIZE];
	int error = path_format(host->ctx, path, STATE_DIR "/lock");
	int fd;

	if (!error)
		error = make_parents(path);
	if (error)
		return error;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	/*
	 * A user who can open the file can lock it for ever. An older version let everybody read
	 * it.
	 */
	if (!fchmod(fd, 0600))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* If the file was removed, the next program makes and locks another one. */
static bool is_still_there(struct usrpci_host *host, const char *name, int fd)
{
	char path[PATH_SIZE];
	struct stat mine, now;

	return !path_format(host->ctx, path, STATE_DIR "/%s", name) && !fstat(fd, &mine) &&
	       !stat(path, &now) && mine.st_ino == now.st_ino && mine.st_dev == now.st_dev;
}

static int take_lock(int fd, unsigned int deadline_ms)
{
	uint64_t end = clock_ms() + deadline_ms;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (clock_ms() >= end)
			return -EBUSY;
		sleep_ms(20);
	}
	return 0;
}

static void sign_lock(int fd)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d\n", getpid());

	/* The text is only for people: the lock is valid without it. */
	if (!ftruncate(fd, 0))
		(void)!pwrite(fd, text, (size_t)length, 0);
}

static const char *describe_holder(struct usrpci_host *host, char text[96])
{
	char pid[16] = "", command[64] = "";

	if (file_read(host->ctx, pid, sizeof(pid), STATE_DIR "/lock") > 0)
		file_read(host->ctx, command, sizeof(command), "/proc/%s/comm", pid);
	make_printable(command);
	snprintf(text, 96, "%s (pid %s)", command[0] ? command : "another program",
		 pid[0] ? pid : "unknown");
	return text;
}

/* Says who has the lock; a host that waits without an end then does so. */
static int wait_for_holder(struct usrpci_host *host, int fd)
{
	char holder[96];

	describe_holder(host, holder);
	if (!host->waits_for_lock)
		return refuse(host->ctx, -EBUSY, NULL, "wait for it to end, or end it",
			      "%s has been changing this host for %u s", holder,
			      host->lock_ms / 1000);
	log_warning(host->ctx, NULL, "end it if it hangs",
		    "waiting for %s, which has been changing this host for %u s", holder,
		    host->lock_ms / 1000);
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* Returns the locked file or a negative errno. Sets *logged when the holder was reported. */
static int lock_file(struct usrpci_host *host, bool *logged)
{
	int fd = open_lock(host);
	int error = fd < 0 ? fd : take_lock(fd, host->lock_ms);

	*logged = error == -EBUSY;
	if (*logged)
		error = wait_for_holder(host, fd);
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	return error;
}

int state_exists(struct usrpci_host *host, const char *name)
{
	int found = file_find(host->ctx, STATE_DIR "/%s", name);

	return found < 0 ? report(host->ctx, found, name, cure(found),
				  "it cannot be found out whether there is %s/%s", STATE_DIR, name)
			 : found;
}

int state_is_unfinished(struct usrpci_host *host)
{
	return state_exists(host, "new");
}

static void remove_unfinished(struct usrpci_host *host)
{
	char path[PATH_SIZE];

	if (!path_format(host->ctx, path, STATE_DIR "/new"))
		unlink(path);
}

int state_lock(struct usrpci_host *host)
{
	bool logged;
	int fd;

	if (host->options.dry_run || host->lock_depth++ > 0)
		return 0;
	fd = lock_file(host, &logged);
	while (fd >= 0 && !is_still_there(host, "lock", fd)) {
		close(fd);
		fd = lock_file(host, &logged);
	}
	if (fd >= 0) {
		sign_lock(fd);
		host->lock_fd = fd;
		remove_unfinished(host);
		return 0;
	}
	host->lock_depth = 0;
	if (logged)
		return fd;
	return report(host->ctx, fd, NULL, cure(fd), "cannot lock %s/lock", STATE_DIR);
}

void state_unlock(struct usrpci_host *host)
{
	if (!host->options.dry_run && --host->lock_depth > 0)
		return;
	errand_end(&host->runner);
	if (host->options.dry_run)
		return;
	/* A process that this one has just started may still have the file as well. */
	flock(host->lock_fd, LOCK_UN);
	close(host->lock_fd);
	host->lock_fd = -1;
}

static int open_held(struct usrpci_host *host, const char *name, int flags)
{
	char path[PATH_SIZE];
	int error = path_format(host->ctx, path, STATE_DIR "/%s", name);
	int fd;

	if (!error && (flags & O_CREAT))
		error = make_parents(path);
	if (error)
		return error;
	fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	return fd < 0 ? -errno : fd;
}

static int hold(struct usrpci_host *host, const char *name, int *fd)
{
	int error = 0;

	*fd = open_held(host, name, O_CREAT);
	if (*fd < 0)
		return *fd;
	if (flock(*fd, LOCK_EX | LOCK_NB))
		error = -errno;
	else if (!is_still_there(host, name, *fd))
		error = -EAGAIN;
	if (error)
		close(*fd);
	return error;
}

/* Who looks for files that nobody holds has one for a moment, and removes it. */
int state_hold(struct usrpci_host *host, const char *name, int *fd)
{
	uint64_t end = clock_ms() + HOLD_MS;
	int error;

	*fd = -1;
	if (host->options.dry_run)
		return 0;
	while ((error = hold(host, name, fd)) == -EAGAIN && clock_ms() < end)
		sleep_ms(1);
	return error ? report(host->ctx, error, name, cure(error), "cannot lock %s/%s", STATE_DIR,
			      name)
		     : 0;
}

void state_let_go(struct usrpci_host *host, const char *name, int fd, const char *text)
{
	if (fd < 0)
		return;
	/* The text is for people: without it the file still says that something goes on. */
	if (text)
		(void)!write_all(fd, text);
	else if (state_remove(host, name))
		host->left = true;
	close(fd);
}

int state_left(struct usrpci_host *host)
{
	bool left = host->left;

	host->left = false;
	return left ? -EUCLEAN : 0;
}

bool state_is_held(struct usrpci_host *host, const char *name, char *text, size_t size)
{
	int fd = open_held(host, name, 0);
	bool held;

	if (fd < 0)
		return false;
	held = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
	if (!held)
		state_remove(host, name);
	else if (file_read(host->ctx, text, size, STATE_DIR "/%s", name) < 0)
		text[0] = '\0';
	close(fd);
	return held;
}

/* The directories of files that are held: by who moves a device, or serves it. */
static const char *const held_directories[] = {"moving", "net", "served"};

int state_was_held(struct usrpci_host *host)
{
	int found = 0;

	for (size_t i = 0; !found && i < ARRAY_SIZE(held_directories); i++)
		found = state_exists(host, held_directories[i]);
	return found;
}

static void forget_held(struct usrpci_host *host, const char *directory)
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, STATE_DIR "/%s", directory);
	char name[64], text[160];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/%.40s", directory, names[i]);
		state_is_held(host, name, text, sizeof(text));
	}
}

void state_forget_held(struct usrpci_host *host)
{
	for (size_t i = 0; i < ARRAY_SIZE(held_directories); i++)
		forget_held(host, held_directories[i]);
}
