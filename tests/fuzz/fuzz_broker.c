// SPDX-License-Identifier: BSD-2-Clause
/*
 * The broker's own loop (host/lend/serve.c) against peers that send any message, of any size, with
 * files or none, and hang up when they like. The kernel's side of the sockets is played
 * here, so that each descriptor is seen: none is closed twice, none is left open, and what is
 * passed is open. No file is passed but one of the list, no page belongs to two.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <usrpci/dma.h>

#include "broker.h"
#include "fuzz.h"
#include "lend/lend.h"

#define FD_FIRST (1 << 20)
#define FDS      256
#define PAGES    4
#define CONFIG   "/sys/bus/pci/devices/0000:00:03.0/config"
#define RESET    "/sys/bus/pci/devices/0000:00:03.0/reset"
#define BLOCK(i) ((void *)(((uintptr_t)(i) + 1) << 21))

/* What a descriptor is; a socket's other end is the peer's and has no number here. */
enum kind { CLOSED, BROKERS_END, PEERS_END, HELD_FILE };

static enum kind kinds[FDS];
static struct input input;
static bool cut_off[PAGES];
static size_t pages;

static int new_fd(enum kind kind)
{
	for (int i = 0; i < FDS; i++) {
		if (kinds[i] == CLOSED) {
			kinds[i] = kind;
			return FD_FIRST + i;
		}
	}
	abort();
}

static enum kind kind_of(int fd)
{
	HOLDS(fd < FD_FIRST + FDS);
	return fd < FD_FIRST ? CLOSED : kinds[fd - FD_FIRST];
}

static unsigned int open_fds(void)
{
	unsigned int count = 0;

	for (int i = 0; i < FDS; i++)
		count += kinds[i] != CLOSED;
	return count;
}

int close(int fd)
{
	if (fd < FD_FIRST)
		return (int)syscall(SYS_close, fd);
	HOLDS(kind_of(fd) != CLOSED);
	kinds[fd - FD_FIRST] = CLOSED;
	return 0;
}

int fcntl(int fd, int command, ...)
{
	HOLDS(kind_of(fd) != CLOSED);
	return command == F_DUPFD_CLOEXEC ? new_fd(PEERS_END) : 0;
}

int socketpair(int family, int type, int protocol, int pair[2])
{
	HOLDS(type & SOCK_CLOEXEC);
	pair[0] = new_fd(BROKERS_END);
	pair[1] = new_fd(PEERS_END);
	return 0;
}

/* Who has something to say is the input's choice; at its end all hang up. */
int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	for (nfds_t i = 0; i < count; i++) {
		fds[i].revents = 0;
		HOLDS(fds[i].fd < 0 || kind_of(fds[i].fd) != CLOSED);
	}
	for (nfds_t i = 0; input.size == 0 && i < count; i++)
		fds[i].revents = fds[i].fd < 0 ? 0 : POLLIN | POLLHUP;
	if (input.size == 0)
		return (int)count;
	for (unsigned int i = 0; i < 4; i++) {
		struct pollfd *polled = &fds[take(&input, 1) % count];

		if (polled->fd >= 0)
			polled->revents = input.size % 16 == 15 ? POLLIN | POLLHUP : POLLIN;
	}
	return 1;
}

static void fill_request(struct broker_request *request, uint32_t how)
{
	static const char *const paths[] = {"/dev/uio0", CONFIG, RESET, "/dev/uio0/../mem"};

	*request = (struct broker_request){
		.magic = how % 32 == 31 ? take(&input, 4) : BROKER_MAGIC,
		.version = how % 32 == 30 ? (uint16_t)take(&input, 2) : BROKER_VERSION,
		.op = (uint16_t)(how % 9),
		.page_size = how & 0x40 ? take(&input, 4) : LEND_PAGE_SIZE,
		.offset = (take(&input, 1) % 8) * LEND_PAGE_SIZE,
		.node = -1,
	};
	how = take(&input, 1);
	if (how < 128)
		strcpy(request->path, paths[how % 4]);
	else
		memset(request->path, 'x', sizeof(request->path));
	for (; how > 224; how--) /* a newer field is somewhere in here */
		((uint8_t *)request)[take(&input, 1) % sizeof(*request)] = (uint8_t)take(&input, 1);
}

ssize_t recvmsg(int fd, struct msghdr *header, int flags)
{
	static const int errors[] = {EAGAIN, ECONNRESET, EINTR, ENOMEM};
	uint32_t how = take(&input, 1);
	struct broker_request request;
	size_t size = sizeof(request);

	HOLDS(kind_of(fd) == BROKERS_END && header->msg_iov->iov_len == size &&
	      !header->msg_control);
	header->msg_flags = 0;
	if (how >= 248) {
		errno = errors[how % 4];
		return -1;
	}
	if (how >= 240 || input.size == 0)
		return 0;
	fill_request(&request, how);
	if (how >= 232)
		size = take(&input, 1) % (size + 1);
	if (how >= 224)
		header->msg_flags = how & 1 ? MSG_TRUNC : MSG_CTRUNC;
	memcpy(header->msg_iov->iov_base, &request, size);
	if (how >= 216) /* a file, of which the broker takes none */
		header->msg_flags |= MSG_CTRUNC;
	return (ssize_t)size;
}

