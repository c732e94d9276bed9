/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Opens a file of /proc for reading that its owner has taken a lease on, fcntl(2): every user can
 * do so with the files of his processes, and keep others waiting for 45 seconds each time that they
 * open one. path begins with "/proc/". Returns a descriptor (O_CLOEXEC) or a negative errno:
 * -EAGAIN when this process may not mount a file system, which it takes.
 */
int leased_open(const char *path);
