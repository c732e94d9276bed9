// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci config: registers of configuration space by name or offset, as setpci(8), and dumps that
 * "lspci -F" reads. All registers are found before the first is written.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "device.h"
#include "output.h"
#include "registers.h"

static const struct option_spec config_options[] = {
	{'f', "force", NULL, "write although a kernel driver holds the device"},
	{0},
};

static void print_notes(void)
{
	printf("REG is a hexadecimal offset or a name of setpci(8), with a width after it: .b, .w\n"
	       "or .l for 1, 2 or 4 bytes. Offsets are 4 bytes wide without, names as the register\n"
	       "is: COMMAND, 04.w, CAP_MSI+2.w, ECAP_AER+4, CAP_VNDR@1+4 (the second such one).\n"
	       "VALUE is hexadecimal; with :MASK only the bits of the mask are changed.\n\n"
	       "  usrpci config 03:00.0 read VENDOR_ID DEVICE_ID\n"
	       "  usrpci config 03:00.0 write COMMAND 0004:0004\n"
	       "  usrpci config 03:00.0 dump > file; lspci -F file -vv\n");
}

struct config {
	struct cli *cli;
	struct usrpci_dev *dev;
	bool force;
};

static int read_register(struct usrpci_dev *dev, const struct reg *reg, uint32_t *value)
{
	uint16_t word = 0;
	uint8_t byte = 0;
	int error;

	if (reg->width == 4)
		return usrpci_config_read32(dev, reg->offset, value);
	if (reg->width == 2)
		error = usrpci_config_read16(dev, reg->offset, &word);
	else
		error = usrpci_config_read8(dev, reg->offset, &byte);
	*value = word | byte;
	return error;
}

static int write_register(struct usrpci_dev *dev, const struct reg *reg, uint32_t value)
{
	if (reg->width == 4)
		return usrpci_config_write32(dev, reg->offset, value);
	if (reg->width == 2)
		return usrpci_config_write16(dev, reg->offset, (uint16_t)value);
	return usrpci_config_write8(dev, reg->offset, (uint8_t)value);
}

