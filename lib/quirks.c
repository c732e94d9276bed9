// SPDX-License-Identifier: BSD-2-Clause
/*
 * Resets models that PCI cannot reset, or whose reset leaves their rings set up (QEMU's 82574L).
 * Such a device would go on with its rings as soon as the next driver allows it transactions, which
 * Linux's and NetBSD's drivers do before they reset the device; by then the addresses in the rings
 * mean other memory.
 *
 * Intel 8254x, 82574L: Intel's "PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual", 13.4.1 (CTRL.RST). Virtio: "Virtual I/O Device (VIRTIO)
 * Version 1.2", 4.1.4.3 (device_status). USB's controllers go on with their lists, and raise an
 * interrupt that is enabled again before a driver can handle it: "Universal Host Controller
 * Interface (UHCI) Design Guide 1.1", 2.1.1; "OpenHCI 1.0a", 7.1.3; "Enhanced Host Controller
 * Interface 1.0", 2.3.1.
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
#define SPACES      (PCI_COMMAND_MEMORY | PCI_COMMAND_IO)

/* Registers of the 8254x. */
#define CTRL     0x0
#define CTRL_RST (UINT32_C(1) << 26)
#define IMC      0xd8
#define RCTL     0x100
#define TCTL     0x400
#define RFCTL    0x5008 /* of the 82574L alone */

/* Registers of USB's controllers: UHCI's ports, OHCI's, and EHCI's, which begin at CAPLENGTH. */
#define UHCI_CLASS    0x0c0300
#define UHCI_BAR      4
#define UHCI_CMD      0x0
#define UHCI_INTR     0x4
#define OHCI_CLASS    0x0c0310
#define OHCI_STATUS   0x8
#define OHCI_HCR      (UINT32_C(1) << 0)
#define OHCI_DISABLE  0x14
#define EHCI_CLASS    0x0c0320
#define EHCI_CMD      0x0
#define EHCI_INTR     0x8
#define EHCI_HALT_NS  2000000 /* 16 microframes */
#define USB_CMD_RESET (UINT32_C(1) << 1)

/* All models show the end of a reset by zeroes; all ones come from a device that is gone. */
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

struct write {
	uint16_t offset;
	uint32_t value;
};

/* Where the registers are. */
struct window {
	unsigned int bar, width;
	size_t offset, size;
};

/* The last write begins the reset, and the bits that it sets are zero when the reset is over. */
static int reset_by_writes(struct usrpci_dev *dev, const struct window *window,
			   const struct write *writes, size_t count)
{
	const struct write *last = &writes[count - 1];
	struct usrpci_bar bar;
	int error = usrpci_bar_map_range(dev, window->bar, window->offset, window->size, &bar);

	if (error)
		return error;
	for (size_t i = 0; !error && i < count; i++)
		error = usrpci_bar_write(&bar, writes[i].offset, window->width, writes[i].value);
	if (!error)
		error = await_zero(&bar, last->offset, window->width, last->value);
	usrpci_bar_unmap(&bar);
	return error;
}

/*
 * Receiving and sending end first, because a reset during a transfer can hang it, and QEMU ignores
 * RST.
 */
static int reset_8254x(struct usrpci_dev *dev)
{
	static const struct write writes[] = {
		{IMC, UINT32_MAX}, {RCTL, 0}, {TCTL, 0}, {CTRL, CTRL_RST}};
	static const struct window window = {.width = 4, .size = TCTL + sizeof(uint32_t)};

	return reset_by_writes(dev, &window, writes, ARRAY_SIZE(writes));
}

/* QEMU keeps the form of the descriptors too, and a driver that knows one form sets none. */
static int reset_82574(struct usrpci_dev *dev)
{
	static const struct write writes[] = {
		{IMC, UINT32_MAX}, {RCTL, 0}, {TCTL, 0}, {RFCTL, 0}, {CTRL, CTRL_RST}};
	static const struct window window = {.width = 4, .size = RFCTL + sizeof(uint32_t)};

	return reset_by_writes(dev, &window, writes, ARRAY_SIZE(writes));
}

/* Interrupts end first: QEMU's models keep the line up when they are reset. */
static int reset_uhci(struct usrpci_dev *dev)
{
	static const struct write writes[] = {{UHCI_INTR, 0}, {UHCI_CMD, USB_CMD_RESET}};
	static const struct window window = {UHCI_BAR, .width = 2, .size = UHCI_INTR + 2};

	return reset_by_writes(dev, &window, writes, ARRAY_SIZE(writes));
}

static int reset_ohci(struct usrpci_dev *dev)
{
	static const struct write writes[] = {{OHCI_DISABLE, UINT32_MAX}, {OHCI_STATUS, OHCI_HCR}};
	static const struct window window = {.width = 4, .size = OHCI_DISABLE + 4};

	return reset_by_writes(dev, &window, writes, ARRAY_SIZE(writes));
}

/* It must not be reset before it has halted. */
static int reset_ehci(struct usrpci_dev *dev)
{
	static const struct write halt[] = {{EHCI_INTR, 0}, {EHCI_CMD, 0}};
	static const struct write reset[] = {{EHCI_CMD, USB_CMD_RESET}};
	const struct timespec pause = {.tv_nsec = EHCI_HALT_NS};
	struct window window = {.width = 4, .size = EHCI_INTR + 4};
	struct usrpci_bar bar;
	uint64_t length = 0;
	int error = usrpci_bar_map_range(dev, 0, 0, 4, &bar);

	if (error)
		return error;
	error = usrpci_bar_read(&bar, 0, 1, &length);
	usrpci_bar_unmap(&bar);
	window.offset = length;
	if (!error)
		error = reset_by_writes(dev, &window, halt, ARRAY_SIZE(halt));
	nanosleep(&pause, NULL);
	return error ?: reset_by_writes(dev, &window, reset, ARRAY_SIZE(reset));
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
	static const uint16_t models_8254x[] = {0x1004, 0x100e, 0x100f};

	if (info->vendor == 0x1af4 && info->device >= 0x1000 && info->device <= 0x107f)
		return reset_virtio;
	if (info->vendor == 0x8086 && info->device == 0x10d3)
		return reset_82574;
	for (size_t i = 0; i < ARRAY_SIZE(models_8254x); i++)
		if (info->vendor == 0x8086 && info->device == models_8254x[i])
			return reset_8254x;
	switch (info->class_code) {
	case UHCI_CLASS:
		return reset_uhci;
	case OHCI_CLASS:
		return reset_ohci;
	case EHCI_CLASS:
		return reset_ehci;
	default:
		return NULL;
	}
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
		error = usrpci_config_update16(dev, PCI_COMMAND, 0, SPACES);
	if (error)
		return error;
	error = reset(dev);
	failed = usrpci_config_update16(dev, PCI_COMMAND, SPACES, command & SPACES);
	return error ?: failed;
}
