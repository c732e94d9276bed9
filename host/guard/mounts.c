// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads where namespaces are mounted, which are kept by that though no process is in them, as lines
 * of proc_pid_mountinfo(5): "100 30 0:4 mnt:[4026532251] /run/my\040ns rw - nsfs nsfs rw".
 */

#include <stdio.h>
#include <string.h>

#include "file.h"
#include "guard/mounts.h"

static bool is_octal(const char *digits)
{
	return strspn(digits, "01234567") >= 3;
}

/* The kernel writes a blank, a tab, the end of a line and a backslash as their octal numbers. */
static void decode(char *path)
{
	char *to = path;

	for (const char *from = path; *from; to++) {
		bool octal = from[0] == '\\' && is_octal(from + 1);

		*to = octal ? (char)((from[1] & 3) << 6 | (from[2] & 7) << 3 | (from[3] & 7))
			    : *from;
		from += octal ? 4 : 1;
	}
	*to = '\0';
}

/* Returns the place in a line whose namespace is of this kind, or NULL. */
static char *find_place(char *line, const char *kind)
{
	size_t length = strlen(kind);
	char *place = NULL;
	int root = 0;

	sscanf(line, "%*d %*d %*s %n", &root);
	if (root && !strncmp(line + root, kind, length) && line[root + (int)length] == ':')
		place = strchr(line + root, ' ');
	if (!place)
		return NULL;
	place++;
	place[strcspn(place, " ")] = '\0';
	decode(place);
	return place;
}

int mounts_each_namespace(struct usrpci_host *host, const char *pid, const char *kind,
			  mounts_visit_fn *visit, void *data)
{
	FILE *mounts = file_stream(host->ctx, "/proc/%s/mountinfo", pid);
	AUTO_FREE char *line = NULL;
	size_t size = 0;
	int result = 0;

	while (mounts && !result && getline(&line, &size, mounts) > 0) {
		const char *place = find_place(line, kind);

		result = place ? visit(data, place) : 0;
	}
	if (mounts)
		fclose(mounts);
	return result;
}
