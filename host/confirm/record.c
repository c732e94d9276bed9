// SPDX-License-Identifier: BSD-2-Clause
/*
 * The record of what goes back, /run/usrpci/unconfirmed: lines of "key value" as the journal has,
 * where "node", "net", "setting" and "message" belong to the device above them. Addresses and routes stand in
 * it as the kernel's messages in hexadecimal digits.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "confirm/confirm.h"
#include "file.h"
#include "numbers.h"
#include "state.h"
#include "vfio_node.h"

#define LOG_SUBJECT "confirm"
#include "log.h"

#define MAGIC "usrpci-unconfirmed 1"

uint64_t confirm_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec;
}

static void free_device(struct confirm_device *device)
{
	for (size_t i = 0; i < device->place_count; i++)
		net_place_free(&device->places[i]);
	free(device->places);
}

void confirm_free(struct confirm_record *record)
{
	for (size_t i = 0; i < record->device_count; i++)
		free_device(&record->devices[i]);
	free(record->devices);
	free(record->pages);
	*record = (struct confirm_record){0};
}

static void print_device(FILE *out, const struct confirm_device *device)
{
	const struct journal_node *node = &device->node;
	char name[USRPCI_ADDR_STRLEN];

	fprintf(out, "device %s %" PRIu64 " %d %u %s\n", usrpci_addr_format(&device->addr, name),
		device->identity, device->was_usrpcis, device->functions, device->driver);
	if (node->path[0])
		fprintf(out, "node %s %u %u %o\n", node->path, node->uid, node->gid, node->mode);
	for (size_t i = 0; i < device->place_count; i++)
		net_place_print(out, &device->places[i]);
}

static void print_record(FILE *out, const struct confirm_record *record)
{
	fprintf(out, MAGIC "\nseconds %u\nsince %" PRIu64 "\n", record->seconds, record->since);
	for (size_t i = 0; i < record->device_count; i++)
		print_device(out, &record->devices[i]);
	for (size_t i = 0; i < record->page_count; i++)
		fprintf(out, "pages %zu %zu %d\n", record->pages[i].page_size,
			record->pages[i].count, record->pages[i].node);
	fputs("end\n", out);
}

/* What could not be read back. */
static bool has_long_message(const struct confirm_record *record)
{
	for (size_t i = 0; i < record->device_count; i++)
		for (size_t j = 0; j < record->devices[i].place_count; j++)
			if (!net_place_is_printable(&record->devices[i].places[j]))
				return true;
	return false;
}

int confirm_write(struct usrpci_host *host, const struct confirm_record *record)
{
	AUTO_FREE char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out)
		print_record(out, record);
	if (!out || fclose(out) || !text)
		return report(host->ctx, -ENOMEM, NULL, NULL,
			      "cannot write down what --confirm brings back");
	if (size >= CONFIRM_SIZE || has_long_message(record))
		return refuse(host->ctx, -E2BIG, NULL, NULL,
			      "there are too many routes to bring back after --confirm");
	return state_write(host, CONFIRM_RECORD, text);
}

static struct confirm_device *last_device(struct confirm_record *record)
{
	return record->device_count ? &record->devices[record->device_count - 1] : NULL;
}

static struct net_place *last_place(struct confirm_record *record)
{
	struct confirm_device *device = last_device(record);

	return device && device->place_count ? &device->places[device->place_count - 1] : NULL;
}

static struct confirm_device *add_device(struct confirm_record *record)
{
	struct confirm_device *longer = array_grow(record->devices, record->device_count, 1,
						   sizeof(*longer));

	if (!longer)
		return NULL;
	record->devices = longer;
	longer[record->device_count] = (struct confirm_device){0};
	return &longer[record->device_count++];
}

/* The others keep their order, in which they were changed. */
static void drop_device(struct confirm_record *record, struct confirm_device *device)
{
	size_t index = (size_t)(device - record->devices);

	free_device(device);
	record->device_count--;
	memmove(device, device + 1, (record->device_count - index) * sizeof(*device));
}

static struct net_place *add_place(struct confirm_device *device)
{
	struct net_place *longer = array_grow(device->places, device->place_count, 1,
					      sizeof(*longer));

