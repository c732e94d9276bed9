// SPDX-License-Identifier: BSD-2-Clause
/*
 * Is this host ready? Looks at what userspace drivers trip over, says what it found and which
 * command mends it. Changes nothing. One device is looked at in device.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check/check.h"
#include "file.h"
#include "group.h"
#include "modules.h"

/* What vfio needs to pin for a small driver: below it, the limit is worth a word. */
#define MEMLOCK_ENOUGH (64u << 20)

void finding_add(struct findings *findings, enum usrpci_check_state state, const char *topic,
		 const char *cure, const char *format, ...)
{
	struct usrpci_finding *finding;
	va_list args;

	if (findings->count == findings->size) {
		size_t size = findings->size ? 2 * findings->size : 16;

		finding = reallocarray(findings->list, size, sizeof(*finding));
		if (!finding) {
			findings->failed = true;
			return;
		}
		findings->list = finding;
		findings->size = size;
	}
	finding = &findings->list[findings->count++];
	finding->state = state;
	snprintf(finding->topic, sizeof(finding->topic), "%s", topic);
	snprintf(finding->cure, sizeof(finding->cure), "%s", cure ? cure : "");
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

static int count_groups(struct usrpci_host *host)
{
	char **names;
	int count = dir_list(host->ctx, &names, "/sys/kernel/iommu_groups");

	if (count >= 0)
		free(names);
	return count > 0 ? count : 0;
}

static void check_iommu(struct usrpci_host *host, struct findings *findings)
{
	int groups = count_groups(host);

	if (groups)
		finding_add(findings, USRPCI_CHECK_OK, "iommu", NULL,
			    "an IOMMU confines devices: %d groups", groups);
	else if (group_noiommu(host))
		finding_add(findings, USRPCI_CHECK_NOTE, "iommu",
			    "echo N > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
			    "no IOMMU, and vfio was told to do without: devices reach all memory");
	else if (file_exists(host->ctx, "/sys/firmware/acpi/tables/DMAR"))
		finding_add(
			findings, USRPCI_CHECK_NOTE, "iommu",
			"add intel_iommu=on to the kernel's command line and reboot",
			"the machine has an Intel IOMMU, which is off: devices reach all memory, "
			"vfio-pci cannot be used");
	else
		finding_add(findings, USRPCI_CHECK_NOTE, "iommu",
			    "enable VT-d or AMD-Vi in the firmware, if the machine has it",
			    "no IOMMU: devices reach all memory, vfio-pci cannot be used");
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
		finding_add(findings, USRPCI_CHECK_OK, "module", NULL, "%s is there, bind loads it",
			    name);
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

/* vfio-pci is of use with an IOMMU alone, and then uio_pci_generic is of none. */
static void check_modules(struct usrpci_host *host, struct findings *findings)
{
	bool iommu = count_groups(host) > 0;

	check_module(host, "uio_pci_generic", !iommu, findings);
	check_module(host, "vfio-pci", iommu, findings);
}

static bool secure_boot(struct usrpci_host *host)
{
	unsigned char variable[5] = {0};
	int fd = file_open(host->ctx, O_RDONLY,
			   "/sys/firmware/efi/efivars/"
			   "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
	int error = fd < 0 ? fd : pread_exact(fd, variable, sizeof(variable), 0);

	if (fd >= 0)
		close(fd);
	return !error && variable[4] == 1;
}

static void check_lockdown(struct usrpci_host *host, struct findings *findings)
{
	char mode[NAME_SIZE];
	bool secure = secure_boot(host);

	if (strcmp(lockdown_mode(host, mode), "none") != 0)
		finding_add(
			findings, count_groups(host) ? USRPCI_CHECK_NOTE : USRPCI_CHECK_MISSING,
			"lockdown", "use vfio-pci, or disable Secure Boot in the firmware",
			"the kernel is locked down (%s): registers cannot be reached through uio",
			mode);
	else
		finding_add(findings, USRPCI_CHECK_OK, "lockdown", NULL,
			    "the kernel is not locked down%s",
			    secure ? ", though Secure Boot is on" : "");
}

static void check_hugepages(struct usrpci_host *host, struct findings *findings)
{
	struct usrpci_hugepages *list;
	int count = usrpci_host_hugepages(host, &list);
	size_t free_bytes = 0, total = 0, unused = 0;
	int i;

	if (count < 0) {
		finding_add(findings, USRPCI_CHECK_MISSING, "hugepages",
			    "use a kernel with CONFIG_HUGETLBFS", "there are no huge pages");
		return;
	}
	for (i = 0; i < count; i++) {
		free_bytes += list[i].free * list[i].page_size;
		total += list[i].total;
		unused += list[i].free;
	}
	free(list);
	if (unused)
		finding_add(findings, USRPCI_CHECK_OK, "hugepages", NULL,
			    "%zu of %zu huge pages are free, %zu MiB", unused, total,
			    free_bytes >> 20);
	else if (count_groups(host))
		finding_add(findings, USRPCI_CHECK_NOTE, "hugepages", "usrpci hugepages reserve 64",
			    "none of %zu huge pages is free: vfio-pci does with ordinary ones",
			    total);
	else
		finding_add(findings, USRPCI_CHECK_MISSING, "hugepages",
			    "usrpci hugepages reserve 64", "none of %zu huge pages is free", total);
}

/* Finds "PATH" of the line "N:CONTROLLER:PATH"; version 2 has the one line "0::PATH". */
static bool own_cgroup(struct usrpci_host *host, const char *controller, char path[PATH_SIZE])
{
	char text[4096], *rest = text, *line, *name;

	if (file_read(host->ctx, text, sizeof(text), "/proc/self/cgroup") < 0)
		return false;
	while ((line = strsep(&rest, "\n"))) {
		strsep(&line, ":");
		name = line ? strsep(&line, ":") : NULL;
		if (name && line && !strcmp(name, controller)) {
			snprintf(path, PATH_SIZE, "%s", line);
			return true;
		}
	}
	return false;
}

/* The lowest limit on the way up to the root, UINT64_MAX when there is none. */
static uint64_t lowest_limit(struct usrpci_host *host, const char *mount, char path[PATH_SIZE],
			     const char *file)
{
	uint64_t lowest = UINT64_MAX, limit;
	char *slash;

	for (;;) {
		if (!file_read_u64(host->ctx, &limit, "%s%s/%s", mount, path, file) &&
		    limit < lowest)
			lowest = limit;
		slash = strrchr(path, '/');
		if (!slash)
			return lowest;
		*slash = '\0';
	}
}

static void check_cgroup(struct usrpci_host *host, struct findings *findings)
{
	static const struct {
		const char *controller, *mount, *file;
	} places[] = {
		{"", "/sys/fs/cgroup", "hugetlb.2MB.max"},
		{"", "/sys/fs/cgroup", "hugetlb.2MB.rsvd.max"},
		{"hugetlb", "/sys/fs/cgroup/hugetlb", "hugetlb.2MB.limit_in_bytes"},
		{"hugetlb", "/sys/fs/cgroup/hugetlb", "hugetlb.2MB.rsvd.limit_in_bytes"},
	};
	char path[PATH_SIZE], cure[200];
	uint64_t limit;
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (!own_cgroup(host, places[i].controller, path))
			continue;
		limit = lowest_limit(host, places[i].mount, path, places[i].file);
		/* Version 1 says "no limit" by the largest number of whole pages. */
		if (limit > INT64_MAX / 2)
			continue;
		snprintf(cure, sizeof(cure), "raise %s of the control group that this runs in",
			 places[i].file);
		finding_add(findings, limit ? USRPCI_CHECK_NOTE : USRPCI_CHECK_MISSING, "cgroup",
			    cure, "the control group allows %" PRIu64 " MiB of huge pages",
			    limit >> 20);
		return;
	}
}

static bool capable(struct usrpci_host *host, unsigned int capability)
{
	char text[4096], *line;
	uint64_t effective;

	if (file_read(host->ctx, text, sizeof(text), "/proc/self/status") < 0)
		return geteuid() == 0;
	line = strstr(text, "\nCapEff:");
	return line && sscanf(line, "\nCapEff: %" SCNx64, &effective) == 1 &&
	       effective >> capability & 1;
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

	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (capable(host, needed[i].number))
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

static void check_memlock(struct usrpci_host *host, struct findings *findings)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    capable(host, CAP_IPC_LOCK))
		finding_add(findings, USRPCI_CHECK_OK, "memlock", NULL,
			    "memory is pinned without limit");
	else if (limit.rlim_cur >= MEMLOCK_ENOUGH)
		finding_add(findings, USRPCI_CHECK_OK, "memlock", NULL, "%ju MiB may be pinned",
			    (uintmax_t)limit.rlim_cur >> 20);
	else
		finding_add(findings, USRPCI_CHECK_NOTE, "memlock",
			    "echo \"$USER - memlock unlimited\" | sudo tee "
			    "/etc/security/limits.d/usrpci.conf, and log in again",
			    "%ju KiB may be pinned: little for DMA memory through vfio",
			    (uintmax_t)limit.rlim_cur >> 10);
}

static void check_host(struct usrpci_host *host, struct findings *findings)
{
	check_modules(host, findings);
	check_iommu(host, findings);
	check_lockdown(host, findings);
	check_hugepages(host, findings);
	check_cgroup(host, findings);
	check_memlock(host, findings);
	check_rights(host, findings);
}

int usrpci_host_check(struct usrpci_host *host, const struct usrpci_addr *addr,
		      struct usrpci_finding **result)
{
	struct findings findings = {0};
	struct usrpci_dev_info info;
	int error = addr ? usrpci_dev_lookup(host->ctx, addr, &info) : 0;

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
