// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds and ends commands that serve a card, see service.h.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "host.h"
#include "wait/service.h"
#include "state.h"

#define LOG_SUBJECT "restore"
#include "log.h"

#define END_MS 60000

pid_t service_find(struct usrpci_host *host, const char *mark, char name[NAME_SIZE])
{
	char text[64];
	int pid = 0;

	if (!state_is_held(host, mark, text, sizeof(text)) ||
	    sscanf(text, "%d %31s", &pid, name) != 2 || pid <= 1)
		return 0;
	return pid;
}

int service_end(struct usrpci_host *host, const char *mark, const char *object, pid_t pid)
{
	uint64_t deadline = clock_ms() + END_MS;
	char name[NAME_SIZE];

	/* A process that is stopped ends when it goes on. */
	if (kill(pid, SIGTERM) || kill(pid, SIGCONT))
		return report(host->ctx, -errno, object, NULL, "cannot end its server (pid %d)",
			      pid);
	while (service_find(host, mark, name) == pid) {
		if (clock_ms() >= deadline)
			return refuse(host->ctx, -EBUSY, object, NULL,
				      "its server (pid %d) does not end", pid);
		sleep_ms(20);
	}
	return 1;
}
