// SPDX-License-Identifier: BSD-2-Clause
/*
 * Knows the drivers that give devices to userspace: what they are called, what they need of a
 * device, and why that may be missing. Any other driver is taken as it is.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "check/check.h"
#include "driver.h"
#include "file.h"
#include "group.h"
#include "kernel.h"
#include "modules.h"

#define LOG_SUBJECT "driver"
#include "log.h"

#define TYPE1 "vfio_iommu_type1"

static bool is_registered(struct usrpci_host *host, const char *driver)
{
	return file_exists(host->ctx, PCI_DRIVERS "/%s", driver);
}

static bool can_be_had(struct usrpci_host *host, const char *driver)
{
	return is_registered(host, driver) || module_state(host, driver) <= MODULE_PRESENT;
}

void driver_default(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    char driver[NAME_SIZE])
{
	if (!group_translates(host, info) && !group_may_come(host, info))
		strcpy(driver, "uio_pci_generic");
	else if (info->driver_kind == USRPCI_DRIVER_VFIO)
		strcpy(driver, info->driver);
	else if (!module_find_variant(host, info, driver) || !can_be_had(host, driver))
		strcpy(driver, "vfio-pci");
}

void driver_module(struct usrpci_host *host, const char *driver, char module[NAME_SIZE])
{
	if (!driver[0] ||
	    file_link_name(host->ctx, module, NAME_SIZE, PCI_DRIVERS "/%s/module", driver))
		module[0] = '\0';
}

/* Modules have underscores in their names where their drivers may have dashes. */
void driver_spell(struct usrpci_host *host, char driver[NAME_SIZE])
{
	static const char *const known[][2] = {{"vfio_pci", "vfio-pci"},
					       {"uio-pci-generic", "uio_pci_generic"},
					       {"pci_stub", "pci-stub"}};
	char other[NAME_SIZE];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(driver, known[i][0]))
			strcpy(driver, known[i][1]);
	if (!strcmp(host->promised, driver) || is_registered(host, driver))
		return;
	for (i = 0; driver[i]; i++)
		other[i] = driver[i] == '-' ? '_' : driver[i] == '_' ? '-' : driver[i];
	other[i] = '\0';
	if (i && is_registered(host, other))
		strcpy(driver, other);
}

int driver_exists(struct usrpci_host *host, const char *driver)
{
	if (!driver[0] || !strcmp(host->promised, driver) || is_registered(host, driver))
		return 0;
	return module_state(host, driver) == MODULE_MISSING ? module_missing(host, driver) : 0;
}

/* A boot may have loaded vfio-pci alone; kernels with iommufd have no such module, or need none. */
static bool lacks_type1(struct usrpci_host *host, const char *driver)
{
	return usrpci_driver_kind(driver) == USRPCI_DRIVER_VFIO &&
	       module_state(host, TYPE1) == MODULE_PRESENT;
}

static int load_type1(struct usrpci_host *host, const char *driver)
{
	return lacks_type1(host, driver) ? module_load(host, TYPE1, "vfio's use of the IOMMU") : 0;
}

bool driver_is_loaded(struct usrpci_host *host, const char *driver)
{
	return !driver[0] || (is_registered(host, driver) && !lacks_type1(host, driver));
}

static int load(struct usrpci_host *host, char driver[NAME_SIZE], const char *module)
{
	char why[96];
	int error;

	if (is_registered(host, driver))
		return load_type1(host, driver);
	snprintf(why, sizeof(why), "the driver %s", driver);
	error = module_load(host, module && module[0] ? module : driver, why)
			?: load_type1(host, driver);
	if (error || host->options.dry_run)
		return error;
	driver_spell(host, driver);
	if (is_registered(host, driver))
		return 0;
	return refuse(host->ctx, -ENOENT, driver, NULL,
		      "the module has no PCI driver of this name");
}

/* A dry run need not look again for each of a thousand devices. */
int driver_load(struct usrpci_host *host, char driver[NAME_SIZE], const char *module)
{
	int error;

	if (!driver[0] || !strcmp(host->promised, driver))
		return 0;
	error = load(host, driver, module);
	if (!error && host->options.dry_run)
		strcpy(host->promised, driver);
	return error;
}

