// SPDX-License-Identifier: BSD-2-Clause
/*
 * The journal: /run/usrpci/journal/ADDRESS, written before the first change to a device and removed
 * when the device is back. Lines of "key value" below a line with the version; keys that are
 * unknown are skipped, a file that makes no sense is reported and left alone.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "array.h"
#include "file.h"
#include "guard/look.h"
#include "journal.h"
#include "net/net.h"
#include "state.h"

#define LOG_SUBJECT "journal"
#include "log.h"

#define JOURNAL_MAGIC "usrpci-journal 1"

/* Longest text of a record: some names, addresses, a path, and numbers. */
#define RECORD_SIZE 4096

static void record_name(char name[64], const struct usrpci_addr *addr)
{
	char text[USRPCI_ADDR_STRLEN];

	snprintf(name, 64, "journal/%s", usrpci_addr_format(addr, text));
}

static size_t format_provided(char *text, size_t size, const struct provided *one)
{
	char link[NET_LINK_TEXT] = "";

	if (one->place.mac_length)
		net_place_print_link(link, &one->place);
	return (size_t)snprintf(text, size, "%s %s\n%s",
				!one->is_interface ? "disk"
				: one->up          ? "interface-up"
						   : "interface",
				one->name, link);
}

static void format_record(char text[RECORD_SIZE], const struct journal_record *record)
{
	const struct usrpci_journal_entry *entry = &record->entry;
	const struct journal_node *node = &record->node;
	size_t at;

	at = (size_t)snprintf(text, RECORD_SIZE,
			      JOURNAL_MAGIC
			      "\nid %04x:%04x\nidentity %" PRIu64
			      "\nwhen %jd\ndriver %s\ndriver_override %s\nmodule %s\n",
			      entry->vendor, entry->device, record->identity, (intmax_t)entry->when,
			      entry->driver, entry->driver_override, record->module);
	for (int i = 0; i < record->provided_count; i++)
		at += format_provided(text + at, RECORD_SIZE - at, &record->provided[i]);
	if (record->functions)
		at += (size_t)snprintf(text + at, RECORD_SIZE - at, "functions %u\n",
				       record->functions);
	if (node->path[0])
		at += (size_t)snprintf(text + at, RECORD_SIZE - at, "node %s %u %u %o\n",
				       node->path, node->uid, node->gid, node->mode);
	if (record->has_command)
		at += (size_t)snprintf(text + at, RECORD_SIZE - at, "command %04x\n",
				       record->command);
	if (record->functions_changed)
		at += (size_t)snprintf(text + at, RECORD_SIZE - at, "functions-changed\n");
	if (record->functions_probe)
		at += (size_t)snprintf(text + at, RECORD_SIZE - at, "functions-probe\n");
	snprintf(text + at, RECORD_SIZE - at, "end\n");
}

static bool copy_name(char *name, size_t size, const char *value)
{
	return strlen(value) < size && value[0] != '.' && !strpbrk(value, "/\t") &&
	       strcpy(name, value);
}

static bool is_vfio_node(const char *path)
{
	static const char *const kinds[] = {"/dev/vfio/", "/dev/vfio/noiommu-",
					    "/dev/vfio/devices/vfio"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t length = strlen(kinds[i]);

		if (!strncmp(path, kinds[i], length) && path[length] &&
		    !path[length + strspn(path + length, "0123456789")])
			return true;
	}
	return false;
}

/* A record may be forged, so it may name only a node of vfio, and no mode above 0666. */
bool journal_parse_node(struct journal_node *node, const char *value)
{
	if (sscanf(value, "%63s %u %u %o", node->path, &node->uid, &node->gid, &node->mode) != 4)
		return false;
	node->mode &= 0666;
	return is_vfio_node(node->path);
}

