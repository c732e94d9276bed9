// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci show: prints what the author of a driver needs to know about a device, as text or as JSON.
 * Without the right to read configuration space beyond its header, the capabilities are missing,
 * and the output says so. It does not decode the registers of capabilities: lspci does, from a dump
 * of "usrpci config".
 */

#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "device.h"
#include "filter.h"
#include "number.h"
#include "output.h"

struct show {
	struct cli *cli;
	struct usrpci_dev *dev;
	const char *name;
	const struct usrpci_dev_info *info;
	bool emulated;
	char full_name[2 * NAME_SIZE], class_name[NAME_SIZE];
	char interfaces[256];
	struct usrpci_use *uses;
	int use_count;
	struct usrpci_dev_info *all; /* the host's devices, to find the members of the group */
	int all_count;
	struct usrpci_cap *caps;
	int cap_count;
	int msi, msix; /* number of vectors */
	uint16_t command;
	uint8_t irq_line;
	uint8_t first_bus, last_bus; /* the buses behind a bridge; 0: it is no bridge */
};

/* The functions that collect the data. */

static int gather_vectors(struct show *show)
{
	for (int i = 0; i < show->cap_count; i++) {
		const struct usrpci_cap *cap = &show->caps[i];
		uint16_t control;
		int error;

		if (cap->extended || (cap->id != USRPCI_CAP_MSI && cap->id != USRPCI_CAP_MSIX))
			continue;
		error = usrpci_config_read16(show->dev, cap->offset + PCI_CAP_FLAGS, &control);
		if (error)
			return error;
		if (cap->id == USRPCI_CAP_MSI)
			show->msi = 1 << (control & PCI_MSI_FLAGS_QMASK) / 2;
		else
			show->msix = (control & PCI_MSIX_FLAGS_QSIZE) + 1;
	}
	return 0;
}

static int gather_capabilities(struct show *show)
{
	if (usrpci_config_size(show->dev) < USRPCI_CONFIG_SIZE)
		return 0;
	show->caps = calloc(USRPCI_CAPS_MAX, sizeof(*show->caps));
	if (!show->caps) {
		out_of_memory();
		return -ENOMEM;
	}
	show->cap_count = usrpci_cap_list(show->dev, show->caps, USRPCI_CAPS_MAX);
	return show->cap_count < 0 ? show->cap_count : gather_vectors(show);
}

static int gather_config(struct show *show)
{
	bool bridge = show->info->header_type != PCI_HEADER_TYPE_NORMAL;
	int error = usrpci_config_read16(show->dev, PCI_COMMAND, &show->command)
			    ?: usrpci_config_read8(show->dev, PCI_INTERRUPT_LINE, &show->irq_line);

	if (!error && bridge)
		error = usrpci_config_read8(show->dev, PCI_SECONDARY_BUS, &show->first_bus);
	if (!error && bridge)
		error = usrpci_config_read8(show->dev, PCI_SUBORDINATE_BUS, &show->last_bus);
	return error ?: gather_capabilities(show);
}

/* Returns an error when some data could not be read; the rest is still shown. */
static int gather_host(struct show *show)
{
	struct usrpci_interface *interfaces = NULL;
	int count, error, errors;

	error = device_names(show->cli, show->info, show->full_name, show->class_name);
	if (show->emulated)
		return error;
	count = usrpci_host_interfaces(show->cli->host, &interfaces);
	interface_names(interfaces, count, &show->info->addr, ' ', sizeof(show->interfaces),
			show->interfaces);
	free(interfaces);
	error = count < 0 ? count : error;
	show->use_count = usrpci_host_uses(show->cli->host, &show->info->addr, &show->uses);
	errors = show->cli->errors;
	if (show->info->iommu_group >= 0)
		show->all_count = usrpci_dev_list(show->cli->ctx, &show->all);
	if (show->all_count < 0)
		return show->all_count;
	/* A device that cannot be read may belong to the group. */
	if (show->cli->errors > errors)
		error = -EIO;
	return show->use_count < 0 ? show->use_count : error;
}

static bool in_group(const struct show *show, int i)
{
	return show->all[i].iommu_group == show->info->iommu_group;
}

/* The functions that print text. */

static void label(const char *name)
{
	printf("  %-13s ", name);
}

static void print_capability(const struct usrpci_cap *cap)
{
	const char *name = usrpci_cap_name(cap);

	label("capability");
	if (name)
		printf("0x%02x %s\n", cap->offset, name);
	else
		printf("0x%02x id 0x%0*x\n", cap->offset, cap->extended ? 4 : 2, cap->id);
}

