/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Requests of NetBSD's ioctl(2) on amd64 that kernel.c knows, as numbers. */

#include <sys/types.h>

struct netbsd_mbuf;

enum {
	SIOCSIFFLAGS = 0x80906910u,
	SIOCGIFFLAGS = 0xc0906911u,
	SIOCGIFMEDIA = 0xc0306936u,
	SIOCSIFMTU = 0x8090697fu,
	DIOCGMEDIASIZE = 0x40086484,
	DIOCGSECTORSIZE = 0x40046485,
	DIOCCACHESYNC = 0x80046476u,
};

/* What programs find in a rump kernel by its name. */
int rump_init(void);
void rump_schedule(void);
void rump_unschedule(void);
void rumpns__kernel_lock(int count);
void rumpns__kernel_unlock(int count, int *counted);
void *rumpns_ifunit(const char *name);
int rumpns_ifpromisc(void *interface, int on);
struct netbsd_mbuf *rumpns_m_devget(const void *data, int size, int offset, void *interface,
				    void (*copy)(const void *from, void *to, size_t size));
void rumpns_m_freem(struct netbsd_mbuf *frame);
int rumpns_ifq_enqueue(void *interface, struct netbsd_mbuf *frame);
int rump_pub_lwproc_newlwp(int pid);
int rump___sysimpl_socket30(int domain, int type, int protocol);
int rump___sysimpl_open(const char *path, int flags, mode_t mode);
int rump___sysimpl_close(int fd);
int rump___sysimpl_ioctl(int fd, unsigned long request, void *data);
ssize_t rump___sysimpl_read(int fd, void *buffer, size_t size);
ssize_t rump___sysimpl_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t rump___sysimpl_pwrite(int fd, const void *buffer, size_t size, off_t offset);
int rump___sysimpl_reboot(int how, char *arguments);
