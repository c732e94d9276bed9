// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads the files that declare a host: sections in brackets, "Key=Value" lines, comments with # or
 * ; at the start of a line, as systemd's. Each [Match] begins a device, which [Device] goes on
 * with.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "array.h"
#include "bind.h"
#include "declare/declare.h"
#include "file.h"
#include "numbers.h"
#include "whole.h"

#define LOG_SUBJECT "declare"
#include "log.h"

enum { FILE_MOST = 512 << 10 };

enum section { SECTION_NONE, SECTION_MATCH, SECTION_DEVICE, SECTION_PAGES };

struct reader {
	struct usrpci_host *host;
	struct declaration *declaration;
	struct place place;
	enum section section;
};

static int complain(const struct reader *reader, const char *what, const char *word)
{
	char object[160];

	snprintf(object, sizeof(object), "%s:%u", reader->place.file, reader->place.line);
	return refuse(reader->host->ctx, -EBADMSG, object, "man usrpci-apply", "%s \"%s\"", what,
		      word);
}

static bool copy(char *to, size_t size, const char *value)
{
	return *value && strlen(value) < size && strcpy(to, value);
}

static bool parse_count(const char *value, uint64_t most, uint64_t *count)
{
	unsigned int number;

	if (!parse_id(value, &number) || number > most)
		return false;
	*count = number;
	return true;
}

static bool parse_yes(const char *value, bool *yes)
{
	*yes = !strcasecmp(value, "yes") || !strcasecmp(value, "true") || !strcmp(value, "1");
	return *yes || !strcasecmp(value, "no") || !strcasecmp(value, "false") ||
	       !strcmp(value, "0");
}

static bool parse_mac(char mac[18], const char *value)
{
	if (strlen(value) != 17)
		return false;
	for (int i = 0; i < 17; i++) {
		if (i % 3 == 2 ? value[i] != ':' : hex_digit(value[i]) < 0)
			return false;
		mac[i] = value[i] >= 'A' && value[i] <= 'F' ? (char)(value[i] - 'A' + 'a')
							    : value[i];
	}
	return true;
}

static bool parse_ids(const char *value, struct declared_device *device)
{
	unsigned int vendor, model;
	int end = 0;

	if (sscanf(value, "%4x:%4x%n", &vendor, &model, &end) != 2 || value[end] ||
	    strspn(value, "0123456789abcdefABCDEF:") != strlen(value))
		return false;
	device->has_id = true;
	device->vendor = (uint16_t)vendor;
	device->device = (uint16_t)model;
	return true;
}

static bool parse_address(const char *value, struct declared_device *device)
{
	device->has_addr = !usrpci_addr_parse(value, &device->addr);
	return device->has_addr;
}

/* Returns 1 when the key is known and its value makes sense, 0 when the value does not, or -1. */
static int match_key(struct declared_device *device, const char *key, const char *value)
{
	if (!strcmp(key, "Address"))
		return parse_address(value, device);
	if (!strcmp(key, "Path"))
		return !strncmp(value, "pci-", 4) && parse_address(value + 4, device);
	if (!strcmp(key, "Id"))
		return parse_ids(value, device);
	if (!strcmp(key, "MACAddress"))
		return parse_mac(device->mac, value);
	if (!strcmp(key, "Serial"))
		return copy(device->serial, sizeof(device->serial), value);
	return -1;
}

static int device_key(struct declared_device *device, const char *key, const char *value)
{
	uint64_t count;
	uid_t uid;
	gid_t gid;

	if (!strcmp(key, "Driver")) {
		device->has_driver = !strchr(value, '/') &&
				     copy(device->driver, sizeof(device->driver), value);
		if (device->has_driver && !strcmp(value, "none"))
			device->driver[0] = '\0';
		return device->has_driver;
	}
	if (!strcmp(key, "WholeGroup"))
		return parse_yes(value, &device->whole_group);
	if (!strcmp(key, "User"))
		return copy(device->user, sizeof(device->user), value) &&
		       bind_find_user(value, &uid);
	if (!strcmp(key, "Group"))
		return copy(device->group, sizeof(device->group), value) &&
		       bind_find_group(value, &gid);
	if (strcmp(key, "VirtualFunctions") != 0)
		return -1;
	device->has_vfs = parse_count(value, 0xffff, &count);
	device->vfs = device->has_vfs ? (unsigned int)count : 0;
	return device->has_vfs;
}

