// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guard's part for users in the kernel that hold no file: the hypervisor, mediated devices,
 * memory that is the system's or in a region of CXL, the virtual machine's host, clients of a DMA
 * engine. And the notes: what is worth knowing of a device that nobody is kept from taking.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "file.h"
#include "guard/guard.h"

#define CXL_DEVICES "/sys/bus/cxl/devices"

/* No region is spread over more: CXL_DECODER_MAX_INTERLEAVE of the kernel's cxl.h. */
#define CXL_TARGETS 16

/*
 * The files that a virtual machine shares with its host. A mount of them may hide below an overlay,
 * so that they can be mounted is enough.
 */
static int guard_share(struct guard *guard, const struct leaf *leaf)
{
	const char *name = tree_function(&guard->tree, leaf);
	char tag[64];

	if (file_read(guard->host->ctx, tag, sizeof(tag), "%s/mount_tag", leaf->path) < 0)
		snprintf(tag, sizeof(tag), "%s", leaf->driver);
	return use_add(guard, leaf, USRPCI_USE_SHARE, name,
		       "%s carries the file system \"%s\" of the virtual machine's host", name,
		       tag);
}

static int guard_stub(struct guard *guard, const struct leaf *leaf)
{
	return use_add(guard, leaf, USRPCI_USE_GUEST, leaf->name,
		       "%s is kept for a virtual machine by %s", leaf->name, leaf->driver)
		       ?: use_cure(guard, "xl pci-assignable-remove %s", leaf->name);
}

static int guard_mediated(struct guard *guard, const struct leaf *leaf)
{
	return use_add(guard, leaf, USRPCI_USE_GUEST, leaf->name,
		       "%s is a mediated device of it, for a virtual machine", leaf->name)
		       ?: use_cure(guard, "echo 1 > /sys/bus/mdev/devices/%s/remove", leaf->name);
}

static int guard_memory(struct guard *guard, const struct leaf *leaf)
{
	int error = use_add(guard, leaf, USRPCI_USE_MEMORY, leaf->name,
			    "memory of %s is used as system memory (%s)", leaf->name, leaf->driver);

	if (!error && leaf_is(leaf, "dax"))
		return use_cure(guard, "daxctl reconfigure-device --mode=devdax --force %s",
				leaf->name);
	return error;
}

/*
 * Whether a region of CXL memory has a part on a memory device: its targets are decoders of
 * endpoints, "decoder5.0" of endpoint5, and an endpoint is one device's (the kernel's
 * Documentation/ABI/testing/sysfs-bus-cxl).
 */
static bool is_in_region(struct guard *guard, const char *region, const char *device)
{
	char decoder[NAME_SIZE], name[NAME_SIZE];
	unsigned int endpoint;

	for (int i = 0; i < CXL_TARGETS; i++) {
		if (file_read(guard->host->ctx, decoder, sizeof(decoder),
			      CXL_DEVICES "/%s/target%d", region, i) <= 0)
			return false;
		if (sscanf(decoder, "decoder%u.", &endpoint) == 1 &&
		    !file_link_name(guard->host->ctx, name, sizeof(name),
				    CXL_DEVICES "/endpoint%u/uport", endpoint) &&
		    !strcmp(name, device))
			return true;
	}
	return false;
}

/* Regions hang on the root of the CXL hierarchy, not on the functions whose memory they are. */
static int guard_cxl(struct guard *guard, const struct leaf *leaf)
{
	char **names;
	int count = dir_list(guard->host->ctx, &names, CXL_DEVICES), error = 0;

	for (int i = 0; !error && i < count; i++) {
		if (strncmp(names[i], "region", strlen("region")) != 0 ||
		    !is_in_region(guard, names[i], leaf->name))
			continue;
		error = use_add(guard, leaf, USRPCI_USE_MEMORY, leaf->name, "memory of %s is in %s",
				leaf->name, names[i])
				?: use_cure(
					   guard,
					   "daxctl offline-memory -r all; cxl destroy-region -f %s",
					   names[i]);
	}
	free(names);
	return error;
}

