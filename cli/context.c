// SPDX-License-Identifier: BSD-2-Clause
/*
 * The context and the host that a command works on, what the libraries log through them, and the
 * changes that they report.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "output.h"

static void take_log(void *data, const struct usrpci_log_entry *entry)
{
	static const enum message_level levels[] = {MESSAGE_ERROR, MESSAGE_WARNING, MESSAGE_NOTE,
						    MESSAGE_DEBUG};
	struct cli *cli = data;

	cli->errors += entry->level == USRPCI_LOG_ERROR;
	print_message(levels[entry->level], entry->object ? entry->object : entry->subject,
		      entry->text, entry->hint);
}

int open_context(struct cli *cli)
{
	struct usrpci_ctx_options options = {
		.log = take_log,
		.log_data = cli,
		.log_level = USRPCI_LOG_WARNING + (cli->verbose < 2 ? cli->verbose : 2),
		.root = cli->root,
	};
	int error;

	if (cli->ctx)
		return 0;
	error = usrpci_ctx_open(&options, &cli->ctx);
	if (error)
		failed(cli->root, NULL, "cannot be used as root directory: %s", strerror(-error));
	return error;
}

static void begin_changes(struct cli *cli)
{
	if (!cli->dry_run || !cli->json || cli->changes.depth)
		return;
	json_open(&cli->changes, NULL, '{');
	json_open(&cli->changes, "changes", '[');
}

void close_context(struct cli *cli)
{
	if (cli->changes.depth) {
		json_close(&cli->changes, ']');
		json_close(&cli->changes, '}');
	}
	usrpci_host_close(cli->host);
	usrpci_ctx_close(cli->ctx);
	free(cli->named);
}

static void print_change_json(struct cli *cli, const struct usrpci_host_change *change)
{
	begin_changes(cli);
	json_open(&cli->changes, NULL, '{');
	json_text(&cli->changes, "why", change->why);
	json_text(&cli->changes, "command", change->command);
	json_close(&cli->changes, '}');
}

static void print_line(const struct cli *cli, const char *prefix, const char *text)
{
	if (cli->dry_run)
		printf("%s%s\n", prefix, text);
	else
		say("%s%s\n", prefix, text);
}

/* A dry run prints a script to standard output; otherwise the changes are a trace as of sh -x. */
static void print_change(void *data, const struct usrpci_host_change *change)
{
	struct cli *cli = data;
	cli->change_count++;
	if (cli->dry_run && cli->json) {
		print_change_json(cli, change);
		return;
	}
	if (cli->quiet && !cli->dry_run)
		return;
	if (change->why && strcmp(change->why, cli->why) != 0) {
		snprintf(cli->why, sizeof(cli->why), "%s", change->why);
		print_line(cli, "# ", cli->why);
	}
	print_line(cli, cli->dry_run ? "" : "+ ", change->command);
}

void print_command(struct cli *cli, const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	print_change(cli, &(struct usrpci_host_change){.command = command});
}

int open_host(struct cli *cli)
{
	struct usrpci_host_options options = {
		.dry_run = cli->dry_run,
		.change = print_change,
		.change_data = cli,
		.confirm_s = (unsigned int)cli->confirm_s,
	};
	int error = open_context(cli);

	if (error || cli->host)
		return error;
	error = usrpci_host_open(cli->ctx, &options, &cli->host);
	if (error)
		failed(NULL, NULL, "cannot prepare the host: %s", strerror(-error));
	return error;
}

int open_host_for_changes(struct cli *cli)
{
	int error = open_host(cli);

	if (error)
		return error;
	cli->may_change = true;
	begin_changes(cli);
	cli->recovered = usrpci_host_recover(cli->host);
	if (cli->recovered > 0)
		note(cli, NULL, "took %d device%s back from a usrpci run that was killed",
		     cli->recovered, cli->recovered > 1 ? "s" : "");
	/* A failed recovery was reported, and must not keep the user from other devices. */
	if (cli->recovered == -ENOMEM)
		out_of_memory();
	return 0;
}
