// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fault injection: wraps the operations of a device's backend by others that count, and that do
 * what the plan says when its number is reached. Neither the backend nor the driver knows of it.
 * Interrupts pass through irq.c; dma.c makes memory late or torn.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dma/domain.h"
#include "fault/fault.h"

#define LOG_SUBJECT "fault"
#include "log.h"

#define DMA_DEFAULT_MS 5

enum kind {
	ONES,
	IRQ_LOST,
	IRQ_DOUBLE,
	DMA_LATE,
	DMA_TORN,
	ALLOC,
	KINDS,
};

/* In the order of enum kind. */
static const struct {
	const char *name;
	unsigned int number; /* when none is given; 0: one must be */
	bool onwards;        /* always means the N-th and all after it */
} kinds[KINDS] = {
	{"ones", 0, true},
	{"irq-lost", 0, false},
	{"irq-double", 0, false},
	{"dma-late", DMA_DEFAULT_MS, false},
	{"dma-torn", DMA_DEFAULT_MS, false},
	{"alloc", 0, false},
};

struct fault {
	struct usrpci_ctx *ctx;
	unsigned int at[KINDS]; /* the number; 0: never. For DMA the milliseconds */
	bool onwards[KINDS];
	unsigned int accesses, irqs, allocs; /* so far */
	struct fault_memory *memory;
};

struct fault_dev {
	struct backend_ops ops; /* first: dev->ops is how a device is found */
	const struct backend_ops *inner;
	struct usrpci_dev *dev;
	struct fault *fault;
	struct fault_relay relays[USRPCI_IRQ_REQUEST + 1];
};

static struct fault_dev *device_of(struct usrpci_dev *dev)
{
	return (struct fault_dev *)dev->ops;
}

/* The plan */

static bool reached(const struct fault *fault, enum kind kind, unsigned int number)
{
	unsigned int at = fault->at[kind];

	return at && (number == at || (number > at && fault->onwards[kind]));
}

static unsigned int next(unsigned int *counter)
{
	return __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static int parse_number(struct fault *fault, enum kind kind, const char *text)
{
	unsigned int number;
	char rest[3] = "";
	int got = sscanf(text, "%9u%2s", &number, rest);

	if (got < 1 || number == 0 || text[0] < '0' || text[0] > '9')
		return -EINVAL;
	if (got == 2 && strcmp(rest, "+"))
		return -EINVAL;
	fault->at[kind] = number;
	fault->onwards[kind] = got == 2 || kinds[kind].onwards;
	return 0;
}

static int parse_item(struct fault *fault, const char *item)
{
	size_t length = strcspn(item, "=");

	for (enum kind kind = 0; kind < KINDS; kind++) {
		if (strncmp(item, kinds[kind].name, length) || kinds[kind].name[length])
			continue;
		if (item[length])
			return parse_number(fault, kind, item + length + 1);
		fault->at[kind] = kinds[kind].number;
		return fault->at[kind] ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int parse(struct fault *fault, const char *plan)
{
	char copy[256], *item, *rest = copy;
	int error = 0;

	if (strlen(plan) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, plan);
	while (!error && (item = strsep(&rest, ",")))
		error = parse_item(fault, item);
	return error;
}

int fault_set(struct usrpci_ctx *ctx, const char *plan)
{
	struct fault *fault;
	int error;

	fault_free(ctx->fault);
	ctx->fault = NULL;
	if (!plan || !*plan)
		return 0;
	fault = calloc(1, sizeof(*fault));
	if (!fault)
		return -ENOMEM;
	fault->ctx = ctx;
	error = parse(fault, plan);
	if (error) {
		free(fault);
		return report(ctx, error, "USRPCI_FAULT",
			      "ones=N irq-lost=N irq-double=N dma-late=MS dma-torn=MS alloc=N",
			      "cannot understand \"%s\"", plan);
	}
	ctx->fault = fault;
	return 0;
}

void fault_free(struct fault *fault)
{
	if (!fault)
		return;
	fault_memory_free(fault->memory);
	free(fault);
}

bool fault_alloc(struct usrpci_ctx *ctx)
{
	unsigned int number = next(&ctx->fault->allocs);

	if (!reached(ctx->fault, ALLOC, number))
		return false;
	log_error(ctx, "DMA memory", NULL, "injected: allocation %u fails", number);
	return true;
}

/* Registers */

/* Counts an access to a device. Returns whether the device is gone by now. */
static bool gone(struct usrpci_dev *dev)
{
	struct fault *fault = device_of(dev)->fault;
	unsigned int number = next(&fault->accesses);

	if (fault->memory)
		fault_memory_push(fault->memory);
	if (!reached(fault, ONES, number))
		return false;
	if (number == fault->at[ONES])
		log_info(fault->ctx, dev->name, "injected: the device is gone from access %u on",
			 number);
	return true;
}

static int fault_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size)
{
	if (!gone(dev))
		return device_of(dev)->inner->config_read(dev, offset, buffer, size);
	memset(buffer, 0xff, size);
	return 0;
}

static int fault_config_write(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
			      size_t size)
{
	return gone(dev) ? 0 : device_of(dev)->inner->config_write(dev, offset, buffer, size);
}

static int fault_bar_map(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	return bar_wrap_map(device_of(dev)->inner, dev, bar);
}

static void fault_bar_unmap(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	bar_wrap_unmap(device_of(dev)->inner, dev, bar);
}

static int fault_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width,
			  uint64_t *value)
{
	if (!gone(bar->dev))
		return bar_wrap_read(device_of(bar->dev)->inner, bar, offset, width, value);
	*value = UINT64_MAX >> (64 - 8 * width);
	return 0;
}

static int fault_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width,
			   uint64_t value)
{
	return gone(bar->dev)
		       ? 0
		       : bar_wrap_write(device_of(bar->dev)->inner, bar, offset, width, value);
}

