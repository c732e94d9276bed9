// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine's slots. Each is a PCI Express root port with bus numbers and windows of its own,
 * into which a model can be plugged while the machine runs. This does what firmware and an
 * operating system do in a computer: configuration space, bus numbers, windows, slot power; bar.c
 * does BARs. Follows the PCI Express Base Specification 4.0, 6.7 and 7.5, and Intel's Q35 data
 * sheet for PCIEXBAR.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "array.h"
#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

/* Where configuration space lies: a register of the host bridge, device 0 on bus 0. */
#define PCIEXBAR        0x60
#define PCIEXBAR_ENABLE 1
#define CONFIG_ADDRESS  0xcf8
#define CONFIG_DATA     0xcfc

/* Slot control: power and its indicator, on and off (7.5.3.10). */
#define SLOT_POWER (PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_AIC)
#define SLOT_ON    (PCI_EXP_SLTCTL_PWR_ON | PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_ATTN_IND_OFF)
#define SLOT_LEDS  (PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_ATTN_IND_OFF)
#define SLOT_OFF   (PCI_EXP_SLTCTL_PWR_OFF | SLOT_LEDS)

/* How often device_add is repeated after QEMU refused a device, and the time between. */
#define PLUG_TRIES    40
#define PLUG_PAUSE_MS 5

#define COMMAND_ALL (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

static uint64_t config_address(unsigned int bus, unsigned int device, unsigned int offset)
{
	return QEMU_ECAM + ((uint64_t)bus << 20) + (device << 15) + offset;
}

int qemu_bus_read(struct qemu *qemu, unsigned int bus, unsigned int device, unsigned int offset,
		  unsigned int width, uint32_t *value)
{
	uint64_t wide = 0;
	int error = qemu_read(qemu, QTEST_MEMORY, config_address(bus, device, offset), width,
			      &wide);

	*value = (uint32_t)wide;
	return error;
}

int qemu_bus_write(struct qemu *qemu, unsigned int bus, unsigned int device, unsigned int offset,
		   unsigned int width, uint32_t value)
{
	return qemu_write(qemu, QTEST_MEMORY, config_address(bus, device, offset), width, value);
}

int qemu_bus_read_block(struct qemu *qemu, unsigned int bus, unsigned int offset, uint8_t *bytes,
			size_t size)
{
	uint64_t address = config_address(bus, 0, offset);
	int error = 0;

	for (size_t part; size > 0 && !error; size -= part, bytes += part, address += part) {
		part = size < QTEST_BLOCK ? size : QTEST_BLOCK;
		error = qemu_read_block(qemu, address, bytes, part);
	}
	return error;
}

int qemu_map_config(struct qemu *qemu)
{
	int error = qemu_write(qemu, QTEST_IO, CONFIG_ADDRESS, 4, 0x80000000 | PCIEXBAR);

	return error ? error
		     : qemu_write(qemu, QTEST_IO, CONFIG_DATA, 4, QEMU_ECAM | PCIEXBAR_ENABLE);
}

int qemu_register_read(struct qemu_dev *qdev, unsigned int offset, unsigned int width,
		       uint32_t *value)
{
	return qemu_bus_read(qdev->qemu, qemu_slot_bus(qdev->slot), 0, offset, width, value);
}

int qemu_register_write(struct qemu_dev *qdev, unsigned int offset, unsigned int width,
			uint32_t value)
{
	return qemu_bus_write(qdev->qemu, qemu_slot_bus(qdev->slot), 0, offset, width, value);
}

int qemu_register_update(struct qemu_dev *qdev, unsigned int offset, unsigned int width,
			 uint32_t clear, uint32_t set)
{
	uint32_t value;

	return qemu_register_read(qdev, offset, width, &value)
		       ?: qemu_register_write(qdev, offset, width, (value & ~clear) | set);
}

unsigned int qemu_find_cap(struct qemu *qemu, unsigned int bus, unsigned int device, uint8_t id)
{
	unsigned int offset = PCI_CAPABILITY_LIST;
	uint32_t value;

	for (unsigned int steps = 0; steps < 48; steps++) {
		if (qemu_bus_read(qemu, bus, device, offset, 1, &value) || value < 0x40 ||
		    value == 0xff)
			return 0;
		offset = value & ~3U;
		if (qemu_bus_read(qemu, bus, device, offset, 1, &value))
			return 0;
		if (value == id)
			return offset;
		offset++;
	}
	return 0;
}

/* Memory windows have units of 1 MiB, those for ports of 4 KiB (7.5.1.3). */
static uint32_t window16(struct qemu_window window)
{
	uint64_t last = window.start + window.size - 1;

	return (uint32_t)(window.start >> 16 & 0xfff0) | (uint32_t)(last & 0xfff00000);
}

static uint32_t window_io(unsigned int slot)
{
	uint32_t base = QEMU_IO * (slot + 1) >> 8;

	return base | base << 8;
}

struct qemu_window qemu_window32(unsigned int slot)
{
	if (slot == 0)
		return (struct qemu_window){QEMU_BAR32_FIRST, QEMU_BAR32_FIRST_SIZE};
	if (slot == QEMU_DOORBELL)
		return (struct qemu_window){QEMU_DOORBELL_BAR, QEMU_BAR32_SIZE};
	return (struct qemu_window){QEMU_BAR32 + slot * QEMU_BAR32_SIZE, QEMU_BAR32_SIZE};
}