/* Its addresses would be those of the function that has the place. */
static int check_place(struct usrpci_host *host, const struct usrpci_dev_info *info,
		       const char *name)
{
	char neighbour[USRPCI_ADDR_STRLEN], hint[128];

	if (!group_is_full(host, info, neighbour))
		return 0;
	snprintf(hint, sizeof(hint), "use %s, or a slot that is not behind a bridge to PCI",
		 neighbour);
	return refuse(host->ctx, -EOPNOTSUPP, name, hint,
		      "an IOMMU stands before it, and the kernel cannot put it there beside %s, "
		      "which is behind the same bridge",
		      neighbour);
}

static int uio_can_work(struct usrpci_host *host, const struct usrpci_dev_info *info,
			const char *name, bool force)
{
	char mode[NAME_SIZE];

	if (strcmp(kernel_lockdown(host->ctx, mode), "none") != 0)
		return refuse(host->ctx, -EPERM, name,
			      "use vfio-pci with an IOMMU, or disable Secure Boot",
			      "the kernel is locked down (%s): userspace may not reach devices "
			      "through uio",
			      mode);
	if (!info->irq && !force)
		return refuse(
			host->ctx, -EOPNOTSUPP, name,
			group_translates(host, info)
				? "--driver vfio-pci brings MSI; --force for a driver that polls"
				: "use an IOMMU and vfio-pci, or --force for a driver that polls",
			"it has %s, and uio_pci_generic knows no other interrupt",
			info->irq_pin ? "a pin, but the kernel has no interrupt for it (irq 0)"
				      : "no interrupt pin (a virtual function, or MSI alone)");
	return 0;
}

static int suits_uio(struct usrpci_host *host, const struct usrpci_dev_info *info, const char *name,
		     bool force)
{
	int error = uio_can_work(host, info, name, force);

	if (!error && !force && !group_may_come(host, info))
		error = check_place(host, info, name);
	return error;
}

void driver_warn(struct usrpci_host *host, const char *driver, const struct usrpci_dev_info *info)
{
	char type[NAME_SIZE], name[USRPCI_ADDR_STRLEN];

	if (strcmp(driver, "uio_pci_generic") != 0)
		return;
	usrpci_addr_format(&info->addr, name);
	if (group_may_come(host, info))
		log_warning(
			host->ctx, name, "--driver vfio-pci",
			"the kernel shows no IOMMU of a device before a driver has it: if there "
			"is one, its DMA will fault under uio_pci_generic");
	group_type(host, info->iommu_group, type);
	if (group_translates(host, info) && !strncmp(type, "DMA", 3))
		log_warning(host->ctx, name, "--driver vfio-pci",
			    "an IOMMU translates for it: its DMA will fault under uio_pci_generic");
}

static int suits_vfio(struct usrpci_host *host, const struct usrpci_dev_info *info,
		      const char *name)
{
	char text[200], cure[200], hint[256];
	int error;

	if (group_translates(host, info) || group_noiommu(host) || group_may_come(host, info))
		return 0;
	error = check_place(host, info, name);
	if (error)
		return error;
	iommu_absence(host, text, cure);
	snprintf(hint, sizeof(hint), "%s; or use --driver uio_pci_generic", cure);
	return refuse(host->ctx, -EOPNOTSUPP, name, hint,
		      "no IOMMU translates for it, which vfio-pci needs: %s", text);
}

int driver_fall_back(struct usrpci_host *host, const struct usrpci_dev_info *info, bool force,
		     char driver[NAME_SIZE])
{
	char name[USRPCI_ADDR_STRLEN];
	int error = 0;

	usrpci_addr_format(&info->addr, name);
	strcpy(driver, "uio_pci_generic");
	if (!force)
		error = check_place(host, info, name);
	return error ?: uio_can_work(host, info, name, force) ?: driver_load(host, driver, NULL);
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
