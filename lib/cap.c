// SPDX-License-Identifier: BSD-2-Clause
/*
 * The two chains of capabilities (PCI Local Bus 3.0, 6.7; PCI Express Base 5.0, 7.6.3). The device
 * wrote the chains, so each pointer is checked and each place visited once. What is in a capability
 * is left to drivers.
 */

#include <errno.h>
#include <linux/pci_regs.h>

#include "backend.h"

#define LOG_SUBJECT "cap"
#include "log.h"

/* The walk over a chain: calls found() for each; a value other than 0 ends it and is returned. */
struct cap_walk {
	int (*found)(struct cap_walk *walk, const struct usrpci_cap *cap);
	struct usrpci_cap *caps; /* room for max */
	size_t max;
	size_t count;
	uint16_t wanted;                                       /* id */
	unsigned int after;                                    /* offset; 0: it was passed */
	uint32_t visited[USRPCI_CONFIG_SIZE_EXPRESS / 4 / 32]; /* a bit for each 4 bytes */
};

/* Whether a pointer of the chain may be followed. It is then marked as visited. */
static bool enter(struct usrpci_dev *dev, struct cap_walk *walk, unsigned int offset,
		  unsigned int first, unsigned int end)
{
	uint32_t *word = &walk->visited[offset / 4 / 32], bit = 1u << (offset / 4 % 32);

	if (offset < first || offset > end - 4) {
		log_warning(dev->ctx, dev->name, NULL,
			    "a capability pointer leads to 0x%x, outside the chain's space",
			    offset);
		return false;
	}
	if (*word & bit) {
		log_warning(dev->ctx, dev->name, NULL, "the chain of capabilities loops at 0x%x",
			    offset);
		return false;
	}
	*word |= bit;
	return true;
}

static int first_conventional(struct usrpci_dev *dev, unsigned int *offset)
{
	bool cardbus = dev->info.header_type == PCI_HEADER_TYPE_CARDBUS;
	uint16_t status;
	uint8_t pointer;
	int error = usrpci_config_read16(dev, PCI_STATUS, &status);

	*offset = 0;
	if (error || !(status & PCI_STATUS_CAP_LIST))
		return error;
	error = usrpci_config_read8(dev, cardbus ? PCI_CB_CAPABILITY_LIST : PCI_CAPABILITY_LIST,
				    &pointer);
	if (error)
		return error;
	if (pointer && dev->config_size <= PCI_STD_HEADER_SIZEOF)
		return report(dev->ctx, -EACCES, dev->name, "run as root",
			      "its capabilities are not shown to this user");
	*offset = pointer & ~3u;
	return 0;
}

static int walk_conventional(struct usrpci_dev *dev, struct cap_walk *walk)
{
	unsigned int end = dev->config_size < USRPCI_CONFIG_SIZE ? dev->config_size
								 : USRPCI_CONFIG_SIZE;
	unsigned int offset;
	uint16_t header;
	int error = first_conventional(dev, &offset);

	while (!error && offset && enter(dev, walk, offset, PCI_STD_HEADER_SIZEOF, end)) {
		error = usrpci_config_read16(dev, offset, &header);
		if (!error)
			error = walk->found(walk, &(struct usrpci_cap){.offset = (uint16_t)offset,
								       .id = header & 0xff});
		offset = header >> 8 & ~3u;
	}
	return error;
}

static int walk_extended(struct usrpci_dev *dev, struct cap_walk *walk)
{
	unsigned int offset = dev->config_size > USRPCI_CONFIG_SIZE ? USRPCI_CONFIG_SIZE : 0;
	uint32_t header;
	int error = 0;

	while (!error && offset && enter(dev, walk, offset, USRPCI_CONFIG_SIZE, dev->config_size)) {
		error = usrpci_config_read32(dev, offset, &header);
		/* No capability at all is written as zeros, or as ones by some bridges. */
		if (error || header == 0 || header == UINT32_MAX)
			break;
		error = walk->found(walk,
				    &(struct usrpci_cap){(uint16_t)offset, PCI_EXT_CAP_ID(header),
							 PCI_EXT_CAP_VER(header), true});
		offset = PCI_EXT_CAP_NEXT(header);
	}
	return error;
}

static int store(struct cap_walk *walk, const struct usrpci_cap *cap)
{
	if (walk->count < walk->max)
		walk->caps[walk->count++] = *cap;
	return 0;
}

static int match(struct cap_walk *walk, const struct usrpci_cap *cap)
{
	if (walk->after) {
		if (cap->offset == walk->after)
			walk->after = 0;
		return 0;
	}
	return cap->id == walk->wanted ? cap->offset : 0;
}