static void print_bar(unsigned int index, const struct usrpci_bar_info *bar)
{
	char name[8], size[SIZE_TEXT];

	snprintf(name, sizeof(name), "BAR %u", index);
	label(name);
	if (bar->flags & USRPCI_BAR_IO)
		printf("I/O ports at 0x%" PRIx64, bar->address);
	else
		printf("memory at 0x%" PRIx64 ", %s-bit%s", bar->address,
		       bar->flags & USRPCI_BAR_64BIT ? "64" : "32",
		       bar->flags & USRPCI_BAR_PREFETCH ? ", prefetchable" : "");
	if (bar->size)
		printf(", %s", size_text(bar->size, size));
	printf("%s\n", bar->flags & USRPCI_BAR_UNASSIGNED ? ", not assigned" : "");
}

static void print_uses(const struct show *show)
{
	for (int i = 0; i < show->use_count; i++) {
		label(i ? "" : "used by");
		printf("%s\n", show->uses[i].text);
	}
	if (show->use_count < 0) {
		label("used by");
		printf("unknown\n");
	}
}

static void print_group(const struct show *show)
{
	char text[USRPCI_ADDR_STRLEN];

	label("IOMMU group");
	if (show->info->iommu_group < 0) {
		printf("none\n");
		return;
	}
	printf("%d:", show->info->iommu_group);
	for (int i = 0; i < show->all_count; i++)
		if (in_group(show, i))
			printf(" %s", usrpci_addr_format(&show->all[i].addr, text));
	putchar('\n');
}

static bool has_pin(const struct show *show)
{
	return show->info->irq_pin >= 1 && show->info->irq_pin <= 4;
}

static bool has_line(const struct show *show)
{
	return show->irq_line != 0 && show->irq_line != 0xff;
}

static void print_interrupts(const struct show *show)
{
	const char *separator = "";

	label("interrupts");
	if (has_pin(show)) {
		printf("INTx (pin %c", 'A' + show->info->irq_pin - 1);
		if (!show->info->irq)
			printf(", without an interrupt)");
		else
			printf(has_line(show) ? ", line %u)" : ")", show->irq_line);
		separator = ", ";
	}
	if (show->msi) {
		printf("%sMSI (%d)", separator, show->msi);
		separator = ", ";
	}
	if (show->msix)
		printf("%sMSI-X (%d)", separator, show->msix);
	printf(!*separator && !show->msix ? "none\n" : "\n");
}

/* Returns "+" or "-" for a bit of the command register, as lspci prints it. */
static char sign(const struct show *show, uint16_t bit)
{
	return show->command & bit ? '+' : '-';
}

/* Prints what the kernel knows about a device without accessing it. */
static void print_head(const struct show *show)
{
	const struct usrpci_dev_info *info = show->info;

	printf("%s %s%s%s\n", show->name, show->class_name,
	       *show->class_name && *show->full_name ? ": " : "", show->full_name);
	label("id");
	printf("%04x:%04x, class %06x, revision %02x", info->vendor, info->device, info->class_code,
	       info->revision);
	if (info->subsystem_vendor)
		printf(", subsystem %04x:%04x", info->subsystem_vendor, info->subsystem_device);
	putchar('\n');
	label("driver");
	printf("%s\n", *info->driver ? info->driver : "none");
}

static void print_node(const struct show *show)
{
	label("NUMA node");
	printf(show->info->numa_node < 0 ? "none\n" : "%d\n", show->info->numa_node);
}

static void print_text(const struct show *show)
{
	struct usrpci_bar_info bar;

	print_head(show);
	if (show->last_bus) {
		label("bridge to");
		printf("bus %02x to %02x\n", show->first_bus, show->last_bus);
	}
	if (*show->interfaces) {
		label("provides");
		printf("%s\n", show->interfaces);
	}
	print_uses(show);
	print_interrupts(show);
	print_group(show);
	print_node(show);
	label("command");
	printf("I/O%c, memory%c, bus master%c, INTx disable%c\n", sign(show, PCI_COMMAND_IO),
	       sign(show, PCI_COMMAND_MEMORY), sign(show, PCI_COMMAND_MASTER),
	       sign(show, PCI_COMMAND_INTX_DISABLE));
	for (unsigned int i = 0; i < USRPCI_BARS; i++)
		if (!usrpci_bar_info(show->dev, i, &bar))
			print_bar(i, &bar);
	for (int i = 0; i < show->cap_count; i++)
		print_capability(&show->caps[i]);
	if (usrpci_config_size(show->dev) < USRPCI_CONFIG_SIZE) {
		label("capabilities");
		printf("cannot be read without root\n");
	}
}

