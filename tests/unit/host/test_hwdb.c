// SPDX-License-Identifier: BSD-2-Clause
/*
 * The reader of udev's hardware database: on a database that is built here, on damaged ones, and on
 * this machine's, whose names systemd-hwdb(8) knows as well.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "array.h"
#include "bytes.h"
#include "names/hwdb.h"

enum { HEADER = 80, NODE = 24, CHILD = 16, VALUE = 16 };

/* "pci:v1*" has K=V, and a key that is for others; "pci:v2*" shares its beginning. */
enum {
	ROOT_NODE = HEADER,
	ONE = ROOT_NODE + NODE + 2 * CHILD,
	TWO = ONE + NODE + 2 * VALUE,
	STRINGS = TWO + NODE + VALUE,
};

static const char strings[] = "\0pci:v\0*\0 K\0V\0:K\0other\0W";

enum {
	EMPTY = 0,
	PCI_V = 1,
	STAR = 7,
	KEY = 9,
	TEXT = 12,
	OTHER_KEY = 14,
	OTHER = 17,
	TEXT_2 = 23
};

struct database {
	char path[64];
	size_t size;
	uint8_t bytes[STRINGS + sizeof(strings)];
};

static void put_node(uint8_t *node, unsigned int prefix, uint8_t children, uint64_t values)
{
	put_le64(node, STRINGS + prefix);
	node[8] = children;
	put_le64(node + 16, values);
}

static void put_pair(uint8_t *entry, uint64_t first, uint64_t second)
{
	put_le64(entry, first);
	put_le64(entry + 8, second);
}

static void build(uint8_t *bytes)
{
	static const uint64_t header[] = {
		1, STRINGS + sizeof(strings), HEADER, NODE, CHILD, VALUE, ROOT_NODE};

	memcpy(bytes, "KSLPHHRH", 8);
	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		put_le64(bytes + 8 + 8 * i, header[i]);
	put_node(bytes + ROOT_NODE, PCI_V, 2, 0);
	put_pair(bytes + ROOT_NODE + NODE, '1', ONE);
	put_pair(bytes + ROOT_NODE + NODE + CHILD, '2', TWO);
	put_node(bytes + ONE, STAR, 0, 2);
	put_pair(bytes + ONE + NODE, STRINGS + OTHER_KEY, STRINGS + OTHER);
	put_pair(bytes + ONE + NODE + VALUE, STRINGS + KEY, STRINGS + TEXT);
	put_node(bytes + TWO, STAR, 0, 1);
	put_pair(bytes + TWO + NODE, STRINGS + KEY, STRINGS + TEXT_2);
	memcpy(bytes + STRINGS, strings, sizeof(strings));
}

static int setup(void **state)
{
	struct database *database = calloc(1, sizeof(*database));
	int fd;

	if (!database)
		return -1;
	strcpy(database->path, "/tmp/usrpci-hwdb-XXXXXX");
	fd = mkstemp(database->path);
	close(fd);
	build(database->bytes);
	database->size = sizeof(database->bytes);
	*state = database;
	return fd < 0;
}

static int teardown(void **state)
{
	struct database *database = *state;

	unlink(database->path);
	free(database);
	return 0;
}

static int open_it(const struct database *database, struct hwdb *hwdb)
{
	FILE *file = fopen(database->path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(database->bytes, 1, database->size, file), database->size);
	fclose(file);
	return hwdb_open_file(hwdb, database->path);
}

static void a_pattern_is_found_letter_by_letter(void **state)
{
	struct hwdb hwdb;

	assert_int_equal(open_it(*state, &hwdb), 0);
	assert_string_equal(hwdb_value(&hwdb, "pci:v1*", "K"), "V");
	assert_string_equal(hwdb_value(&hwdb, "pci:v2*", "K"), "W");
	assert_null(hwdb_value(&hwdb, "pci:v1*", "other"));
	assert_null(hwdb_value(&hwdb, "pci:v1*", ":K"));
	assert_null(hwdb_value(&hwdb, "pci:v1", "K"));
	assert_null(hwdb_value(&hwdb, "pci:v12", "K"));
	assert_null(hwdb_value(&hwdb, "pci:v3*", "K"));
	assert_null(hwdb_value(&hwdb, "", "K"));
	hwdb_close(&hwdb);
	assert_null(hwdb_value(&hwdb, "pci:v1*", "K"));
}

static void ask_all(const struct database *database)
{
	struct hwdb hwdb;
	const char *value;

	if (open_it(database, &hwdb))
		return;
	for (char letter = '0'; letter < '4'; letter++) {
		char pattern[] = {'p', 'c', 'i', ':', 'v', letter, '*', '\0'};

		value = hwdb_value(&hwdb, pattern, "K");
		assert_true(!value || strlen(value) < sizeof(database->bytes));
	}
	hwdb_close(&hwdb);
}

static void a_damaged_database_has_no_value_and_is_not_left(void **state)
{
	static const uint8_t damages[] = {0x00, 0x01, 0x7f, 0xff};
	struct database *database = *state;

	for (size_t i = 0; i < database->size * ARRAY_SIZE(damages); i++) {
		uint8_t *byte = &database->bytes[i / ARRAY_SIZE(damages)], before = *byte;

		*byte = damages[i % ARRAY_SIZE(damages)];
		ask_all(database);
		*byte = before;
	}
	while (database->size-- > 0)
		ask_all(database);
}

static void what_is_no_database_is_told(void **state)
{
	struct database *database = *state;
	struct hwdb hwdb;

	assert_int_equal(hwdb_open_file(&hwdb, "/nonexistent/hwdb.bin"), -ENOENT);
	assert_int_equal(hwdb_open_file(&hwdb, "/tmp"), -EBADMSG);
	database->bytes[0] = 'X';
	assert_int_equal(open_it(database, &hwdb), -EBADMSG);
	build(database->bytes);
	database->size = TWO;
	assert_int_equal(open_it(database, &hwdb), -EBADMSG);
	database->size = 0;
	assert_int_equal(open_it(database, &hwdb), -EBADMSG);
}

/* systemd-hwdb(8) comes with the database, and matches the patterns with a whole modalias. */
static void systemd_hwdb_says_the_same(void **state)
{
	static const struct {
		const char *key, *pattern;
	} rows[] = {
		{"ID_VENDOR_FROM_DATABASE", "pci:v00008086*"},
		{"ID_MODEL_FROM_DATABASE", "pci:v00008086d0000100Esv00001AF4sd00001100*"},
		{"ID_PCI_CLASS_FROM_DATABASE", "pci:v*d*sv*sd*bc02*"},
		{"ID_PCI_SUBCLASS_FROM_DATABASE", "pci:v*d*sv*sd*bc02sc00*"},
	};
	char theirs[4096], line[256];
	struct hwdb hwdb;
	FILE *query;

	(void)state;
	assert_int_equal(hwdb_open(&hwdb), 0);
	if (!hwdb.data)
		skip();
	query = popen("systemd-hwdb query "
		      "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00",
		      "r");
	assert_non_null(query);
	theirs[fread(theirs, 1, sizeof(theirs) - 1, query)] = '\0';
	pclose(query);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(line, sizeof(line), "%s=%s\n", rows[i].key,
			 hwdb_value(&hwdb, rows[i].pattern, rows[i].key));
		assert_non_null(strstr(theirs, line));
	}
	hwdb_close(&hwdb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_pattern_is_found_letter_by_letter, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_damaged_database_has_no_value_and_is_not_left,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_database_is_told, setup, teardown),
		cmocka_unit_test(systemd_hwdb_says_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
