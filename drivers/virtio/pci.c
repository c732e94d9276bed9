// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtio over PCI, the modern interface: Virtio 1.2, 3.1 and 4.1. A transitional device is driven
 * by its modern interface; a device that has only the legacy interface is refused.
 *
 * The device chooses where its registers are, so the driver checks that each window is large enough
 * for the registers in it. Each wait has a deadline.
 */

#include <errno.h>
#include <string.h>

#include "deadline.h"
#include "virtio.h"

#define RESET_MS       1000
#define COMMON_SIZE    (VIRTIO_PCI_COMMON_Q_USEDHI + 4)
#define GENERATION_MAX 16 /* how often a configuration is read that changes meanwhile */
#define GONE           0xff
#define CAPS_MAX       48 /* conventional ones, which come first */

bool virtio_matches(const struct usrpci_dev_info *info, unsigned int type)
{
	if (info->vendor != VIRTIO_VENDOR)
		return false;
	if (info->device >= 0x1040 && info->device <= 0x107f)
		return info->device - 0x1040u == type;
	return info->device >= 0x1000 && info->device <= 0x103f && info->subsystem_device == type;
}

/* The place of a structure, from its capability: 4.1.4. */
struct place {
	uint8_t type, bar;
	uint32_t offset, length;
};

static int read_place(struct usrpci_dev *dev, unsigned int cap, struct place *place)
{
	return usrpci_config_read8(dev, cap + VIRTIO_PCI_CAP_CFG_TYPE, &place->type) ?:
		usrpci_config_read8(dev, cap + VIRTIO_PCI_CAP_BAR, &place->bar) ?:
		usrpci_config_read32(dev, cap + VIRTIO_PCI_CAP_OFFSET, &place->offset) ?:
		usrpci_config_read32(dev, cap + VIRTIO_PCI_CAP_LENGTH, &place->length);
}

static int is_legacy(const char **why)
{
	*why = "it has the legacy interface alone: VIRTIO_F_VERSION_1 is missing "
	       "(QEMU: disable-modern=off)";
	return -ENOTSUP;
}

int virtio_look(struct usrpci_dev *dev, const char **why)
{
	int cap = usrpci_cap_find(dev, USRPCI_CAP_VENDOR), error = 0;
	struct place place = {0};

	while (cap > 0 && !error && place.type != VIRTIO_PCI_CAP_COMMON_CFG) {
		error = read_place(dev, (unsigned int)cap, &place);
		cap = usrpci_cap_find_next(dev, USRPCI_CAP_VENDOR, (unsigned int)cap);
	}
	if (error || place.type == VIRTIO_PCI_CAP_COMMON_CFG)
		return error;
	return cap == -ENOENT ? is_legacy(why) : cap;
}

static struct usrpci_bar *window(struct virtio *v, uint8_t type)
{
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		return &v->common;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		return &v->notify;
	case VIRTIO_PCI_CAP_ISR_CFG:
		return &v->isr;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		return &v->config;
	}
	return NULL;
}

/* The first structure of a type is the one that the device prefers: 4.1.4.1. */
static int map_window(struct virtio *v, unsigned int cap)
{
	struct usrpci_bar *bar;
	struct place place;
	int error = read_place(v->dev, cap, &place);

	if (error)
		return error;
	bar = window(v, place.type);
	if (!bar || bar->size || place.bar >= USRPCI_BARS || !place.length)
		return 0;
	if (bar == &v->notify)
		error = usrpci_config_read32(v->dev, cap + VIRTIO_PCI_NOTIFY_CAP_MULT,
					     &v->notify_multiplier);
	if (!error)
		error = usrpci_bar_map_range(v->dev, place.bar, place.offset, place.length, bar);
	return error == -ERANGE || error == -ENOENT ? -EPROTO : error;
}

static int map_windows(struct virtio *v)
{
	struct usrpci_cap caps[CAPS_MAX];
	int count = usrpci_cap_list(v->dev, caps, CAPS_MAX), error = count < 0 ? count : 0;
	uint16_t vendor;

	for (int i = 0; !error && i < count; i++)
		if (!caps[i].extended && caps[i].id == USRPCI_CAP_VENDOR)
			error = map_window(v, caps[i].offset);
	if (!error && !v->common.size)
		error = usrpci_config_read16(v->dev, 0, &vendor);
	if (error)
		return error;
	if (!v->common.size)
		return is_legacy(v->why);
	return v->common.size < COMMON_SIZE || v->notify.size < 2 ? -EPROTO : 0;
}

static void unmap_windows(struct virtio *v)
{
	usrpci_bar_unmap(&v->common);
	usrpci_bar_unmap(&v->notify);
	usrpci_bar_unmap(&v->isr);
	usrpci_bar_unmap(&v->config);
}

