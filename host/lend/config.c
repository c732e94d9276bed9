// SPDX-License-Identifier: BSD-2-Clause
/*
 * A lent device's configuration space under uio, where the broker writes for the program: some
 * registers are the program's, such as bus mastering and power; the rest is the kernel's, such as
 * where the BARs are and where message interrupts go. What the program may change is put back at
 * the end of the loan, because the kernel does not write it again and its driver would find a
 * device without power, or with another payload size than the port above it.
 *
 * Where the specification (PCI Local Bus 3.0, chapter 6; PCI Express Base, 7.5) defines nothing,
 * registers are the device's own, and so the program's.
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include <usrpci/config.h>

#include "array.h"
#include "bytes.h"
#include "lend/lend.h"
#include "quiesce.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define DECODE          (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)
#define EXPRESS_SIZE_V1 0x14 /* of an endpoint's capability */
#define EXPRESS_SIZE_V2 0x3c
#define CAPS_MAX        64
#define WAKE_MS         10 /* from D3hot: PCI Bus Power Management Interface 1.2, 5.4.1 */

/* Words of the header that software sets once, at boot. */
static const unsigned char words[] = {
	PCI_CACHE_LINE_SIZE, PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_1,
	PCI_BASE_ADDRESS_2,  PCI_BASE_ADDRESS_3, PCI_BASE_ADDRESS_4,
	PCI_BASE_ADDRESS_5,  PCI_ROM_ADDRESS,    PCI_INTERRUPT_LINE,
};

/* Registers of capabilities that the program may write, and what of them is put back. */
static const struct {
	unsigned char cap, offset, size;
	uint16_t kept; /* of its first two bytes */
} registers[] = {
	{PCI_CAP_ID_PM, PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_ENABLE},
	{PCI_CAP_ID_VPD, PCI_VPD_ADDR, 6, 0},
	{PCI_CAP_ID_PCIX, PCI_X_CMD, 2, 0xffff},
	{PCI_CAP_ID_EXP, PCI_EXP_DEVCTL, 4, (uint16_t)~PCI_EXP_DEVCTL_BCR_FLR},
	{PCI_CAP_ID_EXP, PCI_EXP_LNKCTL, 4, (uint16_t)~PCI_EXP_LNKCTL_RL},
	{PCI_CAP_ID_EXP, PCI_EXP_DEVCTL2, 4, 0xffff},
};

#define REGISTERS ARRAY_SIZE(registers)

static int open_device(struct usrpci_host *host, const struct usrpci_addr *addr,
		       struct usrpci_dev **dev)
{
	char name[USRPCI_ADDR_STRLEN];

	return usrpci_dev_inspect(host->ctx, usrpci_addr_format(addr, name), dev);
}

static unsigned int msi_size(uint16_t flags)
{
	return (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 + 2 : PCI_MSI_DATA_32 + 2) +
	       (flags & PCI_MSI_FLAGS_MASKBIT ? 10 : 0);
}

/* 0: not known. */
static unsigned int cap_size(const uint8_t *cap)
{
	uint16_t flags = get_le16(cap + 2);

	switch (cap[0]) {
	case PCI_CAP_ID_PM:
	case PCI_CAP_ID_VPD:
	case PCI_CAP_ID_SSVID:
		return 8;
	case PCI_CAP_ID_MSI:
		return msi_size(flags);
	case PCI_CAP_ID_MSIX:
		return PCI_CAP_MSIX_SIZEOF;
	case PCI_CAP_ID_PCIX:
		return PCI_CAP_PCIX_SIZEOF_V0;
	case PCI_CAP_ID_EXP:
		return (flags & PCI_EXP_FLAGS_VERS) > 1 ? EXPRESS_SIZE_V2 : EXPRESS_SIZE_V1;
	case PCI_CAP_ID_AF:
		return PCI_CAP_AF_SIZEOF;
	default:
		return 0;
	}
}