/* If there are more than fit, the rest is not waited for. */
static bool parse_provided(struct journal_record *record, const char *key, const char *name)
{
	struct provided *one = &record->provided[record->provided_count];

	if (record->provided_count == PROVIDED_MAX)
		return true;
	if (!copy_name(one->name, sizeof(one->name), name) || !name[0] || name[0] == '.')
		return false;
	one->is_interface = strcmp(key, "disk");
	one->up = !strcmp(key, "interface-up");
	record->provided_count++;
	return true;
}

/* It stands below the interface. */
static bool parse_link(struct journal_record *record, const char *value)
{
	struct provided *one;

	if (!record->provided_count)
		return false;
	one = &record->provided[record->provided_count - 1];
	return one->is_interface && !one->place.mac_length && net_place_parse(&one->place, value) &&
	       !strcmp(one->place.name, one->name);
}

static bool parse_line(void *data, const char *key, const char *value)
{
	struct journal_record *record = data;
	struct usrpci_journal_entry *entry = &record->entry;
	intmax_t when;

	if (!strcmp(key, "id"))
		return sscanf(value, "%4" SCNx16 ":%4" SCNx16, &entry->vendor, &entry->device) == 2;
	if (!strcmp(key, "when")) {
		if (sscanf(value, "%jd", &when) != 1)
			return false;
		entry->when = when;
		return true;
	}
	if (!strcmp(key, "driver"))
		return copy_name(entry->driver, sizeof(entry->driver), value);
	if (!strcmp(key, "driver_override"))
		return copy_name(entry->driver_override, sizeof(entry->driver_override), value);
	if (!strcmp(key, "module"))
		return copy_name(record->module, sizeof(record->module), value);
	if (!strcmp(key, "identity"))
		return sscanf(value, "%" SCNu64, &record->identity) == 1;
	if (!strcmp(key, "interface") || !strcmp(key, "interface-up") || !strcmp(key, "disk"))
		return parse_provided(record, key, value);
	if (!strcmp(key, "net"))
		return parse_link(record, value);
	if (!strcmp(key, "functions"))
		return sscanf(value, "%u", &record->functions) == 1;
	if (!strcmp(key, "functions-changed"))
		return record->functions_changed = true;
	if (!strcmp(key, "functions-probe"))
		return record->functions_probe = true;
	if (!strcmp(key, "command"))
		return record->has_command = sscanf(value, "%4" SCNx16, &record->command) == 1;
	if (!strcmp(key, "node"))
		return journal_parse_node(&record->node, value);
	return true;
}

int journal_read(struct usrpci_host *host, const struct usrpci_addr *addr,
		 struct journal_record *record)
{
	char name[64], text[RECORD_SIZE];
	int length;

	record_name(name, addr);
	length = look_lacks(host, LOOK_JOURNAL, name + strlen("journal/"))
			 ? -ENOENT
			 : file_read(host->ctx, text, sizeof(text), STATE_DIR "/%s", name);
	if (length == -ENOENT)
		return length;
	if (length < 0)
		return report(host->ctx, length, name, NULL, "cannot read %s/%s", STATE_DIR, name);
	*record = (struct journal_record){.entry.addr = *addr};
	if (state_parse(text, JOURNAL_MAGIC, parse_line, record) && record->entry.vendor)
		return 0;
	return report(host->ctx, -EBADMSG, name + strlen("journal/"),
		      "look at the file, put the device back by hand, remove the file",
		      "the record in %s/%s is damaged", STATE_DIR, name);
}

int journal_identity(struct usrpci_host *host, const struct usrpci_addr *addr, uint64_t *identity)
{
	char path[PATH_SIZE], name[USRPCI_ADDR_STRLEN];
	struct stat status = {0};
	int error = path_format(host->ctx, path, PCI_DEVICES "/%s", usrpci_addr_format(addr, name));

	if (!error && stat(path, &status) && errno != ENOENT && errno != ENODEV)
		error = -errno;
	*identity = status.st_ino;
	return error ? report(host->ctx, error, name, NULL,
			      "it cannot be found out which device is there")
		     : 0;
}

