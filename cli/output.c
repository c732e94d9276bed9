// SPDX-License-Identifier: BSD-2-Clause
/*
 * Results. Tables are libsmartcols' work; the JSON writer is for nested results, which it can't
 * draw. Addresses are text in JSON: a reader that keeps numbers as doubles would round them.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "output.h"

struct table table_open(bool json, const char *name, const struct column *columns, size_t count)
{
	struct table table = {.scols = scols_new_table()};

	if (!table.scols)
		return table;
	scols_table_set_name(table.scols, name);
	scols_table_enable_json(table.scols, json);
	for (size_t i = 0; i < count; i++) {
		struct libscols_column *column =
			scols_table_new_column(table.scols, columns[i].name, 0, columns[i].flags);

		if (column)
			scols_column_set_json_type(column, columns[i].json_type);
		else
			table.incomplete = true;
	}
	return table;
}

struct libscols_line *table_row(struct table *table, struct libscols_line *parent)
{
	struct libscols_line *line = table->scols ? scols_table_new_line(table->scols, parent)
						  : NULL;

	table->incomplete |= !line;
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
	if (*text)
		scols_line_set_data(line, column, text);
}

int table_print(struct table *table)
{
	int error;

	if (!table->scols || table->incomplete) {
		scols_unref_table(table->scols);
		return out_of_memory();
	}
	error = scols_print_table(table->scols);
	scols_unref_table(table->scols);
	return error ? failed(NULL, NULL, "cannot print: %s", strerror(-error)) : STATUS_DONE;
}

static void begin(struct json *json, const char *key)
{
	if (json->filled)
		putchar(',');
	if (json->depth)
		printf("\n%*s", (int)json->depth * 3, "");
	if (key)
		printf("\"%s\": ", key);
	json->filled = true;
}

void json_open(struct json *json, const char *key, char bracket)
{
	begin(json, key);
	putchar(bracket);
	json->depth++;
	json->filled = false;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (json->filled)
		printf("\n%*s", (int)json->depth * 3, "");
	putchar(bracket);
	json->filled = true;
	if (!json->depth)
		putchar('\n');
}

void json_text(struct json *json, const char *key, const char *text)
{
	if (!text) {
		json_null(json, key);
		return;
	}
	begin(json, key);
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

void json_number(struct json *json, const char *key, uint64_t number)
{
	begin(json, key);
	printf("%" PRIu64, number);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin(json, key);
	printf("%s", value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
	begin(json, key);
	printf("null");
}

void json_hex(struct json *json, const char *key, uint64_t number, int digits)
{
	begin(json, key);
	printf("\"0x%0*" PRIx64 "\"", digits, number);
}
