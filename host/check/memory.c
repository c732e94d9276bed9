// SPDX-License-Identifier: BSD-2-Clause
/*
 * The check's part for memory: huge pages, the control group's limit of them, and how much may be
 * pinned.
 */

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "check/check.h"
#include "kernel.h"
#include "hugepage.h"

/* vfio pins about this much for a small driver; a lower limit is reported. */
#define MEMLOCK_ENOUGH (64u << 20)

/* The command names the page size, because the machine's default can be another one. */
#define RESERVE "usrpci hugepages reserve 64 --size 2M"

/* Adds up the pages of all sizes that DMA memory can use. */
static size_t sum_pools(struct usrpci_host *host, struct usrpci_hugepages *sum,
			struct findings *findings)
{
	struct usrpci_hugepages *list = NULL;
	int count = usrpci_host_hugepages(host, &list);
	size_t bytes = 0;

	findings->failed |= count == -ENOMEM;
	*sum = (struct usrpci_hugepages){0};
	for (int i = 0; i < count; i++) {
		if (list[i].page_size != HUGEPAGE_2M && list[i].page_size != HUGEPAGE_1G)
			continue;
		sum->page_size = list[i].page_size;
		sum->total += list[i].total;
		sum->free += list[i].free;
		bytes += list[i].free * list[i].page_size;
	}
	free(list);
	return bytes;
}

static void check_limit(struct usrpci_host *host, struct findings *findings)
{
	struct hugepage_limit limit;
	char cure[200];

	if (!hugepage_cgroup_limit(host->ctx, HUGEPAGE_2M, &limit))
		return;
	snprintf(cure, sizeof(cure), "raise %s of the control group that this runs in", limit.file);
	finding_add(findings, limit.bytes < HUGEPAGE_2M ? USRPCI_CHECK_MISSING : USRPCI_CHECK_NOTE,
		    "cgroup", cure, "the control group allows %" PRIu64 " MiB of huge pages",
		    limit.bytes >> 20);
}

void check_hugepages(struct usrpci_host *host, struct findings *findings)
{
	enum usrpci_check_state absent = iommu_groups(host) ? USRPCI_CHECK_NOTE
							    : USRPCI_CHECK_MISSING;
	struct usrpci_hugepages pool;
	size_t bytes = sum_pools(host, &pool, findings);

	if (!pool.page_size)
		finding_add(findings, absent, "hugepages",
			    "use vfio-pci, or a kernel with CONFIG_HUGETLBFS and pages of 4 KiB",
			    "the kernel has no huge pages of 2 MiB or 1 GiB, which uio needs");
	else if (pool.free)
		finding_add(findings, USRPCI_CHECK_OK, "hugepages", NULL,
			    "%zu of %zu huge pages are free, %zu MiB", pool.free, pool.total,
			    bytes >> 20);
	else if (absent == USRPCI_CHECK_NOTE)
		finding_add(findings, absent, "hugepages", RESERVE,
			    "none of %zu huge pages is free; vfio-pci works with ordinary pages",
			    pool.total);
	else
		finding_add(findings, absent, "hugepages", RESERVE,
			    "none of %zu huge pages is free", pool.total);
	check_limit(host, findings);
}

void check_memlock(struct usrpci_host *host, struct findings *findings)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    has_capability(host->ctx, CAP_IPC_LOCK))
		finding_add(findings, USRPCI_CHECK_OK, "memlock", NULL,
			    "memory is pinned without limit");
	else if (limit.rlim_cur >= MEMLOCK_ENOUGH)
		finding_add(findings, USRPCI_CHECK_OK, "memlock", NULL, "%ju MiB may be pinned",
			    (uintmax_t)limit.rlim_cur >> 20);
	else
		finding_add(findings, USRPCI_CHECK_NOTE, "memlock",
			    "echo \"$USER - memlock unlimited\" | sudo tee "
			    "/etc/security/limits.d/usrpci.conf, and log in again",
			    "%ju KiB may be pinned: little for DMA memory through vfio",
			    (uintmax_t)limit.rlim_cur >> 10);
}
