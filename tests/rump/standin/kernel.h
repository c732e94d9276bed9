/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Requests of NetBSD's ioctl(2) on amd64 that kernel.c knows, as numbers. */

#include <sys/types.h>

enum {
	BIOCPROMISC = 0x20004269,
	BIOCIMMEDIATE = 0x80044270u,
	BIOCSHDRCMPLT = 0x80044275u,
	BIOCSSEESENT = 0x80044279u,
	BIOCSBLEN = 0xc0044266u,
	BIOCSETIF = 0x8090426cu,
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
int rump_pub_lwproc_newlwp(int pid);
int rump___sysimpl_socket30(int domain, int type, int protocol);
int rump___sysimpl_open(const char *path, int flags, mode_t mode);
int rump___sysimpl_close(int fd);
int rump___sysimpl_ioctl(int fd, unsigned long request, void *data);
ssize_t rump___sysimpl_read(int fd, void *buffer, size_t size);
ssize_t rump___sysimpl_write(int fd, const void *data, size_t size);
ssize_t rump___sysimpl_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t rump___sysimpl_pwrite(int fd, const void *buffer, size_t size, off_t offset);
int rump___sysimpl_reboot(int how, char *arguments);
