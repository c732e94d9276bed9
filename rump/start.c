// SPDX-License-Identifier: BSD-2-Clause
/*
 * Starts a rump kernel from its libraries, which are not known when this is built.
 *
 * A library's constructor registers its component; rump_init() starts those that are registered.
 * This library is loaded before all of them, so its hypercalls and memory are found first.
 */

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <usrpci/rump.h>

#include "layout.h"

#define COMPONENTS_MAX 5

/*
 * Each needs those before it. NetBSD's Ethernet calls IPv4 for each frame that has it, whether or
 * not it is there; IPv6 would take the card's MAC address for one of its own.
 */
static const char *const kernel[] = {"user", "", "vfs", "dev", "dev_pci"};
static const char *const network[] = {"net", "net_net", "net_netinet", "dev_bpf"};

static const struct driver {
	const char *name;
	const char *disk; /* what its disks are called; NULL: it is a card's */
	const char *components[COMPONENTS_MAX];
} drivers[] = {
	{"ld", "ld", {"dev_disk", "dev_pci_virtio", "dev_virtio_ld"}},
	{"sd", "sd", {"dev_disk", "dev_scsipi", "dev_pci_virtio", "dev_virtio_vioscsi"}},
	{"umass", "sd", {"dev_disk", "dev_scsipi", "dev_usb", "dev_umass", "dev_pci_usbhc"}},
	{"vioif", NULL, {"dev_pci_virtio", "dev_virtio_if_vioif"}},
	{"wm", NULL, {"dev_miiphy", "dev_pci_if_wm"}},
};

static int load(const char *component)
{
	const char *prefix = getenv("RUMP_PREFIX");
	char path[PATH_MAX];

	if (prefix)
		snprintf(path, sizeof(path), "%s/lib/librump%s.so", prefix, component);
	else
		snprintf(path, sizeof(path), "librump%s.so.0", component);
	if (dlopen(path, RTLD_LAZY | RTLD_GLOBAL))
		return 0;
	rump_message("%s%s", dlerror(),
		     prefix ? ""
			    : "; RUMP_PREFIX=DIR names where your rump kernel is installed "
			      "(DIR/lib/librump.so); sudo passes it on as an argument only");
	return -ENOENT;
}

static int load_all(const char *const *components, size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && components[i] && !error; i++)
		error = load(components[i]);
	return error;
}

/* A driver that is not in the table: all network cards have components of the same form. */
static int load_card(const char *name)
{
	const char *components[2] = {"dev_miiphy"};
	char component[64];

	if (strlen(name) > 32 || strspn(name, "abcdefghijklmnopqrstuvwxyz") != strlen(name)) {
		rump_message("%s is no name of a driver of NetBSD's", name);
		return -ENOENT;
	}
	snprintf(component, sizeof(component), "dev_pci_if_%s", name);
	components[1] = component;
	return load_all(components, 2);
}

static const struct driver *find_driver(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
		if (!strcmp(drivers[i].name, name))
			return &drivers[i];
	return NULL;
}

const char *usrpci_rump_disk(const char *driver)
{
	const struct driver *found = find_driver(driver);

	return found ? found->disk : NULL;
}

static int load_driver(const char *name)
{
	const struct driver *driver = find_driver(name);
	int error = 0;

	if (!driver || !driver->disk)
		error = load_all(network, sizeof(network) / sizeof(*network));
	if (error)
		return error;
	return driver ? load_all(driver->components, COMPONENTS_MAX) : load_card(name);
}

int usrpci_rump_start(const char *driver, const char *device)
{
	int (*init)(void);
	int error;

	if (dlsym(RTLD_DEFAULT, "rump_init")) {
		rump_message("this process has a rump kernel already");
		return -EALREADY;
	}
	if (device && setenv("USRPCI_RUMP", device, 1))
		return -errno;
	error = load_all(kernel, sizeof(kernel) / sizeof(*kernel)) ?: load_driver(driver);
	if (error || !device)
		return error;
	init = dlsym(RTLD_DEFAULT, "rump_init");
	if (!init || !rump_bus())
		return init ? -ENODEV : -ENOENT;
	error = init();
	if (!error)
		return 0;
	rump_message("the rump kernel does not start: NetBSD's error %d", error);
	return -ENXIO;
}
