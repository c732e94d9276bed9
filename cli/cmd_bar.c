// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci bar: registers and memory behind a device's BARs. Reading a register can change a device,
 * so a device that a kernel driver holds is left alone, reads included, unless forced.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "device.h"
#include "number.h"
#include "output.h"
#include "registers.h"

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

struct cmd_bar {
	struct cli *cli;
	struct usrpci_dev *dev;
	bool force;
	unsigned int index;
	uint64_t offset;
	unsigned int width;
};

static const struct column bar_columns[] = {
	{"BAR", NULL, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	{"KIND", NULL},
	{"ADDRESS", NULL},
	{"SIZE", NULL, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	{"64BIT", NULL, 0, SCOLS_JSON_BOOLEAN},
	{"PREFETCH", NULL, 0, SCOLS_JSON_BOOLEAN},
};

static int list_bars(struct cmd_bar *bar)
{
	struct table table = table_open(bar->cli->json, "bars", bar_columns,
					ARRAY_SIZE(bar_columns));
	struct usrpci_bar_info info;

	for (unsigned int i = 0; i < USRPCI_BARS; i++) {
		struct libscols_line *line;

		if (usrpci_bar_info(bar->dev, i, &info))
			continue;
		line = table_row(&table, NULL);
		table_cell(line, 0, "%u", i);
		table_cell(line, 1, info.flags & USRPCI_BAR_IO ? "io" : "memory");
		table_cell(line, 2, "0x%" PRIx64, info.address);
		table_cell(line, 3, "%" PRIu64, info.size);
		table_cell(line, 4, info.flags & USRPCI_BAR_64BIT ? "yes" : "no");
		table_cell(line, 5, info.flags & USRPCI_BAR_PREFETCH ? "yes" : "no");
	}
	return table_print(&table);
}

/* Parses "BAR OFFSET", the offset with its width. */
static int parse_place(struct cmd_bar *bar, char **words)
{
	uint64_t index;

	if (!parse_number(words[0], 10, USRPCI_BARS - 1, &index))
		return usage_error(bar->cli, "BARs are 0 to 5", "\"%s\" is not a BAR", words[0]);
	bar->index = (unsigned int)index;
	return register_offset(bar->cli, words[1], &bar->offset, &bar->width);
}

/* Maps what is needed and nothing else; the mapping ends with the device. */
static int map(struct cmd_bar *bar, uint64_t size, struct usrpci_bar *mapped)
{
	const char *driver = kernel_driver(usrpci_dev_info(bar->dev));

	if (driver && !bar->force)
		return failed(usrpci_dev_name(bar->dev), "--force accesses it nevertheless",
			      "the kernel's driver %s holds it, and even reading can disturb it",
			      driver);
	if (bar->offset % bar->width)
		return failed(usrpci_dev_name(bar->dev), "add .b, .w or .l for a narrower access",
			      "offset 0x%" PRIx64 " is not aligned to %u bytes", bar->offset,
			      bar->width);
	return status_of(usrpci_bar_map_range(bar->dev, bar->index, bar->offset, size, mapped));
}

static int action_read(struct cmd_bar *bar, int count, char **words)
{
	struct json json = {0};
	struct usrpci_bar mapped;
	uint64_t value;
	int status;

	if (count != 2)
		return usage_error(bar->cli, NULL, "read takes a BAR and an offset");
	status = parse_place(bar, words);
	if (!status)
		status = map(bar, bar->width, &mapped);
	if (status)
		return status;
	if (usrpci_bar_read(&mapped, 0, bar->width, &value))
		return STATUS_FAILED;
	if (!bar->cli->json) {
		printf("0x%0*" PRIx64 "\n", 2 * (int)bar->width, value);
		return STATUS_DONE;
	}
	json_open(&json, NULL, '{');
	json_number(&json, "bar", bar->index);
	json_number(&json, "offset", bar->offset);
	json_number(&json, "width", bar->width);
	json_hex(&json, "value", value, 2 * (int)bar->width);
	json_close(&json, '}');
	return STATUS_DONE;
}

static int action_write(struct cmd_bar *bar, int count, char **words)
{
	struct usrpci_bar mapped;
	uint64_t value;
	int status;

	if (count != 3)
		return usage_error(bar->cli, NULL, "write takes a BAR, an offset and a value");
	status = parse_place(bar, words);
	if (!status)
		status = register_value(bar->cli, words[2], bar->width, &value);
	if (!status && bar->cli->dry_run) {
		printf("usrpci bar %s write %u %" PRIx64 ".%c %0*" PRIx64 "\n",
		       usrpci_dev_name(bar->dev), bar->index, bar->offset, width_letter(bar->width),
		       2 * (int)bar->width, value);
		return STATUS_DONE;
	}
	if (!status)
		status = map(bar, bar->width, &mapped);
	if (status)
		return status;
	return status_of(usrpci_bar_write(&mapped, 0, bar->width, value));
}

static int print_dump(struct cmd_bar *bar, struct usrpci_bar *mapped)
{
	unsigned int digits = 2 * bar->width, per_line = 16 / bar->width;
	uint64_t value;

	for (size_t at = 0; at < mapped->size; at += bar->width) {
		if (at / bar->width % per_line == 0)
			printf("%s%06" PRIx64 ":", at ? "\n" : "", bar->offset + at);
		if (usrpci_bar_read(mapped, at, bar->width, &value)) {
			putchar('\n');
			return STATUS_FAILED;
		}
		printf(" %0*" PRIx64, (int)digits, value);
	}
	putchar('\n');
	return STATUS_DONE;
}

static int dump_json(struct cmd_bar *bar, struct usrpci_bar *mapped)
{
	struct json json = {0};
	int status = STATUS_DONE;
	uint64_t value;

	json_open(&json, NULL, '{');
	json_number(&json, "bar", bar->index);
	json_number(&json, "offset", bar->offset);
	json_number(&json, "width", bar->width);
	json_open(&json, "values", '[');
	for (size_t at = 0; at < mapped->size && !status; at += bar->width) {
		status = status_of(usrpci_bar_read(mapped, at, bar->width, &value));
		if (!status)
			json_hex(&json, NULL, value, 2 * (int)bar->width);
	}
	json_close(&json, ']');
	json_close(&json, '}');
	return status;
}

static int action_dump(struct cmd_bar *bar, int count, char **words)
{
	char zero[] = "0", *place[] = {words[0], count > 1 ? words[1] : zero};
	uint64_t length = 0x100;
	struct usrpci_bar_info info;
	struct usrpci_bar mapped;
	int status;

	if (count < 1 || count > 3)
		return usage_error(bar->cli, NULL, "dump takes a BAR, an offset and a length");
	status = parse_place(bar, place);
	if (!status && count == 3 && !parse_number(words[2], 16, UINT32_MAX, &length))
		status = usage_error(bar->cli, "lengths are hexadecimal", "\"%s\" is not a length",
				     words[2]);
	if (status)
		return status;
	if (count < 3 && !usrpci_bar_info(bar->dev, bar->index, &info) && bar->offset < info.size &&
	    info.size - bar->offset < length)
		length = info.size - bar->offset;
	if (length % bar->width)
		return failed(usrpci_dev_name(bar->dev), NULL,
			      "a length of 0x%" PRIx64 " is not a multiple of %u bytes", length,
			      bar->width);
	status = map(bar, length, &mapped);
	if (status)
		return status;
	return bar->cli->json ? dump_json(bar, &mapped) : print_dump(bar, &mapped);
}

static int act(struct cmd_bar *bar)
{
	static const struct {
		const char *name;
		int (*run)(struct cmd_bar *bar, int count, char **words);
	} actions[] = {{"dump", action_dump}, {"read", action_read}, {"write", action_write}};
	int count = bar->cli->argc - 2;
	char **words = bar->cli->argv + 2;

	if (count < 0)
		return list_bars(bar);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(words[-1], actions[i].name))
			return actions[i].run(bar, count, words);
	return unexpected_operand(bar->cli, words[-1]);
}

static int cmd_bar(struct cli *cli)
{
	struct cmd_bar bar = {.cli = cli};
	int key, status;

	while ((key = option_next(cli))) {
		if (key != 'f')
			return cli->stopped;
		bar.force = true;
	}
	if (cli->argc == 0)
		return usage_error(cli, NULL, "which device?");
	status = status_of(inspect_device(cli, cli->argv[0], &bar.dev));
	if (status)
		return status;
	status = act(&bar);
	usrpci_dev_close(bar.dev);
	return status;
}

const struct command command_bar = {
	.name = "bar",
	.operands = "ADDR [read BAR OFFSET | write BAR OFFSET VALUE | dump BAR [OFFSET [LENGTH]]]",
	.summary = "read and write a device's registers",
	.options = bar_options,
	.notes = print_notes,
	.run = cmd_bar,
};
