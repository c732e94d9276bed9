/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_KERNEL_H
#define USRPCI_TESTS_KERNEL_H

/*
 * What the kernel does when the host library writes to sysfs, on a host made of files: drivers bind
 * and unbind, pools of huge pages grow and shrink, modules load. It can be told to fail.
 */

#include "fixture.h"
#include "host.h"

/* Which driver takes which device when it is probed without an override. */
struct kernel_match {
	const char *addr, *driver;
};

struct kernel {
	struct fixture *fixture;
	struct usrpci_ctx *ctx;
	struct usrpci_host *host;
	char shown[8192]; /* the changes, a line of shell each, as the program was shown them */
	int changes;      /* how many were made */
	int fail_at;      /* the change that fails, from 1; 0: none */
	int fail_error;   /* how */
	int up_error;     /* of an interface that is to come up */
	int killed_at;    /* the change after which the program gets SIGKILL, from 1; 0: none */
	const struct kernel_match *matches; /* ends with addr NULL */
	const char *unwilling;              /* a driver that takes nothing */
	const char *deaf;                   /* a file's name: writes to it are not answered */
	int held;                           /* ... and keep this descriptor; 0: none */
	const char *late_group; /* the IOMMU group that a device gets when it is probed */
	const char *thief;      /* a driver that takes what others are asked to take */
	const char *fickle;     /* a driver that lets go of a device a moment after it took it */
	bool gives_up;          /* the driver was probing, and lets another one have the device */
	const char *module;     /* the only one that can be loaded */
	const char *module_has; /* the driver in it; NULL: it is called as the module is */
	unsigned int memory;    /* huge pages that there are left to have */
	unsigned int scattered; /* ... after compaction */
	struct net_item *items; /* addresses and routes */
	int item_count;
	int net_reads; /* how often they were asked for */
};

/* A fixture with a kernel: *state is the struct kernel. */
int kernel_setup(void **state);
int kernel_teardown(void **state);

/* Opens kernel->host anew with these options: dry run or not. */
struct usrpci_host *kernel_host(struct kernel *kernel, bool dry_run);

/* Adds a driver without a device. */
void kernel_driver(struct kernel *kernel, const char *driver);

/* Makes an index of modules with one in it. */
void kernel_module(struct kernel *kernel, const char *module);

/* Who holds a device and what its override is: "e1000", "" and so on. */
void assert_driver(struct kernel *kernel, const char *addr, const char *driver);
void assert_override(struct kernel *kernel, const char *addr, const char *driver);

/* The pool of a node: nr_hugepages and free_hugepages of 2 MiB. */
void kernel_pool(struct kernel *kernel, int node, unsigned int total, unsigned int unused);
unsigned int kernel_pool_total(struct kernel *kernel, int node);

struct usrpci_addr address(const char *text);

#endif