	if (!longer)
		return NULL;
	device->places = longer;
	longer[device->place_count] = (struct net_place){0};
	return &longer[device->place_count++];
}

static bool add_pages(struct confirm_record *record, size_t count, size_t page_size, int node)
{
	struct confirm_pages *longer = array_grow(record->pages, record->page_count, 1,
						  sizeof(*longer));

	if (!longer)
		return false;
	record->pages = longer;
	longer[record->page_count++] =
		(struct confirm_pages){.page_size = page_size, .count = count, .node = node};
	return true;
}

static bool parse_device(struct confirm_record *record, const char *value)
{
	struct confirm_device *device = add_device(record);
	char name[USRPCI_ADDR_STRLEN];
	int was_usrpcis;

	if (!device || sscanf(value, "%15s %" SCNu64 " %d %u %31s", name, &device->identity,
			      &was_usrpcis, &device->functions, device->driver) < 4)
		return false;
	device->was_usrpcis = was_usrpcis;
	return !strpbrk(device->driver, "/.") && !usrpci_addr_parse(name, &device->addr);
}

static bool parse_pages(struct confirm_record *record, const char *value)
{
	size_t page_size, count;
	int node;

	return sscanf(value, "%zu %zu %d", &page_size, &count, &node) == 3 &&
	       add_pages(record, count, page_size, node);
}

static bool parse_line(void *data, const char *key, const char *value)
{
	struct confirm_record *record = data;

	if (!strcmp(key, "seconds"))
		return sscanf(value, "%u", &record->seconds) == 1;
	if (!strcmp(key, "since"))
		return sscanf(value, "%" SCNu64, &record->since) == 1;
	if (!strcmp(key, "device"))
		return parse_device(record, value);
	if (!strcmp(key, "node"))
		return last_device(record) && journal_parse_node(&last_device(record)->node, value);
	if (!strcmp(key, "net"))
		return last_device(record) && add_place(last_device(record)) &&
		       net_place_parse(last_place(record), value);
	if (!strcmp(key, "setting"))
		return last_place(record) && !net_settings_add(last_place(record), value);
	if (!strcmp(key, "message"))
		return last_place(record) && net_place_parse_message(last_place(record), value);
	return strcmp(key, "pages") || parse_pages(record, value);
}

int confirm_read(struct usrpci_host *host, struct confirm_record *record)
{
	AUTO_FREE char *text = NULL;
	int length = state_exists(host, CONFIRM_RECORD);

	*record = (struct confirm_record){0};
	if (length <= 0)
		return length ?: -ENOENT;
	text = malloc(CONFIRM_SIZE);
	if (!text)
		return -ENOMEM;
	length = file_read(host->ctx, text, CONFIRM_SIZE, STATE_DIR "/" CONFIRM_RECORD);
	if (length < 0)
		return report(host->ctx, length, NULL, NULL, "cannot read %s/%s", STATE_DIR,
			      CONFIRM_RECORD);
	if (state_parse(text, MAGIC, parse_line, record))
		return 0;
	confirm_free(record);
	return refuse(host->ctx, -EBADMSG, NULL,
		      "look at the file, put the devices back by hand, remove the file",
		      "the record in %s/%s is damaged", STATE_DIR, CONFIRM_RECORD);
}

static int read_places(struct usrpci_host *host, struct confirm_device *device)
{
	struct provided list[PROVIDED_MAX];
	int count = host_is_live(host) ? provided_list(host, &device->addr, list) : 0, error = 0;

	for (int i = 0; !error && i < count; i++) {
		struct net_place *place = list[i].is_interface ? add_place(device) : NULL;

		if (list[i].is_interface)
			error = place ? net_place_read(host, list[i].name, place) : -ENOMEM;
	}
	return error;
}

static unsigned int count_functions(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	uint64_t functions = 0;
	char name[USRPCI_ADDR_STRLEN];

	file_read_u64(host->ctx, &functions, PCI_DEVICES "/%s/sriov_numvfs",
		      usrpci_addr_format(addr, name));
	return (unsigned int)functions;
}