int usrpci_cap_list(struct usrpci_dev *dev, struct usrpci_cap *caps, size_t max)
{
	struct cap_walk walk = {.found = store, .caps = caps, .max = max};
	int error = walk_conventional(dev, &walk);

	if (!error)
		error = walk_extended(dev, &walk);
	return error ? error : (int)walk.count;
}

int usrpci_cap_find_next(struct usrpci_dev *dev, enum usrpci_cap_id id, unsigned int after)
{
	struct cap_walk walk = {.found = match, .wanted = (uint16_t)id, .after = after};
	int offset = walk_conventional(dev, &walk);

	return offset ? offset : -ENOENT;
}

int usrpci_cap_find(struct usrpci_dev *dev, enum usrpci_cap_id id)
{
	return usrpci_cap_find_next(dev, id, 0);
}

int usrpci_ext_cap_find_next(struct usrpci_dev *dev, enum usrpci_ext_cap_id id, unsigned int after)
{
	struct cap_walk walk = {.found = match, .wanted = (uint16_t)id, .after = after};
	int offset = walk_extended(dev, &walk);

	return offset ? offset : -ENOENT;
}

int usrpci_ext_cap_find(struct usrpci_dev *dev, enum usrpci_ext_cap_id id)
{
	return usrpci_ext_cap_find_next(dev, id, 0);
}

/* PCI Code and ID Assignment Specification 1.14; the names are those of lspci and setpci. */
static const char *const conventional_names[] = {
	[0x00] = "Null",
	[0x01] = "Power Management",
	[0x02] = "AGP",
	[0x03] = "VPD",
	[0x04] = "Slot ID",
	[0x05] = "MSI",
	[0x06] = "CompactPCI hot-swap",
	[0x07] = "PCI-X",
	[0x08] = "HyperTransport",
	[0x09] = "Vendor Specific",
	[0x0a] = "Debug port",
	[0x0b] = "CompactPCI central resource control",
	[0x0c] = "Hot-plug capable",
	[0x0d] = "Subsystem",
	[0x0e] = "AGP3",
	[0x0f] = "Secure device",
	[0x10] = "Express",
	[0x11] = "MSI-X",
	[0x12] = "SATA HBA",
	[0x13] = "Advanced Features",
	[0x14] = "Enhanced Allocation",
	[0x15] = "Flattening Portal Bridge",
};

static const char *const extended_names[] = {
	[0x00] = "Null",
	[0x01] = "AER",
	[0x02] = "Virtual Channel",
	[0x03] = "Device Serial Number",
	[0x04] = "Power Budgeting",
	[0x05] = "Root Complex Link",
	[0x06] = "Root Complex Internal Link",
	[0x07] = "Root Complex Event Collector",
	[0x08] = "Multi-Function Virtual Channel",
	[0x09] = "Virtual Channel (MFVC)",
	[0x0a] = "Root Bridge Control Block",
	[0x0b] = "Vendor Specific",
	[0x0c] = "Configuration Access Correlation",
	[0x0d] = "ACS",
	[0x0e] = "ARI",
	[0x0f] = "ATS",
	[0x10] = "SR-IOV",
	[0x11] = "MR-IOV",
	[0x12] = "Multicast",
	[0x13] = "PRI",
	[0x15] = "Resizable BAR",
	[0x16] = "Dynamic Power Allocation",
	[0x17] = "TPH",
	[0x18] = "LTR",
	[0x19] = "Secondary PCI Express",
	[0x1a] = "Protocol Multiplexing",
	[0x1b] = "PASID",
	[0x1c] = "LN Requester",
	[0x1d] = "DPC",
	[0x1e] = "L1 PM Substates",
	[0x1f] = "PTM",
	[0x20] = "PCI Express over M-PHY",
	[0x21] = "FRS Queueing",
	[0x22] = "Readiness Time Reporting",
	[0x23] = "Designated Vendor-Specific",
	[0x24] = "VF Resizable BAR",
	[0x25] = "Data Link Feature",
	[0x26] = "Physical Layer 16.0 GT/s",
	[0x27] = "Lane Margining",
	[0x28] = "Hierarchy ID",
	[0x29] = "Native PCIe Enclosure Management",
	[0x2a] = "Physical Layer 32.0 GT/s",
	[0x2b] = "Alternate Protocol",
	[0x2c] = "System Firmware Intermediary",
	[0x2d] = "Shadow Functions",
	[0x2e] = "Data Object Exchange",
	[0x2f] = "Device 3",
	[0x30] = "Integrity and Data Encryption",
};

const char *usrpci_cap_name(const struct usrpci_cap *cap)
{
	size_t known = cap->extended ? sizeof(extended_names) / sizeof(*extended_names)
				     : sizeof(conventional_names) / sizeof(*conventional_names);

	if (cap->id >= known)
		return NULL;
	return cap->extended ? extended_names[cap->id] : conventional_names[cap->id];
}
