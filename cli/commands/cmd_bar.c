// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci bar: registers and memory behind a device's BARs. Reading a register can change a device,
 * so a device that a kernel driver holds is left alone, reads included, unless forced.
 */

#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "number.h"
#include "output.h"
#include "commands/registers.h"

#define STATE_D3HOT 3

static const struct option_spec bar_options[] = {
	{'f', "force", NULL, "access it although a kernel driver holds the device"},
	{0},
};

static void print_notes(void)
{
	printf("Without an action the BARs are listed. BAR is 0 to 5. OFFSET, LENGTH and VALUE are\n"
	       "hexadecimal; an access is 4 bytes wide, or with .b, .w, .l or .q after the offset\n"
	       "1, 2, 4 or 8. dump shows 100 bytes (hexadecimal) unless LENGTH says otherwise.\n\n"
	       "  usrpci bar 03:00.0 read 0 8\n"
	       "  usrpci bar 03:00.0 write 0 0.l 40000000\n"
	       "  usrpci bar 03:00.0 dump 0 5400 10\n");
}

/* A BAR, an offset in it, and the width of an access. */
struct place {
	unsigned int bar;
	uint64_t offset;
	unsigned int width;
};

static const struct column bar_columns[] = {
	{"BAR", NULL, SCOLS_FL_RIGHT},  {"KIND"},  {"ADDRESS"},
	{"SIZE", NULL, SCOLS_FL_RIGHT}, {"64BIT"}, {"PREFETCH"},
};

static int list_json(struct access *access)
{
	struct json json = {0};

	json_open(&json, NULL, '{');
	json_text(&json, "addr", usrpci_dev_name(access->dev));
	json_bars(&json, access->dev);
	json_close(&json, '}');
	return STATUS_DONE;
}

static int list_bars(struct access *access)
{
	struct table table = table_open(false, "bars", bar_columns, ARRAY_SIZE(bar_columns));
	struct usrpci_bar_info info;
	char size[SIZE_TEXT];

	for (unsigned int i = 0; i < USRPCI_BARS; i++) {
		struct libscols_line *line;

		if (usrpci_bar_info(access->dev, i, &info))
			continue;
		line = table_row(&table, NULL);
		table_cell(line, 0, "%u", i);
		table_cell(line, 1, info.flags & USRPCI_BAR_IO ? "io" : "memory");
		table_cell(line, 2, "0x%" PRIx64, info.address);
		table_cell(line, 3, "%s", size_text(info.size, size));
		table_cell(line, 4, info.flags & USRPCI_BAR_64BIT ? "yes" : "no");
		table_cell(line, 5, info.flags & USRPCI_BAR_PREFETCH ? "yes" : "no");
	}
	return table_print(&table);
}

static int action_list(struct access *access, int count, char **words)
{
	return access->cli->json ? list_json(access) : list_bars(access);
}

/* Parses "BAR OFFSET", the offset with its width. */
static int parse_place(struct cli *cli, char **words, struct place *place)
{
	uint64_t bar;

	if (!parse_number(words[0], 10, USRPCI_BARS - 1, &bar))
		return usage_error(cli, "BARs are 0 to 5", "\"%s\" is not a BAR", words[0]);
	place->bar = (unsigned int)bar;
	return register_offset(cli, words[1], &place->offset, &place->width);
}

/* The kernel lets a device sleep that has a driver for userspace, and no program. */
static int check_awake(struct usrpci_dev *dev)
{
	const char *name = usrpci_dev_name(dev);
	int cap = usrpci_cap_find(dev, USRPCI_CAP_POWER);
	uint16_t control;
	char hint[96];

	if (cap < 0 || usrpci_config_read16(dev, (unsigned int)cap + PCI_PM_CTRL, &control) ||
	    (control & PCI_PM_CTRL_STATE_MASK) != STATE_D3HOT)
		return STATUS_DONE;
	snprintf(hint, sizeof(hint), "echo on > /sys/bus/pci/devices/%s/power/control", name);
	return failed(name, hint,
		      "it sleeps (D3hot): its registers read as ones, and what is written is lost");
}

/* Maps only what is needed. The mapping ends with the device. */
static int map(struct access *access, const struct place *place, uint64_t size,
	       struct usrpci_bar *mapped)
{
	const char *name = usrpci_dev_name(access->dev);
	const char *driver = kernel_driver(usrpci_dev_info(access->dev));

	if (driver && !access->force)
		return failed(name, "with --force it is accessed nevertheless",
			      "the kernel driver %s holds it, and even reading can disturb that",
			      driver);
	if (place->offset % place->width)
		return failed(name, ".b, .w or .l makes the access narrower",
			      "offset 0x%" PRIx64 " is not aligned to %u bytes", place->offset,
			      place->width);
	return status_of(usrpci_bar_map_range(access->dev, place->bar, place->offset, size, mapped))
		       ?: check_awake(access->dev);
}

