// SPDX-License-Identifier: BSD-2-Clause
/*
 * The time of its first instructions: nanoseconds since 1970. Linked statically, so that there is
 * no loading of libraries before them.
 */

#include <stdio.h>
#include <time.h>

int main(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	printf("%lld%09ld\n", (long long)now.tv_sec, now.tv_nsec);
	return 0;
}
