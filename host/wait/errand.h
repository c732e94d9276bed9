/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Reads and writes of files that may block in the kernel for ever, where no signal ends them: a
 * driver waits for its users, and others who read about the device wait for that driver. So a
 * separate process makes them.
 */

#include <stddef.h>
#include <sys/types.h>

/* Room for what is read or written, in bytes. */
#define ERRAND_SIZE 512

/*
 * The process. The first errand starts it, because starting one costs more than all that it does;
 * one that is late is left to itself, and the next errand starts another. All zero: there is none.
 */
struct errand_runner {
	int socket;
	pid_t pid;
	pid_t owner; /* who started it: a child of the owner starts one of its own */
};

struct errand {
	int fd;                   /* the file */
	int held;                 /* a descriptor that the process keeps open too, or -1 */
	const char *text;         /* what is written; NULL: it reads */
	size_t length;            /* of text */
	unsigned int deadline_ms; /* for the kernel to answer */
};

/*
 * Makes one read(2) or write(2); answer, of ERRAND_SIZE bytes, gets what was read, terminated.
 * Returns how many bytes were moved, a negative errno, or -ETIMEDOUT when the kernel has not
 * answered: the process goes on waiting then, with no other file open than fd and held, and *pid
 * says which one it is. Otherwise *pid is 0. pid may be NULL.
 */
ssize_t errand_run(struct errand_runner *runner, const struct errand *errand, char *answer,
		   pid_t *pid);

/* Ends the process, if there is one, and waits for it. */
void errand_end(struct errand_runner *runner);
