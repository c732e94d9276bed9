// SPDX-License-Identifier: BSD-2-Clause
/*
 * probe: does to a device what its standard input says, a command a line, and prints one line for
 * each: the value in hexadecimal, "ok", or "error ENODEV". So a shell script can hold a device open
 * while it does something else to it. Failures that the library reports go to stderr.
 *
 * Numbers are in C notation; a width is 1, 2, 4 or 8 bytes.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <usrpci/usrpci.h>

static struct usrpci_ctx *ctx;
static struct usrpci_dev *dev;
static struct usrpci_bar bars[USRPCI_BARS];

struct command {
	const char *name;
	const char *arguments;
	/* Returns 0 or an error; 1 when it has printed its result itself. */
	int (*run)(char **argument);
};

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 0);
}

static unsigned int small(const char *text)
{
	return (unsigned int)number(text);
}

static int result(int error, uint64_t value)
{
	if (!error)
		printf("0x%" PRIx64 "\n", value);
	return error ? error : 1;
}

static int run_open(char **argument)
{
	return usrpci_dev_open(ctx, argument[0], &dev);
}

static int run_inspect(char **argument)
{
	return usrpci_dev_inspect(ctx, argument[0], &dev);
}

static int run_close(char **argument)
{
	usrpci_dev_close(dev);
	dev = NULL;
	return 0;
}

static int run_backend(char **argument)
{
	puts(usrpci_dev_backend(dev));
	return 1;
}

static int run_size(char **argument)
{
	return result(0, (uint64_t)usrpci_config_size(dev));
}

static int run_read_config(char **argument)
{
	unsigned int offset = small(argument[1]);
	uint32_t value = 0;
	uint16_t word = 0;
	uint8_t byte = 0;
	int error;

	switch (small(argument[0])) {
	case 1:
		error = usrpci_config_read8(dev, offset, &byte);
		value = byte;
		break;
	case 2:
		error = usrpci_config_read16(dev, offset, &word);
		value = word;
		break;
	default:
		error = usrpci_config_read32(dev, offset, &value);
	}
	return result(error, value);
}

static int run_write_config(char **argument)
{
	unsigned int offset = small(argument[1]);
	uint32_t value = small(argument[2]);

	switch (small(argument[0])) {
	case 1:
		return usrpci_config_write8(dev, offset, (uint8_t)value);
	case 2:
		return usrpci_config_write16(dev, offset, (uint16_t)value);
	default:
		return usrpci_config_write32(dev, offset, value);
	}
}

static int run_dump_config(char **argument)
{
	uint8_t bytes[USRPCI_CONFIG_SIZE_EXPRESS];
	size_t size = (size_t)usrpci_config_size(dev);
	int error = usrpci_config_read(dev, 0, bytes, size);

	if (error)
		return error;
	for (size_t i = 0; i < size; i++)
		printf("%02x%c", bytes[i], i + 1 < size ? ' ' : '\n');
	return 1;
}

static int run_capabilities(char **argument)
{
	static struct usrpci_cap caps[USRPCI_CAPS_MAX];
	int count = usrpci_cap_list(dev, caps, USRPCI_CAPS_MAX);

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++)
		printf(caps[i].extended ? "[%03x] " : "[%02x] ", caps[i].offset);
	putchar('\n');
	return 1;
}

static int run_map(char **argument)
{
	return usrpci_bar_map(dev, small(argument[0]) % USRPCI_BARS,
			      &bars[small(argument[0]) % USRPCI_BARS]);
}

/* Asks for write-combining, and prints whether the mapping has it. */
static int run_map_wc(char **argument)
{
	struct usrpci_bar *bar = &bars[small(argument[0]) % USRPCI_BARS];
	int error = usrpci_bar_map_flags(dev, small(argument[0]) % USRPCI_BARS, 0, 4096,
					 USRPCI_BAR_WC, bar);

	return result(error, (bar->flags & USRPCI_BAR_WC) != 0);
}

static int run_unmap(char **argument)
{
	usrpci_bar_unmap(&bars[small(argument[0]) % USRPCI_BARS]);
	return 0;
}

static int run_read(char **argument)
{
	uint64_t value = 0;
	int error = usrpci_bar_read(&bars[small(argument[0]) % USRPCI_BARS], number(argument[2]),
				    small(argument[1]), &value);

	return result(error, value);
}

