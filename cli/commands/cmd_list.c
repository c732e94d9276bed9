// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci list: prints one line for each device, as lsblk(8) does for disks. Looks up only the
 * columns that are asked for. The tree follows the bus numbers that bridges hold (PCI-to-PCI Bridge
 * 1.2, 3.2.5).
 */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "device.h"
#include "filter.h"
#include "number.h"
#include "output.h"

enum column_id {
	COLUMN_ADDR,
	COLUMN_BUS,
	COLUMN_CLASS,
	COLUMN_CODE,
	COLUMN_ID,
	COLUMN_SUBSYSTEM,
	COLUMN_REV,
	COLUMN_DRIVER,
	COLUMN_ORIGIN,
	COLUMN_IF,
	COLUMN_PIN,
	COLUMN_NODE,
	COLUMN_GROUP,
	COLUMN_NAME,
	COLUMNS,
};

static const struct column columns[COLUMNS] = {
	[COLUMN_ADDR] = {"ADDR", "address: domain:bus:device.function"},
	[COLUMN_BUS] = {"BUS", "the buses behind a bridge, hexadecimal", 0, COLUMN_RANGE, "buses"},
	[COLUMN_CLASS] = {"CLASS", "what kind of device it is"},
	[COLUMN_CODE] = {"CODE", "class code, hexadecimal", .key = "class_code"},
	[COLUMN_ID] = {"ID", "vendor and device id, hexadecimal"},
	[COLUMN_SUBSYSTEM] = {"SUBSYSTEM", "subsystem's vendor and device id"},
	[COLUMN_REV] = {"REV", "revision, hexadecimal", .key = "revision"},
	[COLUMN_DRIVER] = {"DRIVER", "kernel driver that holds it"},
	[COLUMN_ORIGIN] = {"ORIGIN", "driver that \"usrpci restore\" gives it back to"},
	[COLUMN_IF] = {"IF", "network interfaces and disks that it provides", 0, COLUMN_LINES,
		       "provides"},
	[COLUMN_PIN] = {"PIN", "interrupt pin: A to D"},
	[COLUMN_NODE] = {"NODE", "NUMA node", SCOLS_FL_RIGHT, COLUMN_NUMBER, "numa_node"},
	[COLUMN_GROUP] = {"GROUP", "IOMMU group", SCOLS_FL_RIGHT, COLUMN_NUMBER, "iommu_group"},
	[COLUMN_NAME] = {"NAME", "vendor's and device's name", SCOLS_FL_TRUNC},
};

static const enum column_id default_columns[] = {COLUMN_ADDR,   COLUMN_CLASS, COLUMN_ID,
						 COLUMN_DRIVER, COLUMN_IF,    COLUMN_NODE,
						 COLUMN_GROUP,  COLUMN_NAME};

/* In a tree a bridge without a device behind it looks like any device, but for its buses. */
static const enum column_id tree_columns[] = {
	COLUMN_ADDR, COLUMN_BUS,  COLUMN_CLASS, COLUMN_ID,   COLUMN_DRIVER,
	COLUMN_IF,   COLUMN_NODE, COLUMN_GROUP, COLUMN_NAME,
};

/* The name is the last of these columns and is left out on narrower terminals. */
enum { WIDTH_WITH_NAMES = 100 };

/*
 * What is shown on terminals that are narrower still. The last is left out below the second width.
 */
static const enum column_id narrow_columns[] = {COLUMN_ADDR, COLUMN_DRIVER, COLUMN_IF};

enum { WIDTH_WITH_IDS = 60, WIDTH_WITH_INTERFACES = 40 };

enum { OPTION_OUTPUT_ALL = OPTION_LONG, OPTION_NO_HEADINGS };

