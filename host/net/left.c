// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a killed usrpci net leaves: a TAP in the place of an interface, and a record of that place,
 * /run/usrpci/places/ADDR. The next recovery puts the interface there again.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "journal.h"
#include "net/net.h"
#include "state.h"

#define LOG_SUBJECT "net"
#include "log.h"

#define PLACES      "places"
#define MAGIC       "usrpci-place 1"
#define RECORD_SIZE (1 << 20)
#define NAME        64

static void record_name(const struct usrpci_addr *addr, char name[NAME])
{
	char device[USRPCI_ADDR_STRLEN];

	snprintf(name, NAME, PLACES "/%s", usrpci_addr_format(addr, device));
}

/* Like pci%d, the name to which the card's interface moves: who sees both knows what they are. */
void net_tap_name(int card, char name[IF_NAMESIZE])
{
	snprintf(name, IF_NAMESIZE, "usrpci%d", card);
}

int net_left_write(struct usrpci_host *host, const struct usrpci_addr *addr, int card,
		   const struct net_place *place, bool moved)
{
	AUTO_FREE char *text = NULL;
	char name[NAME];
	uint64_t identity;
	size_t size = 0;
	int error = journal_identity(host, addr, &identity);
	FILE *out;

	if (error)
		return error;
	out = open_memstream(&text, &size);
	if (out) {
		fprintf(out, MAGIC "\nidentity %" PRIu64 "\ncard %d %d\n", identity, card, moved);
		net_place_print(out, place);
		fputs("end\n", out);
	}
	if (!out || fclose(out) || !text)
		return report(host->ctx, -ENOMEM, place->name, NULL,
			      "cannot write down what it has to have again");
	if (size >= RECORD_SIZE || !net_place_is_printable(place))
		return refuse(host->ctx, -E2BIG, place->name, NULL,
			      "it has too many routes to bring them back after a kill");
	record_name(addr, name);
	return state_write(host, name, text);
}

int net_left_drop(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char name[NAME];

	record_name(addr, name);
	return state_remove(host, name);
}

struct left {
	uint64_t identity;
	int card;  /* the index that the card's interface had */
	int moved; /* whether the TAP has all of the place, so that changes of it count */
	struct net_place place;
};

static bool parse_line(void *data, const char *key, const char *value)
{
	struct left *left = data;

	if (!strcmp(key, "identity"))
		return sscanf(value, "%" SCNu64, &left->identity) == 1;
	if (!strcmp(key, "card"))
		return sscanf(value, "%d %d", &left->card, &left->moved) == 2;
	if (!strcmp(key, "net"))
		return net_place_parse(&left->place, value);
	if (!strcmp(key, "setting"))
		return !net_settings_add(&left->place, value);
	return strcmp(key, "message") != 0 || net_place_parse_message(&left->place, value);
}

/* Returns 1 with the record, 0 if there is none, or a negative errno, logged. */
static int read_record(struct usrpci_host *host, const char *name, struct left *left)
{
	AUTO_FREE char *text = NULL;
	int found = state_exists(host, name), length;

	*left = (struct left){0};
	if (found <= 0)
		return found;
	text = malloc(RECORD_SIZE);
	if (!text)
		return report(host->ctx, -ENOMEM, NULL, NULL, "cannot read %s/%s", STATE_DIR, name);
	length = file_read(host->ctx, text, RECORD_SIZE, STATE_DIR "/%s", name);
	if (length < 0)
		return report(host->ctx, length, NULL, NULL, "cannot read %s/%s", STATE_DIR, name);
	if (state_parse(text, MAGIC, parse_line, left) && left->identity && left->card &&
	    left->place.name[0])
		return 1;
	net_place_free(&left->place);
	return refuse(host->ctx, -EBADMSG, NULL,
		      "look at the file, put the interface back by hand, remove the file",
		      "the record in %s/%s is damaged", STATE_DIR, name);
}

/*
 * Stores what the TAP is called. Before it has all of the place, it is found by the name that it
 * got first or by that of the place. Returns 1, 0 if there is none, or a negative errno, logged.
 */
