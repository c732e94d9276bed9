// SPDX-License-Identifier: BSD-2-Clause
/*
 * dma_cases: allocates as its arguments say, compares every block with what the kernel says of its
 * pages, and prints "ADDRESS NODE HUGE-PAGES" for each. Failures that the library reports go to
 * stderr.
 *
 * usage: dma_cases DEVICE [size=N] [align=N] [limit=N] [node=N] [page=N] [count=N] [hold=1]
 *
 * hold=1 waits for the end of standard input before it gives everything back.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <usrpci/usrpci.h>

#define PAGE 4096

/* The value of "KEY=N" among the arguments, or 0. */
static uint64_t option(char **argument, const char *key)
{
	size_t length = strlen(key);

	for (; *argument; argument++)
		if (!strncmp(*argument, key, length) && (*argument)[length] == '=')
			return strtoull(*argument + length + 1, NULL, 0);
	return 0;
}

static uint64_t kernel_address(int pagemap, const void *va)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry), (off_t)((uintptr_t)va / PAGE * 8)) != 8)
		return 0;
	return (entry & ((UINT64_C(1) << 55) - 1)) * PAGE + (uintptr_t)va % PAGE;
}

/* Another call than the library's, which asks get_mempolicy(2). */
static int kernel_node(void *va)
{
	int node = -1;

	return syscall(SYS_move_pages, 0, 1, &va, NULL, &node, 0) ? -errno : node;
}

static int check(struct usrpci_ctx *ctx, char *block, size_t size)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY), bad = 0;

	memset(block, 0xa5, size);
	for (size_t i = 0; i < size && !bad; i += PAGE)
		bad = kernel_address(pagemap, block + i) != usrpci_dma_addr(ctx, block) + i;
	close(pagemap);
	if (bad)
		printf("the kernel has it elsewhere\n");
	return bad;
}

static int alloc(struct usrpci_ctx *ctx, char **argument)
{
	const struct usrpci_dma_request request = {
		.size = option(argument, "size"),
		.align = option(argument, "align"),
		.limit = option(argument, "limit"),
		.node = (int)option(argument, "node"),
	};
	struct usrpci_dma_stats stats;
	void *block;
	int error = usrpci_dma_alloc(ctx, &request, &block);

	if (error) {
		printf("error %s\n", strerrorname_np(-error));
		return 1;
	}
	usrpci_dma_stats(ctx, &stats);
	printf("0x%" PRIx64 " %d %zu\n", usrpci_dma_addr(ctx, block), kernel_node(block),
	       stats.pages);
	return check(ctx, block, request.size);
}

int main(int argc, char **argv)
{
	struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	struct usrpci_dev *dev;
	struct usrpci_ctx *ctx;
	int failed = 0;

	if (argc < 2)
		return 2;
	options.page_size = option(argv, "page");
	if (usrpci_ctx_open(&options, &ctx) || usrpci_dev_open(ctx, argv[1], &dev))
		return 1;
	for (uint64_t i = option(argv, "count") + !option(argv, "count"); i > 0 && !failed; i--)
		failed = alloc(ctx, argv);
	fflush(stdout);
	if (option(argv, "hold"))
		while (getchar() != EOF)
			;
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return failed;
}
