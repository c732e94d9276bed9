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
	COLUMN_RANGE, /* of hexadecimal numbers, "02-05" or "02"; in JSON "first" and "last" */
	COLUMN_LINES, /* in JSON an array, with one member for each line of a cell */
};

struct column {
	const char *name; /* the heading */
	const char *help;
	int flags; /* SCOLS_FL_* */
	enum column_kind kind;
	const char *key; /* the key in JSON; NULL: the heading in lower case */
};

/* If memory runs out while a table is filled, table_print() reports it. */
struct table {
	struct libscols_table *scols; /* NULL: memory was short */
	const char *name;             /* the key of its rows in JSON */
	const struct column *columns; /* must stay valid until the table is printed */
	size_t count;
	bool json;
	bool incomplete;
	bool filled; /* it has a row */
};

struct table table_open(bool json, const char *name, const struct column *columns, size_t count);

/*
 * Adds a row, below parent in a tree. Returns NULL when memory is short. The table must not be
 * moved after the first row.
 */
struct libscols_line *table_row(struct table *table, struct libscols_line *parent);

/* Sets a cell. A cell that was not set is empty, or null or [] in JSON. line may be NULL. */
__attribute__((format(printf, 3, 4))) void table_cell(struct libscols_line *line, size_t column,
						      const char *format, ...);

/* The table is printed without its heading. */
void table_hide_headings(struct table *table);

/* Frees a table that is not printed. */
void table_free(struct table *table);

/* Prints the table, with its heading when it has rows, and frees it. Returns a status. */
int table_print(struct table *table);

/*
 * JSON on standard output. key is NULL in arrays and for the outermost object.
 *
 * A command prints one object, to which several parts of it may write: the first outermost
 * json_open() begins it, later ones continue it, and json_end() ends it when the command's status
 * is known.
 */

/* Grows when a key is removed or changes its meaning, not when one is added. */
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

/* Writes the object to another file than standard output; must be called before it begins. */
void json_to(FILE *file);

/* Ends the object with the messages that were printed and the result of the command. */
void json_end(const char *result, int status);

/*
 * For a command that prints events, one object on each line: these begin such an object, with its
 * version, and end it.
 */
void json_line(struct json *json);
void json_line_end(void);

/* Writes bytes as one hexadecimal string: "3412e811". */
void json_bytes(struct json *json, const char *key, const uint8_t *bytes, size_t size);

/* Writes a number as a hexadecimal string: "0xfebc0000". */
void json_hex(struct json *json, const char *key, uint64_t number, int digits);
