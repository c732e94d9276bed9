// SPDX-License-Identifier: BSD-2-Clause
/*
 * Results. Tables and trees for people are drawn by libsmartcols. Addresses are text in JSON: a
 * reader that keeps numbers as doubles would round them.
 */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "library.h"
#include "output.h"
#include "smartcols.h"

/*
 * Where the command's object is written, whether it has begun, and whether it must fit on one line.
 */
static struct {
	FILE *file; /* NULL: standard output */
	bool open;
	bool on_a_line;
} document;

void json_to(FILE *file)
{
	document.file = file;
}

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(document.file ? document.file : stdout, format, args);
	va_end(args);
}

static void new_line(unsigned int depth)
{
	if (!document.on_a_line)
		put("\n%*s", (int)depth * 3, "");
}

static void begin(struct json *json, const char *key)
{
	if (json->filled)
		put(document.on_a_line ? ", " : ",");
	if (json->depth)
		new_line(json->depth);
	if (key)
		put("\"%s\": ", key);
	json->filled = true;
}

static void open_document(struct json *json)
{
	bool begun = document.open;

	document.open = true;
	*json = (struct json){.depth = 1, .filled = begun};
	if (begun)
		return;
	put("{");
	json_number(json, "schema", JSON_SCHEMA);
}

void json_open(struct json *json, const char *key, char bracket)
{
	if (!json->depth) {
		open_document(json);
		return;
	}
	begin(json, key);
	put("%c", bracket);
	json->depth++;
	json->filled = false;
}

/* The outermost object stays open, so that others can add members. */
void json_close(struct json *json, char bracket)
{
	if (!--json->depth)
		return;
	if (json->filled)
		new_line(json->depth);
	put("%c", bracket);
	json->filled = true;
}

void json_line(struct json *json)
{
	document.on_a_line = true;
	*json = (struct json){0};
	json_open(json, NULL, '{');
}

void json_line_end(void)
{
	put("}\n");
	document.open = false;
}

void json_end(const char *result, int status)
{
	struct json json = {0};

	json_open(&json, NULL, '{');
	json_messages(&json);
	json_text(&json, "result", result);
	json_number(&json, "exit_status", (uint64_t)status);
	new_line(0);
	put("}\n");
}

void json_text(struct json *json, const char *key, const char *text)
{
	if (!text) {
		json_null(json, key);
		return;
	}
	begin(json, key);
	put("\"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			put("\\%c", c);
		else if (c < 0x20)
			put("\\u%04x", c);
		else
			put("%c", c);
	}
	put("\"");
}

void json_number(struct json *json, const char *key, uint64_t number)
{
	begin(json, key);
	put("%" PRIu64, number);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin(json, key);
	put("%s", value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
	begin(json, key);
	put("null");
}

void json_hex(struct json *json, const char *key, uint64_t number, int digits)
{
	begin(json, key);
	put("\"0x%0*" PRIx64 "\"", digits, number);
}

void json_bytes(struct json *json, const char *key, const uint8_t *bytes, size_t size)
{
	begin(json, key);
	put("\"");
	for (size_t i = 0; i < size; i++)
		put("%02x", bytes[i]);
	put("\"");
}

static const char *const smartcols_names[] = {LIBRARY_SMARTCOLS(LIBRARY_NAME)};

/*
 * libsmartcols takes as long to load as most commands without a table run, so it is loaded with the
 * first table.
 */
static struct {
	LIBRARY_SMARTCOLS(LIBRARY_MEMBER)
} smartcols;

static bool load_smartcols(void)
{
	static bool loaded;

	if (!loaded)
		loaded = library_load(LIBRARY_DIR "/libsmartcols.so.1", "libsmartcols.so.1",
				      smartcols_names, ARRAY_SIZE(smartcols_names), &smartcols);
	return loaded;
}

struct table table_open(bool json, const char *name, const struct column *columns, size_t count)
{
	struct table table = {NULL, name, columns, count, json, false, false};

	if (load_smartcols())
		table.scols = smartcols.scols_new_table();
	for (size_t i = 0; i < count && table.scols; i++)
		if (!smartcols.scols_table_new_column(table.scols, columns[i].name, 0,
						      columns[i].flags))
			table.incomplete = true;
	return table;
}

struct libscols_line *table_row(struct table *table, struct libscols_line *parent)
{
	struct libscols_line *line = table->scols
					     ? smartcols.scols_table_new_line(table->scols, parent)
					     : NULL;

	table->filled = true;
	if (line)
		smartcols.scols_line_set_userdata(line, table);
	else
		table->incomplete = true;
	return line;
}

void table_cell(struct libscols_line *line, size_t column, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!line)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (*text && smartcols.scols_line_set_data(line, column, text))
		((struct table *)smartcols.scols_line_get_userdata(line))->incomplete = true;
}

