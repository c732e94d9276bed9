// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMA memory as a program sees it: on a domain of the test's own, which hands out pages in whatever
 * order the test says, and, as root, on real huge pages, whose addresses are compared with the
 * kernel's page map.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctx.h"
#include "dma/domain.h"
#include "fixture.h"

#define PAGE       (2ul << 20)
#define PAGES      32
#define FIRST_ADDR (1ul << 33)

/* A domain of scattered pages. */
struct scatter {
	struct dma_domain domain;
	char *space;
	const unsigned char *order; /* pages in the order in which they are had, 255 at the end */
	unsigned int next;
	bool held[PAGES];
	unsigned int holds;
};

static int scatter_grow(struct dma_domain *domain, const struct dma_chunk_request *request,
			dma_add_fn *add)
{
	struct scatter *scatter = (struct scatter *)domain;

	for (unsigned int i = 0; scatter->order[i] != 255; i++) {
		unsigned int page = scatter->order[i];
		int result;

		if (scatter->held[page])
			continue;
		scatter->held[page] = true;
		scatter->holds++;
		result = add(domain, &(struct dma_chunk){.va = scatter->space + page * PAGE,
							 .size = PAGE,
							 .page_size = PAGE,
							 .node = -1,
							 .cookie = page});
		if (result)
			return result < 0 ? result : 0;
	}
	return -ENOMEM;
}

static void scatter_shrink(struct dma_domain *domain, const struct dma_chunk *chunk)
{
	struct scatter *scatter = (struct scatter *)domain;

	assert_true(scatter->held[chunk->cookie]);
	assert_ptr_equal(chunk->va, scatter->space + chunk->cookie * PAGE);
	scatter->held[chunk->cookie] = false;
	scatter->holds--;
	memset(chunk->va, 0xee, 4096);
}

static void scatter_destroy(struct dma_domain *domain)
{
	struct scatter *scatter = (struct scatter *)domain;

	assert_int_equal(scatter->holds, 0);
	munmap(scatter->space, PAGES * PAGE);
}

static const struct dma_domain_ops scatter_ops = {
	.name = "scatter",
	.grow = scatter_grow,
	.shrink = scatter_shrink,
	.destroy = scatter_destroy,
};

static struct usrpci_ctx *scatter_ctx(struct fixture *fixture, struct scatter *scatter,
				      const unsigned char *order)
{
	struct usrpci_ctx *ctx = fixture_ctx(fixture);

	*scatter = (struct scatter){.domain = {.ops = &scatter_ops, .ctx = ctx}, .order = order};
	scatter->space = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(scatter->space, MAP_FAILED);
	assert_int_equal(dma_attach(ctx, &scatter->domain, (uintptr_t)scatter->space - FIRST_ADDR),
			 0);
	return ctx;
}

static const unsigned char in_order[] = {0, 1, 2, 3, 4, 5, 6, 7, 255};

static struct usrpci_dma_stats stats_of(struct usrpci_ctx *ctx)
{
	struct usrpci_dma_stats stats;

	usrpci_dma_stats(ctx, &stats);
	return stats;
}

static void *get(struct usrpci_ctx *ctx, size_t size)
{
	void *block = NULL;

	assert_int_equal(usrpci_dma_alloc(ctx, &(struct usrpci_dma_request){.size = size}, &block),
			 0);
	assert_true(usrpci_dma_size(ctx, block) >= size);
	return block;
}

static void addresses_differ_from_pointers_by_a_constant(void **state)
{
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);
	char *a = get(ctx, 100), *b = get(ctx, PAGE);

	assert_int_equal(usrpci_dma_addr(ctx, a), (usrpci_dma_t)(a - scatter.space) + FIRST_ADDR);
	assert_int_equal(usrpci_dma_addr(ctx, b) - usrpci_dma_addr(ctx, a), (usrpci_dma_t)(b - a));
	assert_ptr_equal(usrpci_dma_va(ctx, usrpci_dma_addr(ctx, b + 5)), b + 5);
	usrpci_ctx_close(ctx);
}

