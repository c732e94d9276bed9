// SPDX-License-Identifier: BSD-2-Clause
/*
 * Options: each command has one table, for getopt_long(3) and for --help. The program's own options
 * may stand before the command's name or after it.
 */

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum {
	OPTION_ROOT = 512,
	OPTION_EXIT_CODE,
	OPTION_HELP,
	OPTION_VERSION,
	OPTIONS_MAX = 32,
};

const struct option_spec global_options[] = {
	{'n', "dry-run", NULL, "print the exact writes as a shell script, make none"},
	{'q', "quiet", NULL, "do not print the writes that are made"},
	{'j', "json", NULL, "print results as JSON"},
	{'v', "verbose", NULL, "say more; twice for debugging"},
	{OPTION_EXIT_CODE, "exit-code", NULL, "exit with 6 when nothing had to be changed"},
	{OPTION_ROOT, "root", "DIR", "read /sys, /proc, /dev and /run below DIR"},
	{'h', "help", NULL, "print this help"},
	{'V', "version", NULL, "print the version"},
	{0},
};

/* The tables of one command in the form of getopt_long(3). */
struct getopt_tables {
	char letters[2 + 2 * OPTIONS_MAX];
	struct option longs[OPTIONS_MAX + 1];
	size_t count;
};

bool option_needs_argument(const struct option_spec *spec)
{
	return spec->argument && *spec->argument != '[';
}

static void add_options(struct getopt_tables *tables, const struct option_spec *spec)
{
	char *end = tables->letters + strlen(tables->letters);

	for (; spec && spec->key && tables->count < OPTIONS_MAX; spec++) {
		tables->longs[tables->count++] =
			(struct option){spec->name,
					option_needs_argument(spec) ? required_argument
					: spec->argument            ? optional_argument
								    : no_argument,
					NULL, spec->key};
		if (spec->key >= OPTION_LONG)
			continue;
		*end++ = (char)spec->key;
		if (spec->argument)
			*end++ = ':';
	}
	*end = '\0';
}

const char *did_you_mean(const char *word, const char *(*next)(const void *data, size_t index),
			 const void *data)
{
	size_t length = strnlen(word, 32);
	size_t best_distance = length < 6 ? 1 : length / 3;
	const char *best = NULL, *candidate;

	for (size_t i = 0; (candidate = next(data, i)); i++) {
		size_t row[64] = {0}, size = strnlen(candidate, 62);

		if (!size)
			continue;
		/* Levenshtein's distance, one row at a time. */
		for (size_t k = 0; k <= size; k++)
			row[k] = k;
		for (size_t w = 0; w < length; w++) {
			size_t corner = row[0]++;

			for (size_t k = 1; k <= size; k++) {
				size_t change = corner +
						(tolower(word[w]) != tolower(candidate[k - 1]));
				size_t add = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;

				corner = row[k];
				row[k] = change < add ? change : add;
			}
		}
		if (row[size] <= best_distance && (!best || row[size] < best_distance)) {
			best = candidate;
			best_distance = row[size];
		}
	}
	return best;
}

static const char *long_option(const void *data, size_t index)
{
	return ((const struct getopt_tables *)data)->longs[index].name;
}

static int bad_option(struct cli *cli, const struct getopt_tables *tables, bool incomplete)
{
	const char *word = cli->argv[optind - 1], *meant;
	char hint[64];

	if (incomplete)
		return usage_error(cli, NULL, "option %s needs an argument", word);
	if (strncmp(word, "--", 2) != 0)
		return usage_error(cli, NULL, "unknown option -%c", optopt);
	if (optopt)
		return usage_error(cli, NULL, "option %s takes no argument", word);
	meant = did_you_mean(word + 2, long_option, tables);
	if (!meant)
		return usage_error(cli, NULL, "unknown option %s", word);
	snprintf(hint, sizeof(hint), "did you mean --%s?", meant);
	return usage_error(cli, hint, "unknown option %s", word);
}

