// SPDX-License-Identifier: BSD-2-Clause
/*
 * INTx under QEMU. The lines into the I/O APIC are reported on the qtest socket. Whoever reads
 * there next notes them; qemu_leave() then asks the devices on the line whether the interrupt is
 * theirs, masks it as a kernel would, and writes to its eventfd. Follows PCI Local Bus 3.0, 2.2.6
 * and 6.2.4.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

/* Pins of device 0 behind the root ports take turns on lines 20 to 23 (Q35, PIRQ E to H). */
static uint32_t line_of(const struct qemu_dev *qdev)
{
	return 1U << (20 + (qemu_slot_port(qdev->slot) + qdev->dev->info.irq_pin - 1) % 4);
}

/* QEMU evaluates the bit only when the first byte of the register is written too. */
int qemu_intx_mask(struct qemu_dev *qdev, bool masked)
{
	qdev->intx_masked = masked;
	if (!masked)
		qdev->qemu->lines_changed = true;
	return qemu_register_update(qdev, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE,
				    masked ? PCI_COMMAND_INTX_DISABLE : 0);
}

static bool asserts_intx(struct qemu_dev *qdev)
{
	uint32_t status;

	if (qdev->intx < 0 || qdev->intx_masked || !(qdev->qemu->lines & line_of(qdev)))
		return false;
	return !qemu_register_read(qdev, PCI_STATUS, 2, &status) && status != 0xffff &&
	       status & PCI_STATUS_INTERRUPT;
}

/* Masking one device may uncover another on the same line, so this repeats until none is found. */
void qemu_intx_deliver(struct qemu *qemu)
{
	struct qemu_dev *qdev;

	while (qemu->lines_changed) {
		qemu->lines_changed = false;
		for (unsigned int slot = 0; slot < QEMU_SLOTS; slot++) {
			qdev = qemu->slots[slot];
			if (!qdev || !asserts_intx(qdev))
				continue;
			if (!qemu_intx_mask(qdev, true))
				eventfd_write(qdev->intx, 1);
			qemu->lines_changed = true;
		}
	}
}

static void line_changed(void *data, unsigned int line, bool raised)
{
	struct qemu *qemu = data;

	if (line >= 32)
		return;
	if (raised)
		qemu->lines |= 1U << line;
	else
		qemu->lines &= ~(1U << line);
	qemu->lines_changed = qemu->lines_changed || raised;
}

static int intercept(struct qemu *qemu)
{
	int error;

	if (qemu->intercepted)
		return 0;
	qemu->qtest.irq = line_changed;
	qemu->qtest.irq_data = qemu;
	error = qtest_intercept_ioapic(&qemu->qtest);
	qemu->intercepted = !error;
	return error ? qemu_lost(qemu, "qemu", error) : 0;
}

int qemu_intx_enable(struct qemu_dev *qdev)
{
	int error = intercept(qdev->qemu);

	if (error)
		return error;
	qdev->intx = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (qdev->intx < 0)
		return report(qdev->dev->ctx, -errno, qdev->dev->name, NULL,
			      "cannot make a descriptor for INTx");
	return qemu_intx_mask(qdev, false);
}

void qemu_intx_disable(struct qemu_dev *qdev)
{
	qemu_intx_mask(qdev, true);
	if (qdev->intx >= 0)
		close(qdev->intx);
	qdev->intx = -1;
}
