/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The kernel's PCI drivers: their names, their modules, and what those for userspace need of a
 * device.
 */

#include "host.h"

/* Whether a driver leaves the devices that it holds to userspace. */
static inline bool driver_is_userspace(enum usrpci_driver_kind kind)
{
	return kind != USRPCI_DRIVER_NONE && kind != USRPCI_DRIVER_KERNEL;
}

/*
 * Chooses the default driver. If an IOMMU translates for the device, or may do so, this is the
 * driver of vfio that it already has, the variant of vfio-pci that was made for it, or vfio-pci;
 * else uio_pci_generic.
 */
void driver_default(struct usrpci_host *host, const struct usrpci_dev_info *info,
		    char driver[NAME_SIZE]);

/* Finds the module of a driver, which may have another name; "" when the driver is built in. */
void driver_module(struct usrpci_host *host, const char *driver, char module[NAME_SIZE]);

/* Spells a driver's name as the kernel does: "vfio-pci" for vfio_pci. */
void driver_spell(struct usrpci_host *host, char driver[NAME_SIZE]);

/* Whether driver_load() would find nothing to load. */
bool driver_is_loaded(struct usrpci_host *host, const char *driver);

/* Returns 0 when the driver exists, loaded or not; -ENOENT, logged, when it does not. */
int driver_exists(struct usrpci_host *host, const char *driver);

/*
 * Loads the driver's module if need be, and spells the name as the driver then does. module is NULL
 * or "" when it is called as the driver is. Errors, logged: -ENOENT (no such driver or module), and
 * those of module_load().
 */
int driver_load(struct usrpci_host *host, char driver[NAME_SIZE], const char *module);

/*
 * Chooses and loads the driver for a device that vfio-pci did not take for want of an IOMMU.
 * Errors, logged: those of driver_suits() and driver_load().
 */
int driver_fall_back(struct usrpci_host *host, const struct usrpci_dev_info *info, bool force,
		     char driver[NAME_SIZE]);

/*
 * Whether a driver can work with a device: 0, or an error, logged: -EOPNOTSUPP (no interrupt pin
 * for uio_pci_generic unless force, no IOMMU for vfio-pci, an IOMMU that has no place for it);
 * -EPERM (the kernel is locked down).
 */
int driver_suits(struct usrpci_host *host, const char *driver, const struct usrpci_dev_info *info,
		 bool force);

/* Warns of what is likely to go wrong with a driver that suits. */
void driver_warn(struct usrpci_host *host, const char *driver, const struct usrpci_dev_info *info);
