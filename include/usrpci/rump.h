/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_RUMP_H
#define USRPCI_RUMP_H

/**
 * A NetBSD kernel in this process (https://github.com/rumpkernel), with one of its drivers on a PCI
 * device of this host. The kernel is the user's: its libraries are loaded when it starts, from the
 * directory $RUMP_PREFIX/lib, or from where the dynamic linker looks when RUMP_PREFIX is not set.
 *
 * The program is linked with libusrpci-rump, or loads it with RTLD_GLOBAL first. After the start,
 * the kernel's functions (rump_sys_read(), ...) are found by dlsym(RTLD_DEFAULT, ...).
 */

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Starts the kernel with the components that a driver needs, and with one device. There is one
 * kernel in a process, and it cannot be started again; it does not survive fork(). Without a
 * device, its libraries are loaded, and it is not started.
 *
 * @driver	"wm", "vioif", "ld", "sd", "umass", or another card's, of librumpdev_pci_if_NAME
 * @device	as in USRPCI_RUMP, which is set to it: "03:00.0", "8086:100e"; NULL: none
 *
 * Errors, explained on standard error: -ENOENT (there is no rump kernel, or it lacks a component);
 * -ENODEV (the device cannot be opened); -EALREADY; -ENXIO (the kernel does not start); -ENOMEM.
 */
int usrpci_rump_start(const char *driver, const char *device);

/**
 * Returns what NetBSD calls the disks of a driver ("sd" of "umass": the first one is /dev/rsd0d),
 * or NULL when the driver is none of a disk's. May be called before the start.
 *
 * @driver	as in usrpci_rump_start()
 */
const char *usrpci_rump_disk(const char *driver);

/**
 * Has a function called whenever the drivers have handled an interrupt: by the thread that called
 * them, which then still holds the kernel's virtual processor. It may call the kernel, must not
 * wait for others who do, and sees all that the drivers received. May be called at any time.
 *
 * @call	NULL: none
 */
void usrpci_rump_after_interrupt(void (*call)(void));

/**
 * Has a function called when a device was pulled out, or when the host wants it back: NetBSD's
 * drivers cannot let go of one, and the host may wait until this process ends. Without a function,
 * that is said on standard error. It may be called by several threads, none of the kernel's. Set
 * before the start.
 *
 * @call	NULL: none
 */
void usrpci_rump_when_gone(void (*call)(void));

#ifdef __cplusplus
}
#endif

#endif
