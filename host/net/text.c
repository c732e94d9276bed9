// SPDX-License-Identifier: BSD-2-Clause
/*
 * The place of an interface as lines of text, for records below /run/usrpci: "net" and what it is,
 * then "setting" and a setting, and "message" and what else it has (as its alias), an address or a
 * route, as the kernel's message in hexadecimal digits.
 */

#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "net/net.h"
#include "numbers.h"

/* Room behind a message, for what place.c adds. */
#define MESSAGE_ROOM 64
#define MESSAGE_MOST 8192

static void print_message(FILE *out, const struct nlmsghdr *message)
{
	const uint8_t *bytes = (const uint8_t *)message;

	fputs("message ", out);
	for (uint32_t i = 0; i < message->nlmsg_len; i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('\n', out);
}

const char *net_mac_format(const struct net_place *place, char text[NET_MAC_TEXT])
{
	text[0] = '\0';
	for (unsigned int i = 0; i < place->mac_length; i++)
		sprintf(text + strlen(text), "%s%02x", i ? ":" : "", place->mac[i]);
	return text;
}

int net_place_print_link(char text[NET_LINK_TEXT], const struct net_place *place)
{
	char mac[NET_MAC_TEXT];

	return snprintf(text, NET_LINK_TEXT, "net %s %d %s %u %d\n", place->name, place->index,
			net_mac_format(place, mac), place->mtu, place->up);
}

void net_place_print(FILE *out, const struct net_place *place)
{
	char link[NET_LINK_TEXT];

	net_place_print_link(link, place);
	fputs(link, out);
	net_settings_print(out, place);
	for (size_t i = 0; i < place->count; i++)
		print_message(out, place->messages[i]);
}

bool net_place_is_printable(const struct net_place *place)
{
	for (size_t i = 0; i < place->count; i++)
		if (place->messages[i]->nlmsg_len > MESSAGE_MOST)
			return false;
	return true;
}

static bool parse_byte(uint8_t *byte, const char *text)
{
	int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

	*byte = (uint8_t)(high << 4 | low);
	return low >= 0;
}

static bool parse_mac(struct net_place *place, const char *text)
{
	size_t length = (strlen(text) + 1) / 3;

	if (length != ETH_ALEN && length != INFINIBAND_ALEN)
		return false;
	for (size_t i = 0; i < length; i++) {
		char end = i + 1 < length ? ':' : '\0';

		if (!parse_byte(&place->mac[i], text + 3 * i) || text[3 * i + 2] != end)
			return false;
	}
	place->mac_length = (unsigned int)length;
	return true;
}

bool net_place_parse(struct net_place *place, const char *value)
{
	char mac[NET_MAC_TEXT];
	int up;

	if (sscanf(value, "%15s %d %59s %u %d", place->name, &place->index, mac, &place->mtu,
		   &up) != 5)
		return false;
	place->up = up;
	return parse_mac(place, mac);
}

static bool parse_bytes(uint8_t *bytes, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!parse_byte(&bytes[i], text + 2 * i))
			return false;
	return true;
}

static bool is_of_a_place(const struct nlmsghdr *message, size_t size)
{
	if (size < sizeof(*message) || message->nlmsg_len != size)
		return false;
	if (message->nlmsg_type == RTM_NEWADDR)
		return size >= NLMSG_LENGTH(sizeof(struct ifaddrmsg));
	if (message->nlmsg_type == RTM_NEWLINK)
		return size >= NLMSG_LENGTH(sizeof(struct ifinfomsg));
	return message->nlmsg_type == RTM_NEWROUTE && size >= NLMSG_LENGTH(sizeof(struct rtmsg));
}

bool net_place_parse_message(struct net_place *place, const char *value)
{
	size_t size = strlen(value) / 2;
	struct nlmsghdr **longer, *message;

	if (size > MESSAGE_MOST)
		return false;
	longer = array_grow(place->messages, place->count, 1, sizeof(struct nlmsghdr *));
	if (!longer)
		return false;
	place->messages = longer;
	message = calloc(1, size + MESSAGE_ROOM);
	if (message && parse_bytes((uint8_t *)message, value, size) &&
	    is_of_a_place(message, size)) {
		longer[place->count++] = message;
		return true;
	}
	free(message);
	return false;
}
