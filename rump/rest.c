// SPDX-License-Identifier: BSD-2-Clause
/*
 * Brings a device to rest before the rump kernel finds it.
 *
 * What drove it before may have been killed, and nothing but bus mastering was taken from it then.
 * NetBSD's drivers allow that again some milliseconds before they reset their device, which would
 * meanwhile go on with rings in memory that is somebody else's by now.
 *
 * A reset of the function does it, where PCI has one. Intel's first gigabit controllers have none,
 * and QEMU's 82574L keeps its rings through it: these are stopped by their own registers (PCI/PCI-X
 * Family of Gigabit Ethernet Controllers Software Developer's Manual, 317453, chapter 13), which
 * their successors still have there.
 */

#include "layout.h"

#define CLASS_ETHERNET 0x0200u
#define VENDOR_INTEL   0x8086u

/* The registers of these controllers take 128 KiB; those of other Intel controllers do not. */
#define GIGABIT_BAR_SIZE (128u << 10)

enum {
	REG_STATUS = 0x0008,
	REG_IMC = 0x00d8,
	REG_RCTL = 0x0100,
	REG_TCTL = 0x0400,
};

#define ENABLE (1u << 1) /* of RCTL and of TCTL */

static bool is_gigabit(struct usrpci_dev *dev)
{
	const struct usrpci_dev_info *info = usrpci_dev_info(dev);
	struct usrpci_bar_info bar;

	return info->vendor == VENDOR_INTEL && info->class_code >> 8 == CLASS_ETHERNET &&
	       !usrpci_bar_info(dev, 0, &bar) && !(bar.flags & USRPCI_BAR_IO) &&
	       bar.size == GIGABIT_BAR_SIZE;
}

static void clear_bits(struct usrpci_bar *bar, unsigned int offset, uint32_t bits)
{
	usrpci_write32(bar, offset, usrpci_read32(bar, offset) & ~bits);
}

static void stop_gigabit(struct usrpci_dev *dev)
{
	struct usrpci_bar bar;

	if (usrpci_bar_map(dev, 0, &bar))
		return;
	if (usrpci_read32(&bar, REG_STATUS) != UINT32_MAX) {
		usrpci_write32(&bar, REG_IMC, UINT32_MAX);
		clear_bits(&bar, REG_RCTL, ENABLE);
		clear_bits(&bar, REG_TCTL, ENABLE);
		/* The read pushes the writes ahead of it. */
		usrpci_read32(&bar, REG_STATUS);
	}
	usrpci_bar_unmap(&bar);
}

void rump_bring_to_rest(struct usrpci_dev *dev)
{
	usrpci_dev_set_bus_master(dev, false);
	if (usrpci_dev_features(dev) & USRPCI_FEATURE_RESET)
		usrpci_dev_reset(dev, USRPCI_RESET_FUNCTION);
	if (is_gigabit(dev))
		stop_gigabit(dev);
}
