// SPDX-License-Identifier: BSD-2-Clause
/*
 * Decides as whom a program runs that devices are lent to: the user that is asked for, else the one
 * that called sudo, else a user that nobody else is, as with systemd's DynamicUser. Two programs of
 * one user can reach each other.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "lend/lend.h"
#include "numbers.h"
#include "state.h"

#define LOG_SUBJECT "lend"
#include "log.h"

/* Between what systemd and Debian give to users and what newuidmap(1) gives to containers. */
#define FIRST 70000
#define COUNT 1000

static void set_user(struct lend_user *user, uid_t uid, gid_t gid, const char *name,
		     const char *home)
{
	user->uid = uid;
	user->gid = gid;
	snprintf(user->name, sizeof(user->name), "%s", name);
	snprintf(user->home, sizeof(user->home), "%s", home);
}

/* A number needs no entry in the user database; its group is then the same number. */
static int find_named(struct usrpci_host *host, const char *name, struct lend_user *user)
{
	const struct passwd *entry = getpwnam(name);
	unsigned int id = 0;

	if (!entry && !parse_id(name, &id))
		return refuse(host->ctx, -ENOENT, name, NULL, "no such user");
	if (!entry)
		entry = getpwuid(id);
	if (entry)
		set_user(user, entry->pw_uid, entry->pw_gid, entry->pw_name, entry->pw_dir);
	else
		set_user(user, id, id, name, "/");
	/* Root owns the devices' files, so without a capability it still has other ways to them. */
	if (user->uid == 0 || user->gid == 0)
		return refuse(
			host->ctx, -EPERM, name, "name another with -u",
			"a program that devices are lent to does not run as root, nor in its group");
	return 0;
}

struct running {
	struct usrpci_host *host;
	bool taken[COUNT]; /* users of the range that have a process */
};

static int mark_running(void *data, const char *pid)
{
	struct running *running = data;
	char path[PATH_SIZE];
	struct stat status;

	if (!path_format(running->host->ctx, path, "/proc/%s", pid) && !stat(path, &status) &&
	    status.st_uid >= FIRST && status.st_uid - FIRST < COUNT)
		running->taken[status.st_uid - FIRST] = true;
	return 0;
}

static bool is_known(unsigned int id)
{
	return getpwuid(id) || getgrgid(id);
}

/* With the lock held, until a note says whose the user is. One that was used lately comes last. */
static int find_unused(struct usrpci_host *host, struct lend_user *user)
{
	struct running running = {.host = host};
	char name[16];
	int error = host_each_process(host, mark_running, &running);

	if (error)
		return report(host->ctx, error, NULL, NULL, "cannot read /proc");
	for (unsigned int i = 0; i < COUNT; i++) {
		unsigned int at = ((unsigned int)getpid() + i) % COUNT;

		if (running.taken[at] || lend_note_has_user(host, FIRST + at) ||
		    is_known(FIRST + at))
			continue;
		snprintf(name, sizeof(name), "%u", FIRST + at);
		set_user(user, FIRST + at, FIRST + at, name, "/");
		return 0;
	}
	return refuse(host->ctx, -EUSERS, NULL, "name one with -u",
		      "the users %u to %u all exist or have processes", FIRST, FIRST + COUNT - 1);
}

static int find(struct lend *lend)
{
	const char *caller = getenv("SUDO_UID");

	if (lend->options->user)
		return find_named(lend->host, lend->options->user, &lend->user);
	if (caller && strcmp(caller, "0"))
		return find_named(lend->host, caller, &lend->user);
	return find_unused(lend->host, &lend->user);
}

int lend_user_find(struct lend *lend)
{
	int error = state_lock(lend->host);

	if (error)
		return error;
	error = find(lend) ?: lend_notes_write(lend);
	state_unlock(lend->host);
	return error;
}
