// SPDX-License-Identifier: BSD-2-Clause
/*
 * Decides as whom a program runs that devices are lent to: the user that is asked for, else the one
 * that called sudo, else a user that nobody else is, as with systemd's DynamicUser. Two programs of
 * one user can reach each other.
 */

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lend/lend.h"
#include "numbers.h"

#define LOG_SUBJECT "lend"
#include "log.h"

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

int lend_user_check(struct usrpci_host *host, const char *name)
{
	struct lend_user user;

	return name ? find_named(host, name, &user) : 0;
}

static int find_unused(struct usrpci_host *host, struct lend_user *user)
{
	unsigned int id;
	char name[16];
	int error = lend_id_find(host, &id);

	if (error)
		return error;
	snprintf(name, sizeof(name), "%u", id);
	set_user(user, id, id, name, "/");
	return 0;
}

int lend_user_find(struct lend *lend)
{
	const char *caller = getenv("SUDO_UID");

	if (lend->options->user)
		return find_named(lend->host, lend->options->user, &lend->user);
	if (caller && strcmp(caller, "0"))
		return find_named(lend->host, caller, &lend->user);
	return find_unused(lend->host, &lend->user);
}
