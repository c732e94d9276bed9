// SPDX-License-Identifier: BSD-2-Clause
/*
 * Knows the drivers that give devices to userspace: what they are called, what they need of a
 * device, and why that may be missing. Any other driver is taken as it is.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "driver.h"
#include "file.h"
#include "group.h"
#include "kernel.h"
#include "modules.h"

#define LOG_SUBJECT "driver"
#include "log.h"

const char *driver_default(struct usrpci_host *host, const struct usrpci_dev_info *info)
{
	return group_translates(host, info) ? "vfio-pci" : "uio_pci_generic";
}

static bool is_registered(struct usrpci_host *host, const char *driver)
{
	return file_exists(host->ctx, PCI_DRIVERS "/%s", driver);
}

/* Modules have underscores in their names where their drivers may have dashes. */
void driver_spell(struct usrpci_host *host, char driver[NAME_SIZE])
{
	static const char *const known[][2] = {{"vfio_pci", "vfio-pci"},
					       {"uio-pci-generic", "uio_pci_generic"},
					       {"pci_stub", "pci-stub"}};
	char other[NAME_SIZE];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strcmp(driver, known[i][0]))
			strcpy(driver, known[i][1]);
	}
	if (is_registered(host, driver))
		return;
	for (i = 0; driver[i]; i++)
		other[i] = driver[i] == '-' ? '_' : driver[i] == '_' ? '-' : driver[i];
	other[i] = '\0';
	if (i && is_registered(host, other))
		strcpy(driver, other);
}

int driver_exists(struct usrpci_host *host, const char *driver)
{
	if (!driver[0] || is_registered(host, driver))
		return 0;
	return module_state(host, driver) == MODULE_MISSING ? module_missing(host, driver) : 0;
}

int driver_load(struct usrpci_host *host, char driver[NAME_SIZE])
{
	char why[96];
	int error;

	if (!driver[0] || is_registered(host, driver) || !strcmp(host->promised, driver))
		return 0;
	snprintf(why, sizeof(why), "the driver %s", driver);
	error = module_load(host, driver, why);
	if (error)
		return error;
	if (host->options.dry_run) {
		strcpy(host->promised, driver);
		return 0;
	}
	driver_spell(host, driver);
	if (is_registered(host, driver))
		return 0;
	return refuse(host->ctx, -ENOENT, driver, NULL,
		      "the module has no PCI driver of this name");
}

static int suits_uio(struct usrpci_host *host, const struct usrpci_dev_info *info, const char *name,
		     bool force)
{
	char mode[NAME_SIZE], type[NAME_SIZE];

	if (strcmp(kernel_lockdown(host->ctx, mode), "none") != 0)
		return refuse(host->ctx, -EPERM, name,
			      "use vfio-pci with an IOMMU, or disable Secure Boot",
			      "the kernel is locked down (%s): userspace may not reach devices "
			      "through uio",
			      mode);
	if (!info->irq_pin && !force)
		return refuse(host->ctx, -EOPNOTSUPP, name,
			      "--driver vfio-pci brings MSI; --force for a driver that polls",
			      "it has no interrupt pin (a virtual function, or MSI alone), and "
			      "uio_pci_generic knows no other interrupt");
	group_type(host, info->iommu_group, type);
	if (group_translates(host, info) && !strncmp(type, "DMA", 3))
		log_warning(host->ctx, name, "--driver vfio-pci",
			    "an IOMMU translates for it: its DMA will fault under uio_pci_generic");
	return 0;
}

static int suits_vfio(struct usrpci_host *host, const struct usrpci_dev_info *info,
		      const char *name)
{
	if (group_translates(host, info) || group_noiommu(host))
		return 0;
	return refuse(host->ctx, -EOPNOTSUPP, name,
		      "boot with intel_iommu=on (AMD: enable it in the firmware), or use --driver "
		      "uio_pci_generic",
		      "no IOMMU translates for it, which vfio-pci needs");
}

int driver_suits(struct usrpci_host *host, const char *driver, const struct usrpci_dev_info *info,
		 bool force)
{
	char name[USRPCI_ADDR_STRLEN];

	usrpci_addr_format(&info->addr, name);
	if (!strcmp(driver, "uio_pci_generic"))
		return suits_uio(host, info, name, force);
	if (usrpci_driver_kind(driver) == USRPCI_DRIVER_VFIO)
		return suits_vfio(host, info, name);
	return 0;
}
