// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds a user id that nobody has and had, for a program that devices are lent to. A program may
 * leave files, and one of them with the set-user-ID bit makes whoever runs it its user: another
 * program with the same id could then be reached from there. So ids come from a range of which one
 * is not chosen twice in a lifetime.
 *
 * Users are read from the files in /etc. Asking the C library instead loads the modules of
 * nsswitch.conf(5), which takes longer than all other work before the program starts. It is asked
 * only where another service than these files may know users of the range: a directory such as
 * LDAP, or user records of systemd's (https://systemd.io/USER_RECORD).
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "lend/lend.h"

#define LOG_SUBJECT "lend"
#include "log.h"

/* Those that systemd's UIDS-GIDS.md gives to nobody, and of which none is negative. */
#define FIRST 1879048192U
#define LAST  2147483645U
#define TRIES 100

struct ids {
	struct usrpci_host *host;
	unsigned int id;
	bool taken;
};

/* "name:password:user:group:..." or "name:password:group:members", whose names may be numbers. */
static void mark_line(struct ids *ids, const char *line)
{
	unsigned int id;

	for (int field = 2; field <= 4 && (line = strchr(line, ':')); field++, line++)
		if (field > 2 && sscanf(line + 1, "%u", &id) == 1 && id == ids->id)
			ids->taken = true;
}

/* A file that is missing names nobody. */
static int mark_file(struct ids *ids, const char *name)
{
	char path[PATH_SIZE], *line = NULL;
	int error = path_format(ids->host->ctx, path, "%s", name);
	FILE *file = error ? NULL : fopen(path, "re");
	size_t size = 0;

	if (!file)
		return error ? error : errno == ENOENT ? 0 : -errno;
	errno = 0;
	while (getline(&line, &size, file) > 0)
		mark_line(ids, line);
	error = ferror(file) ? -EIO : errno == ENOMEM ? -ENOMEM : 0;
	free(line);
	fclose(file);
	return error;
}

static int mark_files(struct ids *ids)
{
	return mark_file(ids, "/etc/passwd") ?: mark_file(ids, "/etc/group");
}

/* Whether the services of a database, "files systemd # both", are none but these two. */
static bool are_local(char *services)
{
	char *rest = NULL, *word;

	services[strcspn(services, "#\n")] = '\0';
	word = strtok_r(services, " \t", &rest);
	for (; word; word = strtok_r(NULL, " \t", &rest))
		if (strcmp(word, "files") && strcmp(word, "systemd") && word[0] != '[')
			return false;
	return true;
}

static bool are_both_local(FILE *file)
{
	char *line = NULL;
	size_t size = 0;
	int databases = 0;
	bool local = true;

	while (getline(&line, &size, file) > 0) {
		if (strncmp(line, "passwd:", 7) && strncmp(line, "group:", 6))
			continue;
		databases++;
		local = local && are_local(strchr(line, ':') + 1);
	}
	free(line);
	return local && databases == 2;
}

static bool has_local_services(const struct ids *ids)
{
	char path[PATH_SIZE];
	FILE *file = path_format(ids->host->ctx, path, "/etc/nsswitch.conf") ? NULL
									     : fopen(path, "re");
	bool local = file && are_both_local(file);

	if (file)
		fclose(file);
	return local;
}

/*
 * Where administrators and services put records. systemd's own services know none of the range, and
 * packages have users of the system's range alone; see its UIDS-GIDS.md.
 */
static bool has_user_records(const struct ids *ids)
{
	static const char *const places[] = {"/etc/userdb", "/run/userdb", "/run/host/userdb"};
	AUTO_FREE char **names = NULL;
	int count = dir_list(ids->host->ctx, &names, "/run/systemd/userdb");
	bool found = count < 0 && count != -ENOENT;

	for (int i = 0; i < count; i++)
		found = found || strncmp(names[i], "io.systemd.", 11) != 0;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		found = found || file_exists(ids->host->ctx, "%s", places[i]);
	return found;
}

/* Whether a process that this one can see runs as the user. */
static bool has_processes(unsigned int id)
{
	errno = 0;
	return getpriority(PRIO_USER, id) != -1 || errno != ESRCH;
}

int lend_id_is_taken(struct usrpci_host *host, unsigned int id, bool *taken)
{
	struct ids ids = {.host = host, .id = id};
	int error = mark_files(&ids);

	if (error)
		return report(host->ctx, error, NULL, NULL, "cannot read which users there are");
	*taken = ids.taken || has_processes(id) || lend_note_has_user(host, id);
	if (!*taken && (!has_local_services(&ids) || has_user_records(&ids)))
		*taken = getpwuid(id) || getgrgid(id);
	return 0;
}

/* Before the kernel has random bytes, shortly after its start, the clock has to do. */
static unsigned int choose(void)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		number = (uint32_t)(clock_ms() * 1000003 + (unsigned int)getpid());
	return FIRST + number % (LAST - FIRST + 1);
}

int lend_id_find(struct usrpci_host *host, unsigned int *id)
{
	bool taken = true;
	int error = 0;

	for (int i = 0; !error && taken && i < TRIES; i++) {
		*id = choose();
		error = lend_id_is_taken(host, *id, &taken);
	}
	if (!error && taken)
		error = refuse(host->ctx, -EUSERS, NULL, "name one with -u",
			       "users from %u to %u exist or have processes", FIRST, LAST);
	return error;
}