static const struct option_spec list_options[] = {
	{'o', "output", "COLUMNS",
	 "these columns, separated by commas; +COLUMNS adds to the usual"},
	{OPTION_OUTPUT_ALL, "output-all", NULL, "all columns"},
	{OPTION_NO_HEADINGS, "no-headings", NULL, "no line of headings"},
	{'t', "tree", NULL, "as a tree, by bus"},
	FILTER_OPTIONS,
	{0},
};

static void print_notes(void)
{
	printf("Columns:\n");
	for (size_t i = 0; i < COLUMNS; i++)
		printf("  %-10s %s\n", columns[i].name, columns[i].help);
}

struct list {
	struct cli *cli;
	enum column_id shown[COLUMNS];
	struct column columns[COLUMNS];
	size_t shown_count;
	bool chosen; /* the columns are, by an option */
	bool tree, no_headings;
	struct filter filter;

	/*
	 * Whether the names of the current line's device were looked up, and whether some are
	 * missing.
	 */
	bool named, lacking;
	char name[2 * NAME_SIZE], class_name[NAME_SIZE];

	uint8_t first_bus, last_bus; /* behind the device of the current line; 0: none */

	struct usrpci_journal_entry *journal;
	int journal_count;
	struct usrpci_interface *interfaces;
	int interface_count;
	struct table table;
};

const char *list_column(const void *data, size_t index)
{
	if (index >= COLUMNS)
		return NULL;
	return columns[index].key ? columns[index].key : columns[index].name;
}

static int add_column(struct list *list, const char *name)
{
	const char *meant;
	char hint[64];

	for (size_t i = 0; i < COLUMNS; i++) {
		if (strcasecmp(name, columns[i].name) != 0 &&
		    (!columns[i].key || strcasecmp(name, columns[i].key) != 0))
			continue;
		for (size_t k = 0; k < list->shown_count; k++)
			if (list->shown[k] == i)
				return 0;
		list->shown[list->shown_count++] = (enum column_id)i;
		return 0;
	}
	meant = did_you_mean(name, list_column, NULL);
	if (meant)
		snprintf(hint, sizeof(hint), "did you mean %s?", meant);
	return usage_error(list->cli, meant ? hint : "usrpci list --help lists the columns",
			   "unknown column \"%s\"", name);
}

static int set_columns(struct list *list, char *text)
{
	char *rest, *name;
	int status = 0;

	list->chosen = true;
	if (*text == '+')
		text++;
	else
		list->shown_count = 0;
	for (name = strtok_r(text, ",", &rest); name && !status; name = strtok_r(NULL, ",", &rest))
		status = add_column(list, name);
	if (!status && !list->shown_count)
		status = usage_error(list->cli, NULL, "no column is named");
	return status;
}

static int read_options(struct list *list)
{
	int key, status = 0;

	while (!status && (key = option_next(list->cli))) {
		switch (key) {
		case 'o':
			status = set_columns(list, optarg);
			break;
		case OPTION_OUTPUT_ALL:
			list->chosen = true;
			list->shown_count = COLUMNS;
			for (size_t i = 0; i < COLUMNS; i++)
				list->shown[i] = (enum column_id)i;
			break;
		case OPTION_NO_HEADINGS:
			list->no_headings = true;
			break;
		case 't':
			list->tree = true;
			break;
		default:
			if (!filter_option(list->cli, key, &list->filter))
				return -1;
		}
	}
	list->cli->stopped = status;
	return status;
}

static bool is_shown(const struct list *list, enum column_id id)
{
	for (size_t i = 0; i < list->shown_count; i++)
		if (list->shown[i] == id)
			return true;
	return false;
}

static void fill_origin(struct list *list, struct libscols_line *line, size_t column,
			const struct usrpci_dev_info *info)
{
	for (int i = 0; i < list->journal_count; i++)
		if (!usrpci_addr_compare(&list->journal[i].addr, &info->addr))
			table_cell(line, column, "%s",
				   *list->journal[i].driver ? list->journal[i].driver : "none");
}

