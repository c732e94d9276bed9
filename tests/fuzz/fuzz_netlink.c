// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel's answers about addresses, routes and sockets, as a stranger would give them: messages
 * of any type whose attributes have any length. What comes of them are names and texts that end.
 */

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"
#include "guard/netlink.h"

#define SOCKET (1 << 20)

static struct input input;

int socket(int family, int type, int protocol)
{
	return SOCKET;
}

int close(int fd)
{
	return fd == SOCKET ? 0 : (int)syscall(SYS_close, fd);
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	return 0;
}

int getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
	const struct sockaddr_nl own = {.nl_family = AF_NETLINK};

	memcpy(address, &own, sizeof(own));
	*length = sizeof(own);
	return 0;
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *address,
	       socklen_t length)
{
	return (ssize_t)size;
}

char *if_indextoname(unsigned int index, char *name)
{
	snprintf(name, IF_NAMESIZE, "eth%u", index % 1000);
	return index % 4 ? name : NULL;
}

static size_t take_bytes(uint8_t *to, size_t size)
{
	size_t rest = size < input.size ? size : input.size;

	memcpy(to, input.bytes, rest);
	memset(to + rest, 0, size - rest);
	input.bytes += rest;
	input.size -= rest;
	return size;
}

/* An attribute that is as long as it says, or one that lies. */
static size_t take_attribute(uint8_t *to)
{
	static const uint16_t types[] = {RTA_DST,     RTA_OIF,     RTA_MULTIPATH,
					 IFA_LOCAL,   IFA_ADDRESS, IFLA_IFNAME,
					 IFLA_MASTER, IFLA_XDP,    IFLA_LINK};
	uint32_t how = take(&input, 1), length = how & 0x80 ? 4 : how & 0x40 ? 16 : how & 0x1f;
	struct rtattr attribute = {
		.rta_len = (uint16_t)(sizeof(attribute) + length),
		.rta_type = types[how % 9],
	};

	if (how % 16 == 15)
		attribute.rta_len = (uint16_t)take(&input, 2);
	memcpy(to, &attribute, sizeof(attribute));
	take_bytes(to + sizeof(attribute), length);
	memset(to + sizeof(attribute) + length, 0, RTA_ALIGN(length) - length);
	return RTA_SPACE(length);
}

static size_t take_body(uint8_t *to, uint16_t type)
{
	uint32_t how = take(&input, 1);
	size_t used;

	if (how & 0x80)
		return take_bytes(to, how & 0x7f);
	used = take_bytes(to,
			  type == RTM_NEWADDR ? sizeof(struct ifaddrmsg) : sizeof(struct rtmsg));
	for (; how % 8 > 0; how--)
		used += take_attribute(to + used);
	return used;
}

static size_t take_message(uint8_t *to)
{
	static const uint16_t types[] = {RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWROUTE,
					 NLMSG_DONE,  NLMSG_ERROR,  NLMSG_NOOP};
	uint32_t how = take(&input, 1);
	uint16_t type = types[how % 6];
	size_t body = take_body(to + NLMSG_HDRLEN, type);
	struct nlmsghdr header = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(body), .nlmsg_type = type};

	if (how >= 240)
		header.nlmsg_len = take(&input, how % 4 + 1);
	memcpy(to, &header, sizeof(header));
	memset(to + NLMSG_LENGTH(body), 0, NLMSG_ALIGN(body) - body);
	return NLMSG_SPACE(body);
}

static size_t receive(uint8_t *buffer, size_t room)
{
	uint8_t message[1024];
	size_t used = 0, length;

	for (unsigned int i = 0; i < 4 && input.size > 0; i++) {
		length = take_message(message);
		if (used + length > room)
			break;
		memcpy(buffer + used, message, length);
		used += length;
	}
	return used;
}

ssize_t recvmsg(int fd, struct msghdr *header, int flags)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	HOLDS(fd == SOCKET && header->msg_iovlen == 1);
	memcpy(header->msg_name, &kernel, sizeof(kernel));
	header->msg_namelen = sizeof(kernel);
	header->msg_flags = 0;
	return (ssize_t)receive(header->msg_iov->iov_base, header->msg_iov->iov_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct net_list list = {0};
	int error;

	input = (struct input){bytes, size};
	error = netlink_read(&list);
	HOLDS(error <= 0);
	error = netlink_read_sockets(&list);
	HOLDS(error <= 0);
	for (size_t i = 0; i < list.count; i++) {
		HOLDS(memchr(list.items[i].interface, '\0', sizeof(list.items[i].interface)));
		HOLDS(memchr(list.items[i].text, '\0', sizeof(list.items[i].text)));
	}
	free(list.items);
	return 0;
}