static int find_tap(struct usrpci_host *host, const struct left *left, char name[IF_NAMESIZE])
{
	int found = 0;

	if (left->moved)
		return net_tap_find(host, &left->place, name);
	snprintf(name, IF_NAMESIZE, "%s", left->place.name);
	if ((int)if_nametoindex(name) != left->card)
		found = net_is_tap(host, name);
	if (found)
		return found;
	net_tap_name(left->card, name);
	return net_is_tap(host, name);
}

bool net_left_tap(struct usrpci_host *host, const struct usrpci_addr *addr, char name[IF_NAMESIZE])
{
	char record[NAME];
	struct left left;
	bool found;

	record_name(addr, record);
	if (read_record(host, record, &left) <= 0)
		return false;
	found = find_tap(host, &left, name) > 0;
	net_place_free(&left.place);
	return found;
}

int usrpci_host_net_taps(struct usrpci_host *host, struct usrpci_interface **result)
{
	AUTO_FREE char **names = NULL;
	int found = host_is_live(host) ? dir_list(host->ctx, &names, STATE_DIR "/" PLACES) : 0;
	struct usrpci_interface *list = NULL;
	int count = 0;

	if (found != -ENOMEM)
		list = calloc(found > 0 ? (size_t)found : 1, sizeof(*list));
	*result = list;
	for (int i = 0; list && i < found; i++)
		count += !usrpci_addr_parse(names[i], &list[count].addr) &&
			 net_left_tap(host, &list[count].addr, list[count].name);
	return list ? count : -ENOMEM;
}

int net_left_find(struct usrpci_host *host, const char *name, struct usrpci_addr *addr)
{
	AUTO_FREE struct usrpci_interface *list = NULL;
	int count = usrpci_host_net_taps(host, &list), i = 0;

	while (i < count && strcmp(list[i].name, name) != 0)
		i++;
	if (i >= count)
		return -ENOENT;
	*addr = list[i].addr;
	return 0;
}

/* Deletes the TAP. Its addresses are the newer ones, so they are recorded before it goes. */
static int end_tap(struct usrpci_host *host, const struct usrpci_addr *addr, struct left *left)
{
	struct net_place now;
	char name[IF_NAMESIZE];
	int found = find_tap(host, left, name);

	if (found <= 0)
		return found;
	if (left->moved && !net_place_read(host, name, &now)) {
		net_place_free(&left->place);
		left->place = now;
		net_left_write(host, addr, left->card, &now, true);
	}
	return net_delete_tap(host, name);
}

static int put_back(struct usrpci_host *host, const struct usrpci_addr *addr, struct left *left)
{
	struct usrpci_dev_info info;
	uint64_t identity;
	int error = journal_identity(host, addr, &identity);

	if (error)
		return error;
	if (identity == left->identity &&
	    (usrpci_dev_lookup(host->ctx, addr, &info) || info.driver_kind != USRPCI_DRIVER_KERNEL))
		return 0; /* the driver has to come back first */
	error = end_tap(host, addr, left);
	if (!error && identity == left->identity)
		error = net_place_return(host, &left->place, addr);
	else if (!error)
		log_warning(host->ctx, left->place.name, NULL,
			    "its card was pulled out; the TAP in its place is deleted");
	return error ?: net_left_drop(host, addr);
}

int net_left_recover(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char name[NAME], mark[NET_MARK_SIZE], text[IF_NAMESIZE];
	struct left left;
	int found;

	net_mark_name(addr, mark);
	if (host->options.dry_run || !host_is_live(host) ||
	    state_is_held(host, mark, text, sizeof(text)))
		return 0;
	record_name(addr, name);
	found = read_record(host, name, &left);
	if (found <= 0)
		return found;
	found = put_back(host, addr, &left);
	net_place_free(&left.place);
	return found;
}

int net_left_recover_all(struct usrpci_host *host)
{
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, STATE_DIR "/" PLACES), first = 0;

	for (int i = 0; i < count; i++) {
		struct usrpci_addr addr;
		int error = usrpci_addr_parse(names[i], &addr) ? 0 : net_left_recover(host, &addr);

		first = first ?: error;
	}
	return first;
}
