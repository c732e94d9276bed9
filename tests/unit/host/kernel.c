// SPDX-License-Identifier: BSD-2-Clause
/*
 * Simulates, on a fixture, what the kernel does when the host library changes the host; see
 * kernel.h. Follows drivers/base/bus.c, drivers/pci/pci-driver.c and mm/hugetlb.c as far as the
 * library can see.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "kernel.h"

/* The kernel of the host that is open: one a test. */
static struct kernel *running;

struct usrpci_addr address(const char *text)
{
	struct usrpci_addr addr;

	assert_int_equal(usrpci_addr_parse(text, &addr), 0);
	return addr;
}

static bool is_there(struct kernel *kernel, const char *path)
{
	return file_exists(kernel->ctx, "%s", path);
}

static void read_driver(struct kernel *kernel, const char *addr, char driver[NAME_SIZE])
{
	if (file_link_name(kernel->ctx, driver, NAME_SIZE, PCI_DEVICES "/%s/driver", addr))
		driver[0] = '\0';
}

static void read_override(struct kernel *kernel, const char *addr, char driver[NAME_SIZE])
{
	if (file_read(kernel->ctx, driver, NAME_SIZE, PCI_DEVICES "/%s/driver_override", addr) <
		    0 ||
	    !strcmp(driver, "(null)"))
		driver[0] = '\0';
}

/* The link that vanishes as soon as the library waits; "": none. */
static char let_go_link[PATH_SIZE];

/* This one in the place of the C library's is called by the library that is tested. */
int nanosleep(const struct timespec *duration, struct timespec *left)
{
	if (let_go_link[0])
		unlink(let_go_link);
	let_go_link[0] = '\0';
	return (int)syscall(SYS_nanosleep, duration, left);
}

static void join_group(struct kernel *kernel, const char *addr)
{
	char path[PATH_SIZE], target[PATH_SIZE];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group", addr);
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%s", kernel->late_group);
	fixture_link(kernel->fixture, path, target);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices/%s", kernel->late_group,
		 addr);
	snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", addr);
	fixture_link(kernel->fixture, path, target);
}

static int attach(struct kernel *kernel, const char *addr, const char *driver)
{
	char path[PATH_SIZE], target[PATH_SIZE];

	if (kernel->thief)
		driver = kernel->thief;
	snprintf(path, sizeof(path), PCI_DRIVERS "/%s", driver);
	if (!is_there(kernel, path))
		return 0;
	if (kernel->late_group)
		join_group(kernel, addr);
	if (kernel->unwilling && !strcmp(kernel->unwilling, driver))
		return -EINVAL;
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", addr);
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	fixture_link(kernel->fixture, path, target);
	if (kernel->fickle && !strcmp(kernel->fickle, driver))
		assert_int_equal(path_format(kernel->ctx, let_go_link, "%s", path), 0);
	return 0;
}

static const char *natural_driver(struct kernel *kernel, const char *addr)
{
	const struct kernel_match *match = kernel->matches;

	while (match && match->addr && strcmp(match->addr, addr) != 0)
		match++;
	return match && match->addr ? match->driver : "";
}

static int write_probe(struct kernel *kernel, const char *addr)
{
	char driver[NAME_SIZE];

	read_driver(kernel, addr, driver);
	if (driver[0])
		return 0;
	read_override(kernel, addr, driver);
	attach(kernel, addr, driver[0] ? driver : natural_driver(kernel, addr));
	return 0;
}

/* The first is enough. */
static void remove_functions(struct kernel *kernel, const char *addr)
{
	char path[PATH_SIZE], name[NAME_SIZE];

	if (file_link_name(kernel->ctx, name, sizeof(name), PCI_DEVICES "/%s/virtfn0", addr))
		return;
	snprintf(path, sizeof(path), PCI_DEVICES "/%s", name);
	fixture_remove(kernel->fixture, path);
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/virtfn0", addr);
	fixture_remove(kernel->fixture, path);
}

static int write_unbind(struct kernel *kernel, const char *addr)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", addr);
	if (!is_there(kernel, path))
		return -ENOENT;
	fixture_remove(kernel->fixture, path);
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/sriov_numvfs", addr);
	if (is_there(kernel, path))
		fixture_text(kernel->fixture, path, "0\n");
	remove_functions(kernel, addr);
	return 0;
}

