// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which PCI devices the host has, from sysfs (Linux: Documentation/ABI/testing/sysfs-bus-pci).
 *
 * A device costs one file and a few links: its 64 bytes of standard configuration header hold what
 * six text files would. Names of vendors and devices are left out: host/ has them.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <usrpci/device.h>

#include "array.h"
#include "base.h"
#include "bytes.h"
#include "backend.h"
#include "file.h"
#include "unread.h"

#define LOG_SUBJECT "enumerate"
#include "log.h"

#define CLASS_PCI_BRIDGE     0x0604
#define CLASS_CARDBUS_BRIDGE 0x0607

/* The kernel's number for an interrupt that leads nowhere (include/linux/interrupt.h). */
#define IRQ_NOTCONNECTED (1u << 31)

int dev_read_header(const struct usrpci_ctx *ctx, const char *name,
		    uint8_t header[PCI_STD_HEADER_SIZEOF])
{
	int fd = file_open_regular(ctx, O_RDONLY, PCI_DEVICES "/%s/config", name);
	int error;

	if (fd < 0)
		return fd == -ENOENT ? -ENODEV : fd;
	error = pread_exact(fd, header, PCI_STD_HEADER_SIZEOF, 0);
	close(fd);
	return note_unread(ctx, name, error);
}

/* Returns where the value of a key begins, or "" when the key is missing. */
static const char *value_of(const char *uevent, const char *key)
{
	const char *line = strstr(uevent, key);

	return line ? line + strlen(key) : "";
}

/*
 * The kernel knows what the header does not say: virtual functions have no ids of their own (PCIe
 * Base, 9.3.4.1), bridges keep the subsystem's in a capability, and a function that does not answer
 * had ids and a class when the kernel found it. One that sleeps is not asked itself.
 */
static void ask_kernel(const struct usrpci_ctx *ctx, const char *name, bool without_header,
		       struct usrpci_dev_info *info)
{
	unsigned int class_code;
	char uevent[512];

	if (file_read(ctx, uevent, sizeof(uevent), PCI_DEVICES "/%s/uevent", name) < 0)
		return;
	sscanf(value_of(uevent, "PCI_ID="), "%hx:%hx", &info->vendor, &info->device);
	sscanf(value_of(uevent, "PCI_SUBSYS_ID="), "%hx:%hx", &info->subsystem_vendor,
	       &info->subsystem_device);
	if (!without_header)
		return;
	if (sscanf(value_of(uevent, "PCI_CLASS="), "%x", &class_code) == 1 &&
	    class_code <= 0xffffff)
		info->class_code = class_code;
	if (info->class_code >> 8 == CLASS_PCI_BRIDGE)
		info->header_type = PCI_HEADER_TYPE_BRIDGE;
	else if (info->class_code >> 8 == CLASS_CARDBUS_BRIDGE)
		info->header_type = PCI_HEADER_TYPE_CARDBUS;
}

/*
 * The kernel routes a pin's interrupt when a driver enables the device (pci_enable_device(), or
 * pci_assign_irq() before its probe). Until then the file irq repeats the line register, in which
 * firmware may have left 0; if it has not, the kernel found no interrupt for the pin.
 */
static int kernel_irq(const struct usrpci_ctx *ctx, const char *name, uint8_t line,
		      const struct usrpci_dev_info *info)
{
	uint64_t irq;

	if (!info->irq_pin)
		return 0;
	if (file_read_u64(ctx, &irq, PCI_DEVICES "/%s/irq", name))
		return -1;
	if (irq >= IRQ_NOTCONNECTED)
		return 0;
	return irq || info->driver[0] || line ? (int)irq : -1;
}

static int iommu_group(const struct usrpci_ctx *ctx, const char *name)
{
	char number[16], *end;
	long group;

	if (file_link_name(ctx, number, sizeof(number), PCI_DEVICES "/%s/iommu_group", name))
		return -1;
	group = strtol(number, &end, 10);
	return *end || end == number || group < 0 || group > INT_MAX ? -1 : (int)group;
}

static int numa_node(const struct usrpci_ctx *ctx, const char *name)
{
	char text[16];

	if (file_read(ctx, text, sizeof(text), PCI_DEVICES "/%s/numa_node", name) <= 0)
		return -1;
	return (int)strtol(text, NULL, 10);
}

/*
 * Drivers that leave devices to userspace, by their names in drivers/vfio/pci and
 * drivers/pci/pci-stub.c of Linux. A driver that is not known here counts as a kernel driver, which
 * nobody may disturb. Xen's pciback is one of these on purpose: a guest works with its devices.
 */

static bool same_character(char a, char b)
{
	return a == b || (strchr("-_", a) && strchr("-_", b) && a && b);
}

/* Drivers spell with "-" or "_" as their authors liked; modules always with "_". */
static bool same_name(const char *a, const char *b)
{
	while (*a && same_character(*a, *b)) {
		a++;
		b++;
	}
	return *a == *b;
}

enum usrpci_driver_kind usrpci_driver_kind(const char *driver)
{
	size_t length = strlen(driver), suffix = strlen("vfio-pci");

