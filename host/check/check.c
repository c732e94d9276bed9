// SPDX-License-Identifier: BSD-2-Clause
/*
 * Is this host ready? Looks at what drivers in userspace trip over, says what it found and which
 * command mends it. Changes nothing. The IOMMU is looked at in iommu.c, memory in memory.c, one
 * device in device.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "array.h"
#include "check/check.h"
#include "file.h"
#include "group.h"
#include "kernel.h"
#include "modules.h"

void finding_add(struct findings *findings, enum usrpci_check_state state, const char *topic,
		 const char *cure, const char *format, ...)
{
	struct usrpci_finding *finding;
	va_list args;

	finding = array_grow(findings->list, findings->count, 1, sizeof(*finding));
	if (!finding) {
		findings->failed = true;
		return;
	}
	findings->list = finding;
	finding = &findings->list[findings->count++];
	finding->state = state;
	snprintf(finding->topic, sizeof(finding->topic), "%s", topic);
	snprintf(finding->cure, sizeof(finding->cure), "%s", cure ? cure : "");
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	make_printable(finding->text);
	make_printable(finding->cure);
}

static void check_module(struct usrpci_host *host, const char *name, bool needed,
			 struct findings *findings)
{
	enum usrpci_check_state absent = needed ? USRPCI_CHECK_MISSING : USRPCI_CHECK_NOTE;
	char cure[200];

	switch (module_state(host, name)) {
	case MODULE_LOADED:
		finding_add(findings, USRPCI_CHECK_OK, "module", NULL, "%s is loaded", name);
		break;
	case MODULE_PRESENT:
		finding_add(findings, USRPCI_CHECK_OK, "module", NULL,
			    "%s is available, and usrpci bind loads it", name);
		break;
	case MODULE_BARRED:
		finding_add(findings, absent, "module", MODULE_BARRED_CURE,
			    "%s must not be loaded on this host", name);
		break;
	case MODULE_MISSING:
		module_cure(host, cure, sizeof(cure));
		finding_add(findings, absent, "module", cure, "the running kernel has no %s", name);
		break;
	}
}

/* vfio-pci does not load this module. Kernels with iommufd do not need it. */
static void check_type1(struct usrpci_host *host, struct findings *findings)
{
	if (module_state(host, "vfio-pci") != MODULE_LOADED ||
	    module_state(host, "vfio_iommu_type1") == MODULE_LOADED ||
	    file_exists(host->ctx, "/dev/iommu"))
		return;
	finding_add(findings, USRPCI_CHECK_MISSING, "module", "modprobe vfio_iommu_type1",
		    "vfio-pci is loaded without vfio_iommu_type1: no device can be opened");
}

/* vfio-pci is useful only with an IOMMU, and uio_pci_generic only without one. */
static void check_modules(struct usrpci_host *host, struct findings *findings)
{
	bool iommu = iommu_groups(host) > 0;

	check_module(host, "uio_pci_generic", !iommu, findings);
	check_module(host, "vfio-pci", iommu, findings);
	if (iommu)
		check_type1(host, findings);
}

/* A read-only /sys means a container, which must not change the host. */
static void check_sysfs(struct usrpci_host *host, struct findings *findings)
{
	struct statvfs status;
	char path[PATH_SIZE];

	if (path_format(host->ctx, path, "/sys") || statvfs(path, &status) ||
	    !(status.f_flag & ST_RDONLY))
		return;
	finding_add(findings, USRPCI_CHECK_MISSING, "sysfs",
		    "mount -o remount,rw /sys # in a container, run on the host itself",
		    "/sys is mounted read-only, as in a container: nothing can be bound");
}

static bool secure_boot(struct usrpci_host *host)
{
	unsigned char variable[5] = {0};
	AUTO_CLOSE int fd = file_open(host->ctx, O_RDONLY,
				      "/sys/firmware/efi/efivars/"
				      "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");

	return fd >= 0 && !pread_exact(fd, variable, sizeof(variable), 0) && variable[4] == 1;
}

static void check_lockdown(struct usrpci_host *host, struct findings *findings)
{
	char mode[NAME_SIZE];
	bool secure = secure_boot(host);

	if (strcmp(kernel_lockdown(host->ctx, mode), "none") != 0)
		finding_add(
			findings, iommu_groups(host) ? USRPCI_CHECK_NOTE : USRPCI_CHECK_MISSING,
			"lockdown", "use vfio-pci, or disable Secure Boot in the firmware",
			"the kernel is locked down (%s): registers cannot be reached through uio",
			mode);
	else
		finding_add(findings, USRPCI_CHECK_OK, "lockdown", NULL,
			    "the kernel is not locked down%s",
			    secure ? ", though Secure Boot is on" : "");
}

static void check_rights(struct usrpci_host *host, struct findings *findings)
{
	static const struct {
		unsigned int number;
		const char *name, *without;
	} needed[] = {
		{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "no physical addresses for uio, no bind"},
		{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", "no /dev/uio, no writes to sysfs"},
		{CAP_SYS_RAWIO, "CAP_SYS_RAWIO", "no I/O ports, no vfio without an IOMMU"},
	};
	size_t i, missing = 0;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (has_capability(host->ctx, needed[i].number))
			continue;
		missing++;
		finding_add(
			findings, USRPCI_CHECK_NOTE, "rights",
			"run as root, or let usrpci bind --user give you the device by vfio-pci",
			"without %s: %s", needed[i].name, needed[i].without);
	}
	if (!missing)
		finding_add(findings, USRPCI_CHECK_OK, "rights", NULL, "all that uio needs");
}

static void check_host(struct usrpci_host *host, struct findings *findings)
{
	check_sysfs(host, findings);
	check_modules(host, findings);
	check_iommu(host, findings);
	check_lockdown(host, findings);
	check_hugepages(host, findings);
	check_memlock(host, findings);
	check_rights(host, findings);
}

int usrpci_host_check(struct usrpci_host *host, const struct usrpci_addr *addr,
		      struct usrpci_finding **result)
{
	struct findings findings = {0};
	struct usrpci_dev_info info;
	int error = addr ? usrpci_dev_lookup(host->ctx, addr, &info) : 0;

	*result = NULL;
	if (error)
		return error;
	check_host(host, &findings);
	if (addr)
		check_device(host, &info, &findings);
	if (findings.failed) {
		free(findings.list);
		return -ENOMEM;
	}
	*result = findings.list;
	return (int)findings.count;
}
