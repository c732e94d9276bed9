// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the kernel allows a process to map and to pin, asked before it is tried, so that the answer
 * can say how much is missing and what raises the limit.
 *
 * Type 1 counts pinned pages against the process, iommufd against the user; here only those of the
 * context are counted, and where others' make the difference the kernel's refusal is explained.
 */

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kernel.h"
#include "vfio/domain.h"

#define LOG_SUBJECT "dma"
#include "log.h"

void vfio_limits_read(struct vfio_domain *domain)
{
	domain->privileged = has_capability(domain->base.ctx, CAP_IPC_LOCK);
}

rlim_t vfio_limits_memlock(const struct vfio_domain *domain)
{
	struct rlimit limit;

	if (domain->privileged || getrlimit(RLIMIT_MEMLOCK, &limit))
		return RLIM_INFINITY;
	return limit.rlim_cur;
}

int vfio_limits_report_memlock(struct vfio_domain *domain, size_t size)
{
	size_t need = domain->pinned + size;
	rlim_t limit = vfio_limits_memlock(domain);
	char hint[256];

	if (need <= limit) /* others of the process or the user have pinned the rest */
		need = limit + size;
	snprintf(hint, sizeof(hint),
		 "prlimit --pid %d --memlock=%zu:%zu; or LimitMEMLOCK=%zu in its systemd unit; or "
		 "\"* - memlock %zu\" in /etc/security/limits.conf and a new login",
		 getpid(), need, need, need, need / 1024);
	return report(domain->base.ctx, -ENOMEM, NULL,
		      domain->base.ctx->broker ? "usrpci run --memlock MIB raises it" : hint,
		      "%zu bytes more cannot be pinned: %zu are, and RLIMIT_MEMLOCK is %llu", size,
		      domain->pinned, (unsigned long long)limit);
}

int vfio_limits_check(struct vfio_domain *domain, size_t size)
{
	rlim_t limit = vfio_limits_memlock(domain);

	if (domain->count >= domain->limit)
		return report(
			domain->base.ctx, -ENOSPC, NULL,
			"fewer and larger mappings; or, as root before the device is opened: "
			"echo NUMBER > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
			"all %zu mappings of the container are in use", domain->limit);
	if (limit == RLIM_INFINITY || (size <= limit && domain->pinned <= limit - size))
		return 0;
	return vfio_limits_report_memlock(domain, size);
}
