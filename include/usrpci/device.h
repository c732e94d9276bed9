/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_DEVICE_H
#define USRPCI_DEVICE_H

/*
 * Devices: finding them, opening them for a driver, reset and bus mastering.
 *
 * Opening a device changes nothing on it. Bus mastering, interrupts and reset are calls of their
 * own, made by the driver when it is ready for their consequences.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <usrpci/addr.h>
#include <usrpci/ctx.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Who can use a device, by the kind of the driver that holds it. */
enum usrpci_driver_kind {
	USRPCI_DRIVER_NONE,   /**< no driver holds it */
	USRPCI_DRIVER_KERNEL, /**< a kernel driver works with it */
	USRPCI_DRIVER_UIO,    /**< uio_pci_generic or igb_uio */
	USRPCI_DRIVER_VFIO,   /**< vfio-pci or one of its variants, such as mlx5_vfio_pci */
	USRPCI_DRIVER_STUB,   /**< pci-stub, which keeps every other driver away and does nothing */
};

/**
 * Tells the kind of a driver by its name alone; "" is USRPCI_DRIVER_NONE.
 *
 * A variant of vfio-pci is known by the end of its name, in which "-" and "_" are the same. Where
 * there is a device, its usrpci_dev_info.driver_kind is the better answer: it also knows variants
 * of any other name.
 *
 * UIO, VFIO and STUB leave the device to userspace. Two differences among them matter:
 * usrpci_dev_open() drives devices of uio_pci_generic and of vfio, not those of igb_uio or of
 * pci-stub; and vfio hands out an IOMMU group only when each of its endpoints has no driver or one
 * of kind VFIO or STUB.
 */
enum usrpci_driver_kind usrpci_driver_kind(const char *driver);

/**
 * What is known about a device without touching it. If the device does not answer, the ids and the
 * class are those that the kernel read when it still answered.
 *
 * The kernel may assign the interrupt of a pin only when a driver enables the device, so irq can be
 * -1 before that.
 */
struct usrpci_dev_info {
	struct usrpci_addr addr;
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t class_code; /**< base class, sub-class and interface: 0x020000 is Ethernet */
	uint8_t revision;
	uint8_t header_type; /**< 0 endpoint, 1 bridge, 2 CardBus; the multi-function bit cleared */
	uint8_t irq_pin;     /**< 0: the function has no INTx; 1..4: INTA..INTD */
	bool silent;     /**< it does not answer (all ones): powered off, or it fell off the bus */
	int irq;         /**< the kernel's interrupt for the pin; 0: none; -1: not known yet */
	int numa_node;   /**< -1: unknown, or there is only one */
	int iommu_group; /**< -1: no IOMMU translates for it */
	char driver[32]; /**< kernel driver that holds it; "" when none does */
	enum usrpci_driver_kind driver_kind;
};

/**
 * Lists the host's devices in the order of their addresses.
 *
 * Devices that vanish while the list is made are left out, and so are those that cannot be read,
 * which are logged. The list belongs to the caller, who gives it back with usrpci_dev_list_free().
 * It is NULL after an error.
 *
 * A device that sleeps (power/runtime_status) is not woken for it: its irq_pin and irq are 0 and -1
 * then, as unknown.
 *
 * Returns the number of devices. Errors: -ENOMEM; what opendir(3) says of /sys/bus/pci/devices; why
 * none of the devices can be read.
 */
int usrpci_dev_list(struct usrpci_ctx *ctx, struct usrpci_dev_info **list);
void usrpci_dev_list_free(struct usrpci_dev_info *list);

/**
 * Reads one device's information. Errors: -ENODEV (no such device); -EBADMSG (its file config in
 * sysfs is missing, or no regular file).
 */
int usrpci_dev_lookup(struct usrpci_ctx *ctx, const struct usrpci_addr *addr,
		      struct usrpci_dev_info *info);

/**
 * Finds the device that a name means: an address, full or short, or at the end of its path in /sys,
 * or as udev's "pci-0000:03:00.0"; a network interface ("eth1"); a block device or partition
 * ("nvme0n1", "/dev/sda1"); "vendor:device" in hexadecimal ("8086:100e").
 *
 * Errors: -EINVAL (not a name of any of these forms); -ENODEV (no such device); -ENOTUNIQ (several
 * devices have this vendor and device id, or are paths to this disk); -ENOTSUP (the interface or
 * disk does not belong to a PCI device).
 */
int usrpci_dev_find(struct usrpci_ctx *ctx, const char *name, struct usrpci_addr *addr);

struct usrpci_dev;

