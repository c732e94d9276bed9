// SPDX-License-Identifier: BSD-2-Clause
/*
 * Plays a rump kernel whose libraries are loaded at run time: all of them are this one. Like the
 * real one it takes its memory from its host and looks for its devices on bus 0.
 *
 * Its network card has a peer of its own, which answers ARP (RFC 826) and ICMP echo requests (RFC
 * 792) for every address; the interrupt of an answer is a real 82540EM's (8254x manual, 13.4.17).
 * Its disk is the file STANDIN_DISK.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pump/netbsd_mbuf.h"
#include "hypercall.h"
#include "kernel.h"

#define NETBSD_ENXIO   6
#define NETBSD_EINVAL  22
#define NETBSD_ENOBUFS 55
#define CLUSTER        2048
#define FRAME_MAX      9216
#define BROADCAST      "\xff\xff\xff\xff\xff\xff"
#define PEER_MAC       "\x02\0\0\0\0\x01"

enum { ROUTE = 1000, DISK };
enum { ICR = 0xc0, ICS = 0xc8, IMS = 0xd0, RXT0 = 1 << 7 };

struct standin_mbuf {
	struct netbsd_mbuf shown;
	uint8_t bytes[];
};

/* A program that takes frames has this one. */
void rumpns_if_percpuq_enqueue(void *queue, struct netbsd_mbuf *frame) __attribute__((weak));

static pthread_mutex_t processor = PTHREAD_MUTEX_INITIALIZER;
static int wire[2], disk = -1;
static bool found_device, is_up, is_promiscuous;
static unsigned int mtu = ETH_DATA_LEN;
static volatile uint8_t *registers;

void rumpuser_component_kthread(void)
{
}

void rumpuser_component_schedule(void *cookie)
{
	(void)cookie;
	pthread_mutex_lock(&processor);
}

void *rumpuser_component_unschedule(void)
{
	pthread_mutex_unlock(&processor);
	return NULL;
}

int rumpuser_component_errtrans(int host_errno)
{
	return host_errno;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

int rump_init(void)
{
	unsigned int id;
	void *memory;

	if (rumpuser_malloc(1 << 20, 4096, &memory))
		return NETBSD_ENXIO;
	rumpcomp_pci_virt_to_mach(memory);
	for (unsigned int i = 0; i < 32; i++) {
		if (rumpcomp_pci_confread(0, i, 0, 0, &id))
			continue;
		found_device = true;
		rumpcomp_pci_irq_map(0, i, 0, 0, 1);
	}
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, wire) ? NETBSD_ENXIO : 0;
}

void rump_schedule(void)
{
	rumpuser_component_schedule(NULL);
}

void rump_unschedule(void)
{
	rumpuser_component_unschedule();
}

void rumpns__kernel_lock(int count)
{
	(void)count;
}

void rumpns__kernel_unlock(int count, int *counted)
{
	(void)count;
	(void)counted;
}

int rump_pub_lwproc_newlwp(int pid)
{
	(void)pid;
	return 0;
}

int rump___sysimpl_socket30(int domain, int type, int protocol)
{
	return domain == 34 && type == 3 && protocol == 0 ? ROUTE : fail(NETBSD_EINVAL);
}

int rump___sysimpl_open(const char *path, int flags, mode_t mode)
{
	(void)mode;
	if (!found_device || (flags & 3) != 2)
		return fail(NETBSD_ENXIO);
	if (strcmp(path, "/dev/rld0d") || !getenv("STANDIN_DISK"))
		return fail(NETBSD_ENXIO);
	disk = open(getenv("STANDIN_DISK"), O_RDWR | O_CLOEXEC);
	return disk < 0 ? fail(NETBSD_ENXIO) : DISK;
}

int rump___sysimpl_close(int fd)
{
	return fd == DISK ? close(disk) : 0;
}

static int disk_ioctl(unsigned long request, void *data)
{
	struct stat about;

	if (fstat(disk, &about))
		return fail(NETBSD_EINVAL);
	switch (request) {
	case DIOCGMEDIASIZE:
		memcpy(data, &about.st_size, 8);
		return 0;
	case DIOCGSECTORSIZE:
		*(int *)data = 512;
		return 0;
	case DIOCCACHESYNC:
		fprintf(stderr, "standin: flushed\n");
		return fsync(disk) ? fail(5) : 0;
	default:
		return fail(NETBSD_EINVAL);
	}
}

static void write_register(unsigned int at, uint32_t value)
{
	*(volatile uint32_t *)(registers + at) = value;
}

static struct netbsd_mbuf *make(size_t size, struct netbsd_mbuf *next)
{
	struct standin_mbuf *made = calloc(1, sizeof(*made) + size);

	made->shown.data = made->bytes;
	made->shown.size = (int)size;
	made->shown.next = next;
	return &made->shown;
}

/* All frames of an interrupt. */
static int receive(void *arg)
{
	ssize_t size = 1;

	(void)arg;
	if (!*(volatile uint32_t *)(registers + ICR))
		return 0;
	while (size > 0) {
		struct netbsd_mbuf *frame = make(FRAME_MAX, NULL);

		size = recv(wire[0], frame->data, FRAME_MAX, 0);
		frame->size = (int)size;
		if (size > 0)
			rumpns_if_percpuq_enqueue(NULL, frame);
		else
			free(frame);
	}
	return 1;
}

