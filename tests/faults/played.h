/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* ADDR=DRIVER: the driver that takes a device which asks for no other. */
void played_match(const char *text);

/* The system calls that played() wants to see. */
#define PLAYED_CALLS 6
extern const long played_calls[PLAYED_CALLS];

/* A system call that a process is about to make, and what it returns. */
struct played {
	pid_t pid;
	long number;
	unsigned long long first, second, third;
	long *result;
};

/* Before a command: a disk that the one before it served is not any more, and names are as set. */
void played_begin(void);

/*
 * Returns whether the call is one that this kernel answers: it is done then, and *result is set.
 * Those are writes to files of sysfs which do something, requests to a network block device,
 * limits, which a container may not raise, and what tells a command that it is not on the host
 * itself: the file system of /sys, and the namespace of processes.
 */
bool played(const struct played *call);
