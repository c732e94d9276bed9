// SPDX-License-Identifier: BSD-2-Clause
/*
 * Addresses of PCI functions as text: domain:bus:device.function, all hexadecimal. It accepts what
 * lspci and sysfs print, but no wildcards and no paths through bridges.
 */

#include <errno.h>
#include <stdbool.h>

#include <usrpci/addr.h>

#include "numbers.h"

/*
 * Reads a number of 1 to "most" digits and the character after it. Returns the end of that, or
 * NULL.
 */
static const char *take_number(const char *text, unsigned int most, char end, uint32_t *value)
{
	unsigned int digits;
	uint32_t number = 0;

	for (digits = 0; hex_digit(text[digits]) >= 0; digits++) {
		if (digits == most)
			return NULL;
		number = number << 4 | (uint32_t)hex_digit(text[digits]);
	}
	if (digits == 0 || text[digits] != end)
		return NULL;
	*value = number;
	return text + digits + 1;
}

static int parse_slot(const char *text, uint32_t domain, struct usrpci_addr *addr)
{
	uint32_t bus, dev, fn;

	text = take_number(text, 2, ':', &bus);
	if (text)
		text = take_number(text, 2, '.', &dev);
	if (!text || !take_number(text, 1, '\0', &fn) || dev > 31 || fn > 7)
		return -EINVAL;
	*addr = (struct usrpci_addr){domain, (uint8_t)bus, (uint8_t)dev, (uint8_t)fn};
	return 0;
}

int usrpci_addr_parse(const char *text, struct usrpci_addr *addr)
{
	const char *slot;
	uint32_t domain;

	if (parse_slot(text, 0, addr) == 0)
		return 0;
	slot = take_number(text, 8, ':', &domain);
	return slot ? parse_slot(slot, domain, addr) : -EINVAL;
}

/* Writes a number with at least "least" digits, and the character after it. Returns the end. */
static char *put_number(char *at, uint32_t value, int least, char end)
{
	int digits = least;

	while (digits < 8 && value >> 4 * digits)
		digits++;
	while (digits-- > 0)
		*at++ = "0123456789abcdef"[value >> 4 * digits & 15];
	*at++ = end;
	return at;
}

/* Paths of devices begin with it, so it is made thousands of times. */
char *usrpci_addr_format(const struct usrpci_addr *addr, char text[USRPCI_ADDR_STRLEN])
{
	char *at = put_number(text, addr->domain, 4, ':');

	at = put_number(at, addr->bus, 2, ':');
	at = put_number(at, addr->dev & 31u, 2, '.');
	put_number(at, addr->fn & 7u, 1, '\0');
	return text;
}

/* Returns the whole address as one number, in the order of its parts. */
static uint64_t number_of(const struct usrpci_addr *addr)
{
	return (uint64_t)addr->domain << 24 | (uint64_t)addr->bus << 16 | addr->dev << 8 | addr->fn;
}

int usrpci_addr_compare(const struct usrpci_addr *a, const struct usrpci_addr *b)
{
	uint64_t first = number_of(a), second = number_of(b);

	return (first > second) - (first < second);
}
