// SPDX-License-Identifier: BSD-2-Clause
/*
 * Huge page pools: grows them by what is missing and gives back exactly what it added. See the
 * kernel's Documentation/admin-guide/mm/hugetlbpage.rst. It does not mount hugetlbfs; DMA memory
 * needs no mount.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "hugepage.h"
#include "hugepages/pool.h"
#include "state.h"

#define LOG_SUBJECT "hugepages"
#include "log.h"

#define COMPACT    "/proc/sys/vm/compact_memory"
#define GROW_TRIES 3

static uint64_t meminfo(struct usrpci_host *host, const char *key)
{
	char text[4096], *line;
	uint64_t kilobytes;

	if (file_read(host->ctx, text, sizeof(text), "/proc/meminfo") < 0)
		return 0;
	line = strstr(text, key);
	if (!line || sscanf(line + strlen(key), ": %" SCNu64, &kilobytes) != 1)
		return 0;
	return kilobytes * 1024;
}

/*
 * Pages of 2 MiB are what DMA memory takes first. A machine whose default is larger is asked which
 * size is meant: a number that is right for the one size takes all memory in the other.
 */
static int default_page_size(struct usrpci_host *host, size_t count, size_t *page_size)
{
	uint64_t size = meminfo(host, "Hugepagesize");

	*page_size = HUGEPAGE_2M;
	if (!size || size == HUGEPAGE_2M)
		return 0;
	return refuse(host->ctx, -EINVAL, NULL, "--size 2M, which DMA memory takes, or --size 1G",
		      "the default huge page of this machine has %" PRIu64
		      " MiB, and %zu of them are %" PRIu64 " MiB: a size is needed",
		      size >> 20, count, count * (size >> 20));
}

/* The pools that a call works on. */
struct selection {
	struct pools all;
	struct usrpci_hugepages **picked;
	int count;
	size_t page_size; /* 0: all sizes */
	int node;         /* -1: all nodes */
};

static void selection_end(struct selection *selection)
{
	free(selection->picked);
	free(selection->all.list);
}

/* Picks the pools of a size and of selection->node. */
static int selection_begin(struct usrpci_host *host, size_t page_size, struct selection *selection)
{
	int error = pools_read(host, &selection->all);
	int node = selection->node;

	if (error)
		return error;
	selection->page_size = page_size;
	selection->picked = calloc((size_t)selection->all.count + 1, sizeof(*selection->picked));
	if (!selection->picked)
		return -ENOMEM;
	for (int i = 0; i < selection->all.count; i++) {
		struct usrpci_hugepages *pool = &selection->all.list[i];

		if ((!page_size || pool->page_size == page_size) &&
		    (node < 0 || pool->node == node))
			selection->picked[selection->count++] = pool;
	}
	if (selection->count)
		return 0;
	return refuse(host->ctx, -EINVAL, NULL, "usrpci hugepages lists what there is",
		      node < 0 ? "the kernel has no huge pages of %zu KiB"
			       : "the kernel has no huge pages of %zu KiB on node %d",
		      (page_size ? page_size : HUGEPAGE_2M) / 1024, node);
}

/*
 * Returns the free pages that are not reserved. The kernel counts reserved pages (mapped, not yet
 * touched) only for the whole machine, so those that the free pages of other nodes cannot satisfy
 * are subtracted here.
 */
static size_t available(struct usrpci_host *host, const struct pools *all, size_t page_size,
			int node)
{
	uint64_t promised = hugepage_promised(host->ctx, page_size);
	size_t inside = 0, outside = 0;

	for (int i = 0; i < all->count; i++) {
		const struct usrpci_hugepages *pool = &all->list[i];

		if (pool->page_size != page_size)
			continue;
		if (node < 0 || pool->node == node)
			inside += pool->free;
		else
			outside += pool->free;
	}
	promised = promised > outside ? promised - outside : 0;
	return inside > promised ? inside - (size_t)promised : 0;
}

