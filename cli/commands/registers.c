// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers of a device, as "usrpci config" and "usrpci bar" reach them. Their names are those of
 * setpci(8): PCI Local Bus 3.0 (6.1), PCI-to-PCI Bridge 1.2 (3.2), and the names of capabilities,
 * from whose start offsets count. All numbers are hexadecimal.
 */

#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "device.h"
#include "number.h"
#include "commands/registers.h"

static const struct {
	uint8_t offset, width;
	const char *name;
} header[] = {
	{PCI_VENDOR_ID, 2, "VENDOR_ID"},
	{PCI_DEVICE_ID, 2, "DEVICE_ID"},
	{PCI_COMMAND, 2, "COMMAND"},
	{PCI_STATUS, 2, "STATUS"},
	{PCI_REVISION_ID, 1, "REVISION"},
	{PCI_CLASS_PROG, 1, "CLASS_PROG"},
	{PCI_CLASS_DEVICE, 2, "CLASS_DEVICE"},
	{PCI_CACHE_LINE_SIZE, 1, "CACHE_LINE_SIZE"},
	{PCI_LATENCY_TIMER, 1, "LATENCY_TIMER"},
	{PCI_HEADER_TYPE, 1, "HEADER_TYPE"},
	{PCI_BIST, 1, "BIST"},
	{PCI_BASE_ADDRESS_0, 4, "BASE_ADDRESS_0"},
	{PCI_BASE_ADDRESS_1, 4, "BASE_ADDRESS_1"},
	{PCI_BASE_ADDRESS_2, 4, "BASE_ADDRESS_2"},
	{PCI_BASE_ADDRESS_3, 4, "BASE_ADDRESS_3"},
	{PCI_BASE_ADDRESS_4, 4, "BASE_ADDRESS_4"},
	{PCI_BASE_ADDRESS_5, 4, "BASE_ADDRESS_5"},
	{PCI_CARDBUS_CIS, 4, "CARDBUS_CIS"},
	{PCI_SUBSYSTEM_VENDOR_ID, 2, "SUBSYSTEM_VENDOR_ID"},
	{PCI_SUBSYSTEM_ID, 2, "SUBSYSTEM_ID"},
	{PCI_ROM_ADDRESS, 4, "ROM_ADDRESS"},
	{PCI_CAPABILITY_LIST, 1, "CAPABILITIES"},
	{PCI_INTERRUPT_LINE, 1, "INTERRUPT_LINE"},
	{PCI_INTERRUPT_PIN, 1, "INTERRUPT_PIN"},
	{PCI_MIN_GNT, 1, "MIN_GNT"},
	{PCI_MAX_LAT, 1, "MAX_LAT"},
	{PCI_PRIMARY_BUS, 1, "PRIMARY_BUS"},
	{PCI_SECONDARY_BUS, 1, "SECONDARY_BUS"},
	{PCI_SUBORDINATE_BUS, 1, "SUBORDINATE_BUS"},
	{PCI_SEC_LATENCY_TIMER, 1, "SEC_LATENCY_TIMER"},
	{PCI_IO_BASE, 1, "IO_BASE"},
	{PCI_IO_LIMIT, 1, "IO_LIMIT"},
	{PCI_SEC_STATUS, 2, "SEC_STATUS"},
	{PCI_MEMORY_BASE, 2, "MEMORY_BASE"},
	{PCI_MEMORY_LIMIT, 2, "MEMORY_LIMIT"},
	{PCI_PREF_MEMORY_BASE, 2, "PREF_MEMORY_BASE"},
	{PCI_PREF_MEMORY_LIMIT, 2, "PREF_MEMORY_LIMIT"},
	{PCI_PREF_BASE_UPPER32, 4, "PREF_BASE_UPPER32"},
	{PCI_PREF_LIMIT_UPPER32, 4, "PREF_LIMIT_UPPER32"},
	{PCI_IO_BASE_UPPER16, 2, "IO_BASE_UPPER16"},
	{PCI_IO_LIMIT_UPPER16, 2, "IO_LIMIT_UPPER16"},
	{PCI_ROM_ADDRESS1, 4, "BRIDGE_ROM_ADDRESS"},
	{PCI_BRIDGE_CONTROL, 2, "BRIDGE_CONTROL"},
	{PCI_BASE_ADDRESS_0, 4, "CB_CARDBUS_BASE"},
	{PCI_CB_CAPABILITY_LIST, 2, "CB_CAPABILITIES"},
	{PCI_CB_SEC_STATUS, 2, "CB_SEC_STATUS"},
	{PCI_CB_PRIMARY_BUS, 1, "CB_BUS_NUMBER"},
	{PCI_CB_CARD_BUS, 1, "CB_CARDBUS_NUMBER"},
	{PCI_CB_SUBORDINATE_BUS, 1, "CB_SUBORDINATE_BUS"},
	{PCI_CB_LATENCY_TIMER, 1, "CB_CARDBUS_LATENCY"},
	{PCI_CB_MEMORY_BASE_0, 4, "CB_MEMORY_BASE_0"},
	{PCI_CB_MEMORY_LIMIT_0, 4, "CB_MEMORY_LIMIT_0"},
	{PCI_CB_MEMORY_BASE_1, 4, "CB_MEMORY_BASE_1"},
	{PCI_CB_MEMORY_LIMIT_1, 4, "CB_MEMORY_LIMIT_1"},
	{PCI_CB_IO_BASE_0, 2, "CB_IO_BASE_0"},
	{PCI_CB_IO_BASE_0_HI, 2, "CB_IO_BASE_0_HI"},
	{PCI_CB_IO_LIMIT_0, 2, "CB_IO_LIMIT_0"},
	{PCI_CB_IO_LIMIT_0_HI, 2, "CB_IO_LIMIT_0_HI"},
	{PCI_CB_IO_BASE_1, 2, "CB_IO_BASE_1"},
	{PCI_CB_IO_BASE_1_HI, 2, "CB_IO_BASE_1_HI"},
	{PCI_CB_IO_LIMIT_1, 2, "CB_IO_LIMIT_1"},
	{PCI_CB_IO_LIMIT_1_HI, 2, "CB_IO_LIMIT_1_HI"},
	{PCI_CB_SUBSYSTEM_VENDOR_ID, 2, "CB_SUBSYSTEM_VENDOR_ID"},
	{PCI_CB_SUBSYSTEM_ID, 2, "CB_SUBSYSTEM_ID"},
	{PCI_CB_LEGACY_MODE_BASE, 4, "CB_LEGACY_MODE_BASE"},
};