static void a_block_comes_with_its_device_address(void **state)
{
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);
	struct usrpci_dma_request request = {.size = 100, .align = 4096};
	struct usrpci_dma_block block = {.size = 1};

	assert_int_equal(usrpci_dma_block_alloc(ctx, &request, &block), 0);
	assert_int_equal(block.addr, usrpci_dma_addr(ctx, block.va));
	assert_int_equal(block.size, 100);
	assert_true(usrpci_dma_size(ctx, block.va) >= 100);
	usrpci_dma_block_free(ctx, &block);
	assert_null(block.va);
	usrpci_dma_block_free(ctx, &block);
	assert_int_equal(stats_of(ctx).blocks, 0);
	block.va = &request;
	request.align = 3;
	assert_int_equal(usrpci_dma_block_alloc(ctx, &request, &block), -EINVAL);
	assert_null(block.va);
	usrpci_ctx_close(ctx);
}

static void bad_requests_are_refused_with_a_reason(void **state)
{
	static const struct usrpci_dma_request bad[] = {
		{.size = 0},
		{.size = 64, .align = 3},
		{.size = 64, .boundary = 96},
		{.size = 65, .boundary = 64},
		{.size = 64, .node = -1},
		{.size = 64, .node = 999},
	};
	static const struct usrpci_dma_request large[] = {
		{.size = SIZE_MAX},        {.size = SIZE_MAX - 63, .align = 1ul << 63},
		{.size = 1ul << 48},       {.size = 64, .align = 1ul << 63},
		{.size = 64, .limit = 63},
	};
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);
	void *block = &block;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(usrpci_dma_alloc(ctx, &bad[i], &block), -EINVAL);
	for (unsigned int i = 0; i < sizeof(large) / sizeof(*large); i++)
		assert_int_equal(usrpci_dma_alloc(ctx, &large[i], &block), -ENOMEM);
	assert_ptr_equal(block, &block);
	assert_logged(*state, "0 bytes");
	assert_logged(*state, "the alignment 3 is not a power of two");
	assert_logged(*state, "the boundary 96 is not a power of two");
	assert_logged(*state, "cannot lie inside a boundary");
	assert_logged(*state, "there is no NUMA node 998");
	assert_int_equal(stats_of(ctx).pages, 0);
	assert_int_equal(scatter.holds, 0);
	usrpci_ctx_close(ctx);
}

static void small_boundaries_are_kept(void **state)
{
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);
	void *block;

	assert_int_equal(usrpci_dma_alloc(ctx,
					  &(struct usrpci_dma_request){.size = 20, .boundary = 32},
					  &block),
			 0);
	assert_int_equal(usrpci_dma_addr(ctx, block) % 64, 0);
	usrpci_ctx_close(ctx);
}

static void without_a_device_there_is_no_memory(void **state)
{
	struct usrpci_ctx *ctx = fixture_ctx(*state);
	void *block;

	assert_int_equal(usrpci_dma_alloc(ctx, &(struct usrpci_dma_request){.size = 64}, &block),
			 -ENXIO);
	assert_int_equal(usrpci_dma_reserve(ctx, 1), -ENXIO);
	assert_int_equal(usrpci_dma_map(ctx, &block, 4096, NULL), -ENXIO);
	assert_int_equal(usrpci_dma_trim(ctx), 0);
	assert_int_equal(usrpci_dma_size(ctx, &block), 0);
	assert_false(usrpci_dma_contains(ctx, &block, 1));
	assert_int_equal(stats_of(ctx).pages, 0);
	usrpci_dma_free(ctx, &block);
	usrpci_dma_free(ctx, NULL);
	assert_logged(*state, "no device is open yet");
	usrpci_ctx_close(ctx);
}

static void memory_without_a_file_is_not_renewed(void **state)
{
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);

	assert_int_equal(usrpci_dma_renew(ctx, get(ctx, PAGE)), -EOPNOTSUPP);
	usrpci_ctx_close(ctx);
}