	if (!length)
		return USRPCI_DRIVER_NONE;
	if (length >= suffix && same_name(driver + length - suffix, "vfio-pci"))
		return USRPCI_DRIVER_VFIO;
	if (same_name(driver, "uio-pci-generic") || same_name(driver, "igb-uio"))
		return USRPCI_DRIVER_UIO;
	return same_name(driver, "pci-stub") ? USRPCI_DRIVER_STUB : USRPCI_DRIVER_KERNEL;
}

/*
 * The kind of the driver that holds a device. Since Linux 6.1 a device of vfio has a directory
 * vfio-dev, whatever its driver is called.
 */
static enum usrpci_driver_kind driver_kind_of(const struct usrpci_ctx *ctx, const char *device,
					      const char *driver)
{
	enum usrpci_driver_kind kind = usrpci_driver_kind(driver);

	if (kind == USRPCI_DRIVER_KERNEL && file_exists(ctx, PCI_DEVICES "/%s/vfio-dev", device))
		return USRPCI_DRIVER_VFIO;
	return kind;
}

/*
 * Whether a device sleeps. A read of its configuration space would wake it, and the ports above it
 * (pci_config_pm_runtime_get() of Linux).
 */
static bool sleeps(const struct usrpci_ctx *ctx, const char *name)
{
	char status[16];

	return file_read(ctx, status, sizeof(status), PCI_DEVICES "/%s/power/runtime_status",
			 name) > 0 &&
	       !strcmp(status, "suspended");
}

/*
 * Whether a device that has no file "config" is there nevertheless. One that is being unplugged
 * loses its files first, and its directory soon after; a host made of files does not change.
 */
static bool stays(const struct usrpci_ctx *ctx, const char *name)
{
	const struct timespec nap = {.tv_nsec = 10 * 1000 * 1000};
	int naps = ctx_base(ctx)->root[0] ? 0 : 10;

	while (file_exists(ctx, PCI_DEVICES "/%s", name)) {
		if (naps-- == 0)
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

static void read_asleep(const struct usrpci_ctx *ctx, const char *name,
			struct usrpci_dev_info *info)
{
	uint64_t revision = 0;

	ask_kernel(ctx, name, true, info);
	file_read_u64(ctx, &revision, PCI_DEVICES "/%s/revision", name);
	info->revision = (uint8_t)revision;
}

static int read_header(const struct usrpci_ctx *ctx, const char *name, uint8_t *irq_line,
		       struct usrpci_dev_info *info)
{
	uint8_t header[PCI_STD_HEADER_SIZEOF];
	int error = dev_read_header(ctx, name, header);

	if (error)
		return error == -ENODEV && stays(ctx, name) ? -EBADMSG : error;
	dev_decode_header(header, info);
	if (info->silent || info->vendor == 0xffff || info->header_type != PCI_HEADER_TYPE_NORMAL)
		ask_kernel(ctx, name, info->silent, info);
	*irq_line = header[PCI_INTERRUPT_LINE];
	return 0;
}

int dev_read_info(const struct usrpci_ctx *ctx, const struct usrpci_addr *addr, bool wakes,
		  struct usrpci_dev_info *info)
{
	char name[USRPCI_ADDR_STRLEN];
	uint8_t irq_line = 0;
	bool asleep;
	int error;

	usrpci_addr_format(addr, name);
	*info = (struct usrpci_dev_info){.addr = *addr};
	asleep = !wakes && sleeps(ctx, name);
	if (asleep)
		read_asleep(ctx, name, info);
	error = asleep ? 0 : read_header(ctx, name, &irq_line, info);
	if (error)
		return error;
	info->iommu_group = iommu_group(ctx, name);
	info->numa_node = numa_node(ctx, name);
	error = file_link_name(ctx, info->driver, sizeof(info->driver), PCI_DEVICES "/%s/driver",
			       name);
	if (error)
		info->driver[0] = '\0';
	info->driver_kind = driver_kind_of(ctx, name, info->driver);
	info->irq = asleep ? -1 : kernel_irq(ctx, name, irq_line, info);
	/* A driver that cannot be seen must not pass for none. */
	return error == -ENOENT ? 0 : error;
}

int dev_report_lookup(const struct usrpci_ctx *ctx, int error, const char *name)
{
	if (error == -EBADMSG)
		return refuse(ctx, error, name, NULL,
			      PCI_DEVICES "/%s/config is missing, or no regular file", name);
	return report(ctx, error, name, NULL, "cannot look it up");
}

static int read_addresses(const struct usrpci_ctx *ctx, DIR *dir, struct usrpci_addr **list)
{
	struct usrpci_addr addr, *grown;
	struct dirent *entry;
	size_t count = 0;

	while (errno = 0, (entry = readdir(dir))) {
		if (usrpci_addr_parse(entry->d_name, &addr))
			continue;
		grown = array_grow(*list, count, 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		*list = grown;
		grown[count++] = addr;
	}
	return errno ? report(ctx, -errno, NULL, NULL, "cannot list the PCI devices") : (int)count;
}

int dev_list_addresses(const struct usrpci_ctx *ctx, struct usrpci_addr **list)
{
	char path[PATH_SIZE];
	int count = path_format(ctx, path, PCI_DEVICES);
	DIR *dir;

	*list = NULL;
	if (count)
		return count;
	dir = opendir(path);
	if (!dir)
		return report(ctx, -errno, path, NULL, "cannot list the PCI devices");
	count = read_addresses(ctx, dir, list);
	closedir(dir);
	return count;
}
