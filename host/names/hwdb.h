/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * udev's hardware database, hwdb(7): patterns that modalias strings may match, each with values
 * that have keys.
 */

#include <stddef.h>
#include <stdint.h>

struct hwdb {
	const uint8_t *data; /* NULL: there is no database */
	size_t size;
	size_t node_size, child_size, value_size, root; /* of the tree in it */
};

/*
 * Opens the database of the running machine, the first that is found where udev looks. Returns 0
 * also where there is none; -EBADMSG where it is no database, or another negative errno. Does not
 * log.
 */
int hwdb_open(struct hwdb *hwdb);

/* As hwdb_open(), of one file, which must be there. */
int hwdb_open_file(struct hwdb *hwdb, const char *path);

/*
 * Returns the value of a key at a pattern, which is not compared as one but letter by letter: what
 * stands at "pci:v00008086*" is found by this text alone. NULL: there is none. The text is the
 * database's.
 */
const char *hwdb_value(const struct hwdb *hwdb, const char *pattern, const char *key);

void hwdb_close(struct hwdb *hwdb);
