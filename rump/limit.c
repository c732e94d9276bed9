// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tells the rump kernel how much memory there is, by RUMP_MEMLIMIT unless that is set.
 *
 * A rump kernel without a limit waits, silently and for good, when its host has no more memory;
 * with one, it frees caches in time. Its memory is huge pages (memory.c), so the limit is what is
 * free of the 2 MiB ones now. An eighth stays out of the kernel's books: rings that drivers
 * allocate are not in them, nor is what lies between blocks.
 *
 * Nothing is set when no huge page is free: vfio then takes ordinary memory, and uio fails with a
 * message that says how to get some.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

#define LEAST (1u << 20)

#define FREE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
#define PAGE_KIB   2048ul

static unsigned long free_pages(void)
{
	FILE *file = fopen(FREE_PAGES, "re");
	unsigned long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages;
}

/*
 * What NetBSD's uvm_init() panics on, before it has a console to say why: anything but a number
 * with k, m or g behind it, and less than it sets aside.
 */
static bool is_readable(const char *text)
{
	static const char units[] = "kmg";
	unsigned long long number;
	const char *unit;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (errno || *text < '0' || *text > '9' || (*end && (!unit || end[1])))
		return false;
	for (int i = unit ? (int)(unit - units) : -1; i >= 0; i--) {
		if (number > ULLONG_MAX >> 10)
			return false;
		number <<= 10;
	}
	return number >= LEAST && number < ULONG_MAX;
}

static void check_limit(const char *text)
{
	if (is_readable(text))
		return;
	rump_message(
		"RUMP_MEMLIMIT=%s is not what a rump kernel can start with: it takes bytes, or a "
		"number with k, m or g, of 1 MiB at least",
		text);
	exit(1);
}

/* Before main(), and so before rump_init() reads the variable. */
__attribute__((constructor)) static void set_limit(void)
{
	unsigned long kibibytes = free_pages() * PAGE_KIB;
	const char *given = getenv("RUMP_MEMLIMIT");
	char text[32];

	if (given)
		check_limit(given);
	if (given || !kibibytes)
		return;
	snprintf(text, sizeof(text), "%luk", kibibytes - kibibytes / 8);
	setenv("RUMP_MEMLIMIT", text, 1);
}
