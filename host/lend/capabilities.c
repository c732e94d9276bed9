// SPDX-License-Identifier: BSD-2-Clause
/*
 * Capabilities (capabilities(7)): the program has none, and the process that serves it has none
 * but where a file of the list is not root's. What only a privileged process can do, that one
 * does before.
 */

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"
#include "lend/lend.h"

/* An empty bounding set leaves a set-user-id program nothing, even without no_new_privs. */
void lend_capabilities_bound(uint32_t kept)
{
	for (int cap = 0;; cap++) {
		bool is_kept = cap < 32 && kept >> cap & 1;

		if (!is_kept && prctl(PR_CAPBSET_DROP, cap))
			return; /* the kernel knows no more of them */
	}
}

int lend_capabilities_keep(uint32_t kept)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{kept, kept, 0}};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return -errno;
	return syscall(SYS_capset, &header, sets) ? -errno : 0;
}

/* Who owns a file opens it without a capability; a node of vfio may be a user's, who bound it. */
static uint32_t needed(const struct lend *lend)
{
	char path[PATH_SIZE];
	struct stat status;

	for (size_t i = 0; i < lend->file_count; i++)
		if (!path_format(lend->host->ctx, path, "%s", lend->files[i].path) &&
		    !stat(path, &status) && status.st_uid != 0)
			return UINT32_C(1) << CAP_DAC_OVERRIDE;
	return 0;
}

int lend_capabilities_drop(const struct lend *lend)
{
	uint32_t kept = needed(lend);

	lend_capabilities_bound(kept);
	return lend_capabilities_keep(kept);
}
