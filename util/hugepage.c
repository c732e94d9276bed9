// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads the kernel's pools of huge pages, a size and a node at a time, and the limits that control
 * groups (v1 and v2) put on their use. Leaves out changing them, which is the host library's.
 * Follows the kernel's admin-guide/mm/hugetlbpage.rst and cgroup-v2.rst.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "file.h"
#include "hugepage.h"

#define MAX_NODES        1024
#define PROC_CGROUP_SIZE 4096

static int read_counter(const struct usrpci_ctx *ctx, uint64_t page_size, int node,
			const char *name, uint64_t *value)
{
	if (node < 0)
		return file_read_u64(ctx, value,
				     "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
				     page_size >> 10, name);
	return file_read_u64(ctx, value,
			     "/sys/devices/system/node/node%d/hugepages/hugepages-%" PRIu64 "kB/%s",
			     node, page_size >> 10, name);
}

int hugepage_pool(const struct usrpci_ctx *ctx, uint64_t page_size, int node,
		  struct hugepage_pool *pool)
{
	int error = read_counter(ctx, page_size, node, "nr_hugepages", &pool->total)
			    ?: read_counter(ctx, page_size, node, "free_hugepages", &pool->free);

	if (error)
		return error;
	if (read_counter(ctx, page_size, node, "surplus_hugepages", &pool->surplus))
		pool->surplus = 0;
	pool->promised = node < 0 ? hugepage_promised(ctx, page_size) : 0;
	return 0;
}

uint64_t hugepage_promised(const struct usrpci_ctx *ctx, uint64_t page_size)
{
	uint64_t pages;

	return read_counter(ctx, page_size, -1, "resv_hugepages", &pages) ? 0 : pages;
}

/* "hugetlb.2MB" */
static void controller_prefix(uint64_t page_size, char text[24])
{
	if (page_size >= HUGEPAGE_1G)
		snprintf(text, 24, "hugetlb.%uGB", (unsigned int)(page_size >> 30));
	else if (page_size >= 1 << 20)
		snprintf(text, 24, "hugetlb.%uMB", (unsigned int)(page_size >> 20));
	else
		snprintf(text, 24, "hugetlb.%uKB", (unsigned int)(page_size >> 10));
}

/* The files of a control group that limit huge pages, and how much of each limit is used. */
static const struct {
	const char *controller, *mount, *limit, *usage;
} limits[] = {
	{"", "/sys/fs/cgroup", "max", "current"},
	{"", "/sys/fs/cgroup", "rsvd.max", "rsvd.current"},
	{"hugetlb", "/sys/fs/cgroup/hugetlb", "limit_in_bytes", "usage_in_bytes"},
	{"hugetlb", "/sys/fs/cgroup/hugetlb", "rsvd.limit_in_bytes", "rsvd.usage_in_bytes"},
};

/* Keeps a group's limit if it is the tightest. A limit of "max", as of a missing file, is none. */
static void read_limit(const struct usrpci_ctx *ctx, const char *directory, const char *prefix,
		       size_t which, struct hugepage_limit *tightest)
{
	uint64_t limit, usage = 0;

	/* Version 1 says "no limit" by the largest number of whole pages. */
	if (file_read_u64(ctx, &limit, "%s/%s.%s", directory, prefix, limits[which].limit) ||
	    limit > INT64_MAX / 2)
		return;
	file_read_u64(ctx, &usage, "%s/%s.%s", directory, prefix, limits[which].usage);
	usage = usage < limit ? usage : limit;
	if (limit - usage >= tightest->room)
		return;
	*tightest = (struct hugepage_limit){.bytes = limit, .room = limit - usage};
	snprintf(tightest->file, sizeof(tightest->file), "%s.%s", prefix, limits[which].limit);
}

/* Goes from a group up to the root. */
static void read_groups(const struct usrpci_ctx *ctx, char *group, const char *prefix, size_t which,
			struct hugepage_limit *tightest)
{
	char directory[PATH_SIZE];
	char *slash;

	do {
		slash = strrchr(group, '/');
		snprintf(directory, sizeof(directory), "%s%s", limits[which].mount,
			 strcmp(group, "/") ? group : "");
		read_limit(ctx, directory, prefix, which, tightest);
		if (slash)
			*slash = '\0';
	} while (slash);
}

/* Finds "PATH" of the line "N:CONTROLLERS:PATH"; version 2 has the one line "0::PATH". */
static bool own_group(const char *text, const char *controller, char group[PATH_SIZE])
{
	char copy[PROC_CGROUP_SIZE], *rest = copy, *line, *name, *part;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((line = strsep(&rest, "\n"))) {
		strsep(&line, ":");
		name = line ? strsep(&line, ":") : NULL;
		if (!name || !line)
			continue;
		snprintf(group, PATH_SIZE, "%s", line);
		while ((part = strsep(&name, ",")))
			if (!strcmp(part, controller))
				return true;
	}
	return false;
}

bool hugepage_cgroup_limit(const struct usrpci_ctx *ctx, uint64_t page_size,
			   struct hugepage_limit *limit)
{
	char text[PROC_CGROUP_SIZE], prefix[24], group[PATH_SIZE];

	*limit = (struct hugepage_limit){.bytes = UINT64_MAX, .room = UINT64_MAX};
	if (file_read(ctx, text, sizeof(text), "/proc/self/cgroup") < 0)
		return false;
	controller_prefix(page_size, prefix);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (own_group(text, limits[i].controller, group))
			read_groups(ctx, group, prefix, i, limit);
	return limit->room != UINT64_MAX;
}

static size_t append_nodes(const struct usrpci_ctx *ctx, uint64_t page_size, char *text,
			   size_t size)
{
	struct hugepage_pool pool;
	size_t length = 0;

	for (int node = 0; node < MAX_NODES && length < size; node++) {
		int printed;

		if (!file_exists(ctx, "/sys/devices/system/node/node%d", node))
			break;
		if (hugepage_pool(ctx, page_size, node, &pool))
			continue;
		printed = snprintf(text + length, size - length,
				   ", node %d: %" PRIu64 " of %" PRIu64 " free", node, pool.free,
				   pool.total);
		length += printed > 0 ? (size_t)printed : 0;
	}
	return length;
}

const char *hugepage_describe(const struct usrpci_ctx *ctx, uint64_t page_size, int node,
			      char *text, size_t size)
{
	struct hugepage_limit limit;
	struct hugepage_pool pool;
	size_t length;

	if (hugepage_pool(ctx, page_size, -1, &pool)) {
		snprintf(text, size, "the kernel has no huge pages of %" PRIu64 " kB",
			 page_size >> 10);
		return text;
	}
	if (hugepage_cgroup_limit(ctx, page_size, &limit) && limit.room < page_size &&
	    pool.free > 0) {
		snprintf(text, size,
			 "%" PRIu64 " of %" PRIu64 " huge pages of %" PRIu64 " kB are free, but "
			 "the limit of the control group (hugetlb) leaves %" PRIu64 " bytes",
			 pool.free, pool.total, page_size >> 10, limit.room);
		return text;
	}
	length = (size_t)snprintf(
		text, size, "%" PRIu64 " of %" PRIu64 " huge pages of %" PRIu64 " kB are free",
		pool.free, pool.total, page_size >> 10);
	if (pool.promised && length < size)
		length += (size_t)snprintf(text + length, size - length,
					   " (%" PRIu64 " of them promised to other programs)",
					   pool.promised);
	if (length < size && (node >= 0 || file_exists(ctx, "/sys/devices/system/node/node1")))
		append_nodes(ctx, page_size, text + length, size - length);
	return text;
}
