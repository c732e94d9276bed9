// SPDX-License-Identifier: BSD-2-Clause
/*
 * Addresses: what is accepted survives being written and read again, and what is refused leaves the
 * result alone.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <usrpci/addr.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct usrpci_addr *addr)
{
	char text[USRPCI_ADDR_STRLEN];
	struct usrpci_addr again;

	if (addr->dev > 31 || addr->fn > 7)
		abort();
	memset(text, 'x', sizeof(text));
	usrpci_addr_format(addr, text);
	if (!memchr(text, '\0', sizeof(text)))
		abort();
	if (usrpci_addr_parse(text, &again) || usrpci_addr_compare(addr, &again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct usrpci_addr addr, before;
	char *text = strndup((const char *)data, size);

	memset(&addr, 0xa5, sizeof(addr));
	before = addr;
	if (usrpci_addr_parse(text, &addr) == 0)
		check_round_trip(&addr);
	else if (usrpci_addr_compare(&addr, &before))
		abort();
	free(text);
	return 0;
}
