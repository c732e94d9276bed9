// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the command calls of libmnl, for the static command, since no static libmnl is packaged.
 * Meanings are those of libmnl's manual; messages are laid out as netlink(7) says. Leaves out the
 * types of attributes that the command does not ask for, and dumps that were interrupted.
 */

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct mnl_socket {
	int fd;
	struct sockaddr_nl addr;
};

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	struct mnl_socket *netlink = calloc(1, sizeof(*netlink));

	if (!netlink)
		return NULL;
	netlink->fd = socket(AF_NETLINK, SOCK_RAW | flags, bus);
	if (netlink->fd >= 0)
		return netlink;
	free(netlink);
	return NULL;
}

int mnl_socket_bind(struct mnl_socket *netlink, unsigned int groups, pid_t pid)
{
	socklen_t size = sizeof(netlink->addr);

	netlink->addr = (struct sockaddr_nl){
		.nl_family = AF_NETLINK, .nl_groups = groups, .nl_pid = (uint32_t)pid};
	return bind(netlink->fd, (struct sockaddr *)&netlink->addr, size) ||
			       getsockname(netlink->fd, (struct sockaddr *)&netlink->addr, &size)
		       ? -1
		       : 0;
}

int mnl_socket_close(struct mnl_socket *netlink)
{
	int result = close(netlink->fd);

	free(netlink);
	return result;
}

int mnl_socket_get_fd(const struct mnl_socket *netlink)
{
	return netlink->fd;
}

unsigned int mnl_socket_get_portid(const struct mnl_socket *netlink)
{
	return netlink->addr.nl_pid;
}

int mnl_socket_setsockopt(const struct mnl_socket *netlink, int type, void *value, socklen_t size)
{
	return setsockopt(netlink->fd, SOL_NETLINK, type, value, size);
}

ssize_t mnl_socket_sendto(const struct mnl_socket *netlink, const void *message, size_t size)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	return sendto(netlink->fd, message, size, 0, (const struct sockaddr *)&kernel,
		      sizeof(kernel));
}

/* A message that does not fit, or whose sender is not the kernel's kind, is an error. */
ssize_t mnl_socket_recvfrom(const struct mnl_socket *netlink, void *buffer, size_t size)
{
	struct sockaddr_nl from;
	struct iovec part = {buffer, size};
	struct msghdr message = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1};
	ssize_t got = recvmsg(netlink->fd, &message, 0);

	if (got < 0)
		return got;
	if (message.msg_flags & MSG_TRUNC) {
		errno = ENOSPC;
		return -1;
	}
	if (message.msg_namelen == sizeof(from))
		return got;
	errno = EINVAL;
	return -1;
}

struct nlmsghdr *mnl_nlmsg_put_header(void *buffer)
{
	struct nlmsghdr *header = memset(buffer, 0, NLMSG_HDRLEN);

	header->nlmsg_len = NLMSG_HDRLEN;
	return header;
}

void *mnl_nlmsg_put_extra_header(struct nlmsghdr *header, size_t size)
{
	void *at = mnl_nlmsg_get_payload_tail(header);

	header->nlmsg_len += NLMSG_ALIGN((uint32_t)size);
	return memset(at, 0, NLMSG_ALIGN(size));
}

void *mnl_nlmsg_get_payload(const struct nlmsghdr *header)
{
	return (char *)header + NLMSG_HDRLEN;
}

void *mnl_nlmsg_get_payload_offset(const struct nlmsghdr *header, size_t offset)
{
	return (char *)header + NLMSG_HDRLEN + NLMSG_ALIGN(offset);
}

void *mnl_nlmsg_get_payload_tail(const struct nlmsghdr *header)
{
	return (char *)header + NLMSG_ALIGN(header->nlmsg_len);
}

uint16_t mnl_attr_get_type(const struct nlattr *attr)
{
	return attr->nla_type & NLA_TYPE_MASK;
}

uint16_t mnl_attr_get_payload_len(const struct nlattr *attr)
{
	return (uint16_t)(attr->nla_len - NLA_HDRLEN);
}

void *mnl_attr_get_payload(const struct nlattr *attr)
{
	return (char *)attr + NLA_HDRLEN;
}

const char *mnl_attr_get_str(const struct nlattr *attr)
{
	return mnl_attr_get_payload(attr);
}

