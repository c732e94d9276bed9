// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci run: lends devices to a program for as long as it runs. The exit status is the program's.
 */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moves.h"
#include "number.h"
#include "program.h"
#include "wait.h"

enum {
	OPTION_HUGEPAGES = OPTION_LONG,
	OPTION_MEMLOCK,
	OPTION_KEEP,
	OPTION_NODES,
	OPTION_BROKER,
	OPTION_RESTART,
	OPTION_VF_TOKEN,
};

/*
 * The same values as in shells and env(1), and as the library reports a program that did not start.
 */
enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

static const struct option_spec run_options[] = {
	{'u', "user", "USER", "whom the program runs as; default: who called sudo, else a new one"},
	MOVE_OPTIONS,
	{OPTION_HUGEPAGES, "hugepages", "N",
	 "how many pages of 2 MiB are reserved, and lent at most"},
	{OPTION_MEMLOCK, "memlock", "MIB",
	 "vfio: what each process may pin; default: 1/4 of memory"},
	WAIT_OPTION,
	{OPTION_KEEP, "keep", NULL, "leave the devices with that driver afterwards"},
	{OPTION_NODES, "nodes", NULL, "vfio: the program opens /dev/vfio by itself (QEMU, DPDK)"},
	{OPTION_BROKER, "broker", NULL, "it does not: only programs of libusrpci get the devices"},
	{OPTION_VF_TOKEN, "vf-token", "UUID",
	 "vfio: the token of a function with SR-IOV, in USRPCI_VF_TOKEN"},
	{OPTION_RESTART, "restart", "[=N]", "start a program that crashed again, N times at most"},
	{0},
};

static void print_notes(void)
{
	printf("The program has no capability and no other way to the hardware; its devices open\n"
	       "by usrpci_dev_open() as if it were root, and under vfio, unless it is a program of\n"
	       "libusrpci, by the files in /dev/vfio. When it ends in any way, they are stopped\n"
	       "before their memory is freed, and the host is put back as it was.\n");
}

/* Reads a number in the option's unit; 0 is refused. */
static int read_size(struct cli *cli, const char *unit, uint64_t most, size_t *size)
{
	uint64_t number;

	if (!parse_number(optarg, 10, most, &number) || number == 0)
		return cli->stopped = usage_error(cli, NULL, "%s is not a number of %s", optarg,
						  unit);
	*size = number;
	return 0;
}

/* Without a number, the program is always restarted. */
static int read_restarts(struct cli *cli, struct usrpci_lend_options *options)
{
	uint64_t number = UINT_MAX;

	if (optarg && !parse_number(optarg, 10, UINT_MAX, &number))
		return cli->stopped = usage_error(cli, NULL, "%s is not a number", optarg);
	options->restarts = (unsigned int)number;
	return 0;
}

static int read_options(struct cli *cli, struct usrpci_lend_options *options)
{
	int key;

	while ((key = option_next(cli))) {
		switch (key) {
		case 'u':
			options->user = optarg;
			break;
		case OPTION_HUGEPAGES:
			if (read_size(cli, "huge pages", 1 << 20, &options->hugepages))
				return -1;
			break;
		case OPTION_MEMLOCK:
			if (read_size(cli, "MiB", SIZE_MAX >> 20, &options->memlock))
				return -1;
			options->memlock <<= 20;
			break;
		case OPTION_WAIT:
			if (wait_option(cli))
				return -1;
			break;
		case OPTION_KEEP:
			options->keep = true;
			break;
		case OPTION_NODES:
			options->way = USRPCI_LEND_NODES;
			break;
		case OPTION_BROKER:
			options->way = USRPCI_LEND_BROKER;
			break;
		case OPTION_RESTART:
			if (read_restarts(cli, options))
				return -1;
			break;
		case OPTION_VF_TOKEN:
			/* The broker opens devices, and the program may, so both read it there. */
			setenv("USRPCI_VF_TOKEN", optarg, 1);
			break;
		default:
			if (!move_option(key, &options->bind))
				return -1;
		}
	}
	return 0;
}

/* Removes the words after "--" before options are parsed, since they belong to the program. */
static char **take_program(struct cli *cli)
{
	for (int i = 0; i < cli->argc; i++) {
		if (strcmp(cli->argv[i], "--"))
			continue;
		cli->argc = i;
		cli->argv[i] = NULL;
		return &cli->argv[i + 1];
	}
	return NULL;
}

/* The program uses standard output, so the JSON goes elsewhere. */
static void print_json(struct cli *cli, int status)
{
	struct json json = {0};

	cli->lent = true;
	if (!cli->json)
		return;
	json_open(&json, NULL, '{');
	json_number(&json, "program_status", (uint64_t)status);
	json_close(&json, '}');
}

static int lend(struct cli *cli, struct usrpci_lend_options *options)
{
	struct moves moves = {0};
	int status = moves_find(cli, &moves);

	if (!status) {
		options->addrs = moves.addrs;
		options->count = (size_t)moves.count;
		wait_begin(cli);
		do
			status = usrpci_host_lend(cli->host, options);
		while (wait_and_try_again(cli, status));
	}
	moves_free(&moves);
	if (status < 0)
		return status_of_change(status);
	print_json(cli, status);
	return status;
}

static int cmd_run(struct cli *cli)
{
	char **program = take_program(cli);
	struct usrpci_lend_options options = {.argv = program};
	int error;

	json_to(stderr);
	if (read_options(cli, &options))
		return cli->stopped;
	cli->quiet |= cli->json;
	if (cli->argc == 0)
		return usage_error(cli, NULL, "no device is named");
	if (!program || !*program)
		return usage_error(cli, "the program follows after --: usrpci run ADDR -- COMMAND",
				   "no program is named");
	error = program_find(*program);
	if (error) {
		failed(*program, NULL, "cannot be started, so no device is taken: %s",
		       strerror(error));
		return error == EACCES ? STATUS_NOT_EXECUTABLE : STATUS_NOT_FOUND;
	}
	messages_never_wait();
	return open_host(cli) ? STATUS_FAILED : lend(cli, &options);
}

const struct command command_run = {
	.name = "run",
	.operands = "ADDR... -- COMMAND...",
	.summary = "lend devices to a program while it runs",
	.options = run_options,
	.notes = print_notes,
	.run = cmd_run,
};
