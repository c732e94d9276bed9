// SPDX-License-Identifier: BSD-2-Clause
/*
 * Looks for a device that still writes to memory that the kernel has given to others: fills nearly
 * all free memory with a pattern, waits, and compares. A word in each 64 bytes will do, since no
 * frame is shorter than 60. Exits with 0 when nothing was written.
 *
 * usage: stray_dma [MILLISECONDS]
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEFT_MIB 48 /* for everybody else */
#define STEP     (64 / sizeof(uint64_t))
#define PATTERN  UINT64_C(0xa5a5a5a5a5a5a5a5)

static size_t free_mib(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	size_t kib = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %zu kB", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib >> 10;
}

int main(int argc, char **argv)
{
	size_t mib = free_mib(), size = mib > LEFT_MIB ? (mib - LEFT_MIB) << 20 : 0;
	uint64_t *words;

	words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!size || words == MAP_FAILED) {
		perror("no memory to look at");
		return 2;
	}
	/* Fewer faults; what is scattered comes all the same. */
	madvise(words, size, MADV_HUGEPAGE);
	for (size_t i = 0; i < size / sizeof(*words); i += STEP)
		words[i] = PATTERN;
	usleep(1000 * (argc > 1 ? (unsigned int)atoi(argv[1]) : 20));
	for (size_t i = 0; i < size / sizeof(*words); i += STEP) {
		if (words[i] != PATTERN) {
			printf("written to: %p of %zu MiB is %#llx\n", (void *)&words[i],
			       size >> 20, (unsigned long long)words[i]);
			return 1;
		}
	}
	return 0;
}