/* A capability that is not known is assumed to reach to the end. */
static unsigned int cap_end(const uint8_t *bytes, const struct usrpci_cap *cap)
{
	unsigned int size = cap->id == PCI_CAP_ID_VNDR ? 2 : cap_size(bytes + cap->offset);

	return size && cap->offset + size < LEND_CONFIG_SIZE ? cap->offset + size
							     : LEND_CONFIG_SIZE;
}

static void allow_registers(struct lend_config *config, const struct usrpci_cap *cap)
{
	unsigned int end = cap_end(config->bytes, cap);

	for (size_t i = 0; i < REGISTERS; i++) {
		unsigned int first = cap->offset + registers[i].offset;

		if (registers[i].cap == cap->id && first + registers[i].size <= end)
			memset(config->writable + first, true, registers[i].size);
	}
}

static void find_writable(struct lend_config *config, const struct usrpci_cap *caps, int count)
{
	bool *writable = config->writable;

	memset(writable, false, PCI_STD_HEADER_SIZEOF);
	memset(writable + PCI_COMMAND, true, 4);
	writable[PCI_CACHE_LINE_SIZE] = writable[PCI_LATENCY_TIMER] = true;
	writable[PCI_INTERRUPT_LINE] = true;
	memset(writable + PCI_STD_HEADER_SIZEOF, true, LEND_CONFIG_SIZE - PCI_STD_HEADER_SIZEOF);
	for (int i = 0; i < count; i++)
		memset(writable + caps[i].offset, false,
		       cap_end(config->bytes, &caps[i]) - caps[i].offset);
	for (int i = 0; i < count; i++)
		allow_registers(config, &caps[i]);
}

/* Lists the conventional capabilities, which come first. */
static int list_caps(struct usrpci_dev *dev, struct usrpci_cap caps[CAPS_MAX])
{
	int count = usrpci_cap_list(dev, caps, CAPS_MAX), i = 0;

	while (i < count && i < CAPS_MAX && !caps[i].extended)
		i++;
	return count < 0 ? count : i;
}

int lend_config_save(struct usrpci_host *host, const struct usrpci_addr *addr,
		     struct lend_config *config)
{
	struct usrpci_cap caps[CAPS_MAX];
	struct usrpci_dev *dev;
	int error = open_device(host, addr, &dev), count;

	if (error)
		return error;
	error = usrpci_config_read(dev, 0, config->bytes, sizeof(config->bytes));
	count = error ?: list_caps(dev, caps);
	if (count >= 0)
		find_writable(config, caps, count);
	config->saved = count >= 0;
	usrpci_dev_close(dev);
	return count < 0 ? count : 0;
}

/*
 * Writes those of the bytes that are the program's; it must not change the others. A driver may
 * write a whole word for one byte of it.
 */
static int write_bytes(struct usrpci_dev *dev, const struct lend_config *config,
		       unsigned int offset, const uint8_t *bytes, size_t width)
{
	size_t first = width, end = 0;
	uint8_t now[4];
	int error = usrpci_config_read(dev, offset, now, width);

	for (size_t i = 0; !error && i < width; i++) {
		if (!config->writable[offset + i]) {
			error = bytes[i] == now[i] ? 0 : -EPERM;
			continue;
		}
		first = i < first ? i : first;
		end = i + 1;
	}
	if (error || first >= end)
		return error;
	if (first == 0 && end == 4)
		return usrpci_config_write32(dev, offset, get_le32(bytes));
	if (first % 2 == 0 && end - first == 2)
		return usrpci_config_write16(dev, offset + (unsigned int)first,
					     get_le16(bytes + first));
	for (size_t i = first; !error && i < end; i++)
		if (config->writable[offset + i])
			error = usrpci_config_write8(dev, offset + (unsigned int)i, bytes[i]);
	return error;
}

int lend_config_open(struct usrpci_host *host, struct lend_device *device)
{
	return device->config_dev ? 0 : open_device(host, &device->info.addr, &device->config_dev);
}

int lend_config_write(struct usrpci_host *host, struct lend_device *device, uint64_t offset,
		      uint64_t width, uint32_t value)
{
	uint8_t bytes[4];
	int error;

	if ((width != 1 && width != 2 && width != 4) || offset % width ||
	    offset > LEND_CONFIG_SIZE - width || !device->config.saved)
		return -EPERM;
	error = lend_config_open(host, device);
	put_le32(bytes, value);
	return error ? error
		     : write_bytes(device->config_dev, &device->config, (unsigned int)offset, bytes,
				   width);
}