static int guard_channel(struct guard *guard, const struct leaf *leaf)
{
	uint64_t users = 0;

	if (file_read_u64(guard->host->ctx, &users, "%s/in_use", leaf->path) || !users)
		return 0;
	return use_add(guard, leaf, USRPCI_USE_HOLDER, leaf->name,
		       "the kernel copies with the DMA channel %s", leaf->name)
		       ?: use_cure(guard,
				   "remove the module that uses it: async_tx, ntb_transport, ...");
}

/* AMD's IOMMU is a function itself, and needs no driver; so is that of virtio. */
static int guard_iommu(struct guard *guard, const struct leaf *leaf)
{
	const char *name = tree_function(&guard->tree, leaf);

	return use_add(guard, leaf, USRPCI_USE_HOLDER, leaf->name,
		       "%s is the IOMMU %s, which translates for other devices", name, leaf->name)
		       ?: use_cure(guard, "choose another device than %s", name);
}

/*
 * Whether an NVMe controller is reached through the port of this name: its address is
 * "traddr=nn-0x...:pn-0x...,host_traddr=nn-0x...:pn-0x...", of which the host's is our end.
 */
static bool is_behind_port(struct usrpci_host *host, const char *controller, uint64_t port)
{
	const char *at, *key = "host_traddr=";
	char text[256];
	uint64_t name;

	if (file_read(host->ctx, text, sizeof(text), "/sys/class/nvme/%s/address", controller) < 0)
		return false;
	at = strstr(text, key);
	at = at ? strstr(at, "pn-") : NULL;
	return at && sscanf(at, "pn-%" SCNx64, &name) == 1 && name == port;
}

/* NVMe over Fibre Channel: the disks hang on no function, unlike those of SCSI. */
static int guard_fibre_channel(struct guard *guard, const struct leaf *leaf)
{
	struct usrpci_host *host = guard->host;
	AUTO_FREE char **names = NULL;
	uint64_t port;
	int count = 0, error = 0;

	if (!file_read_u64(host->ctx, &port, "%s/port_name", leaf->path))
		count = dir_list(host->ctx, &names, "/sys/class/nvme");
	for (int i = 0; !error && i < count; i++)
		if (is_behind_port(host, names[i], port))
			error = use_add(guard, leaf, USRPCI_USE_HOLDER, names[i],
					"%s is reached through %s", names[i], leaf->name)
					?: use_cure(guard, "nvme disconnect -d %s", names[i]);
	return error;
}

static const struct {
	const char *class_name, *driver; /* NULL: any */
	int (*part)(struct guard *guard, const struct leaf *leaf);
} users[] = {
	{"pci", "pciback", guard_stub},
	{"pci", "xen-pciback", guard_stub},
	{"mdev", NULL, guard_mediated},
	{"dax", "kmem", guard_memory},
	{"virtio", "virtio_mem", guard_memory},
	{"virtio", "9pnet_virtio", guard_share},
	{"virtio", "virtiofs", guard_share},
	{"dma", NULL, guard_channel},
	{"cxl", NULL, guard_cxl},
	{"iommu", NULL, guard_iommu},
	{"fc_host", NULL, guard_fibre_channel},
};

int guard_kernel(struct guard *guard)
{
	int error = 0;

	for (size_t i = 0; i < guard->tree.count; i++) {
		const struct leaf *leaf = &guard->tree.leaves[i];

		for (size_t user = 0; !error && user < ARRAY_SIZE(users); user++)
			if (leaf_is(leaf, users[user].class_name) &&
			    (!users[user].driver || !strcmp(leaf->driver, users[user].driver)))
				error = users[user].part(guard, leaf);
	}
	return error;
}

