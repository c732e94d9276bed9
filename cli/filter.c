// SPDX-License-Identifier: BSD-2-Clause
/* Chooses devices by class, id and driver, see filter.h. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "filter.h"
#include "number.h"

/* Class codes: PCI Code and ID Assignment Specification, 1. The longest matching prefix decides. */
static const struct {
	const char *name;
	const char *prefix;
} classes[] = {
	{"storage", "01"},     {"nvme", "0108"},       {"sata", "0106"}, {"network", "02"},
	{"ethernet", "0200"},  {"display", "03"},      {"vga", "0300"},  {"multimedia", "04"},
	{"audio", "0403"},     {"memory", "05"},       {"bridge", "06"}, {"communication", "07"},
	{"serial", "0700"},    {"system", "08"},       {"input", "09"},  {"dock", "0a"},
	{"processor", "0b"},   {"serialbus", "0c"},    {"usb", "0c03"},  {"wireless", "0d"},
	{"intelligent", "0e"}, {"satellite", "0f"},    {"crypto", "10"}, {"signal", "11"},
	{"accelerator", "12"}, {"unclassified", "ff"},
};

const char *filter_class(const void *data, size_t index)
{
	return index < ARRAY_SIZE(classes) ? classes[index].name : NULL;
}

static bool is_hex(const char *text, size_t length)
{
	return strlen(text) == length && strspn(text, "0123456789abcdefABCDEF") == length;
}

static int set_class(struct cli *cli, struct filter *filter, const char *text)
{
	const char *digits = !strncmp(text, "0x", 2) ? text + 2 : text, *meant;
	char hint[80] = "a class is a name such as network, or 2, 4 or 6 hexadecimal digits";

	for (size_t i = 0; filter_class(NULL, i); i++)
		if (!strcasecmp(text, classes[i].name))
			digits = classes[i].prefix;
	if (!is_hex(digits, 2) && !is_hex(digits, 4) && !is_hex(digits, 6)) {
		meant = did_you_mean(text, filter_class, NULL);
		if (meant)
			snprintf(hint, sizeof(hint), "did you mean %s?", meant);
		return usage_error(cli, hint, "unknown class \"%s\"", text);
	}
	snprintf(filter->class_prefix, sizeof(filter->class_prefix), "%s", digits);
	return 0;
}

static int set_id(struct cli *cli, struct filter *filter, const char *text)
{
	const char *colon = strchr(text, ':');
	char vendor[8];
	uint64_t id;
	int length = colon ? (int)(colon - text) : (int)strlen(text);

	if (length < (int)sizeof(vendor)) {
		snprintf(vendor, sizeof(vendor), "%.*s", length, text);
		filter->by_vendor = parse_number(vendor, 16, 0xffff, &id);
		filter->vendor = (uint16_t)id;
	}
	if (colon && colon[1]) {
		filter->by_device = parse_number(colon + 1, 16, 0xffff, &id);
		filter->device = (uint16_t)id;
	}
	if (!filter->by_vendor || (colon && colon[1] && !filter->by_device))
		return usage_error(cli, "an id is written as 8086 or 8086:100e",
				   "\"%s\" is not an id", text);
	return 0;
}

bool filter_option(struct cli *cli, int key, struct filter *filter)
{
	int status = 0;

	switch (key) {
	case 'c':
		status = set_class(cli, filter, optarg);
		break;
	case 'i':
		status = set_id(cli, filter, optarg);
		break;
	case 'd':
		filter->driver = strcmp(optarg, "none") ? optarg : "";
		break;
	default:
		return false;
	}
	cli->stopped = status ? status : cli->stopped;
	return !status;
}

bool filter_is_set(const struct filter *filter)
{
	return filter->class_prefix[0] || filter->by_vendor || filter->driver;
}

bool filter_fits(const struct filter *filter, const struct usrpci_dev_info *info)
{
	char code[7];

	snprintf(code, sizeof(code), "%06x", info->class_code & 0xffffff);
	return !strncasecmp(code, filter->class_prefix, strlen(filter->class_prefix)) &&
	       (!filter->by_vendor || info->vendor == filter->vendor) &&
	       (!filter->by_device || info->device == filter->device) &&
	       (!filter->driver || !strcmp(info->driver, filter->driver));
}

int filter_list(struct cli *cli, const struct filter *filter, struct usrpci_dev_info **infos)
{
	int count = usrpci_dev_list(cli->ctx, infos), kept = 0;

	for (int i = 0; i < count; i++)
		if (filter_fits(filter, &(*infos)[i]))
			(*infos)[kept++] = (*infos)[i];
	return count < 0 ? count : kept;
}
