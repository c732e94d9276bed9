// SPDX-License-Identifier: BSD-2-Clause
/*
 * The trace of trace.h: wraps the operations of a device's backend by ones that write a line each.
 * A window of registers has no direct part then, so that each access comes by here.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "bytes.h"
#include "trace/trace.h"

#define LOG_SUBJECT "trace"
#include "log.h"

struct trace {
	int fd;
};

/* A line that cannot be written is lost: the driver goes on. */
__attribute__((format(printf, 3, 4))) static void say(const struct trace *trace, const char *object,
						      const char *format, ...)
{
	struct timespec now;
	char line[192];
	va_list args;
	int length;

	clock_gettime(CLOCK_MONOTONIC, &now);
	length = snprintf(line, sizeof(line), "%lld.%06ld %s ", (long long)now.tv_sec,
			  now.tv_nsec / 1000, object);
	va_start(args, format);
	length += vsnprintf(line + length, sizeof(line) - (size_t)length, format, args);
	va_end(args);
	if (length > (int)sizeof(line) - 1)
		length = (int)sizeof(line) - 1;
	line[length] = '\n';
	if (write(trace->fd, line, (size_t)length + 1) < 0)
		return;
}

#define trace_dev(dev, ...) say((dev)->ctx->trace, (dev)->name, __VA_ARGS__)

static void trace_config(struct usrpci_dev *dev, const char *verb, unsigned int offset,
			 const void *bytes, size_t size)
{
	uint8_t number[4] = {0};

	if (size != 1 && size != 2 && size != 4) {
		trace_dev(dev, "config %s %zu bytes at 0x%x", verb, size, offset);
		return;
	}
	memcpy(number, bytes, size);
	trace_dev(dev, "config %s%zu 0x%x 0x%0*" PRIx32, verb, 8 * size, offset, 2 * (int)size,
		  get_le32(number));
}

static int trace_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size)
{
	int error = dev->traced->config_read(dev, offset, buffer, size);

	if (!error)
		trace_config(dev, "read", offset, buffer, size);
	return error;
}

static int trace_config_write(struct usrpci_dev *dev, unsigned int offset, const void *buffer,
			      size_t size)
{
	trace_config(dev, "write", offset, buffer, size);
	return dev->traced->config_write(dev, offset, buffer, size);
}

static int trace_bar_map(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	return bar_wrap_map(dev->traced, dev, bar);
}

static void trace_bar_unmap(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	bar_wrap_unmap(dev->traced, dev, bar);
}

static void trace_access(const struct usrpci_bar *bar, const char *verb, size_t offset,
			 unsigned int width, uint64_t value)
{
	trace_dev(bar->dev, "bar%u %s%u 0x%" PRIx64 " 0x%0*" PRIx64, bar->index, verb, 8 * width,
		  bar->offset + offset, 2 * (int)width, value);
}

static int trace_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width,
			  uint64_t *value)
{
	int error = bar_wrap_read(bar->dev->traced, bar, offset, width, value);

	if (!error)
		trace_access(bar, "read", offset, width, *value);
	return error;
}

static int trace_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width,
			   uint64_t value)
{
	trace_access(bar, "write", offset, width, value);
	return bar_wrap_write(bar->dev->traced, bar, offset, width, value);
}

static const char *type_name(enum usrpci_irq_type type)
{
	static const char *const names[] = {"intx", "msi", "msix", "error", "request"};

	return names[type];
}

static int trace_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	trace_dev(dev, "irq %s enable %u", type_name(type), count);
	return dev->traced->irq_enable(dev, type, count);
}

static int trace_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	trace_dev(dev, "irq %s disable", type_name(type));
	return dev->traced->irq_disable(dev, type);
}

static int trace_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	int got = dev->traced->irq_take(dev, type, vector);

	if (got < 0)
		trace_dev(dev, "irq %s take %u %s", type_name(type), vector, strerror(-got));
	else
		trace_dev(dev, "irq %s take %u %d", type_name(type), vector, got);
	return got;
}

static int trace_irq_set_mask(struct usrpci_dev *dev, enum usrpci_irq_type type,
			      unsigned int vector, bool masked)
{
	trace_dev(dev, "irq %s %s %u", type_name(type), masked ? "mask" : "unmask", vector);
	return dev->traced->irq_set_mask(dev, type, vector, masked);
}

static int trace_reset(struct usrpci_dev *dev, enum usrpci_reset kind)
{
	trace_dev(dev, "reset %s", kind == USRPCI_RESET_BUS ? "bus" : "function");
	return dev->traced->reset(dev, kind);
}

static void trace_end(struct usrpci_dev *dev)
{
	struct backend_ops *own = (struct backend_ops *)dev->ops;

	trace_dev(dev, "close");
	dev->ops = dev->traced;
	dev->ops->close(dev);
	free(own);
}

static void wrap_ops(struct backend_ops *ops)
{
	ops->close = trace_end;
	ops->config_read = trace_config_read;
	ops->config_write = trace_config_write;
	if (ops->bar_map) {
		ops->bar_map = trace_bar_map;
		ops->bar_map_wc = NULL; /* no access may pass by */
		ops->bar_unmap = trace_bar_unmap;
		ops->bar_read = trace_bar_read;
		ops->bar_write = trace_bar_write;
	}
	if (ops->irq_enable) {
		ops->irq_enable = trace_irq_enable;
		ops->irq_disable = trace_irq_disable;
		ops->irq_take = trace_irq_take;
	}
	if (ops->irq_set_mask)
		ops->irq_set_mask = trace_irq_set_mask;
	if (ops->reset)
		ops->reset = trace_reset;
}

static int open_file(const char *path)
{
	if (!strcmp(path, "-"))
		return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int open_trace(struct usrpci_ctx *ctx, const char *path)
{
	struct trace *trace = malloc(sizeof(*trace));

	if (!trace)
		return -ENOMEM;
	trace->fd = open_file(path);
	if (trace->fd < 0) {
		free(trace);
		return report(ctx, -errno, path, "USRPCI_TRACE names it", "cannot write the trace");
	}
	ctx->trace = trace;
	return 0;
}

int trace_wrap(struct usrpci_dev *dev)
{
	const char *path = secure_getenv("USRPCI_TRACE");
	struct backend_ops *own;
	int error;

	if (!dev->ctx->trace) {
		if (!path || !*path)
			return 0;
		error = open_trace(dev->ctx, path);
		if (error)
			return error;
	}
	own = malloc(sizeof(*own));
	if (!own)
		return -ENOMEM;
	*own = *dev->ops;
	wrap_ops(own);
	dev->traced = dev->ops;
	dev->ops = own;
	trace_dev(dev, "open %s", dev->ops->name);
	return 0;
}

void trace_dma(struct trace *trace, uint64_t addr, size_t size)
{
	if (size > 0)
		say(trace, "-", "dma alloc 0x%" PRIx64 " %zu", addr, size);
	else
		say(trace, "-", "dma free 0x%" PRIx64, addr);
}

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	close(trace->fd);
	free(trace);
}
