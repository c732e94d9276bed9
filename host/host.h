/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The opened host, and the few things that its files share.
 */

#include <sys/resource.h>

#include <usrpci/host.h>

#include "apply.h"
#include "guard/netlink.h"
#include "wait/errand.h"

/* Longest kernel driver, module, interface and block device names that are handled, with zero. */
#define NAME_SIZE 32

/*
 * Where the kernel is reached for more than reading files. Tests put a simulated one in its place.
 */
struct host_kernel {
	/* Makes one change. Returns 0 or a negative errno; does not log. */
	int (*perform)(struct usrpci_host *host, const struct change *change);
	/* Lists the addresses and routes of all interfaces: the count, or a negative errno. */
	int (*read_net)(struct usrpci_host *host, struct net_item **items);
};

struct confirm;
struct kmod_ctx;
struct library_kmod;
struct library_mount;
struct look;
struct hold;
struct udev;
struct names;
struct udev_hwdb;
struct udev_list_entry;

struct usrpci_host {
	struct usrpci_ctx *ctx;
	struct usrpci_host_options options;
	const struct host_kernel *kernel;
	unsigned int lock_ms;     /* deadline for another tool to finish */
	bool waits_for_lock;      /* longer than that, and without an end */
	bool undoes;              /* in a dry run, the changes undo what was shown */
	bool lends;               /* devices that are lent are its own to move */
	unsigned int settle_ms;   /* deadline for the kernel to do as told */
	unsigned int kernel_ms;   /* deadline for a driver to let go of a device, or to take it */
	char promised[NAME_SIZE]; /* in a dry run, the driver that was had last */
	const char *moved; /* in a dry run, the interface whose place would be another's, or NULL */
	struct look *look; /* what looks at several devices share, or NULL */
	struct hold *hold; /* keeps what the guard finds free (guard/hold.h), or NULL */
	struct confirm *confirm;     /* what waits for confirmation (confirm/), or NULL */
	struct errand_runner runner; /* ends with state_unlock() */
	struct rlimit files_before; /* of open files, where it was raised; rlim_max 0: it was not */
	int lock_fd;
	unsigned int lock_depth;
	bool left; /* a file that says what goes on could not be removed, see state_left() */
	struct library_kmod *lib; /* functions of libkmod, loaded when first needed */
	struct kmod_ctx *kmod;
	struct library_mount *lib_mount; /* NULL: not loaded yet, or not there */
	struct library_udev *lib_udev;   /* likewise */
	struct udev *udev;
	struct udev_hwdb *hwdb;
	bool hwdb_tried;
	struct maps_reader *maps; /* or NULL */
	struct names *names;      /* that were looked up before, see names.c; NULL: none */
};

#define PCI_DRIVERS "/sys/bus/pci/drivers"

/* Whether the host is the running machine rather than a directory that stands for one. */
bool host_is_live(const struct usrpci_host *host);

/* Counts the huge pages of a size that usrpci has added for any program. */
int hugepages_ours(struct usrpci_host *host, size_t page_size, size_t *ours);

/* As usrpci_host_hugepages_release(), but no more than so many: what one reservation added. */
int hugepages_give_back(struct usrpci_host *host, size_t most, size_t page_size, int node);

/* Milliseconds of the monotonic clock. */
uint64_t clock_ms(void);

void sleep_ms(unsigned int ms);

/*
 * Calls visit() with the number of each process, until it returns a value other than 0, which is
 * returned then. Otherwise returns 0, or the negative errno of reading /proc, which is not logged.
 */
int host_each_process(struct usrpci_host *host, int (*visit)(void *data, const char *pid),
		      void *data);

/*
 * Whether a thread's files are those of its process; where the kernel does not say so, they may not
 * be. False for the thread that the process is named after.
 */
bool thread_shares_files(const char *pid, const char *thread);

/* Copies the name of a process's program, "?" where it cannot be read. */
void host_process_name(struct usrpci_host *host, const char *pid, char *name, size_t size);
