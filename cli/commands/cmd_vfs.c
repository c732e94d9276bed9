// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci vfs: the virtual functions of a device, and how many of them there are.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"
#include "wait.h"
#include "number.h"

enum { OPTION_NO_DRIVER = OPTION_LONG };

static const struct option_spec vfs_options[] = {
	{'f', "force", NULL, "although the device or one of its functions is in use"},
	{OPTION_NO_DRIVER, "no-driver", NULL, "no kernel driver takes the functions that come"},
	WAIT_OPTION,
	{0},
};

static const struct column columns[] = {
	{"ADDR"},
	{"DRIVER"},
	{"IF", NULL, 0, COLUMN_LINES, "provides"},
	{"GROUP", NULL, SCOLS_FL_RIGHT, COLUMN_NUMBER, "iommu_group"},
};

static void fill(const struct cli *cli, struct libscols_line *line,
		 const struct usrpci_dev_info *info, const struct usrpci_interface *interfaces,
		 int count)
{
	char text[256];

	table_cell(line, 0, "%s", usrpci_addr_format(&info->addr, text));
	table_cell(line, 1, "%s", info->driver);
	interface_names(interfaces, count, &info->addr, cli->json ? '\n' : ' ', sizeof(text), text);
	table_cell(line, 2, "%s", text);
	if (info->iommu_group >= 0)
		table_cell(line, 3, "%d", info->iommu_group);
}

static int print_functions(struct cli *cli, const struct usrpci_addr *vfs, int count)
{
	struct table table = table_open(cli->json, "devices", columns, ARRAY_SIZE(columns));
	struct usrpci_interface *interfaces;
	struct usrpci_dev_info info;
	int provided = usrpci_host_interfaces(cli->host, &interfaces);

	for (int i = 0; i < count; i++)
		if (!usrpci_dev_lookup(cli->ctx, &vfs[i], &info))
			fill(cli, table_row(&table, NULL), &info, interfaces, provided);
	free(interfaces);
	return table_print(&table);
}

static void print_numbers(struct cli *cli, const struct usrpci_addr *addr, int count,
			  unsigned int most)
{
	char name[USRPCI_ADDR_STRLEN];
	struct json json = {0};

	usrpci_addr_format(addr, name);
	if (!cli->json) {
		printf("%s: %d of %u virtual functions\n", name, count, most);
		return;
	}
	json_open(&json, NULL, '{');
	json_text(&json, "addr", name);
	json_number(&json, "vfs", (uint64_t)count);
	json_number(&json, "vfs_most", most);
	json_close(&json, '}');
}

static int print(struct cli *cli, const struct usrpci_addr *addr)
{
	struct usrpci_addr *vfs;
	unsigned int most;
	int count = usrpci_host_vfs(cli->host, addr, &vfs, &most), status;

	if (count < 0)
		return STATUS_FAILED;
	if (!cli->quiet || cli->json)
		print_numbers(cli, addr, count, most);
	status = print_functions(cli, vfs, count);
	free(vfs);
	return status;
}

static int set(struct cli *cli, const struct usrpci_addr *addr,
	       const struct usrpci_vfs_options *options)
{
	uint64_t count;
	int error;

	if (!parse_number(cli->argv[1], 10, 0xffff, &count))
		return usage_error(cli, NULL, "\"%s\" is not a number of virtual functions",
				   cli->argv[1]);
	if (open_host_for_changes(cli))
		return STATUS_FAILED;
	wait_begin(cli);
	do
		error = usrpci_host_vfs_set(cli->host, addr, (unsigned int)count, options);
	while (wait_and_try_again(cli, error));
	if (error == -EINVAL)
		return STATUS_USAGE;
	return status_of_change(error) ?: cli->dry_run ? STATUS_DONE : print(cli, addr);
}

static int cmd_vfs(struct cli *cli)
{
	struct usrpci_vfs_options options = {0};
	struct usrpci_dev_info info;
	int key, error;

	while ((key = option_next(cli))) {
		if (key == 'f')
			options.force = true;
		else if (key == OPTION_NO_DRIVER)
			options.no_driver = true;
		else if (key != OPTION_WAIT || wait_option(cli))
			return cli->stopped;
	}
	if (cli->argc == 0)
		return usage_error(cli, NULL, "no device is named");
	if (cli->argc > 2)
		return unexpected_operand(cli, cli->argv[2]);
	error = find_device(cli, cli->argv[0], &info);
	if (error)
		return status_of(error);
	if (cli->argc == 2)
		return set(cli, &info.addr, &options);
	return open_host(cli) ? STATUS_FAILED : print(cli, &info.addr);
}

const struct command command_vfs = {
	.name = "vfs",
	.operands = "ADDR [N]",
	.summary = "show virtual functions, or make as many as are wanted",
	.options = vfs_options,
	.run = cmd_vfs,
};