static int write_override(struct kernel *kernel, const char *path, const char *value)
{
	char text[NAME_SIZE + 1], driver[PATH_SIZE];

	snprintf(text, sizeof(text), "%s\n", value[0] ? value : "(null)");
	fixture_text(kernel->fixture, path, text);
	if (kernel->gives_up) {
		snprintf(driver, sizeof(driver), "%.*s/driver", (int)(strrchr(path, '/') - path),
			 path);
		fixture_remove(kernel->fixture, driver);
		kernel->gives_up = false;
	}
	return 0;
}

static int write_driver_file(struct kernel *kernel, const char *path, const char *value)
{
	char driver[NAME_SIZE], file[NAME_SIZE];

	assert_int_equal(sscanf(path, PCI_DRIVERS "/%31[^/]/%31s", driver, file), 2);
	assert_string_equal(file, "bind");
	return attach(kernel, value, driver);
}

static void pool_file(char path[PATH_SIZE], int node, const char *name)
{
	snprintf(path, PATH_SIZE, "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/%s",
		 node, name);
}

static unsigned int read_number(struct kernel *kernel, const char *path)
{
	uint64_t number;

	assert_int_equal(file_read_u64(kernel->ctx, &number, "%s", path), 0);
	return (unsigned int)number;
}

void kernel_pool(struct kernel *kernel, int node, unsigned int total, unsigned int unused)
{
	const char *const names[] = {"nr_hugepages", "free_hugepages", "surplus_hugepages"};
	unsigned int values[] = {total, unused, 0};
	char path[PATH_SIZE], text[16];
	int i;

	for (i = 0; i < 3; i++) {
		pool_file(path, node, names[i]);
		snprintf(text, sizeof(text), "%u\n", values[i]);
		fixture_text(kernel->fixture, path, text);
	}
}

unsigned int kernel_pool_total(struct kernel *kernel, int node)
{
	char path[PATH_SIZE];

	pool_file(path, node, "nr_hugepages");
	return read_number(kernel, path);
}

/* Grows as far as there is memory, shrinks as far as pages are free. */
static int write_pool(struct kernel *kernel, int node, unsigned int wanted)
{
	unsigned int total = kernel_pool_total(kernel, node), unused;
	char path[PATH_SIZE];

	pool_file(path, node, "free_hugepages");
	unused = read_number(kernel, path);
	if (wanted > total + kernel->memory)
		wanted = total + kernel->memory;
	if (wanted < total - unused)
		wanted = total - unused;
	kernel->memory -= wanted - total;
	kernel_pool(kernel, node, wanted, unused + wanted - total);
	return 0;
}

static int write_file(struct kernel *kernel, const char *path, const char *value)
{
	const char *name = strrchr(path, '/') + 1;
	int node;

	if (!is_there(kernel, path) && strcmp(name, "unbind") != 0 &&
	    strncmp(path, PCI_DRIVERS, strlen(PCI_DRIVERS)) != 0)
		return -ENOENT;
	if (sscanf(path, "/sys/devices/system/node/node%d", &node) == 1)
		return write_pool(kernel, node, (unsigned int)strtoul(value, NULL, 10));
	if (!strcmp(name, "driver_override"))
		return write_override(kernel, path, value);
	if (!strcmp(name, "sriov_numvfs")) {
		fixture_text(kernel->fixture, path, value);
		return 0;
	}
	if (!strcmp(name, "drivers_probe"))
		return write_probe(kernel, value);
	if (!strcmp(name, "unbind"))
		return write_unbind(kernel, value);
	if (!strcmp(name, "compact_memory")) {
		kernel->memory += kernel->scattered;
		kernel->scattered = 0;
		return 0;
	}
	if (!strncmp(name, "sriov_", strlen("sriov_"))) {
		fixture_text(kernel->fixture, path, value);
		return 0;
	}
	return write_driver_file(kernel, path, value);
}

static int load_module(struct kernel *kernel, const char *module)
{
	if (!kernel->module || strcmp(kernel->module, module) != 0)
		return -EKEYREJECTED;
	kernel_driver(kernel, kernel->module_has ? kernel->module_has : module);
	return 0;
}

/* The process that waits is this one: what it holds stays open. */
static int leave_waiting(struct kernel *kernel, struct patience *patience)
{
	kernel->held = dup(patience->held);
	patience->pid = getpid();
	return -ETIMEDOUT;
}

static bool is_deaf(const struct kernel *kernel, const struct change *change)
{
	return change->patience && kernel->deaf && strstr(change->path, kernel->deaf);
}

