// SPDX-License-Identifier: BSD-2-Clause
/*
 * Configuration space: bounds, alignment, byte order, and telling a device that is gone from one
 * whose register is all ones (PCI Local Bus 3.0, 6.1 and 6.2).
 */

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "backend.h"
#include "bytes.h"

#define LOG_SUBJECT "config"
#include "log.h"

int usrpci_config_size(const struct usrpci_dev *dev)
{
	return (int)dev->config_size;
}

static int check_range(struct usrpci_dev *dev, unsigned int offset, size_t size)
{
	if (offset <= dev->config_size && size <= dev->config_size - offset)
		return 0;
	return report(dev->ctx, -ERANGE, dev->name,
		      dev->config_size == PCI_STD_HEADER_SIZEOF ? "run as root to see all of it"
								: NULL,
		      "%zu bytes at 0x%x are outside its %u bytes of configuration space", size,
		      offset, dev->config_size);
}

static int check_register(struct usrpci_dev *dev, unsigned int offset, unsigned int width)
{
	if (offset % width)
		return report(dev->ctx, -EINVAL, dev->name, NULL,
			      "configuration register 0x%x is not aligned to %u bytes", offset,
			      width);
	return check_range(dev, offset, width);
}

/*
 * Reads. All ones are accepted only if the device still answers. To find out, it reads the command
 * and status word, whose reserved bits are 0 while the device answers; ids do not tell, because
 * those of virtual functions are all ones.
 */
static int read_bytes(struct usrpci_dev *dev, unsigned int offset, uint8_t *bytes, size_t size)
{
	uint8_t command[4];
	int error = dev->ops->config_read(dev, offset, bytes, size);

	if (error || size == 0 || !all_ones(bytes, size))
		return error;
	error = dev->ops->config_read(dev, PCI_COMMAND, command, sizeof(command));
	if (error)
		return error;
	return all_ones(command, sizeof(command)) ? dev_gone(dev) : 0;
}

int usrpci_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size)
{
	return check_range(dev, offset, size) ?: read_bytes(dev, offset, buffer, size);
}

static int read_register(struct usrpci_dev *dev, unsigned int offset, unsigned int width,
			 uint32_t *value)
{
	uint8_t bytes[4] = {0};
	int error = check_register(dev, offset, width) ?: read_bytes(dev, offset, bytes, width);

	if (!error)
		*value = get_le32(bytes);
	return error;
}

static int write_register(struct usrpci_dev *dev, unsigned int offset, unsigned int width,
			  uint32_t value)
{
	uint8_t bytes[4];
	int error = check_register(dev, offset, width);

	put_le32(bytes, value);
	return error ?: dev->ops->config_write(dev, offset, bytes, width);
}

int usrpci_config_read8(struct usrpci_dev *dev, unsigned int offset, uint8_t *value)
{
	uint32_t number;
	int error = read_register(dev, offset, 1, &number);

	if (!error)
		*value = (uint8_t)number;
	return error;
}

int usrpci_config_read16(struct usrpci_dev *dev, unsigned int offset, uint16_t *value)
{
	uint32_t number;
	int error = read_register(dev, offset, 2, &number);

	if (!error)
		*value = (uint16_t)number;
	return error;
}

int usrpci_config_read32(struct usrpci_dev *dev, unsigned int offset, uint32_t *value)
{
	return read_register(dev, offset, 4, value);
}

int usrpci_config_write8(struct usrpci_dev *dev, unsigned int offset, uint8_t value)
{
	return write_register(dev, offset, 1, value);
}

int usrpci_config_write16(struct usrpci_dev *dev, unsigned int offset, uint16_t value)
{
	return write_register(dev, offset, 2, value);
}

int usrpci_config_write32(struct usrpci_dev *dev, unsigned int offset, uint32_t value)
{
	return write_register(dev, offset, 4, value);
}

/*
 * Writes only the low byte if that is enough: one thread may switch bus mastering in the low byte
 * of the command register while another one unmasks INTx in the high byte. It never writes the high
 * byte alone, because QEMU updates the INTx line only when the low byte is written too.
 */
int usrpci_config_update16(struct usrpci_dev *dev, unsigned int offset, uint16_t clear,
			   uint16_t set)
{
	uint16_t old, value;
	int error = usrpci_config_read16(dev, offset, &old);

	if (error)
		return error;
	value = (uint16_t)((old & ~clear) | set);
	if (value == old)
		return 0;
	if (value >> 8 == old >> 8)
		return usrpci_config_write8(dev, offset, (uint8_t)value);
	return usrpci_config_write16(dev, offset, value);
}