static int pages_key(struct declared_pages *pages, const char *key, const char *value)
{
	uint64_t count;

	if (!strcmp(key, "Size")) {
		pages->page_size = !strcmp(value, "2M")   ? 2 << 20
				   : !strcmp(value, "1G") ? 1 << 30
							  : 0;
		return pages->page_size != 0;
	}
	if (strcmp(key, "Count") != 0 && strcmp(key, "Node") != 0)
		return -1;
	if (!parse_count(value, INT32_MAX, &count))
		return 0;
	if (!strcmp(key, "Count"))
		pages->count = count;
	else
		pages->node = (int)count;
	return 1;
}

static int begin_device(struct reader *reader)
{
	struct declaration *all = reader->declaration;
	struct declared_device *longer = array_grow(all->devices, all->device_count, 1,
						    sizeof(*longer));

	if (!longer)
		return -ENOMEM;
	all->devices = longer;
	longer[all->device_count++] = (struct declared_device){.place = reader->place};
	return 0;
}

static int begin_pages(struct reader *reader)
{
	struct declaration *all = reader->declaration;
	struct declared_pages *longer = array_grow(all->pages, all->page_count, 1, sizeof(*longer));

	if (!longer)
		return -ENOMEM;
	all->pages = longer;
	longer[all->page_count++] =
		(struct declared_pages){.place = reader->place, .page_size = 2 << 20, .node = -1};
	return 0;
}

static int begin_section(struct reader *reader, const char *line)
{
	bool follows = reader->section == SECTION_MATCH;

	if (!strcmp(line, "[Match]")) {
		reader->section = SECTION_MATCH;
		return begin_device(reader);
	}
	if (!strcmp(line, "[HugePages]")) {
		reader->section = SECTION_PAGES;
		return begin_pages(reader);
	}
	if (strcmp(line, "[Device]") != 0)
		return complain(reader, "there is no section", line);
	reader->section = SECTION_DEVICE;
	return follows ? 0 : complain(reader, "a [Match] must come before", line);
}

static const char *what_is_wrong(const char *key)
{
	return !strcmp(key, "User")    ? "there is no user"
	       : !strcmp(key, "Group") ? "there is no group"
				       : "this is not what the key takes:";
}

static int read_key(struct reader *reader, const char *key, const char *value)
{
	struct declaration *all = reader->declaration;
	int known = -1;

	if (reader->section == SECTION_MATCH)
		known = match_key(&all->devices[all->device_count - 1], key, value);
	else if (reader->section == SECTION_DEVICE)
		known = device_key(&all->devices[all->device_count - 1], key, value);
	else if (reader->section == SECTION_PAGES)
		known = pages_key(&all->pages[all->page_count - 1], key, value);
	if (known < 0)
		return complain(reader, "this section has no key", key);
	return known ? 0 : complain(reader, what_is_wrong(key), value);
}

static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t");
	length = strlen(text);
	while (length && strchr(" \t\r", text[length - 1]))
		text[--length] = '\0';
	return text;
}

static int read_line(struct reader *reader, char *line)
{
	char *equals;

	line = trim(line);
	if (!*line || *line == '#' || *line == ';')
		return 0;
	if (*line == '[')
		return begin_section(reader, line);
	equals = strchr(line, '=');
	if (!equals)
		return complain(reader, "this is neither a section nor Key=Value:", line);
	*equals = '\0';
	return read_key(reader, trim(line), trim(equals + 1));
}

static int read_text(struct reader *reader, char *text)
{
	char *rest = text, *line;
	int error = 0;

	while (!error && (line = strsep(&rest, "\n"))) {
		reader->place.line++;
		error = read_line(reader, line);
	}
	return error;
}