static const struct column read_columns[] = {
	{"REG", NULL},
	{"OFFSET", NULL, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	{"WIDTH", NULL, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	{"VALUE", NULL},
};

static int print_json(const struct reg *regs, const uint32_t *values, char **names, int count)
{
	struct table table = table_open(true, "registers", read_columns, ARRAY_SIZE(read_columns));

	for (int i = 0; i < count; i++) {
		struct libscols_line *line = table_row(&table, NULL);

		table_cell(line, 0, "%s", names[i]);
		table_cell(line, 1, "%u", regs[i].offset);
		table_cell(line, 2, "%u", regs[i].width);
		table_cell(line, 3, "0x%0*x", 2 * (int)regs[i].width, values[i]);
	}
	return table_print(&table);
}

enum { REGISTERS_MAX = 64 };

static int action_read(struct config *config, int count, char **names)
{
	struct reg regs[REGISTERS_MAX];
	uint32_t values[REGISTERS_MAX];

	if (count < 1 || count > REGISTERS_MAX)
		return usage_error(config->cli, NULL, "read takes 1 to %d registers",
				   REGISTERS_MAX);
	for (int i = 0; i < count; i++) {
		int status = register_find(config->cli, config->dev, names[i], &regs[i]);

		if (status)
			return status;
	}
	for (int i = 0; i < count; i++)
		if (read_register(config->dev, &regs[i], &values[i]))
			return STATUS_FAILED;
	if (config->cli->json)
		return print_json(regs, values, names, count);
	for (int i = 0; i < count; i++)
		printf("0x%0*x\n", 2 * (int)regs[i].width, values[i]);
	return STATUS_DONE;
}

/* Parses VALUE or VALUE:MASK. */
static int parse_masked(struct cli *cli, const char *text, unsigned int width, uint64_t *value,
			uint64_t *mask)
{
	char first[24];
	size_t length = strcspn(text, ":");
	int status;

	*mask = UINT64_MAX >> (64 - 8 * width);
	snprintf(first, sizeof(first), "%.*s", (int)length, text);
	status = register_value(cli, length < sizeof(first) ? first : text, width, value);
	if (!status && text[length])
		status = register_value(cli, text + length + 1, width, mask);
	return status;
}

static int refuse_driver(struct config *config, const char *driver)
{
	return failed(usrpci_dev_name(config->dev), "--force writes nevertheless",
		      "the kernel's driver %s holds it and would not know of the write", driver);
}

static int action_write(struct config *config, int count, char **words)
{
	struct usrpci_dev *dev = config->dev;
	const char *driver = kernel_driver(usrpci_dev_info(dev));
	uint64_t value, mask, all;
	uint16_t vendor;
	uint32_t old = 0;
	struct reg reg;
	int status;

	if (count != 2)
		return usage_error(config->cli, NULL, "write takes a register and a value");
	status = register_find(config->cli, dev, words[0], &reg);
	if (!status)
		status = parse_masked(config->cli, words[1], reg.width, &value, &mask);
	if (status)
		return status;
	if (driver && !config->force)
		return refuse_driver(config, driver);
	all = UINT64_MAX >> (64 - 8 * reg.width);
	if (config->cli->dry_run) {
		printf("setpci -s %s %02x.%c=%0*" PRIx64, usrpci_dev_name(dev), reg.offset,
		       width_letter(reg.width), 2 * (int)reg.width, value);
		if (mask != all)
			printf(":%0*" PRIx64, 2 * (int)reg.width, mask);
		putchar('\n');
		return STATUS_DONE;
	}
	/* A write to a device that is gone would not fail; reading its id does. */
	if (usrpci_config_read16(dev, 0, &vendor))
		return STATUS_FAILED;
	if (mask != all && read_register(dev, &reg, &old))
		return STATUS_FAILED;
	return status_of(write_register(dev, &reg, (uint32_t)((old & ~mask) | (value & mask))));
}

static int dump_json(const char *name, const uint8_t *bytes, int size)
{
	struct json json = {0};
	char *text = malloc(2 * (size_t)size + 1);

	if (!text)
		return out_of_memory();
	for (int i = 0; i < size; i++)
		sprintf(text + 2 * (size_t)i, "%02x", bytes[i]);
	json_open(&json, NULL, '{');
	json_text(&json, "addr", name);
	json_number(&json, "size", (uint64_t)size);
	json_text(&json, "bytes", text);
	json_close(&json, '}');
	free(text);
	return STATUS_DONE;
}

/* lspci wants an address in the first line: an emulated device gets the one that it has in QEMU. */
static int action_dump(struct config *config, int count, char **words)
{
	uint8_t bytes[USRPCI_CONFIG_SIZE_EXPRESS];
	const struct usrpci_dev_info *info = usrpci_dev_info(config->dev);
	int size = usrpci_config_size(config->dev);
	char addr[USRPCI_ADDR_STRLEN];
	char name[2 * NAME_SIZE], class_name[NAME_SIZE];

	if (count > 0)
		return unexpected_operand(config->cli, words[0]);
	if (usrpci_config_read(config->dev, 0, bytes, (size_t)size))
		return STATUS_FAILED;
	if (config->cli->json)
		return dump_json(usrpci_dev_name(config->dev), bytes, size);
	device_names(config->cli, info, name, class_name);
	printf("%s %s", usrpci_addr_format(&info->addr, addr), *class_name ? class_name : "Device");
	for (int i = 0; i < size; i++) {
		if (i % 16 == 0)
			printf("\n%02x:", i);
		printf(" %02x", bytes[i]);
	}
	printf("\n");
	return STATUS_DONE;
}

static int act(struct config *config)
{
	static const struct {
		const char *name;
		int (*run)(struct config *config, int count, char **words);
	} actions[] = {{"dump", action_dump}, {"read", action_read}, {"write", action_write}};
	int count = config->cli->argc - 2;
	char **words = config->cli->argv + 2;

	if (count < 0)
		return action_dump(config, 0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(words[-1], actions[i].name))
			return actions[i].run(config, count, words);
	return unexpected_operand(config->cli, words[-1]);
}

static int cmd_config(struct cli *cli)
{
	struct config config = {.cli = cli};
	int key, status;

	while ((key = option_next(cli))) {
		if (key != 'f')
			return cli->stopped;
		config.force = true;
	}
	if (cli->argc == 0)
		return usage_error(cli, NULL, "which device?");
	status = status_of(inspect_device(cli, cli->argv[0], &config.dev));
	if (status)
		return status;
	status = act(&config);
	usrpci_dev_close(config.dev);
	return status;
}

const struct command command_config = {
	.name = "config",
	.operands = "ADDR [dump | read REG... | write REG VALUE[:MASK]]",
	.summary = "read and write configuration space",
	.options = config_options,
	.notes = print_notes,
	.run = cmd_config,
};