static int bring_up(bool up)
{
	unsigned int bar;

	is_up = up;
	if (!up || registers)
		return 0;
	rumpcomp_pci_confread(0, 0, 0, 0x10, &bar);
	registers = rumpcomp_pci_map(bar & ~15u, 0x20000);
	if (!is_promiscuous || !registers || !rumpcomp_pci_irq_establish(1, receive, NULL))
		return fail(NETBSD_ENXIO);
	write_register(IMS, RXT0);
	return 0;
}

int rump___sysimpl_ioctl(int fd, unsigned long request, void *data)
{
	if (fd == DISK)
		return disk_ioctl(request, data);
	switch (request) {
	case SIOCGIFFLAGS:
		memset((char *)data + 16, 0, 4);
		return strcmp(data, "wm0") ? fail(NETBSD_ENXIO) : 0;
	case SIOCSIFFLAGS:
		return bring_up(((char *)data)[16] & 1);
	case SIOCSIFMTU:
		memcpy(&mtu, (char *)data + 16, 4);
		return mtu > 9000 ? fail(NETBSD_EINVAL) : 0;
	case SIOCGIFMEDIA:
		((int *)((char *)data + 16))[2] = is_up ? 3 : 1;
		return 0;
	default:
		return fail(NETBSD_EINVAL);
	}
}

static uint16_t sum(const uint8_t *bytes, size_t size)
{
	uint32_t total = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		total += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons((uint16_t)~total);
}

/* Returns whether the peer answers; the frame becomes the answer. */
static bool answers(uint8_t *frame, size_t size)
{
	uint8_t *ip = frame + ETH_HLEN, address[4];

	if (size >= 42 && !memcmp(frame + 12, "\x08\x06", 2) && ip[7] == 1) {
		memcpy(address, ip + 24, 4);
		memcpy(ip + 18, ip + 8, 10);
		memcpy(ip + 8, PEER_MAC, 6);
		memcpy(ip + 14, address, 4);
		ip[7] = 2;
	} else if (size >= 42 && !memcmp(frame + 12, "\x08\0", 2) && ip[9] == 1 && ip[20] == 8) {
		memcpy(address, ip + 16, 4);
		memcpy(ip + 16, ip + 12, 4);
		memcpy(ip + 12, address, 4);
		ip[20] = 0;
		memset(ip + 22, 0, 2);
		memcpy(ip + 22, &(uint16_t){sum(ip + 20, (size_t)(ip[2] << 8 | ip[3]) - 20)}, 2);
	} else {
		return false;
	}
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, PEER_MAC, 6);
	return true;
}

void *rumpns_ifunit(const char *name)
{
	return found_device && !strcmp(name, "wm0") ? wire : NULL;
}

int rumpns_ifpromisc(void *interface, int on)
{
	(void)interface;
	is_promiscuous = on;
	return 0;
}

/* Whoever copies himself has the buffers that the kernel takes for frames of more than 2 KiB. */
struct netbsd_mbuf *rumpns_m_devget(const void *data, int size, int offset, void *interface,
				    void (*copy)(const void *from, void *to, size_t size))
{
	struct netbsd_mbuf *frame = NULL;

	if (offset || interface != wire || (copy && size % CLUSTER))
		abort();
	for (int made = 0; copy && made < size; made += CLUSTER)
		frame = make(CLUSTER, frame);
	if (!copy)
		frame = make((size_t)size, NULL);
	if (!copy)
		memcpy(frame->data, data, (size_t)size);
	frame->packet_size = size;
	return frame;
}

void rumpns_m_freem(struct netbsd_mbuf *frame)
{
	while (frame) {
		struct netbsd_mbuf *next = frame->next;

		free(frame);
		frame = next;
	}
}

/* Copies a frame's buffers to one. Returns its bytes. */
static size_t flatten(const struct netbsd_mbuf *frame, uint8_t *to, size_t most)
{
	size_t size = 0;

	for (const struct netbsd_mbuf *one = frame; one; one = one->next) {
		if (size + (size_t)one->size > most)
			abort();
		memcpy(to + size, one->data, (size_t)one->size);
		size += (size_t)one->size;
	}
	if (size != (size_t)frame->packet_size)
		abort();
	return size;
}

/* The first frame of all finds the card's queue full. */
int rumpns_ifq_enqueue(void *interface, struct netbsd_mbuf *frame)
{
	static uint8_t bytes[64 << 10];
	static bool was_full;
	size_t size = flatten(frame, bytes, sizeof(bytes));
	int error = 0;

	(void)interface;
	if (!was_full) {
		was_full = true;
		error = NETBSD_ENOBUFS;
	} else if (is_up && size <= mtu + ETH_HLEN && answers(bytes, size)) {
		(void)!send(wire[1], bytes, size, 0);
		write_register(ICS, RXT0);
	}
	rumpns_m_freem(frame);
	return error;
}

ssize_t rump___sysimpl_read(int fd, void *buffer, size_t size)
{
	(void)buffer;
	(void)size;
	while (fd == ROUTE)
		pause();
	return fail(NETBSD_EINVAL);
}

ssize_t rump___sysimpl_pread(int fd, void *buffer, size_t size, off_t offset)
{
	return fd == DISK ? pread(disk, buffer, size, offset) : fail(NETBSD_EINVAL);
}

ssize_t rump___sysimpl_pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
	return fd == DISK ? pwrite(disk, buffer, size, offset) : fail(NETBSD_EINVAL);
}

int rump___sysimpl_reboot(int how, char *arguments)
{
	(void)how;
	(void)arguments;
	fprintf(stderr, "standin: shut down\n");
	_exit(0);
}