/* Interrupts */

/* Returns how many times the next interrupt arrives. */
static unsigned int copies(void *data)
{
	struct fault_dev *device = data;
	struct fault *fault = device->fault;
	unsigned int number = next(&fault->irqs);

	if (reached(fault, IRQ_LOST, number)) {
		log_info(fault->ctx, device->dev->name, "injected: interrupt %u is lost", number);
		return 0;
	}
	if (!reached(fault, IRQ_DOUBLE, number))
		return 1;
	log_info(fault->ctx, device->dev->name, "injected: interrupt %u comes again", number);
	return 2;
}

static int fault_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	struct fault_dev *device = device_of(dev);
	int error = device->inner->irq_enable(dev, type, count);

	if (error)
		return error;
	device->relays[type] = (struct fault_relay){
		.dev = dev,
		.inner = device->inner,
		.type = type,
		.count = count,
		.copies = copies,
		.data = device,
	};
	error = fault_relay_start(&device->relays[type]);
	if (error)
		device->inner->irq_disable(dev, type);
	return error;
}

static int fault_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	struct fault_dev *device = device_of(dev);

	fault_relay_stop(&device->relays[type]);
	return device->inner->irq_disable(dev, type);
}

static int fault_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	return device_of(dev)->relays[type].fds[vector];
}

static int fault_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	return fault_relay_take(&device_of(dev)->relays[type], vector);
}

/* Devices */

static void fault_close(struct usrpci_dev *dev)
{
	struct fault_dev *device = device_of(dev);

	dev->ops = device->inner;
	dev->ops->close(dev);
	free(device);
}

static void wrap_ops(struct fault_dev *device)
{
	struct backend_ops *ops = &device->ops;
	bool relay = device->fault->at[IRQ_LOST] || device->fault->at[IRQ_DOUBLE];

	*ops = *device->inner;
	ops->close = fault_close;
	ops->config_read = fault_config_read;
	ops->config_write = fault_config_write;
	if (ops->bar_map) {
		ops->bar_map = fault_bar_map;
		ops->bar_map_wc = NULL; /* no access may pass by */
		ops->bar_unmap = fault_bar_unmap;
		ops->bar_read = fault_bar_read;
		ops->bar_write = fault_bar_write;
	}
	if (ops->irq_enable && relay) {
		ops->irq_enable = fault_irq_enable;
		ops->irq_disable = fault_irq_disable;
		ops->irq_fd = fault_irq_fd;
		ops->irq_take = fault_irq_take;
	}
}

/* Done once, for the context's first device that has DMA memory. */
static int wrap_memory(struct fault *fault)
{
	unsigned int late = fault->at[DMA_LATE], torn = fault->at[DMA_TORN];

	if (fault->memory || !fault->ctx->domain || (!late && !torn))
		return 0;
	return fault_memory_wrap(fault->ctx->domain, torn ? torn : late, torn != 0, &fault->memory);
}

int fault_wrap(struct usrpci_dev *dev)
{
	const char *plan = secure_getenv("USRPCI_FAULT");
	struct usrpci_ctx *ctx = dev->ctx;
	struct fault_dev *device;
	int error;

	if (!ctx->fault && plan) {
		error = fault_set(ctx, plan);
		if (error)
			return error;
	}
	if (!ctx->fault)
		return 0;
	error = wrap_memory(ctx->fault);
	if (error)
		return error;
	device = calloc(1, sizeof(*device));
	if (!device)
		return -ENOMEM;
	*device = (struct fault_dev){.inner = dev->ops, .dev = dev, .fault = ctx->fault};
	wrap_ops(device);
	dev->ops = &device->ops;
	return 0;
}
