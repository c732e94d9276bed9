// SPDX-License-Identifier: BSD-2-Clause
/*
 * The broker's side of util/broker.h. It runs in a separate process, which may use only the system
 * calls that it needs (filter.c). A peer that takes this process over can neither give devices back
 * wrongly nor keep the broker from giving them back.
 *
 * Peers are hostile. Requests have one size and are checked completely before anything is done. The
 * name of a file is only compared with a list, and pages have numbers. A peer that breaks the rules
 * or does not read its replies is dropped. Nothing here blocks on a peer.
 *
 * A device belongs to the peer that opened it. When that peer is gone, the device is stopped. Its
 * pages are kept for the next peer, and go back to the kernel only when no process of the program
 * is left, because such a process may still reach the registers.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <usrpci/dma.h>

#include "array.h"
#include "broker.h"
#include "lend/lend.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define CLIENTS_MAX 64

struct page {
	void *block;
	uint64_t offset;
	int client; /* LEND_NOBODY: the page is kept for the next client */
};

struct server {
	struct lend *lend;
	int hello;                /* -1: nobody can say hello any more */
	int clients[CLIENTS_MAX]; /* sockets; -1: none */
	struct page *pages;
	size_t page_count;
};

static struct page *find_page(struct server *server, int client, uint64_t offset)
{
	for (size_t i = 0; i < server->page_count; i++) {
		struct page *page = &server->pages[i];

		if (page->client == client && (client == LEND_NOBODY || page->offset == offset))
			return page;
	}
	return NULL;
}

static int add_page(struct server *server, struct page **result)
{
	const struct usrpci_dma_request request = {.size = LEND_PAGE_SIZE, .align = LEND_PAGE_SIZE};
	struct page *pages, new = {.client = LEND_NOBODY};
	int error, fd;

	if (server->page_count >= server->lend->page_limit)
		return -ENOMEM;
	pages = array_grow(server->pages, server->page_count, 1, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	server->pages = pages;
	error = usrpci_dma_alloc(server->lend->memory, &request, &new.block)
			?: usrpci_dma_file(server->lend->memory, new.block, &fd, &new.offset);
	if (error)
		return error;
	/* A process that already has the file may have replaced the page before it was pinned. */
	error = lend_memory_pin(server->lend, new.block)
			?: usrpci_dma_renew(server->lend->memory, new.block);
	new.client = error ? LEND_STUCK : LEND_NOBODY;
	pages[server->page_count] = new;
	*result = &pages[server->page_count++];
	return error;
}

/*
 * Finds a page that a client gave back, and clears it. The program has the file open: a page that
 * it has cut off or replaced is not lent again.
 */
static struct page *find_renewed(struct server *server)
{
	struct page *page;

	while ((page = find_page(server, LEND_NOBODY, 0))) {
		int error = usrpci_dma_renew(server->lend->memory, page->block);

		if (!error)
			return page;
		page->client = LEND_STUCK;
		log_warning(server->lend->host->ctx, NULL, NULL,
			    "the program has changed the file of its DMA memory; the page at "
			    "offset 0x%" PRIx64 " is not used again: %s",
			    page->offset, strerror(-error));
	}
	return NULL;
}

static int serve_page(struct server *server, int client, const struct broker_request *request,
		      struct broker_reply *reply, int *fd)
{
	struct page *page;
	int error = 0;

	if (!server->lend->memory || request->page_size != LEND_PAGE_SIZE || request->node >= 0)
		return -ENOMEM;
	page = find_renewed(server);
	if (!page)
		error = add_page(server, &page);
	if (!error)
		error = usrpci_dma_file(server->lend->memory, page->block, fd, &reply->offset);
	if (error)
		return error;
	page->client = client;
	reply->pa = usrpci_dma_addr(server->lend->memory, page->block);
	return 0;
}

static int serve_free(struct server *server, int client, const struct broker_request *request)
{
	struct page *page = find_page(server, client, request->offset);

	if (!page || request->page_size != LEND_PAGE_SIZE)
		return -EINVAL;
	page->client = LEND_NOBODY;
	return 0;
}

/* Finds the file that a request names; a device belongs to the first client that opens it. */
static int find_file(struct server *server, int client, const struct broker_request *request,
		     struct lend_file **file)
{
	int owner;

	if (!memchr(request->path, '\0', sizeof(request->path)))
		return -EPROTO;
	*file = lend_file_find(server->lend, request->path);
	if (!*file)
		return -ENOENT;
	if ((*file)->device == LEND_SHARED)
		return 0;
	owner = server->lend->devices[(*file)->device].client;
	return owner == LEND_NOBODY || owner == client ? 0 : -EBUSY;
}

static int serve_open(struct server *server, int client, const struct broker_request *request,
		      int *fd)
{
	struct lend_file *file;
	int got = find_file(server, client, request, &file);

	if (got)
		return got;
	got = lend_file_get(server->lend, file);
	if (got < 0)
		return got;
	if (file->device != LEND_SHARED)
		server->lend->devices[file->device].client = client;
	*fd = got;
	return 0;
}

/* Writes to a device for the client that has opened it. */
static int serve_write(struct server *server, int client, const struct broker_request *request)
{
	struct lend *lend = server->lend;
	struct lend_file *file;
	int error = find_file(server, client, request, &file);

	if (error)
		return error;
	if (file->device == LEND_SHARED || lend->devices[file->device].client != client)
		return -EACCES;
	if (request->op == BROKER_CONFIG && file->use == LEND_READ)
		return lend_config_write(lend->host, &lend->devices[file->device], request->offset,
					 request->width, request->value);
	if (request->op == BROKER_RESET && file->use == LEND_RESET)
		return lend_file_reset(lend, file);
	return -EINVAL;
}

/* A device that does not stop may still write to all pages of its client. */
static void drop(struct server *server, int client)
{
	struct lend *lend = server->lend;
	bool stopped = true;

	close(server->clients[client]);
	server->clients[client] = -1;
	for (size_t i = 0; i < lend->count; i++) {
		struct lend_device *device = &lend->devices[i];

		if (device->client != client)
			continue;
		device->client = LEND_NOBODY;
		if (device->vfio || !lend_pause(lend->host, device))
			continue;
		device->client = LEND_STUCK;
		stopped = false;
	}
	for (size_t i = 0; i < server->page_count; i++)
		if (server->pages[i].client == client)
			server->pages[i].client = stopped ? LEND_NOBODY : LEND_STUCK;
}

static bool is_valid(const struct broker_request *request)
{
	return request->magic == BROKER_MAGIC && request->version == BROKER_VERSION;
}

/* Answers one request. Returns false when the peer must be dropped. */
static bool serve_client(struct server *server, int client)
{
	struct broker_reply reply = {
		.magic = BROKER_MAGIC,
		.version = BROKER_VERSION,
		.node = -1,
	};
	int socket = server->clients[client], sent = -1, error;
	struct broker_request request;

	error = broker_receive(socket, &request, sizeof(request), NULL);
	if (error == -EAGAIN)
		return true;
	if (error || !is_valid(&request))
		return false;
	switch (request.op) {
	case BROKER_OPEN:
		reply.error = serve_open(server, client, &request, &sent);
		break;
	case BROKER_PAGE:
		reply.error = serve_page(server, client, &request, &reply, &sent);
		break;
	case BROKER_FREE:
		reply.error = serve_free(server, client, &request);
		break;
	case BROKER_CONFIG:
	case BROKER_RESET:
		reply.error = serve_write(server, client, &request);
		break;
	default:
		return false;
	}
	reply.has_file = sent >= 0;
	error = broker_send(socket, &reply, sizeof(reply), sent);
	/* The file of a page stays open here. */
	if (sent >= 0 && request.op == BROKER_OPEN)
		close(sent);
	return !error;
}

static int new_client(struct server *server)
{
	int pair[2], client = 0;

	while (client < CLIENTS_MAX && server->clients[client] >= 0)
		client++;
	if (client == CLIENTS_MAX)
		return -EMFILE;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK)) {
		close(pair[0]);
		close(pair[1]);
		return -EIO;
	}
	server->clients[client] = pair[0];
	return pair[1];
}