static int set_total(struct usrpci_host *host, const struct usrpci_hugepages *pool, size_t total,
		     const char *why)
{
	char path[POOL_PATH], value[24];
	int error;

	error = pool_path(host, pool, path);
	if (error)
		return error;
	snprintf(value, sizeof(value), "%zu", total);
	error = apply_write(host, why, value, NULL, "%s/nr_hugepages", path);
	if (error)
		return report(host->ctx, error, NULL,
			      error == -EROFS ? "/sys is mounted read-only, as in a container: run "
						"on the host itself"
					      : "run as root",
			      "cannot write %s/nr_hugepages", path);
	return 0;
}

/* Asks for a new size, which the kernel may meet in part, and counts the difference as ours. */
static int resize(struct usrpci_host *host, struct pools *all, struct usrpci_hugepages *pool,
		  size_t total, const char *why)
{
	size_t before = pool->total;
	int error, failed;

	all->resizing = (struct resizing){pool, before, total};
	error = pools_write_note(host, all);
	if (error) {
		all->resizing.pool = NULL;
		return error;
	}
	error = set_total(host, pool, total, why);
	failed = pool_read(host, pool);
	/* When it cannot be read how many came, all may have. */
	if (host->options.dry_run || (failed && !error))
		pool->total = total;
	pool_count_as_ours(pool, before, total);
	all->resizing.pool = NULL;
	return error ?: failed;
}

/* Adds up to count pages to a pool. Returns how many came, or a negative errno. */
static int grow(struct usrpci_host *host, struct pools *all, struct usrpci_hugepages *pool,
		size_t count)
{
	size_t before = pool->total;
	int try, error = 0;

	for (try = 0; !error && try < GROW_TRIES && pool->total < before + count; try++) {
		/*
		 * The next try shows whether compaction helped, so its own failure does not matter.
		 */
		if (try)
			apply_write(host, "move pages together", "1", NULL, COMPACT);
		error = resize(host, all, pool, before + count, "reserve huge pages");
	}
	if (error)
		return error;
	return pool->total > before ? (int)(pool->total - before) : 0;
}

/* Takes up to count free pages of ours from a pool. Returns how many went, or a negative errno. */
static int shrink(struct usrpci_host *host, struct pools *all, struct usrpci_hugepages *pool,
		  size_t count)
{
	size_t before = pool->total;
	size_t spare = available(host, all, pool->page_size, pool->node);
	int error;

	count = count < pool->ours ? count : pool->ours;
	count = count < spare ? count : spare;
	if (!count)
		return 0;
	error = resize(host, all, pool, before - count, "give huge pages back");
	if (error)
		return error;
	return pool->total < before ? (int)(before - pool->total) : 0;
}

static int out_of_memory(struct usrpci_host *host, size_t page_size, size_t missing, size_t got)
{
	uint64_t memory = meminfo(host, "MemAvailable");
	bool is_short = memory / page_size < missing;
	char hint[160];

	snprintf(hint, sizeof(hint),
		 is_short ? "stop programs, or ask for fewer"
			  : "reserve them at boot, on the kernel's command line: hugepagesz=%zuK "
			    "hugepages=%zu",
		 page_size / 1024, missing);
	return refuse(
		host->ctx, -ENOMEM, NULL, hint,
		"%zu more huge pages of %zu KiB were asked for, the kernel gave %zu: memory is "
		"%s (%" PRIu64 " MiB available); nothing was reserved",
		missing, page_size / 1024, got, is_short ? "short" : "fragmented", memory >> 20);
}

/*
 * The pages go back even if that cannot be noted, because the old note counts only pages that
 * exist.
 */
static void undo_growth(struct usrpci_host *host, struct selection *selection, const size_t *grown)
{
	static const char why[] = "give back what was not enough";

	for (int i = 0; i < selection->count; i++) {
		struct usrpci_hugepages *pool = selection->picked[i];
		size_t before = pool->total - grown[i];

		if (grown[i] && resize(host, &selection->all, pool, before, why))
			set_total(host, pool, before, why);
	}
}

