// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device's files in sysfs, each a part of the input: listing, inspecting and mapping either
 * work or fail, and what they say of the device is possible.
 */

#include <usrpci/usrpci.h>

#include "fuzz.h"

#define ADDR    "0000:00:03.0"
#define DEVICES "/sys/bus/pci/devices"
#define DEVICE  DEVICES "/" ADDR

static struct usrpci_ctx *ctx;

/* Which devices there are is not a part of the input. */
int __wrap_dev_list_addresses(const struct usrpci_ctx *of, struct usrpci_addr **list);

int __wrap_dev_list_addresses(const struct usrpci_ctx *of, struct usrpci_addr **list)
{
	*list = malloc(sizeof(**list));
	HOLDS(*list);
	**list = (struct usrpci_addr){.dev = 3};
	return 1;
}

static void make_host(void)
{
	struct usrpci_ctx_options options = {.root = fuzz_root()};

	fake_link(DEVICE "/driver", "../../drivers/e1000");
	HOLDS(usrpci_ctx_open(&options, &ctx) == 0);
}

static void write_config(const struct input *part)
{
	size_t size = part->size < USRPCI_CONFIG_SIZE_EXPRESS ? part->size
							      : USRPCI_CONFIG_SIZE_EXPRESS;

	fake_file(DEVICE "/config", part->bytes, size);
}

static void look_at_bars(struct usrpci_dev *dev)
{
	struct usrpci_bar_info info;
	struct usrpci_bar bar;

	for (unsigned int i = 0; i < USRPCI_BARS; i++) {
		if (usrpci_bar_info(dev, i, &info))
			continue;
		HOLDS(info.flags & USRPCI_BAR_UNASSIGNED ||
		      (info.size != 0 && info.size - 1 <= UINT64_MAX - info.address));
		/* There is no file to map: only that it fails can be seen. */
		HOLDS(usrpci_bar_map(dev, i, &bar) != 0);
	}
}

static void look(void)
{
	struct usrpci_dev_info *list;
	struct usrpci_cap caps[4];
	struct usrpci_dev *dev;
	int count = usrpci_dev_list(ctx, &list);

	HOLDS(count <= 1 && (count > 0 || !list));
	HOLDS(count <= 0 || (list->irq_pin <= 4 && list->header_type <= 127));
	HOLDS(count <= 0 || list->class_code <= 0xffffff);
	usrpci_dev_list_free(list);
	if (usrpci_dev_inspect(ctx, ADDR, &dev))
		return;
	usrpci_cap_list(dev, caps, 4);
	look_at_bars(dev);
	usrpci_dev_close(dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	if (!ctx)
		make_host();
	take_file(&input, DEVICE "/resource");
	take_file(&input, DEVICE "/uevent");
	take_file(&input, DEVICE "/numa_node");
	write_config(&input);
	look();
	return 0;
}