static void a_block_is_cleared_when_asked(void **state)
{
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);
	char *block = get(ctx, 4096), zeros[4096] = {0};

	memset(block, 0x55, 4096);
	usrpci_dma_free(ctx, block);
	assert_int_equal(usrpci_dma_alloc(ctx,
					  &(struct usrpci_dma_request){.size = 4096, .zero = true},
					  (void **)&block),
			 0);
	assert_memory_equal(block, zeros, 4096);
	usrpci_ctx_close(ctx);
}

static void wrong_frees_are_logged_and_ignored(void **state)
{
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);
	char *block = get(ctx, 4096);
	int own;

	usrpci_dma_free(ctx, block + 64);
	assert_logged(*state, "not the start of a live block");
	usrpci_dma_free(ctx, &own);
	assert_logged(*state, "not DMA memory");
	assert_int_equal(stats_of(ctx).blocks, 1);
	usrpci_dma_free(ctx, block);
	usrpci_dma_free(ctx, block);
	assert_logged(*state, "freed twice?");
	assert_int_equal(stats_of(ctx).blocks, 0);
	usrpci_ctx_close(ctx);
}

static void many_blocks_share_a_page(void **state)
{
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);

	for (unsigned int i = 0; i < 512; i++)
		get(ctx, 4096);
	assert_int_equal(stats_of(ctx).pages, 1);
	assert_int_equal(stats_of(ctx).bytes_used, PAGE);
	assert_int_equal(stats_of(ctx).largest_free, 0);
	get(ctx, 1);
	assert_int_equal(stats_of(ctx).pages, 2);
	usrpci_ctx_close(ctx);
}

/* 7 and 8 are neighbours only once 8 comes; 1, 12 and 3 are of no use. */
static void large_blocks_come_from_neighbours_and_the_rest_goes_back(void **state)
{
	static const unsigned char order[] = {7, 12, 3, 1, 8, 20, 255};
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, order);
	char *block = get(ctx, PAGE + 4096);

	assert_ptr_equal(block, scatter.space + 7 * PAGE);
	memset(block, 1, PAGE + 4096);
	assert_int_equal(stats_of(ctx).pages, 2);
	assert_int_equal(scatter.holds, 2);
	usrpci_ctx_close(ctx);
}

static void a_page_that_is_held_already_counts_as_neighbour(void **state)
{
	static const unsigned char order[] = {5, 9, 4, 255};
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, order);

	usrpci_dma_free(ctx, get(ctx, 64));
	assert_int_equal(scatter.holds, 1);
	assert_ptr_equal(get(ctx, 2 * PAGE), scatter.space + 4 * PAGE);
	assert_int_equal(scatter.holds, 2);
	usrpci_ctx_close(ctx);
}

static void without_neighbours_nothing_is_kept(void **state)
{
	static const unsigned char order[] = {0, 2, 4, 6, 8, 255};
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, order);
	char *block = get(ctx, 64);
	void *large = NULL;

	assert_int_equal(
		usrpci_dma_alloc(ctx, &(struct usrpci_dma_request){.size = PAGE + 1}, &large),
		-ENOMEM);
	assert_null(large);
	assert_int_equal(scatter.holds, 1);
	assert_int_equal(usrpci_dma_size(ctx, block), 64);
	get(ctx, PAGE);
	usrpci_ctx_close(ctx);
}

static void a_limit_sends_high_pages_back(void **state)
{
	static const unsigned char order[] = {9, 8, 7, 2, 255};
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, order);
	struct usrpci_dma_request request = {.size = 4096, .limit = FIRST_ADDR + 3 * PAGE - 1};
	void *block;

	assert_int_equal(usrpci_dma_alloc(ctx, &request, &block), 0);
	assert_ptr_equal(block, scatter.space + 2 * PAGE);
	assert_int_equal(scatter.holds, 1);
	usrpci_ctx_close(ctx);
}

static void what_was_reserved_is_there(void **state)
{
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);

	assert_int_equal(usrpci_dma_reserve(ctx, 3 * PAGE), 0);
	assert_int_equal(scatter.holds, 3);
	assert_int_equal(stats_of(ctx).largest_free, 3 * PAGE);
	assert_int_equal(usrpci_dma_reserve(ctx, 3 * PAGE), 0);
	assert_int_equal(scatter.holds, 3);
	get(ctx, 100);
	assert_int_equal(usrpci_dma_reserve(ctx, 3 * PAGE), 0);
	assert_int_equal(scatter.holds, 4);
	assert_int_equal(usrpci_dma_reserve(ctx, 100 * PAGE), -ENOMEM);
	usrpci_ctx_close(ctx);
}

