// SPDX-License-Identifier: BSD-2-Clause
/*
 * Capabilities of a device whose configuration space is the input: the walk ends, and lists each
 * place at most once, aligned and inside its chain's space.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fake/fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct usrpci_dev *open_device(unsigned int config_size)
{
	const struct fake_model model = {.config_size = config_size, .irq_pin = 1};
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;

	if (usrpci_ctx_open(NULL, &ctx) || fake_open(ctx, &model, &dev))
		abort();
	return dev;
}

static void check_cap(const struct usrpci_cap *cap, unsigned int config_size, bool *seen)
{
	unsigned int first = cap->extended ? 256 : 64, end = cap->extended ? config_size : 256;

	if (cap->offset % 4 || cap->offset < first || cap->offset > end - 4 || seen[cap->offset])
		abort();
	seen[cap->offset] = true;
	usrpci_cap_name(cap);
}

static void check(struct usrpci_dev *dev)
{
	static struct usrpci_cap caps[USRPCI_CAPS_MAX];
	bool seen[USRPCI_CONFIG_SIZE_EXPRESS] = {false};
	int count = usrpci_cap_list(dev, caps, USRPCI_CAPS_MAX);

	for (int i = 0; i < count; i++)
		check_cap(&caps[i], (unsigned int)usrpci_config_size(dev), seen);
	for (int i = 0; i < count; i++) {
		int found = caps[i].extended ? usrpci_ext_cap_find(dev, caps[i].id)
					     : usrpci_cap_find(dev, caps[i].id);
		if (!seen[found])
			abort();
	}
	usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct usrpci_dev *small, *large;
	struct usrpci_dev *dev;
	uint8_t *config;
	size_t room;

	if (!small) {
		small = open_device(USRPCI_CONFIG_SIZE);
		large = open_device(USRPCI_CONFIG_SIZE_EXPRESS);
	}
	dev = size <= USRPCI_CONFIG_SIZE ? small : large;
	config = fake_config(dev);
	room = usrpci_config_size(dev);
	memset(config, 0, room);
	memcpy(config, data, size < room ? size : room);
	config[6] |= 0x10; /* the bit that says that there are any */
	check(dev);
	return 0;
}
