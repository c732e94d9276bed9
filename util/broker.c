// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages of the broker's protocol, with at most one file each: see unix(7), SCM_RIGHTS.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"

union file_space {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int broker_send(int socket, const void *message, size_t size, int fd)
{
	struct iovec data = {.iov_base = (void *)message, .iov_len = size};
	struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1};
	union file_space space = {0};
	ssize_t sent;

	if (fd >= 0) {
		header.msg_control = space.bytes;
		header.msg_controllen = sizeof(space.bytes);
		CMSG_FIRSTHDR(&header)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&header)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&header)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &fd, sizeof(fd));
	}
	do
		sent = sendmsg(socket, &header, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == size ? 0 : -EPROTO;
}

/* More than one file does not fit, so the kernel has closed what was too many. */
static int take_file(struct msghdr *header)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(header);
	int fd = -1;

	if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS &&
	    control->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	return fd;
}

/* The flags of the message, or a negative errno; *got is its size. */
static int receive(int socket, struct msghdr *header, ssize_t *got)
{
	do
		*got = recvmsg(socket, header, MSG_CMSG_CLOEXEC);
	while (*got < 0 && errno == EINTR);
	if (*got < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return header->msg_flags & (MSG_TRUNC | MSG_CTRUNC);
}

int broker_receive(int socket, void *message, size_t size, int *fd)
{
	struct iovec data = {.iov_base = message, .iov_len = size};
	union file_space space = {0};
	struct msghdr header = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = fd ? space.bytes : NULL,
		/* The kernel would fill the padding behind one file with another. */
		.msg_controllen = fd ? CMSG_LEN(sizeof(int)) : 0,
	};
	ssize_t got;
	int cut = receive(socket, &header, &got), file = -1;

	/* An empty message may come with a file, too. */
	if (cut >= 0)
		file = take_file(&header);
	if (fd)
		*fd = file;
	if (cut < 0 || ((size_t)got == size && !cut))
		return cut;
	if (file >= 0)
		close(file);
	if (fd)
		*fd = -1;
	return got == 0 ? -EPIPE : -EPROTO;
}