static int look_at(struct usrpci_host *host, struct confirm_device *device)
{
	struct usrpci_dev_info info;
	int error = usrpci_dev_lookup(host->ctx, &device->addr, &info);

	if (!error)
		error = journal_identity(host, &device->addr, &device->identity);
	if (error)
		return error;
	device->was_usrpcis = journal_has(host, &device->addr);
	device->functions = count_functions(host, &device->addr);
	snprintf(device->driver, sizeof(device->driver), "%s", info.driver);
	if (info.driver_kind == USRPCI_DRIVER_VFIO)
		vfio_node_read(host, &info, &device->node);
	return read_places(host, device);
}

/* A watcher ends a moment after the confirmation. */
static bool is_pending(struct usrpci_host *host)
{
	uint64_t end = clock_ms() + host->settle_ms;
	char text[16];

	while (!state_exists(host, CONFIRM_RECORD)) {
		if (!state_is_held(host, CONFIRM_WATCH, text, sizeof(text)))
			return false;
		if (clock_ms() >= end)
			break;
		sleep_ms(20);
	}
	return true;
}

static int start_watcher(struct usrpci_host *host, int *alive)
{
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC))
		return report(host->ctx, -errno, NULL, NULL, "cannot wait for a confirmation");
	error = confirm_watch(host, ends[0], host->options.confirm_s);
	close(ends[0]);
	if (error)
		close(ends[1]);
	else
		*alive = ends[1];
	return error;
}

/* The watcher is there before the record. */
int confirm_begin(struct usrpci_host *host)
{
	struct confirm *confirm;
	int error;

	if (!host->options.confirm_s || host->options.dry_run || host->confirm)
		return 0;
	if (is_pending(host))
		return refuse(host->ctx, -EALREADY, NULL, "\"usrpci confirm\" keeps them",
			      "earlier changes still wait for confirmation");
	state_remove(host, CONFIRM_BACK);
	confirm = calloc(1, sizeof(*confirm));
	if (!confirm)
		return -ENOMEM;
	confirm->record.seconds = host->options.confirm_s;
	error = start_watcher(host, &confirm->alive);
	if (error)
		free(confirm);
	else
		host->confirm = confirm;
	return error;
}

static int keep(struct usrpci_host *host)
{
	host->confirm->record.since = confirm_now();
	return confirm_write(host, &host->confirm->record);
}

static struct confirm_device *find(const struct confirm_record *record,
				   const struct usrpci_addr *addr)
{
	for (size_t i = 0; i < record->device_count; i++)
		if (!usrpci_addr_compare(&record->devices[i].addr, addr))
			return &record->devices[i];
	return NULL;
}

int confirm_note(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	struct confirm_device *device;
	int error = confirm_begin(host);

	if (error || !host->confirm || find(&host->confirm->record, addr))
		return error;
	device = add_device(&host->confirm->record);
	if (!device)
		return -ENOMEM;
	device->addr = *addr;
	error = look_at(host, device) ?: keep(host);
	if (error)
		drop_device(&host->confirm->record, device);
	return error;
}

void confirm_forget(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	struct confirm_record *record = host->confirm ? &host->confirm->record : NULL;
	struct confirm_device *device = record ? find(record, addr) : NULL;
	struct usrpci_dev_info info;

	if (!device || usrpci_dev_lookup(host->ctx, addr, &info) ||
	    strcmp(info.driver, device->driver) != 0 ||
	    count_functions(host, addr) != device->functions)
		return;
	drop_device(record, device);
	if (record->device_count || record->page_count)
		keep(host);
	else
		state_remove(host, CONFIRM_RECORD);
}

int confirm_note_pages(struct usrpci_host *host, size_t count, size_t page_size, int node)
{
	if (!host->confirm)
		return 0;
	return add_pages(&host->confirm->record, count, page_size, node) ? keep(host) : -ENOMEM;
}

void confirm_end(struct usrpci_host *host)
{
	if (!host->confirm)
		return;
	close(host->confirm->alive);
	confirm_free(&host->confirm->record);
	free(host->confirm);
	host->confirm = NULL;
}