/*
 * Every process that inherited this socket can send hello on it, so a bad message there must not
 * harm the others.
 */
static void serve_hello(struct server *server, short events)
{
	struct broker_reply reply = {
		.magic = BROKER_MAGIC,
		.version = BROKER_VERSION,
		.node = -1,
	};
	struct broker_request request;
	int sent, error;

	error = broker_receive(server->hello, &request, sizeof(request), NULL);
	/*
	 * An empty message looks like the end of the connection; only poll(2) can tell them apart.
	 * The end may be that of one direction, which poll(2) would report for ever.
	 */
	if (error == -EPIPE && events & (POLLHUP | POLLRDHUP)) {
		close(server->hello);
		server->hello = -1;
	}
	if (error)
		return;
	sent = is_valid(&request) && request.op == BROKER_HELLO ? new_client(server) : -EPROTO;
	reply.error = sent < 0 ? sent : 0;
	reply.has_file = sent >= 0;
	broker_send(server->hello, &reply, sizeof(reply), sent);
	if (sent >= 0)
		close(sent);
}

/*
 * Only open sockets are polled, because poll(2) refuses a list that is longer than RLIMIT_NOFILE.
 * Returns false when no socket is open.
 */
static bool serve_once(struct server *server)
{
	struct pollfd polls[CLIENTS_MAX + 1] = {
		{.fd = server->hello, .events = POLLIN | POLLRDHUP}};
	int clients[CLIENTS_MAX], ready[CLIENTS_MAX];
	unsigned int count = 0, left = 0;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (server->clients[i] < 0)
			continue;
		polls[count + 1] = (struct pollfd){.fd = server->clients[i], .events = POLLIN};
		clients[count++] = i;
	}
	if (count == 0 && server->hello < 0)
		return false;
	if (poll(polls, count + 1, -1) < 0)
		return true;
	/* A client that is gone has the device that the next one asks for. */
	for (unsigned int i = 0; i < count; i++)
		if (polls[i + 1].revents & POLLHUP)
			drop(server, clients[i]);
		else if (polls[i + 1].revents)
			ready[left++] = clients[i];
	for (unsigned int i = 0; i < left; i++)
		if (!serve_client(server, ready[i]))
			drop(server, ready[i]);
	if (polls[0].revents)
		serve_hello(server, polls[0].revents);
	return true;
}

void lend_serve(struct lend *lend, int hello)
{
	struct server server = {.lend = lend, .hello = hello};

	memset(server.clients, -1, sizeof(server.clients));
	while (serve_once(&server))
		;
	free(server.pages);
}