static void write_lines(struct json *json, const char *key, const char *text)
{
	char copy[512], *rest, *word;

	snprintf(copy, sizeof(copy), "%s", text);
	json_open(json, key, '[');
	for (word = strtok_r(copy, "\n", &rest); word; word = strtok_r(NULL, "\n", &rest))
		json_text(json, NULL, word);
	json_close(json, ']');
}

static void write_range(struct json *json, const char *key, const char *text)
{
	unsigned int first, last;
	int count = sscanf(text, "%x-%x", &first, &last);

	if (count < 1) {
		json_null(json, key);
		return;
	}
	json_open(json, key, '{');
	json_number(json, "first", first);
	json_number(json, "last", count > 1 ? last : first);
	json_close(json, '}');
}

static void write_cell(struct json *json, const struct column *column, const char *data)
{
	char name[32];
	const char *key = column->key ? column->key : name;

	snprintf(name, sizeof(name), "%s", column->name);
	for (char *c = name; *c; c++)
		*c = (char)tolower(*c);
	if (column->kind == COLUMN_LINES)
		write_lines(json, key, data ? data : "");
	else if (column->kind == COLUMN_RANGE)
		write_range(json, key, data ? data : "");
	else if (data && column->kind == COLUMN_NUMBER)
		json_number(json, key, strtoull(data, NULL, 10));
	else
		json_text(json, key, data);
}

/* Writes the rows below a row; NULL: those at the top. */
static void write_rows(const struct table *table, struct json *json, const char *key,
		       struct libscols_line *parent)
{
	struct libscols_iter *iterator = smartcols.scols_new_iter(SCOLS_ITER_FORWARD);
	struct libscols_line *line;

	json_open(json, key, '[');
	while (iterator && !smartcols.scols_table_next_line(table->scols, iterator, &line)) {
		if (smartcols.scols_line_get_parent(line) != parent)
			continue;
		json_open(json, NULL, '{');
		for (size_t i = 0; i < table->count; i++)
			write_cell(json, &table->columns[i],
				   smartcols.scols_cell_get_data(
					   smartcols.scols_line_get_cell(line, i)));
		if (smartcols.scols_line_has_children(line))
			write_rows(table, json, "children", line);
		json_close(json, '}');
	}
	json_close(json, ']');
	smartcols.scols_free_iter(iterator);
}

void table_hide_headings(struct table *table)
{
	if (table->scols)
		smartcols.scols_table_enable_noheadings(table->scols, true);
}

void table_free(struct table *table)
{
	if (table->scols)
		smartcols.scols_unref_table(table->scols);
	table->scols = NULL;
}

static int print(const struct table *table)
{
	struct json json = {0};

	if (!table->json)
		return smartcols.scols_print_table(table->scols);
	json_open(&json, NULL, '{');
	write_rows(table, &json, table->name, NULL);
	json_close(&json, '}');
	return 0;
}

int table_print(struct table *table)
{
	int error = -ENOMEM;

	/* When memory is short, the library prints only a part and reports success. */
	errno = 0;
	if (table->scols && !table->incomplete)
		error = print(table) ?: errno == ENOMEM ? -ENOMEM : 0;
	if (!error && !table->filled && !table->json && isatty(STDOUT_FILENO))
		print_message(MESSAGE_NOTE, NULL, "there is nothing to show", NULL);
	if (!load_smartcols())
		return failed("libsmartcols.so.1", "apt install libsmartcols1", "cannot load it");
	table_free(table);
	if (error == -ENOMEM)
		return out_of_memory();
	return error ? failed(NULL, NULL, "cannot print: %s", strerror(-error)) : STATUS_DONE;
}
