/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Results: tables and trees, which libsmartcols draws for people, and JSON.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <libsmartcols.h>

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_LINES, /* an array in JSON: each line of a cell is a member */
};

struct column {
	const char *name; /* the heading */
	const char *help;
	int flags; /* SCOLS_FL_* */
	enum column_kind kind;
	const char *key; /* in JSON; NULL: the heading in lower case */
};

/* Memory that runs short while a table is filled is reported when it is printed. */
struct table {
	struct libscols_table *scols; /* NULL: memory was short */
	const char *name;             /* the key of its rows in JSON */
	const struct column *columns; /* the caller's, until the table is printed */
	size_t count;
	bool json;
	bool incomplete;
};

struct table table_open(bool json, const char *name, const struct column *columns, size_t count);

/*
 * Adds a row, in a tree below parent; NULL when memory is short. The table stays where it is from
 * the first row on.
 */
struct libscols_line *table_row(struct table *table, struct libscols_line *parent);

/* Sets a cell. One that is not set is empty, null or [] in JSON. line may be NULL. */
__attribute__((format(printf, 3, 4))) void table_cell(struct libscols_line *line, size_t column,
						      const char *format, ...);

/* Prints the table, with its heading when it has rows, and frees it. Returns a status. */
int table_print(struct table *table);

/*
 * JSON on standard output. key is NULL in arrays and for the outermost object.
 *
 * A command prints one object, whoever of its parts writes to it: the outermost json_open() begins
 * it, or goes on with it, and json_end() ends it when the command's status is known.
 */

/* Grows when a key goes or changes its meaning, not when one comes. */
enum { JSON_SCHEMA = 1 };

struct json {
	unsigned int depth;
	bool filled; /* the innermost object or array has a member */
};

void json_open(struct json *json, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *json, char bracket);
void json_text(struct json *json, const char *key, const char *text); /* NULL: null */
void json_number(struct json *json, const char *key, uint64_t number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* Lets the object go to a file other than standard output, before it begins. */
void json_to(FILE *file);

/* Ends the object with the messages that were printed, and what became of the command. */
void json_end(const char *result, int status);

/*
 * For a command that prints an object a line, as things happen: begins one, with its version, and
 * ends it.
 */
void json_line(struct json *json);
void json_line_end(void);

/* Bytes as one text in hexadecimal: "3412e811". */
void json_bytes(struct json *json, const char *key, const uint8_t *bytes, size_t size);

/* A number as text in hexadecimal: "0xfebc0000". */
void json_hex(struct json *json, const char *key, uint64_t number, int digits);
