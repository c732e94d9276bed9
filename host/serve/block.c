// SPDX-License-Identifier: BSD-2-Clause
/*
 * Makes a block device with the ioctl(2)s of the kernel's driver nbd (drivers/block/nbd.c of
 * Linux). The device lives only while a process is in NBD_DO_IT, so nothing is left when that
 * process is killed. A device that is made through netlink would stay.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "file.h"
#include "serve/serve.h"

#define LOG_SUBJECT "serve"
#include "log.h"

#define DEVICES_MAX 1024
#define SETTLE_MS   3000

static int open_node(struct usrpci_host *host, const char *name, int flags)
{
	return file_open(host->ctx, flags, "/dev/%s", name);
}

/* When two programs try the same device, NBD_SET_SOCK decides which of them gets it. */
static int try(struct usrpci_host *host, const struct nbd_export *export, int socket,
	       struct block *block)
{
	int error = 0;

	block->fd = open_node(host, block->name, O_RDONLY);
	if (block->fd < 0)
		return block->fd;
	block->socket = socket;
	block->has_socket = ioctl(block->fd, NBD_SET_SOCK, socket) == 0;
	if (!block->has_socket)
		error = -EBUSY;
	else if (ioctl(block->fd, NBD_SET_BLKSIZE, (unsigned long)export->block_size) ||
		 ioctl(block->fd, NBD_SET_SIZE_BLOCKS,
		       (unsigned long)(export->size / export->block_size)) ||
		 ioctl(block->fd, NBD_SET_FLAGS, (unsigned long)export->flags))
		error = -errno;
	if (error)
		block_close(block);
	return error;
}

int block_attach(struct usrpci_host *host, const struct nbd_export *export, int socket,
		 struct block *block)
{
	int error = -EBUSY;

	for (unsigned int i = 0; i < DEVICES_MAX && error == -EBUSY; i++) {
		snprintf(block->name, sizeof(block->name), "nbd%u", i);
		if (!file_exists(host->ctx, "/sys/block/%s", block->name))
			break;
		if (!file_exists(host->ctx, "/sys/block/%s/pid", block->name))
			error = try(host, export, socket, block);
	}
	if (error == -EBUSY)
		return refuse(
			host->ctx, error, "nbd",
			"nbd-client -d frees one; the module's parameter nbds_max allows more",
			"all network block devices are in use");
	return error ? report(host->ctx, error, block->name, NULL,
			      "it cannot be set up with blocks of %u bytes", export->block_size)
		     : 0;
}

int block_run(struct block *block)
{
	return ioctl(block->fd, NBD_DO_IT) ? -errno : 0;
}

/* Only once: afterwards the device can belong to somebody else. */
void block_fail(struct block *block)
{
	if (block->has_socket)
		ioctl(block->fd, NBD_CLEAR_SOCK);
	block->has_socket = false;
}

static bool is_running(struct usrpci_host *host, const struct block *block)
{
	return file_exists(host->ctx, "/sys/block/%s/pid", block->name);
}

void block_settle(struct usrpci_host *host, const struct block *block)
{
	uint64_t end = clock_ms() + SETTLE_MS;
	int fd;

	while (!is_running(host, block) && clock_ms() < end)
		sleep_ms(1);
	/* The first open makes the kernel read the partition table. */
	fd = open_node(host, block->name, O_RDONLY);
	if (fd >= 0)
		close(fd);
}

/*
 * The kernel sends a request to disconnect, but leaves the connection open until the server closes
 * it. Newer releases of nbdkit wait for the end of what the client sends before they do.
 */
static int disconnect(const struct block *block)
{
	if (ioctl(block->fd, NBD_DISCONNECT))
		return -errno;
	shutdown(block->socket, SHUT_WR);
	return 0;
}

int block_detach(struct usrpci_host *host, const struct block *block)
{
	int fd = open_node(host, block->name, O_RDONLY | O_EXCL), error = 0;

	if (fd < 0)
		return fd;
	if (fsync(fd))
		error = -errno;
	error = error ?: disconnect(block);
	close(fd);
	return error;
}

void block_cut(struct block *block)
{
	disconnect(block);
}

bool block_is_used(struct usrpci_host *host, const char *name)
{
	int fd = open_node(host, name, O_RDONLY | O_EXCL);

	if (fd >= 0)
		close(fd);
	return fd == -EBUSY;
}

void block_close(struct block *block)
{
	if (block->fd < 0)
		return;
	block_fail(block);
	close(block->fd);
	block->fd = -1;
}