static void trimming_keeps_what_is_in_use(void **state)
{
	struct scatter scatter;
	struct usrpci_ctx *ctx = scatter_ctx(*state, &scatter, in_order);
	char *blocks[4];

	for (unsigned int i = 0; i < 4; i++)
		memset(blocks[i] = get(ctx, PAGE), 0x11, PAGE);
	usrpci_dma_free(ctx, blocks[0]);
	usrpci_dma_free(ctx, blocks[2]);
	assert_int_equal(usrpci_dma_trim(ctx), 2 * PAGE);
	assert_int_equal(usrpci_dma_trim(ctx), 0);
	assert_int_equal(scatter.holds, 2);
	assert_false(usrpci_dma_contains(ctx, blocks[0], 1));
	assert_true(usrpci_dma_contains(ctx, blocks[1], PAGE));
	assert_false(usrpci_dma_contains(ctx, blocks[1] - 1, 2));
	assert_int_equal(blocks[1][0], 0x11);
	assert_int_equal(stats_of(ctx).bytes_held, 2 * PAGE);
	assert_ptr_equal(get(ctx, PAGE), blocks[0]);
	usrpci_ctx_close(ctx);
}

/*
 * Threads: all functions at once. Each block is filled with its thread's mark while it is held.
 */

struct crowd {
	struct usrpci_ctx *ctx;
	atomic_uint number;
	atomic_uint wrong;
};

static void *work(void *data)
{
	struct crowd *crowd = data;
	unsigned char mark = (unsigned char)(1 + atomic_fetch_add(&crowd->number, 1));
	struct usrpci_dma_stats stats;
	unsigned char *blocks[16] = {NULL};
	unsigned int seed = mark;

	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int many = (seed = seed * 1103515245 + 12345) >> 16;
		unsigned char **block = &blocks[many % 16];
		size_t size = *block ? usrpci_dma_size(crowd->ctx, *block) : 0;
		struct usrpci_dma_request request = {.size = 1 + many % 6000};

		if (*block && ((*block)[0] != mark || (*block)[size - 1] != mark ||
			       !usrpci_dma_contains(crowd->ctx, *block, size)))
			atomic_fetch_add(&crowd->wrong, 1);
		usrpci_dma_free(crowd->ctx, *block);
		*block = NULL;
		if (!usrpci_dma_alloc(crowd->ctx, &request, (void **)block)) {
			size = usrpci_dma_size(crowd->ctx, *block);
			(*block)[0] = (*block)[size - 1] = mark;
		}
		if (i % 64 == 0)
			usrpci_dma_trim(crowd->ctx);
		if (i % 100 == 0)
			usrpci_dma_stats(crowd->ctx, &stats);
	}
	for (unsigned int i = 0; i < 16; i++)
		usrpci_dma_free(crowd->ctx, blocks[i]);
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	struct scatter scatter;
	struct crowd crowd = {.ctx = scatter_ctx(*state, &scatter, in_order)};
	pthread_t threads[4];

	for (unsigned int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, work, &crowd);
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&crowd.wrong), 0);
	assert_int_equal(stats_of(crowd.ctx).blocks, 0);
	assert_int_equal(stats_of(crowd.ctx).bytes_used, 0);
	usrpci_dma_trim(crowd.ctx);
	assert_int_equal(scatter.holds, 0);
	usrpci_ctx_close(crowd.ctx);
}

/*
 * Real huge pages.
 */

#define NEEDED 12

static const char pool_path[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
static const char free_path[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";

static long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long number = -1;

	if (file && fscanf(file, "%ld", &number) != 1)
		number = -1;
	if (file)
		fclose(file);
	return number;
}

static void write_number(const char *path, long number)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return;
	fprintf(file, "%ld\n", number);
	fclose(file);
}

struct physical {
	struct usrpci_ctx *ctx;
	long raised_by;
	int pagemap;
	char log[4096];
};

