// SPDX-License-Identifier: BSD-2-Clause
/*
 * The files that declare a host, each a part of the input: two of usrpci's, and one of driverctl's.
 * Whatever they say, nothing crashes, what is made of them is within its bounds, and what is wrong
 * is refused in the ways that are promised.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include <usrpci/host.h>

#include "declare/declare.h"
#include "fuzz.h"

#define ADDR   "0000:00:03.0"
#define DEVICE "/sys/bus/pci/devices/" ADDR

static struct usrpci_ctx *ctx;
static struct usrpci_host *host;

/* To read the machine's own lists of users would take most of the time. */
struct passwd *__wrap_getpwnam(const char *name)
{
	static struct passwd user;

	return name[0] == 'r' ? &user : NULL;
}

struct group *__wrap_getgrnam(const char *name)
{
	static struct group group;

	return name[0] == 'r' ? &group : NULL;
}

/* The only device of this host; the list of all is read from a directory that there is not. */
int __wrap_usrpci_dev_list(struct usrpci_ctx *any, struct usrpci_dev_info **infos)
{
	const struct usrpci_addr addr = {.dev = 3};

	*infos = calloc(1, sizeof(**infos));
	HOLDS(*infos && usrpci_dev_lookup(any, &addr, *infos) == 0);
	return 1;
}

static void make_host(void)
{
	const struct usrpci_host_options dry = {.dry_run = true};

	fake_header(DEVICE "/config");
	fake_file(DEVICE "/driver_override", "(null)\n", 7);
	fake_file(DEVICE "/resource", "", 0);
	fake_file(DEVICE "/net/eth0/address", "52:54:00:12:34:57\n", 18);
	HOLDS(usrpci_ctx_open(&(struct usrpci_ctx_options){.root = fuzz_root()}, &ctx) == 0);
	HOLDS(usrpci_host_open(ctx, &dry, &host) == 0);
}

static bool is_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static void look_at_device(const struct declared_device *device)
{
	HOLDS(is_text(device->driver, sizeof(device->driver)) && !strchr(device->driver, '/'));
	HOLDS(is_text(device->user, sizeof(device->user)));
	HOLDS(is_text(device->group, sizeof(device->group)));
	HOLDS(is_text(device->serial, sizeof(device->serial)));
	HOLDS(!device->mac[0] || strlen(device->mac) == sizeof(device->mac) - 1);
	HOLDS(device->place.line > 0);
}

static void find(struct declaration *all)
{
	int error = declare_find(host, all, &(struct usrpci_declare_options){0});

	HOLDS(error == 0 || error == -ENODEV);
	error = declare_check(host, all);
	HOLDS(error == 0 || error == -EBADMSG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct declaration all = {0};
	int error;

	if (!host)
		make_host();
	take_file(&input, DECLARE_DIR "/a.conf");
	take_file(&input, DECLARE_DIR "/b.conf");
	take_file(&input, DRIVERCTL_DIR "/pci-" ADDR);
	error = declare_read(host, DECLARE_DIR, &all);
	HOLDS(error == 0 || error == -EBADMSG);
	if (!error)
		error = declare_read_driverctl(host, &all);
	HOLDS(error == 0 || error == -EBADMSG);
	for (size_t i = 0; !error && i < all.device_count; i++)
		look_at_device(&all.devices[i]);
	for (size_t i = 0; !error && i < all.page_count; i++)
		HOLDS(all.pages[i].node >= -1 && all.pages[i].place.line > 0);
	if (!error)
		find(&all);
	declare_free(&all);
	return 0;
}
