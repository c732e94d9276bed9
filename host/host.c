// SPDX-License-Identifier: BSD-2-Clause
/*
 * The opened host: options, and the handles of the libraries below it, each opened when it is first
 * needed, because most commands need few of them.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "confirm/confirm.h"
#include "file.h"
#include "host.h"
#include "libraries.h"
#include "unread.h"
#include "wait/maps.h"

static const struct host_kernel running_kernel = {
	.perform = apply_perform,
	.read_net = net_read,
};

int usrpci_host_open(struct usrpci_ctx *ctx, const struct usrpci_host_options *options,
		     struct usrpci_host **result)
{
	struct usrpci_host *host = calloc(1, sizeof(*host));

	if (!host)
		return -ENOMEM;
	host->ctx = ctx;
	if (options)
		host->options = *options;
	host->kernel = &running_kernel;
	host->lock_ms = 10000;
	host->settle_ms = 3000;
	host->kernel_ms = 15000;
	host->lock_fd = -1;
	*result = host;
	return 0;
}

void usrpci_host_close(struct usrpci_host *host)
{
	if (!host)
		return;
	errand_end(&host->runner);
	maps_end(host);
	confirm_end(host);
	if (host->lib_udev) {
		host->lib_udev->udev_hwdb_unref(host->hwdb);
		host->lib_udev->udev_unref(host->udev);
	}
	free(host->lib_udev);
	free(host->names);
	if (host->kmod)
		host->lib->kmod_unref(host->kmod);
	free(host->lib);
	free(host->lib_mount);
	free(host);
}

bool host_is_live(const struct usrpci_host *host)
{
	return !ctx_base(host->ctx)->root[0];
}

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sleep_ms(unsigned int ms)
{
	struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

int host_each_process(struct usrpci_host *host, int (*visit)(void *data, const char *pid),
		      void *data)
{
	int fd = file_open(host->ctx, O_RDONLY | O_DIRECTORY, "/proc"), result = 0;
	DIR *proc = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (fd >= 0 && !proc)
		close(fd);
	if (!proc)
		return fd < 0 ? fd : -ENOMEM;
	while (errno = 0, !result && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			result = visit(data, entry->d_name);
	if (!result)
		result = note_unread(host->ctx, "/proc", -errno);
	closedir(proc);
	return result;
}

bool thread_shares_files(const char *pid, const char *thread)
{
	return strcmp(pid, thread) != 0 &&
	       syscall(SYS_kcmp, atoi(pid), atoi(thread), KCMP_FILES, 0, 0) == 0;
}

void host_process_name(struct usrpci_host *host, const char *pid, char *name, size_t size)
{
	if (file_read(host->ctx, name, size, "/proc/%s/comm", pid) < 0)
		snprintf(name, size, "?");
	make_printable(name);
}
