// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds sockets that are bound to an interface, as those of DHCP, which needs no address.
 *
 * sock_diag(7) knows them all, but a question makes the kernel load a module for each protocol,
 * and a look must not change the host. So it is asked only where the modules are there. Otherwise
 * each socket of proc_net(5)'s tables is looked for among the files of the processes, and is asked
 * itself (pidfd_getfd(2)). What is left then is the kernel's own, or hidden: it may be bound.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "guard/netlink.h"
#include "host.h"

/* The list of what is built into a kernel is some tens of kilobytes long. */
#define BUILT_IN_SIZE (256u << 10)

/* A server that is busy opens and closes sockets while they are looked for. */
#define PASSES 3

struct known {
	uint64_t inode;
	bool asked;
};

struct sockets {
	struct known *list; /* in ascending order */
	size_t count;
};

struct search {
	struct usrpci_host *host;
	struct net_list *list;
	struct sockets *sockets; /* what is looked for; NULL: sockets of AF_XDP */
	char owner[12];          /* a process that has one of those; "": none was found */
	const char *pid;
	int files; /* the directory of the process's descriptors */
};

static int compare(const void *a, const void *b)
{
	const struct known *left = a, *right = b;

	return (left->inode > right->inode) - (left->inode < right->inode);
}

static int add_inode(struct sockets *sockets, uint64_t inode)
{
	struct known *grown = array_grow(sockets->list, sockets->count, 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	sockets->list = grown;
	grown[sockets->count++] = (struct known){.inode = inode};
	return 0;
}

/* "0: 00000000:1AD4 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 10523 2 ..." */
static int parse_line(struct sockets *sockets, const char *line)
{
	uint64_t inode;

	if (sscanf(line, " %*u: %*s %*s %*x %*x:%*x %*x:%*x %*x %*u %*d %" SCNu64, &inode) != 1 ||
	    !inode)
		return 0; /* the heading, or the rest of a connection, which is nobody's */
	return add_inode(sockets, inode);
}

static int read_table(int directory, const char *table, struct sockets *sockets)
{
	int fd = openat(directory, table, O_RDONLY | O_CLOEXEC), error = 0;
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	AUTO_FREE char *line = NULL;
	size_t size = 0;

	if (!file) {
		error = errno;
		if (fd >= 0)
			close(fd);
		return error == ENOENT ? 0 : -error;
	}
	while (!error && getline(&line, &size, file) > 0)
		error = parse_line(sockets, line);
	if (!error && ferror(file))
		error = -EIO;
	fclose(file);
	return error;
}

/* The caller frees the list, also after an error. */
static int read_tables(struct usrpci_host *host, struct sockets *sockets)
{
	static const char *const tables[] = {"tcp", "tcp6", "udp",  "udp6",
					     "raw", "raw6", "icmp", "icmp6"};
	AUTO_CLOSE int directory = file_open(host->ctx, O_RDONLY | O_DIRECTORY, "/proc/net");
	int error = directory < 0 ? directory : 0;

	*sockets = (struct sockets){0};
	for (size_t i = 0; !error && i < ARRAY_SIZE(tables); i++)
		error = read_table(directory, tables[i], sockets);
	if (!error && sockets->count)
		qsort(sockets->list, sockets->count, sizeof(*sockets->list), compare);
	return error;
}

/* "XDP  960  1  -1 ...": how many sockets of AF_XDP there are, which only send without a program. */
static bool has_xdp_sockets(struct usrpci_host *host)
{
	FILE *file = host_is_live(host) ? fopen("/proc/net/protocols", "re") : NULL;
	AUTO_FREE char *line = NULL;
	unsigned int count = 0;
	size_t size = 0;

	while (file && !count && getline(&line, &size, file) > 0)
		if (sscanf(line, "XDP %*u %u", &count) != 1)
			count = 0;
	if (file)
		fclose(file);
	return count > 0;
}

static struct known *find(const struct sockets *sockets, uint64_t inode)
{
	const struct known wanted = {.inode = inode};

	return sockets->count ? bsearch(&wanted, sockets->list, sockets->count,
					sizeof(*sockets->list), compare)
			      : NULL;
}

/* Returns a copy of the process's descriptor, or -1 where the kernel is too old or forbids it. */
static int copy_of(const struct search *search, const char *fd)
{
	int process = (int)syscall(SYS_pidfd_open, atoi(search->pid), 0), copy;

	if (process < 0)
		return -1;
	copy = (int)syscall(SYS_pidfd_getfd, process, atoi(fd), 0);
	close(process);
	return copy;
}

static int ask_socket(const struct search *search, const char *fd, struct known *known)
{
	int copy = copy_of(search, fd);
	char interface[IF_NAMESIZE] = "";
	socklen_t length = sizeof(interface);

	if (copy < 0)
		return 0;
	known->asked = !getsockopt(copy, SOL_SOCKET, SO_BINDTODEVICE, interface, &length);
	close(copy);
	return known->asked && length ? net_add(search->list, interface, NET_FRAMES,
						"a socket that is bound to it")
				      : 0;
}

static void look_for_xdp(struct search *search, const char *fd)
{
	int copy = copy_of(search, fd), domain = 0;
	socklen_t length = sizeof(domain);

	if (copy < 0)
		return;
	if (!getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &length) && domain == AF_XDP)
		snprintf(search->owner, sizeof(search->owner), "%s", search->pid);
	close(copy);
}