/* This is larger than the largest id that has a name. */
enum { CAP_IDS = 0x40 };

/* The conventional capabilities, then the extended ones. */
static struct usrpci_cap cap_of(size_t index)
{
	return (struct usrpci_cap){.id = index % CAP_IDS, .extended = index >= CAP_IDS};
}

/* Returns an empty string for an id without a symbol. */
const char *register_word(const void *data, size_t index)
{
	struct usrpci_cap cap;
	const char *symbol;

	if (index < ARRAY_SIZE(header))
		return header[index].name;
	index -= ARRAY_SIZE(header);
	if (index >= 2 * CAP_IDS)
		return NULL;
	cap = cap_of(index);
	symbol = usrpci_cap_symbol(&cap);
	return symbol ? symbol : "";
}

/* The parts of a register's name such as "CAP_MSI@1+2.w". */
struct parts {
	char base[24];
	uint64_t add, instance;
	unsigned int width; /* 0: none was given */
};

static const char width_letters[] = {[1] = 'b', [2] = 'w', [4] = 'l', [8] = 'q'};

char width_letter(unsigned int width)
{
	return width_letters[width];
}

/* Returns 0 for a letter that is no width. */
static unsigned int width_of(char letter)
{
	for (unsigned int width = 1; width < sizeof(width_letters); width *= 2)
		if (width_letters[width] == (letter | 0x20))
			return width;
	return 0;
}

static bool split(const char *text, struct parts *parts)
{
	size_t length = strcspn(text, "+.@");

	memset(parts, 0, sizeof(*parts));
	if (length == 0 || length >= sizeof(parts->base))
		return false;
	memcpy(parts->base, text, length);
	for (text += length; *text; text += length) {
		char part[16], kind = *text++;

		length = strcspn(text, "+.@");
		if (length == 0 || length >= sizeof(part))
			return false;
		snprintf(part, sizeof(part), "%.*s", (int)length, text);
		if (kind == '.' && length == 1)
			parts->width = width_of(*part);
		if (kind == '.' && !parts->width)
			return false;
		if (kind == '+' && !parse_number(part, 16, 0xfff, &parts->add))
			return false;
		if (kind == '@' && !parse_number(part, 10, USRPCI_CAPS_MAX, &parts->instance))
			return false;
	}
	return true;
}

/* A capability can also be named by its number: CAP05, ECAP0001. */
static bool parse_capability(const char *name, struct usrpci_cap *cap)
{
	uint64_t id;

	for (size_t i = 0; i < 2 * CAP_IDS; i++) {
		struct usrpci_cap known = cap_of(i);
		const char *symbol = usrpci_cap_symbol(&known);

		if (symbol && !strcasecmp(name, symbol)) {
			*cap = known;
			return true;
		}
	}
	if (!strncasecmp(name, "CAP", 3) && parse_number(name + 3, 16, 0xff, &id)) {
		*cap = (struct usrpci_cap){.id = (uint16_t)id};
		return true;
	}
	if (!strncasecmp(name, "ECAP", 4) && parse_number(name + 4, 16, 0xffff, &id)) {
		*cap = (struct usrpci_cap){.id = (uint16_t)id, .extended = true};
		return true;
	}
	return false;
}

