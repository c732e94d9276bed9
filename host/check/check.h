/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_CHECK_CHECK_H
#define USRPCI_HOST_CHECK_CHECK_H

/*
 * What the parts of the check share: the list of findings.
 */

#include "host.h"

struct findings {
	struct usrpci_finding *list;
	size_t count, size;
	bool failed; /* for want of memory */
};

/* cure may be NULL. */
__attribute__((format(printf, 5, 6))) void finding_add(struct findings *findings,
						       enum usrpci_check_state state,
						       const char *topic, const char *cure,
						       const char *format, ...);

/* One device, as it is now. */
void check_device(struct usrpci_host *host, const struct usrpci_dev_info *info,
		  struct findings *findings);

#endif