static int look_at_file(struct search *search, const char *fd)
{
	char target[64];
	ssize_t length = readlinkat(search->files, fd, target, sizeof(target) - 1);
	struct known *known;
	uint64_t inode;

	target[length < 0 ? 0 : length] = '\0';
	if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
		return 0;
	if (!search->sockets) {
		look_for_xdp(search, fd);
		return 0;
	}
	known = find(search->sockets, inode);
	return known && !known->asked ? ask_socket(search, fd, known) : 0;
}

/* A process that ends, or whose files are hidden, leaves its sockets to be looked for. */
static int look_at_process(void *data, const char *pid)
{
	struct search *search = data;
	AUTO_FREE char **files = NULL;
	int count = dir_list(search->host->ctx, &files, "/proc/%s/fd", pid), error = 0;

	search->pid = pid;
	search->files = count > 0 ? file_open(search->host->ctx, O_RDONLY | O_DIRECTORY,
					      "/proc/%s/fd", pid)
				  : -1;
	if (search->files < 0)
		return count == -ENOMEM ? -ENOMEM : 0;
	for (int i = 0; !error && i < count; i++)
		error = look_at_file(search, files[i]);
	close(search->files);
	return error;
}

/* Keeps those that were not asked and are still there. */
static int keep_rest(struct usrpci_host *host, struct sockets *sockets)
{
	struct sockets now;
	int error = read_tables(host, &now);
	size_t count = 0;

	for (size_t i = 0; !error && i < sockets->count; i++)
		if (!sockets->list[i].asked && find(&now, sockets->list[i].inode))
			sockets->list[count++] = sockets->list[i];
	sockets->count = count;
	free(now.list);
	return error;
}

static int ask_processes(struct usrpci_host *host, struct net_list *list, struct sockets *sockets)
{
	struct search search = {.host = host, .list = list, .sockets = sockets};
	int error = 0;

	for (int pass = 0; !error && sockets->count && pass < PASSES; pass++)
		error = host_each_process(host, look_at_process, &search)
				?: keep_rest(host, sockets);
	return error || !sockets->count ? error
					: net_add(list, "", NET_UNSEEN, "a socket is bound to");
}

/* Whether the kernel answers for some protocols without loading anything. */
static bool has_modules(struct usrpci_host *host, const char *const *modules, size_t count)
{
	AUTO_FREE char *built_in = calloc(1, BUILT_IN_SIZE);
	struct utsname kernel;
	char name[32];

	if (built_in && !uname(&kernel))
		file_read(host->ctx, built_in, BUILT_IN_SIZE, "/lib/modules/%s/modules.builtin",
			  kernel.release);
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "/%s.ko", modules[i]);
		if (!file_exists(host->ctx, "/sys/module/%s", modules[i]) &&
		    (!built_in || !strstr(built_in, name)))
			return false;
	}
	return true;
}

/* Such a socket does not say itself what it is bound to. */
static int read_xdp(struct usrpci_host *host, struct net_list *list)
{
	static const char *const modules[] = {"xdp_diag"};
	struct search search = {.host = host, .list = list};
	int error;

	if (!has_xdp_sockets(host))
		return 0;
	if (has_modules(host, modules, ARRAY_SIZE(modules)))
		return netlink_read_xdp(list);
	error = host_each_process(host, look_at_process, &search);
	if (error)
		return error;
	return net_add(list, "", NET_UNSEEN, "an AF_XDP socket%s%s is bound to",
		       search.owner[0] ? " of process " : "", search.owner);
}

int sockets_read(struct usrpci_host *host, struct net_list *list)
{
	static const char *const modules[] = {"tcp_diag", "udp_diag", "raw_diag"};
	struct sockets sockets;
	int error = read_tables(host, &sockets);

	if (!error && sockets.count)
		error = has_modules(host, modules, ARRAY_SIZE(modules))
				? netlink_read_sockets(list)
				: ask_processes(host, list, &sockets);
	free(sockets.list);
	return error ?: read_xdp(host, list);
}