static void keep_log(void *data, const struct usrpci_log_entry *entry)
{
	char *log = data;
	size_t used = strlen(log);

	snprintf(log + used, 4096 - used, "%s [%s]\n", entry->text, entry->hint ? entry->hint : "");
}

/* Enough free pages for the test; gives the number back that it added. */
static long raise_pages(void)
{
	long before = read_number(pool_path), lacking = NEEDED - read_number(free_path);

	if (before < 0 || lacking <= 0)
		return 0;
	write_number(pool_path, before + lacking);
	return read_number(pool_path) - before;
}

static struct usrpci_ctx *physical_ctx(char *log)
{
	const struct usrpci_ctx_options options = {
		.log = keep_log, .log_data = log, .page_size = PAGE};
	struct usrpci_ctx *ctx;

	assert_int_equal(usrpci_ctx_open(&options, &ctx), 0);
	assert_int_equal(domain_physical_attach(ctx), 0);
	assert_int_equal(domain_physical_attach(ctx), 0);
	return ctx;
}

static int physical_setup(void **state)
{
	struct physical *physical = calloc(1, sizeof(*physical));

	physical->raised_by = raise_pages();
	physical->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	physical->ctx = physical_ctx(physical->log);
	*state = physical;
	return 0;
}

static int physical_teardown(void **state)
{
	struct physical *physical = *state;

	usrpci_ctx_close(physical->ctx);
	close(physical->pagemap);
	if (physical->raised_by)
		write_number(pool_path, read_number(pool_path) - physical->raised_by);
	free(physical);
	return 0;
}

