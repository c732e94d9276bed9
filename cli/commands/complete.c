// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci complete: prints what can replace the last word of a command line, for completion in
 * shells (contrib/completion). Each line is a candidate, perhaps with a tab and a description;
 * <directory> and <command> stand for what the shell itself completes. Only scripts call it, so the
 * help does not list it.
 */

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "device.h"
#include "filter.h"
#include "commands/registers.h"

struct completion {
	struct cli *cli;
	const struct command *command; /* NULL: none is named yet */
	unsigned int operands;         /* how many come before the last word */
	const char *word;              /* the last word */
	size_t kept;                   /* how many of its first bytes stay: "--driver=", "addr," */
};

static void offer(const struct completion *c, const char *word, const char *description)
{
	if (!strncasecmp(word, c->word + c->kept, strlen(c->word + c->kept)))
		printf("%.*s%s%s%s\n", (int)c->kept, c->word, word, *description ? "\t" : "",
		       description);
}

static void offer_words(const struct completion *c, const char *const *words)
{
	for (; *words; words++)
		offer(c, *words, "");
}

/* "next" returns the words, as for did_you_mean(). */
static void offer_all(const struct completion *c, const char *(*next)(const void *, size_t))
{
	const char *word;

	for (size_t i = 0; (word = next(NULL, i)); i++)
		if (*word)
			offer(c, word, "");
}

static bool is_taken(struct usrpci_journal_entry *journal, int count,
		     const struct usrpci_addr *addr)
{
	for (int i = 0; i < count; i++)
		if (!usrpci_addr_compare(&journal[i].addr, addr))
			return true;
	return false;
}

/* Offers addresses, and the interfaces and disks that devices provide. */
static void offer_devices(const struct completion *c, bool only_taken)
{
	struct usrpci_interface *interfaces = NULL;
	struct usrpci_journal_entry *journal = NULL;
	struct usrpci_dev_info *infos = NULL;
	char addr[USRPCI_ADDR_STRLEN], name[2 * NAME_SIZE], class_name[NAME_SIZE];
	int taken, provided, count = open_host(c->cli) ? 0 : usrpci_dev_list(c->cli->ctx, &infos);

	if (count <= 0)
		return;
	taken = only_taken ? usrpci_host_journal(c->cli->host, &journal) : 0;
	provided = usrpci_host_interfaces(c->cli->host, &interfaces);
	for (int i = 0; i < count; i++) {
		if (only_taken && !is_taken(journal, taken, &infos[i].addr))
			continue;
		device_names(c->cli, &infos[i], name, class_name);
		offer(c, usrpci_addr_format(&infos[i].addr, addr), *name ? name : class_name);
		for (int k = 0; k < provided; k++)
			if (!usrpci_addr_compare(&interfaces[k].addr, &infos[i].addr))
				offer(c, interfaces[k].name, *name ? name : class_name);
	}
	usrpci_dev_list_free(infos);
	free(interfaces);
	free(journal);
}

/* Offers drivers for userspace and, for a search of devices, the drivers that hold some. */
static void offer_drivers(const struct completion *c)
{
	static const char *const common[] = {"none", "uio_pci_generic", "vfio-pci", NULL};
	struct usrpci_dev_info *infos;
	int count;

	offer_words(c, common);
	if (c->command != &command_list || open_context(c->cli))
		return;
	count = usrpci_dev_list(c->cli->ctx, &infos);
	for (int i = 0; i < count; i++)
		if (infos[i].driver_kind == USRPCI_DRIVER_KERNEL)
			offer(c, infos[i].driver, "");
	usrpci_dev_list_free(infos);
}

static void offer_users(const struct completion *c)
{
	const struct passwd *user;

	setpwent();
	while ((user = getpwent()))
		offer(c, user->pw_name, "");
	endpwent();
}

static void offer_groups(const struct completion *c)
{
	const struct group *group;

	setgrent();
	while ((group = getgrent()))
		offer(c, group->gr_name, "");
	endgrent();
}

/* Columns form a list: the text up to the last comma, or a "+", is kept. */
static void offer_columns(struct completion *c)
{
	const char *comma = strrchr(c->word, ','), *key;
	char word[32];

	if (comma)
		c->kept = (size_t)(comma + 1 - c->word);
	else if (c->word[c->kept] == '+')
		c->kept++;
	for (size_t i = 0; (key = list_column(NULL, i)); i++) {
		snprintf(word, sizeof(word), "%s", key);
		for (char *letter = word; *letter; letter++)
			*letter = (char)tolower(*letter);
		offer(c, word, "");
	}
}

