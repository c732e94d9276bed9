// SPDX-License-Identifier: BSD-2-Clause
/*
 * The two chains of capabilities (PCI Local Bus 3.0, 6.7; PCI Express Base 5.0, 7.6.3). The device
 * wrote the chains, so each pointer is checked and each place visited once. Drivers read the
 * registers in a capability.
 */

#include <errno.h>
#include <linux/pci_regs.h>

#include "array.h"
#include "backend.h"

#define LOG_SUBJECT "cap"
#include "log.h"

/* The walk over a chain: calls found() for each; a value other than 0 ends it and is returned. */
struct cap_walk {
	int (*found)(struct cap_walk *walk, const struct usrpci_cap *cap);
	struct usrpci_cap *caps; /* room for max */
	size_t max;
	size_t count;
	bool express;       /* PCI Express or PCI-X, which have an extended chain */
	uint16_t wanted;    /* id */
	unsigned int after; /* offset; 0: it was reached already */
	uint32_t visited[USRPCI_CONFIG_SIZE_EXPRESS / 4 / 32]; /* a bit for each 4 bytes */
};

/* Returns whether a pointer of the chain may be followed, and then marks the place as visited. */
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
		if (error)
			break;
		if ((header & 0xff) == PCI_CAP_ID_EXP || (header & 0xff) == PCI_CAP_ID_PCIX)
			walk->express = true;
		error = walk->found(walk, &(struct usrpci_cap){.offset = (uint16_t)offset,
							       .id = header & 0xff});
		offset = header >> 8 & ~3u;
	}
	return error;
}

/*
 * After walk_conventional(). The kernel gives some host bridges 4 KiB of configuration space that
 * are neither PCI Express nor PCI-X: what is there is no chain.
 */
static int walk_extended(struct usrpci_dev *dev, struct cap_walk *walk)
{
	bool chain = walk->express && dev->config_size > USRPCI_CONFIG_SIZE;
	unsigned int offset = chain ? USRPCI_CONFIG_SIZE : 0;
	uint32_t header;
	int error = 0;

	while (!error && offset && enter(dev, walk, offset, USRPCI_CONFIG_SIZE, dev->config_size)) {
		error = usrpci_config_read32(dev, offset, &header);
		/* An empty chain reads as zeros, or as ones on some bridges. */
		if (error || header == 0 || header == UINT32_MAX)
			break;
		error = walk->found(walk,
				    &(struct usrpci_cap){(uint16_t)offset, PCI_EXT_CAP_ID(header),
							 PCI_EXT_CAP_VER(header), true});
		offset = PCI_EXT_CAP_NEXT(header);
	}
	return error;
}

static int cap_found(struct cap_walk *walk, const struct usrpci_cap *cap)
{
	if (walk->count < walk->max)
		walk->caps[walk->count++] = *cap;
	return 0;
}

static int pass(struct cap_walk *walk, const struct usrpci_cap *cap)
{
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
	struct cap_walk walk = {.found = cap_found, .caps = caps, .max = max};

	return walk_conventional(dev, &walk) ?: walk_extended(dev, &walk) ?: (int)walk.count;
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
	struct cap_walk walk = {.found = pass, .wanted = (uint16_t)id, .after = after};
	int offset = dev->config_size > USRPCI_CONFIG_SIZE ? walk_conventional(dev, &walk) : 0;

	walk.found = match;
	if (!offset)
		offset = walk_extended(dev, &walk);
	return offset ? offset : -ENOENT;
}

int usrpci_ext_cap_find(struct usrpci_dev *dev, enum usrpci_ext_cap_id id)
{
	return usrpci_ext_cap_find_next(dev, id, 0);
}

/*
 * PCI Code and ID Assignment Specification 1.14; the words of lspci(8), the symbols of setpci(8).
 */
struct names {
	const char *words, *symbol;
};

static const struct names conventional[] = {
	[0x00] = {"Null"},
	[0x01] = {"Power Management", "CAP_PM"},
	[0x02] = {"AGP", "CAP_AGP"},
	[0x03] = {"VPD", "CAP_VPD"},
	[0x04] = {"Slot ID", "CAP_SLOTID"},
	[0x05] = {"MSI", "CAP_MSI"},
	[0x06] = {"CompactPCI hot-swap", "CAP_CHSWP"},
	[0x07] = {"PCI-X", "CAP_PCIX"},
	[0x08] = {"HyperTransport", "CAP_HT"},
	[0x09] = {"Vendor Specific", "CAP_VNDR"},
	[0x0a] = {"Debug port", "CAP_DBG"},
	[0x0b] = {"CompactPCI central resource control", "CAP_CCRC"},
	[0x0c] = {"Hot-plug capable", "CAP_HOTPLUG"},
	[0x0d] = {"Subsystem", "CAP_SSVID"},
	[0x0e] = {"AGP3", "CAP_AGP3"},
	[0x0f] = {"Secure device", "CAP_SECURE"},
	[0x10] = {"Express", "CAP_EXP"},
	[0x11] = {"MSI-X", "CAP_MSIX"},
	[0x12] = {"SATA HBA", "CAP_SATA"},
	[0x13] = {"Advanced Features", "CAP_AF"},
	[0x14] = {"Enhanced Allocation", "CAP_EA"},
	[0x15] = {"Flattening Portal Bridge"},
};

