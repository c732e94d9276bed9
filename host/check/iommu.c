// SPDX-License-Identifier: BSD-2-Clause
/*
 * The check's part for the IOMMU: whether one is in use, and if not, whether the machine has one
 * and what keeps the kernel from it. Firmware announces an IOMMU by an ACPI table (the kernel's
 * Documentation/arch/x86/iommu.rst, Arm's DEN0049); its tables are out of sight in containers.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "check/check.h"
#include "file.h"
#include "group.h"

#define TABLES "/sys/firmware/acpi/tables"

/* The kinds of IOMMUs by their tables, and what brings each into use. */
static const struct {
	const char *table, *name, *cure;
} kinds[] = {
	{"DMAR", "an Intel IOMMU", "add intel_iommu=on to the kernel's command line and reboot"},
	{"IVRS", "an AMD IOMMU",
	 "use a kernel with CONFIG_AMD_IOMMU (cloud kernels have none); dmesg | grep AMD-Vi"},
	{"IORT", "an Arm SMMU", "use a kernel with CONFIG_ARM_SMMU_V3; dmesg | grep -i smmu"},
	{"RIMT", "a RISC-V IOMMU", "use a kernel with CONFIG_RISCV_IOMMU; dmesg | grep -i iommu"},
	{"VIOT", "a virtual IOMMU", "modprobe virtio_iommu, or use a kernel with it"},
};

int iommu_groups(struct usrpci_host *host)
{
	AUTO_FREE char **names = NULL;
	char name[NAME_SIZE];
	int count = dir_list(host->ctx, &names, "/sys/kernel/iommu_groups"), real = 0;

	/* Groups that vfio made because there is no IOMMU have a name. */
	for (int i = 0; i < count; i++)
		real += file_read(host->ctx, name, sizeof(name), "/sys/kernel/iommu_groups/%s/name",
				  names[i]) < 0 ||
			strcmp(name, "vfio-noiommu") != 0;
	return count < 0 && count != -ENOENT ? count : real;
}

/* Finds the word on the kernel's command line that switches IOMMUs off; "" if there is none. */
static void find_off_word(struct usrpci_host *host, char word[NAME_SIZE])
{
	static const char *const words[] = {"intel_iommu=off", "amd_iommu=off", "iommu=off",
					    "arm-smmu.disable=1"};
	char text[4096], *rest = text, *part;

	word[0] = '\0';
	if (file_read(host->ctx, text, sizeof(text), "/proc/cmdline") < 0)
		return;
	while ((part = strsep(&rest, " \n"))) {
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (!strcmp(part, words[i]))
				strcpy(word, words[i]);
	}
}

static bool find_kind(struct usrpci_host *host, size_t *kind)
{
	for (*kind = 0; *kind < ARRAY_SIZE(kinds); ++*kind)
		if (file_exists(host->ctx, TABLES "/%s", kinds[*kind].table))
			return true;
	return false;
}

void iommu_absence(struct usrpci_host *host, char text[200], char cure[200])
{
	char word[NAME_SIZE];
	size_t kind;

	find_off_word(host, word);
	if (word[0]) {
		snprintf(text, 200, "the IOMMU is switched off by %s", word);
		snprintf(cure, 200, "remove %s from the kernel's command line and reboot", word);
	} else if (find_kind(host, &kind)) {
		snprintf(text, 200, "the machine has %s, which is off", kinds[kind].name);
		snprintf(cure, 200, "%s", kinds[kind].cure);
	} else if (!file_exists(host->ctx, "/sys/firmware") && host_is_live(host)) {
		snprintf(text, 200, "no IOMMU is in use; whether there is one cannot be told here");
		snprintf(cure, 200, "run on the host itself: this container hides /sys/firmware");
	} else {
		snprintf(text, 200, "no IOMMU");
		snprintf(cure, 200,
			 "enable VT-d, AMD-Vi or the SMMU in the firmware, if the machine "
			 "has it");
	}
}

#define DEVICE_TREE  "/sys/firmware/devicetree/base"
#define ALLOW_FORGED "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"

/* Whether a node of the device tree has a GICv2m frame in it. */
static bool has_v2m(struct usrpci_host *host, const char *node)
{
	char **names, text[64];
	int count = dir_list(host->ctx, &names, DEVICE_TREE "/%s", node);
	bool found = false;

	for (int i = 0; i < count; i++)
		found |= file_read(host->ctx, text, sizeof(text), DEVICE_TREE "/%s/%s/compatible",
				   node, names[i]) > 0 &&
			 !strcmp(text, "arm,gic-v2m-frame");
	if (count >= 0)
		free(names);
	return found;
}

/* GICv2m cannot tell which device sends a message interrupt, so vfio requires consent. */
static void check_forged_interrupts(struct usrpci_host *host, struct findings *findings)
{
	char **names, allowed[8] = "";
	int count = dir_list(host->ctx, &names, DEVICE_TREE);
	bool found = false;

	for (int i = 0; i < count; i++)
		found |= strchr(names[i], '@') && has_v2m(host, names[i]);
	if (count >= 0)
		free(names);
	file_read(host->ctx, allowed, sizeof(allowed), ALLOW_FORGED);
	if (found && allowed[0] != 'Y')
		finding_add(findings, USRPCI_CHECK_MISSING, "iommu",
			    "modprobe vfio_iommu_type1 && echo Y > " ALLOW_FORGED,
			    "devices can forge each other's interrupts (GICv2m): vfio-pci wants "
			    "consent to that");
}

void check_iommu(struct usrpci_host *host, struct findings *findings)
{
	int groups = iommu_groups(host);
	char text[200], cure[200];

	if (groups < 0)
		findings->failed = true;
	if (groups > 0) {
		finding_add(findings, USRPCI_CHECK_OK, "iommu", NULL,
			    "an IOMMU confines devices: %d groups", groups);
		check_forged_interrupts(host, findings);
		return;
	}
	if (group_noiommu(host)) {
		finding_add(
			findings, USRPCI_CHECK_NOTE, "iommu",
			"echo N > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
			"there is no IOMMU, and vfio's no-IOMMU mode is on: devices reach all memory");
		return;
	}
	iommu_absence(host, text, cure);
	finding_add(findings, USRPCI_CHECK_NOTE, "iommu", cure,
		    "%s: devices reach all memory, vfio-pci cannot be used", text);
}
