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
	int before = cli->errors;
	int error;

	if (cli->ctx)
		return 0;
	error = usrpci_ctx_open(&options, &cli->ctx);
	if (error == -ENOMEM)
		out_of_memory();
	else if (error && cli->errors == before) /* else the library has said why */
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

static void print_change_json(struct cli *cli, const char *why, const char *command)
{
	begin_changes(cli);
	json_open(&cli->changes, NULL, '{');
	json_text(&cli->changes, "why", why);
	json_text(&cli->changes, "command", command);
	json_close(&cli->changes, '}');
}

/* Who runs the script gets no record of how the devices were. */
static void print_undo(const struct cli *cli)
{
	if (cli->undo_count)
		printf("# This script leaves no record for usrpci restore. What undoes it:\n");
	for (size_t i = 0; i < cli->undo_count; i++)
		printf("#   %s\n", cli->undo[i].command);
}

static void end_changes(struct cli *cli)
{
	json_close(&cli->changes, ']');
	if (cli->shows_undo) {
		json_open(&cli->changes, "undo", '[');
		for (size_t i = 0; i < cli->undo_count; i++)
			print_change_json(cli, cli->undo[i].why, cli->undo[i].command);
		json_close(&cli->changes, ']');
	}
	json_close(&cli->changes, '}');
}

void close_context(struct cli *cli)
{
	if (cli->changes.depth)
		end_changes(cli);
	else
		print_undo(cli);
	usrpci_host_close(cli->host);
	usrpci_ctx_close(cli->ctx);
	free(cli->named);
	free(cli->undo);
}

static void keep_undo(void *data, const struct usrpci_host_change *change)
{
	struct cli *cli = data;
	struct undo *longer = array_grow(cli->undo, cli->undo_count, 1, sizeof(*longer));

	cli->undo_lost |= !longer;
	if (!longer)
		return;
	cli->undo = longer;
	snprintf(longer[cli->undo_count].why, sizeof(longer->why), "%s", change->why);
	snprintf(longer[cli->undo_count++].command, sizeof(longer->command), "%s", change->command);
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
		print_change_json(cli, change->why, change->command);
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
		.undo = cli->shows_undo ? keep_undo : NULL,
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
		note(cli, NULL, "took %d device%s back from a usrpci run that has ended",
		     cli->recovered, cli->recovered > 1 ? "s" : "");
	/* A failed recovery was reported, and must not keep the user from other devices. */
	if (cli->recovered == -ENOMEM)
		out_of_memory();
	return 0;
}
