/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Moving a device from one driver to another: the way that bind, restore and rollback share.
 */

#include "host.h"

/* Who holds a device. */
struct binding {
	char driver[NAME_SIZE];          /* "" for none */
	char driver_override[NAME_SIZE]; /* "" for none */
};

struct target {
	struct usrpci_dev_info info;
	char name[USRPCI_ADDR_STRLEN];
	struct binding before;  /* when it was first looked at */
	struct binding now;     /* the current state; in a dry run, the state that would result */
	char wanted[NAME_SIZE]; /* bind.c: the driver that it is for; "" for none */
	char parent[NAME_SIZE]; /* bind.c: the physical function of a virtual one; "": it is none */
	bool tentative;         /* bind.c: no error is logged when wanted does not take it */
	bool stuck;             /* the kernel has not answered: it must not be touched */
	bool released;          /* bind.c: a bridge of the group, taken from its driver alone */
	bool returns;           /* restore gives it back, which has no force */
	bool new_record;        /* bind.c: the journal's record of it is this call's */
	bool has_override;      /* driver_override was read too */
	bool lacks_override;    /* there is no such file */
	bool used;              /* somebody began to use it before its driver let go */
	struct hold *hold;      /* what keeps it free until then, or NULL */
};

/* Devices that move together. */
struct targets {
	struct target *list;
	size_t count;
};

/* Returns the target with this address, or NULL. */
const struct target *targets_find(const struct targets *targets, const struct usrpci_addr *addr);

/* Each of these returns 0 or a negative errno, logged. */

/*
 * Reads which driver a device has that was looked up. driver_override is not read, which takes a
 * process, and must be before the device is moved.
 */
int target_look(struct usrpci_host *host, const struct usrpci_dev_info *info,
		struct target *target);

/* Reads driver_override of a target that was only looked at. */
int target_complete(struct usrpci_host *host, struct target *target);

/* Looks a device up and reads who holds it. */
int target_init(struct usrpci_host *host, const struct usrpci_addr *addr, struct target *target);

/* Reads who holds it once more. */
int target_refresh(struct usrpci_host *host, struct target *target);

/*
 * Stops a device that a driver in userspace may have left running. One that does not stop, which is
 * logged, is moved all the same: nobody else can do better.
 */
void target_stop(struct usrpci_host *host, const struct target *target);

/*
 * Gives a device to a driver, whose override stays; "": to none, and none may take it. -EUCLEAN:
 * the kernel has not answered in time; target->stuck says so, and a process of its own waits on.
 */
int target_move(struct usrpci_host *host, struct target *target, const char *driver);

/* Moves a device to what it was. Goes on after a failed step: the next may still help. */
int target_put_back(struct usrpci_host *host, struct target *target, const struct binding *was);

/*
 * Returns 0 when nobody uses the device, and -EBUSY otherwise, with each use logged. Kernel drivers
 * of its IOMMU group count where along is not NULL: vfio needs the group, but for the devices in
 * along, which come to vfio too. With force, only a program that has the device open through vfio
 * counts.
 */
int target_is_free(struct usrpci_host *host, const struct target *target,
		   const struct targets *along, bool force);

/* The same without force, and what is free stays so until hold_end(target->hold). */
int target_keep_free(struct usrpci_host *host, const struct target *target,
		     const struct targets *along);

/* Makes hold, which the caller ends, the target's, and begins it so. A dry run holds nothing. */
int target_hold(struct usrpci_host *host, struct target *target, const struct targets *along,
		struct hold *hold);
