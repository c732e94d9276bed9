// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci serve: a disk as a block device, driven by a process without privileges.
 */

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "moves.h"
#include "number.h"
#include "program.h"

#define NVME_CLASS 0x010802

/* Virtio disks, as the plugin knows them: Virtio 1.2, 4.1.2. */
#define VIRTIO_VENDOR       0x1af4
#define VIRTIO_TRANSITIONAL 0x1001
#define VIRTIO_MODERN       0x1042

enum { OPTION_RESTART = OPTION_LONG, OPTION_NAMESPACE, OPTION_QUEUES, OPTION_POLL, OPTION_RUMP };

static const struct option_spec serve_options[] = {
	{OPTION_RESTART, "restart", NULL, "start the driver again whenever it ends"},
	{OPTION_RUMP, "rump", "DRIVER",
	 "let NetBSD's driver do it, in the rump kernel at RUMP_PREFIX"},
	{OPTION_NAMESPACE, "namespace", "N", "which one; default: that of the disk's name, or 1"},
	{OPTION_QUEUES, "queues", "N", "requests under way at a time; default: 16"},
	{OPTION_POLL, "poll", NULL, "use no interrupts"},
	{'u', "user", "USER", "whom the driver runs as; default: who called sudo, else a new one"},
	MOVE_OPTIONS,
	{0},
};

static void print_notes(void)
{
	printf("The disk is /dev/nbdN until ^C, SIGTERM, or usrpci restore ADDR in another shell;\n"
	       "then everything is as it was before. A disk that is mounted does not end.\n");
}

static int read_number(struct cli *cli, uint64_t most, uint64_t *number)
{
	if (parse_number(optarg, 10, most, number) && *number > 0)
		return 0;
	return cli->stopped = usage_error(cli, NULL, "%s is not a number from 1 to %llu", optarg,
					  (unsigned long long)most);
}

static int read_options(struct cli *cli, struct usrpci_serve_options *options)
{
	uint64_t number;
	int key;

	while ((key = option_next(cli))) {
		switch (key) {
		case OPTION_RESTART:
			options->restart = true;
			break;
		case OPTION_NAMESPACE:
			if (read_number(cli, UINT32_MAX - 1, &number))
				return -1;
			options->nsid = (uint32_t)number;
			break;
		case OPTION_QUEUES:
			if (read_number(cli, 64, &number))
				return -1;
			options->queues = (unsigned int)number;
			break;
		case OPTION_POLL:
			options->poll = true;
			break;
		case OPTION_RUMP:
			options->rump = optarg;
			break;
		case 'u':
			options->user = optarg;
			break;
		default:
			if (!move_option(key, &options->bind))
				return -1;
		}
	}
	return 0;
}

static void say_ready(void *data, const char *name)
{
	const struct cli *cli = data;

	if (!cli->quiet)
		printf("%s is /dev/%s\n", cli->argv[0], name);
	fflush(stdout);
}

static bool is_disk(const struct usrpci_dev_info *info)
{
	return info->class_code == NVME_CLASS ||
	       (info->vendor == VIRTIO_VENDOR &&
		(info->device == VIRTIO_TRANSITIONAL || info->device == VIRTIO_MODERN));
}

static int serve(struct cli *cli, struct usrpci_serve_options *options)
{
	struct usrpci_dev_info info;
	int error = find_device(cli, cli->argv[0], &info);

	if (error)
		return status_of(error);
	if (!options->rump && !is_disk(&info))
		return failed(cli->argv[0], NULL,
			      "it is neither an NVMe nor a virtio disk (class %06x)",
			      info.class_code);
	error = options->rump ? rump_kernel_find() : 0;
	if (error)
		return STATUS_FAILED;
	error = program_find("nbdkit");
	if (error)
		return failed("nbdkit", "apt install nbdkit", "cannot be started: %s",
			      strerror(error));
	options->addr = info.addr;
	options->disk = strchr(cli->argv[0], ':') ? NULL : cli->argv[0];
	options->ready = say_ready;
	options->data = cli;
	messages_never_wait();
	return status_of_change(usrpci_host_serve(cli->host, options));
}

static int cmd_serve(struct cli *cli)
{
	struct usrpci_serve_options options = {0};

	if (read_options(cli, &options))
		return cli->stopped;
	if (cli->argc == 0)
		return usage_error(cli, NULL, "no disk is named");
	if (cli->argc > 1)
		return unexpected_operand(cli, cli->argv[1]);
	return open_host(cli) ? STATUS_FAILED : serve(cli, &options);
}

const struct command command_serve = {
	.name = "serve",
	.operands = "ADDR",
	.summary = "serve an NVMe or virtio disk as /dev/nbdN, driven without privileges",
	.options = serve_options,
	.notes = print_notes,
	.run = cmd_serve,
};
