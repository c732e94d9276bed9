// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci nvme: prints information about a disk, or formats it, while it is bound to a driver for
 * userspace, where nvme-cli and smartctl find no file for it. Log pages: NVM Express Base 1.4,
 * 5.14.1.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <usrpci/nvme.h>

#include "cli.h"
#include "device.h"
#include "number.h"
#include "output.h"

#define PAGE_SMART     2
#define LOG_MAX        4096
#define NAMESPACES_MAX 1024
#define ADMIN_FORMAT   0x80
#define FORMAT_MS      600000
#define KELVIN         273

static const struct option_spec nvme_options[] = {
	{'f', "force", NULL, "format: erase what is on the disk"},
	{0},
};

struct cmd_nvme {
	struct cli *cli;
	const char *name;
	struct usrpci_dev *dev;
	struct usrpci_nvme *nvme;
	bool force;
	int count; /* number of words after the action */
	char **words;
};

static void print_notes(void)
{
	printf("The device is bound to uio_pci_generic or vfio-pci, or emulated, and no program has\n"
	       "it open. Its controller is reset.\n\n"
	       "  usrpci nvme 03:00.0 id\n"
	       "  usrpci nvme 03:00.0 smart\n"
	       "  usrpci nvme 03:00.0 log 1 64         error log, 64 bytes, in hexadecimal\n"
	       "  usrpci nvme 03:00.0 format 1 --force  namespace 1, as it is formatted now\n");
}

static const struct column id_columns[] = {
	{"NAMESPACE", NULL, SCOLS_FL_RIGHT},
	{"BLOCKS", NULL, SCOLS_FL_RIGHT},
	{"SIZE", NULL, SCOLS_FL_RIGHT},
	{"READONLY"},
};

static int print_namespaces(struct cmd_nvme *nvme, const uint32_t *nsids, int count)
{
	struct table table = table_open(false, "namespaces", id_columns, ARRAY_SIZE(id_columns));
	struct usrpci_nvme_ns ns;

	for (int i = 0; i < count; i++) {
		struct libscols_line *line = table_row(&table, NULL);
		int error = usrpci_nvme_ns(nvme->nvme, nsids[i], &ns);

		table_cell(line, 0, "%" PRIu32, nsids[i]);
		if (error == -EOPNOTSUPP)
			table_cell(line, 3, "metadata");
		if (error)
			continue;
		table_cell(line, 1, "%" PRIu64, ns.blocks);
		table_cell(line, 2, "%" PRIu32, ns.block_size);
		table_cell(line, 3, ns.read_only ? "yes" : "no");
	}
	return table_print(&table);
}

static void json_namespaces(struct cmd_nvme *nvme, const uint32_t *nsids, int count,
			    struct json *json)
{
	struct usrpci_nvme_ns ns;

