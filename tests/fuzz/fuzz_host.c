// SPDX-License-Identifier: BSD-2-Clause
/*
 * The files that the preparation library reads, each a part of the input: its own notes in /run,
 * the kernel's tables in /proc. Whatever they say, it does not crash, what it tells of them is
 * possible, and what it would write stays where it may write.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <usrpci/host.h>

#include "fuzz.h"

#define ADDR   "0000:00:03.0"
#define DEVICE "sys/bus/pci/devices/" ADDR
#define POOL   "sys/devices/system/node/node0/hugepages/hugepages-2048kB/"

static int root = -1;
static struct usrpci_ctx *ctx;
static struct usrpci_host *host;

static void make_directories(const char *path)
{
	char part[128];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdirat(root, part, 0755);
	}
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	int fd;

	make_directories(path);
	fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	HOLDS(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static void write_text(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

/* Takes the next part of the input, which ends with a byte that text does not have. */
static void write_part(const char *path, const uint8_t **data, size_t *size)
{
	const uint8_t *end = memchr(*data, 0xfe, *size);
	size_t length = end ? (size_t)(end - *data) : *size;

	write_file(path, *data, length);
	*data += length + (end != NULL);
	*size -= length + (end != NULL);
}

/* A change that would be made: a write into sysfs, or a module whose name is no path. */
static void see_change(void *data, const struct usrpci_host_change *change)
{
	HOLDS(change->command && change->value && change->why);
	HOLDS(!change->path || !strstr(change->path, "/../"));
	HOLDS(!change->path || !strncmp(change->path, "/sys/", 5) ||
	      !strncmp(change->path, "/proc/sys/vm/", 13) ||
	      !strncmp(change->path, "/dev/vfio/", 10));
	HOLDS(change->path || !strchr(change->value, '/'));
}

static void make_host(void)
{
	const struct usrpci_host_options dry = {.dry_run = true, .change = see_change};
	const char *tmp = getenv("TMPDIR");
	char path[256];

	snprintf(path, sizeof(path), "%s/usrpci-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	HOLDS(mkdtemp(path));
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	HOLDS(root >= 0);
	write_text(DEVICE "/uevent", "PCI_CLASS=20000\nPCI_ID=8086:100E\nPCI_SUBSYS_ID=0:0\n");
	write_text(DEVICE "/driver_override", "(null)\n");
	write_text(POOL "free_hugepages", "4\n");
	write_text(POOL "surplus_hugepages", "0\n");
	make_directories("sys/class/net/");
	make_directories("sys/class/block/");
	symlinkat("../../devices/pci0000:00/" ADDR "/net/eth0", root, "sys/class/net/eth0");
	symlinkat("../../devices/pci0000:00/" ADDR "/block/sda", root, "sys/class/block/sda");
	HOLDS(usrpci_ctx_open(&(struct usrpci_ctx_options){.root = path}, &ctx) == 0);
	HOLDS(usrpci_host_open(ctx, &dry, &host) == 0);
}

static void look_at_notes(const struct usrpci_addr *addr)
{
	struct usrpci_journal_entry *entries;
	struct usrpci_hugepages *pools;
	int count = usrpci_host_journal(host, &entries);

	HOLDS(count >= 0 && count <= 1);
	if (count)
		HOLDS(!strchr(entries->driver, '/') && !strchr(entries->driver_override, '/'));
	free(entries);
	usrpci_host_restore(host, addr);
	if (usrpci_host_hugepages(host, &pools) == 1) {
		HOLDS(pools->ours <= pools->total);
		free(pools);
	}
	usrpci_host_hugepages_release(host, 0, -1);
	usrpci_host_hugepages_reserve(host, 7, 0, -1);
}

static void look_at_uses(const struct usrpci_addr *addr)
{
	struct usrpci_use *uses = NULL;
	int count = usrpci_host_uses(host, addr, &uses);

	for (int i = 0; i < count; i++)
		HOLDS(uses[i].object[0] && uses[i].text[0] && uses[i].kind <= USRPCI_USE_UNKNOWN);
	usrpci_host_uses_free(uses);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct usrpci_addr addr = {.dev = 3};

	if (root < 0)
		make_host();
	write_part("run/usrpci/journal/" ADDR, &data, &size);
	write_part("run/usrpci/hugepages", &data, &size);
	write_part(POOL "nr_hugepages", &data, &size);
	write_part("proc/net/route", &data, &size);
	write_part("proc/net/if_inet6", &data, &size);
	write_part("proc/self/mountinfo", &data, &size);
	write_part("proc/swaps", &data, &size);
	write_part("proc/meminfo", &data, &size);
	look_at_notes(&addr);
	look_at_uses(&addr);
	return 0;
}
