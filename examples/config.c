// SPDX-License-Identifier: BSD-2-Clause
/*
 * Shows a device's identity, BARs and capabilities, whoever drives it: config 03:00.0
 */

#include <stdio.h>
#include <stdlib.h>

#include <usrpci/usrpci.h>

static void show_bars(struct usrpci_dev *dev)
{
	struct usrpci_bar_info bar;

	for (unsigned int i = 0; i < USRPCI_BARS; i++)
		if (usrpci_bar_info(dev, i, &bar) == 0)
			printf("BAR %u: %s, %llu bytes at 0x%llx\n", i,
			       bar.flags & USRPCI_BAR_IO ? "I/O ports" : "memory",
			       (unsigned long long)bar.size, (unsigned long long)bar.address);
}

static void show_caps(struct usrpci_dev *dev)
{
	struct usrpci_cap caps[USRPCI_CAPS_MAX];
	int count = usrpci_cap_list(dev, caps, USRPCI_CAPS_MAX);

	for (int i = 0; i < count; i++) {
		const char *name = usrpci_cap_name(&caps[i]);

		printf("capability 0x%03x: %s (id 0x%02x)\n", caps[i].offset, name ? name : "?",
		       caps[i].id);
	}
}

int main(int argc, char **argv)
{
	struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	uint32_t id;
	int error;

	if (argc != 2) {
		fprintf(stderr, "usage: %s DEVICE\n", argv[0]);
		return 2;
	}
	if (usrpci_ctx_open(&options, &ctx))
		return EXIT_FAILURE;
	error = usrpci_dev_inspect(ctx, argv[1], &dev);
	if (error)
		goto close_ctx;
	error = usrpci_config_read32(dev, 0x00, &id);
	if (!error) {
		printf("%s: vendor %04x, device %04x\n", usrpci_dev_name(dev), id & 0xffff,
		       id >> 16);
		show_bars(dev);
		show_caps(dev);
	}
	usrpci_dev_close(dev);
close_ctx:
	usrpci_ctx_close(ctx);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
