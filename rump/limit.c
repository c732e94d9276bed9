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

#include <stdio.h>
#include <stdlib.h>

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

/* Before main(), and so before rump_init() reads the variable. */
__attribute__((constructor)) static void set_limit(void)
{
	unsigned long kibibytes = free_pages() * PAGE_KIB;
	char text[32];

	if (!kibibytes)
		return;
	snprintf(text, sizeof(text), "%luk", kibibytes - kibibytes / 8);
	setenv("RUMP_MEMLIMIT", text, 0);
}
