// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci export: prints devices in the format of the program that allocates them: CDI (Container
 * Device Interface 0.5.0: podman, Kubernetes), Slurm's gres.conf, OpenStack Nova's device_spec,
 * arguments of generic-device-plugin. It only prints; the scheduler decides which job gets a
 * device.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

struct export
{
	struct cli *cli;
	struct usrpci_dev_info *infos;
	char(*files)[64]; /* the files of each device */
	int count;
};

struct format {
	const char *name;
	bool needs_file;
	void (*print)(const struct export *export);
};

static const char *address(const struct export *export, int i, char text[USRPCI_ADDR_STRLEN])
{
	return usrpci_addr_format(&export->infos[i].addr, text);
}

/* A program needs this file and the group's. They must not be mixed with the files of iommufd. */
#define CONTAINER_FILE "/dev/vfio/vfio"

static void print_cdi(const struct export *export)
{
	char addr[USRPCI_ADDR_STRLEN];

	printf("{\n   \"cdiVersion\": \"0.5.0\",\n   \"kind\": \"usrpci.org/pci\",\n"
	       "   \"devices\": [");
	for (int i = 0; i < export->count; i++) {
		address(export, i, addr);
		printf("%s\n      {\n         \"name\": \"%s\",\n         \"containerEdits\": {\n"
		       "            \"env\": [\"PCIDEVICE_USRPCI_ORG_PCI=%s\"],\n"
		       "            \"deviceNodes\": [{\"path\": \"%s\", \"permissions\": \"rw\"}]\n"
		       "         }\n      }",
		       i ? "," : "", addr, addr, export->files[i]);
	}
	printf("\n   ],\n   \"containerEdits\": {\n"
	       "      \"deviceNodes\": [{\"path\": \"%s\", \"permissions\": \"rw\"}]\n   }\n}\n",
	       CONTAINER_FILE);
}

static void print_slurm(const struct export *export)
{
	for (int i = 0; i < export->count; i++)
		printf("Name=pci Type=%04x_%04x File=%s\n", export->infos[i].vendor,
		       export->infos[i].device, export->files[i]);
}

static void print_nova(const struct export *export)
{
	char addr[USRPCI_ADDR_STRLEN];

	printf("[pci]\n");
	for (int i = 0; i < export->count; i++)
		printf("device_spec = {\"address\": \"%s\", \"vendor_id\": \"%04x\", "
		       "\"product_id\": \"%04x\"}\n",
		       address(export, i, addr), export->infos[i].vendor, export->infos[i].device);
}

static bool is_same_kind(const struct export *export, int i, int k)
{
	return export->infos[i].vendor == export->infos[k].vendor &&
	       export->infos[i].device == export->infos[k].device;
}

static bool is_first_of_its_kind(const struct export *export, int i)
{
	for (int k = 0; k < i; k++)
		if (is_same_kind(export, i, k))
			return false;
	return true;
}

/* Devices of one kind are one resource; each device is a group of files in it. */
static void print_plugin(const struct export *export)
{
	for (int i = 0; i < export->count; i++) {
		const char *comma = "";

		if (!is_first_of_its_kind(export, i))
			continue;
		printf("--device\n{\"name\": \"pci-%04x-%04x\", \"groups\": [",
		       export->infos[i].vendor, export->infos[i].device);
		for (int k = i; k < export->count; k++) {
			if (!is_same_kind(export, i, k))
				continue;
			printf("%s{\"paths\": [{\"path\": \"%s\"}, {\"path\": \"%s\"}]}", comma,
			       export->files[k], CONTAINER_FILE);
			comma = ", ";
		}
		printf("]}\n");
	}
}

static const struct format formats[] = {
	{"cdi", true, print_cdi},
	{"slurm", true, print_slurm},
	{"nova", false, print_nova},
	{"device-plugin", true, print_plugin},
};

static bool has_file(const struct usrpci_dev_info *info)
{
	return info->driver_kind == USRPCI_DRIVER_VFIO && info->iommu_group >= 0;
}

static int find_file(const struct usrpci_dev_info *info, char file[64])
{
	char name[USRPCI_ADDR_STRLEN];

	if (!has_file(info))
		return failed(
			usrpci_addr_format(&info->addr, name), "usrpci bind --driver vfio-pci",
			"only devices that vfio-pci has, behind an IOMMU, have a file to give");
	snprintf(file, 64, "/dev/vfio/%d", info->iommu_group);
	return STATUS_DONE;
}

static int add(struct export *export, const struct format *format,
	       const struct usrpci_dev_info *info)
{
	size_t count = (size_t) export->count + 1;
	struct usrpci_dev_info *infos = reallocarray(export->infos, count, sizeof(*infos));
	char(*files)[64];
	int status = STATUS_DONE;

	export->infos = infos ? infos : export->infos;
	files = infos ? reallocarray(export->files, count, sizeof(*files)) : NULL;
	if (!files)
		return out_of_memory();
	export->files = files;
	if (format->needs_file)
		status = find_file(info, files[export->count]);
	if (!status)
		infos[export->count++] = *info;
	return status;
}

static int add_all(struct export *export, const struct format *format)
{
	struct usrpci_dev_info *infos;
	int count = usrpci_dev_list(export->cli->ctx, &infos), status = STATUS_DONE;

	if (count < 0)
		return STATUS_FAILED;
	for (int i = 0; !status && i < count; i++)
		if (has_file(&infos[i]))
			status = add(export, format, &infos[i]);
	usrpci_dev_list_free(infos);
	return status;
}

static int add_named(struct export *export, const struct format *format)
{
	struct cli *cli = export->cli;
	int status = STATUS_DONE;

	for (int i = 1; !status && i < cli->argc; i++) {
		struct usrpci_dev_info info;

		status = status_of(find_device(cli, cli->argv[i], &info));
		if (!status && !named_before(cli, &info.addr))
			status = add(export, format, &info);
	}
	return status;
}

static const struct format *find_format(const struct cli *cli)
{
	for (size_t i = 0; cli->argc && i < ARRAY_SIZE(formats); i++)
		if (!strcmp(cli->argv[0], formats[i].name))
			return &formats[i];
	usage_error(cli, "one of cdi, slurm, nova, device-plugin", "no format is named");
	return NULL;
}

static int cmd_export(struct cli *cli)
{
	struct export export = {.cli = cli};
	const struct format *format;
	int status;

	if (option_next(cli))
		return cli->stopped;
	format = find_format(cli);
	if (!format)
		return STATUS_USAGE;
	if (cli->json)
		return usage_error(cli, "leave --json out",
				   "each format is as its reader wants it");
	if (open_context(cli))
		return STATUS_FAILED;
	status = cli->argc > 1 ? add_named(&export, format) : add_all(&export, format);
	if (!status)
		format->print(&export);
	free(export.infos);
	free(export.files);
	return status;
}

const struct command command_export = {
	.name = "export",
	.operands = "cdi | slurm | nova | device-plugin [ADDR...]",
	.summary = "print devices as a scheduler reads them",
	.run = cmd_export,
};
