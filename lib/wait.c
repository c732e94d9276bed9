// SPDX-License-Identifier: BSD-2-Clause
/*
 * Waiting for a register, with a deadline on the monotonic clock.
 */

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include <usrpci/mmio.h>

#define NAP_NS 50000

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int usrpci_bar_wait32(struct usrpci_bar *bar, size_t offset, uint32_t mask, uint32_t value,
		      unsigned int timeout_ms, uint32_t *last)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	uint64_t deadline = now_us() + (uint64_t)timeout_ms * 1000;
	uint32_t got;
	bool late;

	for (;;) {
		late = now_us() >= deadline;
		got = usrpci_read32(bar, offset);
		if (last)
			*last = got;
		if (got == UINT32_MAX)
			return -ENODEV;
		if ((got & mask) == (value & mask))
			return 0;
		if (late)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
	}
}