/* The functions that print JSON. */

static void json_or_null(struct json *json, const char *key, const char *text)
{
	json_text(json, key, *text ? text : NULL);
}

/* NUMA nodes and IOMMU groups are negative where there is none. */
static void json_index(struct json *json, const char *key, int index)
{
	if (index < 0)
		json_null(json, key);
	else
		json_number(json, key, (uint64_t)index);
}

static void json_ids(struct json *json, const struct usrpci_dev_info *info)
{
	char text[12];

	snprintf(text, sizeof(text), "%04x:%04x", info->vendor, info->device);
	json_text(json, "id", text);
	snprintf(text, sizeof(text), "%04x:%04x", info->subsystem_vendor, info->subsystem_device);
	json_text(json, "subsystem", info->subsystem_vendor ? text : NULL);
	snprintf(text, sizeof(text), "%06x", info->class_code);
	json_text(json, "class_code", text);
	snprintf(text, sizeof(text), "%02x", info->revision);
	json_text(json, "revision", text);
}

static void write_words(struct json *json, const char *key, const char *words)
{
	char copy[256], *rest, *word;

	snprintf(copy, sizeof(copy), "%s", words);
	json_open(json, key, '[');
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		json_text(json, NULL, word);
	json_close(json, ']');
}

/* Each capability is named as in "usrpci config": by its symbol or its number. */
static void write_capability(struct json *json, const struct usrpci_cap *cap)
{
	const char *symbol = usrpci_cap_symbol(cap);
	char reg[16];

	if (symbol)
		snprintf(reg, sizeof(reg), "%s", symbol);
	else
		snprintf(reg, sizeof(reg), cap->extended ? "ECAP%04X" : "CAP%02X", cap->id);
	json_open(json, NULL, '{');
	json_text(json, "capability", usrpci_cap_name(cap));
	json_text(json, "reg", reg);
	json_bool(json, "extended", cap->extended);
	json_number(json, "offset", cap->offset);
	json_close(json, '}');
}

static void write_group(struct json *json, const struct show *show)
{
	char text[USRPCI_ADDR_STRLEN];

	json_index(json, "iommu_group", show->info->iommu_group);
	json_open(json, "iommu_group_members", '[');
	for (int i = 0; i < show->all_count; i++)
		if (in_group(show, i))
			json_text(json, NULL, usrpci_addr_format(&show->all[i].addr, text));
	json_close(json, ']');
}

