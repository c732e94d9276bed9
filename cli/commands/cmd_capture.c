// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci capture: prints the state of this host as a file for apply: devices with drivers for
 * userspace, virtual functions, and huge pages.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "number.h"

static void print_match(const struct usrpci_dev_info *info)
{
	char addr[USRPCI_ADDR_STRLEN];

	printf("\n[Match]\nAddress=%s\nId=%04x:%04x\n[Device]\n",
	       usrpci_addr_format(&info->addr, addr), info->vendor, info->device);
}

/* Returns how many virtual functions there are; 0 also when the device can have none. */
static int count_functions(struct cli *cli, const struct usrpci_dev_info *info)
{
	int errors = cli->errors, count;
	struct usrpci_addr *vfs;
	unsigned int most;

	hold_messages();
	count = usrpci_host_vfs(cli->host, &info->addr, &vfs, &most);
	forget_held_messages();
	cli->errors = errors;
	free(vfs);
	return count > 0 ? count : 0;
}

static void print_device(struct cli *cli, const struct usrpci_dev_info *info)
{
	bool is_ours = info->driver_kind != USRPCI_DRIVER_NONE && !kernel_driver(info);
	int functions = count_functions(cli, info);

	if (!is_ours && !functions)
		return;
	print_match(info);
	if (is_ours)
		printf("Driver=%s\n", info->driver);
	if (functions)
		printf("VirtualFunctions=%d\n", functions);
}

static int print_pages(struct cli *cli)
{
	struct usrpci_hugepages *pools;
	int count = usrpci_host_hugepages(cli->host, &pools);

	for (int i = 0; i < count; i++)
		if (pools[i].total &&
		    (pools[i].page_size == 2 << 20 || pools[i].page_size == 1 << 30))
			printf("\n[HugePages]\nSize=%s\nCount=%zu\nNode=%d\n",
			       pools[i].page_size == 2 << 20 ? "2M" : "1G", pools[i].total,
			       pools[i].node);
	free(pools);
	return count < 0 ? STATUS_FAILED : STATUS_DONE;
}

static int cmd_capture(struct cli *cli)
{
	struct usrpci_dev_info *infos;
	int count;

	if (option_next(cli))
		return cli->stopped;
	if (cli->argc > 0)
		return unexpected_operand(cli, cli->argv[0]);
	if (cli->json)
		return usage_error(cli, "usrpci --json list has the same",
				   "what it prints is a file, not JSON");
	if (open_host(cli))
		return STATUS_FAILED;
	count = usrpci_dev_list(cli->ctx, &infos);
	if (count < 0)
		return STATUS_FAILED;
	printf("# Written by \"usrpci capture\", for \"usrpci apply\": see usrpci-apply(8).\n");
	for (int i = 0; i < count; i++)
		print_device(cli, &infos[i]);
	usrpci_dev_list_free(infos);
	return print_pages(cli);
}

const struct command command_capture = {
	.name = "capture",
	.operands = "",
	.summary = "write what this host is as a file for apply",
	.run = cmd_capture,
};
