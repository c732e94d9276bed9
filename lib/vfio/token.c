// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tokens of virtual functions. A program that has a physical function through vfio could read what
 * its virtual functions do; so the kernel opens these only for those who know the UUID that this
 * program gave (drivers/vfio/pci/vfio_pci_core.c of Linux, vfio_pci_validate_vf_token()).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "file.h"
#include "numbers.h"
#include "vfio/vfio.h"

#define LOG_SUBJECT "vfio"
#include "log.h"

#define UUID_LENGTH 36

const char *vfio_token(const struct usrpci_ctx *ctx)
{
	const char *token = ctx->vf_token ? ctx->vf_token : secure_getenv("USRPCI_VF_TOKEN");

	return token && *token ? token : NULL;
}

int vfio_token_bytes(struct usrpci_ctx *ctx, uint8_t uuid[16])
{
	const char *token = vfio_token(ctx);

	if (!token || parse_uuid(token, uuid))
		return token != NULL;
	return refuse(ctx, -EINVAL, "USRPCI_VF_TOKEN", "uuidgen makes one", "\"%s\" is no UUID",
		      token);
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
	uint8_t uuid[16];
	int given = vfio_token_bytes(dev->ctx, uuid), fd = -1;

	if (given < 0)
		return given;
	errno = EINVAL;
	if (given) {
		snprintf(text, sizeof(text), "%s vf_token=%s", dev->name, vfio_token(dev->ctx));
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