/* Keyboards are what repeats its keys: EV_REP of linux/input-event-codes.h. */
static int note_keyboard(struct guard *guard, const struct leaf *leaf)
{
	char events[NAME_SIZE], name[64];
	unsigned int bits;

	if (file_read(guard->host->ctx, events, sizeof(events), "%s/capabilities/ev", leaf->path) <
		    0 ||
	    sscanf(events, "%x", &bits) != 1 || !(bits >> 20 & 1))
		return 0;
	if (file_read(guard->host->ctx, name, sizeof(name), "%s/name", leaf->path) < 0)
		snprintf(name, sizeof(name), "%s", leaf->name);
	return use_add(guard, leaf, USRPCI_USE_OPEN, leaf->name,
		       "the keyboard \"%s\" is connected to this controller", name);
}

static int note_carrier(struct guard *guard, const struct leaf *leaf)
{
	uint64_t carrier = 0;

	if (file_read_u64(guard->host->ctx, &carrier, "%s/carrier", leaf->path) || !carrier)
		return 0;
	return use_add(guard, leaf, USRPCI_USE_ADDRESS, leaf->name, "%s is up and has a carrier",
		       leaf->name);
}

/* A listener goes on with the other interfaces; both are told, for tcpdump sets the mode, too. */
static int note_listeners(struct guard *guard, const struct leaf *leaf)
{
	char flags[NAME_SIZE];
	unsigned int bits = 0;
	int error = 0;

	if (file_read(guard->host->ctx, flags, sizeof(flags), "%s/flags", leaf->path) > 0)
		sscanf(flags, "%x", &bits);
	if (bits & IFF_PROMISC)
		error = use_add(guard, leaf, USRPCI_USE_FRAMES, leaf->name,
				"%s is in promiscuous mode", leaf->name);
	if (!error && guard->is_listened_to)
		error = use_add(guard, leaf, USRPCI_USE_FRAMES, leaf->name,
				"a packet socket takes frames of all interfaces, %s too",
				leaf->name);
	return error;
}

/*
 * Finds a group of an interface that somebody joined in /proc/net/igmp: "2 eth0 : 1 V3" and then,
 * indented, "FB0000E0 1 0:00000000 0" for each. The kernel itself joins that of all hosts.
 */
static bool find_group(const char *table, const char *interface, struct in_addr *group)
{
	const char *line = table;
	char name[IF_NAMESIZE];
	bool is_its = false;

	while (line) {
		if (line[0] != '\t')
			is_its = sscanf(line, "%*d %15s", name) == 1 && !strcmp(name, interface);
		else if (is_its && sscanf(line, " %8x", &group->s_addr) == 1 &&
			 group->s_addr != htonl(INADDR_ALLHOSTS_GROUP))
			return true;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return false;
}

/* It is no reason to refuse: a member without an address on the interface gets frames, no more. */
static int note_group(struct guard *guard, const struct leaf *leaf)
{
	char table[16384], text[INET_ADDRSTRLEN];
	struct in_addr group;

	if (file_read(guard->host->ctx, table, sizeof(table), "/proc/net/igmp") <= 0 ||
	    !find_group(table, leaf->name, &group))
		return 0;
	return use_add(guard, leaf, USRPCI_USE_FRAMES, leaf->name,
		       "a program joined the multicast group %s on %s",
		       inet_ntop(AF_INET, &group, text, sizeof(text)), leaf->name);
}

int guard_notes(struct guard *guard)
{
	int error = 0;

	for (size_t i = 0; !error && i < guard->tree.count; i++) {
		const struct leaf *leaf = &guard->tree.leaves[i];

		if (leaf_is(leaf, "input"))
			error = note_keyboard(guard, leaf);
		else if (leaf_is(leaf, "net") && leaf->name[0])
			error = note_carrier(guard, leaf)
					?: note_listeners(guard, leaf) ?: note_group(guard, leaf);
	}
	return error;
}
