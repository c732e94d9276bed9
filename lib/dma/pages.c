// SPDX-License-Identifier: BSD-2-Clause
/*
 * Huge pages from memory files, or from a hugetlbfs that the program named: memfd_create(2),
 * fallocate(2), set_mempolicy(2). fallocate(2) gets them, because it reports a shortage or a
 * control group's limit, which touching a mapping answers with SIGBUS.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ctx.h"
#include "dma/pages.h"
#include "file.h"

#define LOG_SUBJECT "dma"
#include "log.h"

/*
 * Free in plain programs, under valgrind and under ASan; TSan admits addresses of its choice only.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BASE UINT64_C(0x7e8000000000)
#endif
#elif defined(__SANITIZE_THREAD__)
#define BASE UINT64_C(0x7e8000000000)
#endif
#ifndef BASE
#define BASE (UINT64_C(1) << 45)
#endif

/* Where a program has addresses of 39 bits, and 38 on RISC-V: Raspberry Pi OS, Android, Sv39. */
#define LOW_BASE (UINT64_C(1) << 36)

#define POLICY_BIND     2 /* MPOL_BIND of linux/mempolicy.h, which not every system has */
#define POLICY_OF_PAGE  3 /* MPOL_F_NODE | MPOL_F_ADDR */
#define POLICY_MAX_NODE 1024

static int name_file(const struct usrpci_ctx *ctx, const struct page_file *file,
		     char path[PATH_SIZE])
{
	int length = snprintf(path, PATH_SIZE, "%s/usrpci-%d-%p-%" PRIu64 "kB", ctx->dma_directory,
			      getpid(), (const void *)ctx, file->page_size >> 10);

	return length < 0 || length >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

static int open_named(struct usrpci_ctx *ctx, struct page_file *file)
{
	struct statfs status;
	char path[PATH_SIZE];
	int error = name_file(ctx, file, path);

	if (error)
		return error;
	/* A hugetlbfs has pages of one size. */
	if (statfs(ctx->dma_directory, &status))
		return report(ctx, -errno, ctx->dma_directory, NULL, "it cannot hold DMA memory");
	if ((uint64_t)status.f_bsize != file->page_size)
		return -ENOMEM;
	file->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return file->fd < 0 ? report(ctx, -errno, path, NULL, "cannot create it for DMA memory")
			    : 0;
}

int pages_open(struct usrpci_ctx *ctx, struct page_file *file)
{
	unsigned int shift = (unsigned int)__builtin_ctzll(file->page_size);

	if (file->fd >= 0)
		return 0;
	if (ctx->dma_directory)
		return open_named(ctx, file);
	file->fd = memfd_create("usrpci-dma", MFD_CLOEXEC | MFD_HUGETLB | shift << MAP_HUGE_SHIFT);
	return file->fd < 0 ? -errno : 0;
}

void pages_close(struct usrpci_ctx *ctx, struct page_file *file)
{
	char path[PATH_SIZE];

	if (file->fd < 0)
		return;
	if (ctx->dma_directory && !name_file(ctx, file, path))
		unlink(path);
	close(file->fd);
}

struct policy {
	int mode;
	unsigned long nodes[POLICY_MAX_NODE / (8 * sizeof(unsigned long))];
};

static int policy_get(struct policy *policy)
{
	return syscall(SYS_get_mempolicy, &policy->mode, policy->nodes, POLICY_MAX_NODE, NULL, 0)
		       ? -errno
		       : 0;
}

static int policy_set(const struct policy *policy)
{
	return syscall(SYS_set_mempolicy, policy->mode, policy->nodes, POLICY_MAX_NODE + 1) ? -errno
											    : 0;
}

static struct policy policy_of_node(int node)
{
	struct policy policy = {.mode = POLICY_BIND};
	const unsigned int bits = 8 * sizeof(*policy.nodes);

	policy.nodes[(unsigned int)node / bits] = 1UL << ((unsigned int)node % bits);
	return policy;
}

int pages_node(void *va)
{
	int node;

	return syscall(SYS_get_mempolicy, &node, NULL, 0, va, POLICY_OF_PAGE) ? -1 : node;
}

void pages_punch(const struct page_file *file, uint64_t offset)
{
	fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		  (off_t)file->page_size);
}

void *pages_map(const struct page_file *file, void *va, uint64_t offset)
{
	int flags = MAP_SHARED | MAP_NORESERVE | MAP_POPULATE | (va ? MAP_FIXED_NOREPLACE : 0);
	void *got = mmap(va, file->page_size, PROT_READ | PROT_WRITE, flags, file->fd,
			 (off_t)offset);

	if (va && got == va)
		madvise(got, file->page_size, MADV_DONTFORK);
	return got;
}

static int fill(const struct page_file *file, uint64_t offset)
{
	int error;

	do
		error = fallocate(file->fd, 0, (off_t)offset, (off_t)file->page_size) ? -errno : 0;
	while (error == -EINTR);
	return error;
}

/*
 * As fill(), from one node. For hugetlbfs it is the thread's policy that counts when a file is
 * filled, not the mapping's or the file's.
 */
int pages_fill(const struct page_file *file, uint64_t offset, int node)
{
	struct policy before, bound;
	int error;

	if (node < 0)
		return fill(file, offset);
	if (node >= POLICY_MAX_NODE)
		return -ENOMEM;
	bound = policy_of_node(node);
	if (policy_get(&before) || policy_set(&bound))
		return -ENOMEM;
	error = fill(file, offset);
	policy_set(&before);
	return error;
}

/* Chooses a base that exists: the kernel maps nothing above the end of a program's addresses. */
uint64_t pages_base(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *want = (void *)(uintptr_t)BASE;
	void *va = mmap(want, page, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (va == MAP_FAILED)
		return errno == EEXIST ? BASE : LOW_BASE;
	munmap(va, page);
	return va == want ? BASE : LOW_BASE;
}