int journal_is_of(struct usrpci_host *host, const struct journal_record *record,
		  const struct usrpci_dev_info *info)
{
	uint64_t now;
	int error;

	if (record->entry.vendor != info->vendor || record->entry.device != info->device)
		return 0;
	if (!record->identity)
		return 1;
	error = journal_identity(host, &info->addr, &now);
	return error ?: now == record->identity;
}

bool journal_has(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	struct journal_record record = {0};

	return !journal_read(host, addr, &record);
}

int journal_write(struct usrpci_host *host, const struct journal_record *record)
{
	char name[64], text[RECORD_SIZE];

	record_name(name, &record->entry.addr);
	format_record(text, record);
	return state_write(host, name, text);
}

int journal_drop(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char name[64];

	record_name(name, addr);
	return state_remove(host, name);
}

/* Reads all records that can be read. Returns the count; the list is the caller's. */
static int read_all(struct usrpci_host *host, struct journal_record **records)
{
	struct journal_record *list;
	struct usrpci_addr addr;
	AUTO_FREE char **names = NULL;
	int count, found = 0;

	*records = NULL;
	count = dir_list(host->ctx, &names, STATE_DIR "/journal");
	if (count == -ENOENT)
		count = 0;
	if (count < 0) {
		report(host->ctx, count, NULL, NULL, "cannot read %s/journal", STATE_DIR);
		return count;
	}
	list = calloc((size_t)count + 1, sizeof(*list));
	for (int i = 0; list && i < count; i++)
		if (!usrpci_addr_parse(names[i], &addr) && !journal_read(host, &addr, &list[found]))
			found++;
	*records = list;
	return list ? found : -ENOMEM;
}

int journal_find_node(struct usrpci_host *host, const struct usrpci_addr *but, const char *path,
		      struct journal_node *node)
{
	struct journal_record *records = NULL;
	int count = read_all(host, &records);
	int result = -ENOENT;

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		if (!usrpci_addr_compare(&records[i].entry.addr, but) ||
		    strcmp(records[i].node.path, path) != 0)
			continue;
		*node = records[i].node;
		result = 0;
	}
	free(records);
	return result;
}

int usrpci_host_journal(struct usrpci_host *host, struct usrpci_journal_entry **entries)
{
	struct journal_record *records;
	int count = read_all(host, &records);

	*entries = NULL;
	if (count < 0)
		return count;
	*entries = calloc((size_t)count + 1, sizeof(**entries));
	for (int i = 0; *entries && i < count; i++)
		(*entries)[i] = records[i].entry;
	free(records);
	return *entries ? count : -ENOMEM;
}

static bool had(const struct journal_record *record, const char *name)
{
	for (int i = 0; i < record->provided_count; i++)
		if (!strcmp(record->provided[i].name, name))
			return true;
	return false;
}

/* Another device that was plugged into its place has never had these names. */
static bool is_replaced(struct usrpci_host *host, const struct journal_record *record)
{
	uint64_t now;

	return record->identity && !journal_identity(host, &record->entry.addr, &now) && now &&
	       now != record->identity;
}

int usrpci_host_journal_find(struct usrpci_host *host, const char *name, struct usrpci_addr *addr)
{
	const char *plain = strncmp(name, "/dev/", 5) ? name : name + 5;
	AUTO_FREE struct journal_record *records = NULL;
	int count, found = 0;

	if (!net_left_find(host, plain, addr))
		return 0;
	if (file_exists(host->ctx, "/sys/class/net/%s", plain) ||
	    file_exists(host->ctx, "/sys/class/block/%s", plain))
		return -ENOENT; /* the name is another one's now */
	count = read_all(host, &records);
	for (int i = 0; i < count; i++) {
		if (!had(&records[i], plain) || is_replaced(host, &records[i]))
			continue;
		*addr = records[i].entry.addr;
		found++;
	}
	if (found > 1)
		return refuse(host->ctx, -ENOTUNIQ, name, "give the address of one of them",
			      "%d devices had it when they were taken", found);
	return count < 0 ? count : found ? 0 : -ENOENT;
}
