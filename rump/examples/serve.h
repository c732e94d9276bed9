/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rump/rump.h>
#include <rump/rump_syscalls.h>

#define NETBSD_EADDRINUSE 48

static int serve_end[2];

/* The kernel's threads may get the signal as well as this one. */
static inline void serve_ends(int signal)
{
	(void)signal;
	if (write(serve_end[1], "", 1) != 1)
		_exit(1);
}

static inline void serve_until_told(void)
{
	const struct sigaction action = {.sa_handler = serve_ends, .sa_flags = SA_RESTART};
	char byte;

	if (pipe(serve_end) || sigaction(SIGTERM, &action, NULL) ||
	    sigaction(SIGINT, &action, NULL))
		err(1, "signals");
	while (read(serve_end[0], &byte, 1) != 1)
		;
}

/*
 * Serves remote clients of the rump kernel at a URL (unix:///run/wm.sock) until SIGTERM or ctrl-C.
 * Then the kernel shuts down as NetBSD does: it writes what it has cached, and its drivers flush
 * their disks. Who may write to the socket owns the kernel: it is made for this user alone.
 */
static inline void serve(const char *url)
{
	mode_t before = umask(0077);
	int error = rump_init_server(url);

	umask(before);
	if (error)
		errx(1, "cannot serve %s: error %d%s", url, error,
		     error == NETBSD_EADDRINUSE
			     ? ": a server is there, or one that was killed left its socket"
			     : "");
	printf("serving %s\n", url);
	fflush(stdout);
	serve_until_told();
	rump_sys_reboot(0, NULL);
	exit(0); /* a kernel without this system call */
}
