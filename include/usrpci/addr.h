/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_ADDR_H
#define USRPCI_ADDR_H

/*
 * Addresses of PCI functions: domain:bus:device.function, in hexadecimal, as lspci and sysfs write
 * them. Domains have 32 bits: Intel's VMD numbers its own from 0x10000.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct usrpci_addr {
	uint32_t domain;
	uint8_t bus;
	uint8_t dev; /**< 0..31 */
	uint8_t fn;  /**< 0..7 */
};

/** Bytes of the longest formatted address, "ffffffff:ff:1f.7", and its terminating zero. */
#define USRPCI_ADDR_STRLEN 17

/**
 * Parses "0000:03:00.0" or, for domain 0, "03:00.0". Nothing may follow.
 *
 * Errors: -EINVAL (malformed or out of range); addr is then unchanged.
 */
int usrpci_addr_parse(const char *text, struct usrpci_addr *addr);

/** Writes the full form, "0000:03:00.0", to text and returns text. */
char *usrpci_addr_format(const struct usrpci_addr *addr, char text[USRPCI_ADDR_STRLEN]);

/** Orders addresses as lspci lists them: below, equal or above 0, as memcmp(3). */
int usrpci_addr_compare(const struct usrpci_addr *a, const struct usrpci_addr *b);

#ifdef __cplusplus
}
#endif

#endif
