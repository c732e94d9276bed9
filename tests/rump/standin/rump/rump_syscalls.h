/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <sys/types.h>

#define RUMP_O_RDWR 2

int rump_sys_open(const char *path, int flags);
int rump_sys_close(int fd);
ssize_t rump_sys_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t rump_sys_pwrite(int fd, const void *buffer, size_t size, off_t offset);
int rump_sys_reboot(int how, char *arguments);
