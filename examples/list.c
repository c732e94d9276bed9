// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lists the PCI devices of this host: address, ids, class and the kernel driver that holds them.
 */

#include <stdio.h>
#include <stdlib.h>

#include <usrpci/usrpci.h>

int main(void)
{
	struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	struct usrpci_dev_info *list;
	struct usrpci_ctx *ctx;
	char text[USRPCI_ADDR_STRLEN];
	int count;

	if (usrpci_ctx_open(&options, &ctx))
		return EXIT_FAILURE;
	count = usrpci_dev_list(ctx, &list);
	for (int i = 0; i < count; i++)
		printf("%s  %04x:%04x  class %06x  %s\n", usrpci_addr_format(&list[i].addr, text),
		       list[i].vendor, list[i].device, list[i].class_code,
		       list[i].driver[0] ? list[i].driver : "-");
	usrpci_dev_list_free(list);
	usrpci_ctx_close(ctx);
	return count < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