static void fill_id(enum column_id id, struct libscols_line *line, size_t column,
		    const struct usrpci_dev_info *info)
{
	if (id == COLUMN_CODE)
		table_cell(line, column, "%06x", info->class_code);
	else if (id == COLUMN_ID)
		table_cell(line, column, "%04x:%04x", info->vendor, info->device);
	else if (id == COLUMN_SUBSYSTEM && info->subsystem_vendor)
		table_cell(line, column, "%04x:%04x", info->subsystem_vendor,
			   info->subsystem_device);
	else if (id == COLUMN_REV)
		table_cell(line, column, "%02x", info->revision);
}

/* Sorts the names of a device, comparing numbers in them by value. */
static int by_device(const void *a, const void *b)
{
	const struct usrpci_interface *first = a, *second = b;
	int order = usrpci_addr_compare(&first->addr, &second->addr);

	return order ? order : strverscmp(first->name, second->name);
}

/* The TAP in the place of an interface is what the device provides meanwhile. */
static void find_interfaces(struct list *list)
{
	struct usrpci_interface *taps, *longer;
	int count = usrpci_host_net_taps(list->cli->host, &taps);

	list->interface_count = usrpci_host_interfaces(list->cli->host, &list->interfaces);
	if (count > 0 && list->interface_count >= 0) {
		size_t had = (size_t)list->interface_count;

		longer = reallocarray(list->interfaces, had + (size_t)count, sizeof(*longer));
		if (longer) {
			memcpy(longer + had, taps, (size_t)count * sizeof(*taps));
			list->interfaces = longer;
		}
		list->interface_count = longer ? list->interface_count + count : -ENOMEM;
	} else if (count < 0) {
		list->interface_count = count;
	}
	free(taps);
}