static int make_change(struct usrpci_host *host, const struct change *change)
{
	if (is_deaf(running, change))
		return leave_waiting(running, change->patience);
	if (change->kind == CHANGE_WRITE)
		return write_file(running, change->path, change->value);
	if (change->kind == CHANGE_MODULE)
		return load_module(running, change->value);
	if (change->kind == CHANGE_RENAME || change->kind == CHANGE_UP)
		return change->kind == CHANGE_UP ? running->up_error : 0;
	return apply_perform(host, change);
}

static int perform(struct usrpci_host *host, const struct change *change)
{
	struct kernel *kernel = running;
	int error;

	if (++kernel->changes == kernel->fail_at)
		return kernel->fail_error;
	error = make_change(host, change);
	if (kernel->changes == kernel->killed_at)
		raise(SIGKILL);
	return error;
}

static int read_net(struct usrpci_host *host, struct net_item **items)
{
	size_t size = (size_t)running->item_count * sizeof(**items);

	running->net_reads++;
	if (running->item_count < 0)
		return running->item_count;
	*items = malloc(size + 1);
	assert_non_null(*items);
	if (size)
		memcpy(*items, running->items, size);
	return running->item_count;
}

static void show(void *data, const struct usrpci_host_change *change)
{
	struct kernel *kernel = data;
	size_t at = strlen(kernel->shown);

	assert_true(change->why && change->why[0]);
	snprintf(kernel->shown + at, sizeof(kernel->shown) - at, "%s\n", change->command);
}

struct usrpci_host *kernel_host(struct kernel *kernel, bool dry_run)
{
	static const struct host_kernel simulated = {perform, read_net};
	struct usrpci_host_options options = {
		.dry_run = dry_run,
		.change = show,
		.change_data = kernel,
	};

	usrpci_host_close(kernel->host);
	assert_int_equal(usrpci_host_open(kernel->ctx, &options, &kernel->host), 0);
	kernel->host->kernel = &simulated;
	kernel->host->settle_ms = 20;
	kernel->host->kernel_ms = 50;
	kernel->host->lock_ms = 50;
	kernel->shown[0] = '\0';
	kernel->changes = 0;
	return kernel->host;
}

void kernel_driver(struct kernel *kernel, const char *driver)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), PCI_DRIVERS "/%s", driver);
	fixture_mkdir(kernel->fixture, path);
	snprintf(path, sizeof(path), "/sys/module/%s", driver);
	fixture_mkdir(kernel->fixture, path);
}

/* The format is libkmod's: one node, whose prefix is the whole name, with one value. */
void kernel_module(struct kernel *kernel, const char *module)
{
	static const unsigned char head[] = {0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1, 0xc0, 0, 0, 12};
	static const unsigned char one[] = {0, 0, 0, 1, 0, 0, 0, 0};
	char index[256];
	size_t at = sizeof(head), length = strlen(module) + 1;

	memcpy(index, head, at);
	memcpy(index + at, module, length);
	at += length;
	memcpy(index + at, one, sizeof(one));
	at += sizeof(one);
	at += (size_t)snprintf(index + at, sizeof(index) - at, "kernel/%s.ko:", module) + 1;
	fixture_bytes(kernel->fixture, "/lib/modules/6.1.0-test/modules.dep.bin", index, at);
	kernel->module = module;
}

int kernel_setup(void **state)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	void *fixture = NULL;

	if (!kernel || fixture_setup(&fixture)) {
		free(kernel);
		return -1;
	}
	kernel->fixture = fixture;
	kernel->ctx = fixture_ctx(fixture);
	fixture_text(fixture, "/sys/bus/pci/drivers_probe", "");
	fixture_text(fixture, "/proc/self/mountinfo", "");
	fixture_text(fixture, "/proc/sys/kernel/osrelease", "6.1.0-test\n");
	fixture_text(fixture, "/lib/modules/6.1.0-test/modules.dep", "");
	kernel_driver(kernel, "uio_pci_generic");
	kernel_host(kernel, false);
	running = kernel;
	*state = kernel;
	return 0;
}

int kernel_teardown(void **state)
{
	struct kernel *kernel = *state;
	void *fixture = kernel->fixture;

	usrpci_host_close(kernel->host);
	usrpci_ctx_close(kernel->ctx);
	free(kernel);
	running = NULL;
	return fixture_teardown(&fixture);
}

void assert_driver(struct kernel *kernel, const char *addr, const char *driver)
{
	char now[NAME_SIZE];

	read_driver(kernel, addr, now);
	assert_string_equal(now, driver);
}

void assert_override(struct kernel *kernel, const char *addr, const char *driver)
{
	char now[NAME_SIZE];

	read_override(kernel, addr, now);
	assert_string_equal(now, driver);
}