int virtio_reset(struct virtio *v)
{
	deadline_t deadline = deadline_in_ms(RESET_MS);
	uint8_t status;

	usrpci_write8(&v->common, VIRTIO_PCI_COMMON_STATUS, 0);
	for (;;) {
		status = usrpci_read8(&v->common, VIRTIO_PCI_COMMON_STATUS);
		if (!status)
			return 0;
		if (status == GONE)
			return -ENODEV;
		if (deadline_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		nap_us(100);
	}
}

static uint64_t read_offered(struct virtio *v)
{
	uint64_t features;

	usrpci_write32(&v->common, VIRTIO_PCI_COMMON_DFSELECT, 0);
	features = usrpci_read32(&v->common, VIRTIO_PCI_COMMON_DF);
	usrpci_write32(&v->common, VIRTIO_PCI_COMMON_DFSELECT, 1);
	return features | (uint64_t)usrpci_read32(&v->common, VIRTIO_PCI_COMMON_DF) << 32;
}

/*
 * Without VIRTIO_F_ACCESS_PLATFORM (6.1) the device bypasses the IOMMU and would use our IOMMU
 * addresses as physical addresses.
 */
static int check_offered(struct virtio *v)
{
	if (!(v->offered & VIRTIO_BIT(VIRTIO_F_VERSION_1))) {
		*v->why = "it does not offer VIRTIO_F_VERSION_1";
		return -ENOTSUP;
	}
	if (usrpci_dev_features(v->dev) & USRPCI_FEATURE_PROTECTED &&
	    !(v->offered & VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM))) {
		*v->why = "it goes around the IOMMU: VIRTIO_F_ACCESS_PLATFORM is missing "
			  "(QEMU: iommu_platform=on)";
		return -ENOTSUP;
	}
	return 0;
}

int virtio_open(struct virtio *v, struct usrpci_dev *dev)
{
	int error;

	v->dev = dev;
	v->ctx = usrpci_dev_ctx(dev);
	error = map_windows(v) ?: virtio_reset(v);
	if (!error) {
		v->offered = read_offered(v);
		error = check_offered(v);
	}
	if (error)
		unmap_windows(v);
	return error;
}

void virtio_close(struct virtio *v)
{
	virtio_reset(v);
	unmap_windows(v);
}

static int add_status(struct virtio *v, uint8_t bits)
{
	uint8_t status = usrpci_read8(&v->common, VIRTIO_PCI_COMMON_STATUS);

	if (status == GONE)
		return -ENODEV;
	usrpci_write8(&v->common, VIRTIO_PCI_COMMON_STATUS, status | bits);
	status = usrpci_read8(&v->common, VIRTIO_PCI_COMMON_STATUS);
	if (status == GONE)
		return -ENODEV;
	return (status & bits) == bits ? 0 : -EPROTO;
}

int virtio_negotiate(struct virtio *v, uint64_t wanted)
{
	int error = virtio_reset(v) ?:
		add_status(v, VIRTIO_CONFIG_S_ACKNOWLEDGE) ?:
		add_status(v, VIRTIO_CONFIG_S_DRIVER);

	if (error)
		return error;
	wanted |= VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) |
		  VIRTIO_BIT(VIRTIO_F_ORDER_PLATFORM) | VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX);
	v->features = v->offered & wanted;
	usrpci_write32(&v->common, VIRTIO_PCI_COMMON_GFSELECT, 0);
	usrpci_write32(&v->common, VIRTIO_PCI_COMMON_GF, (uint32_t)v->features);
	usrpci_write32(&v->common, VIRTIO_PCI_COMMON_GFSELECT, 1);
	usrpci_write32(&v->common, VIRTIO_PCI_COMMON_GF, (uint32_t)(v->features >> 32));
	return add_status(v, VIRTIO_CONFIG_S_FEATURES_OK);
}

int virtio_ready(struct virtio *v)
{
	return add_status(v, VIRTIO_CONFIG_S_DRIVER_OK);
}

int virtio_check(struct virtio *v)
{
	uint8_t status = usrpci_read8(&v->common, VIRTIO_PCI_COMMON_STATUS);

	if (status == GONE)
		return -ENODEV;
	return status & VIRTIO_CONFIG_S_NEEDS_RESET ? -EPROTO : 0;
}

int virtio_irq_enable(struct virtio *v, enum usrpci_irq_type type, unsigned int count)
{
	int error = usrpci_irq_enable(v->dev, type, count);

	if (error)
		return error;
	v->irq = type;
	v->vectors = count;
	if (type == USRPCI_IRQ_INTX)
		return 0;
	usrpci_write16(&v->common, VIRTIO_PCI_COMMON_MSIX, 0);
	if (usrpci_read16(&v->common, VIRTIO_PCI_COMMON_MSIX) == 0)
		return 0;
	virtio_irq_disable(v);
	return -EPROTO;
}

void virtio_irq_disable(struct virtio *v)
{
	if (v->vectors > 0)
		usrpci_irq_disable(v->dev, v->irq);
	v->vectors = 0;
}

uint8_t virtio_isr(struct virtio *v)
{
	return v->isr.size ? usrpci_read8(&v->isr, 0) : 0;
}

static uint64_t read_field(struct virtio *v, size_t offset, unsigned int width)
{
	switch (width) {
	case 1:
		return usrpci_read8(&v->config, offset);
	case 2:
		return usrpci_read16(&v->config, offset);
	case 4:
		return usrpci_read32(&v->config, offset);
	}
	return usrpci_read64_lo_hi(&v->config, offset);
}

int virtio_config_read(struct virtio *v, size_t offset, unsigned int width, uint64_t *value)
{
	uint8_t before;

	if (offset > v->config.size || width > v->config.size - offset)
		return -EPROTO;
	for (unsigned int tries = 0; tries < GENERATION_MAX; tries++) {
		before = usrpci_read8(&v->common, VIRTIO_PCI_COMMON_CFGGENERATION);
		*value = read_field(v, offset, width);
		if (usrpci_read8(&v->common, VIRTIO_PCI_COMMON_CFGGENERATION) == before)
			return 0;
	}
	return -EPROTO;
}
