// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMA memory of devices without an IOMMU: a hugetlbfs of a broker's own, which has as many pages as
 * may be lent, whatever the program does with its files. It outlives the broker, for recovery to
 * find, and tells whether anybody still has a page, also by a mapping or in a socket.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <usrpci/dma.h>

#include "base.h"
#include "file.h"
#include "lend/lend.h"
#include "state.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define DIRECTORY STATE_DIR "/memory-%s"

/*
 * The notes name the directory already, so that recovery finds it whenever this process is killed.
 */
static int mount_own(struct lend *lend)
{
	struct usrpci_host *host = lend->host;
	char options[64];
	int error;

	if (!lend->memory_directory[0])
		return 0;
	snprintf(options, sizeof(options), "pagesize=2M,size=%zuM,mode=0700",
		 lend->page_limit * (LEND_PAGE_SIZE >> 20));
	error = apply_mount(host, "a place for DMA memory", "hugetlbfs", lend->memory_directory,
			    options);
	if (!error)
		return 0;
	report(host->ctx, error, lend->memory_directory, NULL, "cannot mount a hugetlbfs");
	lend->memory_directory[0] = '\0';
	return error;
}

/* How many pages the kernel adds is known only afterwards; until then the base tells. */
static int reserve_noted(struct lend *lend)
{
	size_t ours;
	int error = hugepages_ours(lend->host, LEND_PAGE_SIZE, &ours);

	if (error)
		return error;
	lend->pages = (struct lend_pages){lend->page_limit, (int64_t)ours};
	error = lend_notes_write(lend) ?:
		mount_own(lend) ?:
		usrpci_host_hugepages_reserve(lend->host, lend->page_limit, LEND_PAGE_SIZE, -1);
	lend->pages = (struct lend_pages){error > 0 ? (size_t)error : 0, -1};
	return error < 0 ? error : lend_notes_write(lend);
}

int lend_memory_reserve(struct lend *lend)
{
	int error = state_lock(lend->host);

	if (error)
		return error;
	error = reserve_noted(lend);
	state_unlock(lend->host);
	return error;
}

/*
 * The pipe has a slot for each page that may be lent. A longer one than other users may have takes
 * a capability; without it there are fewer slots, and so fewer pages.
 */
static int open_pins(struct lend *lend)
{
	if (pipe2(lend->pins, O_CLOEXEC))
		return -errno;
	fcntl(lend->pins[1], F_SETPIPE_SZ, lend->page_limit * (size_t)sysconf(_SC_PAGESIZE));
	return 0;
}

int lend_memory_use(struct lend *lend)
{
	const struct ctx_base *base = ctx_base(lend->host->ctx);
	struct usrpci_ctx_options options = {
		.log = base->log,
		.log_data = base->log_data,
		.log_level = base->log_level,
		.page_size = LEND_PAGE_SIZE,
		.dma_directory = lend->memory_directory,
	};

	if (!lend->memory_directory[0])
		return 0;
	return usrpci_ctx_open(&options, &lend->memory) ?: usrpci_dma_physical(lend->memory);
}

int lend_memory_open(struct lend *lend)
{
	int error;

	snprintf(lend->memory_directory, sizeof(lend->memory_directory), DIRECTORY,
		 lend->devices[0].name);
	error = lend_memory_reserve(lend);
	return error || lend->host->options.dry_run ? error : open_pins(lend);
}

static int give_back_above(struct usrpci_host *host, struct lend_pages *pages,
			   int (*write_note)(void *note, struct usrpci_host *host), void *note)
{
	size_t ours, left;
	int error = hugepages_ours(host, LEND_PAGE_SIZE, &ours);

	if (error)
		return error;
	if (pages->base < 0)
		pages->base = ours > pages->count ? (int64_t)(ours - pages->count) : 0;
	left = ours > (size_t)pages->base ? ours - (size_t)pages->base : 0;
	left = left < pages->count ? left : pages->count;
	error = write_note(note, host);
	/* Also when none is left: what a pool's last change came to is then noted. */
	if (!error)
		error = hugepages_give_back(host, left, LEND_PAGE_SIZE, -1);
	return error < 0 ? error : 0;
}

int lend_pages_give_back(struct usrpci_host *host, struct lend_pages *pages,
			 int (*write_note)(void *note, struct usrpci_host *host), void *note)
{
	int error;

	if (!pages->count)
		return 0;
	error = state_lock(host);
	if (error)
		return error;
	error = give_back_above(host, pages, write_note, note);
	state_unlock(host);
	return error;
}

/* The kernel counts what is in a slot of the pipe among a page's users. */
int lend_memory_pin(struct lend *lend, void *block)
{
	const struct iovec byte = {block, 1};

	return vmsplice(lend->pins[1], &byte, 1, SPLICE_F_NONBLOCK) < 0 ? -errno : 0;
}

void lend_memory_unpin(struct lend *lend)
{
	for (int i = 0; i < 2; i++) {
		if (lend->pins[i] >= 0)
			close(lend->pins[i]);
		lend->pins[i] = -1;
	}
}

uint64_t lend_memory_used(struct usrpci_host *host, const char *directory)
{
	char path[PATH_SIZE];
	struct statfs status;

	if (path_format(host->ctx, path, "%s", directory) || statfs(path, &status) ||
	    status.f_type != HUGETLBFS_MAGIC)
		return 0;
	return (uint64_t)(status.f_blocks - status.f_bfree) * (uint64_t)status.f_bsize;
}

int lend_for_files(struct usrpci_host *host, const char *directory,
		   int (*change)(struct usrpci_host *host, const char *path))
{
	AUTO_FREE char **names = NULL;
	char path[PATH_SIZE];
	int count = dir_list(host->ctx, &names, "%s", directory), first = 0;

	for (int i = 0; i < count; i++) {
		int error = -ENAMETOOLONG,
		    length = snprintf(path, sizeof(path), "%s/%s", directory, names[i]);

		if (length > 0 && (size_t)length < sizeof(path))
			error = change(host, path);
		first = first ? first : error;
	}
	return count < 0 && count != -ENOENT ? count : first;
}

/* A file that somebody has open keeps its pages after this. */
static int remove_file(struct usrpci_host *host, const char *path)
{
	int error = apply_remove(host, "free DMA memory", path);

	return error ? report(host->ctx, error, path, NULL, "cannot remove it") : 0;
}

int lend_memory_renew(struct lend *lend)
{
	int error;

	lend_memory_unpin(lend);
	error = lend_for_files(lend->host, lend->memory_directory, remove_file);
	if (!error && lend_memory_used(lend->host, lend->memory_directory))
		error = refuse(lend->host->ctx, -EBUSY, lend->memory_directory, NULL,
			       "a process has some of the DMA memory still");
	return error ?: open_pins(lend);
}

int lend_memory_free(struct usrpci_host *host, const char *directory)
{
	static const char hint[] = "usrpci restore --all tries again when it has ended";
	int error = lend_for_files(host, directory, remove_file);

	if (!error && lend_memory_used(host, directory))
		error = -EBUSY;
	if (!error)
		error = apply_unmount(host, "remove the file system of DMA memory", directory);
	if (error == -EBUSY)
		return refuse(host->ctx, error, directory, hint,
			      "a process has some of the DMA memory still");
	return error ? report(host->ctx, error, directory, hint, "cannot free the DMA memory there")
		     : 0;
}