static const struct names extended[] = {
	[0x00] = {"Null"},
	[0x01] = {"AER", "ECAP_AER"},
	[0x02] = {"Virtual Channel", "ECAP_VC"},
	[0x03] = {"Device Serial Number", "ECAP_DSN"},
	[0x04] = {"Power Budgeting", "ECAP_PB"},
	[0x05] = {"Root Complex Link", "ECAP_RCLINK"},
	[0x06] = {"Root Complex Internal Link", "ECAP_RCILINK"},
	[0x07] = {"Root Complex Event Collector", "ECAP_RCEC"},
	[0x08] = {"Multi-Function Virtual Channel", "ECAP_MFVC"},
	[0x09] = {"Virtual Channel (MFVC)", "ECAP_VC2"},
	[0x0a] = {"Root Bridge Control Block", "ECAP_RBCB"},
	[0x0b] = {"Vendor Specific", "ECAP_VNDR"},
	[0x0c] = {"Configuration Access Correlation"},
	[0x0d] = {"ACS", "ECAP_ACS"},
	[0x0e] = {"ARI", "ECAP_ARI"},
	[0x0f] = {"ATS", "ECAP_ATS"},
	[0x10] = {"SR-IOV", "ECAP_SRIOV"},
	[0x11] = {"MR-IOV", "ECAP_MRIOV"},
	[0x12] = {"Multicast", "ECAP_MCAST"},
	[0x13] = {"PRI", "ECAP_PRI"},
	[0x15] = {"Resizable BAR", "ECAP_REBAR"},
	[0x16] = {"Dynamic Power Allocation", "ECAP_DPA"},
	[0x17] = {"TPH", "ECAP_TPH"},
	[0x18] = {"LTR", "ECAP_LTR"},
	[0x19] = {"Secondary PCI Express", "ECAP_SECPCI"},
	[0x1a] = {"Protocol Multiplexing", "ECAP_PMUX"},
	[0x1b] = {"PASID", "ECAP_PASID"},
	[0x1c] = {"LN Requester", "ECAP_LNR"},
	[0x1d] = {"DPC", "ECAP_DPC"},
	[0x1e] = {"L1 PM Substates", "ECAP_L1PM"},
	[0x1f] = {"PTM", "ECAP_PTM"},
	[0x20] = {"PCI Express over M-PHY", "ECAP_M_PCIE"},
	[0x21] = {"FRS Queueing", "ECAP_FRS"},
	[0x22] = {"Readiness Time Reporting", "ECAP_RTR"},
	[0x23] = {"Designated Vendor-Specific", "ECAP_DVSEC"},
	[0x24] = {"VF Resizable BAR", "ECAP_VF_REBAR"},
	[0x25] = {"Data Link Feature", "ECAP_DLNK"},
	[0x26] = {"Physical Layer 16.0 GT/s", "ECAP_16GT"},
	[0x27] = {"Lane Margining", "ECAP_LMR"},
	[0x28] = {"Hierarchy ID", "ECAP_HIER_ID"},
	[0x29] = {"Native PCIe Enclosure Management", "ECAP_NPEM"},
	[0x2a] = {"Physical Layer 32.0 GT/s"},
	[0x2b] = {"Alternate Protocol"},
	[0x2c] = {"System Firmware Intermediary"},
	[0x2d] = {"Shadow Functions"},
	[0x2e] = {"Data Object Exchange"},
	[0x2f] = {"Device 3"},
	[0x30] = {"Integrity and Data Encryption"},
};

static const struct names *names_of(const struct usrpci_cap *cap)
{
	static const struct names unknown;
	size_t known = cap->extended ? ARRAY_SIZE(extended) : ARRAY_SIZE(conventional);

	if (cap->id >= known)
		return &unknown;
	return cap->extended ? &extended[cap->id] : &conventional[cap->id];
}

const char *usrpci_cap_name(const struct usrpci_cap *cap)
{
	return names_of(cap)->words;
}

const char *usrpci_cap_symbol(const struct usrpci_cap *cap)
{
	return names_of(cap)->symbol;
}
