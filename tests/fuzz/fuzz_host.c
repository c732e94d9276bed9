// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who uses a device: the kernel's tables of mounts, swap space, addresses and routes, each a part
 * of the input. Whatever they say, nothing crashes, and each use that is found has a text.
 */

#include <usrpci/host.h>

#include "fuzz.h"
#include "guard/guard.h"

#define ADDR   "0000:00:03.0"
#define DEVICE "/sys/bus/pci/devices/" ADDR

static char tables[256]; /* the directory of libmount's */
static struct usrpci_ctx *ctx;
static struct usrpci_host *host;
static struct input mounts, swaps;
static struct usrpci_dev_info info;
static struct tree tree;

/*
 * libmount opens its tables by itself, by this name; this file's fopen(3) is that for large files.
 */
FILE *open_table(const char *path, const char *mode) __asm__("fopen");

FILE *open_table(const char *path, const char *mode)
{
	const struct input *table = strstr(path, "/mountinfo") ? &mounts : &swaps;

	if (!tables[0] || strncmp(path, tables, strlen(tables)) != 0)
		return fopen(path, mode);
	return table->size ? fmemopen((void *)table->bytes, table->size, "r") : NULL;
}

/* The device and what is below it are always the same, and are looked at once. */
static void make_host(void)
{
	const struct usrpci_addr addr = {.dev = 3};

	snprintf(tables, sizeof(tables), "%s/proc/", fuzz_root());
	fake_file("/sys/class/net/eth0/operstate", "up", 2);
	fake_file(DEVICE "/net/eth0/ifindex", "2", 1);
	fake_file(DEVICE "/block/sda/dev", "8:0", 3);
	fake_file("/sys/class/block/sda/dev", "8:0", 3);
	fake_header(DEVICE "/config");
	fake_file("/proc/swaps", "", 0);
	HOLDS(usrpci_ctx_open(&(struct usrpci_ctx_options){.root = fuzz_root()}, &ctx) == 0);
	HOLDS(usrpci_host_open(ctx, NULL, &host) == 0);
	HOLDS(usrpci_dev_lookup(ctx, &addr, &info) == 0);
	HOLDS(tree_read(host, &info, &tree) == 0 && tree.count == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct guard guard;

	if (!host)
		make_host();
	take_file(&input, "/proc/net/route");
	take_file(&input, "/proc/net/if_inet6");
	mounts = take_part(&input);
	swaps = input;
	fake_file("/proc/self/mountinfo", mounts.bytes, mounts.size);
	fake_file("/proc/swaps", swaps.bytes, swaps.size);
	guard = (struct guard){.host = host, .info = &info, .tree = tree};
	HOLDS(guard_network(&guard) == 0 && guard_disks(&guard) == 0);
	for (size_t i = 0; i < guard.count; i++) {
		const struct usrpci_use *use = &guard.uses[i];

		HOLDS(use->object[0] && use->text[0] && use->kind <= USRPCI_USE_UNKNOWN);
	}
	free(guard.uses);
	return 0;
}
