// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci net: a network interface whose driver is a process without privileges.
 */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moves.h"
#include "program.h"

#include <usrpci/nic.h>

enum { OPTION_RUMP = OPTION_LONG };

static const struct option_spec net_options[] = {
	{OPTION_RUMP, "rump", "DRIVER",
	 "let NetBSD's driver do it, in the rump kernel at RUMP_PREFIX"},
	{'r', "restart", NULL, "start the driver again when it is killed, crashes or hangs"},
	{'u', "user", "USER", "whom the driver runs as; default: who called sudo, else a new one"},
	MOVE_OPTIONS,
	{0},
};

static void print_notes(void)
{
	printf("A TAP device takes the interface's place, with its name, MAC address, MTU, addresses\n"
	       "and routes, and gives them back when the command ends (SIGINT, SIGTERM).\n\n"
	       "  usrpci net eth1\n"
	       "  usrpci net --restart eth1\n"
	       "  RUMP_PREFIX=/opt/rump usrpci net --rump wm eth1\n");
}

static int find_rump_kernel(void)
{
	char path[PROGRAM_PATH];
	int error = program_of_ours("usrpci-rump-net", path);

	return error ? failed(path, NULL, "cannot be started: %s", strerror(error))
		     : rump_kernel_find();
}

/* NetBSD's driver says itself which cards are its. */
static int look_at_card(struct cli *cli, struct usrpci_net_options *options)
{
	char name[USRPCI_ADDR_STRLEN];
	const char *why = NULL;
	struct usrpci_dev *dev;
	int error;

	usrpci_addr_format(&options->addr, name);
	if (usrpci_dev_inspect(cli->ctx, name, &dev))
		return STATUS_FAILED;
	error = usrpci_nic_look(dev, &options->mtu_max, &why);
	usrpci_dev_close(dev);
	if (error)
		failed(name, NULL, "%s", error == -ENOTSUP ? why : strerror(-error));
	return error ? STATUS_FAILED : STATUS_DONE;
}

static int serve(struct cli *cli, struct usrpci_net_options *options, const char *rump,
		 bool restart)
{
	char self[PATH_MAX], name[USRPCI_ADDR_STRLEN];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *argv[7] = {self, "net-driver"}, *look[7] = {self, "net-driver", "--look"};
	const char **next = argv + 2, **next_look = look + 3;
	int status;

	if (length < 0) {
		failed("/proc/self/exe", NULL, "cannot be read: %s", strerror(errno));
		return STATUS_FAILED;
	}
	self[length] = '\0';
	if (rump) {
		*next++ = *next_look++ = "--rump";
		*next++ = *next_look++ = rump;
	}
	if (restart)
		*next++ = "--restart";
	*next = *next_look = usrpci_addr_format(&options->addr, name);
	options->argv = (char *const *)argv;
	options->look = (char *const *)look;
	messages_never_wait();
	status = usrpci_host_net(cli->host, options);
	return status < 0 ? status_of_change(status) : status;
}

static bool serves(struct cli *cli, const struct usrpci_lent *lent, const char *name)
{
	struct usrpci_net_stats stats;
	char addr[USRPCI_ADDR_STRLEN];

	usrpci_addr_format(&lent->addr, addr);
	return !usrpci_host_net_stats(cli->host, &lent->addr, &stats) && !stats.left &&
	       (!strcmp(stats.name, name) || !strcmp(addr, name));
}

/* An interface that is served is a TAP device, which belongs to no card by itself. */
static bool is_served(struct cli *cli, const char *name)
{
	struct usrpci_lent *list;
	int count = usrpci_host_lent(cli->host, &list), i = 0;

	while (i < count && !serves(cli, &list[i], name))
		i++;
	if (i < count)
		failed(name, "usrpci ps", "process %d, usrpci net, serves it already",
		       (int)list[i].broker);
	free(list);
	return i < count;
}

static int cmd_net(struct cli *cli)
{
	struct usrpci_net_options options = {0};
	struct moves moves = {0};
	const char *rump = NULL;
	bool restart = false;
	int key, status;

	while ((key = option_next(cli))) {
		if (key == 'r')
			restart = true;
		else if (key == OPTION_RUMP)
			rump = optarg;
		else if (key == 'u')
			options.user = optarg;
		else if (!move_option(key, &options.bind))
			return cli->stopped;
	}
	if (cli->argc != 1)
		return usage_error(cli, NULL, "one interface is to be named");
	if (rump && find_rump_kernel())
		return STATUS_FAILED;
	if (open_host(cli))
		return STATUS_FAILED;
	if (is_served(cli, cli->argv[0]))
		return STATUS_BUSY;
	status = moves_find(cli, &moves);
	if (!status && moves.count != 1)
		status = usage_error(cli, NULL, "the slot has %d functions: name one interface",
				     moves.count);
	if (!status) {
		options.addr = moves.addrs[0];
		status = rump ? STATUS_DONE : look_at_card(cli, &options);
	}
	if (!status)
		status = serve(cli, &options, rump, restart);
	moves_free(&moves);
	return status;
}

const struct command command_net = {
	.name = "net",
	.operands = "INTERFACE",
	.summary = "drive a network interface by a process without privileges",
	.options = net_options,
	.notes = print_notes,
	.run = cmd_net,
};