static uint32_t saved_word(const struct lend_config *config, unsigned int offset)
{
	return get_le32(config->bytes + offset);
}

/* Addresses change while the device decodes none, and starts no transaction of its own. */
static int put_word(struct usrpci_dev *dev, unsigned int offset, uint32_t word, bool *changed)
{
	uint32_t now;
	int error = usrpci_config_read32(dev, offset, &now);

	if (error || now == word)
		return error;
	if (!*changed)
		error = usrpci_config_update16(dev, PCI_COMMAND, DECODE | PCI_COMMAND_MASTER,
					       PCI_COMMAND_INTX_DISABLE);
	*changed = true;
	return error ?: usrpci_config_write32(dev, offset, word);
}

static int put_header(struct usrpci_dev *dev, const struct lend_config *config)
{
	const uint16_t kept = PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;
	uint16_t command = (uint16_t)(saved_word(config, PCI_COMMAND) & ~kept);
	bool changed = false;
	int error = 0;

	for (size_t i = 0; !error && i < sizeof(words); i++)
		error = put_word(dev, words[i], saved_word(config, words[i]), &changed);
	return error ?: usrpci_config_update16(dev, PCI_COMMAND, (uint16_t)~kept, command);
}

static int put_registers(struct usrpci_dev *dev, const struct lend_config *config,
			 const struct usrpci_cap *cap)
{
	int error = 0;

	for (size_t i = 0; !error && i < REGISTERS; i++) {
		unsigned int at = cap->offset + registers[i].offset;

		if (registers[i].cap != cap->id || at + 2 > cap_end(config->bytes, cap))
			continue;
		error = usrpci_config_update16(dev, at, registers[i].kept,
					       get_le16(config->bytes + at) & registers[i].kept);
	}
	return error;
}

/* Power comes first: what awakes from D3hot may have lost its other registers. */
static int put_power(struct usrpci_dev *dev, const struct lend_config *config)
{
	int cap = usrpci_cap_find(dev, USRPCI_CAP_POWER);
	uint16_t state = 0;
	int error = 0;

	if (cap < 0)
		return cap == -ENOENT ? 0 : cap;
	error = usrpci_config_read16(dev, (unsigned int)cap + PCI_PM_CTRL, &state)
			?: put_registers(dev, config,
					 &(struct usrpci_cap){.id = PCI_CAP_ID_PM,
							      .offset = (uint16_t)cap});
	if (!error && (state & PCI_PM_CTRL_STATE_MASK) != 0)
		sleep_ms(WAKE_MS);
	return error;
}

static int put_back(struct usrpci_dev *dev, const struct lend_config *config)
{
	struct usrpci_cap caps[CAPS_MAX];
	int error = put_power(dev, config), count = 0;

	if (!error)
		error = put_header(dev, config);
	if (!error)
		count = list_caps(dev, caps);
	for (int i = 0; !error && i < count; i++)
		error = put_registers(dev, config, &caps[i]);
	return error ?: count < 0 ? count : 0;
}

/* A device that is gone is stopped. */
static int unless_gone(int error)
{
	return error == -ENODEV ? 0 : error;
}

int lend_stop(struct usrpci_host *host, const struct usrpci_addr *addr,
	      const struct lend_config *config)
{
	struct usrpci_dev *dev;
	int error = open_device(host, addr, &dev);

	if (error)
		return unless_gone(error);
	if (config->saved)
		error = put_back(dev, config);
	if (!error)
		error = quiesce_open(host, dev);
	usrpci_dev_close(dev);
	return unless_gone(error);
}

int lend_pause(struct usrpci_host *host, struct lend_device *device)
{
	int error = lend_config_open(host, device);

	if (!error && device->config.saved)
		error = put_back(device->config_dev, &device->config);
	if (!error)
		error = quiesce_pause(host, device->config_dev);
	return unless_gone(error);
}