/* The name of an option's argument in the help decides what is offered. */
static void offer_argument(struct completion *c, const char *argument)
{
	static const char *const sizes[] = {"2M", "1G", NULL};

	if (!strcmp(argument, "COLUMNS"))
		offer_columns(c);
	else if (!strcmp(argument, "CLASS"))
		offer_all(c, filter_class);
	else if (!strcmp(argument, "DRIVER"))
		offer_drivers(c);
	else if (!strcmp(argument, "USER"))
		offer_users(c);
	else if (!strcmp(argument, "GROUP"))
		offer_groups(c);
	else if (!strcmp(argument, "SIZE"))
		offer_words(c, sizes);
	else if (!strcmp(argument, "DIR"))
		printf("<directory>\n");
}

static void offer_options(const struct completion *c, const struct option_spec *spec)
{
	char text[40];

	for (; spec && spec->key; spec++) {
		snprintf(text, sizeof(text), "--%s", spec->name);
		offer(c, text, spec->help);
	}
}

/* Offers the words in lower case from the operands in --help: "[reserve N | release]". */
static void offer_actions(const struct completion *c)
{
	char copy[128], *rest, *word;

	snprintf(copy, sizeof(copy), "%s", c->command->operands);
	for (word = strtok_r(copy, " []|.", &rest); word; word = strtok_r(NULL, " []|.", &rest))
		if (islower(*word))
			offer(c, word, "");
}

/*
 * The text of the operands in --help decides what is offered: ADDR is one device and comes first,
 * ADDR... is any number of devices; words in small letters are actions, which follow the device, or
 * come first where there is none; behind an action, REG is the name of a register. Nothing is
 * offered for other words in capital letters.
 */
static void offer_operands(const struct completion *c)
{
	const char *operands = c->command->operands;
	const char *device = strstr(operands, "ADDR");

	if (device && (c->operands == 0 || !strncmp(device, "ADDR...", strlen("ADDR..."))))
		offer_devices(c, c->command == &command_restore);
	else if (c->operands == (device ? 1 : 0))
		offer_actions(c);
	else if (strstr(operands, "REG"))
		offer_all(c, register_word);
}

static const struct command *find_command(const struct cli *cli, const char *name)
{
	for (size_t i = 0; cli->commands[i]; i++)
		if (!strcmp(name, cli->commands[i]->name))
			return cli->commands[i];
	return NULL;
}

static bool is_option(const struct option_spec *spec, const char *word)
{
	size_t length = strcspn(word, "=");

	if (!strncmp(word, "--", 2))
		return strlen(spec->name) == length - 2 &&
		       !strncmp(word + 2, spec->name, length - 2);
	return word[1] == spec->key && !word[2];
}

static const struct option_spec *find_option(const struct completion *c, const char *word)
{
	const struct option_spec *spec = c->command ? c->command->options : NULL;

	for (; spec && spec->key; spec++)
		if (is_option(spec, word))
			return spec;
	for (spec = global_options; spec->key; spec++)
		if (is_option(spec, word))
			return spec;
	return NULL;
}

/* Reads the words before the last one. Returns the option that the last one is the argument of. */
static const struct option_spec *read_words(struct completion *c, int count, char **words)
{
	const struct option_spec *option = NULL;

	for (int i = 0; i < count; i++) {
		if (option) {
			c->cli->root = !strcmp(option->name, "root") ? words[i] : c->cli->root;
			option = NULL;
		} else if (words[i][0] == '-') {
			option = strchr(words[i], '=') ? NULL : find_option(c, words[i]);
			option = option && option_needs_argument(option) ? option : NULL;
		} else if (!c->command && !c->operands) {
			c->command = find_command(c->cli, words[i]);
			c->operands = !c->command;
		} else {
			c->operands++;
		}
	}
	return option;
}

static void offer_commands(const struct completion *c)
{
	for (size_t i = 0; c->cli->commands[i]; i++)
		if (c->cli->commands[i]->summary)
			offer(c, c->cli->commands[i]->name, c->cli->commands[i]->summary);
}

static void complete(struct completion *c, int count, char **words)
{
	const struct option_spec *option = read_words(c, count, words);
	const char *equals = strncmp(c->word, "--", 2) ? NULL : strchr(c->word, '=');

	if (!option && equals) {
		option = find_option(c, c->word);
		c->kept = (size_t)(equals + 1 - c->word);
	}
	if (option) {
		offer_argument(c, option->argument ? option->argument : "");
	} else if (*c->word == '-') {
		offer_options(c, c->command ? c->command->options : NULL);
		offer_options(c, global_options);
	} else if (c->command) {
		offer_operands(c);
	} else if (!c->operands) {
		offer_commands(c);
	}
}

static int cmd_complete(struct cli *cli)
{
	struct completion c = {.cli = cli};
	char **words = cli->argv + 1;
	int count = cli->argc - 1;

	for (int i = 0; i < count - 1; i++)
		if (!strcmp(words[i], "--")) {
			printf("<command>\n"); /* the program of "usrpci run" */
			return STATUS_DONE;
		}
	if (count > 0) {
		c.word = words[count - 1];
		complete(&c, count - 1, words);
	}
	return STATUS_DONE;
}

const struct command command_complete = {
	.name = "complete",
	.operands = "WORD...",
	.run = cmd_complete,
};
