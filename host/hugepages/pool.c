// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pools of huge pages as the kernel shows them, and the note of how many pages are ours.
 *
 * /run/usrpci/hugepages has a line for each pool that we added to: node, page size in KiB, pages.
 * While a pool is being resized one more line says which and from what to what, so that the next
 * program can tell whose the pages are if this one is killed: "resizing", node, page size, before,
 * after.
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

#define NODES      "/sys/devices/system/node"
#define STATE_NAME "hugepages"

/* Kernels without NUMA have only pools of the whole machine. */
int pool_path(struct usrpci_host *host, const struct usrpci_hugepages *pool, char path[POOL_PATH])
{
	char directory[64];
	int found;

	snprintf(directory, sizeof(directory), NODES "/node%d/hugepages", pool->node);
	found = file_find(host->ctx, "%s", directory);
	snprintf(path, POOL_PATH, "%s/hugepages-%zukB", found ? directory : MM_POOLS,
		 pool->page_size / 1024);
	return found < 0 ? report(host->ctx, found, NULL, NULL, "cannot look for %s", directory)
			 : 0;
}

int pool_read(struct usrpci_host *host, struct usrpci_hugepages *pool)
{
	struct hugepage_pool counts;
	char path[POOL_PATH];
	int error = hugepage_pool(host->ctx, pool->page_size, pool->node, &counts);

	if (error == -ENOENT)
		error = hugepage_pool(host->ctx, pool->page_size, -1, &counts);
	if (error)
		return pool_path(host, pool, path)
			       ?: report(host->ctx, error, NULL, NULL,
					 "cannot read the counts in %s", path);
	pool->total = (size_t)counts.total;
	pool->free = (size_t)counts.free;
	pool->surplus = (size_t)counts.surplus;
	return 0;
}

static int list_sizes(struct usrpci_host *host, int node, const char *directory,
		      struct pools *pools)
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, "%s", directory);
	struct usrpci_hugepages *grown;
	size_t kilobytes;

	if (count < 0)
		return count;
	grown = reallocarray(pools->list, (size_t)(pools->count + count) + 1, sizeof(*grown));
	if (grown)
		pools->list = grown;
	for (int i = 0; grown && i < count; i++) {
		if (sscanf(names[i], "hugepages-%zukB", &kilobytes) == 1)
			pools->list[pools->count++] = (struct usrpci_hugepages){
				.page_size = kilobytes * 1024,
				.node = node,
			};
	}
	return grown ? 0 : -ENOMEM;
}

static int list_nodes(struct usrpci_host *host, struct pools *pools)
{
	AUTO_FREE char **names = NULL;
	char directory[64];
	int count = dir_list(host->ctx, &names, NODES);
	int node, error = count < 0 && count != -ENOENT ? count : 0;

	for (int i = 0; !error && i < count; i++) {
		if (sscanf(names[i], "node%d", &node) != 1)
			continue;
		snprintf(directory, sizeof(directory), NODES "/node%d/hugepages", node);
		error = list_sizes(host, node, directory, pools);
		error = error == -ENOENT ? 0 : error;
	}
	if (error || pools->count)
		return error;
	return list_sizes(host, 0, MM_POOLS, pools);
}

static struct usrpci_hugepages *find_pool(const struct pools *pools, int node, size_t kilobytes)
{
	for (int i = 0; i < pools->count; i++) {
		struct usrpci_hugepages *pool = &pools->list[i];

		if (pool->node == node && pool->page_size == kilobytes * 1024)
			return pool;
	}
	return NULL;
}

void pool_count_as_ours(struct usrpci_hugepages *pool, size_t before, size_t after)
{
	size_t now = pool->total;

	if (after > before && now > before) {
		pool->ours += (now < after ? now : after) - before;
	} else if (after < before && now < before) {
		size_t lost = before - (now > after ? now : after);

		pool->ours -= lost < pool->ours ? lost : pool->ours;
	}
}

static void read_line(const struct pools *pools, const char *line)
{
	struct usrpci_hugepages *pool;
	size_t kilobytes, ours, before, after;
	int node;

	if (sscanf(line, "resizing %d %zu %zu %zu", &node, &kilobytes, &before, &after) == 4) {
		pool = find_pool(pools, node, kilobytes);
		if (pool)
			pool_count_as_ours(pool, before, after);
	} else if (sscanf(line, "%d %zu %zu", &node, &kilobytes, &ours) == 3) {
		pool = find_pool(pools, node, kilobytes);
		if (pool)
			pool->ours = ours;
	}
}

/* A damaged note is ignored, because pages of others must not be taken. */
static int read_note(struct usrpci_host *host, struct pools *pools)
{
	char text[4096], *rest = text, *line;
	int error = file_read(host->ctx, text, sizeof(text), STATE_DIR "/" STATE_NAME);

	if (error < 0)
		return error == -ENOENT ? 0
					: report(host->ctx, error, NULL, NULL,
						 "cannot read " STATE_DIR "/" STATE_NAME);
	while ((line = strsep(&rest, "\n")))
		read_line(pools, line);
	for (int i = 0; i < pools->count; i++) {
		struct usrpci_hugepages *pool = &pools->list[i];

		pool->ours = pool->ours < pool->total ? pool->ours : pool->total;
	}
	return 0;
}

int pools_have_note(struct usrpci_host *host)
{
	return state_exists(host, STATE_NAME);
}

int pools_write_note(struct usrpci_host *host, const struct pools *pools)
{
	const struct resizing *resizing = &pools->resizing;
	char text[4096] = "";
	size_t at = 0;

	for (int i = 0; i < pools->count && at < sizeof(text); i++) {
		const struct usrpci_hugepages *pool = &pools->list[i];

		if (pool->ours)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%d %zu %zu\n",
					       pool->node, pool->page_size / 1024, pool->ours);
	}
	if (resizing->pool && at < sizeof(text))
		at += (size_t)snprintf(text + at, sizeof(text) - at, "resizing %d %zu %zu %zu\n",
				       resizing->pool->node, resizing->pool->page_size / 1024,
				       resizing->before, resizing->after);
	return at ? state_write(host, STATE_NAME, text) : state_remove(host, STATE_NAME);
}

int pools_read(struct usrpci_host *host, struct pools *pools)
{
	int error = list_nodes(host, pools);

	if (error)
		return report(host->ctx, error, NULL, "the kernel needs CONFIG_HUGETLBFS",
			      "cannot list the pools of huge pages");
	for (int i = 0; !error && i < pools->count; i++)
		error = pool_read(host, &pools->list[i]);
	return error ?: read_note(host, pools);
}

int usrpci_host_hugepages(struct usrpci_host *host, struct usrpci_hugepages **list)
{
	struct pools pools = {0};
	int error = pools_read(host, &pools);

	if (error) {
		free(pools.list);
		pools.list = NULL;
	}
	*list = pools.list;
	return error ?: pools.count;
}