/* Programs have addresses of 47 bits, or of 39, or are emulated with as many. */
static void the_base_is_an_address_that_programs_have(void **state)
{
	void *high = (void *)(uintptr_t)(UINT64_C(1) << 45);
	struct usrpci_ctx *ctx;
	void *va;

	(void)state;
	va = mmap(high, 1 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(va != MAP_FAILED);
	munmap(va, 1 << 16);
	assert_int_equal(usrpci_ctx_open(NULL, &ctx), 0);
	assert_int_equal(usrpci_dma_physical(ctx), 0);
	if (va == high)
		assert_ptr_equal(usrpci_dma_va(ctx, 0), high);
	else
		assert_true((uintptr_t)usrpci_dma_va(ctx, 0) < UINT64_C(1) << 37);
	usrpci_ctx_close(ctx);
}

static void need_pages(struct physical *physical)
{
	if (getenv("USRPCI_EMULATED") || geteuid() != 0 || read_number(free_path) < NEEDED) {
		print_message("# needs a kernel of its own, root and %d free huge pages of 2 MiB\n",
			      NEEDED);
		skip();
	}
}

static uint64_t physical_address(const struct physical *physical, const void *va)
{
	const uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t entry = 0;

	assert_int_equal(pread(physical->pagemap, &entry, 8, (off_t)((uintptr_t)va / size * 8)), 8);
	assert_true(entry >> 63);
	return (entry & ((1ull << 55) - 1)) * size + (uintptr_t)va % size;
}

static void device_addresses_are_what_the_kernel_says(void **state)
{
	struct physical *physical = *state;

	need_pages(physical);
	for (unsigned int i = 0; i < 3; i++) {
		char *block = get(physical->ctx, PAGE);

		memset(block, 1, PAGE);
		assert_int_equal(usrpci_dma_addr(physical->ctx, block),
				 physical_address(physical, block));
	}
	assert_int_equal(stats_of(physical->ctx).pages, 3);
}

static void large_blocks_are_contiguous_or_refused_with_a_reason(void **state)
{
	struct physical *physical = *state;
	struct usrpci_dma_request request = {.size = PAGE + 4096};
	char *block;
	int error;

	need_pages(physical);
	error = usrpci_dma_alloc(physical->ctx, &request, (void **)&block);
	if (error) {
		assert_int_equal(error, -ENOMEM);
		assert_non_null(strstr(physical->log, "no 2 of them are contiguous"));
		assert_non_null(strstr(physical->log, "1 GiB"));
		assert_int_equal(stats_of(physical->ctx).pages, 0);
		print_message("# the kernel has no neighbouring huge pages\n");
		return;
	}
	memset(block, 1, request.size);
	for (size_t i = 0; i < request.size; i += 4096)
		assert_int_equal(physical_address(physical, block + i),
				 usrpci_dma_addr(physical->ctx, block) + i);
	assert_int_equal(stats_of(physical->ctx).pages, 2);
}

static void low_requests_get_low_memory_or_a_reason(void **state)
{
	struct physical *physical = *state;
	struct usrpci_dma_request request = {.size = 4096, .limit = UINT32_MAX};
	void *block;
	int error;

	need_pages(physical);
	error = usrpci_dma_alloc(physical->ctx, &request, &block);
	if (error) {
		assert_int_equal(error, -ENOMEM);
		assert_non_null(strstr(physical->log, "up to 0xffffffff"));
		assert_int_equal(stats_of(physical->ctx).pages, 0);
		return;
	}
	assert_true(usrpci_dma_addr(physical->ctx, block) + 4095 <= UINT32_MAX);
	assert_int_equal(stats_of(physical->ctx).pages, 1);
}

static void exhaustion_says_how_to_get_more(void **state)
{
	struct physical *physical = *state;
	struct usrpci_dma_request request = {.size = PAGE};
	long free_pages = read_number(free_path);
	void *block;
	int error;

	need_pages(physical);
	while (!(error = usrpci_dma_alloc(physical->ctx, &request, &block)))
		;
	assert_int_equal(error, -ENOMEM);
	assert_int_equal(stats_of(physical->ctx).pages, free_pages);
	assert_non_null(strstr(physical->log, "2097152 bytes of DMA memory"));
	assert_non_null(strstr(physical->log, "huge pages of 2048 kB are free"));
	assert_non_null(strstr(physical->log, "usrpci hugepages reserve 1"));
	usrpci_dma_free(physical->ctx, block);
	assert_int_equal(usrpci_dma_trim(physical->ctx), PAGE);
	assert_int_equal(read_number(free_path), 1);
}

static void closing_gives_every_page_back(void **state)
{
	struct physical *physical = *state;
	long free_pages = read_number(free_path);

	need_pages(physical);
	get(physical->ctx, 64);
	get(physical->ctx, PAGE);
	assert_int_equal(read_number(free_path), free_pages - 2);
	usrpci_ctx_close(physical->ctx);
	assert_int_equal(read_number(free_path), free_pages);
	physical->ctx = physical_ctx(physical->log);
}

static void a_renewed_page_is_clear_or_refused(void **state)
{
	struct physical *physical = *state;
	char *block, *cut;
	uint64_t offset;
	int fd;

	need_pages(physical);
	block = get(physical->ctx, PAGE);
	cut = get(physical->ctx, PAGE);
	memset(block, 1, PAGE);
	assert_int_equal(usrpci_dma_renew(physical->ctx, block), 0);
	assert_int_equal(block[0] | block[PAGE - 1], 0);
	assert_int_equal(usrpci_dma_renew(physical->ctx, block + 4096), -EINVAL);
	assert_int_equal(usrpci_dma_renew(physical->ctx, &offset), -EINVAL);
	assert_int_equal(usrpci_dma_file(physical->ctx, cut, &fd, &offset), 0);
	assert_int_equal(ftruncate(fd, (off_t)offset), 0);
	assert_int_equal(usrpci_dma_renew(physical->ctx, cut), -EFAULT);
}

static void two_contexts_do_not_collide(void **state)
{
	struct physical *physical = *state;
	struct usrpci_ctx *other;
	char *mine, *others;

	need_pages(physical);
	other = physical_ctx(physical->log);
	mine = get(physical->ctx, PAGE);
	others = get(other, PAGE);
	memset(mine, 1, PAGE);
	memset(others, 2, PAGE);
	assert_int_equal(mine[PAGE - 1], 1);
	assert_false(usrpci_dma_contains(physical->ctx, others, 1));
	usrpci_ctx_close(other);
	assert_int_equal(mine[0], 1);
}

static void a_forked_child_does_not_have_the_memory(void **state)
{
	struct physical *physical = *state;
	unsigned char residence[PAGE / 4096];
	char *block;
	pid_t child;
	int status;

	need_pages(physical);
	block = get(physical->ctx, PAGE);
	block[0] = 7;
	assert_int_equal(mincore(block, PAGE, residence), 0);
	child = fork();
	if (child == 0)
		_exit(mincore(block, PAGE, residence) == 0 || errno != ENOMEM);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(block[0], 7);
	assert_int_equal(physical_address(physical, block), usrpci_dma_addr(physical->ctx, block));
}

static void drop_capability(unsigned int number)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &header, data);
	data[number / 32].effective &= ~(1u << (number % 32));
	data[number / 32].permitted &= ~(1u << (number % 32));
	syscall(SYS_capset, &header, data);
}

