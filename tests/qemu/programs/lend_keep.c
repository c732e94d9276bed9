// SPDX-License-Identifier: BSD-2-Clause
/*
 * Access that outlives a loan: a program that devices are lent to passes a file on to an older
 * process, which keeps it.
 *
 * usage: lend_keep keep hold		the older process: keeps the file open
 *        lend_keep keep map		... keeps a mapping of it alone
 *        lend_keep keep thread		... a thread has it open, and nothing else
 *        lend_keep keep unread		... leaves it in the socket
 *        lend_keep keep ring		... has it registered with an io_uring alone
 *        lend_keep keep closed-ring	... with one that it has mapped, but not open any more
 *        lend_keep keep pipe		... has what was a mapping of it in a pipe alone
 *        lend_keep keep aio		... waits for it by a request, and has it no more
 *        lend_keep pass PATH		the program: passes a file of a device on
 *        lend_keep pass page		... of its DMA memory
 *        lend_keep pass GROUP DEVICE	... a device's own descriptor, under vfio
 *        lend_keep pass GROUP container	... that of the addresses of its group's devices
 *        lend_keep own GROUP DEVICE	... which it has opened by itself, without the broker
 *        lend_keep open GROUP DEVICE	the program: opens a device by itself and keeps it
 *        lend_keep lease		any process: keeps what /proc says of it to itself
 *        lend_keep trace NAME 0|1	traces the process of this name, which cannot be waited for
 *					then; 1: and keeps it before its end
 *
 * /tmp/lend_open exists once the program has opened its device. /tmp/lend_keep exists once the
 * older process listens, traces or has leases, and is gone once it has what it keeps.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker.h"

#define READY "/tmp/lend_keep"
#define OPEN  "/tmp/lend_open"

static const struct sockaddr_un address = {AF_UNIX, "\0lend_keep"};

/* Its files are not the process's from here on. */
static void *hold_alone(void *waiting)
{
	if (unshare(CLONE_FILES))
		abort();
	pthread_barrier_wait(waiting);
	for (;;)
		pause();
}

static int hold_in_thread(int fd)
{
	static pthread_barrier_t waiting;
	pthread_t thread;

	if (pthread_barrier_init(&waiting, NULL, 2) ||
	    pthread_create(&thread, NULL, hold_alone, &waiting))
		return -1;
	pthread_barrier_wait(&waiting);
	return close(fd);
}

static int hold_mapped(int fd)
{
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		return -1;
	return close(fd);
}

/* The kernel keeps a page that a pipe has. */
static int hold_in_pipe(int fd)
{
	const size_t size = 2 << 20;
	char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int pipe_ends[2];

	if (page == MAP_FAILED || pipe(pipe_ends) ||
	    vmsplice(pipe_ends[1], &(struct iovec){page, 1}, 1, 0) != 1)
		return -1;
	return munmap(page, size) ?: close(fd);
}

/* The kernel keeps the file for a request that does not end. */
static int hold_in_aio(int fd)
{
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = (uint32_t)fd,
		.aio_buf = POLLIN,
	};
	struct iocb *requests = &request;
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, 1, &context) ||
	    syscall(SYS_io_submit, context, 1, &requests) != 1)
		return -1;
	return close(fd);
}

/* Whoever opens the file then waits until this process gives it free, which it does not. */
static int lease(const char *path)
{
	int fd = open(path, O_RDONLY);

	signal(SIGIO, SIG_IGN);
	return fd < 0 ? -1 : fcntl(fd, F_SETLEASE, F_WRLCK);
}

static int hold_in_ring(int fd, bool open)
{
	struct io_uring_params params = {0};
	char path[64];
	int ring = (int)syscall(SYS_io_uring_setup, 4, &params);

	if (ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &fd, 1) ||
	    mmap(NULL, 4096, PROT_READ, MAP_SHARED, ring, IORING_OFF_SQ_RING) == MAP_FAILED)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/task/%d/fdinfo/%d", getpid(), ring);
	return lease(path) || close(fd) || (!open && close(ring)) ? -1 : 0;
}

/* Returns 0, or -1. */
static int hold(const char *how, int fd)
{
	if (!strcmp(how, "map"))
		return hold_mapped(fd);
	if (!strcmp(how, "thread"))
		return hold_in_thread(fd);
	if (!strcmp(how, "ring") || !strcmp(how, "closed-ring"))
		return hold_in_ring(fd, !strcmp(how, "ring"));
	if (!strcmp(how, "pipe"))
		return hold_in_pipe(fd);
	if (!strcmp(how, "aio"))
		return hold_in_aio(fd);
	return 0;
}

static int keep(const char *how)
{
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), peer, fd = -1;
	char message[8];

	if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 1))
		return 1;
	close(open(READY, O_CREAT | O_WRONLY, 0666));
	peer = accept(listener, NULL, NULL);
	if (strcmp(how, "unread")) {
		if (broker_receive(peer, message, sizeof(message), &fd) || fd < 0)
			return 1;
		if (hold(how, fd) || broker_send(peer, message, sizeof(message), -1))
			return 1;
	}
	unlink(READY);
	for (;;)
		pause();
}

