// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine as a whole: accesses to its memory and ports, and what happens when it is lost.
 */

#include <errno.h>
#include <sys/eventfd.h>

#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

/* Wakes all threads that wait for an interrupt, which can no longer come. */
static void wake_all(struct qemu *qemu)
{
	for (unsigned int slot = 0; slot < QEMU_SLOTS; slot++)
		if (qemu->slots[slot] && qemu->slots[slot]->intx >= 0)
			eventfd_write(qemu->slots[slot]->intx, 1);
	for (unsigned int i = 0; i < qemu->vectors_made; i++)
		eventfd_write(qemu->vectors[i], 1);
}

int qemu_lost(struct qemu *qemu, const char *object, int error)
{
	static const char hint[] = "a new context starts another QEMU";
	char text[256];

	if (qemu->gone)
		return error;
	__atomic_store_n(&qemu->gone, true, __ATOMIC_RELEASE);
	qemu_message(&qemu->process, text, sizeof(text));
	if (error == -ENODEV)
		log_error(qemu->domain.ctx, object, hint, "QEMU ended and its devices are gone%s%s",
			  *text ? "; it said: " : "", text);
	else
		report(qemu->domain.ctx, error, object, hint, "QEMU does not answer");
	wake_all(qemu);
	return error;
}

static int check(struct qemu *qemu, int error)
{
	return error ? qemu_lost(qemu, "qemu", error) : 0;
}

int qemu_read(struct qemu *qemu, enum qtest_space space, uint64_t address, unsigned int width,
	      uint64_t *value)
{
	return check(qemu, qtest_read(&qemu->qtest, space, address, width, value));
}

int qemu_write(struct qemu *qemu, enum qtest_space space, uint64_t address, unsigned int width,
	       uint64_t value)
{
	return check(qemu, qtest_write(&qemu->qtest, space, address, width, value));
}

int qemu_read_block(struct qemu *qemu, uint64_t address, void *bytes, size_t size)
{
	return check(qemu, qtest_read_block(&qemu->qtest, address, bytes, size));
}
