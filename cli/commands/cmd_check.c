// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci check: prints what is ready, what is missing, and the command that fixes it. The exit
 * status is 3 when something is missing, so that scripts can ask.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "device.h"
#include "filter.h"
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

/* What was found of the host is the same for each device. */
static bool was_found(const struct usrpci_finding *list, int count,
		      const struct usrpci_finding *finding)
{
	for (int i = 0; i < count; i++)
		if (list[i].state == finding->state && !strcmp(list[i].topic, finding->topic) &&
		    !strcmp(list[i].text, finding->text))
			return true;
	return false;
}

/* Appends what is found of a device, or of the host alone. Returns STATUS_DONE or how it ends. */
static int add_findings(struct cli *cli, const struct usrpci_addr *addr,
			struct usrpci_finding **list, int *count)
{
	struct usrpci_finding *found, *longer;
	int more = usrpci_host_check(cli->host, addr, &found), before = *count;

	if (more < 0)
		return STATUS_FAILED;
	longer = reallocarray(*list, (size_t)(before + more) + 1, sizeof(*longer));
	if (!longer) {
		free(found);
		return out_of_memory();
	}
	*list = longer;
	for (int i = 0; i < more; i++)
		if (!was_found(longer, before, &found[i]))
			longer[(*count)++] = found[i];
	free(found);
	return STATUS_DONE;
}

static int find_operand(struct cli *cli, const char *operand, const struct filter *filter,
			struct usrpci_finding **list, int *count)
{
	const struct usrpci_dev_info *info;
	struct named named;
	int status = named_find(cli, operand, &named);

	for (int i = 0; i < named.count && !status; i++) {
		info = named_info(&named, i);
		if (filter_fits(filter, info) && !named_before(cli, &info->addr))
			status = add_findings(cli, &info->addr, list, count);
	}
	named_free(&named);
	return status;
}

static int find_named(struct cli *cli, const struct filter *filter, struct usrpci_finding **list,
		      int *count)
{
	int status = STATUS_DONE;

	for (int i = 0; i < cli->argc && !status; i++)
		status = find_operand(cli, cli->argv[i], filter, list, count);
	return status;
}

static int find_fitting(struct cli *cli, const struct filter *filter, struct usrpci_finding **list,
			int *count)
{
	struct usrpci_dev_info *infos;
	int devices = filter_list(cli, filter, &infos);
	int status = devices < 0 ? STATUS_FAILED : STATUS_DONE;

	for (int i = 0; i < devices && !status; i++)
		status = add_findings(cli, &infos[i].addr, list, count);
	usrpci_dev_list_free(infos);
	return status;
}

static int find_all(struct cli *cli, const struct filter *filter, struct usrpci_finding **list,
		    int *count)
{
	if (cli->argc)
		return find_named(cli, filter, list, count);
	return filter_is_set(filter) ? find_fitting(cli, filter, list, count)
				     : add_findings(cli, NULL, list, count);
}

static int cmd_check(struct cli *cli)
{
	struct usrpci_finding *findings = NULL;
	int missing = 0, count = 0, status, key;
	struct filter filter = {0};

	while ((key = option_next(cli)))
		if (!filter_option(cli, key, &filter))
			return cli->stopped;
	if (open_host(cli))
		return STATUS_FAILED;
	status = find_all(cli, &filter, &findings, &count);
	if (status) {
		free(findings);
		return status;
	}
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

static const struct option_spec check_options[] = {
	FILTER_OPTIONS,
	{0},
};

const struct command command_check = {
	.name = "check",
	.operands = "[ADDR...]",
	.options = check_options,
	.summary = "say whether this host, or devices, are ready, and what mends it",
	.run = cmd_check,
};
