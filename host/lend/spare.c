// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where memory is short, the kernel ends processes (proc(5), oom_score_adj). Those of the broker
 * are small, but the program's may be smaller: it is not the broker that is to go first.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "lend/lend.h"

#define OOM_SCORE "/proc/self/oom_score_adj"

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

int lend_unspare(const struct lend *lend)
{
	return lend->oom_score[0] ? set_oom_score(lend, lend->oom_score) : 0;
}
