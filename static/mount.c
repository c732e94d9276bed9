// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the guard calls of libmount, for the static command: tables of mounts and of swap space, as
 * proc(5) describes their files.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <libmount.h>

struct libmnt_fs {
	struct libmnt_fs *next;
	dev_t number;
	char *source, *target;
};

struct libmnt_table {
	struct libmnt_fs *first, **end;
};

struct libmnt_iter {
	struct libmnt_fs *next;
	bool begun;
};

struct libmnt_table *mnt_new_table(void)
{
	struct libmnt_table *table = calloc(1, sizeof(*table));

	if (table)
		table->end = &table->first;
	return table;
}

void mnt_unref_table(struct libmnt_table *table)
{
	struct libmnt_fs *fs = table ? table->first : NULL;

	while (fs) {
		struct libmnt_fs *next = fs->next;

		free(fs->source);
		free(fs->target);
		free(fs);
		fs = next;
	}
	free(table);
}

/* Each line that makes no sense is an error here anyway. */
int mnt_table_set_parser_errcb(struct libmnt_table *table,
			       int (*callback)(struct libmnt_table *, const char *, int))
{
	(void)table, (void)callback;
	return 0;
}

static bool is_escape(const char *text)
{
	return text[0] == '\\' && strspn(text + 1, "01234567") >= 3;
}

/* The kernel writes a blank as \040. */
static char *decode(const char *text)
{
	char *copy = strdup(text), *to = copy;

	for (const char *from = text; to && *from; to++) {
		if (is_escape(from)) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	if (to)
		*to = '\0';
	return copy;
}

static int add(struct libmnt_table *table, dev_t number, const char *source, const char *target)
{
	struct libmnt_fs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return -ENOMEM;
	*table->end = fs;
	table->end = &fs->next;
	fs->number = number;
	fs->source = decode(source);
	fs->target = decode(target);
	return fs->source && fs->target ? 0 : -ENOMEM;
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static int parse_mount(struct libmnt_table *table, char *line)
{
	char *rest = strstr(line, " - "), *target;
	unsigned int major, minor;
	int at = 0, from = 0;

	if (!rest || sscanf(line, "%*d %*d %u:%u %*s %n", &major, &minor, &at) != 2 || !at ||
	    sscanf(rest, " - %*s %n", &from) != 0 || !from)
		return -EBADMSG;
	target = line + at;
	target[strcspn(target, " ")] = '\0';
	rest += from;
	rest[strcspn(rest, " \n")] = '\0';
	return add(table, makedev(major, minor), rest, target);
}

static int parse_swap(struct libmnt_table *table, char *line)
{
	if (!strncmp(line, "Filename", strlen("Filename")))
		return 0;
	line[strcspn(line, " \t\n")] = '\0';
	return *line ? add(table, 0, line, "") : -EBADMSG;
}

static int parse(struct libmnt_table *table, const char *path,
		 int (*parse_line)(struct libmnt_table *table, char *line))
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	int error = 0;

	if (!file)
		return -errno;
	while (errno = 0, !error && getline(&line, &size, file) >= 0)
		error = parse_line(table, line);
	if (!error && errno)
		error = -errno;
	free(line);
	fclose(file);
	return error;
}

int mnt_table_parse_file(struct libmnt_table *table, const char *path)
{
	return parse(table, path, parse_mount);
}

int mnt_table_parse_swaps(struct libmnt_table *table, const char *path)
{
	return parse(table, path, parse_swap);
}

struct libmnt_iter *mnt_new_iter(int direction)
{
	(void)direction;
	return calloc(1, sizeof(struct libmnt_iter));
}

void mnt_reset_iter(struct libmnt_iter *iter, int direction)
{
	(void)direction;
	*iter = (struct libmnt_iter){0};
}

void mnt_free_iter(struct libmnt_iter *iter)
{
	free(iter);
}

int mnt_table_next_fs(struct libmnt_table *table, struct libmnt_iter *iter, struct libmnt_fs **fs)
{
	*fs = iter->begun ? iter->next : table->first;
	iter->begun = true;
	if (!*fs)
		return 1;
	iter->next = (*fs)->next;
	return 0;
}

const char *mnt_fs_get_source(struct libmnt_fs *fs)
{
	return fs->source;
}

const char *mnt_fs_get_target(struct libmnt_fs *fs)
{
	return fs->target;
}

dev_t mnt_fs_get_devno(struct libmnt_fs *fs)
{
	return fs->number;
}
