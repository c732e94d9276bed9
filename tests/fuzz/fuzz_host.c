// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who uses a device: the kernel's tables of mounts, swap space, addresses and routes, each a part
 * of the input. Whatever they say, nothing crashes, and each use that is found has a text.
 */

#include <usrpci/host.h>

#include "fuzz.h"

#define ADDR   "0000:00:03.0"
#define DEVICE "/sys/bus/pci/devices/" ADDR

static char tables[256]; /* the directory of libmount's */
static struct usrpci_ctx *ctx;
static struct usrpci_host *host;
static struct input mounts, swaps;

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

static void make_host(void)
{
	snprintf(tables, sizeof(tables), "%s/proc/", fuzz_root());
	fake_file("/sys/class/net/eth0/operstate", "up", 2);
	fake_file(DEVICE "/net/eth0/ifindex", "2", 1);
	fake_file(DEVICE "/block/sda/dev", "8:0", 3);
	fake_file("/sys/class/block/sda/dev", "8:0", 3);
	fake_header(DEVICE "/config");
	fake_file("/proc/swaps", "", 0);
	HOLDS(usrpci_ctx_open(&(struct usrpci_ctx_options){.root = fuzz_root()}, &ctx) == 0);
	HOLDS(usrpci_host_open(ctx, NULL, &host) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct usrpci_addr addr = {.dev = 3};
	struct input input = {data, size};
	struct usrpci_use *uses = NULL;
	int count;

	if (!host)
		make_host();
	take_file(&input, "/proc/net/route");
	take_file(&input, "/proc/net/if_inet6");
	mounts = take_part(&input);
	swaps = input;
	fake_file("/proc/self/mountinfo", mounts.bytes, mounts.size);
	fake_file("/proc/swaps", swaps.bytes, swaps.size);
	count = usrpci_host_uses(host, &addr, &uses);
	for (int i = 0; i < count; i++)
		HOLDS(uses[i].object[0] && uses[i].text[0] && uses[i].kind <= USRPCI_USE_UNKNOWN);
	usrpci_host_uses_free(uses);
	return 0;
}
