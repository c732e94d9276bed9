// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device's header of configuration space, which under uio is the program's to write: where its
 * registers are, and which interrupt line it was given. The kernel does not write them again, so
 * its driver would find a device without registers. Capabilities are left to the device's reset and
 * to drivers, who set them up each time.
 */

#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include <usrpci/config.h>

#include "lend/lend.h"
#include "quiesce.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define DECODE (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)

/* Words that software sets once, at boot. */
static const unsigned char words[] = {
	PCI_CACHE_LINE_SIZE, PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_1,
	PCI_BASE_ADDRESS_2,  PCI_BASE_ADDRESS_3, PCI_BASE_ADDRESS_4,
	PCI_BASE_ADDRESS_5,  PCI_ROM_ADDRESS,    PCI_INTERRUPT_LINE,
};

static int open_device(struct usrpci_host *host, const struct usrpci_addr *addr,
		       struct usrpci_dev **dev)
{
	char name[USRPCI_ADDR_STRLEN];

	return usrpci_dev_inspect(host->ctx, usrpci_addr_format(addr, name), dev);
}

int lend_config_save(struct usrpci_host *host, const struct usrpci_addr *addr,
		     struct lend_config *config)
{
	struct usrpci_dev *dev;
	int error = open_device(host, addr, &dev);

	if (error)
		return error;
	error = usrpci_config_read(dev, 0, config->header, sizeof(config->header));
	config->saved = !error;
	usrpci_dev_close(dev);
	return error;
}

static uint32_t saved_word(const struct lend_config *config, unsigned int offset)
{
	uint32_t word;

	memcpy(&word, config->header + offset, sizeof(word));
	return le32toh(word);
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
	return error ? error : usrpci_config_write32(dev, offset, word);
}

static int put_back(struct usrpci_dev *dev, const struct lend_config *config)
{
	const uint16_t kept = PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;
	uint16_t command = (uint16_t)(saved_word(config, PCI_COMMAND) & ~kept);
	bool changed = false;
	int error = 0;

	for (size_t i = 0; !error && i < sizeof(words); i++)
		error = put_word(dev, words[i], saved_word(config, words[i]), &changed);
	return error ? error : usrpci_config_update16(dev, PCI_COMMAND, (uint16_t)~kept, command);
}

int lend_stop(struct usrpci_host *host, const struct usrpci_addr *addr,
	      const struct lend_config *config)
{
	struct usrpci_dev *dev;
	int error = open_device(host, addr, &dev);

	if (error)
		return error == -ENODEV ? 0 : error;
	if (config->saved)
		error = put_back(dev, config);
	if (!error)
		error = quiesce_open(dev);
	usrpci_dev_close(dev);
	return error == -ENODEV ? 0 : error;
}
