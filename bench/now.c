// SPDX-License-Identifier: BSD-2-Clause
/*
 * Prints the time of its first instructions, in nanoseconds since 1970. It is linked statically, so
 * that no libraries are loaded before them.
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
