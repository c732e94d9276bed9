// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hooks of failure injection in a library that is built without it: a plan is refused, so that
 * no test passes because its faults did not happen.
 */

#include <errno.h>
#include <stdlib.h>

#include "fault/fault.h"

#define LOG_SUBJECT "fault"
#include "log.h"

int fault_wrap(struct usrpci_dev *dev)
{
	const char *plan = secure_getenv("USRPCI_FAULT");

	if (!plan || !*plan)
		return 0;
	return report(dev->ctx, -EOPNOTSUPP, "USRPCI_FAULT", "build it with meson's -Dfault=true",
		      "this library is built without failure injection");
}

/* A context never has a plan here. */
bool fault_alloc(struct usrpci_ctx *ctx)
{
	return false;
}

void fault_free(struct fault *fault)
{
}
