/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "target.h"

/*
 * Puts a device back to what it was, for which the driver is loaded if need be; with forget, its
 * node in /dev/vfio too, and then drops its record, if there is one. Returns 0 or a negative errno,
 * logged.
 */
int restore_target(struct usrpci_host *host, struct target *target, const struct binding *was,
		   bool forget);

/*
 * In a dry run, shows what would put a device back to what it was before it was moved. Returns 0 or
 * a negative errno, logged.
 */
int restore_show(struct usrpci_host *host, struct target *target);

/*
 * Puts back the command register of a device that has no driver now, where it is known what the
 * register was when it had none before. Returns 0 or a negative errno, logged.
 */
int restore_command(struct usrpci_host *host, const struct target *target);

/*
 * Puts a device, which has been stopped, back as it was before it was lent: with the driver of
 * before if it was usrpci's then, else as the journal says. One that is gone needs nothing.
 * Errors are logged.
 */
int restore_lent(struct usrpci_host *host, const struct usrpci_addr *addr, const char *before,
		 bool was_usrpcis);
