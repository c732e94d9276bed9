// SPDX-License-Identifier: BSD-2-Clause
/*
 * Physical addresses from /proc/self/pagemap: eight bytes a page, bit 63 says that it is in memory,
 * bits 0 to 54 are its frame number, or 0 for a program that may not know it. Follows the kernel's
 * Documentation/admin-guide/mm/pagemap.rst.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "file.h"
#include "dma/pagemap.h"

#define LOG_SUBJECT "dma"
#include "log.h"

#define PAGEMAP_PATH    "/proc/self/pagemap"
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_FRAME   ((UINT64_C(1) << 55) - 1)

static const char permission_hint[] =
	"run as root, or give the program the capability: setcap cap_sys_admin+ep PROGRAM; "
	"devices bound to vfio-pci need neither";

int pagemap_open(const struct usrpci_ctx *ctx)
{
	int fd = file_open(ctx, O_RDONLY, PAGEMAP_PATH);

	if (fd < 0)
		return report(ctx, fd, PAGEMAP_PATH,
			      fd == -EPERM || fd == -EACCES ? permission_hint : NULL,
			      "cannot read physical addresses");
	return fd;
}

int pagemap_read(const struct usrpci_ctx *ctx, int fd, const void *va, uint64_t *pa)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t entry;
	int error = pread_exact(fd, &entry, sizeof(entry),
				(off_t)((uintptr_t)va / page * sizeof(entry)));

	if (error)
		return report(ctx, error, PAGEMAP_PATH, NULL,
			      "cannot read the physical address of %p", va);
	if (!(entry & PAGEMAP_PRESENT))
		return report(ctx, -ENOENT, PAGEMAP_PATH, NULL, "nothing is mapped at %p", va);
	if (!(entry & PAGEMAP_FRAME))
		return report(ctx, -EPERM, PAGEMAP_PATH, permission_hint,
			      "the kernel hides physical addresses from a program without "
			      "CAP_SYS_ADMIN");
	*pa = (entry & PAGEMAP_FRAME) * page + (uintptr_t)va % page;
	return 0;
}