ssize_t sendmsg(int fd, const struct msghdr *header, int flags)
{
	const struct broker_reply *reply = header->msg_iov->iov_base;
	int file;

	HOLDS(kind_of(fd) == BROKERS_END && flags & MSG_NOSIGNAL);
	HOLDS(header->msg_iov->iov_len == sizeof(*reply) && reply->magic == BROKER_MAGIC);
	HOLDS(reply->error <= 0 && reply->has_file == (header->msg_controllen > 0));
	HOLDS(!reply->error || !reply->has_file);
	if (reply->has_file) {
		memcpy(&file, CMSG_DATA((struct cmsghdr *)header->msg_control), sizeof(file));
		HOLDS(kind_of(file) != CLOSED);
	}
	if (take(&input, 1) < 250)
		return sizeof(*reply);
	errno = EAGAIN;
	return -1;
}

/* DMA memory, of which the broker must not touch a byte. */
int __wrap_usrpci_dma_alloc(struct usrpci_ctx *ctx, const struct usrpci_dma_request *request,
			    void **block)
{
	HOLDS(request->size == LEND_PAGE_SIZE);
	if (pages == PAGES)
		return -ENOMEM;
	*block = BLOCK(pages);
	pages++;
	return 0;
}

int __wrap_usrpci_dma_file(struct usrpci_ctx *ctx, const void *block, int *fd, uint64_t *offset)
{
	uintptr_t page = ((uintptr_t)block >> 21) - 1;

	HOLDS(page < pages);
	*fd = FD_FIRST; /* all pages are of one file */
	*offset = page * LEND_PAGE_SIZE;
	return 0;
}

usrpci_dma_t __wrap_usrpci_dma_addr(struct usrpci_ctx *ctx, const void *block)
{
	return (usrpci_dma_t)(uintptr_t)block << 4;
}

int __wrap_usrpci_dma_renew(struct usrpci_ctx *ctx, void *block)
{
	uintptr_t page = ((uintptr_t)block >> 21) - 1;

	HOLDS(page < pages && !cut_off[page]); /* it is not to be tried again */
	cut_off[page] = take(&input, 1) > 200;
	return cut_off[page] ? -EFAULT : 0;
}

int __wrap_lend_memory_pin(struct lend *lend, void *block)
{
	return take(&input, 1) % 32 == 31 ? -EFAULT : 0;
}

int __wrap_lend_pause(struct usrpci_host *host, struct lend_device *device)
{
	return take(&input, 1) % 8 ? 0 : -EIO;
}

/* It is for the client that has opened the device. */
int __wrap_lend_config_write(struct usrpci_host *host, struct lend_device *device, uint64_t offset,
			     uint64_t width, uint32_t value)
{
	HOLDS(device->client >= 0);
	return offset % 2 ? -EPERM : 0;
}

int __wrap_lend_file_reset(struct lend *lend, const struct lend_file *file)
{
	HOLDS(file->use == LEND_RESET && lend->devices[file->device].client >= 0);
	return 0;
}

static struct usrpci_host *open_host(void)
{
	const struct usrpci_ctx_options options = {.root = fuzz_root()};
	struct usrpci_host *host;
	struct usrpci_ctx *ctx;

	HOLDS(usrpci_ctx_open(&options, &ctx) == 0 && usrpci_host_open(ctx, NULL, &host) == 0);
	return host;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct usrpci_host *host;
	static struct lend_device devices[2];
	static const struct usrpci_lend_options options = {0};
	static struct lend lend;

	if (!host)
		host = open_host();
	input = (struct input){bytes, size};
	memset(devices, 0, sizeof(devices));
	memset(cut_off, 0, sizeof(cut_off));
	memset(kinds, 0, sizeof(kinds));
	pages = 0;
	devices[0].client = devices[1].client = LEND_NOBODY;
	for (unsigned int i = 0; i < 3; i++)
		HOLDS(new_fd(HELD_FILE) == FD_FIRST + (int)i);
	lend = (struct lend){
		.host = host,
		.options = &options,
		.devices = devices,
		.count = 2,
		.memory = host->ctx,
		.page_limit = 3,
		.file_count = 4,
		.files = {{.path = "/dev/uio0", .device = 0, .fd = FD_FIRST + 1},
			  {.path = "/dev/uio1", .device = 1, .fd = FD_FIRST + 2},
			  {.path = CONFIG, .use = LEND_READ, .device = 0, .fd = FD_FIRST + 1},
			  {.path = RESET, .use = LEND_RESET, .device = 0, .fd = -1}},
	};
	lend_serve(&lend, new_fd(BROKERS_END));
	HOLDS(open_fds() == 3);
	return 0;
}
