// SPDX-License-Identifier: BSD-2-Clause
/*
 * Measures the plain way of programs without a library: each allocation is a huge page of its own,
 * which is locked and looked up in the page map. There are neither pools nor small blocks, so the
 * other rows stay empty.
 */

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measure.h"

#define HUGE_PAGE (2ul << 20)

struct block {
	void *va;
	uint64_t addr;
};

static uint64_t look_up(int fd, const void *va)
{
	uint64_t entry;

	require(pread(fd, &entry, 8, (off_t)((uintptr_t)va / 4096 * 8)) == 8, "page map");
	return (entry & ((UINT64_C(1) << 55) - 1)) * 4096 + (uintptr_t)va % 4096;
}

static struct block allocate(void)
{
	struct block block;
	int fd;

	block.va = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	require(block.va != MAP_FAILED, "mmap");
	require(!mlock(block.va, HUGE_PAGE), "mlock");
	*(volatile char *)block.va = 1;
	fd = open("/proc/self/pagemap", O_RDONLY);
	require(fd >= 0, "page map");
	block.addr = look_up(fd, block.va);
	close(fd);
	require(block.addr != 0, "physical address");
	return block;
}

static void alloc_free(void *data, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		munmap(allocate().va, HUGE_PAGE);
}

struct translation {
	int fd;
	const char *va;
};

static void translate(void *data, unsigned int n)
{
	const struct translation *translation = data;

	for (unsigned int i = 0; i < n; i++)
		consume(look_up(translation->fd, translation->va + i % HUGE_PAGE));
}

int main(void)
{
	struct translation translation;
	double start = nanoseconds();
	struct block block = allocate();

	printf("ready %.0f\n", nanoseconds() - start);
	measure("alloc_free", alloc_free, NULL, 1, 1);
	translation.fd = open("/proc/self/pagemap", O_RDONLY);
	translation.va = block.va;
	measure("translate", translate, &translation, 100, 1);
	return 0;
}