struct qemu_window qemu_window64(unsigned int slot)
{
	return (struct qemu_window){QEMU_BAR64 + slot * QEMU_BAR64_SIZE, QEMU_BAR64_SIZE};
}

static int open_windows(struct qemu *qemu, unsigned int slot)
{
	unsigned int bus = qemu_slot_bus(slot);
	struct qemu_window memory64 = qemu_window64(slot);
	const struct {
		unsigned int offset, width;
		uint32_t value;
	} registers[] = {
		{PCI_PRIMARY_BUS, 4, bus << 8 | bus << 16},
		{PCI_IO_BASE, 2, window_io(slot)},
		{PCI_MEMORY_BASE, 4, window16(qemu_window32(slot))},
		{PCI_PREF_MEMORY_BASE, 4, window16(memory64)},
		{PCI_PREF_BASE_UPPER32, 4, (uint32_t)(memory64.start >> 32)},
		{PCI_PREF_LIMIT_UPPER32, 4, (uint32_t)((memory64.start + memory64.size - 1) >> 32)},
		{PCI_COMMAND, 2, COMMAND_ALL},
	};
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(registers) && !error; i++)
		error = qemu_bus_write(qemu, 0, qemu_slot_port(slot), registers[i].offset,
				       registers[i].width, registers[i].value);
	return error;
}

static int set_power(struct qemu *qemu, unsigned int slot, uint32_t power)
{
	unsigned int port = qemu_slot_port(slot);
	unsigned int offset = qemu_find_cap(qemu, 0, port, PCI_CAP_ID_EXP) + PCI_EXP_SLTCTL;
	uint32_t control;
	int error = qemu_bus_read(qemu, 0, port, offset, 2, &control);

	return error ? error
		     : qemu_bus_write(qemu, 0, port, offset, 2, (control & ~SLOT_POWER) | power);
}

/*
 * Runs device_add. QEMU releases what an unplugged device used, such as a drive, a little later; so
 * this repeats a command that QEMU refuses just after an unplug.
 */
static int add_device(struct qemu *qemu, const char *command, char *reply, size_t size)
{
	const struct timespec pause = {.tv_nsec = PLUG_PAUSE_MS * 1000000};
	int error = qemu_monitor(qemu->process.monitor, command, reply, size);

	for (unsigned int i = 0; i < PLUG_TRIES && qemu->unplugged && !error && *reply; i++) {
		nanosleep(&pause, NULL);
		error = qemu_monitor(qemu->process.monitor, command, reply, size);
	}
	qemu->unplugged = false;
	return error;
}

/* "Error: Property 'e1000.foo' not found" */
static int read_refusal(struct qemu *qemu, const char *object, const char *reply)
{
	if (!strncmp(reply, "Error: ", 7))
		reply += 7;
	return qemu_model_refused(qemu->domain.ctx, object, reply);
}

int qemu_plug(struct qemu *qemu, unsigned int slot, const char *object, const char *what)
{
	char command[1024], reply[256], *option = qemu_device_option(slot, what);
	int error, length;

	if (!option)
		return -ENOMEM;
	length = snprintf(command, sizeof(command), "device_add %s", option);
	free(option);
	if ((size_t)length >= sizeof(command))
		return report(qemu->domain.ctx, -ENAMETOOLONG, object, NULL,
			      "the device's properties are too long");
	error = add_device(qemu, command, reply, sizeof(reply));
	if (error == -ENODEV || error == -ETIMEDOUT)
		return qemu_lost(qemu, object, error);
	if (error)
		return report(qemu->domain.ctx, error, object, NULL, "cannot ask QEMU for it");
	return *reply ? read_refusal(qemu, object, reply) : qemu_slot_on(qemu, slot);
}

int qemu_slot_on(struct qemu *qemu, unsigned int slot)
{
	return open_windows(qemu, slot) ?: set_power(qemu, slot, SLOT_ON);
}

bool qemu_can_unplug(struct qemu *qemu, unsigned int slot)
{
	char command[64], reply[16];

	snprintf(command, sizeof(command), "qom-get /machine/peripheral/slot%u hotpluggable", slot);
	return !qemu_monitor(qemu->process.monitor, command, reply, sizeof(reply)) &&
	       !strcmp(reply, "true");
}

/* QEMU unplugs a device when its slot is switched off. */
void qemu_unplug(struct qemu *qemu, unsigned int slot)
{
	set_power(qemu, slot, SLOT_OFF);
	qemu->unplugged = true;
}

int qemu_slot_reset(struct qemu *qemu, unsigned int slot)
{
	unsigned int port = qemu_slot_port(slot);
	uint32_t control;
	int error = qemu_bus_read(qemu, 0, port, PCI_BRIDGE_CONTROL, 2, &control)
			    ?: qemu_bus_write(qemu, 0, port, PCI_BRIDGE_CONTROL, 2,
					      control | PCI_BRIDGE_CTL_BUS_RESET);

	if (!error)
		error = qemu_bus_write(qemu, 0, port, PCI_BRIDGE_CONTROL, 2,
				       control & ~(uint32_t)PCI_BRIDGE_CTL_BUS_RESET);
	return error;
}
