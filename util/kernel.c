// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads what the running kernel allows. Follows kernel_lockdown(7), capabilities(7) and the
 * kernel's Documentation/driver-api/vfio.rst.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "kernel.h"

/* The file has all modes, the one that holds in brackets: "none [integrity] confidentiality". */
const char *kernel_lockdown(const struct usrpci_ctx *ctx, char mode[LOCKDOWN_SIZE])
{
	char text[64], *start, *end;

	snprintf(mode, LOCKDOWN_SIZE, "none");
	if (file_read(ctx, text, sizeof(text), "/sys/kernel/security/lockdown") < 0)
		return mode;
	start = strchr(text, '[');
	end = start ? strchr(start, ']') : NULL;
	if (end && end - start - 1 < LOCKDOWN_SIZE)
		snprintf(mode, LOCKDOWN_SIZE, "%.*s", (int)(end - start - 1), start + 1);
	return mode;
}

bool kernel_is_locked_down(const struct usrpci_ctx *ctx)
{
	char mode[LOCKDOWN_SIZE];

	return strcmp(kernel_lockdown(ctx, mode), "none");
}

bool group_is_noiommu(const struct usrpci_ctx *ctx, int group)
{
	char name[32];

	return file_read(ctx, name, sizeof(name), "/sys/kernel/iommu_groups/%d/name", group) > 0 &&
	       !strcmp(name, "vfio-noiommu");
}

uint64_t kernel_lowest_ram(const struct usrpci_ctx *ctx)
{
	char text[16384], *rest = text, *line;
	uint64_t first;

	if (file_read(ctx, text, sizeof(text), "/proc/iomem") < 0)
		return 0;
	while ((line = strsep(&rest, "\n")))
		if (strstr(line, " : System RAM") && sscanf(line, "%" SCNx64, &first) == 1)
			return first;
	return 0;
}

/* Without /proc the user id has to do. */
bool has_capability(const struct usrpci_ctx *ctx, unsigned int capability)
{
	char text[4096], *line;
	uint64_t effective;

	if (file_read(ctx, text, sizeof(text), "/proc/self/status") < 0)
		return geteuid() == 0;
	line = strstr(text, "\nCapEff:");
	return line && sscanf(line, "\nCapEff: %" SCNx64, &effective) == 1 &&
	       effective >> capability & 1;
}
