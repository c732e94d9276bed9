// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which files the process that serves the program may still open, although it is root's: those of
 * the devices that are lent, its DMA memory, and to read sysfs (the kernel's
 * Documentation/userspace-api/landlock.rst). Landlock also keeps it from looking into other
 * processes.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"
#include "lend/lend.h"

/* All rights of the first version; a kernel with a later one refuses no more than these. */
#define ALL        (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)
#define READ       (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define READ_WRITE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)

/* A file that does not exist needs no right. */
static int allow(const struct lend *lend, int rules, uint64_t rights, const char *path)
{
	AUTO_CLOSE int fd = file_open(lend->host->ctx, O_PATH, "%s", path);
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = rights,
		.parent_fd = fd,
	};

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ? -errno
											   : 0;
}

static int allow_all(const struct lend *lend, int rules)
{
	/* Pages are cleared from /dev/zero. */
	int error = allow(lend, rules, READ, "/sys")
			    ?: allow(lend, rules, LANDLOCK_ACCESS_FS_READ_FILE, "/dev/zero");

	for (size_t i = 0; !error && i < lend->file_count; i++)
		error = allow(lend, rules, READ_WRITE, lend->files[i].path);
	if (!error && lend->memory_directory[0])
		error = allow(lend, rules, ALL, lend->memory_directory);
	return error;
}

/* A kernel without Landlock is the administrator's choice. */
int lend_confine_server(const struct lend *lend)
{
	const struct landlock_ruleset_attr handled = {.handled_access_fs = ALL};
	AUTO_CLOSE int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled),
					    0);
	int error;

	if (rules < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	error = allow_all(lend, rules);
	if (!error && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		error = -errno;
	if (!error && syscall(SYS_landlock_restrict_self, rules, 0))
		error = -errno;
	return error;
}
