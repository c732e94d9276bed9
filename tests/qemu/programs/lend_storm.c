// SPDX-License-Identifier: BSD-2-Clause
/*
 * A program that cannot be killed process by process: N chains, in which each process starts the
 * next, in a session of its own, and ends. Prints the monotonic clock when the program itself ends,
 * in milliseconds.
 *
 * usage: lend_storm CHAINS [SECONDS]
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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
	struct timespec now;
	int pair[2];

	if (pipe(pair))
		return 1;
	for (int i = argc > 1 ? atoi(argv[1]) : 96; i > 0; i--) {
		if (fork() == 0)
			chain(pair);
	}
	close(pair[1]);
	sleep(argc > 2 ? (unsigned int)atoi(argv[2]) : 1);
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%" PRId64 "\n", (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	fflush(stdout);
	_exit(0);
}