/* In a child, since capabilities do not come back. */
static int alloc_without_capability(void)
{
	char log[4096] = "";
	struct usrpci_ctx *ctx = physical_ctx(log);
	void *block;
	int error, status;

	drop_capability(CAP_SYS_ADMIN);
	error = usrpci_dma_alloc(ctx, &(struct usrpci_dma_request){.size = 64}, &block);
	status = error != -EPERM                        ? 1
		 : !strstr(log, "CAP_SYS_ADMIN")        ? 2
		 : !strstr(log, "setcap cap_sys_admin") ? 3
		 : stats_of(ctx).pages                  ? 4
							: 0;
	usrpci_ctx_close(ctx);
	return status;
}

static void hidden_addresses_name_the_capability(void **state)
{
	struct physical *physical = *state;
	long free_pages = read_number(free_path);
	pid_t child;
	int status;

	need_pages(physical);
	child = fork();
	if (child == 0)
		_exit(alloc_without_capability());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(read_number(free_path), free_pages);
}

static void memory_of_the_program_cannot_be_mapped_without_an_iommu(void **state)
{
	struct physical *physical = *state;
	usrpci_dma_t addr;
	static char memory[4096] __attribute__((aligned(4096)));

	assert_int_equal(usrpci_dma_map(physical->ctx, memory, 4096, &addr), -EOPNOTSUPP);
	assert_int_equal(usrpci_dma_unmap(physical->ctx, memory, 4096), -EOPNOTSUPP);
	assert_non_null(strstr(physical->log, "without an IOMMU"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define REAL(name) cmocka_unit_test_setup_teardown(name, physical_setup, physical_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(addresses_differ_from_pointers_by_a_constant),
		TEST(a_block_comes_with_its_device_address),
		TEST(bad_requests_are_refused_with_a_reason),
		TEST(small_boundaries_are_kept),
		TEST(without_a_device_there_is_no_memory),
		TEST(memory_without_a_file_is_not_renewed),
		TEST(a_block_is_cleared_when_asked),
		TEST(wrong_frees_are_logged_and_ignored),
		TEST(many_blocks_share_a_page),
		TEST(large_blocks_come_from_neighbours_and_the_rest_goes_back),
		TEST(a_page_that_is_held_already_counts_as_neighbour),
		TEST(without_neighbours_nothing_is_kept),
		TEST(a_limit_sends_high_pages_back),
		TEST(what_was_reserved_is_there),
		TEST(trimming_keeps_what_is_in_use),
		TEST(threads_do_not_disturb_each_other),
		cmocka_unit_test(the_base_is_an_address_that_programs_have),
		REAL(device_addresses_are_what_the_kernel_says),
		REAL(large_blocks_are_contiguous_or_refused_with_a_reason),
		REAL(low_requests_get_low_memory_or_a_reason),
		REAL(exhaustion_says_how_to_get_more),
		REAL(closing_gives_every_page_back),
		REAL(a_renewed_page_is_clear_or_refused),
		REAL(two_contexts_do_not_collide),
		REAL(a_forked_child_does_not_have_the_memory),
		REAL(hidden_addresses_name_the_capability),
		REAL(memory_of_the_program_cannot_be_mapped_without_an_iommu),
	};

	return cmocka_run_group_tests_name("dma", tests, NULL, NULL);
}
