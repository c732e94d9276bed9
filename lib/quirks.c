// SPDX-License-Identifier: BSD-2-Clause
/*
 * Resets models that PCI cannot reset, or whose reset leaves their rings set up (QEMU's 82574L).
 * Such a device would go on with its rings as soon as the next driver allows it transactions, which
 * Linux's and NetBSD's drivers do before they reset the device; by then the addresses in the rings
 * mean other memory.
 *
 * Intel 8254x, 82574L: Intel's "PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual", 13.4.1 (CTRL.RST). Virtio: "Virtual I/O Device (VIRTIO)
 * Version 1.2", 4.1.4.3 (device_status).
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <time.h>

#include "array.h"
#include "backend.h"

#define RESET_MS    100
#define CAPS_MAX    64
#define STATUS_SIZE 1

/* Registers of the 8254x. */
#define CTRL     0x0
#define CTRL_RST (UINT32_C(1) << 26)
#define IMC      0xd8
#define RCTL     0x100
#define TCTL     0x400

/* Both models show the end of a reset by zeroes; all ones come from a device that is gone. */
static int await_zero(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t mask)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	uint64_t value = 0;
	int error;

	for (unsigned int ms = 0; ms < RESET_MS; ms++) {
		nanosleep(&pause, NULL);
		error = usrpci_bar_read(bar, offset, width, &value);
		if (error || !(value & mask))
			return error;
	}
	return -ETIMEDOUT;
}

/*
 * Receiving and sending end first, because a reset during a transfer can hang it, and QEMU ignores
 * RST.
 */
static int reset_8254x(struct usrpci_dev *dev)
{
	static const struct {
		uint16_t offset;
		uint32_t value;
	} writes[] = {{IMC, UINT32_MAX}, {RCTL, 0}, {TCTL, 0}, {CTRL, CTRL_RST}};
	struct usrpci_bar bar;
	int error = usrpci_bar_map_range(dev, 0, 0, TCTL + sizeof(uint32_t), &bar);

	if (error)
		return error;
	for (size_t i = 0; !error && i < ARRAY_SIZE(writes); i++)
		error = usrpci_bar_write(&bar, writes[i].offset, sizeof(uint32_t), writes[i].value);
	if (!error)
		error = await_zero(&bar, CTRL, sizeof(uint32_t), CTRL_RST);
	usrpci_bar_unmap(&bar);
	return error;
}

/* Finds the BAR and the offset of the common configuration. */
static int find_virtio_common(struct usrpci_dev *dev, unsigned int *bar, uint32_t *offset)
{
	struct usrpci_cap caps[CAPS_MAX];
	int count = usrpci_cap_list(dev, caps, CAPS_MAX), error;
	uint8_t type = 0, index = 0;

	for (int i = 0; i < count; i++) {
		if (caps[i].extended || caps[i].id != USRPCI_CAP_VENDOR)
			continue;
		error = usrpci_config_read8(dev, caps[i].offset + VIRTIO_PCI_CAP_CFG_TYPE, &type) ?:
			usrpci_config_read8(dev, caps[i].offset + VIRTIO_PCI_CAP_BAR, &index) ?:
			usrpci_config_read32(dev, caps[i].offset + VIRTIO_PCI_CAP_OFFSET, offset);
		if (error)
			return error;
		*bar = index;
		if (type == VIRTIO_PCI_CAP_COMMON_CFG)
			return 0;
	}
	return count < 0 ? count : -EOPNOTSUPP;
}

static int reset_virtio(struct usrpci_dev *dev)
{
	unsigned int index = 0;
	struct usrpci_bar bar;
	uint32_t offset = 0;
	int error = find_virtio_common(dev, &index, &offset)
			    ?: usrpci_bar_map_range(dev, index, offset + VIRTIO_PCI_COMMON_STATUS,
						    STATUS_SIZE, &bar);

	if (error)
		return error;
	error = usrpci_bar_write(&bar, 0, STATUS_SIZE, 0) ?: await_zero(&bar, 0, STATUS_SIZE, 0xff);
	usrpci_bar_unmap(&bar);
	return error;
}

static int (*find(const struct usrpci_dev_info *info))(struct usrpci_dev *dev)
{
	static const uint16_t models_8254x[] = {0x1004, 0x100e, 0x100f, 0x10d3};

	if (info->vendor == 0x1af4 && info->device >= 0x1000 && info->device <= 0x107f)
		return reset_virtio;
	for (size_t i = 0; i < ARRAY_SIZE(models_8254x); i++)
		if (info->vendor == 0x8086 && info->device == models_8254x[i])
			return reset_8254x;
	return NULL;
}

bool quirk_has_reset(const struct usrpci_dev_info *info)
{
	return find(info) != NULL;
}

/*
 * Command is written only where it has to change: under vfio the kernel reads and writes it in two
 * steps, between which its interrupt handler may have masked INTx there.
 */
int quirk_reset(struct usrpci_dev *dev)
{
	int (*reset)(struct usrpci_dev * dev) = find(usrpci_dev_info(dev));
	uint16_t command = 0;
	int error = usrpci_config_read16(dev, PCI_COMMAND, &command), failed;

	if (!error)
		error = usrpci_config_update16(dev, PCI_COMMAND, 0, PCI_COMMAND_MEMORY);
	if (error)
		return error;
	error = reset(dev);
	failed = usrpci_config_update16(dev, PCI_COMMAND, PCI_COMMAND_MEMORY,
					command & PCI_COMMAND_MEMORY);
	return error ?: failed;
}