static int run_write(char **argument)
{
	return usrpci_bar_write(&bars[small(argument[0]) % USRPCI_BARS], number(argument[2]),
				small(argument[1]), number(argument[3]));
}

/* As drivers do it, without looking whether the device is there. */
static int run_peek(char **argument)
{
	return result(0,
		      usrpci_read32(&bars[small(argument[0]) % USRPCI_BARS], number(argument[1])));
}

static enum usrpci_irq_type irq_type(const char *name)
{
	return !strcmp(name, "msi")       ? USRPCI_IRQ_MSI
	       : !strcmp(name, "msix")    ? USRPCI_IRQ_MSIX
	       : !strcmp(name, "error")   ? USRPCI_IRQ_ERROR
	       : !strcmp(name, "request") ? USRPCI_IRQ_REQUEST
					  : USRPCI_IRQ_INTX;
}

static int run_enable(char **argument)
{
	return usrpci_irq_enable(dev, irq_type(argument[0]), small(argument[1]));
}

static int run_disable(char **argument)
{
	return usrpci_irq_disable(dev, irq_type(argument[0]));
}

static int run_wait(char **argument)
{
	int count = usrpci_irq_wait(dev, irq_type(argument[0]), small(argument[1]),
				    (int)number(argument[2]));

	return result(count < 0 ? count : 0, (uint64_t)count);
}

static int run_mask(char **argument)
{
	return usrpci_irq_mask(dev, irq_type(argument[0]), small(argument[1]));
}

static int run_unmask(char **argument)
{
	return usrpci_irq_unmask(dev, irq_type(argument[0]), small(argument[1]));
}

static int run_master(char **argument)
{
	return usrpci_dev_set_bus_master(dev, !strcmp(argument[0], "on"));
}

static int run_reset(char **argument)
{
	return usrpci_dev_reset(dev, !strcmp(argument[0], "bus") ? USRPCI_RESET_BUS
								 : USRPCI_RESET_FUNCTION);
}

static const struct command commands[] = {
	{"open", "NAME", run_open},
	{"inspect", "NAME", run_inspect},
	{"close", "", run_close},
	{"backend", "", run_backend},
	{"size", "", run_size},
	{"config-read", "WIDTH OFFSET", run_read_config},
	{"config-write", "WIDTH OFFSET VALUE", run_write_config},
	{"config-dump", "", run_dump_config},
	{"caps", "", run_capabilities},
	{"map", "BAR", run_map},
	{"map-wc", "BAR", run_map_wc},
	{"unmap", "BAR", run_unmap},
	{"read", "BAR WIDTH OFFSET", run_read},
	{"write", "BAR WIDTH OFFSET VALUE", run_write},
	{"peek", "BAR OFFSET", run_peek},
	{"enable", "TYPE COUNT", run_enable},
	{"disable", "TYPE", run_disable},
	{"wait", "TYPE VECTOR MILLISECONDS", run_wait},
	{"mask", "TYPE VECTOR", run_mask},
	{"unmask", "TYPE VECTOR", run_unmask},
	{"master", "on|off", run_master},
	{"reset", "function|bus", run_reset},
};

static unsigned int words(const char *arguments)
{
	unsigned int count = *arguments ? 1 : 0;

	for (; *arguments; arguments++)
		count += *arguments == ' ';
	return count;
}

static const struct command *find_command(const char *name, unsigned int given)
{
	for (size_t i = 0; name && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name) && words(commands[i].arguments) == given)
			return &commands[i];
	return NULL;
}

static int run_line(char *line)
{
	char *argument[5] = {NULL}, *rest = line;
	const struct command *command;
	unsigned int count = 0;
	int error;

	while (count < 5 && (argument[count] = strtok_r(count ? NULL : line, " \n", &rest)))
		count++;
	command = count ? find_command(argument[0], count - 1) : NULL;
	if (!command) {
		fprintf(stderr, "probe: not a command: %s\n", argument[0] ? argument[0] : "");
		return 2;
	}
	error = command->run(argument + 1);
	if (error < 0)
		printf("error %s\n", strerrorname_np(-error));
	else if (error == 0)
		puts("ok");
	fflush(stdout);
	return 0;
}

int main(void)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	char line[256];
	int status = 0;

	if (usrpci_ctx_open(&options, &ctx))
		return 1;
	while (!status && fgets(line, sizeof(line), stdin))
		status = run_line(line);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return status;
}
