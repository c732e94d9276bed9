// SPDX-License-Identifier: BSD-2-Clause
/*
 * What giving back takes, whatever there is little of.
 *
 * Where memory is short, the kernel ends processes (proc(5), oom_score_adj). Those of the broker
 * are small, but the program's may be smaller: it is not the broker that is to go first. And nobody
 * may learn at the end that no file can be opened any more.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "file.h"
#include "lend/lend.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define OOM_SCORE "/proc/self/oom_score_adj"
#define FILES_MIN 64

static int set_oom_score(const struct lend *lend, const char *score)
{
	AUTO_CLOSE int fd = file_open(lend->host->ctx, O_WRONLY, OOM_SCORE);

	if (fd < 0)
		return fd;
	return write(fd, score, strlen(score)) < 0 ? -errno : 0;
}

/* Without the privilege the processes stay as they are. */
void lend_spare(struct lend *lend)
{
	if (file_read(lend->host->ctx, lend->oom_score, sizeof(lend->oom_score), OOM_SCORE) <= 0 ||
	    set_oom_score(lend, "-1000"))
		lend->oom_score[0] = '\0';
}

int lend_spare_files(struct usrpci_host *host, const char *name)
{
	struct rlimit before, enough;

	if (getrlimit(RLIMIT_NOFILE, &before))
		return -errno;
	if (before.rlim_cur >= FILES_MIN)
		return 0;
	enough.rlim_cur = FILES_MIN;
	enough.rlim_max = before.rlim_max > FILES_MIN ? before.rlim_max : FILES_MIN;
	if (setrlimit(RLIMIT_NOFILE, &enough))
		return refuse(host->ctx, -EMFILE, name, "ulimit -n 1024",
			      "it is not started: this process may open only %ju files, and %d may "
			      "be needed to give its devices back",
			      (uintmax_t)before.rlim_cur, FILES_MIN);
	host->files_before = before;
	return 1;
}

int lend_unspare_files(const struct usrpci_host *host)
{
	if (!host->files_before.rlim_max)
		return 0;
	return setrlimit(RLIMIT_NOFILE, &host->files_before) ? -errno : 0;
}

int lend_unspare(const struct lend *lend)
{
	return lend->oom_score[0] ? set_oom_score(lend, lend->oom_score) : 0;
}