	json_open(json, "namespaces", '[');
	for (int i = 0; i < count; i++) {
		int error = usrpci_nvme_ns(nvme->nvme, nsids[i], &ns);

		json_open(json, NULL, '{');
		json_number(json, "namespace", nsids[i]);
		json_bool(json, "served", !error);
		if (!error) {
			json_number(json, "blocks", ns.blocks);
			json_number(json, "block_size", ns.block_size);
			json_bool(json, "read_only", ns.read_only);
		}
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void version_text(uint32_t version, char text[16])
{
	snprintf(text, 16, "%u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
}

static int id_json(struct cmd_nvme *nvme, const uint32_t *nsids, int count)
{
	const struct usrpci_nvme_info *info = usrpci_nvme_info(nvme->nvme);
	struct json json = {0};
	char version[16];

	version_text(info->version, version);
	json_open(&json, NULL, '{');
	json_text(&json, "addr", nvme->name);
	json_text(&json, "model", info->model);
	json_text(&json, "serial", info->serial);
	json_text(&json, "firmware", info->firmware);
	json_text(&json, "version", version);
	json_number(&json, "transfer", info->max_transfer);
	json_bool(&json, "write_cache", info->features & USRPCI_NVME_WRITE_CACHE);
	json_namespaces(nvme, nsids, count, &json);
	json_close(&json, '}');
	return STATUS_DONE;
}

static int action_id(struct cmd_nvme *nvme)
{
	const struct usrpci_nvme_info *info = usrpci_nvme_info(nvme->nvme);
	static uint32_t nsids[NAMESPACES_MAX];
	char version[16];
	int count = usrpci_nvme_ns_list(nvme->nvme, nsids, NAMESPACES_MAX);

	if (count < 0)
		return failed(nvme->name, NULL, "its namespaces cannot be listed: %s",
			      strerror(-count));
	if (nvme->cli->json)
		return id_json(nvme, nsids, count);
	version_text(info->version, version);
	printf("Model      %s\nSerial     %s\nFirmware   %s\nVersion    %s\n", info->model,
	       info->serial, info->firmware, version);
	printf("Transfer   %" PRIu32 " bytes at most\nCache      %s\n\n", info->max_transfer,
	       info->features & USRPCI_NVME_WRITE_CACHE ? "writes are safe after a flush"
							: "none that loses writes");
	return print_namespaces(nvme, nsids, count);
}

static uint64_t little(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	for (size_t i = size; i > 0; i--)
		value = value << 8 | bytes[i - 1];
	return value;
}

/* These fields have 16 bytes, but real values fit in 8. */
static const struct {
	const char *key, *text;
	unsigned short offset, size;
	short less; /* subtracted from the value */
} smart_fields[] = {
	{"critical_warning", "Critical warning", 0, 1, 0},
	{"temperature", "Temperature (C)", 1, 2, KELVIN},
	{"available_spare", "Available spare (%)", 3, 1, 0},
	{"spare_threshold", "Spare threshold (%)", 4, 1, 0},
	{"percentage_used", "Percentage used", 5, 1, 0},
	{"data_units_read", "Data units read", 32, 8, 0},
	{"data_units_written", "Data units written", 48, 8, 0},
	{"host_reads", "Host read commands", 64, 8, 0},
	{"host_writes", "Host write commands", 80, 8, 0},
	{"busy_minutes", "Controller busy (min)", 96, 8, 0},
	{"power_cycles", "Power cycles", 112, 8, 0},
	{"power_on_hours", "Power on hours", 128, 8, 0},
	{"unsafe_shutdowns", "Unsafe shutdowns", 144, 8, 0},
	{"media_errors", "Media errors", 160, 8, 0},
	{"error_log_entries", "Error log entries", 176, 8, 0},
};

static int read_log(struct cmd_nvme *nvme, uint8_t page, void *data, size_t size)
{
	int error = usrpci_nvme_log(nvme->nvme, page, UINT32_MAX, data, size);

	return error ? failed(nvme->name, NULL, "log page %u cannot be read: %s", page,
			      strerror(-error))
		     : STATUS_DONE;
}

static int action_smart(struct cmd_nvme *nvme)
{
	uint8_t page[512];
	struct json json = {0};
	int status = read_log(nvme, PAGE_SMART, page, sizeof(page));

	if (status)
		return status;
	if (nvme->cli->json) {
		json_open(&json, NULL, '{');
		json_text(&json, "addr", nvme->name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(smart_fields); i++) {
		uint64_t value = little(page + smart_fields[i].offset, smart_fields[i].size) -
				 (uint64_t)smart_fields[i].less;

		if (nvme->cli->json)
			json_number(&json, smart_fields[i].key, value);
		else
			printf("%-22s %" PRId64 "\n", smart_fields[i].text, (int64_t)value);
	}
	if (nvme->cli->json)
		json_close(&json, '}');
	return STATUS_DONE;
}

static int action_log(struct cmd_nvme *nvme)
{
	static uint8_t data[LOG_MAX];
	uint64_t page, size = 512;
	struct json json = {0};

	if (nvme->count < 1)
		return usage_error(nvme->cli, NULL, "log takes a page and a length");
	if (!parse_number(nvme->words[0], 0, UINT8_MAX, &page))
		return usage_error(nvme->cli, "pages are 0 to 255", "\"%s\" is not a page",
				   nvme->words[0]);
	if (nvme->count == 2 &&
	    (!parse_number(nvme->words[1], 0, LOG_MAX, &size) || size == 0 || size % 4))
		return usage_error(nvme->cli, "lengths are multiples of 4, up to 4096",
				   "\"%s\" is not a length", nvme->words[1]);
	if (read_log(nvme, (uint8_t)page, data, size))
		return STATUS_FAILED;
	if (nvme->cli->json) {
		json_open(&json, NULL, '{');
		json_text(&json, "addr", nvme->name);
		json_number(&json, "page", page);
		json_bytes(&json, "bytes", data, size);
		json_close(&json, '}');
		return STATUS_DONE;
	}
	for (size_t i = 0; i < size; i++) {
		if (i % 16 == 0)
			printf("%s%03zx:", i ? "\n" : "", i);
		printf(" %02x", data[i]);
	}
	putchar('\n');
	return STATUS_DONE;
}

/* A device that is in use in any visible way is not erased, not even with --force. */
static int check_unused(struct cmd_nvme *nvme)
{
	const struct usrpci_dev_info *info = usrpci_dev_info(nvme->dev);
	struct usrpci_use *uses = NULL;
	int count, status = STATUS_DONE;

	if (is_emulated(nvme->name))
		return STATUS_DONE;
	if (open_host(nvme->cli))
		return STATUS_FAILED;
	count = usrpci_host_uses(nvme->cli->host, &info->addr, &uses);
	for (int i = 0; i < count && !status; i++)
		/* This program has it open, or it is lent to it. */
		if (uses[i].kind != USRPCI_USE_OPEN && uses[i].kind != USRPCI_USE_LENT)
			status = failed(nvme->name, uses[i].cure, "it is in use: %s", uses[i].text);
	usrpci_host_uses_free(uses);
	return count < 0 ? STATUS_FAILED : status;
}

static int format_namespace(struct cmd_nvme *nvme, uint32_t nsid, uint32_t lbaf)
{
	struct usrpci_nvme_admin command = {
		.opcode = ADMIN_FORMAT,
		.nsid = nsid,
		.cdw10 = lbaf,
		.timeout_ms = FORMAT_MS,
	};
	int error = usrpci_nvme_admin(nvme->nvme, &command);

	if (error)
		return failed(nvme->name, NULL, "namespace %" PRIu32 " cannot be formatted: %s",
			      nsid,
			      command.status ? usrpci_nvme_status_text(command.status)
					     : strerror(-error));
	return STATUS_DONE;
}

/* Reads the current format from Identify Namespace, because usrpci_nvme_ns() does not report it. */
static int current_format(struct cmd_nvme *nvme, uint32_t nsid, uint64_t *lbaf)
{
	static uint8_t id[4096];
	struct usrpci_nvme_admin command = {
		.opcode = 0x06,
		.nsid = nsid,
		.data = id,
		.size = sizeof(id),
	};
	int error = usrpci_nvme_admin(nvme->nvme, &command);

	if (error || little(id, 8) == 0)
		return failed(nvme->name, "\"usrpci nvme ADDR id\" lists them",
			      "it has no namespace %" PRIu32, nsid);
	if (*lbaf == UINT64_MAX)
		*lbaf = id[26] & 0xf;
	return STATUS_DONE;
}

static int action_format(struct cmd_nvme *nvme)
{
	uint64_t nsid, lbaf = UINT64_MAX;
	int status;

	if (nvme->count < 1)
		return usage_error(nvme->cli, NULL, "format takes a namespace and a format");
	if (!parse_number(nvme->words[0], 0, UINT32_MAX - 1, &nsid) || nsid == 0)
		return usage_error(nvme->cli, "namespaces are 1 and more",
				   "\"%s\" is not a namespace", nvme->words[0]);
	if (nvme->count == 2 && !parse_number(nvme->words[1], 0, 15, &lbaf))
		return usage_error(nvme->cli, "formats are 0 to 15", "\"%s\" is not a format",
				   nvme->words[1]);
	status = current_format(nvme, (uint32_t)nsid, &lbaf) ?: check_unused(nvme);
	if (status)
		return status;
	if (nvme->cli->dry_run) {
		print_command(nvme->cli, "usrpci nvme %s format %" PRIu64 " %" PRIu64 " --force",
			      nvme->name, nsid, lbaf);
		return STATUS_DONE;
	}
	if (!nvme->force)
		return failed(nvme->name, "with --force it is formatted",
			      "everything on namespace %" PRIu64 " would be lost", nsid);
	return format_namespace(nvme, (uint32_t)nsid, (uint32_t)lbaf);
}

static int open_disk(struct cmd_nvme *nvme)
{
	int error = open_context(nvme->cli)
			    ?: usrpci_dev_open(nvme->cli->ctx, nvme->name, &nvme->dev);

	if (error)
		return status_of(error);
	nvme->name = usrpci_dev_name(nvme->dev);
	error = usrpci_nvme_open(nvme->dev, &(struct usrpci_nvme_options){.poll = true},
				 &nvme->nvme);
	if (error == -ENOTSUP)
		return failed(nvme->name, NULL,
			      "it is not an NVMe controller that this driver supports");
	if (error)
		return failed(nvme->name, NULL, "its controller does not start: %s",
			      strerror(-error));
	return STATUS_DONE;
}

static int cmd_nvme(struct cli *cli)
{
	static const char actions_hint[] = "actions are id, smart, log and format";
	static const struct {
		const char *name;
		int (*run)(struct cmd_nvme *nvme);
		int most; /* operands behind it */
	} actions[] = {
		{"id", action_id, 0},
		{"smart", action_smart, 0},
		{"log", action_log, 2},
		{"format", action_format, 2},
	};
	struct cmd_nvme nvme = {.cli = cli};
	int key, status = -1;

	while ((key = option_next(cli))) {
		if (key != 'f')
			return cli->stopped;
		nvme.force = true;
	}
	if (cli->argc < 1)
		return usage_error(cli, NULL, "no device is named");
	if (cli->argc < 2)
		return usage_error(cli, actions_hint, "no action is named");
	nvme.name = cli->argv[0];
	nvme.count = cli->argc - 2;
	nvme.words = cli->argv + 2;
	for (size_t i = 0; i < ARRAY_SIZE(actions) && status < 0; i++) {
		if (strcmp(cli->argv[1], actions[i].name))
			continue;
		if (nvme.count > actions[i].most)
			return unexpected_operand(cli, nvme.words[actions[i].most]);
		status = open_disk(&nvme) ?: actions[i].run(&nvme);
		usrpci_nvme_close(nvme.nvme);
		usrpci_dev_close(nvme.dev);
	}
	return status < 0 ? usage_error(cli, actions_hint, "\"%s\" is not an action", cli->argv[1])
			  : status;
}

const struct command command_nvme = {
	.name = "nvme",
	.operands = "ADDR id | smart | log PAGE [LENGTH] | format NAMESPACE [FORMAT]",
	.summary = "ask a disk that a program drives, and format it",
	.options = nvme_options,
	.notes = print_notes,
	.run = cmd_nvme,
};
