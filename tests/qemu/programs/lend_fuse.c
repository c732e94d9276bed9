// SPDX-License-Identifier: BSD-2-Clause
/*
 * A server of a file system (linux/fuse.h) that answers what is needed to open a file of it, and
 * nothing after that: who closes the file waits in the kernel, and cannot be killed.
 *
 * usage: lend_fuse serve         mounts it in namespaces of its own, and gives its file to who asks
 *        lend_fuse hide DIR      mounts it on DIR there, and has a file registered with an io_uring
 *        lend_fuse map           mounts it, and waits for it: nobody can see what it has mapped
 *        lend_fuse send          a lent program: gets the file, and sends it to the broker
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker.h"

#define READY     "/tmp/lend_fuse"
#define FILE_NODE 2
#define PAGE      4096

static const struct sockaddr_un address = {AF_UNIX, "\0lend_fuse"};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* In a namespace of users that knows this one as root. */
static void become_root(void)
{
	char user[32], group[32];

	snprintf(user, sizeof(user), "0 %d 1", geteuid());
	snprintf(group, sizeof(group), "0 %d 1", getegid());
	if (unshare(CLONE_NEWUSER))
		die("unshare");
	write_text("/proc/self/uid_map", user);
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/gid_map", group);
}

static int mount_at(const char *place)
{
	char options[80];
	int fd;

	if (geteuid())
		become_root();
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (fd < 0 || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("lend_fuse", place, "fuse", MS_NOSUID | MS_NODEV, options))
		die("mount");
	return fd;
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.mode = node == FILE_NODE ? S_IFREG | 0666 : S_IFDIR | 0777,
		.nlink = 1,
		.size = node == FILE_NODE ? PAGE : 0,
	};
}

static void reply(int fd, const struct fuse_in_header *in, const void *data, size_t size)
{
	char bytes[PAGE + 64];
	const struct fuse_out_header out = {(uint32_t)(sizeof(out) + size), 0, in->unique};

	memcpy(bytes, &out, sizeof(out));
	memcpy(bytes + sizeof(out), data, size);
	(void)!write(fd, bytes, out.len);
}

static void answer(int fd, const struct fuse_in_header *in, bool looks_up)
{
	static const char page[PAGE];
	static int opens; /* those after the first go past the cache */
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
	const struct fuse_entry_out entry = {.nodeid = FILE_NODE, .attr = attributes(FILE_NODE)};
	const struct fuse_attr_out attr = {.attr = attributes(in->nodeid)};
	const struct fuse_open_out opened = {
		.fh = 1, .open_flags = opens > 0 ? FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE : 0};

	if (in->opcode == FUSE_INIT)
		reply(fd, in, &init, sizeof(init));
	if (in->opcode == FUSE_LOOKUP && looks_up)
		reply(fd, in, &entry, sizeof(entry));
	if (in->opcode == FUSE_GETATTR)
		reply(fd, in, &attr, sizeof(attr));
	if (in->opcode == FUSE_OPEN) {
		reply(fd, in, &opened, sizeof(opened));
		opens++;
	}
	if (in->opcode == FUSE_READ)
		reply(fd, in, page, sizeof(page));
}

/* Does not return. */
static void serve(int fd, bool looks_up)
{
	static union {
		struct fuse_in_header header;
		char bytes[FUSE_MIN_READ_BUFFER + 4096];
	} request;

	for (;;)
		if (read(fd, &request, sizeof(request)) >= (ssize_t)sizeof(request.header))
			answer(fd, &request.header, looks_up);
		else if (errno != EINTR && errno != ENOENT)
			exit(0);
}

static void ready(void)
{
	close(open(READY, O_CREAT | O_WRONLY, 0666));
}

/* A process of its own, which is the one that closes the file. */
static void give_file(const char *place)
{
	char path[64], message[8] = "";
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), file;

	snprintf(path, sizeof(path), "%s/file", place);
	file = open(path, O_RDWR);
	if (file < 0 || bind(listener, (const struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 1))
		die(path);
	ready();
	broker_send(accept(listener, NULL, NULL), message, sizeof(message), file);
	for (;;)
		pause();
}

static void hide(void)
{
	struct io_uring_params params = {0};
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	int file = open("/etc/hostname", O_RDONLY);

	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &file, 1))
		die("io_uring");
	ready();
	for (;;)
		pause();
}

/* What was written goes to the server before the file is mapped again, without a cache. */
static void lock_memory(void)
{
	int file = open("/mnt/file", O_RDWR), direct;
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (page == MAP_FAILED)
		die("/mnt/file");
	*page = 1;
	direct = open("/mnt/file", O_RDONLY);
	ready();
	mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, direct, 0);
	for (;;)
		pause();
}

static int get_file(void)
{
	int peer = socket(AF_UNIX, SOCK_SEQPACKET, 0), file = -1;
	char message[8];

	if (connect(peer, (const struct sockaddr *)&address, sizeof(address)) ||
	    broker_receive(peer, message, sizeof(message), &file) || file < 0)
		die("lend_fuse");
	return file;
}

static int send_file(void)
{
	struct broker_request request = {BROKER_MAGIC, BROKER_VERSION, BROKER_HELLO};
	int inherited = atoi(getenv(BROKER_ENV)), socket = -1;
	struct broker_reply got;

	if (broker_send(inherited, &request, sizeof(request), -1) ||
	    broker_receive(inherited, &got, sizeof(got), &socket) || socket < 0 ||
	    broker_send(socket, &request, sizeof(request), get_file()))
		die("lend_fuse");
	sleep(1);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool maps = !strcmp(what, "map"), serves = maps || !strcmp(what, "serve");
	int fd;

	if (!strcmp(what, "send"))
		return send_file();
	if (!serves && argc != 3)
		return 2;
	fd = mount_at(serves ? "/mnt" : argv[2]);
	if (fork())
		serve(fd, serves);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(fd);
	if (maps)
		lock_memory();
	if (serves)
		give_file("/mnt");
	hide();
}