/* Begins the object that is the result of an action. */
static void begin_json(struct json *json, struct access *access, const struct place *place)
{
	json_open(json, NULL, '{');
	json_text(json, "addr", usrpci_dev_name(access->dev));
	json_number(json, "bar", place->bar);
	json_number(json, "offset", place->offset);
	json_number(json, "width", place->width);
}

static int action_read(struct access *access, int count, char **words)
{
	struct json json = {0};
	struct usrpci_bar mapped;
	struct place place;
	uint64_t value;
	int status;

	if (count != 2)
		return usage_error(access->cli, NULL, "read takes a BAR and an offset");
	status = parse_place(access->cli, words, &place)
			 ?: map(access, &place, place.width, &mapped);
	if (status)
		return status;
	if (usrpci_bar_read(&mapped, 0, place.width, &value))
		return STATUS_FAILED;
	if (!access->cli->json) {
		printf("0x%0*" PRIx64 "\n", 2 * (int)place.width, value);
		return STATUS_DONE;
	}
	begin_json(&json, access, &place);
	json_hex(&json, "value", value, 2 * (int)place.width);
	json_close(&json, '}');
	return STATUS_DONE;
}

static int action_write(struct access *access, int count, char **words)
{
	struct usrpci_bar mapped;
	struct place place;
	uint64_t value;
	int status;

	if (count != 3)
		return usage_error(access->cli, NULL, "write takes a BAR, an offset and a value");
	status = parse_place(access->cli, words, &place)
			 ?: register_value(access->cli, words[2], place.width, &value);
	if (!status && access->cli->dry_run) {
		print_command(access->cli, "usrpci bar %s write %u %" PRIx64 ".%c %0*" PRIx64,
			      usrpci_dev_name(access->dev), place.bar, place.offset,
			      width_letter(place.width), 2 * (int)place.width, value);
		return STATUS_DONE;
	}
	if (!status)
		status = map(access, &place, place.width, &mapped);
	return status ?: status_of(usrpci_bar_write(&mapped, 0, place.width, value));
}

static int dump_text(const struct place *place, struct usrpci_bar *mapped)
{
	unsigned int digits = 2 * place->width, per_line = 16 / place->width;
	uint64_t value;

	for (size_t at = 0; at < mapped->size; at += place->width) {
		if (at / place->width % per_line == 0)
			printf("%s%06" PRIx64 ":", at ? "\n" : "", place->offset + at);
		if (usrpci_bar_read(mapped, at, place->width, &value)) {
			putchar('\n');
			return STATUS_FAILED;
		}
		printf(" %0*" PRIx64, (int)digits, value);
	}
	putchar('\n');
	return STATUS_DONE;
}

static int dump_json(struct access *access, const struct place *place, struct usrpci_bar *mapped)
{
	struct json json = {0};
	int status = STATUS_DONE;
	uint64_t value;

	begin_json(&json, access, place);
	json_open(&json, "values", '[');
	for (size_t at = 0; at < mapped->size && !status; at += place->width) {
		status = status_of(usrpci_bar_read(mapped, at, place->width, &value));
		if (!status)
			json_hex(&json, NULL, value, 2 * (int)place->width);
	}
	json_close(&json, ']');
	json_close(&json, '}');
	return status;
}

static int action_dump(struct access *access, int count, char **words)
{
	char zero[] = "0", *first[] = {words[0], count > 1 ? words[1] : zero};
	uint64_t length = 0x100;
	struct usrpci_bar_info info;
	struct usrpci_bar mapped;
	struct place place;
	int status;

	if (count < 1 || count > 3)
		return usage_error(access->cli, NULL, "dump takes a BAR, an offset and a length");
	status = parse_place(access->cli, first, &place);
	if (!status && count == 3 && !parse_number(words[2], 16, UINT32_MAX, &length))
		status = usage_error(access->cli, "lengths are hexadecimal",
				     "\"%s\" is not a length", words[2]);
	if (status)
		return status;
	if (count < 3 && !usrpci_bar_info(access->dev, place.bar, &info) &&
	    place.offset < info.size && info.size - place.offset < length)
		length = info.size - place.offset;
	if (length % place.width)
		return failed(usrpci_dev_name(access->dev), NULL,
			      "a length of 0x%" PRIx64 " is not a multiple of %u bytes", length,
			      place.width);
	status = map(access, &place, length, &mapped);
	if (status)
		return status;
	return access->cli->json ? dump_json(access, &place, &mapped) : dump_text(&place, &mapped);
}

static const struct action actions[] = {
	{"read", action_read},
	{"write", action_write},
	{"dump", action_dump},
	{NULL, action_list},
};

static int cmd_bar(struct cli *cli)
{
	return run_action(cli, actions);
}

const struct command command_bar = {
	.name = "bar",
	.operands = "ADDR [read BAR OFFSET | write BAR OFFSET VALUE | dump BAR [OFFSET [LENGTH]]]",
	.summary = "read and write a device's registers",
	.options = bar_options,
	.notes = print_notes,
	.run = cmd_bar,
};
