// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads how many interrupts of a device the kernel has counted. uio has a file for it. For vfio
 * they are in the lines of /proc/interrupts that carry its name for the device's INTx, MSI and
 * MSI-X, as long as these are enabled (drivers/vfio/pci/vfio_pci_intrs.c).
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "lend/lend.h"

static uint64_t uio_events(struct usrpci_host *host, const char *device)
{
	uint64_t events = 0;
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, PCI_DEVICES "/%s/uio", device);

	if (count > 0)
		file_read_u64(host->ctx, &events, PCI_DEVICES "/%s/uio/%s/event", device, names[0]);
	return events;
}

/* The sum of a line's columns, one a processor: "  20:   12   0   IO-APIC ...". */
static uint64_t sum_line(const char *line)
{
	const char *at = strchr(line, ':');
	uint64_t sum = 0, one;
	int length;

	for (at = at ? at + 1 : ""; sscanf(at, "%" SCNu64 "%n", &one, &length) == 1; at += length)
		sum += one;
	return sum;
}

static uint64_t vfio_interrupts(struct usrpci_host *host, const char *device)
{
	char name[USRPCI_ADDR_STRLEN + 2], path[PATH_SIZE], *line = NULL;
	uint64_t sum = 0;
	size_t size = 0;
	FILE *file;

	snprintf(name, sizeof(name), "(%s)", device);
	if (path_format(host->ctx, path, "/proc/interrupts"))
		return 0;
	file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0)
		if (strstr(line, " vfio-") && strstr(line, name))
			sum += sum_line(line);
	free(line);
	if (file)
		fclose(file);
	return sum;
}

uint64_t lend_interrupts(struct usrpci_host *host, const struct usrpci_addr *addr, bool vfio)
{
	char device[USRPCI_ADDR_STRLEN];

	usrpci_addr_format(addr, device);
	return vfio ? vfio_interrupts(host, device) : uio_events(host, device);
}
