// SPDX-License-Identifier: BSD-2-Clause
/*
 * The notes below /run, each a part of the input: the journal, what is lent, whose huge pages are
 * whose, and the processes that they name. Whatever they say, nothing crashes, what is told of them
 * is possible, and what a dry run would write lies where it may.
 */

#include <usrpci/host.h>

#include "fuzz.h"
#include "host.h"
#include "state.h"

#define ADDR   "0000:00:03.0"
#define OTHER  "0000:00:04.0"
#define DEVICE "/sys/bus/pci/devices/" ADDR
#define POOL   "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/"

static struct usrpci_ctx *ctx;
static struct usrpci_host *host;

/* Nobody serves a device here: those notes are locked files, and not read as others are. */
bool __wrap_state_is_held(struct usrpci_host *held_by, const char *name, char *text, size_t size);

bool __wrap_state_is_held(struct usrpci_host *held_by, const char *name, char *text, size_t size)
{
	return false;
}

/* A change that would be made: a write where one may, and a module or driver that is no path. */
static void see_change(void *data, const struct usrpci_host_change *change)
{
	HOLDS(change->command && change->value && change->why);
	HOLDS(!change->path || !strstr(change->path, "/../"));
	HOLDS(!change->path || !strncmp(change->path, "/sys/", 5) ||
	      !strncmp(change->path, "/proc/sys/vm/", 13) || !strncmp(change->path, "/dev/", 5));
}

static void text_file(const char *path, const char *text)
{
	fake_file(path, text, strlen(text));
}

static void make_host(void)
{
	const struct usrpci_host_options dry = {.dry_run = true, .change = see_change};

	fake_header(DEVICE "/config");
	text_file(DEVICE "/driver_override", "(null)\n");
	text_file(DEVICE "/resource", "");
	fake_link(DEVICE "/driver", "../../bus/pci/drivers/uio_pci_generic");
	text_file(POOL "nr_hugepages", "4\n");
	text_file(POOL "free_hugepages", "4\n");
	text_file(POOL "surplus_hugepages", "0\n");
	HOLDS(usrpci_ctx_open(&(struct usrpci_ctx_options){.root = fuzz_root()}, &ctx) == 0);
	HOLDS(usrpci_host_open(ctx, &dry, &host) == 0);
}

static void look_at_journal(const struct usrpci_addr *addr)
{
	struct usrpci_journal_entry *entries;
	int count = usrpci_host_journal(host, &entries);

	HOLDS(count >= 0 && count <= 1);
	if (count)
		HOLDS(!strchr(entries->driver, '/') && !strchr(entries->driver_override, '/'));
	free(entries);
	usrpci_host_restore(host, addr);
}

static void look_at_lent(void)
{
	struct usrpci_lent *lent;
	int count = usrpci_host_lent(host, &lent);

	HOLDS(count >= 0 && count <= 2);
	for (int i = 0; i < count; i++) {
		HOLDS(lent[i].broker > 0);
		HOLDS(memchr(lent[i].command, '\0', sizeof(lent[i].command)));
	}
	free(lent);
	usrpci_host_recover(host);
}

static void look_at_pages(void)
{
	struct usrpci_hugepages *pools;

	if (usrpci_host_hugepages(host, &pools) == 1) {
		HOLDS(pools->ours <= pools->total);
		free(pools);
	}
	usrpci_host_hugepages_release(host, 0, -1);
	usrpci_host_hugepages_reserve(host, 7, 0, -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct usrpci_addr addr = {.dev = 3};
	struct input input = {data, size};
	uint32_t which;

	if (!host)
		make_host();
	which = take(&input, 1);
	take_file(&input, "/run/usrpci/journal/" ADDR);
	take_file(&input, "/run/usrpci/lent/" ADDR);
	take_file(&input, "/run/usrpci/lent/" OTHER);
	take_file(&input, "/run/usrpci/hugepages");
	take_file(&input, "/proc/1/stat");
	take_file(&input, "/proc/1/status");
	if (which % 3 == 0)
		look_at_journal(&addr);
	else if (which % 3 == 1)
		look_at_lent();
	else
		look_at_pages();
	return 0;
}
