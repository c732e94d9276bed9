// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tells an NVMe controller of a shutdown on behalf of a driver that was killed: it then writes what
 * its cache holds to the medium, and does not count an unsafe shutdown when it loses its power. NVM
 * Express Base 1.4, 3.1.5, 3.1.6 and 7.6.2.
 *
 * A controller that was reset meanwhile, as vfio does when its device is closed, is disabled and
 * has nothing to be told.
 */

#include <errno.h>
#include <string.h>

#include <usrpci/mmio.h>

#include "quiesce.h"

#define LOG_SUBJECT "quiesce"
#include "log.h"

#define NVME_CLASS    0x010802
#define SHUTDOWN_MS   5000
#define CC            0x14
#define CC_EN         (UINT32_C(1) << 0)
#define CC_SHN        (UINT32_C(3) << 14)
#define CC_SHN_NORMAL (UINT32_C(1) << 14)
#define CSTS          0x1c
#define CSTS_RDY      (UINT32_C(1) << 0)
#define CSTS_SHST     (UINT32_C(3) << 2)
#define CSTS_COMPLETE (UINT32_C(2) << 2)
#define REGISTERS     0x20

static int shut_down(struct usrpci_bar *bar)
{
	uint32_t cc = usrpci_read32(bar, CC), csts = usrpci_read32(bar, CSTS);

	if (cc == UINT32_MAX || csts == UINT32_MAX || !(cc & CC_EN) || !(csts & CSTS_RDY))
		return 0;
	if (csts & CSTS_SHST) /* it was told before */
		return 0;
	usrpci_write32(bar, CC, (cc & ~CC_SHN) | CC_SHN_NORMAL);
	return usrpci_bar_wait32(bar, CSTS, CSTS_SHST, CSTS_COMPLETE, SHUTDOWN_MS, NULL);
}

void quiesce_shut_down(struct usrpci_dev *dev)
{
	struct usrpci_bar bar;
	int error;

	if (usrpci_dev_info(dev)->class_code != NVME_CLASS)
		return;
	error = usrpci_bar_map_range(dev, 0, 0, REGISTERS, &bar);
	if (!error) {
		error = shut_down(&bar);
		usrpci_bar_unmap(&bar);
	}
	if (error && error != -ENODEV)
		log_warning(
			usrpci_dev_ctx(dev), usrpci_dev_name(dev), NULL,
			"the disk could not be told of a shutdown: what its cache holds is lost "
			"if it loses its power now: %s",
			strerror(-error));
}
