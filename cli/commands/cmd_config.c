// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci config: reads and writes registers of configuration space by name or offset, as setpci(8)
 * does, and prints dumps for "lspci -F". All registers are found before the first is written.
 */

#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "output.h"
#include "commands/registers.h"

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

static void print_json(struct usrpci_dev *dev, const struct reg *regs, const uint32_t *values,
		       char **names, int count)
{
	struct json json = {0};

	json_open(&json, NULL, '{');
	json_text(&json, "addr", usrpci_dev_name(dev));
	json_open(&json, "registers", '[');
	for (int i = 0; i < count; i++) {
		json_open(&json, NULL, '{');
		json_text(&json, "reg", names[i]);
		json_number(&json, "offset", regs[i].offset);
		json_number(&json, "width", regs[i].width);
		json_hex(&json, "value", values[i], 2 * (int)regs[i].width);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_close(&json, '}');
}

enum { REGISTERS_MAX = 64 };

static int action_read(struct access *access, int count, char **names)
{
	struct reg regs[REGISTERS_MAX];
	uint32_t values[REGISTERS_MAX];

	if (count < 1 || count > REGISTERS_MAX)
		return usage_error(access->cli, NULL, "read takes 1 to %d registers",
				   REGISTERS_MAX);
	for (int i = 0; i < count; i++) {
		int status = register_find(access->cli, access->dev, names[i], &regs[i]);

		if (status)
			return status;
	}
	for (int i = 0; i < count; i++)
		if (read_register(access->dev, &regs[i], &values[i]))
			return STATUS_FAILED;
	if (access->cli->json)
		print_json(access->dev, regs, values, names, count);
	for (int i = 0; i < count && !access->cli->json; i++)
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

static int refuse_driver(struct access *access, const char *driver)
{
	return failed(usrpci_dev_name(access->dev), "with --force it is written nevertheless",
		      "the kernel driver %s holds it and would not know of the write", driver);
}

static uint64_t all_bits(const struct reg *reg)
{
	return UINT64_MAX >> (64 - 8 * reg->width);
}

/* setpci cannot reach an emulated device. */
static void print_write(struct access *access, const struct reg *reg, uint64_t value, uint64_t mask)
{
	const char *name = usrpci_dev_name(access->dev);
	int digits = 2 * (int)reg->width;
	char masked[24] = "";

	if (mask != all_bits(reg))
		snprintf(masked, sizeof(masked), ":%0*" PRIx64, digits, mask);
	print_command(access->cli,
		      is_emulated(name) ? "usrpci config %s write %02x.%c %0*" PRIx64 "%s"
					: "setpci -s %s %02x.%c=%0*" PRIx64 "%s",
		      name, reg->offset, width_letter(reg->width), digits, value, masked);
}

static int action_write(struct access *access, int count, char **words)
{
	struct usrpci_dev *dev = access->dev;
	const char *driver = kernel_driver(usrpci_dev_info(dev));
	uint64_t value, mask;
	uint16_t vendor;
	uint32_t old = 0;
	struct reg reg;
	int status;

	if (count != 2)
		return usage_error(access->cli, NULL, "write takes a register and a value");
	status = register_find(access->cli, dev, words[0], &reg)
			 ?: parse_masked(access->cli, words[1], reg.width, &value, &mask);
	if (status)
		return status;
	if (driver && !access->force)
		return refuse_driver(access, driver);
	if (access->cli->dry_run) {
		print_write(access, &reg, value, mask);
		return STATUS_DONE;
	}
	/* A write to a device that is gone would not fail; reading its id does. */
	if (usrpci_config_read16(dev, PCI_VENDOR_ID, &vendor))
		return STATUS_FAILED;
	if (mask != all_bits(&reg) && read_register(dev, &reg, &old))
		return STATUS_FAILED;
	return status_of(write_register(dev, &reg, (uint32_t)((old & ~mask) | (value & mask))));
}

static int dump_json(const char *name, const uint8_t *bytes, int size)
{
	struct json json = {0};

	json_open(&json, NULL, '{');
	json_text(&json, "addr", name);
	json_number(&json, "size", (uint64_t)size);
	json_bytes(&json, "bytes", bytes, (size_t)size);
	json_close(&json, '}');
	return STATUS_DONE;
}

/* lspci wants an address in the first line: an emulated device gets the one that it has in QEMU. */
static int action_dump(struct access *access, int count, char **words)
{
	uint8_t bytes[USRPCI_CONFIG_SIZE_EXPRESS];
	const struct usrpci_dev_info *info = usrpci_dev_info(access->dev);
	int size = usrpci_config_size(access->dev);
	char addr[USRPCI_ADDR_STRLEN];
	char name[2 * NAME_SIZE], class_name[NAME_SIZE];

	if (count > 0)
		return unexpected_operand(access->cli, words[0]);
	if (usrpci_config_read(access->dev, 0, bytes, (size_t)size))
		return STATUS_FAILED;
	if (access->cli->json)
		return dump_json(usrpci_dev_name(access->dev), bytes, size);
	if (device_names(access->cli, info, name, class_name))
		return STATUS_FAILED;
	printf("%s %s", usrpci_addr_format(&info->addr, addr), *class_name ? class_name : "Device");
	for (int i = 0; i < size; i++) {
		if (i % 16 == 0)
			printf("\n%02x:", i);
		printf(" %02x", bytes[i]);
	}
	printf("\n");
	return STATUS_DONE;
}

static const struct action actions[] = {
	{"read", action_read},
	{"write", action_write},
	{"dump", action_dump},
	{NULL, action_dump},
};

static int cmd_config(struct cli *cli)
{
	return run_action(cli, actions);
}

const struct command command_config = {
	.name = "config",
	.operands = "ADDR [dump | read REG... | write REG VALUE[:MASK]]",
	.summary = "read and write configuration space",
	.options = config_options,
	.notes = print_notes,
	.run = cmd_config,
};