void help_options(const struct option_spec *spec)
{
	for (; spec && spec->key; spec++) {
		char text[48];

		snprintf(text, sizeof(text), "--%s%s%s", spec->name,
			 option_needs_argument(spec) ? " " : "",
			 spec->argument ? spec->argument : "");
		if (spec->key < OPTION_LONG)
			printf("  -%c, %-20s %s\n", spec->key, text, spec->help);
		else
			printf("      %-20s %s\n", text, spec->help);
	}
}

static void json_options(struct json *json, const struct option_spec *spec)
{
	char text[48];

	for (; spec && spec->key; spec++) {
		json_open(json, NULL, '{');
		snprintf(text, sizeof(text), "--%s", spec->name);
		json_text(json, "option", text);
		snprintf(text, sizeof(text), "-%c", spec->key);
		json_text(json, "letter", spec->key < OPTION_LONG ? text : NULL);
		json_text(json, "argument", spec->argument);
		json_text(json, "help", spec->help);
		json_close(json, '}');
	}
}

static void json_commands(struct json *json, const struct command *const *command)
{
	json_open(json, "commands", '[');
	for (; *command; command++) {
		if (!(*command)->summary)
			continue;
		json_open(json, NULL, '{');
		json_text(json, "command", (*command)->name);
		json_text(json, "summary", (*command)->summary);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void help_json(const struct cli *cli, const struct command *command)
{
	struct json json = {0};
	char usage[128];

	json_open(&json, NULL, '{');
	if (command->name) {
		snprintf(usage, sizeof(usage), "usrpci %s [options]%s%s", command->name,
			 *command->operands ? " " : "", command->operands);
		json_text(&json, "usage", usage);
		json_text(&json, "summary", command->summary);
	} else {
		json_commands(&json, cli->commands);
	}
	json_open(&json, "options", '[');
	json_options(&json, command->options);
	json_options(&json, global_options);
	json_close(&json, ']');
	json_close(&json, '}');
}

void help_command(const struct cli *cli, const struct command *command)
{
	if (cli->json) {
		help_json(cli, command);
		return;
	}
	if (!command->name) {
		command->notes();
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

static void print_version(const struct cli *cli)
{
	struct json json = {0};

	if (!cli->json) {
		printf("usrpci %s\n", USRPCI_VERSION);
		return;
	}
	json_open(&json, NULL, '{');
	json_text(&json, "version", USRPCI_VERSION);
	json_close(&json, '}');
}

/* Returns 0 when the option was one of the program's, negative when the command ends with it. */
static int take_global(struct cli *cli, const struct command *command, int key)
{
	switch (key) {
	case 'n':
		cli->dry_run = true;
		return 0;
	case 'q':
		cli->quiet = true;
		return 0;
	case 'j':
		cli->json = true;
		keep_messages();
		return 0;
	case 'v':
		cli->verbose++;
		return 0;
	case OPTION_EXIT_CODE:
		cli->exit_code = true;
		return 0;
	case OPTION_ROOT:
		cli->root = optarg;
		return 0;
	case OPTION_VERSION:
	case 'V':
		print_version(cli);
		cli->stopped = STATUS_DONE;
		return -1;
	case 'h':
		help_command(cli, command);
		cli->stopped = STATUS_DONE;
		return -1;
	default:
		return key;
	}
}

static int next(struct cli *cli, const struct command *command, const char *mode)
{
	struct getopt_tables tables = {0};
	int key;

	/* A command's own letter or name comes first, so it wins. */
	strcpy(tables.letters, mode);
	add_options(&tables, command->options);
	add_options(&tables, global_options);
	opterr = 0;
	do {
		key = getopt_long(cli->argc, cli->argv, tables.letters, tables.longs, NULL);
		if (key == '?' || key == ':') {
			cli->stopped = bad_option(cli, &tables, key == ':');
			return -1;
		}
		if (key == -1) {
			cli->argc -= optind;
			cli->argv += optind;
			optind = 0; /* glibc: start afresh with the next argument vector */
			return 0;
		}
		key = take_global(cli, command, key);
	} while (key == 0);
	return key;
}

int option_next(struct cli *cli)
{
	return next(cli, cli->command, ":");
}

int option_next_global(struct cli *cli, const struct command *program)
{
	return next(cli, program, "+:");
}
