// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads udev's hardware database, hwdb.bin, as systemd writes it since its version 196
 * (src/libsystemd/sd-hwdb/hwdb-internal.h): a mapped tree of patterns, in which a node holds some
 * letters, its children by their first letters, and the values of the pattern that ends there.
 *
 * libudev is left out: it compares a modalias with each pattern that begins with "pci:v*", the
 * names of all classes, which takes 350 000 instructions a device. Who knows how the patterns of
 * PCI devices are written asks for these alone.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "bytes.h"
#include "file.h"
#include "names/hwdb.h"

#define SIGNATURE "KSLPHHRH"

/* Offsets of numbers of 64 bits. */
enum header {
	FILE_SIZE = 16,
	NODE_SIZE = 32,
	CHILD_SIZE = 40,
	VALUE_SIZE = 48,
	ROOT = 56,
	HEADER_END = 80,
};

enum node {
	NODE_PREFIX = 0,   /* offset of a string; 0: none */
	NODE_CHILDREN = 8, /* a byte: how many */
	NODE_VALUES = 16,
	NODE_END = 24,
	CHILD_LETTER = 0,
	CHILD_NODE = 8,
	CHILD_END = 16,
	VALUE_KEY = 0,
	VALUE_TEXT = 8,
	VALUE_END = 16,
};

/* Sizes are those of the program that wrote the file, which may know more than this one. */
static int read_header(struct hwdb *hwdb)
{
	if (hwdb->size < HEADER_END || memcmp(hwdb->data, SIGNATURE, strlen(SIGNATURE)) != 0 ||
	    get_le64(hwdb->data + FILE_SIZE) != hwdb->size || hwdb->data[hwdb->size - 1])
		return -EBADMSG;
	hwdb->node_size = get_le64(hwdb->data + NODE_SIZE);
	hwdb->child_size = get_le64(hwdb->data + CHILD_SIZE);
	hwdb->value_size = get_le64(hwdb->data + VALUE_SIZE);
	hwdb->root = get_le64(hwdb->data + ROOT);
	return hwdb->node_size >= NODE_END && hwdb->child_size >= CHILD_END &&
			       hwdb->value_size >= VALUE_END && hwdb->node_size < UINT16_MAX &&
			       hwdb->child_size < UINT16_MAX && hwdb->value_size < UINT16_MAX
		       ? 0
		       : -EBADMSG;
}

static int map(struct hwdb *hwdb, int fd)
{
	struct stat status;
	void *data;

	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size < HEADER_END)
		return -EBADMSG;
	data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	hwdb->data = data;
	hwdb->size = (size_t)status.st_size;
	return 0;
}

int hwdb_open_file(struct hwdb *hwdb, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;

	*hwdb = (struct hwdb){0};
	if (fd < 0)
		return -errno;
	error = map(hwdb, fd) ?: read_header(hwdb);
	if (error)
		hwdb_close(hwdb);
	close(fd);
	return error;
}

int hwdb_open(struct hwdb *hwdb)
{
	static const char *const paths[] = {
		"/etc/systemd/hwdb/hwdb.bin",     "/etc/udev/hwdb.bin",
		"/usr/lib/systemd/hwdb/hwdb.bin", "/usr/lib/udev/hwdb.bin",
		"/lib/systemd/hwdb/hwdb.bin",     "/lib/udev/hwdb.bin",
	};
	int error = -ENOENT;

	for (size_t i = 0; error == -ENOENT && i < ARRAY_SIZE(paths); i++)
		error = hwdb_open_file(hwdb, paths[i]);
	return error == -ENOENT ? 0 : error;
}

void hwdb_close(struct hwdb *hwdb)
{
	if (hwdb->data)
		munmap((void *)hwdb->data, hwdb->size);
	*hwdb = (struct hwdb){0};
}

/* Returns the string at an offset; the last one ends with the file. */
static const char *string_at(const struct hwdb *hwdb, uint64_t offset)
{
	return offset < hwdb->size ? (const char *)hwdb->data + offset : "";
}

/* Returns a node with its children and values, or NULL when the file ends before. */
static const uint8_t *node_at(const struct hwdb *hwdb, uint64_t offset)
{
	const uint8_t *node;
	size_t left, children;

	if (offset >= hwdb->size || hwdb->size - offset < hwdb->node_size)
		return NULL;
	node = hwdb->data + offset;
	left = hwdb->size - offset - hwdb->node_size;
	children = node[NODE_CHILDREN] * hwdb->child_size;
	if (children > left || get_le64(node + NODE_VALUES) > (left - children) / hwdb->value_size)
		return NULL;
	return node;
}

static const uint8_t *child_of(const struct hwdb *hwdb, const uint8_t *node, char letter)
{
	const uint8_t *child = node + hwdb->node_size;

	for (unsigned int left = node[NODE_CHILDREN]; left > 0; left--, child += hwdb->child_size)
		if (child[CHILD_LETTER] == (uint8_t)letter)
			return node_at(hwdb, get_le64(child + CHILD_NODE));
	return NULL;
}

/* Each step takes a letter of the pattern, so that a file whose nodes form a ring ends it too. */
static const uint8_t *find(const struct hwdb *hwdb, const char *pattern)
{
	const uint8_t *node = node_at(hwdb, hwdb->root);

	while (node) {
		uint64_t offset = get_le64(node + NODE_PREFIX);
		const char *prefix = offset ? string_at(hwdb, offset) : "";
		size_t length = strlen(prefix);

		if (strncmp(pattern, prefix, length) != 0)
			return NULL;
		pattern += length;
		if (!*pattern)
			return node;
		node = child_of(hwdb, node, *pattern++);
	}
	return NULL;
}

const char *hwdb_value(const struct hwdb *hwdb, const char *pattern, const char *key)
{
	const uint8_t *node = hwdb->data ? find(hwdb, pattern) : NULL, *value;

	if (!node)
		return NULL;
	value = node + hwdb->node_size + node[NODE_CHILDREN] * hwdb->child_size;
	for (uint64_t left = get_le64(node + NODE_VALUES); left > 0; left--) {
		const char *name = string_at(hwdb, get_le64(value + VALUE_KEY));

		/* A key that begins with a blank is a property; others are for other readers. */
		if (name[0] == ' ' && !strcmp(name + 1, key))
			return string_at(hwdb, get_le64(value + VALUE_TEXT));
		value += hwdb->value_size;
	}
	return NULL;
}