/* Returns the index of the first interface of this device or of a later one. */
static int first_interface(const struct list *list, const struct usrpci_addr *addr)
{
	int low = 0, high = list->interface_count;

	while (low < high) {
		int middle = low + (high - low) / 2;

		if (usrpci_addr_compare(&list->interfaces[middle].addr, addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void fill_interfaces(struct list *list, struct libscols_line *line, size_t column,
			    const struct usrpci_addr *addr)
{
	int first = first_interface(list, addr), end = first;
	char text[2 * NAME_SIZE];

	while (end < list->interface_count &&
	       !usrpci_addr_compare(&list->interfaces[end].addr, addr))
		end++;
	interface_names(list->interfaces + first, end - first, addr, list->cli->json ? '\n' : ' ',
			sizeof(text), text);
	table_cell(line, column, "%s", text);
}

/* Bus 0 is behind no bridge. Only a bridge is opened. */
static void read_buses(struct list *list, const struct usrpci_dev_info *info)
{
	char name[USRPCI_ADDR_STRLEN];
	struct usrpci_dev *dev;

	list->first_bus = list->last_bus = 0;
	if ((!list->tree && !is_shown(list, COLUMN_BUS)) ||
	    info->header_type == PCI_HEADER_TYPE_NORMAL ||
	    inspect_device(list->cli, usrpci_addr_format(&info->addr, name), &dev))
		return;
	if (usrpci_config_read8(dev, PCI_SECONDARY_BUS, &list->first_bus) ||
	    usrpci_config_read8(dev, PCI_SUBORDINATE_BUS, &list->last_bus))
		list->last_bus = 0;
	usrpci_dev_close(dev);
}

static void fill_buses(const struct list *list, struct libscols_line *line, size_t column)
{
	if (list->last_bus && list->first_bus == list->last_bus)
		table_cell(line, column, "%02x", list->first_bus);
	else if (list->last_bus)
		table_cell(line, column, "%02x-%02x", list->first_bus, list->last_bus);
}

static void fill_cell(struct list *list, struct libscols_line *line, size_t column,
		      const struct usrpci_dev_info *info, const char *emulated)
{
	char text[2 * NAME_SIZE] = "";

	switch (list->shown[column]) {
	case COLUMN_ADDR:
		table_cell(line, column, "%s",
			   emulated ? emulated : usrpci_addr_format(&info->addr, text));
		break;
	case COLUMN_BUS:
		fill_buses(list, line, column);
		break;
	case COLUMN_CLASS:
		table_cell(line, column, "%s", list->class_name);
		break;
	case COLUMN_DRIVER:
		table_cell(line, column, "%s", info->driver);
		break;
	case COLUMN_ORIGIN:
		fill_origin(list, line, column, info);
		break;
	case COLUMN_IF:
		if (!emulated)
			fill_interfaces(list, line, column, &info->addr);
		break;
	case COLUMN_PIN:
		if (info->irq_pin >= 1 && info->irq_pin <= 4)
			table_cell(line, column, "%c", 'A' + info->irq_pin - 1);
		break;
	case COLUMN_NODE:
		if (info->numa_node >= 0)
			table_cell(line, column, "%d", info->numa_node);
		break;
	case COLUMN_GROUP:
		if (info->iommu_group >= 0)
			table_cell(line, column, "%d", info->iommu_group);
		break;
	case COLUMN_NAME:
		table_cell(line, column, "%s", list->name);
		break;
	default:
		fill_id(list->shown[column], line, column, info);
	}
}

static struct libscols_line *add_line(struct list *list, const struct usrpci_dev_info *info,
				      const char *emulated, struct libscols_line *parent)
{
	struct libscols_line *line = table_row(&list->table, parent);

	if (list->named && device_names(list->cli, info, list->name, list->class_name))
		list->lacking = true;
	if (!emulated)
		read_buses(list, info);
	for (size_t i = 0; i < list->shown_count; i++)
		fill_cell(list, line, i, info, emulated);
	return line;
}

struct bridge {
	uint32_t domain;
	uint8_t first, last; /* the buses behind it; last is 0: none */
	struct libscols_line *line;
};

/* Bridges and the buses behind them are sorted, so the last bridge that fits is the nearest. */
static struct libscols_line *find_parent(const struct bridge *bridges, size_t count,
					 const struct usrpci_addr *addr)
{
	while (count-- > 0)
		if (bridges[count].line && bridges[count].domain == addr->domain &&
		    bridges[count].last && bridges[count].first <= addr->bus &&
		    addr->bus <= bridges[count].last)
			return bridges[count].line;
	return NULL;
}

static int fill_host(struct list *list)
{
	struct usrpci_dev_info *infos;
	struct bridge *bridges;
	int errors = list->cli->errors, count = usrpci_dev_list(list->cli->ctx, &infos);

	if (count < 0)
		return STATUS_FAILED;
	list->lacking |= list->cli->errors > errors;
	bridges = calloc((size_t)count + 1, sizeof(*bridges));
	if (!bridges) {
		usrpci_dev_list_free(infos);
		return out_of_memory();
	}
	for (int i = 0; i < count; i++) {
		struct libscols_line *parent = NULL;

		if (!filter_fits(&list->filter, &infos[i]))
			continue;
		if (list->tree)
			parent = find_parent(bridges, (size_t)i, &infos[i].addr);
		bridges[i].line = add_line(list, &infos[i], NULL, parent);
		bridges[i].domain = infos[i].addr.domain;
		bridges[i].first = list->first_bus;
		bridges[i].last = list->last_bus;
	}
	free(bridges);
	usrpci_dev_list_free(infos);
	return STATUS_DONE;
}

static int add_emulated(struct list *list, const char *name)
{
	struct usrpci_dev *dev;
	int error = inspect_device(list->cli, name, &dev);

	if (error)
		return status_of(error);
	add_line(list, usrpci_dev_info(dev), usrpci_dev_name(dev), NULL);
	usrpci_dev_close(dev);
	return STATUS_DONE;
}

static int add_named(struct list *list, const char *name)
{
	struct named named;
	const struct usrpci_dev_info *info;
	int status;

	if (is_emulated(name))
		return add_emulated(list, name);
	status = named_find(list->cli, name, &named);
	for (int i = 0; i < named.count; i++) {
		info = named_info(&named, i);
		if (filter_fits(&list->filter, info) && !named_before(list->cli, &info->addr))
			add_line(list, info, NULL, NULL);
	}
	named_free(&named);
	return status;
}

static int fill_table(struct list *list)
{
	int status = STATUS_DONE;

	if (list->cli->argc == 0)
		return fill_host(list);
	for (int i = 0; i < list->cli->argc && !status; i++)
		status = add_named(list, list->cli->argv[i]);
	return status;
}

/*
 * On a narrow terminal, the name is cut; if there is no name, the class is; if there is no class
 * either, the driver and the interfaces are.
 */
static bool can_be_cut(const struct list *list, enum column_id id)
{
	if (is_shown(list, COLUMN_NAME))
		return false;
	return is_shown(list, COLUMN_CLASS) ? id == COLUMN_CLASS
					    : id == COLUMN_DRIVER || id == COLUMN_IF;
}

static void open_table(struct list *list)
{
	for (size_t i = 0; i < list->shown_count; i++) {
		list->columns[i] = columns[list->shown[i]];
		if (list->tree && list->shown[i] == COLUMN_ADDR)
			list->columns[i].flags |= SCOLS_FL_TREE;
		if (can_be_cut(list, list->shown[i]))
			list->columns[i].flags |= SCOLS_FL_TRUNC;
	}
	list->table = table_open(list->cli->json, "devices", list->columns, list->shown_count);
	if (list->no_headings)
		table_hide_headings(&list->table);
}

/* Without a terminal, any width fits. */
static unsigned int terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return UINT_MAX;
	return size.ws_col;
}

static void set_shown(struct list *list, const enum column_id *ids, size_t count)
{
	memcpy(list->shown, ids, count * sizeof(*ids));
	list->shown_count = count;
}

static void choose_columns(struct list *list, unsigned int width)
{
	bool has_names = width >= WIDTH_WITH_NAMES;

	if (width < WIDTH_WITH_IDS)
		set_shown(list, narrow_columns,
			  ARRAY_SIZE(narrow_columns) - (width < WIDTH_WITH_INTERFACES));
	else if (list->tree)
		set_shown(list, tree_columns, ARRAY_SIZE(tree_columns) - !has_names);
	else
		set_shown(list, default_columns, ARRAY_SIZE(default_columns) - !has_names);
}

static int cmd_list(struct cli *cli)
{
	struct list list = {.cli = cli};
	int status;

	choose_columns(&list, terminal_width());
	if (read_options(&list))
		return cli->stopped;
	/* A program that reads JSON has no width. */
	if (!list.chosen)
		choose_columns(&list, cli->json ? UINT_MAX : terminal_width());
	if (open_host(cli))
		return STATUS_FAILED;
	if (is_shown(&list, COLUMN_ORIGIN))
		list.journal_count = usrpci_host_journal(cli->host, &list.journal);
	if (is_shown(&list, COLUMN_IF))
		find_interfaces(&list);
	list.lacking = list.journal_count < 0 || list.interface_count < 0;
	list.named = is_shown(&list, COLUMN_CLASS) || is_shown(&list, COLUMN_NAME);
	if (list.interface_count > 0)
		qsort(list.interfaces, (size_t)list.interface_count, sizeof(*list.interfaces),
		      by_device);
	open_table(&list);
	status = fill_table(&list);
	if (!status)
		status = table_print(&list.table);
	else
		table_free(&list.table);
	free(list.journal);
	free(list.interfaces);
	return !status && list.lacking ? STATUS_FAILED : status;
}

const struct command command_list = {
	.name = "list",
	.operands = "[ADDR...]",
	.summary = "list PCI devices, their drivers and what they provide",
	.options = list_options,
	.notes = print_notes,
	.run = cmd_list,
};
