// SPDX-License-Identifier: BSD-2-Clause
/*
 * The end of a rump kernel, in the place of librumpuser's. The kernel's messages are standard
 * output's, and abort(3) drops those that a file or a pipe has not got yet: after a panic, its
 * reason.
 */

#include <stdio.h>
#include <stdlib.h>

#include "hypercall.h"

void rumpuser_exit(int status)
{
	puts("halted");
	fflush(stdout);
	if (status == RUMPUSER_PANIC)
		abort();
	exit(status);
}
