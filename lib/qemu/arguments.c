// SPDX-License-Identifier: BSD-2-Clause
/*
 * QEMU's command line: a machine with nothing in it but root ports, the connections to it, which
 * are all descriptors, what the user adds, and the context's first device. Follows QEMU's manual,
 * "Invocation".
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "array.h"
#include "qemu/qemu.h"

#define DEFAULT_BINARY "qemu-system-x86_64"

struct arguments {
	char **list; /* ends with NULL */
	size_t count;
	bool no_memory;
};

static void push(struct arguments *arguments, char *arg)
{
	char **list = arg ? array_grow(arguments->list, arguments->count, 2, sizeof(*list)) : NULL;

	if (!list) {
		free(arg);
		arguments->no_memory = true;
		return;
	}
	arguments->list = list;
	list[arguments->count++] = arg;
	list[arguments->count] = NULL;
}

__attribute__((format(printf, 2, 3))) static void add(struct arguments *arguments,
						      const char *format, ...)
{
	va_list args;
	char *arg;

	va_start(args, format);
	if (vasprintf(&arg, format, args) < 0)
		arg = NULL;
	va_end(args);
	push(arguments, arg);
}

/* The machine has nothing that is not needed, and so starts faster. */
#define MACHINE                                                         \
	"q35,memory-backend=ram,smm=off,vmport=off,sata=off,smbus=off," \
	"usb=off,hpet=off,pit=off,i8042=off,graphics=off"

/* The library switches slots on and off, as an operating system would. */
#define NATIVE_HOTPLUG "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"

static void add_machine(struct arguments *arguments, const int *fds, size_t ram_size)
{
	static const char *const fixed[] = {
		"-nodefaults",   "-no-user-config", "-display", "none",    "-accel",
		"tcg,tb-size=1", "-machine",        MACHINE,    "-global", NATIVE_HOTPLUG,
	};
	const char *binary = secure_getenv("USRPCI_QEMU");

	add(arguments, "%s", binary && *binary ? binary : DEFAULT_BINARY);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add(arguments, "%s", fixed[i]);
	add(arguments, "-m");
	add(arguments, "%zuM", ram_size >> 20);
	add(arguments, "-object");
	add(arguments, "memory-backend-file,id=ram,share=on,size=%zu,mem-path=/proc/self/fd/%d",
	    ram_size, fds[QEMU_FD_RAM]);
	add(arguments, "-bios");
	add(arguments, "/proc/self/fd/%d", fds[QEMU_FD_BIOS]);
}

static void add_connections(struct arguments *arguments, const int *fds)
{
	add(arguments, "-chardev");
	add(arguments, "socket,id=qtest,fd=%d", fds[QEMU_FD_QTEST]);
	add(arguments, "-object");
	add(arguments, "qtest,id=qtest0,chardev=qtest,log=/dev/null");
	add(arguments, "-chardev");
	add(arguments, "socket,id=monitor,fd=%d", fds[QEMU_FD_MONITOR]);
	add(arguments, "-mon");
	add(arguments, "chardev=monitor,mode=control");
	add(arguments, "-chardev");
	add(arguments, "socket,id=doorbell,fd=%d", fds[QEMU_FD_DOORBELL]);
}

static void add_ports(struct arguments *arguments)
{
	for (unsigned int slot = 0; slot <= QEMU_DOORBELL; slot++) {
		add(arguments, "-device");
		add(arguments, "pcie-root-port,id=port%u,chassis=%u,addr=%x", slot, slot + 1,
		    qemu_slot_port(slot));
	}
}

/* QEMU makes devices in the order of its arguments: the model's children come after it. */
static void add_model(struct arguments *arguments, const struct qemu_model *model)
{
	add(arguments, "-device");
	push(arguments, qemu_device_option(0, model->words.we_wordv[0]));
	for (size_t i = 1; i < model->words.we_wordc; i++)
		add(arguments, "%s", model->words.we_wordv[i]);
}

static int add_user_arguments(struct arguments *arguments, struct usrpci_ctx *ctx)
{
	const char *text = secure_getenv("USRPCI_QEMU_ARGS");
	wordexp_t words;
	int error;

	if (!text || !*text)
		return 0;
	error = qemu_words(ctx, "USRPCI_QEMU_ARGS", text, &words);
	if (error)
		return error;
	for (size_t i = 0; i < words.we_wordc; i++)
		add(arguments, "%s", words.we_wordv[i]);
	wordfree(&words);
	return 0;
}

void qemu_arguments_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

int qemu_arguments(const struct qemu_model *model, const int *fds, size_t ram_size, char ***list)
{
	struct arguments arguments = {0};
	int error;

	add_machine(&arguments, fds, ram_size);
	add_connections(&arguments, fds);
	add_ports(&arguments);
	error = add_user_arguments(&arguments, model->ctx);
	add_model(&arguments, model);
	if (!error && arguments.no_memory)
		error = -ENOMEM;
	if (error)
		qemu_arguments_free(arguments.list);
	else
		*list = arguments.list;
	return error;
}
