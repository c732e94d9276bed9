// SPDX-License-Identifier: BSD-2-Clause
/*
 * What follows "qemu:" in a device's name: the model with its properties and, after blanks, more
 * arguments for QEMU: the device's children and what it works with. Explains why QEMU refuses it.
 * Follows QEMU's manual, "Invocation"; a comma in a value is written twice there.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "array.h"
#include "qemu/process.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

#define MODELS "qemu-system-x86_64 -device help lists the models"

int qemu_words(struct usrpci_ctx *ctx, const char *object, const char *text, wordexp_t *words)
{
	int error = wordexp(text, words, WRDE_NOCMD);

	if (!error)
		return 0;
	return report(ctx, error == WRDE_NOSPACE ? -ENOMEM : -EINVAL, object,
		      "it is split into words as a shell does; quote ( ) { } | & ; < >",
		      "cannot understand \"%s\"", text);
}

/* Returns the property after the one at text; NULL after the last. */
static const char *next_property(const char *text)
{
	for (; *text; text++) {
		if (*text != ',')
			continue;
		if (text[1] != ',')
			return text + 1;
		text++;
	}
	return NULL;
}

static bool is(const char *property, const char *key)
{
	size_t length = strlen(key);

	return !strncmp(property, key, length) && strchr(",=", property[length]);
}

/* Refuses properties that the slot decides, and those that ask QEMU for help. */
static int check_property(const struct qemu_model *model, const char *property)
{
	static const char *const ours[] = {"id", "bus", "addr"};

	if (!*property)
		return refuse(model->ctx, -EINVAL, model->object, NULL, "\"%s\" ends in a comma",
			      model->words.we_wordv[0]);
	if (is(property, "help") || is(property, "?"))
		return refuse(model->ctx, -EINVAL, model->object,
			      "qemu-system-x86_64 -device MODEL,help lists its properties",
			      "help is no property");
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (is(property, ours[i]))
			return refuse(model->ctx, -EINVAL, model->object,
				      "each device is alone behind a port of its own",
				      "the property %s cannot be chosen", ours[i]);
	return 0;
}

static int check_properties(const struct qemu_model *model)
{
	const char *property = next_property(model->words.we_wordv[0]);
	int error = 0;

	for (; property && !error; property = next_property(property))
		error = check_property(model, property);
	return error;
}

/* A program with raised privileges may have the name from its user, so it must be a model alone. */
static int check(const struct qemu_model *model)
{
	if (model->words.we_wordc == 0 || !*model->words.we_wordv[0])
		return refuse(model->ctx, -ENODEV, model->object, MODELS, "it names no model");
	if (model->words.we_wordc > 1 && getauxval(AT_SECURE))
		return refuse(model->ctx, -EPERM, model->object, NULL,
			      "a program with raised privileges gives QEMU no arguments");
	return check_properties(model);
}

int qemu_model_parse(struct usrpci_ctx *ctx, const char *object, const char *text,
		     struct qemu_model *model)
{
	int error;

	*model = (struct qemu_model){.ctx = ctx, .object = object, .text = text};
	error = qemu_words(ctx, object, text, &model->words);
	if (error)
		return error;
	error = check(model);
	if (error)
		wordfree(&model->words);
	return error;
}

void qemu_model_free(struct qemu_model *model)
{
	wordfree(&model->words);
}

char *qemu_device_option(unsigned int slot, const char *what)
{
	/* Nothing runs option ROMs here; looking for their files costs time. */
	const char *rom = strstr(what, "romfile=") ? "" : ",romfile=";
	char *option;

	if (asprintf(&option, "%s%s,id=slot%u,bus=port%u", what, rom, slot, slot) < 0)
		return NULL;
	return option;
}

#define FIRST    "QEMU cannot plug it into a running machine: open it first, in a context of its own"
#define OWN_PORT "each device is behind a root port of its own: this model cannot be opened"

/* Parts of QEMU's messages, with the hint for each; the first that occurs counts. */
static const struct {
	const char *reason;
	const char *hint;
	int error;
} refusals[] = {
	{"not a valid device model name", MODELS, -ENODEV},
	{"expects a pluggable device type", FIRST, -EOPNOTSUPP},
	{"does not support hotplugging", FIRST, -EOPNOTSUPP}, /* since QEMU 10 */
	{"root bus", OWN_PORT, -EINVAL},
	{"on a PCIe bus", OWN_PORT, -EINVAL},
	{"must have address", OWN_PORT, -EINVAL},
	{"missing object type", "the module of QEMU that has it is not installed", -EINVAL},
	{"requires kvm", "QEMU emulates its machine here, without KVM", -EINVAL},
	{"", "qemu-system-x86_64 -device MODEL,help lists a model's properties", -EINVAL},
};

int qemu_model_refused(struct usrpci_ctx *ctx, const char *object, const char *reason)
{
	unsigned int i = 0;

	while (!strstr(reason, refusals[i].reason))
		i++;
	return refuse(ctx, refusals[i].error, object, refusals[i].hint,
		      "QEMU refuses the device: %s", reason);
}
