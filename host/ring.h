/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A program may close a file that it has registered with an io_uring, and use it all the same.
 * proc_pid_fdinfo(5) of the ring names them.
 */

#include <stdbool.h>

/* What /proc/PID/fd and /proc/PID/maps call a ring. */
#define RING_PATH "anon_inode:[io_uring]"

/*
 * Calls judge for each file that is registered with a ring: by its path, or by the last part of it
 * before Linux 6.10. fds is the directory of a process's descriptors, and fd one of them. Returns
 * 0, what judge returned that was not 0, or -EAGAIN: the files cannot be seen.
 */
int ring_each_file(int fds, const char *fd, int (*judge)(void *data, const char *name), void *data);