static int read_file(struct reader *reader, const char *directory, const char *name)
{
	struct usrpci_ctx *ctx = reader->host->ctx;
	AUTO_FREE char *text = NULL;
	AUTO_CLOSE int fd = -1;
	int length, error;

	snprintf(reader->place.file, sizeof(reader->place.file), "%s/%s", directory, name);
	reader->place.line = 0;
	reader->section = SECTION_NONE;
	fd = file_open(ctx, O_RDONLY | O_NONBLOCK, "%s", reader->place.file);
	/* A part of a file could mean something else. */
	length = fd < 0 ? fd : read_whole(fd, &text, FILE_MOST);
	if (length == -E2BIG)
		error = refuse(ctx, -EBADMSG, reader->place.file, NULL,
			       "is larger than %d KiB: this is no such file", FILE_MOST >> 10);
	else if (length < 0)
		error = report(ctx, length, reader->place.file, NULL, "cannot be read");
	else if (strlen(text) != (size_t)length)
		error = refuse(ctx, -EBADMSG, reader->place.file, NULL, "has a zero byte in it");
	else
		error = read_text(reader, text);
	return error;
}

static bool is_wanted(const char *name)
{
	size_t length = strlen(name);

	return length > 5 && name[0] != '.' && !strcmp(name + length - 5, ".conf");
}

static int check_devices(struct usrpci_host *host, const struct declaration *all)
{
	for (size_t i = 0; i < all->device_count; i++) {
		const struct declared_device *one = &all->devices[i];
		struct reader reader = {.host = host, .place = one->place};

		if (!one->has_addr && !one->has_id && !one->mac[0] && !one->serial[0])
			return complain(&reader, "nothing says which device is meant by",
					"[Match]");
	}
	return 0;
}

static int check_pages(struct usrpci_host *host, const struct declaration *all)
{
	for (size_t i = 0; i < all->page_count; i++)
		for (size_t k = 0; k < i; k++) {
			const struct declared_pages *one = &all->pages[i], *other = &all->pages[k];
			struct reader reader = {.host = host, .place = one->place};
			char where[160];

			snprintf(where, sizeof(where), "%s:%u", other->place.file,
				 other->place.line);
			if (one->page_size == other->page_size && one->node == other->node &&
			    one->count != other->count)
				return complain(&reader, "another number of such pages stands in",
						where);
		}
	return 0;
}

int declare_read(struct usrpci_host *host, const char *directory, struct declaration *all)
{
	struct reader reader = {.host = host, .declaration = all};
	char **names;
	int count = dir_list(host->ctx, &names, "%s", directory), error = 0;

	if (count == -ENOENT)
		return 0;
	if (count < 0)
		return report(host->ctx, count, directory, NULL, "cannot be read");
	for (int i = 0; !error && i < count; i++)
		if (is_wanted(names[i]))
			error = read_file(&reader, directory, names[i]);
	free(names);
	if (!error)
		error = check_devices(host, all);
	return error ? error : check_pages(host, all);
}

static int read_driverctl(struct reader *reader, const char *name)
{
	struct declared_device *device;
	char driver[NAME_SIZE];
	int error, length;

	snprintf(reader->place.file, sizeof(reader->place.file), DRIVERCTL_DIR "/%s", name);
	error = begin_device(reader);
	if (error)
		return error;
	device = &reader->declaration->devices[reader->declaration->device_count - 1];
	length = file_read(reader->host->ctx, driver, sizeof(driver), DRIVERCTL_DIR "/%s", name);
	if (length < 0)
		return report(reader->host->ctx, length, reader->place.file, NULL,
			      "cannot be read");
	if (!parse_address(name + strlen("pci-"), device))
		return complain(reader, "this is no address:", name);
	return device_key(device, "Driver", driver) > 0
		       ? 0
		       : complain(reader, "this is no name of a driver:", driver);
}

int declare_read_driverctl(struct usrpci_host *host, struct declaration *all)
{
	struct reader reader = {.host = host, .declaration = all, .place.line = 1};
	char **names;
	int count = dir_list(host->ctx, &names, DRIVERCTL_DIR), error = 0;

	if (count == -ENOENT)
		return 0;
	if (count < 0)
		return report(host->ctx, count, DRIVERCTL_DIR, NULL, "cannot be read");
	for (int i = 0; !error && i < count; i++)
		if (!strncmp(names[i], "pci-", strlen("pci-")))
			error = read_driverctl(&reader, names[i]);
	free(names);
	return error;
}

void declare_free(struct declaration *declaration)
{
	free(declaration->devices);
	free(declaration->pages);
	usrpci_dev_list_free(declaration->there);
}
