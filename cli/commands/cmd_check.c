// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci check: prints what is ready, what is missing, and the command that fixes it. The exit
 * status is 3 when something is missing, so that scripts can ask.
 */

#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "device.h"
#include "output.h"

static const char *const state_names[] = {
	[USRPCI_CHECK_OK] = "ok", [USRPCI_CHECK_NOTE] = "note", [USRPCI_CHECK_MISSING] = "missing"};

static void print_text(const struct usrpci_finding *findings, int count)
{
	for (int i = 0; i < count; i++) {
		printf("%-8s %-11s %s\n", state_names[findings[i].state], findings[i].topic,
		       findings[i].text);
		if (*findings[i].cure)
			printf("%20s cure: %s\n", "", findings[i].cure);
	}
}

static void print_json(const struct usrpci_finding *findings, int count, bool ready)
{
	struct json json = {0};

	json_open(&json, NULL, '{');
	json_bool(&json, "ready", ready);
	json_open(&json, "findings", '[');
	for (int i = 0; i < count; i++) {
		json_open(&json, NULL, '{');
		json_text(&json, "state", state_names[findings[i].state]);
		json_text(&json, "topic", findings[i].topic);
		json_text(&json, "text", findings[i].text);
		json_text(&json, "cure", *findings[i].cure ? findings[i].cure : NULL);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_close(&json, '}');
}

static int cmd_check(struct cli *cli)
{
	struct usrpci_finding *findings;
	struct usrpci_dev_info info;
	int missing = 0, count, error = 0;

	if (option_next(cli))
		return cli->stopped;
	if (cli->argc > 1)
		return unexpected_operand(cli, cli->argv[1]);
	if (cli->argc == 1)
		error = find_device(cli, cli->argv[0], &info);
	if (error)
		return status_of(error);
	if (open_host(cli))
		return STATUS_FAILED;
	count = usrpci_host_check(cli->host, cli->argc ? &info.addr : NULL, &findings);
	if (count < 0)
		return STATUS_FAILED;
	for (int i = 0; i < count; i++)
		missing += findings[i].state == USRPCI_CHECK_MISSING;
	if (cli->json)
		print_json(findings, count, !missing);
	else
		print_text(findings, count);
	if (!cli->json && !cli->quiet)
		printf(missing ? "not ready: %d missing\n" : "ready\n", missing);
	free(findings);
	return missing ? STATUS_NOT_READY : STATUS_DONE;
}

const struct command command_check = {
	.name = "check",
	.operands = "[ADDR]",
	.summary = "say whether this host, or a device, is ready, and what mends it",
	.run = cmd_check,
};