/**
 * Opens a device for a driver, through the kernel driver that it is bound to: uio_pci_generic or
 * vfio-pci. A name "qemu:MODEL[,property=value...]" opens an emulated device, which runs in a
 * process of its own.
 *
 * @name	as for usrpci_dev_find(), or "qemu:..."
 *
 * The first device decides the context's DMA domain; a device of another kind is refused after
 * that.
 *
 * Behind an IOMMU (vfio-pci) the device's whole IOMMU group must be free of kernel drivers, and no
 * privileges are needed but the group's file. A device on vfio-pci that no IOMMU confines (vfio's
 * no-IOMMU mode) is opened only when the environment says USRPCI_NOIOMMU=1: it can write to any
 * memory, as under uio.
 *
 * Errors: those of usrpci_dev_find(); -EBUSY (a kernel driver holds it, or another program has it
 * open); -ENXIO (no driver holds it: usrpci bind gives it one); -EACCES or -EPERM (rights on the
 * device's files); -EXDEV (other DMA domain); -ENOMEM. For "qemu:...": -ENOENT (QEMU is not
 * installed); -ENODEV (it has no such model); -EINVAL (it refuses a property); -EOPNOTSUPP (the
 * model can only be the context's first); -EBUSY (QEMU runs already and takes no more arguments);
 * -ENOSPC (no slot is free); -ETIMEDOUT.
 */
int usrpci_dev_open(struct usrpci_ctx *ctx, const char *name, struct usrpci_dev **dev);

/**
 * Opens a device to look at it, whoever holds it: configuration space and BARs, without interrupts
 * and without DMA memory. Writes reach the device without its driver's knowledge.
 *
 * Errors: as usrpci_dev_open() but for -EBUSY and -ENXIO.
 */
int usrpci_dev_inspect(struct usrpci_ctx *ctx, const char *name, struct usrpci_dev **dev);

/**
 * Closes a device: interrupts are disabled, bus mastering is switched off, BARs that are still
 * mapped are unmapped. DMA memory stays with the context.
 */
void usrpci_dev_close(struct usrpci_dev *dev);

/** The device's information as it was when it was opened. Valid until the device is closed. */
const struct usrpci_dev_info *usrpci_dev_info(const struct usrpci_dev *dev);

/** The name that messages use: "0000:03:00.0", "qemu:edu". Valid until the device is closed. */
const char *usrpci_dev_name(const struct usrpci_dev *dev);

/** The name of the backend in use: "uio", "vfio", "qemu", "sysfs" or "pciaccess". */
const char *usrpci_dev_backend(const struct usrpci_dev *dev);

/** The context that the device was opened in, which stays its caller's. */
struct usrpci_ctx *usrpci_dev_ctx(const struct usrpci_dev *dev);

/** What not every backend and device can do. */
enum usrpci_feature {
	USRPCI_FEATURE_INTX = 1 << 0,
	USRPCI_FEATURE_MSI = 1 << 1,
	USRPCI_FEATURE_MSIX = 1 << 2,
	USRPCI_FEATURE_DMA = 1 << 3,       /**< DMA memory */
	USRPCI_FEATURE_PROTECTED = 1 << 4, /**< an IOMMU confines the device to that memory */
	USRPCI_FEATURE_RESET = 1 << 5,     /**< function reset */
	USRPCI_FEATURE_HOT_RESET = 1 << 6, /**< reset of the bus */
};

/** Returns the features as a bit set of enum usrpci_feature. */
uint32_t usrpci_dev_features(const struct usrpci_dev *dev);

/**
 * Allows or forbids the device to start transactions of its own, DMA and message interrupts alike.
 * Reads the bit back.
 *
 * Errors: -ENODEV (the device is gone); -EIO (the bit did not take).
 */
int usrpci_dev_set_bus_master(struct usrpci_dev *dev, bool on);

enum usrpci_reset {
	USRPCI_RESET_FUNCTION, /**< this function alone: FLR, D3hot or what the device has */
	USRPCI_RESET_BUS,      /**< every function behind the same bridge or slot */
};

/**
 * Resets the device. Its registers, rings and interrupts are as after power-on; configuration space
 * (BARs, command) is as before. The caller must own all functions that are reset together with this
 * one.
 *
 * Models that PCI cannot reset, or that keep their rings when it does, are reset by their own
 * registers as part of the function's reset: Intel 8254x and 82574L, virtio.
 *
 * Errors: -EOPNOTSUPP (the device or its backend has no such reset); -EPERM (a function of the bus
 * belongs to somebody else); -EINVAL (no such kind); -ENODEV; -ETIMEDOUT (a model's registers did
 * not report the end of the reset within 100 ms).
 */
int usrpci_dev_reset(struct usrpci_dev *dev, enum usrpci_reset kind);

#ifdef __cplusplus
}
#endif

#endif
