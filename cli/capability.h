/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_CAPABILITY_H
#define USRPCI_CLI_CAPABILITY_H

/*
 * What the registers of a capability say, as a list of named values that can be printed in any
 * form.
 */

#include <stddef.h>
#include <stdint.h>

#include <usrpci/usrpci.h>

enum field_kind {
	FIELD_FLAG,   /* on or off */
	FIELD_NUMBER, /* decimal */
	FIELD_HEX,
	FIELD_TEXT,
};

struct field {
	const char *name; /* a word or words with "_" between them */
	enum field_kind kind;
	uint64_t number;
	char text[32];
};

#define FIELDS_MAX 16

/* Returns how many fields were stored, 0 for a capability that is not known. */
size_t capability_decode(struct usrpci_dev *dev, const struct usrpci_cap *cap,
			 struct field fields[FIELDS_MAX]);

#endif