static void write_uses(struct json *json, const struct show *show)
{
	if (show->use_count < 0) {
		json_null(json, "used_by");
		return;
	}
	json_open(json, "used_by", '[');
	for (int i = 0; i < show->use_count; i++) {
		json_open(json, NULL, '{');
		json_text(json, "object", show->uses[i].object);
		json_text(json, "text", show->uses[i].text);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void write_interrupts(struct json *json, const struct show *show)
{
	char pin[2] = {(char)('A' + show->info->irq_pin - 1)};

	json_text(json, "pin", has_pin(show) ? pin : NULL);
	json_index(json, "irq_line", has_line(show) ? show->irq_line : -1);
	json_number(json, "msi_vectors", (uint64_t)show->msi);
	json_number(json, "msix_vectors", (uint64_t)show->msix);
}

static void write_command(struct json *json, const struct show *show)
{
	json_open(json, "command_register", '{');
	json_bool(json, "io", show->command & PCI_COMMAND_IO);
	json_bool(json, "memory", show->command & PCI_COMMAND_MEMORY);
	json_bool(json, "bus_master", show->command & PCI_COMMAND_MASTER);
	json_bool(json, "intx_disable", show->command & PCI_COMMAND_INTX_DISABLE);
	json_close(json, '}');
}

static void write_buses(struct json *json, const struct show *show)
{
	if (!show->last_bus)
		return;
	json_open(json, "buses", '{');
	json_number(json, "first", show->first_bus);
	json_number(json, "last", show->last_bus);
	json_close(json, '}');
}

static void write_json(struct json *json, const struct show *show)
{
	json_open(json, NULL, '{');
	json_text(json, "addr", show->name);
	json_or_null(json, "class", show->class_name);
	json_or_null(json, "name", show->full_name);
	json_ids(json, show->info);
	json_or_null(json, "driver", show->info->driver);
	write_words(json, "provides", show->interfaces);
	write_buses(json, show);
	write_uses(json, show);
	write_interrupts(json, show);
	write_group(json, show);
	json_index(json, "numa_node", show->info->numa_node);
	write_command(json, show);
	json_bars(json, show->dev);
	json_open(json, "capabilities", '[');
	for (int i = 0; i < show->cap_count; i++)
		write_capability(json, &show->caps[i]);
	json_close(json, ']');
	json_close(json, '}');
}

static void print(const struct show *show, bool more, struct json *json)
{
	if (show->cli->json) {
		write_json(json, show);
		return;
	}
	if (more)
		putchar('\n');
	print_text(show);
}

static void release(struct show *show)
{
	usrpci_host_uses_free(show->uses);
	usrpci_dev_list_free(show->all);
	free(show->caps);
	usrpci_dev_close(show->dev);
}

/* A device that is powered off still has a driver and a group, which are worth showing. */
static void show_silent(struct show *show, bool more)
{
	if (!show->info->silent || show->info->vendor == 0xffff || show->cli->json)
		return;
	gather_host(show);
	if (more)
		putchar('\n');
	print_head(show);
	print_uses(show);
	print_group(show);
	print_node(show);
}

/* What all devices of a command share. */
struct output {
	struct filter filter;
	struct json json;
	bool more; /* one was shown before */
};

static int show_one(struct cli *cli, const char *name, struct output *output)
{
	struct show show = {.cli = cli, .emulated = is_emulated(name)};
	int error = inspect_device(cli, name, &show.dev);

	if (error)
		return status_of(error);
	show.name = usrpci_dev_name(show.dev);
	show.info = usrpci_dev_info(show.dev);
	if (!filter_fits(&output->filter, show.info) ||
	    (!show.emulated && named_before(cli, &show.info->addr))) {
		usrpci_dev_close(show.dev);
		return STATUS_DONE;
	}
	error = gather_config(&show);
	if (!error) {
		error = gather_host(&show);
		print(&show, output->more, &output->json);
	} else {
		show_silent(&show, output->more);
	}
	output->more = true;
	release(&show);
	return status_of(error);
}

static int show_operand(struct cli *cli, const char *operand, struct output *output)
{
	char name[USRPCI_ADDR_STRLEN];
	struct named named;
	int status, last;

	if (is_emulated(operand))
		return show_one(cli, operand, output);
	status = named_find(cli, operand, &named);
	for (int i = 0; i < named.count; i++) {
		usrpci_addr_format(&named_info(&named, i)->addr, name);
		last = show_one(cli, name, output);
		status = last ? last : status;
	}
	named_free(&named);
	return status;
}

static int show_fitting(struct cli *cli, struct output *output)
{
	struct usrpci_dev_info *infos;
	int count = filter_list(cli, &output->filter, &infos);
	int status = count < 0 ? STATUS_FAILED : STATUS_DONE, last;
	char name[USRPCI_ADDR_STRLEN];

	for (int i = 0; i < count; i++) {
		last = show_one(cli, usrpci_addr_format(&infos[i].addr, name), output);
		status = last ? last : status;
	}
	usrpci_dev_list_free(infos);
	return status;
}

/* Those that are named, or all that fit. */
static int show_all(struct cli *cli, struct output *output)
{
	int status = STATUS_DONE, last;

	if (cli->argc == 0)
		return show_fitting(cli, output);
	for (int i = 0; i < cli->argc; i++) {
		last = show_operand(cli, cli->argv[i], output);
		status = last ? last : status;
	}
	return status;
}

static void print_notes(void)
{
	printf("Interrupts are shown with how many vectors of each type the device has. What the\n"
	       "registers of its capabilities say is decoded by lspci(8), which reads a dump:\n\n"
	       "  usrpci config 03:00.0 dump | lspci -vv -F /dev/stdin\n");
}

static int cmd_show(struct cli *cli)
{
	struct output output = {0};
	int status, key;

	while ((key = option_next(cli)))
		if (!filter_option(cli, key, &output.filter))
			return cli->stopped;
	if (cli->argc == 0 && !filter_is_set(&output.filter))
		return usage_error(cli, NULL, "no device is named");
	if (open_host(cli))
		return STATUS_FAILED;
	if (cli->json) {
		json_open(&output.json, NULL, '{');
		json_open(&output.json, "devices", '[');
	}
	status = show_all(cli, &output);
	if (cli->json) {
		json_close(&output.json, ']');
		json_close(&output.json, '}');
	}
	return status;
}

static const struct option_spec show_options[] = {
	FILTER_OPTIONS,
	{0},
};

const struct command command_show = {
	.name = "show",
	.operands = "[ADDR...]",
	.options = show_options,
	.summary = "show all that is known of a device, capabilities included",
	.notes = print_notes,
	.run = cmd_show,
};