/* Finds the instance-th capability with the type and id of "wanted". */
static int find_capability(struct usrpci_dev *dev, const struct usrpci_cap *wanted,
			   const struct parts *parts, struct reg *reg)
{
	struct usrpci_cap *caps = calloc(USRPCI_CAPS_MAX, sizeof(*caps));
	uint64_t left = parts->instance;
	int status = STATUS_USAGE, count;

	if (!caps)
		return out_of_memory();
	count = usrpci_cap_list(dev, caps, USRPCI_CAPS_MAX);
	for (int i = 0; i < count && status; i++) {
		if (caps[i].id != wanted->id || caps[i].extended != wanted->extended || left--)
			continue;
		reg->offset = caps[i].offset;
		status = STATUS_DONE;
	}
	free(caps);
	if (count < 0)
		return STATUS_FAILED;
	if (status && parts->instance)
		return failed(usrpci_dev_name(dev), NULL, "it has no capability %s@%" PRIu64,
			      parts->base, parts->instance);
	if (status)
		return failed(usrpci_dev_name(dev), NULL, "it has no capability %s", parts->base);
	return STATUS_DONE;
}

static int unknown_register(struct cli *cli, const char *name)
{
	const char *meant = did_you_mean(name, register_word, NULL);
	char hint[80] = "a register is a hexadecimal offset, or a name of \"setpci --dumpregs\"";

	if (meant)
		snprintf(hint, sizeof(hint), "did you mean %s?", meant);
	return usage_error(cli, hint, "unknown register \"%s\"", name);
}

static int find_base(struct cli *cli, struct usrpci_dev *dev, const struct parts *parts,
		     struct reg *reg)
{
	struct usrpci_cap cap;
	uint64_t offset;

	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		if (!strcasecmp(parts->base, header[i].name)) {
			*reg = (struct reg){header[i].offset, header[i].width};
			return STATUS_DONE;
		}
	*reg = (struct reg){.width = 4};
	if (parse_capability(parts->base, &cap))
		return find_capability(dev, &cap, parts, reg);
	if (!parse_number(parts->base, 16, UINT32_MAX, &offset))
		return unknown_register(cli, parts->base);
	reg->offset = (unsigned int)offset;
	return STATUS_DONE;
}

int register_find(struct cli *cli, struct usrpci_dev *dev, const char *text, struct reg *reg)
{
	unsigned int size = (unsigned int)usrpci_config_size(dev);
	struct parts parts;
	int status;

	if (!split(text, &parts) || parts.width == 8)
		return usage_error(cli, "a register is written as COMMAND, 04.w or CAP_MSI+2.w",
				   "\"%s\" is not a register", text);
	status = find_base(cli, dev, &parts, reg);
	if (status)
		return status;
	reg->offset += (unsigned int)parts.add;
	if (parts.width)
		reg->width = parts.width;
	if (reg->offset >= size || reg->width > size - reg->offset)
		return failed(usrpci_dev_name(dev),
			      size < USRPCI_CONFIG_SIZE ? "root can access all of it" : NULL,
			      "register %s at 0x%x lies outside of its %u bytes of configuration "
			      "space",
			      text, reg->offset, size);
	if (reg->offset % reg->width)
		return failed(usrpci_dev_name(dev), ".b or .w makes the access narrower",
			      "register %s at 0x%x is not aligned to %u bytes", text, reg->offset,
			      reg->width);
	return STATUS_DONE;
}

int register_offset(struct cli *cli, const char *text, uint64_t *offset, unsigned int *width)
{
	struct parts parts;

	if (!split(text, &parts) || parts.instance ||
	    !parse_number(parts.base, 16, UINT64_MAX - 0xfff, offset))
		return usage_error(cli, "an offset is written as 10, 0x10.l or 8.b",
				   "\"%s\" is not an offset in a BAR", text);
	*offset += parts.add;
	*width = parts.width ? parts.width : 4;
	return STATUS_DONE;
}

int register_value(struct cli *cli, const char *text, unsigned int width, uint64_t *value)
{
	uint64_t max = UINT64_MAX >> (64 - 8 * width);

	if (parse_number(text, 16, max, value))
		return STATUS_DONE;
	return usage_error(cli, "values are hexadecimal, without a sign",
			   "\"%s\" is not a value of %u bits", text, 8 * width);
}

int run_action(struct cli *cli, const struct action *action)
{
	struct access access = {.cli = cli};
	int key, status, used;

	while ((key = option_next(cli))) {
		if (key != 'f')
			return cli->stopped;
		access.force = true;
	}
	if (cli->argc == 0)
		return usage_error(cli, NULL, "no device is named");
	used = cli->argc > 1 ? 2 : 1;
	while (action->name && (used == 1 || strcmp(cli->argv[1], action->name) != 0))
		action++;
	if (!action->name && used == 2)
		return unexpected_operand(cli, cli->argv[1]);
	status = status_of(inspect_device(cli, cli->argv[0], &access.dev));
	if (status)
		return status;
	status = action->run(&access, cli->argc - used, cli->argv + used);
	usrpci_dev_close(access.dev);
	return status;
}
