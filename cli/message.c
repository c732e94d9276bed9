// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages of the libraries and of the commands leave through here, in one form.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli.h"

void print_message(const char *object, const char *text, const char *hint)
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

int out_of_memory(void)
{
	return failed(NULL, NULL, "out of memory");
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
	return usage_error(cli, NULL, "operand \"%s\" is not expected", operand);
}

int status_of(int error)
{
	if (error == -EINVAL)
		return STATUS_USAGE;
	return error < 0 ? STATUS_FAILED : STATUS_DONE;
}

int status_of_change(int error)
{
	if (error == -EUCLEAN)
		return STATUS_LEFT;
	return error < 0 ? STATUS_FAILED : STATUS_DONE;
}
