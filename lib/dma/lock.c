// SPDX-License-Identifier: BSD-2-Clause
/*
 * The slow half of lock.h: waiting. There is no queue and no wake-up, which would make the release
 * an atomic operation too; a nap is short against what would keep a holder from its processor.
 */

#include <time.h>

#include "dma/lock.h"

#define SPINS     256
#define NAP_FIRST 20000   /* nanoseconds */
#define NAP_LAST  1000000 /* nanoseconds */

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool try_acquire(struct lock *lock)
{
	return !atomic_load_explicit(&lock->held, memory_order_relaxed) &&
	       !atomic_exchange_explicit(&lock->held, 1, memory_order_acquire);
}

void backoff_wait(struct backoff *backoff)
{
	if (backoff->spins < SPINS) {
		backoff->spins++;
		relax();
		return;
	}
	backoff->nap = backoff->nap * 2 < NAP_LAST ? backoff->nap * 2 : NAP_LAST;
	if (backoff->nap < NAP_FIRST)
		backoff->nap = NAP_FIRST;
	nanosleep(&(struct timespec){.tv_nsec = backoff->nap}, NULL);
}

void lock_wait(struct lock *lock)
{
	struct backoff backoff = {0};

	while (!try_acquire(lock))
		backoff_wait(&backoff);
}
