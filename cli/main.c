// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci: finds the command and runs it. The exit status also reports output that could not be
 * written.
 */

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const struct command *const commands[] = {
	&command_list,       &command_show,     &command_check, &command_hugepages,
	&command_bind,       &command_restore,  &command_diff,  &command_apply,
	&command_capture,    &command_confirm,  &command_vfs,   &command_export,
	&command_run,        &command_serve,    &command_ps,    &command_net,
	&command_monitor,    &command_config,   &command_bar,   &command_nvme,
	&command_net_driver, &command_complete, NULL,
};

static void help_program(void)
{
	printf("usrpci: PCI devices, driven from userspace\n\n"
	       "Usage: usrpci [options] COMMAND [options] [operands]\n\nCommands:\n");
	for (size_t i = 0; commands[i]; i++)
		if (commands[i]->summary)
			printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nOptions:\n");
	help_options(global_options);
	printf("\nA device is named by address (0000:03:00.0 or 03:00.0), by network interface\n"
	       "(eth1), by block device (nvme0n1), or by vendor:device (8086:100e).\n"
	       "\"usrpci COMMAND --help\" tells more. Manual: usrpci(8)\n");
}

static const struct command program = {.notes = help_program};

static const char *command_name(const void *data, size_t index)
{
	return commands[index] ? commands[index]->name : NULL;
}

static const struct command *find_command(const struct cli *cli, const char *name)
{
	const char *meant;
	char hint[64];

	for (size_t i = 0; commands[i]; i++)
		if (!strcmp(name, commands[i]->name))
			return commands[i];
	meant = did_you_mean(name, command_name, NULL);
	if (meant)
		snprintf(hint, sizeof(hint), "did you mean \"usrpci %s\"?", meant);
	usage_error(cli, meant ? hint : NULL, "unknown command \"%s\"", name);
	return NULL;
}

static int help(struct cli *cli)
{
	const struct command *command = &program;

	cli->command = &program;
	if (option_next(cli))
		return cli->stopped;
	if (cli->argc > 1)
		return unexpected_operand(cli, cli->argv[1]);
	if (cli->argc)
		command = find_command(cli, cli->argv[0]);
	if (!command)
		return STATUS_USAGE;
	help_command(cli, command);
	return STATUS_DONE;
}

/*
 * The libraries go on when they cannot read something, so the result of the command may be wrong. A
 * command that failed because of that has already reported it; one that says what is missing or
 * differs has not.
 */
static int admit_unread(const struct cli *cli, int status)
{
	const char *path;
	int error = cli->ctx ? usrpci_ctx_unread(cli->ctx, &path) : 0;

	if (!error || (status != STATUS_DONE && status != STATUS_NOT_READY && cli->errors))
		return status;
	failed(path, "what it says was left out: try again", "cannot be read: %s",
	       strerror(-error));
	return status == STATUS_DONE ? STATUS_FAILED : status;
}

static int run_command(struct cli *cli)
{
	if (!strcmp(cli->argv[0], "help"))
		return help(cli);
	cli->command = find_command(cli, cli->argv[0]);
	return cli->command ? cli->command->run(cli) : STATUS_USAGE;
}

static const char *result_name(const struct cli *cli, int status)
{
	static const char *const names[] = {
		[STATUS_FAILED] = "failed",       [STATUS_USAGE] = "usage",
		[STATUS_NOT_READY] = "not-ready", [STATUS_LEFT] = "left-behind",
		[STATUS_BUSY] = "in-use",         [STATUS_SAME] = "unchanged",
	};

	if (cli->lent)
		return "done";
	if (cli->differs && status == STATUS_NOT_READY)
		return "differs";
	if (status != STATUS_DONE)
		return status < (int)ARRAY_SIZE(names) ? names[status] : names[STATUS_FAILED];
	if (!cli->may_change)
		return "done";
	return cli->change_count ? "changed" : "unchanged";
}

static int end_command(struct cli *cli, int status)
{
	if (status == STATUS_DONE && cli->exit_code && cli->may_change && !cli->change_count)
		status = STATUS_SAME;
	close_context(cli);
	if (cli->json)
		json_end(result_name(cli, status), status);
	return status;
}

/* Returns whether the reader of our output has ended, as head(1) does. */
static bool reader_is_gone(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return poll(&out, 1, 0) == 1 && out.revents & POLLERR;
}

/*
 * A table that did not reach its reader is a failure. If the reader wanted no more, the program
 * ends by SIGPIPE, as others do. The signal was ignored before, because it must not interrupt a
 * change.
 */
static int flush_output(const struct cli *cli, int status)
{
	bool changes_stay = status == STATUS_DONE && !cli->dry_run && cli->change_count;

	if (!fflush(stdout) && !ferror(stdout))
		return status;
	if (reader_is_gone()) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	failed("standard output", changes_stay ? "what was to be changed is changed" : NULL,
	       "cannot be written: %s", strerror(errno));
	return STATUS_FAILED;
}

/*
 * A caller may have closed some of the first three descriptors. The next file to be opened, perhaps
 * a device's configuration space, would get such a number, and then receive all output. The end of
 * a pipe without a writer takes the number instead: reading it ends at once, and writing to it
 * fails. It needs no /dev, which a container may lack.
 */
static bool hold_standard_files(void)
{
	int ends[2];

	do {
		if (pipe(ends))
			return false;
		close(ends[1]);
	} while (ends[0] <= STDERR_FILENO);
	close(ends[0]);
	return true;
}

int main(int argc, char **argv)
{
	struct cli cli = {.commands = commands, .argc = argc, .argv = argv};
	int status;

	if (!hold_standard_files()) {
		failed("standard files", NULL, "cannot be opened: %s", strerror(errno));
		return STATUS_FAILED;
	}
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* else nobody learns how a process ended */
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error that names it */
	if (option_next_global(&cli, &program))
		status = cli.stopped;
	else if (cli.argc == 0)
		status = usage_error(&cli, NULL, "a command is missing");
	else
		status = run_command(&cli);
	status = admit_unread(&cli, status);
	status = end_command(&cli, status);
	return flush_output(&cli, status);
}
