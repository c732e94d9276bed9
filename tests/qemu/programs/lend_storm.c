// SPDX-License-Identifier: BSD-2-Clause
/*
 * A program that cannot be killed process by process: N chains, in which each process starts the
 * next, in a session of its own, and ends. The program itself, which is none of them, has a named
 * pipe open, whose end tells when it has ended: in a storm that is long after it wanted to. With
 * "0" each process goes on starting others instead, until the system allows no more; with "-1" all
 * of them are siblings of the program, children of who started it.
 *
 * usage: lend_storm CHAINS [SECONDS [PIPE]]
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As fork(2) does. */
static long start(unsigned long flags)
{
	return syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

static void double_without_end(unsigned long flags)
{
	if (start(flags))
		return;
	for (;;)
		start(flags);
}

/* All chains start when the pipe is closed. */
static void chain(const int *pair)
{
	char none;

	close(pair[1]);
	while (read(pair[0], &none, 1) > 0)
		;
	for (;;) {
		if (fork() > 0)
			_exit(0);
		setsid();
	}
}

int main(int argc, char **argv)
{
	int pair[2], chains = argc > 1 ? atoi(argv[1]) : 96;

	if (pipe(pair))
		return 1;
	if (chains <= 0)
		double_without_end(chains ? CLONE_PARENT : 0);
	for (int i = chains; i > 0; i--) {
		if (fork() == 0)
			chain(pair);
	}
	if (argc > 3 && open(argv[3], O_WRONLY) < 0)
		return 1;
	close(pair[1]);
	sleep(argc > 2 ? (unsigned int)atoi(argv[2]) : 1);
	_exit(0);
}
