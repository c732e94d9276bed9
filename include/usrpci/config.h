/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_CONFIG_H
#define USRPCI_CONFIG_H

/*
 * Configuration space and its capabilities (PCI Local Bus 3.0, chapter 6; PCI Express Base, 7.5
 * and 7.6).
 *
 * Offsets are bytes from 0 to below usrpci_config_size(); values are in the processor's byte order.
 * Accesses of 2 and 4 bytes are aligned.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define USRPCI_CONFIG_SIZE         256  /**< conventional configuration space, bytes */
#define USRPCI_CONFIG_SIZE_EXPRESS 4096 /**< with the extended part, bytes */

/** Bytes of configuration space that can be accessed: 64 without privileges, else 256 or 4096. */
int usrpci_config_size(const struct usrpci_dev *dev);

/**
 * Reads one register. Errors: -EINVAL (unaligned); -ERANGE (outside the configuration space);
 * -ENODEV (the device is gone: its command and status registers read as all ones, which the vendor
 * id of a virtual function does too); -EACCES.
 */
int usrpci_config_read8(struct usrpci_dev *dev, unsigned int offset, uint8_t *value);
int usrpci_config_read16(struct usrpci_dev *dev, unsigned int offset, uint16_t *value);
int usrpci_config_read32(struct usrpci_dev *dev, unsigned int offset, uint32_t *value);

/** Writes one register with an access exactly as wide as the register. Errors: as for reading. */
int usrpci_config_write8(struct usrpci_dev *dev, unsigned int offset, uint8_t value);
int usrpci_config_write16(struct usrpci_dev *dev, unsigned int offset, uint16_t value);
int usrpci_config_write32(struct usrpci_dev *dev, unsigned int offset, uint32_t value);

/**
 * Clears and then sets bits of a 16-bit register. Writes nothing when that changes nothing, the low
 * byte alone when only that changes, else both. Errors: as for reading.
 */
int usrpci_config_update16(struct usrpci_dev *dev, unsigned int offset, uint16_t clear,
			   uint16_t set);

/**
 * Reads size bytes as they lie in configuration space (little-endian registers), unaligned offsets
 * and sizes included. Errors: -ERANGE; -ENODEV; -EACCES.
 */
int usrpci_config_read(struct usrpci_dev *dev, unsigned int offset, void *buffer, size_t size);

/** One capability. */
struct usrpci_cap {
	uint16_t offset;
	uint16_t id;
	uint8_t version; /**< of an extended capability; 0 for others */
	bool extended;
};

/** Capability identifiers that drivers ask for (PCI Code and ID Assignment Specification). */
enum usrpci_cap_id {
	USRPCI_CAP_POWER = 0x01,
	USRPCI_CAP_MSI = 0x05,
	USRPCI_CAP_VENDOR = 0x09,
	USRPCI_CAP_EXPRESS = 0x10,
	USRPCI_CAP_MSIX = 0x11,
	USRPCI_CAP_ADVANCED_FEATURES = 0x13,
};

enum usrpci_ext_cap_id {
	USRPCI_EXT_CAP_AER = 0x01,
	USRPCI_EXT_CAP_SERIAL = 0x03,
	USRPCI_EXT_CAP_ACS = 0x0d,
	USRPCI_EXT_CAP_ARI = 0x0e,
	USRPCI_EXT_CAP_SRIOV = 0x10,
};

/** More than any chain without loops can hold. */
#define USRPCI_CAPS_MAX (48 + 960)

/**
 * Lists the capabilities, the conventional ones first, in the order of their chains. A chain that
 * loops or points outside is cut there, with a warning. Only functions with PCI Express or PCI-X
 * have an extended chain.
 *
 * @caps	room for max entries
 *
 * Returns how many were stored. Errors: those of usrpci_config_read().
 */
int usrpci_cap_list(struct usrpci_dev *dev, struct usrpci_cap *caps, size_t max);

/** Finds the first capability with this id. Returns its offset. Errors: -ENOENT (it has none). */
int usrpci_cap_find(struct usrpci_dev *dev, enum usrpci_cap_id id);
int usrpci_ext_cap_find(struct usrpci_dev *dev, enum usrpci_ext_cap_id id);

/**
 * Finds the next capability with an id that a device may have several of, in the order of their
 * chain: a virtio device has a USRPCI_CAP_VENDOR for each of its structures.
 *
 * @after	offset in bytes of one that was found before; 0 finds the first
 *
 * Returns its offset. Errors: -ENOENT (no other one follows, or there is none at after).
 */
int usrpci_cap_find_next(struct usrpci_dev *dev, enum usrpci_cap_id id, unsigned int after);
int usrpci_ext_cap_find_next(struct usrpci_dev *dev, enum usrpci_ext_cap_id id, unsigned int after);

/** The capability's usual short name, "MSI-X", or NULL for an id that is not known. */
const char *usrpci_cap_name(const struct usrpci_cap *cap);

/** The name that setpci(8) has for the capability, "CAP_MSIX", or NULL if it has none. */
const char *usrpci_cap_symbol(const struct usrpci_cap *cap);

#ifdef __cplusplus
}
#endif

#endif
