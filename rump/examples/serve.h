/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <err.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rump/rump.h>

#define NETBSD_EADDRINUSE 48

/*
 * Serves remote clients of the rump kernel at a URL (unix:///run/wm.sock) for good. Who may write
 * to the socket owns the kernel: it is made for this user alone.
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
	for (;;)
		pause();
}