static int ask(int socket, enum broker_op op, const char *path, int *fd)
{
	struct broker_request request = {BROKER_MAGIC, BROKER_VERSION, (uint16_t)op};
	struct broker_reply reply;
	int error;

	request.page_size = UINT64_C(2) << 20;
	request.node = -1;
	snprintf(request.path, sizeof(request.path), "%s", path);
	error = broker_send(socket, &request, sizeof(request), -1);
	if (!error)
		error = broker_receive(socket, &reply, sizeof(reply), fd);
	return error ? error : reply.error;
}

/* By itself when there is no socket. */
static int get(int socket, const char *path)
{
	int fd;

	if (socket < 0)
		return open(path, O_RDWR);
	return ask(socket, BROKER_OPEN, path, &fd) ? -1 : fd;
}

/* Memory of the program that devices reach: its begin is at the address 0. */
static int map_page(int container)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.size = 4096,
	};
	void *page = mmap(NULL, map.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);

	map.vaddr = (uintptr_t)page;
	return page == MAP_FAILED ? -1 : ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
}

/* The group and the container are closed: the device's descriptor is all that is left. */
static int device_of_group(int socket, const char *group, const char *device)
{
	int container = get(socket, "/dev/vfio/vfio"), fd = get(socket, group);

	if (container < 0 || fd < 0 || ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -1;
	if (!strcmp(device, "container"))
		return map_page(container) ? -1 : container;
	return ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, device);
}

static int get_file(int argc, char **argv)
{
	int socket, fd;

	if (!strcmp(argv[1], "own"))
		return device_of_group(-1, argv[2], argv[3]);
	if (ask(atoi(getenv(BROKER_ENV)), BROKER_HELLO, "", &socket))
		return -1;
	if (argc == 4)
		return device_of_group(socket, argv[2], argv[3]);
	if (ask(socket, strcmp(argv[2], "page") ? BROKER_OPEN : BROKER_PAGE, argv[2], &fd))
		return -1;
	return fd;
}

static int pass(int argc, char **argv)
{
	int peer = socket(AF_UNIX, SOCK_SEQPACKET, 0), fd = get_file(argc, argv), none;
	char message[8] = "";

	if (fd < 0 || connect(peer, (const struct sockaddr *)&address, sizeof(address)) ||
	    broker_send(peer, message, sizeof(message), fd)) {
		perror("lend_keep");
		return 1;
	}
	/* One that does not read does not answer either. */
	setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 2},
		   sizeof(struct timeval));
	broker_receive(peer, message, sizeof(message), &none);
	printf("%s\n", pwrite(fd, "", 1, 4) == 1 ? "writable" : "passed");
	return 0;
}

/* Its number is read from the device, so that it is the one that is meant. */
static int open_and_keep(const char *group, const char *device)
{
	struct vfio_region_info region = {
		.argsz = sizeof(region),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	int fd = device_of_group(-1, group, device);
	uint16_t vendor;

	if (fd < 0 || ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region) ||
	    pread(fd, &vendor, sizeof(vendor), (off_t)region.offset) != sizeof(vendor)) {
		perror("lend_keep");
		return 1;
	}
	printf("vendor 0x%04x\n", vendor);
	fflush(stdout);
	close(open(OPEN, O_CREAT | O_WRONLY, 0666));
	for (;;)
		pause();
}

static bool is_named(const char *pid, const char *name)
{
	char path[64], comm[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.10s/comm", pid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fscanf(file, "%31s", comm) != 1)
		comm[0] = '\0';
	fclose(file);
	return !strcmp(comm, name);
}

static int trace(const char *name, const char *before_end)
{
	long options = atoi(before_end) ? PTRACE_O_TRACEEXIT : 0;
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	while (proc && (entry = readdir(proc))) {
		if (!is_named(entry->d_name, name))
			continue;
		if (ptrace(PTRACE_SEIZE, atoi(entry->d_name), 0, options)) {
			perror("lend_keep");
			return 1;
		}
		close(open(READY, O_CREAT | O_WRONLY, 0666));
		for (;;)
			pause();
	}
	return 1;
}

static int keep_leases(void)
{
	static const char *const files[] = {"maps", "mountinfo", "stat", "status", "comm"};
	char path[64];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		if (lease(path))
			return 1;
		snprintf(path, sizeof(path), "/proc/self/task/%d/%s", getpid(), files[i]);
		if (lease(path))
			return 1;
	}
	close(open(READY, O_CREAT | O_WRONLY, 0666));
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "lease"))
		return keep_leases();
	if (argc == 4 && !strcmp(argv[1], "trace"))
		return trace(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "open"))
		return open_and_keep(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "keep"))
		return keep(argv[2]);
	return argc >= 3 && getenv(BROKER_ENV) ? pass(argc, argv) : 2;
}
