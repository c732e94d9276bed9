// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tokens of virtual functions. A program that has a physical function through vfio could read what
 * its virtual functions do; so the kernel opens these only for those who know the UUID that this
 * program gave (drivers/vfio/pci/vfio_pci_core.c of Linux, vfio_pci_validate_vf_token()).
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "file.h"
#include "vfio/vfio.h"

#define LOG_SUBJECT "vfio"
#include "log.h"

#define UUID_LENGTH 36

const char *vfio_token(void)
{
	const char *token = secure_getenv("USRPCI_VF_TOKEN");

	return token && *token ? token : NULL;
}

static bool is_uuid(const char *text)
{
	for (int i = 0; i < UUID_LENGTH; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-'
							    : !isxdigit((unsigned char)text[i]))
			return false;
	return !text[UUID_LENGTH];
}

int vfio_report_token(struct usrpci_dev *dev)
{
	char owner[USRPCI_ADDR_STRLEN];

	if (file_link_name(dev->ctx, owner, sizeof(owner), PCI_DEVICES "/%s/physfn", dev->name))
		strcpy(owner, dev->name);
	return refuse(dev->ctx, -EACCES, dev->name,
		      "export USRPCI_VF_TOKEN=UUID in both programs, the same one",
		      "it can be opened only with the token that the program of %s gave",
		      strcmp(owner, dev->name) ? owner : "its virtual functions");
}

int vfio_open_of_group(struct usrpci_dev *dev, int group)
{
	char text[sizeof(dev->name) + sizeof(" vf_token=") + UUID_LENGTH];
	const char *token = vfio_token();
	int fd = -1;

	if (token && !is_uuid(token))
		return refuse(dev->ctx, -EINVAL, "USRPCI_VF_TOKEN", "uuidgen makes one",
			      "\"%s\" is no UUID", token);
	errno = EINVAL;
	if (token) {
		snprintf(text, sizeof(text), "%s vf_token=%s", dev->name, token);
		fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, text);
	}
	/* The kernel takes no token for a device that needs none. */
	if (fd < 0 && errno == EINVAL)
		fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, dev->name);
	if (fd >= 0)
		return fd;
	return errno == EACCES
		       ? vfio_report_token(dev)
		       : report(dev->ctx, -errno, dev->name, NULL,
				"it cannot be opened through its group %d", dev->info.iommu_group);
}
