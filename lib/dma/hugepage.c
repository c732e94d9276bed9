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

#include "file.h"
#include "dma/hugepage.h"

#define MAX_NODES 1024

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
	int error = read_counter(ctx, page_size, node, "nr_hugepages", &pool->total);

	if (error)
		return error;
	error = read_counter(ctx, page_size, node, "free_hugepages", &pool->free);
	if (error)
		return error;
	/* Promises are counted for all nodes together only. */
	if (node >= 0 || read_counter(ctx, page_size, -1, "resv_hugepages", &pool->promised))
		pool->promised = 0;
	return 0;
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

static uint64_t room_in(const struct usrpci_ctx *ctx, const char *directory, const char *prefix,
			const char *limit_name, const char *usage_name)
{
	uint64_t limit, usage;

	/* A limit of "max", as of a missing file, is none. */
	if (file_read_u64(ctx, &limit, "%s/%s.%s", directory, prefix, limit_name) ||
	    file_read_u64(ctx, &usage, "%s/%s.%s", directory, prefix, usage_name))
		return UINT64_MAX;
	return limit > usage ? limit - usage : 0;
}

/* The least room in a group and in all above it. */
static uint64_t group_room(const struct usrpci_ctx *ctx, const char *mount, char *group,
			   const char *prefix, const char *limit, const char *usage)
{
	uint64_t least = UINT64_MAX;
	char directory[PATH_SIZE];
	char *slash;

	do {
		uint64_t room;

		slash = strrchr(group, '/');
		snprintf(directory, sizeof(directory), "%s%s", mount,
			 strcmp(group, "/") ? group : "");
		room = room_in(ctx, directory, prefix, limit, usage);
		least = room < least ? room : least;
		if (slash)
			*slash = '\0';
	} while (slash);
	return least;
}

uint64_t hugepage_cgroup_room(const struct usrpci_ctx *ctx, uint64_t page_size)
{
	char text[2048], prefix[24], *rest = text, *line;
	uint64_t least = UINT64_MAX;

	if (file_read(ctx, text, sizeof(text), "/proc/self/cgroup") < 0)
		return least;
	controller_prefix(page_size, prefix);
	while ((line = strsep(&rest, "\n"))) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		uint64_t room = UINT64_MAX;

		if (!group)
			continue;
		*group++ = '\0';
		if (!strcmp(controllers, ":"))
			room = group_room(ctx, "/sys/fs/cgroup", group, prefix, "max", "current");
		else if (strstr(controllers, "hugetlb"))
			room = group_room(ctx, "/sys/fs/cgroup/hugetlb", group, prefix,
					  "limit_in_bytes", "usage_in_bytes");
		least = room < least ? room : least;
	}
	return least;
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
	uint64_t room = hugepage_cgroup_room(ctx, page_size);
	struct hugepage_pool pool;
	size_t length;

	if (hugepage_pool(ctx, page_size, -1, &pool)) {
		snprintf(text, size, "the kernel has no huge pages of %" PRIu64 " kB",
			 page_size >> 10);
		return text;
	}
	if (room < page_size && pool.free > 0) {
		snprintf(text, size,
			 "%" PRIu64 " of %" PRIu64 " huge pages of %" PRIu64 " kB are free, but "
			 "the limit of the control group (hugetlb) leaves %" PRIu64 " bytes",
			 pool.free, pool.total, page_size >> 10, room);
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
