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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "array.h"
#include "file.h"
#include "guard/look.h"
#include "guard/netlink.h"
#include "guard/processes.h"
#include "host.h"

/* The list of what is built into a kernel is some tens of kilobytes long. */
#define BUILT_IN_SIZE (256u << 10)

/* A line of some 120 bytes for each protocol. */
#define COUNTS_SIZE (64u << 10)

/* A server that is busy opens and closes sockets while they are looked for. */
#define PASSES 3

struct known {
	uint64_t inode;
	bool asked;
};

struct sockets {
	struct known *list; /* in ascending order */
	size_t count;
	const char *counts; /* the text of /proc/net/protocols */
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

/* How many sockets of a protocol there are in this network namespace; -1: it is not said. */
static int count_of(const char *counts, const char *protocol)
{
	size_t length = strlen(protocol);
	const char *line = counts;
	int count;

	while (line && (strncmp(line, protocol, length) != 0 || line[length] != ' ')) {
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return line && sscanf(line + length, "%*u %d", &count) == 1 ? count : -1;
}

/*
 * For a table without sockets the kernel would look through thousands of places. The caller frees
 * the list, also after an error.
 */
static int read_tables(struct usrpci_host *host, struct sockets *sockets)
{
	static const struct {
		const char *name, *protocol;
	} tables[] = {
		{"tcp", "TCP"},    {"udp", "UDP"},    {"raw", "RAW"},    {"icmp", "PING"},
		{"tcp6", "TCPv6"}, {"udp6", "UDPv6"}, {"raw6", "RAWv6"}, {"icmp6", "PINGv6"},
	};
	AUTO_CLOSE int directory = file_open(host->ctx, O_RDONLY | O_DIRECTORY, "/proc/net");
	int error = directory < 0 ? directory : 0;

	for (size_t i = 0; !error && i < ARRAY_SIZE(tables); i++)
		if (count_of(sockets->counts, tables[i].protocol))
			error = read_table(directory, tables[i].name, sockets);
	if (!error && sockets->count)
		qsort(sockets->list, sockets->count, sizeof(*sockets->list), compare);
	return error;
}

static struct known *find(const struct sockets *sockets, uint64_t inode)
{
	const struct known wanted = {.inode = inode};

	return sockets->count ? bsearch(&wanted, sockets->list, sockets->count,
					sizeof(*sockets->list), compare)
			      : NULL;
}

/*
 * Returns a copy of a descriptor, or -1 where the kernel is too old or forbids it, or the number
 * has come to be another file's.
 */
static int copy_of(const struct open_socket *socket)
{
	int process = (int)syscall(SYS_pidfd_open, socket->pid, 0), copy;
	struct stat status;

	if (process < 0)
		return -1;
	copy = (int)syscall(SYS_pidfd_getfd, process, socket->fd, 0);
	close(process);
	if (copy < 0 || (!fstat(copy, &status) && status.st_ino == socket->inode))
		return copy;
	close(copy);
	return -1;
}

static int ask_socket(const struct open_socket *socket, struct net_list *list, struct known *known)
{
	int copy = copy_of(socket);
	char interface[IF_NAMESIZE] = "";
	socklen_t length = sizeof(interface);

	if (copy < 0)
		return 0;
	known->asked = !getsockopt(copy, SOL_SOCKET, SO_BINDTODEVICE, interface, &length);
	close(copy);
	return known->asked && length ? net_add(list, interface, NET_BOUND_SOCKET, "%s", "") : 0;
}

/* A process that ends, or whose files are hidden, leaves its sockets to be looked for. */
static int ask_sockets(const struct open_files *files, struct net_list *list,
		       struct sockets *sockets)
{
	struct known *known;
	int error = 0;

	for (size_t i = 0; !error && i < files->socket_count; i++) {
		known = find(sockets, files->sockets[i].inode);
		if (known && !known->asked)
			error = ask_socket(&files->sockets[i], list, known);
	}
	return error;
}

/* Keeps those that were not asked and are still there. */
static int keep_rest(struct usrpci_host *host, struct sockets *sockets)
{
	struct sockets now = {.counts = sockets->counts};
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
	const struct open_files *files;
	struct open_files own = {0};
	int error = look_files(host, &own, &files), pass = 0;

	while (!error && sockets->count && pass++ < PASSES) {
		error = ask_sockets(files, list, sockets) ?: keep_rest(host, sockets);
		open_files_free(&own);
		own = (struct open_files){0};
		files = &own;
		if (!error && sockets->count && pass < PASSES)
			error = open_files_read(host, &own);
	}
	open_files_free(&own);
	return error || !sockets->count ? error : net_add(list, "", NET_UNSEEN_SOCKET, "%s", "");
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

static bool is_of_xdp(const struct open_socket *socket)
{
	int copy = copy_of(socket), domain = 0;
	socklen_t length = sizeof(domain);
	bool is = copy >= 0 && !getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &length) &&
		  domain == AF_XDP;

	if (copy >= 0)
		close(copy);
	return is;
}

/* Such a socket does not say itself what it is bound to. */
static int look_for_xdp(struct usrpci_host *host, struct net_list *list)
{
	const struct open_files *files;
	struct open_files own = {0};
	int error = look_files(host, &own, &files), owner = 0;

	for (size_t i = 0; !error && !owner && i < files->socket_count; i++)
		owner = is_of_xdp(&files->sockets[i]) ? files->sockets[i].pid : 0;
	open_files_free(&own);
	if (error)
		return error;
	return owner ? net_add(list, "", NET_UNSEEN_XDP, "%d", owner)
		     : net_add(list, "", NET_UNSEEN_XDP, "%s", "");
}

int sockets_read(struct usrpci_host *host, struct net_list *list)
{
	static const char *const inet[] = {"tcp_diag", "udp_diag", "raw_diag"};
	static const char *const xdp[] = {"xdp_diag"};
	AUTO_FREE char *counts = calloc(1, COUNTS_SIZE);
	struct sockets sockets = {.counts = counts};
	int error = counts ? 0 : -ENOMEM;

	if (!error)
		file_read(host->ctx, counts, COUNTS_SIZE, "/proc/net/protocols");
	error = error ?: read_tables(host, &sockets);
	if (!error && sockets.count)
		error = has_modules(host, inet, ARRAY_SIZE(inet))
				? netlink_read_sockets(list)
				: ask_processes(host, list, &sockets);
	free(sockets.list);
	/* Those of AF_XDP only send where no program of theirs is loaded. */
	if (error || count_of(counts, "XDP") <= 0)
		return error;
	return has_modules(host, xdp, ARRAY_SIZE(xdp)) ? netlink_read_xdp(list)
						       : look_for_xdp(host, list);
}
