// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the command calls of libsmartcols, for the static command, since no static libsmartcols is
 * packaged. It prints plain columns of ASCII, as libsmartcols does where the output is no terminal;
 * rows of a tree are indented. Nothing is cut to the width of a terminal.
 */

#include <errno.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 32, INDENT = 2 };

struct libscols_cell {
	char *text;
};

struct libscols_line {
	struct libscols_line *next, *parent;
	struct libscols_cell cells[COLUMNS_MAX];
	void *data;
};

struct libscols_column {
	char name[32];
	int flags;
	size_t width;
};

struct libscols_table {
	struct libscols_column columns[COLUMNS_MAX];
	size_t count;
	struct libscols_line *first, **end;
	int without_heading;
};

struct libscols_iter {
	struct libscols_line *next;
	int begun;
};

struct libscols_table *scols_new_table(void)
{
	struct libscols_table *table = calloc(1, sizeof(*table));

	if (table)
		table->end = &table->first;
	return table;
}

void scols_unref_table(struct libscols_table *table)
{
	struct libscols_line *line = table ? table->first : NULL;

	while (line) {
		struct libscols_line *next = line->next;

		for (size_t i = 0; i < table->count; i++)
			free(line->cells[i].text);
		free(line);
		line = next;
	}
	free(table);
}

int scols_table_enable_noheadings(struct libscols_table *table, int enable)
{
	table->without_heading = enable;
	return 0;
}

struct libscols_column *scols_table_new_column(struct libscols_table *table, const char *name,
					       double width, int flags)
{
	struct libscols_column *column = &table->columns[table->count];

	(void)width;
	if (table->count == COLUMNS_MAX)
		return NULL;
	table->count++;
	snprintf(column->name, sizeof(column->name), "%s", name);
	column->flags = flags;
	return column;
}

struct libscols_line *scols_table_new_line(struct libscols_table *table,
					   struct libscols_line *parent)
{
	struct libscols_line *line = calloc(1, sizeof(*line));

	if (!line)
		return NULL;
	line->parent = parent;
	*table->end = line;
	table->end = &line->next;
	return line;
}

int scols_line_set_data(struct libscols_line *line, size_t column, const char *data)
{
	char *copy = strdup(data);

	if (!copy)
		return -ENOMEM;
	free(line->cells[column].text);
	line->cells[column].text = copy;
	return 0;
}

int scols_line_set_userdata(struct libscols_line *line, void *data)
{
	line->data = data;
	return 0;
}

void *scols_line_get_userdata(struct libscols_line *line)
{
	return line->data;
}

struct libscols_line *scols_line_get_parent(const struct libscols_line *line)
{
	return line->parent;
}

struct libscols_cell *scols_line_get_cell(struct libscols_line *line, size_t column)
{
	return &line->cells[column];
}

const char *scols_cell_get_data(const struct libscols_cell *cell)
{
	return cell->text;
}

/* All lines of the table come after their parent. */
int scols_line_has_children(struct libscols_line *line)
{
	for (const struct libscols_line *child = line->next; child; child = child->next)
		if (child->parent == line)
			return 1;
	return 0;
}

struct libscols_iter *scols_new_iter(int direction)
{
	(void)direction;
	return calloc(1, sizeof(struct libscols_iter));
}

void scols_free_iter(struct libscols_iter *iter)
{
	free(iter);
}

int scols_table_next_line(struct libscols_table *table, struct libscols_iter *iter,
			  struct libscols_line **line)
{
	*line = iter->begun ? iter->next : table->first;
	iter->begun = 1;
	if (!*line)
		return 1;
	iter->next = (*line)->next;
	return 0;
}

static size_t depth_of(const struct libscols_line *line)
{
	size_t depth = 0;

	while ((line = line->parent))
		depth++;
	return depth;
}

/* A cell of several lines is printed on one. */
static void format_cell(char *out, size_t size, const struct libscols_column *column,
			const struct libscols_line *line, size_t index)
{
	const char *text = line->cells[index].text;
	size_t indent = column->flags & SCOLS_FL_TREE ? depth_of(line) * INDENT : 0;

	snprintf(out, size, "%*s%s", (int)indent, "", text ? text : "");
	for (char *end = out; (end = strchr(end, '\n'));)
		*end = ' ';
}

static void measure(struct libscols_table *table)
{
	char text[600];

	for (size_t i = 0; i < table->count; i++) {
		struct libscols_column *column = &table->columns[i];

		column->width = table->without_heading ? 0 : strlen(column->name);
		for (const struct libscols_line *line = table->first; line; line = line->next) {
			format_cell(text, sizeof(text), column, line, i);
			if (strlen(text) > column->width)
				column->width = strlen(text);
		}
	}
}

static void print_cell(const struct libscols_table *table, size_t index, const char *text)
{
	const struct libscols_column *column = &table->columns[index];
	int width = (int)column->width;

	if (column->flags & SCOLS_FL_RIGHT)
		printf("%*s", width, text);
	else
		printf("%-*s", index + 1 < table->count ? width : 0, text);
	putchar(index + 1 < table->count ? ' ' : '\n');
}

/* Rows of a tree are printed below their parent, whenever they were added. */
static void print_rows(struct libscols_table *table, const struct libscols_line *parent)
{
	char text[600];

	for (const struct libscols_line *line = table->first; line; line = line->next) {
		if (line->parent != parent)
			continue;
		for (size_t i = 0; i < table->count; i++) {
			format_cell(text, sizeof(text), &table->columns[i], line, i);
			print_cell(table, i, text);
		}
		print_rows(table, line);
	}
}

int scols_print_table(struct libscols_table *table)
{
	if (!table->first)
		return 0;
	measure(table);
	for (size_t i = 0; !table->without_heading && i < table->count; i++)
		print_cell(table, i, table->columns[i].name);
	print_rows(table, NULL);
	return 0;
}
