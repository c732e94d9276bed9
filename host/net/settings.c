// SPDX-License-Identifier: BSD-2-Clause
/*
 * The settings of an interface below /proc/sys/net (Linux: Documentation/networking/ip-sysctl.rst),
 * such as whether it has IPv6 at all, forwards, or listens to routers. A new interface has those of
 * "default"; what differs from them is kept, a line "ipv6/disable_ipv6 1" for each.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "net/net.h"

#define LOG_SUBJECT "net"
#include "log.h"

#define SETTINGS   "/proc/sys/net/%s/conf/%s/%s"
#define NAME       48
#define VALUE      64
#define LINE_PARTS "%4[a-z0-9]/%47[a-z0-9_] %63[0-9a-f:-]"

int net_settings_add(struct net_place *place, const char *line)
{
	size_t before = place->settings ? strlen(place->settings) : 0;
	size_t size = before + strlen(line) + sizeof("\n");
	char *longer = realloc(place->settings, size);

	if (!longer)
		return -ENOMEM;
	snprintf(longer + before, size - before, "%s\n", line);
	place->settings = longer;
	return 0;
}

/* A secret is for no record, and the MTU of IPv6 follows that of the interface. */
static bool is_kept(const char *name)
{
	return strcmp(name, "stable_secret") != 0 && strcmp(name, "mtu") != 0;
}

static int read_setting(struct usrpci_host *host, struct net_place *place, const char *family,
			const char *name)
{
	char value[VALUE], usual[VALUE] = "", line[NAME + VALUE + 8];
	int length = file_read(host->ctx, value, sizeof(value), SETTINGS, family, place->name,
			       name);

	if (length < 0)
		return length;
	file_read(host->ctx, usual, sizeof(usual), SETTINGS, family, "default", name);
	if (!strcmp(value, usual))
		return 0;
	snprintf(line, sizeof(line), "%s/%s %s", family, name, value);
	return net_settings_add(place, line);
}

int net_settings_read(struct usrpci_host *host, struct net_place *place)
{
	static const char *const families[] = {"ipv4", "ipv6"};
	int error = 0;

	for (size_t i = 0; i < 2 && !error; i++) {
		AUTO_FREE char **names = NULL;
		int count = dir_list(host->ctx, &names, "/proc/sys/net/%s/conf/%s", families[i],
				     place->name);

		error = count < 0 && count != -ENOENT ? count : 0;
		for (int j = 0; j < count && !error; j++)
			error = is_kept(names[j]) ? read_setting(host, place, families[i], names[j])
						  : 0;
	}
	return error;
}

static void give_setting(struct usrpci_host *host, const char *interface, const char *line)
{
	char family[5], name[NAME], value[VALUE], now[VALUE] = "";
	int error;

	if (sscanf(line, LINE_PARTS, family, name, value) != 3)
		return;
	if (!host->options.dry_run)
		file_read(host->ctx, now, sizeof(now), SETTINGS, family, interface, name);
	if (!strcmp(now, value))
		return;
	error = apply_write(host, "as the interface had it", value, NULL, SETTINGS, family,
			    interface, name);
	if (error)
		log_warning(host->ctx, interface, NULL, "its setting %s does not become %s: %s",
			    name, value, strerror(-error));
}

void net_settings_give(struct usrpci_host *host, const struct net_place *place)
{
	const char *line = place->settings;

	for (; line && *line; line = strchr(line, '\n') + 1)
		give_setting(host, place->name, line);
}

void net_settings_print(FILE *out, const struct net_place *place)
{
	const char *line = place->settings, *end;

	for (; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		fprintf(out, "setting %.*s\n", (int)(end - line), line);
	}
}
