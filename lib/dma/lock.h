/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A lock for critical sections of some ten nanoseconds, where a mutex would cost more than the
 * work: one atomic exchange to take it, a plain store to give it back, and neither while the
 * process has a single thread. A thread that finds it taken spins for a moment, then naps, so that
 * a holder that lost its processor gets it back, even from a thread of real-time priority. The lock
 * is not recursive, and nothing that blocks may be done under it.
 */

#include <stdatomic.h>
#include <stdbool.h>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define single_threaded() (__libc_single_threaded)
#else
#define single_threaded() false
#endif

struct lock {
	atomic_uint held;
};

/* How long a thread has waited for another one; it starts as zeros. */
struct backoff {
	unsigned int spins;
	long nap; /* nanoseconds */
};

/*
 * Waits a little for another thread: it spins at first, then sleeps, longer each time up to 1 ms.
 */
void backoff_wait(struct backoff *backoff);

void lock_wait(struct lock *lock);

static inline void lock_acquire(struct lock *lock)
{
	if (single_threaded())
		atomic_store_explicit(&lock->held, 1, memory_order_relaxed);
	else if (atomic_exchange_explicit(&lock->held, 1, memory_order_acquire))
		lock_wait(lock);
}

static inline void lock_release(struct lock *lock)
{
	atomic_store_explicit(&lock->held, 0, memory_order_release);
}
