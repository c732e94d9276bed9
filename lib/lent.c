// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lent devices, the program's side of util/broker.h. A context has a socket of its own, so that
 * contexts, and the processes that inherit USRPCI_BROKER, do not take each other's replies.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "bytes.h"
#include "file.h"
#include "lent.h"
#include "ctx.h"

#define LOG_SUBJECT "broker"
#include "log.h"

/* The broker answers at once, except for huge pages, which the kernel must clear first. */
#define REPLY_MS 30000

struct broker {
	int socket;
	pthread_mutex_t lock; /* one request at a time */
};

static int await_reply(int socket)
{
	struct pollfd poller = {.fd = socket, .events = POLLIN};
	int ready;

	do
		ready = poll(&poller, 1, REPLY_MS);
	while (ready < 0 && errno == EINTR);
	if (ready > 0)
		return 0;
	/* A reply that comes later must not be taken for that of another request. */
	if (ready == 0)
		shutdown(socket, SHUT_RDWR);
	return ready < 0 ? -errno : -ETIMEDOUT;
}

static int check_reply(const struct broker_reply *reply, int fd)
{
	if (reply->magic != BROKER_MAGIC || reply->version != BROKER_VERSION || reply->error > 0)
		return -EPROTO;
	if (reply->has_file != (fd >= 0))
		return -EPROTO;
	return reply->error;
}

/* One request and its reply. fd receives the reply's file, -1 when it has none. */
static int ask(int socket, struct broker_request *request, struct broker_reply *reply, int *fd)
{
	int error;

	*fd = -1;
	request->magic = BROKER_MAGIC;
	request->version = BROKER_VERSION;
	error = broker_send(socket, request, sizeof(*request), -1) ?:
		await_reply(socket) ?:
		broker_receive(socket, reply, sizeof(*reply), fd) ?:
		check_reply(reply, *fd);
	if (error && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return error;
}

static int ask_broker(struct broker *broker, struct broker_request *request,
		      struct broker_reply *reply, int *fd)
{
	int error;

	pthread_mutex_lock(&broker->lock);
	error = ask(broker->socket, request, reply, fd);
	pthread_mutex_unlock(&broker->lock);
	return error;
}

/* Returns -ENOENT when the file does not belong to a lent device. */
static int open_lent(struct usrpci_ctx *ctx, const char *path)
{
	struct broker_request request = {.op = BROKER_OPEN};
	struct broker_reply reply;
	int fd, error;

	if (strlen(path) >= sizeof(request.path))
		return -ENOENT;
	strcpy(request.path, path);
	error = ask_broker(ctx->broker, &request, &reply, &fd);
	if (!error && fd < 0)
		error = -EPROTO;
	if (!error || error == -ENOENT)
		return error ?: fd;
	return report(ctx, error, path, NULL, "the broker does not open it");
}

static int inherited_socket(void)
{
	const char *text = getenv(BROKER_ENV);
	char *end;
	long fd;

	if (!text)
		return -ENOENT;
	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno || end == text || *end || fd < 0 || fcntl((int)fd, F_GETFD) < 0)
		return -EBADF;
	return (int)fd;
}

int lent_connect(struct usrpci_ctx *ctx)
{
	struct broker_request request = {.op = BROKER_HELLO};
	struct broker_reply reply;
	int inherited = inherited_socket(), error;
	struct broker *broker;

	if (inherited == -ENOENT || ctx->base.root[0])
		return 0;
	broker = calloc(1, sizeof(*broker));
	if (!broker)
		return -ENOMEM;
	error = inherited < 0 ? inherited : ask(inherited, &request, &reply, &broker->socket);
	if (!error && broker->socket < 0)
		error = -EPROTO;
	if (error) {
		free(broker);
		return report(ctx, error, NULL, "unset " BROKER_ENV " to do without",
			      BROKER_ENV " is set, but no usrpci run answers there");
	}
	pthread_mutex_init(&broker->lock, NULL);
	ctx->broker = broker;
	ctx->base.open_lent = open_lent;
	return 0;
}

void lent_disconnect(struct usrpci_ctx *ctx)
{
	if (!ctx->broker)
		return;
	close(ctx->broker->socket);
	pthread_mutex_destroy(&ctx->broker->lock);
	free(ctx->broker);
	ctx->broker = NULL;
	ctx->base.open_lent = NULL;
}

const char *lent_cure(const struct usrpci_ctx *ctx, const char *usual)
{
	return ctx->broker ? "only other devices are lent to this program: name this one in "
			     "usrpci run too"
			   : usual;
}

static int ask_about(struct usrpci_ctx *ctx, const char *device, const char *file,
		     struct broker_request *request)
{
	struct broker_reply reply;
	int length = snprintf(request->path, sizeof(request->path), PCI_DEVICES "/%s/%s", device,
			      file);
	int fd, error;

	if (length < 0 || (size_t)length >= sizeof(request->path))
		return -ENOENT;
	error = ask_broker(ctx->broker, request, &reply, &fd);
	if (fd >= 0)
		close(fd);
	return error;
}

int lent_config_write(struct usrpci_ctx *ctx, const char *device, unsigned int offset,
		      const void *bytes, size_t width)
{
	struct broker_request request = {
		.op = BROKER_CONFIG,
		.offset = offset,
		.width = width,
	};
	uint8_t padded[4] = {0};

	if (width > sizeof(padded))
		return -EINVAL;
	memcpy(padded, bytes, width);
	request.value = get_le32(padded);
	return ask_about(ctx, device, "config", &request);
}

int lent_reset(struct usrpci_ctx *ctx, const char *device)
{
	struct broker_request request = {.op = BROKER_RESET};

	return ask_about(ctx, device, "reset", &request);
}

int lent_get_page(struct usrpci_ctx *ctx, uint64_t page_size, int node, struct lent_page *page)
{
	struct broker_request request = {
		.op = BROKER_PAGE,
		.page_size = page_size,
		.node = node,
	};
	struct broker_reply reply;
	int error = ask_broker(ctx->broker, &request, &reply, &page->fd);

	if (!error && page->fd < 0)
		error = -EPROTO;
	if (error)
		return error;
	page->offset = reply.offset;
	page->pa = reply.pa;
	page->node = reply.node;
	return 0;
}

void lent_put_page(struct usrpci_ctx *ctx, uint64_t page_size, uint64_t offset)
{
	struct broker_request request = {
		.op = BROKER_FREE,
		.page_size = page_size,
		.offset = offset,
	};
	struct broker_reply reply;
	int fd;

	ask_broker(ctx->broker, &request, &reply, &fd);
}