/* Takes what is missing from the nodes in their order, as far as each has it. */
static int grow_all(struct usrpci_host *host, struct selection *selection, size_t missing,
		    size_t *grown)
{
	size_t left = missing;
	int i, got;

	for (i = 0; i < selection->count && left; i++) {
		struct usrpci_hugepages *pool = selection->picked[i];
		size_t before = pool->total;

		got = grow(host, &selection->all, pool, left);
		grown[i] = pool->total > before ? pool->total - before : 0;
		if (got < 0)
			return got;
		left -= (size_t)got < left ? (size_t)got : left;
	}
	return left ? out_of_memory(host, selection->page_size, missing, missing - left) : 0;
}

static int grow_or_undo(struct usrpci_host *host, struct selection *selection, size_t missing)
{
	size_t *grown = calloc((size_t)selection->count, sizeof(*grown));
	int error;

	if (!grown)
		return -ENOMEM;
	error = grow_all(host, selection, missing, grown)
			?: pools_write_note(host, &selection->all);
	if (error) {
		undo_growth(host, selection, grown);
		pools_write_note(host, &selection->all);
	}
	free(grown);
	return error;
}

static int reserve(struct usrpci_host *host, struct selection *selection, size_t wanted)
{
	size_t spare = available(host, &selection->all, selection->page_size, selection->node);
	size_t missing = wanted > spare ? wanted - spare : 0;
	uint64_t memory;

	if (!missing)
		return 0;
	memory = meminfo(host, "MemAvailable");
	/* Otherwise the kernel would swap out everything else before it failed. */
	if (memory && memory / selection->page_size < missing)
		return out_of_memory(host, selection->page_size, missing, 0);
	return grow_or_undo(host, selection, missing) ?: (int)missing;
}

/* Gives back most of our pages, or all. */
static int release(struct usrpci_host *host, struct selection *selection, size_t most)
{
	int total = 0, error = 0, failed;

	for (int i = 0; !error && i < selection->count; i++) {
		struct usrpci_hugepages *pool = selection->picked[i];
		size_t wanted = most - (size_t)total;
		int went;

		wanted = pool->ours < wanted ? pool->ours : wanted;
		went = shrink(host, &selection->all, pool, wanted);
		error = went < 0 ? went : 0;
		total += went < 0 ? 0 : went;
		if (!error && (size_t)went < wanted)
			log_warning(host->ctx, NULL, "release again when their users have ended",
				    "%zu huge pages on node %d are still in use",
				    wanted - (size_t)went, pool->node);
	}
	failed = pools_write_note(host, &selection->all);
	return error ?: failed ?: total;
}

static int change(struct usrpci_host *host, size_t page_size, int node, size_t count,
		  int (*how)(struct usrpci_host *host, struct selection *selection, size_t count))
{
	struct selection selection = {.node = node};
	int result = state_lock(host);

	if (result)
		return result;
	result = selection_begin(host, page_size, &selection) ?: how(host, &selection, count);
	selection_end(&selection);
	state_unlock(host);
	return result;
}

int usrpci_host_hugepages_reserve(struct usrpci_host *host, size_t count, size_t page_size,
				  int node)
{
	int error = page_size ? 0 : default_page_size(host, count, &page_size);

	return error ?: change(host, page_size, node, count, reserve);
}

int hugepages_ours(struct usrpci_host *host, size_t page_size, size_t *ours)
{
	struct pools pools = {0};
	int found = pools_have_note(host), error = found > 0 ? pools_read(host, &pools) : found;

	*ours = 0;
	for (int i = 0; !error && i < pools.count; i++)
		*ours += pools.list[i].page_size == page_size ? pools.list[i].ours : 0;
	free(pools.list);
	return error;
}

int hugepages_give_back(struct usrpci_host *host, size_t most, size_t page_size, int node)
{
	return change(host, page_size, node, most, release);
}

int usrpci_host_hugepages_release(struct usrpci_host *host, size_t page_size, int node)
{
	return hugepages_give_back(host, SIZE_MAX, page_size, node);
}
