/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Kernel modules, through libkmod.
 */

#include "host.h"

enum module_state {
	MODULE_LOADED,  /* or built into the kernel */
	MODULE_PRESENT, /* can be loaded */
	MODULE_MISSING, /* the running kernel has none of this name */
	MODULE_BARRED, /* an "install" line of modprobe.d or the kernel's command line forbids it */
};

#define MODULE_BARRED_CURE \
	"see grep -rw install /etc/modprobe.d and grep -o module_blacklist=.* /proc/cmdline"

/* Looks a module up by its name or an alias. Dashes and underscores are the same. */
enum module_state module_state(struct usrpci_host *host, const char *name);

/*
 * Makes sure that a driver's module is loaded, through apply. Logs failures, with their cause.
 * Errors: -ENOENT, -EPERM, or what the kernel said.
 */
int module_load(struct usrpci_host *host, const char *name, const char *why);

/* Logs that there is no such module; returns -ENOENT. */
int module_missing(struct usrpci_host *host, const char *name);

/* What helps against a module that is missing. */
void module_cure(struct usrpci_host *host, char *cure, size_t size);

/*
 * Finds the variant of vfio-pci that was made for a device, by the aliases "vfio_pci:..." of
 * modules: whether there is one, and its name. Whether it can be loaded is another question.
 */
bool module_find_variant(struct usrpci_host *host, const struct usrpci_dev_info *info,
			 char name[NAME_SIZE]);

/* Loads a module and those it needs into the running kernel: for apply alone. */
int module_insert(struct usrpci_host *host, const char *name);
