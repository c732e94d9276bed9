// SPDX-License-Identifier: BSD-2-Clause
/*
 * The place of an interface as lines of text, for records below /run/usrpci: "net" and what it is,
 * then "message" and an address or a route, as the kernel's message in hexadecimal digits.
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

void net_place_print(FILE *out, const struct net_place *place)
{
	const uint8_t *mac = place->mac;

	fprintf(out, "net %s %d %02x:%02x:%02x:%02x:%02x:%02x %u %d\n", place->name, place->index,
		mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], place->mtu, place->up);
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

bool net_place_parse(struct net_place *place, const char *value)
{
	uint8_t *mac = place->mac;
	int up;

	if (sscanf(value, "%15s %d %hhx:%hhx:%hhx:%hhx:%hhx:%hhx %u %d", place->name, &place->index,
		   &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5], &place->mtu, &up) != 10)
		return false;
	place->up = up;
	return true;
}

static bool parse_bytes(uint8_t *bytes, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool is_address_or_route(const struct nlmsghdr *message, size_t size)
{
	if (size < sizeof(*message) || message->nlmsg_len != size)
		return false;
	if (message->nlmsg_type == RTM_NEWADDR)
		return size >= NLMSG_LENGTH(sizeof(struct ifaddrmsg));
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
	    is_address_or_route(message, size)) {
		longer[place->count++] = message;
		return true;
	}
	free(message);
	return false;
}
