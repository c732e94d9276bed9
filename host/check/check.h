/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the parts of the check share: the list of findings.
 */

#include "host.h"

struct findings {
	struct usrpci_finding *list;
	size_t count;
	bool failed; /* memory was short */
};

/* cure may be NULL. */
__attribute__((format(printf, 5, 6))) void finding_add(struct findings *findings,
						       enum usrpci_check_state state,
						       const char *topic, const char *cure,
						       const char *format, ...);

/* The parts of the check of a host. */
void check_iommu(struct usrpci_host *host, struct findings *findings);
void check_hugepages(struct usrpci_host *host, struct findings *findings);
void check_memlock(struct usrpci_host *host, struct findings *findings);

/* Returns how many groups of an IOMMU there are; 0: no IOMMU is in use. */
int iommu_groups(struct usrpci_host *host);

/* Writes why no IOMMU is in use, and what to do to use one. */
void iommu_absence(struct usrpci_host *host, char text[200], char cure[200]);

/* Checks one device in its current state. */
void check_device(struct usrpci_host *host, const struct usrpci_dev_info *info,
		  struct findings *findings);

/* The part for what hardware and firmware provide: power, interrupts, BARs. */
void check_hardware(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    struct findings *findings);
