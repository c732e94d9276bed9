// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci: finds the command in the table, runs it, and makes its exit status tell the truth, which
 * includes output that could not be written. Messages of the libraries and of the commands leave
 * through here, in one form.
 */

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const struct command commands[] = {
	{"list", "[ADDR...]", "list PCI devices, their drivers and what they provide", list_options,
	 list_notes, cmd_list},
	{"show", "ADDR...", "show all that is known of a device, capabilities included", NULL, NULL,
	 cmd_show},
	{"check", "[ADDR]", "say whether this host, or a device, is ready, and what mends it", NULL,
	 NULL, cmd_check},
	{"hugepages", "[reserve N | release]", "show, reserve or release huge pages",
	 hugepages_options, NULL, cmd_hugepages},
	{"bind", "ADDR...", "give devices to a driver for userspace", bind_options, NULL, cmd_bind},
	{"restore", "ADDR... | --all", "give devices back to what held them before",
	 restore_options, NULL, cmd_restore},
	{"run", "ADDR... -- COMMAND...", "lend devices to a program while it runs", run_options,
	 run_notes, cmd_run},
	{"ps", "", "list devices that are lent", NULL, NULL, cmd_ps},
	{"config", "ADDR [dump | read REG... | write REG VALUE[:MASK]]",
	 "read and write configuration space", config_options, config_notes, cmd_config},
	{"bar", "ADDR [read BAR OFFSET | write BAR OFFSET VALUE | dump BAR [OFFSET [LENGTH]]]",
	 "read and write a device's registers", bar_options, bar_notes, cmd_bar},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct command program = {NULL, "COMMAND", NULL, NULL, NULL, NULL};

static void help_program(void)
{
	printf("usrpci: PCI devices, driven from userspace\n\n"
	       "Usage: usrpci [options] COMMAND [options] [operands]\n\nCommands:\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	printf("\nOptions:\n");
	help_options(global_options);
	printf("\nA device is named by address (0000:03:00.0 or 03:00.0), by network interface\n"
	       "(eth1), by block device (nvme0n1), or by vendor:device (8086:100e).\n"
	       "\"usrpci COMMAND --help\" tells more. Manual: usrpci(8)\n");
}

void help_command(const struct command *command)
{
	if (command == &program) {
		help_program();
		return;
	}
	printf("usrpci %s: %s\n\nUsage: usrpci %s [options]%s%s\n\nOptions:\n", command->name,
	       command->summary, command->name, *command->operands ? " " : "", command->operands);
	help_options(command->options);
	help_options(global_options);
	if (command->notes) {
		putchar('\n');
		command->notes();
	}
	printf("\nManual: usrpci-%s(8)\n", command->name);
}

static void print_message(const char *object, const char *text, const char *hint)
{
	fflush(stdout);
	fprintf(stderr, "usrpci: %s%s%s\n", object ? object : "", object ? ": " : "", text);
	if (hint)
		fprintf(stderr, "  hint: %s\n", hint);
}

int failed(const char *object, const char *hint, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_message(object, text, hint);
	return STATUS_FAILED;
}

int usage_error(const struct cli *cli, const char *hint, const char *format, ...)
{
	const char *name = cli->command ? cli->command->name : NULL;
	char text[512], see[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(see, sizeof(see), "see \"usrpci %s%s--help\"", name ? name : "", name ? " " : "");
	print_message(name, text, hint ? hint : see);
	return STATUS_USAGE;
}

int unexpected_operand(const struct cli *cli, const char *operand)
{
	return usage_error(cli, NULL, "what is \"%s\"?", operand);
}

int status_of(int error)
{
	if (error == -EINVAL)
		return STATUS_USAGE;
	return error < 0 ? STATUS_FAILED : STATUS_DONE;
}

bool parse_number(const char *text, int base, uint64_t max, uint64_t *value)
{
	char *end;

	/* strtoull(3) would take a sign and leading space, too. */
	if (!strchr("0123456789abcdefABCDEF", *text) || !*text)
		return false;
	errno = 0;
	*value = strtoull(text, &end, base);
	return !errno && !*end && *value <= max;
}

static void take_log(void *data, const struct usrpci_log_entry *entry)
{
	static const char *const prefix[] = {"", "warning: ", "", "debug: "};
	struct cli *cli = data;
	char text[640];

	cli->errors += entry->level == USRPCI_LOG_ERROR;
	snprintf(text, sizeof(text), "%s%s", prefix[entry->level], entry->text);
	print_message(entry->object ? entry->object : entry->subject, text, entry->hint);
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

static void end_changes(struct cli *cli)
{
	if (!cli->changes.depth)
		return;
	json_close(&cli->changes, ']');
	json_close(&cli->changes, '}');
}

static void print_change_json(struct cli *cli, const struct usrpci_host_change *change)
{
	begin_changes(cli);
	json_open(&cli->changes, NULL, '{');
	json_text(&cli->changes, "why", change->why);
	json_text(&cli->changes, "command", change->command);
	json_close(&cli->changes, '}');
}

/* A dry run is a script on standard output; otherwise the writes are a trace, as of sh -x. */
static void print_change(void *data, const struct usrpci_host_change *change)
{
	struct cli *cli = data;
	FILE *out = cli->dry_run ? stdout : stderr;

	if (cli->dry_run && cli->json) {
		print_change_json(cli, change);
		return;
	}
	if (cli->quiet && !cli->dry_run)
		return;
	if (change->why && strcmp(change->why, cli->why) != 0) {
		snprintf(cli->why, sizeof(cli->why), "%s", change->why);
		fprintf(out, "# %s\n", change->why);
	}
	fprintf(out, "%s%s\n", cli->dry_run ? "" : "+ ", change->command);
}

int open_host(struct cli *cli)
{
	struct usrpci_host_options options = {
		.dry_run = cli->dry_run,
		.change = print_change,
		.change_data = cli,
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
	begin_changes(cli);
	cli->recovered = usrpci_host_recover(cli->host);
	if (cli->recovered > 0 && !cli->quiet)
		fprintf(stderr, "usrpci: took %d device%s back from a usrpci run that was killed\n",
			cli->recovered, cli->recovered > 1 ? "s" : "");
	/* What could not be cleaned up was said, and keeps nobody from other devices. */
	return 0;
}

static const char *command_name(const void *data, size_t index)
{
	return index < COMMANDS ? commands[index].name : NULL;
}

static int run_command(struct cli *cli)
{
	const char *name = cli->argv[0], *meant;
	char hint[64];

	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name)) {
			cli->command = &commands[i];
			return cli->command->run(cli);
		}
	meant = did_you_mean(name, command_name, NULL);
	if (meant)
		snprintf(hint, sizeof(hint), "did you mean \"usrpci %s\"?", meant);
	return usage_error(cli, meant ? hint : NULL, "unknown command \"%s\"", name);
}

/* A table that did not reach its reader is a failure, whether a full disk or a closed pipe. */
static int flush_output(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	failed("standard output", NULL, "cannot be written: %s", strerror(errno));
	return STATUS_FAILED;
}

/*
 * A caller may have closed some of the first three files. The next to be opened, a device's
 * configuration space perhaps, would get such a number and then all that is printed. This one can
 * be read, to its end at once; writing to it fails as if it were closed.
 */
static bool hold_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(int argc, char **argv)
{
	struct cli cli = {.argc = argc, .argv = argv};
	int status;

	if (!hold_standard_files())
		return STATUS_FAILED;
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	if (option_next_global(&cli, &program))
		status = cli.stopped;
	else if (cli.argc == 0)
		status = usage_error(&cli, NULL, "a command is missing");
	else
		status = run_command(&cli);
	end_changes(&cli);
	usrpci_host_close(cli.host);
	usrpci_ctx_close(cli.ctx);
	return flush_output(status);
}