uint8_t mnl_attr_get_u8(const struct nlattr *attr)
{
	return *(uint8_t *)mnl_attr_get_payload(attr);
}

uint32_t mnl_attr_get_u32(const struct nlattr *attr)
{
	return *(uint32_t *)mnl_attr_get_payload(attr);
}

bool mnl_attr_ok(const struct nlattr *attr, int size)
{
	return size >= (int)sizeof(*attr) && attr->nla_len >= sizeof(*attr) &&
	       (int)attr->nla_len <= size;
}

struct nlattr *mnl_attr_next(const struct nlattr *attr)
{
	return (struct nlattr *)((char *)attr + NLA_ALIGN(attr->nla_len));
}

int mnl_attr_validate(const struct nlattr *attr, enum mnl_attr_data_type type)
{
	uint16_t size = mnl_attr_get_payload_len(attr);
	const char *text = mnl_attr_get_str(attr);
	bool valid = type == MNL_TYPE_U32          ? size >= sizeof(uint32_t)
		     : type == MNL_TYPE_NUL_STRING ? size > 0 && !text[size - 1]
						   : false;

	errno = valid ? 0 : ERANGE;
	return valid ? 0 : -1;
}

static int parse(const struct nlattr *attr, const char *end, mnl_attr_cb_t visit, void *data)
{
	int result = MNL_CB_OK;

	for (; result > 0 && mnl_attr_ok(attr, (int)(end - (const char *)attr));
	     attr = mnl_attr_next(attr))
		result = visit(attr, data);
	return result;
}

int mnl_attr_parse(const struct nlmsghdr *header, unsigned int offset, mnl_attr_cb_t visit,
		   void *data)
{
	return parse(mnl_nlmsg_get_payload_offset(header, offset),
		     mnl_nlmsg_get_payload_tail(header), visit, data);
}

int mnl_attr_parse_nested(const struct nlattr *nested, mnl_attr_cb_t visit, void *data)
{
	const char *payload = mnl_attr_get_payload(nested);

	return parse((const struct nlattr *)payload, payload + mnl_attr_get_payload_len(nested),
		     visit, data);
}

void mnl_attr_put(struct nlmsghdr *header, uint16_t type, size_t size, const void *value)
{
	struct nlattr *attr = mnl_nlmsg_get_payload_tail(header);
	size_t padding = NLA_ALIGN(size) - size;

	attr->nla_type = type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + size);
	memset(mempcpy(mnl_attr_get_payload(attr), value, size), 0, padding);
	header->nlmsg_len += (uint32_t)NLA_ALIGN(attr->nla_len);
}

void mnl_attr_put_u32(struct nlmsghdr *header, uint16_t type, uint32_t value)
{
	mnl_attr_put(header, type, sizeof(value), &value);
}

static int fail(int error)
{
	errno = error;
	return MNL_CB_ERROR;
}

/* An acknowledgement is an error message with the number 0. */
static int run_error(const struct nlmsghdr *header)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*error)))
		return fail(EBADMSG);
	errno = error->error < 0 ? -error->error : error->error;
	return error->error ? MNL_CB_ERROR : MNL_CB_STOP;
}

static int run_one(const struct nlmsghdr *header, mnl_cb_t visit, void *data)
{
	switch (header->nlmsg_type) {
	case NLMSG_NOOP:
	case NLMSG_OVERRUN:
		return MNL_CB_OK;
	case NLMSG_ERROR:
		return run_error(header);
	case NLMSG_DONE:
		return MNL_CB_STOP;
	default:
		return visit ? visit(header, data) : MNL_CB_OK;
	}
}

int mnl_cb_run(const void *buffer, size_t size, unsigned int seq, unsigned int portid,
	       mnl_cb_t visit, void *data)
{
	const struct nlmsghdr *header = buffer;
	int left = (int)size, result = MNL_CB_OK;

	while (result > 0 && NLMSG_OK(header, (unsigned int)left)) {
		if (header->nlmsg_pid && portid && header->nlmsg_pid != portid)
			return fail(ESRCH);
		if (header->nlmsg_seq && seq && header->nlmsg_seq != seq)
			return fail(EPROTO);
		result = run_one(header, visit, data);
		header = NLMSG_NEXT(header, left);
	}
	return result;
}
