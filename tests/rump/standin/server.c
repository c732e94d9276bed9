// SPDX-License-Identifier: BSD-2-Clause
/*
 * Plays a rump kernel for rump/examples/disk.c: says what it is asked for. Its disk is an ordinary
 * file. Like the real one it has threads, which may get the program's signals.
 */

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rump/rump.h>
#include <rump/rump_syscalls.h>

static void *run(void *data)
{
	for (;;)
		pause();
	return data;
}

int rump_init(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, run, NULL);
}

int rump_init_server(const char *url)
{
	(void)url;
	return 0;
}

int rump_sys_open(const char *path, int flags)
{
	(void)flags;
	return open(path, O_RDWR);
}

int rump_sys_close(int fd)
{
	return close(fd);
}

ssize_t rump_sys_pread(int fd, void *buffer, size_t size, off_t offset)
{
	return pread(fd, buffer, size, offset);
}

ssize_t rump_sys_pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
	return pwrite(fd, buffer, size, offset);
}

int rump_sys_reboot(int how, char *arguments)
{
	printf("shut down (%d, %s)\n", how, arguments ? arguments : "no arguments");
	exit(0);
}
